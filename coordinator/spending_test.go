package coordinator

import (
	"errors"
	"testing"
)

func TestSpending(t *testing.T) {
	f := newFederation(t, nil)
	who, err := f.Authenticate(t.Context(), alice)
	must(t, err)
	f.mustAsk(t, bySex)
	f.mustAsk(t, bySex) // stored: it costs nothing
	f.mustAsk(t, "SELECT COUNT(*) AS n FROM person")
	all, err := f.Spending(t.Context(), who, "s")
	must(t, err)
	if len(all) != 2 || all[0].Epsilon != 0.5 || all[0].Researcher != "alice" || all[0].Remaining.Epsilon != 1.5 || all[1].Remaining.Epsilon != 1 || all[1].Time.Before(all[0].Time) {
		t.Errorf("%+v", all)
	}
	account, err := f.Budget(t.Context(), who, "s")
	must(t, err)
	if account.Remaining != all[1].Remaining {
		t.Errorf("the history ends with %+v, and %+v is left", all[1].Remaining, account.Remaining)
	}
	if _, err := f.Spending(t.Context(), who, "others"); !errors.Is(err, CodeStudyUnknown) {
		t.Errorf("a study of others: %v", err)
	}
}

// Another form of an answer is never paid for, even if the data has changed.
func TestStoredOnly(t *testing.T) {
	f := newFederation(t, nil)
	who, err := f.Authenticate(t.Context(), alice)
	must(t, err)
	again := func() (*Answer, error) {
		return f.Query(t.Context(), who, Request{SQL: bySex, Settings: Settings{Study: "s"}, StoredOnly: true}, nil)
	}
	if _, err := again(); !errors.Is(err, CodeNotStored) {
		t.Fatalf("nothing is stored, and it gives %v", err)
	}
	f.settled(t, 0)
	f.mustAsk(t, bySex)
	a, err := again()
	must(t, err)
	if !a.Stored || a.Cost.Epsilon != 0 {
		t.Errorf("stored %v, cost %v", a.Stored, a.Cost)
	}
	for i := range f.members {
		f.members[i].DataVersion = "v2"
		f.hospital(f.members[i].Name).version = "v2"
	}
	if _, err := again(); !errors.Is(err, CodeNotStored) {
		t.Errorf("over new data: %v", err)
	}
	f.settled(t, 0.5)
}
