package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"google.golang.org/grpc/metadata"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/value"
)

// exchange tells the node what a coordinator keeps of it.
func exchange(t *testing.T, c flight.Client, offer study.Offer) study.State {
	t.Helper()
	body, err := json.Marshal(offer)
	must(t, err)
	var state study.State
	must(t, act(t.Context(), c, study.ActionExchange, body, &state))
	return state
}

// spend has one query charged.
func spend(t *testing.T, h *hospital, c flight.Client, epsilon float64) {
	t.Helper()
	ticket, err := prepare(c, request(h.catalog, epsilon))
	must(t, err)
	_, err = execute(context.Background(), c, ticket)
	must(t, err)
}

// A restored backup of the ledger does not give budget back: the coordinator keeps a checkpoint that the
// node has signed, and the node answers nothing until the custodian has acknowledged the loss, which then
// counts in every study.
func TestRestoredBackup(t *testing.T) {
	conf := testConfig(federation(t))
	h := start(t, conf, newEngine())
	spend(t, h, h.client(t, "coordinator-paris"), 0.25)
	h.stop()
	backup, err := os.ReadFile(conf.Ledger)
	must(t, err)

	h = start(t, conf, newEngine())
	c := h.client(t, "coordinator-paris")
	spend(t, h, c, 0.5)
	kept := exchange(t, c, study.Offer{}).Checkpoint
	h.stop()
	must(t, os.WriteFile(conf.Ledger, backup, 0o600))
	for _, companion := range []string{"-wal", "-shm"} {
		_ = os.Remove(conf.Ledger + companion)
	}

	h = start(t, conf, newEngine())
	c = h.client(t, "coordinator-paris")
	// A query may also bring the checkpoint.
	b, err := json.Marshal(kept)
	must(t, err)
	body, err := json.Marshal(request(h.catalog, 0.5))
	must(t, err)
	shown := metadata.AppendToOutgoingContext(t.Context(), study.MetadataKnown, string(b))
	wantCode(t, act(shown, c, "prepare", body, nil), CodeRestored)
	_, err = prepare(c, request(h.catalog, 0.1)) // nor without the checkpoint from now on
	wantCode(t, err, CodeRestored)
	exchange(t, c, study.Offer{Known: kept})
	h.stop()
	if !strings.Contains(h.log.String(), "a part of the privacy ledger is missing") {
		t.Error("the log does not say it")
	}

	// A restart alone changes nothing.
	h = start(t, conf, newEngine())
	c = h.client(t, "coordinator-paris")
	exchange(t, c, study.Offer{Known: kept})
	_, err = prepare(c, request(h.catalog, 0.1))
	wantCode(t, err, CodeRestored)
	h.stop()

	// The custodian reads the file that the node left, and acknowledges it.
	b, err = os.ReadFile(conf.Ledger + ".ahead.json")
	must(t, err)
	ahead, err := ledger.ParseCheckpoint(bytes.TrimSpace(b))
	must(t, err)
	l, err := ledger.Open(t.Context(), conf.Ledger, "node lyon", time.Now)
	must(t, err)
	lost, err := l.Recover(t.Context(), ahead, "claire", "the disk failed")
	must(t, err)
	must(t, l.Close())
	if lost.Epsilon != 500_000_000 {
		t.Errorf("%+v was lost, not epsilon 0.5", lost)
	}

	h = start(t, conf, newEngine())
	c = h.client(t, "coordinator-paris")
	after := exchange(t, c, study.Offer{Known: kept}).Checkpoint
	if after.Recovered != kept.Head || !after.Follows(*kept) {
		t.Errorf("%+v does not follow %+v", after, kept)
	}
	_, err = prepare(c, request(h.catalog, 0.5)) // 0.75 of the study's 1 is spent
	wantCode(t, err, CodeBudget)
	spend(t, h, c, 0.25)
}

