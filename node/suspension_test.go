package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
)

// While the custodian's stop is on, nothing is prepared, executed or explained, and running queries end. A restart does
// not end the stop.
func TestHold(t *testing.T) {
	conf := testConfig(federation(t))
	e := newEngine()
	begun := make(chan struct{})
	e.fail = func(ctx context.Context) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}
	h := start(t, conf, e)
	c := h.client(t, "coordinator-paris")
	running, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	waiting, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := execute(context.Background(), c, running)
		ended <- err
	}()
	<-begun
	must(t, h.SetHold(t.Context(), Hold{On: true, Reason: "An incident.", By: "claire"}))
	must(t, h.SetHold(t.Context(), Hold{On: true, Reason: "Pressed twice."}))
	select {
	case err := <-ended:
		wantCode(t, err, CodeSuspended)
	case <-time.After(5 * time.Second):
		t.Fatal("the query still runs")
	}
	_, err = execute(t.Context(), c, waiting)
	wantCode(t, err, CodeSuspended)
	_, err = prepare(c, request(h.catalog, 0.25))
	wantCode(t, err, CodeSuspended)
	st, err := h.Standing(t.Context())
	must(t, err)
	if !st.Hold.On || st.Hold.Reason != "An incident." || st.Hold.By != "claire" || st.Hold.Since.IsZero() || !st.Studies[0].Open {
		t.Errorf("%+v", st)
	}
	// A query that ran is charged, a query that waited is not.
	if left := st.Remaining; left.Spent < 0.02 || left.Spent > 0.03 { // 0.25²/2 of a rho of 1.3
		t.Errorf("%+v is left", left)
	}
	h.stop()

	h = start(t, conf, newEngine())
	c = h.client(t, "coordinator-paris")
	_, err = prepare(c, request(h.catalog, 0.25))
	wantCode(t, err, CodeSuspended)
	must(t, h.SetHold(t.Context(), Hold{}))
	ticket, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	_, err = execute(t.Context(), c, ticket)
	must(t, err)
	var texts []string
	policies := 0
	for _, e := range h.entries(t) {
		if _, _, ok := holdOf(e); ok {
			texts = append(texts, e.Text)
		} else if e.Kind == "config" {
			policies++
		}
	}
	if got := strings.Join(texts, "\n"); got != "claire stopped this hospital: no query is answered. Reason: An incident.\n"+
		"The custodian lets this hospital answer again, as its studies allow." {
		t.Error(got)
	}
	if policies != 1 {
		t.Errorf("the policy did not change, and is recorded %d times", policies)
	}
}

// A custodian decides by records that the custodian signs. The node only drafts them.
func TestDraft(t *testing.T) {
	conf := testConfig(federation(t))
	propose(conf, "new", 1, nil)
	h := start(t, conf, newEngine())
	standing := func(id string) StudyStanding {
		t.Helper()
		st, err := h.Standing(t.Context())
		must(t, err)
		for _, s := range st.Studies {
			if s.ID == id {
				return s
			}
		}
		t.Fatalf("no study %s", id)
		return StudyStanding{}
	}
	if s := standing("new"); !s.Waits || s.Open || s.Holds != nil || s.Status != study.Proposed {
		t.Errorf("%+v", s)
	}
	for _, d := range []Decision{
		{Act: study.Approve, Study: "none", By: "claire"}, {Act: study.Approve, Study: "new", By: "olga"},
		{Act: study.Approve, Study: "new", By: "claire", Narrowing: study.Narrowing{Epsilon: 99}},
		{Act: study.Approve, Study: "new", By: "claire", Narrowing: study.Narrowing{Expires: inAnHour.Add(time.Hour)}},
	} {
		if _, err := h.Draft(d); !errors.Is(err, study.ErrRecord) {
			t.Errorf("%+v: %v", d, err)
		}
	}
	r, err := h.Draft(Decision{Act: study.Approve, Study: "new", By: "claire", Narrowing: study.Narrowing{Epsilon: 0.75}})
	must(t, err)
	if err := h.Take(t.Context(), r); !errors.Is(err, study.ErrRecord) {
		t.Errorf("without a signature: %v", err)
	}
	must(t, r.Sign(olga))
	if err := h.Take(t.Context(), r); !errors.Is(err, study.ErrRecord) {
		t.Errorf("with the operator's signature: %v", err)
	}
	must(t, r.Sign(claire))
	must(t, h.Take(t.Context(), r))
	if s := standing("new"); s.Waits || !s.Open || s.Status != study.Amended || s.Holds.Budget.Epsilon != 0.75 || s.Remaining == nil {
		t.Errorf("%+v", s)
	}
	p := &study.Record{Act: study.Propose, Study: "other", Federation: "france", Document: document("other", 1, nil), By: "olga", Time: time.Now()}
	must(t, p.Sign(olga))
	if err := h.Take(t.Context(), p); !errors.Is(err, study.ErrRecord) {
		t.Errorf("a proposal by this door: %v", err)
	}
}

