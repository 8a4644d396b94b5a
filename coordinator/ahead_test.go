package coordinator

import (
	"strings"
	"testing"
)

const aboveAll = "SELECT COUNT(*) AS n FROM person WHERE age > (SELECT COUNT(*) FROM person)"

// A number over all patients is released first, and the release that compares with it afterwards: for one price, with
// the same answer the second time.
func TestNumberReleasedFirst(t *testing.T) {
	f := newFederation(t, nil)
	explain := func() *Explanation {
		t.Helper()
		e, err := f.Explain(t.Context(), asker("alice"), Request{SQL: aboveAll, Settings: Settings{Study: "s"}})
		must(t, err)
		return e
	}
	if e := explain(); e.Cost.Epsilon != 0.5 || e.Stored || !strings.Contains(e.Plan, "(the number of release 1) < person.age") {
		t.Errorf("before: %+v", e)
	}
	f.settled(t, 0)
	a := f.mustAsk(t, aboveAll)
	if a.Cost.Epsilon != 0.5 || a.Stored || !strings.Contains(strings.Join(a.Warnings, "\n"), "compared with the number of release 1") {
		t.Errorf("the answer: %+v", a)
	}
	charged, _ := f.losses(t)
	if e := explain(); !e.Stored {
		t.Errorf("after: %+v", e)
	}
	again := f.mustAsk(t, aboveAll)
	if !again.Stored || again.Cost.Epsilon != 0 {
		t.Errorf("again: %+v", again)
	}
	wantRows(t, again, rows(a)...)
	f.settled(t, charged)
}

// Where the second release fails, the first stays paid for, and is not paid for again.
func TestNumberReleasedFirstStays(t *testing.T) {
	f := newFederation(t, nil)
	h := f.hospital("b")
	set := func(once bool) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.once = once
	}
	set(true) // it prepares nothing after the first release
	_, err := f.ask(t.Context(), t, aboveAll)
	if e := wantCode(t, err, "HOSPITAL_REFUSED"); !e.Charged {
		t.Errorf("not charged: %v", e)
	}
	first, _ := f.losses(t)
	f.settled(t, first)
	set(false)
	a := f.mustAsk(t, aboveAll)
	if !(first > 0) || !(a.Cost.Epsilon > 0) || a.Cost.Epsilon >= 0.5 {
		t.Errorf("the first costs %v, and the second alone %v", first, a.Cost.Epsilon)
	}
}