// A coordinator cannot stop a node with a checkpoint that the node never signed.
func TestForgedCheckpoint(t *testing.T) {
	conf := testConfig(federation(t))
	h := start(t, conf, newEngine())
	c := h.client(t, "coordinator-paris")
	own := exchange(t, c, study.Offer{}).Checkpoint
	higher := *own
	higher.Sequence += 1000
	other, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "l"), "node lyon", time.Now)
	must(t, err)
	defer other.Close()
	strange, err := other.Checkpoint(t.Context(), newKey())
	must(t, err)
	strange.Sequence = 1
	for _, forged := range []*ledger.Checkpoint{&higher, &strange} {
		exchange(t, c, study.Offer{Known: forged})
		spend(t, h, c, 0.25)
	}
}

// The node keeps the coordinator's checkpoint with its charge, and notices if it goes back.
func TestCoordinatorsCheckpoint(t *testing.T) {
	conf := testConfig(federation(t))
	h := start(t, conf, newEngine())
	c := h.client(t, "coordinator-paris")
	path := filepath.Join(t.TempDir(), "l")
	theirs, err := ledger.Open(t.Context(), path, "coordinator france", time.Now)
	must(t, err)
	old, err := theirs.Checkpoint(t.Context(), coordinatorKey)
	must(t, err)
	must(t, theirs.Record(t.Context(), ledger.Entry{Kind: ledger.KindConfig, Text: "More."}))
	fresh, err := theirs.Checkpoint(t.Context(), coordinatorKey)
	must(t, err)
	must(t, theirs.Close())
	// A checkpoint that another key has signed, or of another ledger, is not stored with a charge.
	another, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "l"), "coordinator spain", time.Now)
	must(t, err)
	defer another.Close()
	foreign, err := another.Checkpoint(t.Context(), coordinatorKey)
	must(t, err)
	stolen := fresh
	stolen.Sequence += 1000
	for _, carried := range []ledger.Checkpoint{foreign, stolen, fresh} {
		ticket, err := prepare(c, request(h.catalog, 0.25))
		must(t, err)
		b, err := json.Marshal(carried)
		must(t, err)
		_, err = execute(metadata.AppendToOutgoingContext(t.Context(), study.MetadataCheckpoint, string(b)), c, ticket)
		must(t, err)
	}
	if state := exchange(t, c, study.Offer{Checkpoint: &old}); state.Known == nil || state.Known.Head != fresh.Head {
		t.Errorf("the node keeps %+v", state.Known)
	}
	entries := h.entries(t)
	if got := kinds(entries); !strings.Contains(got, "charge checkpoint answer") || strings.Count(got, "checkpoint") != 1 {
		t.Errorf("not the one checkpoint that is the coordinator's: %s", got)
	}
	if !strings.Contains(h.log.String(), "the coordinator's ledger has gone back") {
		t.Error("nobody is told that the coordinator's ledger went back")
	}
}

// A study is opened and closed while the node runs, by records in its inbox.
func TestDecisionsWhileRunning(t *testing.T) {
	conf := testConfig(federation(t))
	h := start(t, conf, newEngine())
	c := h.client(t, "coordinator-paris")
	ask := func() error { _, err := prepare(c, request(h.catalog, 0.1)); return err }
	must(t, ask())
	held, err := prepare(c, request(h.catalog, 0.1))
	must(t, err)
	decide(conf, study.Suspend, "copd", 2, 0, nil)
	must(t, h.service.studies.Collect(t.Context(), study.Inbox(conf.Ledger)))
	wantCode(t, ask(), CodeStudy)
	_, err = execute(t.Context(), c, held) // a query that was prepared before does not run after
	wantCode(t, err, CodeStudy)
	// The old approval, delivered again, opens nothing.
	decide(conf, study.Approve, "copd", 1, 1, nil)
	must(t, h.service.studies.Collect(t.Context(), study.Inbox(conf.Ledger)))
	wantCode(t, ask(), CodeStudy)
	narrower := func(d *study.Document) { d.MaxEpsilon, d.DefaultEpsilon = 0.2, 0.2 }
	propose(conf, "copd", 2, nil)
	r := &study.Record{Act: study.Approve, Study: "copd", Hospital: "lyon", Number: 3, By: "claire", Document: document("copd", 2, narrower), Proposal: document("copd", 2, nil).Digest()}
	post(conf, r, claire)
	must(t, h.service.studies.Collect(t.Context(), study.Inbox(conf.Ledger)))
	must(t, ask())
	_, err = prepare(c, request(h.catalog, 0.3))
	wantCode(t, err, CodeLimit)
	if s, _ := h.service.studies.Study("copd"); s.Status != study.Amended {
		t.Errorf("%+v", s)
	}
	// A query prepared under wider terms does not run under narrower ones.
	held, err = prepare(c, request(h.catalog, 0.1))
	must(t, err)
	without := func(d *study.Document) { d.Investigators = []string{"eve"} }
	both := func(d *study.Document) { d.Investigators = []string{"ada", "eve"} }
	propose(conf, "copd", 3, both)
	r = &study.Record{Act: study.Approve, Study: "copd", Hospital: "lyon", Number: 4, By: "claire", Document: document("copd", 3, without), Proposal: document("copd", 3, both).Digest()}
	post(conf, r, claire)
	must(t, h.service.studies.Collect(t.Context(), study.Inbox(conf.Ledger)))
	_, err = execute(t.Context(), c, held)
	wantCode(t, err, CodeStudy)
}

