package study

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/ledger"
)

var olga, claire = newKey(), newKey()

func newKey() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	return key
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func document() *Document {
	return &Document{
		ID: "copd", Version: 1, Title: "Lungs", Purpose: "To test.", LegalBasis: "None.", Investigators: []string{"ben", "ada"},
		Tables: map[string][]string{"person": {"sex", "born"}, "visit": {"*"}}, Aggregates: []Aggregate{Sum, Count},
		Budget: dp.Budget{Accounting: dp.ZCDP, Epsilon: 5, Delta: 1e-6}, MaxEpsilon: 1, DefaultEpsilon: 0.5, Expires: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

// book is a registry over a real ledger.
type book struct {
	*Registry
	t     *testing.T
	l     *ledger.Ledger
	path  string
	place Place
}

func open(t *testing.T, place Place) *book {
	t.Helper()
	if place.Federation == "" {
		place.Federation = "france"
	}
	if place.Operators == nil {
		place.Operators, place.Custodians = Keys{"olga": public(olga)}, Keys{"claire": public(claire)}
	}
	b := &book{t: t, path: filepath.Join(t.TempDir(), "l"), place: place}
	b.reopen()
	t.Cleanup(func() { b.l.Close() })
	return b
}

// reopen closes the ledger, opens it and adds it up again.
func (b *book) reopen() {
	b.t.Helper()
	if b.l != nil {
		must(b.t, b.l.Close())
	}
	var err error
	b.l, err = ledger.Open(b.t.Context(), b.path, "node lyon", time.Now)
	must(b.t, err)
	b.Registry, err = Load(b.t.Context(), b.l, b.place, slog.New(slog.DiscardHandler))
	must(b.t, err)
}

func (b *book) status() Status {
	b.t.Helper()
	s, _ := b.Study("copd")
	return s.Status
}

func signed(t *testing.T, key ed25519.PrivateKey, r Record) *Record {
	t.Helper()
	if r.Federation == "" {
		r.Federation = "france"
	}
	r.Study, r.Time = "copd", time.Now()
	must(t, r.Sign(key))
	return &r
}

func proposal(t *testing.T, version int) *Record {
	d := document()
	d.Version = version
	return signed(t, olga, Record{Act: Propose, Document: d, By: "olga"})
}

func approval(t *testing.T, number, version int, narrow func(*Document)) *Record {
	d := document()
	d.Version = version
	r := Record{Act: Approve, Hospital: "lyon", Number: number, Proposal: d.Digest(), By: "claire"}
	if narrow != nil {
		narrow(d)
	}
	r.Document = d
	return signed(t, claire, r)
}

func TestLife(t *testing.T) {
	b := open(t, Place{Hospital: "lyon"})
	take := func(r *Record, want Status) {
		t.Helper()
		must(t, b.Take(t.Context(), r))
		for range 2 { // in memory, and after reading the ledger
			s, _ := b.Study("copd")
			if s.Status != want || s.Open(time.Now()) != (want == Approved || want == Amended) {
				t.Fatalf("%s, not %s", s.Status, want)
			}
			b.reopen()
		}
	}
	take(proposal(t, 1), Proposed)
	take(approval(t, 1, 1, nil), Approved)
	suspension := signed(t, claire, Record{Act: Suspend, Hospital: "lyon", Number: 2, By: "claire", Reason: "A question."})
	take(suspension, Suspended)
	take(approval(t, 3, 1, func(d *Document) { d.Budget.Epsilon = 2 }), Amended)
	// The next version changes nothing until it is approved.
	take(proposal(t, 2), Amended)
	if s, _ := b.Study("copd"); s.Approved.Version != 1 || s.Approved.Budget.Epsilon != 2 || s.Proposal.Version != 2 {
		t.Errorf("%+v", s)
	}
	take(approval(t, 4, 2, nil), Approved)
	take(suspension, Approved) // known: nothing happens again
	take(signed(t, claire, Record{Act: End, Hospital: "lyon", Number: 5, By: "claire"}), Ended)
	for _, r := range []*Record{approval(t, 6, 2, nil), proposal(t, 3)} {
		if err := b.Take(t.Context(), r); !errors.Is(err, ErrRecord) || !strings.Contains(err.Error(), "has ended") {
			t.Errorf("%s after the end: %v", r.Act, err)
		}
	}
	var sentences []string
	must(t, b.l.Entries(t.Context(), 1, func(e ledger.Entry) error {
		if e.Kind == ledger.KindStudy {
			sentences = append(sentences, e.Text)
		}
		return nil
	}))
	want := []string{
		`olga proposed version 1 of the study copd, "Lungs" (None.): epsilon 5 and delta 1e-06 in all (zcdp), 1 for one query and at least 0.01 for a release, until 2099-01-01, for ada, ben.`,
		"claire approved version 1 of the study copd at lyon: epsilon 5 and delta 1e-06 in all (zcdp), 1 for one query and at least 0.01 for a release, until 2099-01-01, for ada, ben.",
		"claire suspended the study copd at lyon; reason: A question..",
	}
	if len(sentences) != 7 || !slices.Equal(sentences[:3], want) {
		t.Errorf("%q", sentences)
	}
}

// Pure accounting and a seal exclude each other, whether the operator proposes both or the custodian approves both.
func TestPureIsNotSealed(t *testing.T) {
	b := open(t, Place{Hospital: "lyon"})
	take := func(r *Record, key ed25519.PrivateKey) {
		t.Helper()
		err := r.Sign(key) // this may already refuse
		if err == nil {
			err = b.Take(t.Context(), r)
		}
		if err == nil || !strings.Contains(err.Error(), "`sealed` needs `accounting: zcdp`") {
			t.Errorf("%s: %v", r.Act, err)
		}
	}
	pure := func(r *Record) *Record {
		r.Document.Budget, r.Document.Sealed = dp.Budget{Accounting: dp.Pure, Epsilon: 5, Delta: 1e-6}, false
		if r.Act == Approve {
			r.Proposal = r.Document.Digest()
		}
		return r
	}
	sealed := pure(proposal(t, 1))
	sealed.Document.Sealed = true
	take(sealed, olga)
	open := pure(proposal(t, 1))
	must(t, open.Sign(olga))
	must(t, b.Take(t.Context(), open))
	wish := pure(approval(t, 1, 1, nil))
	wish.Document.Sealed = true
	take(wish, claire)
}

// No later version opens what a proposal or a custodian has sealed. The ledger says what is sealed.
func TestStaysSealed(t *testing.T) {
	zcdp := func(r *Record, sealed bool) *Record {
		r.Document.Budget = dp.Budget{Accounting: dp.ZCDP, Epsilon: 5, Delta: 1e-6}
		if r.Act == Approve {
			r.Proposal = r.Document.Digest()
		}
		r.Document.Sealed = sealed
		return r
	}
	take := func(b *book, r *Record, want bool) {
		t.Helper()
		key := claire
		if r.Act == Propose {
			key = olga
		}
		must(t, r.Sign(key))
		if err := b.Take(t.Context(), r); (err == nil) != want || err != nil && (!errors.Is(err, ErrRecord) || !strings.Contains(err.Error(), "never taken away")) {
			t.Errorf("%s: %v", r.Act, err)
		}
	}
	b := open(t, Place{Hospital: "lyon"})
	take(b, zcdp(proposal(t, 1), false), true)
	take(b, zcdp(approval(t, 1, 1, nil), true), true) // the custodian's own choice
	take(b, zcdp(proposal(t, 2), false), true)
	take(b, zcdp(approval(t, 2, 2, nil), false), false)
	take(b, zcdp(approval(t, 2, 2, nil), true), true)
	if s, _ := b.Study("copd"); !s.Approved.Sealed || s.Approved.Version != 2 || !strings.HasSuffix(s.Last.Sentence(), ", for ada, ben, sealed.") {
		t.Errorf("%+v: %s", s.Approved, s.Last.Sentence())
	}
	b.reopen()
	if s, _ := b.Study("copd"); !s.Open(time.Now()) {
		t.Error("after a restart it is closed")
	}
	for _, hospital := range []string{"lyon", ""} {
		b = open(t, Place{Hospital: hospital})
		take(b, zcdp(proposal(t, 1), true), true)
		take(b, zcdp(proposal(t, 2), false), false)
	}
}

// At the coordinator a proposal takes effect at once, and the operator may narrow, suspend and end.
func TestCentral(t *testing.T) {
	b := open(t, Place{})
	must(t, b.Take(t.Context(), proposal(t, 1)))
	if s, _ := b.Study("copd"); !s.Open(time.Now()) {
		t.Errorf("%+v", s)
	}
	must(t, b.Take(t.Context(), signed(t, olga, Record{Act: Suspend, Number: 1, By: "olga"})))
	must(t, b.Take(t.Context(), proposal(t, 2)))
	if b.status() != Suspended {
		t.Errorf("a new version opens what is suspended: %s", b.status())
	}
	if err := b.Take(t.Context(), signed(t, claire, Record{Act: End, Number: 2, By: "claire"})); !errors.Is(err, ErrRecord) {
		t.Errorf("a hospital's custodian decides for the coordinator: %v", err)
	}
	if len(b.Proposals()) != 1 {
		t.Error("the proposal is not passed on")
	}
}

func TestRefused(t *testing.T) {
	good := approval(t, 1, 1, nil)
	altered := func(change func(*Record)) *Record {
		b, err := good.Encode()
		must(t, err)
		var r Record
		must(t, json.Unmarshal(b, &r))
		change(&r)
		return &r
	}
	other := document()
	other.Budget.Accounting, other.Version = dp.Pure, 2
	for name, r := range map[string]*Record{
		"altered budget":         altered(func(r *Record) { r.Document.Budget.Epsilon = 4 }),
		"altered investigators":  altered(func(r *Record) { r.Document.Investigators = append(r.Document.Investigators, "eve") }),
		"altered signer":         altered(func(r *Record) { r.By = "olga" }),
		"altered time":           altered(func(r *Record) { r.Time = r.Time.Add(time.Hour) }),
		"altered number":         altered(func(r *Record) { r.Number = 2 }),
		"no signature":           altered(func(r *Record) { r.Signature = nil }),
		"another act":            altered(func(r *Record) { r.Act, r.Document, r.Proposal = Suspend, nil, "" }),
		"another hospital":       signed(t, claire, Record{Act: Approve, Hospital: "rennes", Number: 1, Document: document(), Proposal: document().Digest(), By: "claire"}),
		"another federation":     signed(t, claire, Record{Federation: "spain", Act: Approve, Hospital: "lyon", Number: 1, Document: document(), Proposal: document().Digest(), By: "claire"}),
		"the operator approves":  signed(t, olga, Record{Act: Approve, Hospital: "lyon", Number: 1, Document: document(), Proposal: document().Digest(), By: "olga"}),
		"the custodian proposes": signed(t, claire, Record{Act: Propose, Document: document(), By: "claire"}),
		"a forged key":           signed(t, newKey(), Record{Act: Approve, Hospital: "lyon", Number: 1, Document: document(), Proposal: document().Digest(), By: "claire"}),
		"out of order":           approval(t, 2, 1, nil),
		"not what was proposed":  approval(t, 1, 2, nil),
		"wider":                  approval(t, 1, 1, func(d *Document) { d.Budget.Epsilon = 6 }),
		"another accounting":     approval(t, 1, 1, func(d *Document) { d.Budget.Accounting = dp.Pure }),
	} {
		b := open(t, Place{Hospital: "lyon"})
		first := proposal(t, 1)
		must(t, b.Take(t.Context(), first))
		if err := b.Take(t.Context(), r); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
		if b.status() != Proposed {
			t.Errorf("%s: the study is %s", name, b.status())
		}
	}
	// A later version cannot change the accounting of a study.
	b := open(t, Place{Hospital: "lyon"})
	must(t, b.Take(t.Context(), proposal(t, 1)))
	must(t, b.Take(t.Context(), good))
	if err := b.Take(t.Context(), signed(t, olga, Record{Act: Propose, Document: other, By: "olga"})); !errors.Is(err, ErrRecord) {
		t.Errorf("another accounting: %v", err)
	}
}

// A record that no configured key has signed opens nothing, even if it comes from the ledger.
func TestKeyWithdrawn(t *testing.T) {
	b := open(t, Place{Hospital: "lyon"})
	must(t, b.Take(t.Context(), proposal(t, 1)))
	must(t, b.Take(t.Context(), approval(t, 1, 1, nil)))
	b.place.Custodians = Keys{"claire": public(newKey())}
	b.reopen()
	if s, _ := b.Study("copd"); s.Open(time.Now()) {
		t.Errorf("the study is %s by a key that is not believed", s.Status)
	}
}

// Nor does a record that was signed for another place. A person who can write the file can put it there, with its
// hashes.
func TestRecordOfAnotherPlace(t *testing.T) {
	for name, r := range map[string]*Record{
		"another hospital":   signed(t, claire, Record{Act: Approve, Hospital: "rennes", Number: 1, Document: document(), Proposal: document().Digest(), By: "claire"}),
		"another federation": signed(t, claire, Record{Federation: "spain", Act: Approve, Hospital: "lyon", Number: 1, Document: document(), Proposal: document().Digest(), By: "claire"}),
	} {
		b := open(t, Place{Hospital: "lyon"})
		must(t, b.Take(t.Context(), proposal(t, 1)))
		detail, err := r.Encode()
		must(t, err)
		must(t, b.l.Record(t.Context(), ledger.Entry{Kind: ledger.KindStudy, Study: r.Study, Text: r.Sentence(), Detail: detail}))
		b.reopen()
		if s, _ := b.Study("copd"); s.Open(time.Now()) {
			t.Errorf("%s: the study is %s", name, s.Status)
		}
	}
}

func TestNarrows(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*Document)
		allowed bool
	}{
		"the same":              {func(*Document) {}, true},
		"less epsilon":          {func(d *Document) { d.Budget.Epsilon = 1 }, true},
		"more epsilon":          {func(d *Document) { d.Budget.Epsilon = 5.1 }, false},
		"more delta":            {func(d *Document) { d.Budget.Delta = 1e-5 }, false},
		"dearer queries":        {func(d *Document) { d.MaxEpsilon = 2 }, false},
		"later":                 {func(d *Document) { d.Expires = d.Expires.Add(time.Second) }, false},
		"sooner":                {func(d *Document) { d.Expires = d.Expires.Add(-time.Second) }, true},
		"fewer people":          {func(d *Document) { d.Investigators = []string{"ada"} }, true},
		"more people":           {func(d *Document) { d.Investigators = []string{"ada", "eve"} }, false},
		"everybody":             {func(d *Document) { d.Investigators = []string{Any} }, false},
		"fewer columns":         {func(d *Document) { d.Tables = map[string][]string{"person": {"sex"}} }, true},
		"named of any":          {func(d *Document) { d.Tables = map[string][]string{"visit": {"ward"}} }, true},
		"another column":        {func(d *Document) { d.Tables = map[string][]string{"person": {"name"}} }, false},
		"every column":          {func(d *Document) { d.Tables = map[string][]string{"person": {Any}} }, false},
		"another table":         {func(d *Document) { d.Tables = map[string][]string{"death": {"cause"}} }, false},
		"every table":           {func(d *Document) { d.Tables = map[string][]string{Any: {Any}} }, false},
		"fewer aggregates":      {func(d *Document) { d.Aggregates = []Aggregate{Count} }, true},
		"more aggregates":       {func(d *Document) { d.Aggregates = []Aggregate{Count, Distribution} }, false},
		"one hospital":          {func(d *Document) { d.Hospitals = []string{"lyon"} }, true},
		"another purpose":       {func(d *Document) { d.Purpose = "Another." }, false},
		"NaN is not less":       {func(d *Document) { d.Budget.Epsilon = nan() }, false},
		"another study's limit": {func(d *Document) { d.ID = "heart" }, false},
	} {
		d := document()
		c.change(d)
		if err := d.Narrows(document()); (err == nil) != c.allowed || err != nil && !errors.Is(err, ErrWider) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A custodian may seal a study but not unseal it, and a sealed study keeps the proposal's hospitals.
func TestNarrowsSealed(t *testing.T) {
	seal := func(sealed bool, hospitals ...string) *Document {
		d := document()
		d.Budget.Accounting, d.Sealed, d.Hospitals = dp.ZCDP, sealed, hospitals
		return d
	}
	for name, c := range map[string]struct {
		approved, proposed *Document
		allowed            bool
	}{
		"sealed by the custodian":  {seal(true), seal(false), true},
		"sealed as proposed":       {seal(true), seal(true), true},
		"opened by the custodian":  {seal(false), seal(true), false},
		"sealed, in another order": {seal(true, "a", "b"), seal(false, "b", "a"), true},
		"sealed, of fewer":         {seal(true, "a"), seal(true, "a", "b"), false},
		"sealed, of one of all":    {seal(true, "a"), seal(false), false},
		"not sealed, and of fewer": {seal(false, "a"), seal(false, "a", "b"), true},
	} {
		if err := c.approved.Narrows(c.proposed); (err == nil) != c.allowed || err != nil && !errors.Is(err, ErrWider) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if seal(true).Digest() == seal(false).Digest() {
		t.Error("a signature on an open study is one on a sealed study")
	}
}

// A proposal allows every table, and for one table it names fewer columns. Leaving that table out is not narrower.
func TestNarrowsEveryTable(t *testing.T) {
	p := document()
	p.Tables = map[string][]string{Any: {Any}, "person": {"sex"}}
	d := document()
	d.Tables = map[string][]string{Any: {Any}}
	if err := d.Narrows(p); !errors.Is(err, ErrWider) {
		t.Errorf("person is read whole: %v", err)
	}
	d.Tables = map[string][]string{Any: {Any}, "Person": {"sex"}}
	must(t, d.Narrows(p))
}

func TestOneSpellingOfATable(t *testing.T) {
	d := document()
	d.Tables["Person"] = []string{"name"}
	if err := d.Validate(); err == nil || !strings.Contains(err.Error(), "spelling") {
		t.Errorf("%v", err)
	}
}

func nan() float64 { zero := 0.0; return zero / zero }

// The digest does not depend on the spelling of a document.
func TestDigest(t *testing.T) {
	a, b := document(), document()
	b.Investigators = []string{"ada", "ben", "ada"}
	b.Aggregates = []Aggregate{Count, Sum}
	b.Tables["person"] = []string{"born", "sex"}
	b.Expires = b.Expires.In(time.FixedZone("", 3600))
	if a.Digest() != b.Digest() {
		t.Error("two spellings of one document have two digests")
	}
	b.MaxEpsilon = 0.9
	if a.Digest() == b.Digest() {
		t.Error("two documents have one digest")
	}
	const golden = "5201d5a9" // the encoding is part of what is signed, so it must not change
	if !strings.HasPrefix(a.Digest(), golden) {
		t.Errorf("the canonical encoding has changed: %s", a.Digest())
	}
}

func TestInbox(t *testing.T) {
	b := open(t, Place{Hospital: "lyon"})
	inbox := Inbox(b.path)
	_, err := Post(inbox, proposal(t, 1))
	must(t, err)
	_, err = Post(inbox, approval(t, 1, 1, nil))
	must(t, err)
	bad, err := Post(inbox, approval(t, 7, 1, nil))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(inbox, "notes.json"), []byte(`{"act": "approve"}`), 0o600))
	must(t, os.WriteFile(filepath.Join(inbox, "readme.txt"), []byte("hello"), 0o600))
	must(t, b.Collect(t.Context(), inbox))
	if b.status() != Approved {
		t.Errorf("%s", b.status())
	}
	if why := Refused(bad); !strings.Contains(why, "it is act 7") {
		t.Errorf("%q", why)
	}
	files, err := os.ReadDir(inbox)
	must(t, err)
	var names []string
	for _, f := range files {
		names = append(names, filepath.Ext(f.Name()))
	}
	if slices.Contains(names, newSuffix) || len(names) != 3 {
		t.Errorf("left over: %v", files)
	}
	must(t, b.Collect(t.Context(), inbox))
	// If the ledger cannot take a record, the record stays.
	path, err := Post(inbox, signed(t, claire, Record{Act: Suspend, Hospital: "lyon", Number: 2, By: "claire"}))
	must(t, err)
	must(t, b.l.Close())
	if err := b.Collect(context.Background(), inbox); err == nil {
		t.Error("a closed ledger took it")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error("the record is lost")
	}
}

// The example in the documentation is a valid document.
func TestDocumented(t *testing.T) {
	var d Document
	must(t, config.Load("../../docs/study.yaml", &d))
	must(t, d.Validate())
	if d.ID != "diabetes-2027" || !d.Admits("bob@chu-bordeaux") || d.Admits("eve") || !d.IncludesHospital("langon") || d.IncludesHospital("lyon") {
		t.Errorf("%+v", d)
	}
	if err := (&Document{}).Validate(); err == nil {
		t.Error("the zero value is a study")
	}
}

func FuzzDecode(f *testing.F) {
	d := document()
	r := Record{Act: Propose, Study: "copd", Federation: "france", Document: d, By: "olga", Time: time.Unix(1e9, 0)}
	if err := r.Sign(olga); err != nil {
		f.Fatal(err)
	}
	b, err := r.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		s, err := Decode(again)
		if err != nil || s.id() != r.id() {
			t.Errorf("%v: %s reads back as another record", err, again)
		}
	})
}

