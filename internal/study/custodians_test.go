package study

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/ledger"
)

// act is an act of a custodian, on the approved or the proposed document.
func act(t *testing.T, key ed25519.PrivateKey, by string, a Act, number int, change func(*Document)) *Record {
	t.Helper()
	r := Record{Act: a, Hospital: "lyon", Number: number, By: by}
	if a == Approve || a == Resume || a == Narrow {
		r.Document = document()
		if a == Approve {
			r.Proposal = r.Document.Digest()
		}
		if change != nil {
			change(r.Document)
		}
	}
	return signed(t, key, r)
}

func less(d *Document) { d.Budget.Epsilon, d.Investigators = 2, []string{"ada"} }

// A suspended study is resumed with its narrowed terms, in memory and after reading the ledger, and with no other
// terms. A study that is not suspended cannot be resumed.
func TestResume(t *testing.T) {
	b := open(t, Place{Hospital: "lyon"})
	must(t, b.Take(t.Context(), proposal(t, 1)))
	refused := func(name string, r *Record) {
		t.Helper()
		if err := b.Take(t.Context(), r); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("what was never approved", act(t, claire, "claire", Resume, 1, nil))
	refused("narrowing what was never approved", act(t, claire, "claire", Narrow, 1, less))
	must(t, b.Take(t.Context(), act(t, claire, "claire", Approve, 1, less)))
	refused("what is open", act(t, claire, "claire", Resume, 2, less))
	must(t, b.Take(t.Context(), act(t, claire, "claire", Suspend, 2, nil)))
	refused("the whole proposal", act(t, claire, "claire", Resume, 3, nil))
	refused("the operator's", act(t, olga, "olga", Resume, 3, less))
	must(t, b.Take(t.Context(), proposal(t, 2))) // a waiting proposal is not what is resumed
	must(t, b.Take(t.Context(), act(t, claire, "claire", Resume, 3, less)))
	for range 2 {
		s, _ := b.Study("copd")
		if s.Status != Amended || !s.Open(time.Now()) || s.Approved.Budget.Epsilon != 2 || s.Approved.Version != 1 || s.Approval != 3 {
			t.Errorf("it is %s, with %+v", s.Status, s.Approved)
		}
		b.reopen()
	}
	refused("an old number", act(t, claire, "claire", Resume, 2, less))
}

// Narrowing allows less, also for a suspended study, and does not reset the failures. Widening a narrowed study is
// refused.
func TestNarrow(t *testing.T) {
	b := open(t, Place{Hospital: "lyon"})
	must(t, b.Take(t.Context(), proposal(t, 1)))
	must(t, b.Take(t.Context(), act(t, claire, "claire", Approve, 1, nil)))
	must(t, b.Fail(t.Context(), Execution{1, "copd", "ada", "00", "a"}, Failure{Code: "NODE_ENGINE"}, "It failed", 3))
	must(t, b.Take(t.Context(), act(t, claire, "claire", Narrow, 2, less)))
	if err := b.Take(t.Context(), act(t, claire, "claire", Narrow, 3, func(d *Document) { d.Budget.Epsilon = 3 })); !errors.Is(err, ErrWider) {
		t.Errorf("what holds is widened: %v", err)
	}
	must(t, b.Take(t.Context(), act(t, claire, "claire", Suspend, 3, nil)))
	smaller := func(d *Document) { less(d); d.Budget.Epsilon = 1 }
	must(t, b.Take(t.Context(), act(t, claire, "claire", Narrow, 4, smaller)))
	for range 2 {
		s, _ := b.Study("copd")
		if s.Status != Suspended || s.Approved.Budget.Epsilon != 1 || s.Failures != 1 || s.Approval != 1 {
			t.Errorf("%+v", s)
		}
		b.reopen()
	}
	must(t, b.Take(t.Context(), act(t, claire, "claire", Resume, 5, smaller)))
	if s, _ := b.Study("copd"); s.Status != Amended || s.Failures != 0 {
		t.Errorf("%+v", s)
	}
}

// If a study is narrowed to one hospital, that hospital does not seal as if it were alone: the noise for a patient
// depends on all hospitals that are asked.
func TestNarrowKeepsTheProposalsHospitals(t *testing.T) {
	b := open(t, Place{Hospital: "lyon"})
	must(t, b.Take(t.Context(), proposal(t, 1)))
	alone := func(d *Document) { d.Hospitals = []string{"lyon"} }
	must(t, b.Take(t.Context(), act(t, claire, "claire", Approve, 1, alone)))
	if err := b.Take(t.Context(), act(t, claire, "claire", Narrow, 2, func(d *Document) { alone(d); d.Sealed = true })); !errors.Is(err, ErrWider) {
		t.Errorf("it is sealed among fewer than it asks: %v", err)
	}
}

// two is a hospital where two custodians must sign. It knows bert's key under two names.
func two(t *testing.T) (b *book, bert ed25519.PrivateKey) {
	bert = newKey()
	b = open(t, Place{Hospital: "lyon", Required: 2, Operators: Keys{"olga": public(olga)},
		Custodians: Keys{"claire": public(claire), "bert": public(bert), "albert": public(bert)}})
	b.require(2)
	return b, bert
}

// require makes the policy say how many must sign, as a daemon does before it reads its studies.
func (b *book) require(n int) {
	b.t.Helper()
	b.place.Required = n
	must(b.t, b.l.Record(b.t.Context(), ledger.Entry{Kind: ledger.KindConfig, Text: "The policy.", Detail: fmt.Appendf(nil, `{"custodians": [], "signatures_required": %d}`, n)}))
	b.reopen()
}

// An act that opens needs two custodians' signatures of the same terms, one after the other. An act that closes needs
// one.
func TestTwoCustodians(t *testing.T) {
	b, bert := two(t)
	must(t, b.Take(t.Context(), proposal(t, 1)))
	take := func(r *Record, want Status, missing int) {
		t.Helper()
		must(t, b.Take(t.Context(), r))
		for range 2 {
			s, _ := b.Study("copd")
			if got := s.Pending; s.Status != want || (got == nil) != (missing == 0) || got != nil && got.Missing != missing {
				t.Fatalf("%s of %s: it is %s, pending %+v", r.Act, r.By, s.Status, got)
			}
			if s.Open(time.Now()) != (want == Approved || want == Amended) {
				t.Fatalf("%s of %s: it is open", r.Act, r.By)
			}
			b.reopen()
		}
	}
	take(act(t, claire, "claire", Approve, 1, less), Proposed, 1)
	take(act(t, bert, "bert", Approve, 2, nil), Proposed, 1) // other terms: bert's approval waits for claire's signature
	take(act(t, bert, "albert", Approve, 3, nil), Proposed, 1)
	take(act(t, claire, "claire", Approve, 4, less), Proposed, 1)
	take(act(t, bert, "bert", Approve, 5, less), Amended, 0)
	if s, _ := b.Study("copd"); s.Approved.Budget.Epsilon != 2 || s.Approval != 5 {
		t.Errorf("%+v", s)
	}
	take(act(t, bert, "bert", Narrow, 6, func(d *Document) { less(d); d.MaxEpsilon, d.DefaultEpsilon = 0.2, 0.2 }), Amended, 0)
	take(act(t, claire, "claire", Suspend, 7, nil), Suspended, 0)
	narrow := func(d *Document) { less(d); d.MaxEpsilon, d.DefaultEpsilon = 0.2, 0.2 }
	take(act(t, claire, "claire", Resume, 8, narrow), Suspended, 1)
	take(act(t, claire, "claire", Resume, 9, narrow), Suspended, 1) // the same key twice
	take(act(t, bert, "bert", Suspend, 10, nil), Suspended, 0)      // drops what claire had signed
	take(act(t, bert, "bert", Resume, 11, narrow), Suspended, 1)
	take(act(t, claire, "claire", Resume, 12, narrow), Amended, 0)
	take(act(t, bert, "bert", End, 13, nil), Ended, 0)
}

// Two signatures must come from two keys: one key under two names counts once, and no record counts twice.
func TestTwoKeys(t *testing.T) {
	b, bert := two(t)
	must(t, b.Take(t.Context(), proposal(t, 1)))
	first := act(t, bert, "bert", Approve, 1, nil)
	must(t, b.Take(t.Context(), first))
	must(t, b.Take(t.Context(), act(t, bert, "albert", Approve, 2, nil)))
	must(t, b.Take(t.Context(), first)) // a known record, which changes nothing
	said := false
	must(t, b.l.Entries(t.Context(), 1, func(e ledger.Entry) error {
		said = said || strings.Contains(e.Text, "bert approved") && strings.Contains(e.Text, "It opens nothing before 1 more of the custodians have signed the same.")
		return nil
	}))
	if !said {
		t.Error("the ledger does not say that it waits")
	}
	again := *first
	again.Number = 3
	if err := b.Take(t.Context(), &again); !errors.Is(err, ErrRecord) {
		t.Errorf("a signature of act 1 is taken for act 3: %v", err)
	}
	s, _ := b.Study("copd")
	if s.Open(time.Now()) || s.Pending == nil || !slices.Equal(s.Pending.By, []string{"bert"}) {
		t.Errorf("it is %s, pending %+v", s.Status, s.Pending)
	}
	// A proposal in between cancels the first signature.
	must(t, b.Take(t.Context(), proposal(t, 2)))
	if err := b.Take(t.Context(), act(t, claire, "claire", Approve, 3, nil)); !errors.Is(err, ErrRecord) {
		t.Errorf("a version is approved that is no longer proposed: %v", err)
	}
	must(t, b.Take(t.Context(), signedVersion(t, claire, "claire", 3, 2)))
	if s, _ := b.Study("copd"); s.Open(time.Now()) || s.Pending.Missing != 1 {
		t.Errorf("bert's signature of version 1 counts for version 2: %+v", s)
	}
	must(t, b.Take(t.Context(), signedVersion(t, bert, "albert", 4, 2)))
	if s, _ := b.Study("copd"); !s.Open(time.Now()) {
		t.Errorf("two have signed, and it is %s", s.Status)
	}
}

func signedVersion(t *testing.T, key ed25519.PrivateKey, by string, number, version int) *Record {
	d := document()
	d.Version = version
	return signed(t, key, Record{Act: Approve, Hospital: "lyon", Number: number, By: by, Document: d, Proposal: d.Digest()})
}

// A key that was removed from the configuration counts for nothing: neither its new signatures nor its old ones.
func TestRemovedCustodian(t *testing.T) {
	b, bert := two(t)
	must(t, b.Take(t.Context(), proposal(t, 1)))
	must(t, b.Take(t.Context(), act(t, claire, "claire", Approve, 1, nil)))
	delete(b.place.Custodians, "claire")
	dora := newKey()
	b.place.Custodians["dora"] = public(dora)
	b.reopen()
	s, _ := b.Study("copd")
	if s.Pending != nil || s.Status != Suspended {
		t.Errorf("what claire signed waits still: %s, %+v", s.Status, s.Pending)
	}
	for _, r := range []*Record{act(t, claire, "claire", Approve, 2, nil), act(t, claire, "dora", Approve, s.Acts+1, nil)} {
		if err := b.Take(t.Context(), r); !errors.Is(err, ErrRecord) {
			t.Errorf("a removed key signs: %v", err)
		}
	}
	if err := b.Take(t.Context(), act(t, bert, "bert", Approve, s.Acts+1, nil)); err != nil {
		t.Fatal(err)
	}
	if s, _ := b.Study("copd"); s.Open(time.Now()) {
		t.Error("one key that is left has opened it with one that is gone")
	}
}

// The required number of signatures is the one that is configured now. A study that one custodian alone has opened, and
// then narrowed and resumed, is closed until another custodian signs. A reader with only the ledger sees the same as
// the daemon. A policy that somebody wrote into the file opens nothing.
func TestRequiredNow(t *testing.T) {
	b, bert := two(t)
	b.require(1)
	must(t, b.Take(t.Context(), proposal(t, 1)))
	must(t, b.Take(t.Context(), act(t, claire, "claire", Approve, 1, nil)))
	must(t, b.Take(t.Context(), act(t, claire, "claire", Narrow, 2, less)))
	must(t, b.Take(t.Context(), act(t, claire, "claire", Suspend, 3, nil)))
	must(t, b.Take(t.Context(), act(t, claire, "claire", Resume, 4, less)))
	read := func() Study {
		r, err := Load(t.Context(), b.l, Place{Hospital: "lyon"}, slog.New(slog.DiscardHandler))
		must(t, err)
		s, _ := r.Study("copd")
		return s
	}
	own := func() Study { s, _ := b.Study("copd"); return s }
	for _, n := range []int{1, 2, 3, 2} {
		b.require(n)
		for _, s := range []Study{own(), read()} {
			if s.Open(time.Now()) != (n == 1) || n > 1 && (s.Pending == nil || s.Pending.Act != Resume || s.Pending.Missing != n-1) {
				t.Errorf("where %d must sign it is %s, %+v", n, s.Status, s.Pending)
			}
		}
	}
	must(t, b.Take(t.Context(), act(t, bert, "bert", Resume, 5, less)))
	for range 2 {
		for _, s := range []Study{own(), read()} {
			if !s.Open(time.Now()) || s.Approval != 5 || s.Approved.Budget.Epsilon != 2 {
				t.Errorf("two have signed, and it is %s, %+v", s.Status, s.Approved)
			}
		}
		b.reopen()
	}
	must(t, b.Take(t.Context(), act(t, bert, "bert", Suspend, 6, nil)))
	must(t, b.Take(t.Context(), act(t, bert, "bert", Resume, 7, less)))
	b.require(1) // a policy alone opens nothing
	if s := own(); s.Open(time.Now()) || s.Pending == nil {
		t.Errorf("it is %s, %+v", s.Status, s.Pending)
	}
	must(t, b.Take(t.Context(), act(t, bert, "bert", Resume, 8, less)))
	if s := own(); !s.Open(time.Now()) {
		t.Errorf("it is %s, %+v", s.Status, s.Pending)
	}
	b.place.Required = 2 // while the ledger says 1
	b.reopen()
	if s := own(); s.Open(time.Now()) {
		t.Error("what the file says of the policy counts for more than what is configured")
	}
}

// People who left sign nothing more, under any name, and their pending acts open nothing. What they signed before they
// left stays in effect, and is verified with their key.
func TestFormerCustodian(t *testing.T) {
	b, bert := two(t)
	must(t, b.Take(t.Context(), proposal(t, 1)))
	must(t, b.Take(t.Context(), act(t, bert, "bert", Approve, 1, nil)))
	must(t, b.Take(t.Context(), act(t, claire, "claire", Approve, 2, nil)))
	must(t, b.Take(t.Context(), act(t, claire, "claire", Suspend, 3, nil)))
	must(t, b.Take(t.Context(), act(t, bert, "bert", Resume, 4, nil)))
	leaves := func(names ...string) {
		t.Helper()
		b.place.Former = names
		text, err := json.Marshal(names)
		must(t, err)
		must(t, b.l.Record(t.Context(), ledger.Entry{Kind: ledger.KindConfig, Text: "The policy.", Detail: fmt.Appendf(nil, `{"custodians": [], "signatures_required": 2, "former": %s}`, text)}))
		b.reopen()
	}
	dora := newKey()
	b.place.Custodians["dora"] = public(dora)
	leaves("bert")
	if s, _ := b.Study("copd"); s.Status != Suspended || s.Pending != nil || s.Approved == nil {
		t.Fatalf("%s, pending %+v: what bert began still waits for one signature", s.Status, s.Pending)
	}
	for _, name := range []string{"bert", "albert"} {
		for _, what := range []Act{Resume, Narrow, Suspend, End} {
			if err := b.Take(t.Context(), act(t, bert, name, what, 5, nil)); !errors.Is(err, ErrRecord) || !strings.Contains(err.Error(), "has left") {
				t.Errorf("%s may still %s: %v", name, what, err)
			}
		}
	}
	must(t, b.Take(t.Context(), act(t, claire, "claire", Resume, 5, nil)))
	if s, _ := b.Study("copd"); s.Status != Suspended || s.Pending == nil || s.Pending.Missing != 1 {
		t.Fatalf("with claire alone it is %s, pending %+v", s.Status, s.Pending)
	}
	must(t, b.Take(t.Context(), act(t, dora, "dora", Resume, 6, nil)))
	for range 2 {
		if s, _ := b.Study("copd"); s.Status != Approved || !s.Open(time.Now()) {
			t.Errorf("%+v", s)
		}
		b.reopen()
	}
	// A study that bert opened before he left stays open. An operator who left cannot propose.
	leaves("bert", "dora", "olga")
	if s, _ := b.Study("copd"); !s.Open(time.Now()) {
		t.Errorf("what they opened is closed: %+v", s)
	}
	if err := b.Take(t.Context(), proposal(t, 2)); !errors.Is(err, ErrRecord) {
		t.Errorf("an operator who left proposes: %v", err)
	}
	must(t, b.Take(t.Context(), proposal(t, 1))) // she had proposed this before
}