// One researcher's excess does not limit another researcher.
func TestRates(t *testing.T) {
	conf := testConfig(federation(t))
	conf.Limits.PerMinute, conf.Limits.AtOnce = 5, 2
	everybody := func(d *study.Document) { d.Investigators = []string{"ada", "ben"}; d.Budget.Epsilon = 100 }
	propose(conf, "copd", 2, everybody)
	decide(conf, study.Approve, "copd", 2, 2, everybody)
	h := start(t, conf, newEngine())
	c := h.client(t, "coordinator-paris")
	first, err := prepare(c, request(h.catalog, 0.1))
	must(t, err)
	_, err = prepare(c, request(h.catalog, 0.1))
	must(t, err)
	_, err = prepare(c, request(h.catalog, 0.1))
	wantCode(t, err, CodeRate) // at once
	_, err = execute(t.Context(), c, first)
	must(t, err)
	for range 3 {
		ticket, err := prepare(c, request(h.catalog, 0.1))
		must(t, err)
		must(t, act(t.Context(), c, "abandon", []byte(ticket), nil))
	}
	_, err = prepare(c, request(h.catalog, 0.1))
	wantCode(t, err, CodeRate) // in a minute
	bens := request(h.catalog, 0.1)
	bens.Researcher, bens.Token = "ben", token("ben")
	_, err = prepare(c, bens)
	must(t, err)
	// Nobody can use up ada's rate without her token.
	eves := request(h.catalog, 0.1)
	eves.Researcher, eves.Token = "ben", token("eve")
	for range 10 {
		_, err = prepare(c, eves)
		wantCode(t, err, CodeToken)
	}
	_, err = prepare(c, bens)
	must(t, err)
}

// Many refusals do not fill the disk, and their number is recorded.
func TestRefusalsAreBounded(t *testing.T) {
	r := newRefusals()
	now := time.Now()
	flood := func(who string) (bytes int) {
		for range 10_000 {
			if ok, _ := r.allow(who, 1000, now); ok {
				bytes += 1000
			}
		}
		return bytes
	}
	if got := flood("copd ada"); got > refusalBytes || got < refusalBytes-1000 {
		t.Errorf("of one, %d bytes are recorded", got)
	}
	if ok, left := r.allow("copd ben", 1000, now); !ok || left != 10_000-refusalBytes/1000 {
		t.Errorf("of another: %v, %d", ok, left)
	}
	all := 0
	for i := range 100 {
		all += flood(fmt.Sprint("copd ", i))
	}
	if all > refusalsBytes {
		t.Errorf("of all, %d bytes are recorded", all)
	}
	if got := flood("copd eve"); got != 0 {
		t.Errorf("after that, %d bytes are recorded", got)
	}
	now = now.Add(24 * time.Hour)
	if got := flood("copd ada"); got < refusalBytes-1000 || got > refusalBytes {
		t.Errorf("a day later, %d bytes are recorded", got)
	}
}