// Documents that were signed before the least price existed keep their digest and get the default.
func TestLeastPrice(t *testing.T) {
	d := document()
	if b, err := json.Marshal(d); err != nil || strings.Contains(string(b), "min_epsilon") {
		t.Errorf("an old document is encoded as %s, %v", b, err)
	}
	if got, want := d.Digest(), "5201d5a99a2a95fca8b4c00a66f8976089d1e9b5b10ace5d601ce3273954b1a0"; got != want {
		t.Errorf("its digest is %s, not %s", got, want)
	}
	for _, c := range []struct{ least, most, want float64 }{{0, 1, 0.01}, {0, 0.004, 0.004}, {0.001, 1, 0.001}, {0.5, 1, 0.5}} {
		d := document()
		d.MinEpsilon, d.MaxEpsilon = c.least, c.most
		if got := d.LeastEpsilon(); got != c.want {
			t.Errorf("min_epsilon %g and max_epsilon %g give %g, not %g", c.least, c.most, got, c.want)
		}
		if loss, err := d.Cheapest(); err != nil || loss.Epsilon != int64(c.want*1e9+0.5) {
			t.Errorf("the least price is %+v, %v", loss, err)
		}
	}
	for name, change := range map[string]func(*Document){
		"above the cap": func(d *Document) { d.MinEpsilon = 1.5 }, "above the default": func(d *Document) { d.MinEpsilon = 0.6 },
		"negative": func(d *Document) { d.MinEpsilon = -1 }, "next to nothing": func(d *Document) { d.MinEpsilon = 1e-12 },
	} {
		d := document()
		change(d)
		if err := d.Validate(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// A custodian may raise the least price, but not lower it, and not leave it out to lower it.
func TestLeastPriceOnlyRises(t *testing.T) {
	with := func(least, most float64) *Document {
		d := document()
		d.MinEpsilon, d.MaxEpsilon, d.DefaultEpsilon = least, most, min(0.5, most)
		return d
	}
	for _, c := range []struct {
		proposed, approved *Document
		taken              bool
	}{
		{with(0, 1), with(0, 1), true},
		{with(0, 1), with(0.2, 1), true},
		{with(0, 1), with(0.009, 1), false},
		{with(0.2, 1), with(0, 1), false},
		{with(0.2, 1), with(0.1, 1), false},
		{with(0.001, 1), with(0, 1), true},
		{with(0, 1), with(0, 0.005), true}, // as custodians did before: each query then costs the most that it may
		{with(0.2, 1), with(0, 0.1), false},
	} {
		if err := c.approved.Narrows(c.proposed); (err == nil) != c.taken || err != nil && !errors.Is(err, ErrWider) {
			t.Errorf("%g of %g after %g of %g: %v", c.approved.MinEpsilon, c.approved.MaxEpsilon, c.proposed.MinEpsilon, c.proposed.MaxEpsilon, err)
		}
	}
}

// No more executions run at the same time than may fail. A failure survives a restart, and an approval resets the
// count. Neither a larger allowance nor an old execution undoes a suspension.
func TestFailuresHold(t *testing.T) {
	b := open(t, Place{Hospital: "lyon"})
	must(t, b.Take(t.Context(), proposal(t, 1)))
	must(t, b.Take(t.Context(), approval(t, 1, 1, nil)))
	begin := func(allowed int) (int, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		return b.Begin(ctx, "copd", allowed)
	}
	fail := func(approval int, reservation string) {
		t.Helper()
		must(t, b.Fail(t.Context(), Execution{approval, "copd", "ada", "00", reservation}, Failure{Code: "NODE_ENGINE"}, "It failed", 3))
	}
	for range 3 {
		if number, err := begin(3); err != nil || number != 1 {
			t.Fatalf("approval %d, %v", number, err)
		}
	}
	if _, err := begin(3); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a fourth that might fail: %v", err)
	}
	b.End("copd")
	if _, err := begin(3); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
	for i := range 2 {
		fail(1, string(rune('a'+i)))
		b.End("copd")
	}
	if _, err := begin(3); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one runs and two have failed, and another begins: %v", err)
	}
	b.reopen() // running queries end with the daemon
	if s, _ := b.Study("copd"); s.Failures != 2 || s.Failed {
		t.Errorf("after a restart %+v", s)
	}
	if _, err := begin(2); !errors.Is(err, ErrFailures) {
		t.Errorf("with a smaller allowance: %v", err)
	}
	fail(1, "c")
	for range 2 { // in memory, and after reading the ledger
		if _, err := begin(100); !errors.Is(err, ErrFailures) || b.status() != Suspended {
			t.Errorf("with a larger allowance: %v, %s", err, b.status())
		}
		b.reopen()
	}
	must(t, b.Take(t.Context(), approval(t, 2, 1, nil)))
	fail(1, "d") // charged before the approval
	for range 2 {
		if s, _ := b.Study("copd"); s.Failures != 0 || s.Failed || s.Status != Approved || s.Approval != 2 {
			t.Errorf("after the approval %+v", s)
		}
		b.reopen()
	}
}

// A charge without an end counts as one failure. A charge of an earlier version, or an answered one, does not.
func TestUnendedCharges(t *testing.T) {
	b := open(t, Place{Hospital: "lyon"})
	must(t, b.Take(t.Context(), proposal(t, 1)))
	must(t, b.Take(t.Context(), approval(t, 1, 1, nil)))
	charge := func(detail string) string {
		t.Helper()
		id, err := b.l.Reserve(t.Context(), ledger.Reservation{
			Study: "copd", Researcher: "ada", Query: "00", Loss: dp.Loss{Epsilon: 1, Rho: 1}, Caps: []ledger.Cap{{Scope: "study:copd", Budget: document().Budget}},
			Text: "Asked.", Expires: time.Now().Add(time.Hour),
		})
		must(t, err)
		must(t, b.l.Charge(t.Context(), id, json.RawMessage(detail)))
		return id
	}
	charge(`{"sql": "SELECT 1"}`)
	answered := charge(`{"approval": 1}`)
	must(t, b.l.Record(t.Context(), ledger.Entry{Kind: ledger.KindAnswer, Study: "copd", Reservation: answered, Text: "It left."}))
	charge(`{"approval": 1}`)
	for range 3 {
		b.reopen()
		must(t, b.Settle(t.Context(), "NODE_STOPPED", 5))
		if s, _ := b.Study("copd"); s.Failures != 1 {
			t.Errorf("%d failures", s.Failures)
		}
	}
	charge(`{"approval": 1}`)
	must(t, b.Take(t.Context(), approval(t, 2, 1, nil))) // it ran before the approval, and does not count after it
	b.reopen()
	must(t, b.Settle(t.Context(), "NODE_STOPPED", 5))
	if s, _ := b.Study("copd"); s.Failures != 0 || len(b.unended) != 0 {
		t.Errorf("%d failures, %d charges without an end", s.Failures, len(b.unended))
	}
}