// A suspended study is drafted as it was narrowed, and may be narrowed in any part. A record that another custodian has
// signed is joined unchanged, and nothing runs before enough have signed.
func TestDraftAfterTheFirstDay(t *testing.T) {
	conf := testConfig(federation(t))
	bert := newKey()
	conf.Custodians["bert"] = filepath.Join(filepath.Dir(conf.Ledger), "bert.pub")
	must(t, os.WriteFile(conf.Custodians["bert"], publicPEM(bert), 0o600))
	h := start(t, conf, newEngine())
	keys := map[string]ed25519.PrivateKey{"claire": claire, "bert": bert}
	do := func(h *hospital, d Decision) *study.Record {
		t.Helper()
		r, err := h.Draft(d)
		must(t, err)
		must(t, r.Sign(keys[d.By]))
		must(t, h.Take(t.Context(), r))
		return r
	}
	stands := func(h *hospital) study.Study { s, _ := h.service.studies.Study("copd"); return s }
	for _, d := range []Decision{
		{Act: study.Resume, Study: "copd", By: "claire"}, // the study is open, but the record asks to resume it
		{Act: study.Narrow, Study: "copd", By: "claire", Narrowing: study.Narrowing{Epsilon: 2}},
		{Act: study.Narrow, Study: "copd", By: "claire", Narrowing: study.Narrowing{Investigators: []string{"eve"}}},
		{Act: study.Approve, Study: "copd", By: "claire", Join: true},
	} {
		if r, err := h.Draft(d); err == nil {
			must(t, r.Sign(claire))
			if err := h.Take(t.Context(), r); !errors.Is(err, study.ErrRecord) {
				t.Errorf("%+v is taken: %v", d, err)
			}
		} else if !errors.Is(err, study.ErrRecord) {
			t.Errorf("%+v: %v", d, err)
		}
	}
	do(h, Decision{Act: study.Narrow, Study: "copd", By: "claire",
		Narrowing: study.Narrowing{MaxEpsilon: 0.2, Tables: map[string][]string{"patient": {"sex"}}, Aggregates: []study.Aggregate{study.Count}}})
	do(h, Decision{Act: study.Suspend, Study: "copd", By: "claire"})
	if r := do(h, Decision{Act: study.Resume, Study: "copd", By: "claire"}); r.Document.MaxEpsilon != 0.2 || len(r.Document.Tables) != 1 {
		t.Errorf("it is resumed as %+v", r.Document)
	}
	if s := stands(h); s.Status != study.Amended || s.Approved.MaxEpsilon != 0.2 || len(s.Approved.Aggregates) != 1 {
		t.Errorf("%+v", s.Approved)
	}
	h.stop()

	conf.SignaturesRequired = 2
	h = start(t, conf, newEngine()) // what claire alone opened is closed until bert signs
	c := h.client(t, "coordinator-paris")
	_, err := prepare(c, request(h.catalog, 0.1))
	wantCode(t, err, CodeStudy)
	do(h, Decision{Act: study.Approve, Study: "copd", By: "claire", Narrowing: study.Narrowing{Epsilon: 0.5}})
	st, err := h.Standing(t.Context())
	must(t, err)
	for _, x := range st.Studies {
		if x.ID == "copd" && (x.Pending == nil || x.Pending.Missing != 1 || st.Required != 2 || x.LastAct.By != "claire") {
			t.Errorf("it stands as %+v", x)
		}
	}
	_, err = prepare(c, request(h.catalog, 0.1))
	wantCode(t, err, CodeStudy)
	do(h, Decision{Act: study.Approve, Study: "copd", By: "bert", Join: true})
	if s := stands(h); s.Approved == nil || s.Approved.Budget.Epsilon != 0.5 {
		t.Errorf("what bert joined is %+v", s.Approved)
	}
	_, err = prepare(c, request(h.catalog, 0.1))
	must(t, err)
	h.stop()

	delete(conf.Custodians, "bert")
	if _, err := Open(t.Context(), conf, h.catalog, newEngine().database(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "signatures_required") {
		t.Errorf("two of one custodian: %v", err)
	}
	conf.Custodians["clara"] = conf.Custodians["claire"] // one key under two names
	if _, err := Open(t.Context(), conf, h.catalog, newEngine().database(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "1 different keys") {
		t.Errorf("two names of one custodian: %v", err)
	}
}

func TestConsoleConfig(t *testing.T) {
	for listen, fine := range map[string]bool{"127.0.0.1:8816": true, "localhost:8816": true, "[::1]:8816": true, "0.0.0.0:8816": false, ":8816": false, "192.0.2.1:8816": false, "8816": false} {
		c := Console{Listen: listen}
		c.Token.File = "token"
		if err := c.validate(); (err == nil) != fine {
			t.Errorf("%s: %v", listen, err)
		}
		c.Certificate, c.Key = "a.pem", "a.key"
		if err := c.validate(); (err == nil) != (listen != "8816") {
			t.Errorf("%s with HTTPS: %v", listen, err)
		}
	}
	if err := (Console{Listen: "127.0.0.1:1"}).validate(); err == nil {
		t.Error("no token is needed")
	}
}

// threeCustodians adds bert and dora to claire, and returns all keys.
func threeCustodians(t *testing.T, conf Config) map[string]ed25519.PrivateKey {
	t.Helper()
	folder := filepath.Dir(conf.Ledger)
	keys := map[string]ed25519.PrivateKey{"claire": claire}
	for _, name := range []string{"bert", "dora"} {
		key, err := pki.CreateSigningKey(filepath.Join(folder, name))
		must(t, err)
		keys[name] = key
		conf.Custodians[name] = filepath.Join(folder, name+".pub")
	}
	return keys
}

// If two custodians must sign what opens a study, two must sign the end of a stop: each with their own key, only
// custodians who have not left, for this stop and no other. A restart forgets no signature.
func TestHoldEndsBySignatures(t *testing.T) {
	conf := testConfig(federation(t))
	keys := threeCustodians(t, conf)
	conf.Custodians["albert"] = conf.Custodians["bert"]
	conf.SignaturesRequired = 2
	h := start(t, conf, newEngine())
	must(t, h.SetHold(t.Context(), Hold{On: true, Reason: "An incident.", By: "claire"}))
	if err := h.SetHold(t.Context(), Hold{}); !errors.Is(err, study.ErrRecord) {
		t.Errorf("nobody's signature lets it answer: %v", err)
	}
	signed := func(name string, key ed25519.PrivateKey) *Release {
		t.Helper()
		r, err := h.DraftRelease(name, "It is over.")
		must(t, err)
		m, err := r.Message()
		must(t, err)
		r.Signature = ed25519.Sign(key, m)
		return r
	}
	refused := func(why string, r *Release) {
		t.Helper()
		if err := h.TakeRelease(t.Context(), r); !errors.Is(err, study.ErrRecord) {
			t.Errorf("%s: %v", why, err)
		}
		if st, err := h.Standing(t.Context()); err != nil || !st.Hold.On {
			t.Fatalf("%s lets it answer", why)
		}
	}
	refused("another's key", signed("claire", keys["bert"]))
	refused("nobody", signed("eve", keys["bert"]))
	other := signed("bert", keys["bert"])
	other.Since = other.Since.Add(-time.Hour)
	m, err := other.Message()
	must(t, err)
	other.Signature = ed25519.Sign(keys["bert"], m)
	refused("another stop", other)
	changed := signed("bert", keys["bert"])
	changed.Reason = "Another."
	refused("another reason than signed", changed)

	first := signed("bert", keys["bert"])
	must(t, h.TakeRelease(t.Context(), first))
	must(t, h.TakeRelease(t.Context(), signed("albert", keys["bert"]))) // the same key under another name counts once
	st, err := h.Standing(t.Context())
	must(t, err)
	if !st.Hold.On || len(st.Hold.Signed) != 1 || st.Hold.Signed[0] != "bert" || st.Hold.Reason != "An incident." {
		t.Fatalf("%+v", st.Hold)
	}
	h.stop()

	conf.Former = []string{"bert"} // his signature no longer counts
	h = start(t, conf, newEngine())
	refused("who left", signed("bert", keys["bert"]))
	refused("who left, under another name", signed("albert", keys["bert"]))
	must(t, h.TakeRelease(t.Context(), signed("claire", keys["claire"])))
	h.stop()
	h = start(t, conf, newEngine())
	if st, err = h.Standing(t.Context()); err != nil || !st.Hold.On || len(st.Hold.Signed) != 1 || st.Hold.Signed[0] != "claire" || slices.Contains(st.Custodians, "bert") {
		t.Fatalf("%+v, %v", st, err)
	}
	must(t, h.TakeRelease(t.Context(), signed("dora", keys["dora"])))
	if st, err = h.Standing(t.Context()); err != nil || st.Hold.On || st.Hold.By != "claire, dora" {
		t.Fatalf("%+v, %v", st.Hold, err)
	}
	if err := h.service.suspension.released(); err != nil {
		t.Errorf("it still refuses: %v", err)
	}
	h.stop()
	h = start(t, conf, newEngine())
	if st, err = h.Standing(t.Context()); err != nil || st.Hold.On {
		t.Errorf("a restart stops it again: %+v, %v", st, err)
	}
	policies := 0
	for _, e := range h.entries(t) {
		if _, _, hold := holdOf(e); e.Kind == "config" && !hold {
			policies++
		}
	}
	if policies != 2 {
		t.Errorf("the policy is recorded %d times, not before and after bert left", policies)
	}
	h.stop()
}

// If fewer signatures are needed than when they were given, for example because somebody left, a custodian who has
// signed already can end the stop. Nobody else may be left.
func TestHoldEndsWhereFewerMustSign(t *testing.T) {
	conf := testConfig(federation(t))
	keys := threeCustodians(t, conf)
	conf.SignaturesRequired = 3
	h := start(t, conf, newEngine())
	must(t, h.SetHold(t.Context(), Hold{On: true, Reason: "An incident.", By: "claire"}))
	sign := func(name string, on bool) {
		t.Helper()
		r, err := h.DraftRelease(name, "")
		must(t, err)
		m, err := r.Message()
		must(t, err)
		r.Signature = ed25519.Sign(keys[name], m)
		must(t, h.TakeRelease(t.Context(), r))
		if st, err := h.Standing(t.Context()); err != nil || st.Hold.On != on {
			t.Fatalf("%+v, %v", st.Hold, err)
		}
	}
	sign("claire", true)
	sign("dora", true)
	sign("dora", true)
	h.stop()
	conf.Former, conf.SignaturesRequired = []string{"bert"}, 2
	h = start(t, conf, newEngine())
	if st, err := h.Standing(t.Context()); err != nil || !st.Hold.On {
		t.Fatalf("it answers by itself: %+v, %v", st, err)
	}
	sign("claire", false)
	if st, err := h.Standing(t.Context()); err != nil || st.Hold.By != "claire, dora" {
		t.Errorf("%+v, %v", st.Hold, err)
	}
	h.stop()
}