// Queries in a loop that are refused here or elsewhere, given back, or explained do not fill the disk. The ledger grows
// by at most refusalBytes, whatever is in the fragments, and refusals of others are still recorded.
func TestRefusedQueriesFillNoDisk(t *testing.T) {
	conf := testConfig(federation(t))
	h := start(t, conf, newEngine())
	size := func() (bytes int64) {
		for _, suffix := range []string{"", "-wal"} {
			if info, err := os.Stat(conf.Ledger + suffix); err == nil {
				bytes += info.Size()
			}
		}
		return bytes
	}
	h.stop() // merges the write-ahead log into the file
	before := size()
	h = start(t, conf, newEngine())
	c := h.client(t, "coordinator-paris")
	large := func() *fragment.Request { // its literals take 100 kB
		r := request(h.catalog, 0.25)
		args := []*expr.Expr{expr.Column("patient", "sex", value.TypeText)}
		for i := range 100 {
			args = append(args, expr.Literal(value.Text(fmt.Sprint(i, strings.Repeat("x", 1000)))))
		}
		in, err := expr.New(expr.OpIn, args...)
		must(t, err)
		r.Fragment.Filter = in
		return r
	}
	for i := range 1000 {
		r := large()
		switch i % 4 {
		case 0: // as if another hospital refuses
			ticket, err := prepare(c, r)
			must(t, err)
			must(t, act(t.Context(), c, "abandon", []byte(ticket), nil))
		case 1:
			r.Noise.Epsilon = 1e-6
			_, err := prepare(c, r)
			wantCode(t, err, CodePrice)
		case 2:
			r.Noise.Epsilon = 0.51
			_, err := prepare(c, r)
			wantCode(t, err, CodeLimit)
		case 3:
			body, err := json.Marshal(r)
			must(t, err)
			must(t, act(t.Context(), c, "explain", body, &fragment.Explained{}))
		}
	}
	const log = 5 << 20 // SQLite merges the write-ahead log into the file after 1,000 pages and then overwrites it
	if grown := size() - before; grown > log {
		t.Errorf("the ledger and its log have grown by %d bytes", grown)
	}
	_, err := prepare(c, func() *fragment.Request { r := request(h.catalog, 0.25); r.Study = "none"; return r }())
	wantCode(t, err, CodeStudy)
	entries := h.entries(t)
	grown := size() - before
	t.Logf("1,000 requests grow the ledger by %d bytes", grown)
	if grown > 2*refusalBytes {
		t.Errorf("the ledger has grown by %d bytes", grown)
	}
	// on a slow machine the allowance grows meanwhile, so the count may come before the last refusal
	bytes, counted := 0, false
	for _, e := range entries {
		if e.Kind == ledger.KindRefuse {
			bytes += e.Bytes()
			counted = counted || strings.Contains(e.Text, "refusals before this one are not recorded")
		} else if e.Kind != ledger.KindStudy && e.Kind != ledger.KindOpen && e.Kind != ledger.KindConfig && e.Kind != ledger.KindData {
			t.Errorf("the ledger has a %s", e.Kind)
		}
	}
	if last := entries[len(entries)-1]; bytes > 2*refusalBytes || last.Study != "none" || !counted {
		t.Errorf("%d bytes of refusals, and then: %s", bytes, last.Text)
	}
}

// No secret reaches log or ledger.
func TestTokenIsNotRecorded(t *testing.T) {
	conf := testConfig(federation(t))
	h := start(t, conf, newEngine())
	c := h.client(t, "coordinator-paris")
	r := request(h.catalog, 0.25)
	_, err := prepare(c, r)
	must(t, err)
	bad := request(h.catalog, 0.25)
	bad.Study = "none"
	_, err = prepare(c, bad)
	wantCode(t, err, CodeStudy)
	h.stop()
	b, err := os.ReadFile(conf.Ledger)
	must(t, err)
	signature := r.Token[strings.LastIndexByte(r.Token, '.')+1:]
	if strings.Contains(h.log.String(), signature) || bytes.Contains(b, []byte(signature)) {
		t.Error("the token is recorded")
	}
}

// A revoked coordinator is refused, also on an existing connection, without a restart.
func TestRevoked(t *testing.T) {
	folder := federation(t)
	h := start(t, testConfig(folder), newEngine())
	paris, lille := h.client(t, "coordinator-paris"), h.client(t, "coordinator-lille")
	must(t, act(t.Context(), paris, "describe", nil, &Description{}))
	authority, err := pki.LoadAuthority(folder)
	must(t, err)
	must(t, authority.Revoke(folder, filepath.Join(folder, "coordinator-paris.pem"), time.Hour))
	wantCode(t, act(t.Context(), paris, "describe", nil, &Description{}), CodePeer)
	must(t, act(t.Context(), lille, "describe", nil, &Description{}))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := act(ctx, h.client(t, "coordinator-paris"), "describe", nil, &Description{}); err == nil {
		t.Error("a new connection of a revoked coordinator is taken")
	}
}

func column(relation, name string) *expr.Expr {
	return expr.Column(relation, name, value.TypeInt)
}

func operation(t *testing.T, op expr.Op, args ...*expr.Expr) *expr.Expr {
	t.Helper()
	e, err := expr.New(op, args...)
	must(t, err)
	return e
}

// A study reads only what it may, and nobody is asked for by name.
func TestScope(t *testing.T) {
	c := testCatalog(t)
	id, other := column("patient", "id"), column("visit", "patient_id")
	sex, ward := expr.Column("patient", "sex", value.TypeText), expr.Column("visit", "ward", value.TypeText)
	n := expr.Literal(value.Int(42))
	joined := []fragment.Relation{{Name: "patient", Table: "patient"}, {Name: "visit", Table: "visit", Join: fragment.JoinLeft, On: operation(t, expr.OpEqual, id, other)}}
	count := []fragment.Partial{{Kind: fragment.PartialRows}}
	derived := func(columns ...fragment.Output) []fragment.Relation {
		return []fragment.Relation{{Name: "d", Query: &fragment.Query{Patient: "p", Relations: []fragment.Relation{{Name: "patient", Table: "patient"}}, Columns: columns}}}
	}
	plain := fragment.Output{Name: "p", Expr: id}
	for _, tc := range []struct {
		name    string
		tables  map[string][]string
		f       fragment.Fragment
		allowed bool
	}{
		{"columns listed", map[string][]string{"patient": {"sex"}}, fragment.Fragment{Relations: joined[:1], Keys: []fragment.Key{{Expr: sex}}, Partials: count}, true},
		{"any column", map[string][]string{"PATIENT": {"*"}}, fragment.Fragment{Relations: joined[:1], Keys: []fragment.Key{{Expr: sex}}, Partials: count}, true},
		{"any table", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: joined, Keys: []fragment.Key{{Expr: ward}}, Partials: count}, true},
		{"another table", map[string][]string{"patient": {"*"}}, fragment.Fragment{Relations: joined, Partials: count}, false},
		{"another column", map[string][]string{"patient": {"sex"}, "visit": {"patient_id"}}, fragment.Fragment{Relations: joined, Keys: []fragment.Key{{Expr: ward}}, Partials: count}, false},
		{"another column in the filter", map[string][]string{"*": {"sex"}}, fragment.Fragment{Relations: joined, Filter: operation(t, expr.OpIsNull, ward), Partials: count}, false},
		{"one patient", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: joined[:1], Filter: operation(t, expr.OpEqual, id, n), Partials: count}, false},
		{"all but one patient", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: joined[:1], Filter: operation(t, expr.OpNotEqual, id, n), Partials: count}, false},
		{"one patient in disguise", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: joined[:1], Filter: operation(t, expr.OpEqual, operation(t, expr.OpModulo, id, n), n), Partials: count}, false},
		{"one patient in a join", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: []fragment.Relation{joined[0], {
			Name: "visit", Table: "visit", Join: fragment.JoinInner, On: operation(t, expr.OpAnd, operation(t, expr.OpEqual, id, other), operation(t, expr.OpEqual, other, n)),
		}}, Partials: count}, false},
		{"a group a patient", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: joined[:1], Keys: []fragment.Key{{Expr: id}}, Partials: count}, false},
		{"a sum of ids", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: joined[:1], Partials: []fragment.Partial{{Kind: fragment.PartialSum, Expr: id, Grid: &fragment.Grid{}}}}, false},
		{"one patient, where the study lists ids", map[string][]string{"*": {"*", "id"}}, fragment.Fragment{Relations: joined[:1], Filter: operation(t, expr.OpEqual, id, n), Partials: count}, true},
		{"who has no visit", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: joined, Filter: operation(t, expr.OpIsNull, other), Partials: count}, true},
		{"who has a visit", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: joined, Filter: operation(t, expr.OpNot, operation(t, expr.OpIsNull, other)), Partials: count}, true},
		{"visits with an id", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: joined, Partials: []fragment.Partial{{Kind: fragment.PartialValues, Expr: other}}}, true},
		{"a derived relation", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: derived(plain), Partials: count}, true},
		{"one patient of a derived relation", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: derived(plain), Filter: operation(t, expr.OpEqual, column("d", "p"), n), Partials: count}, false},
		{"a derived relation that hides the id", map[string][]string{"*": {"*"}}, fragment.Fragment{
			Relations: derived(plain, fragment.Output{Name: "q", Expr: operation(t, expr.OpAdd, id, n)}), Partials: count,
		}, false},
		{"one patient by the smallest id", map[string][]string{"*": {"*"}}, fragment.Fragment{
			Relations: derived(plain, fragment.Output{Name: "q", Function: fragment.FunctionMin, Expr: id}), Filter: operation(t, expr.OpEqual, column("d", "q"), n), Partials: count,
		}, false},
		{"an id joined with a constant", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: append(derived(plain, fragment.Output{Name: "k", Expr: n}), fragment.Relation{
			Name: "visit", Table: "visit", Join: fragment.JoinInner, On: operation(t, expr.OpEqual, other, column("d", "k")),
		}), Partials: count}, false},
		{"an id joined with a list of values", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: append(joined[:1:1], fragment.Relation{
			Name: "list", Query: &fragment.Query{Columns: []fragment.Output{{Name: "k", Expr: n}}}, Join: fragment.JoinInner, On: operation(t, expr.OpEqual, id, column("list", "k")),
		}), Partials: count}, false},
		{"a list of values", map[string][]string{"*": {"*"}}, fragment.Fragment{Relations: append(joined[:1:1], fragment.Relation{
			Name: "list", Query: &fragment.Query{Columns: []fragment.Output{{Name: "k", Expr: expr.Literal(value.Text("f"))}}}, Join: fragment.JoinInner,
			On: operation(t, expr.OpEqual, sex, expr.Column("list", "k", value.TypeText)),
		}), Partials: count}, true},
		{"a count of ids", map[string][]string{"*": {"*"}}, fragment.Fragment{
			Relations: derived(plain, fragment.Output{Name: "q", Function: fragment.FunctionDistinct, Expr: id}), Filter: operation(t, expr.OpEqual, column("d", "q"), n), Partials: count,
		}, true},
	} {
		d := document("copd", 1, func(d *study.Document) { d.Tables = tc.tables })
		if err := (scope{c, d}).check(&tc.f); (err == nil) != tc.allowed {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	only := document("copd", 1, func(d *study.Document) { d.Aggregates = []study.Aggregate{study.Count} })
	for kind, allowed := range map[fragment.PartialKind]bool{
		fragment.PartialRows: true, fragment.PartialPatients: true, fragment.PartialValues: true, fragment.PartialSum: false, fragment.PartialBuckets: false,
	} {
		f := fragment.Fragment{Relations: joined, Partials: []fragment.Partial{{Kind: kind}}}
		if err := (scope{c, only}).check(&f); (err == nil) != allowed {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
