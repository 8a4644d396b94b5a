package coordinator

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/estimate"
)

var profileCatalog = testCatalog + testcatalog.Rows("stay", "days: {type: int, bounds: [0, 90]}")

// TestProfile checks that a profile is a query that the study pays for once, that it survives a restart, that explain
// shows it, and that it predicts the bias of limits.
func TestProfile(t *testing.T) {
	f := newFederation(t, func(c *Config) {
		c.Catalog = filepath.Join(filepath.Dir(c.Catalog), "profile.yaml")
		must(t, os.WriteFile(c.Catalog, []byte(profileCatalog), 0o600))
	})
	for _, h := range f.hospitals { // of 10,000 patients 1,000 have one row, 5,000 two, 3,000 up to 16, 1,000 up to 64
		h.groups = []group{{[]value.Value{value.Int(1)}, 1000}, {[]value.Value{value.Int(2)}, 5000}, {[]value.Value{value.Int(16)}, 3000}, {[]value.Value{value.Int(64)}, 1000}}
	}
	alice, ctx := asker("alice"), t.Context()
	before, err := f.Explain(ctx, alice, Request{SQL: "SELECT COUNT(*) FROM stay", Settings: Settings{Study: "s", Ask: planner.Ask{MaxRows: 5}}})
	must(t, err)
	if strings.Contains(strings.Join(before.Warnings, "\n"), "profile") {
		t.Errorf("it tells of a profile that nobody took: %q", before.Warnings)
	}
	got, err := f.Profile(ctx, alice, ProfileRequest{Study: "s", Share: 0.1})
	must(t, err)
	if len(got) != 1 || got[0].Table != "stay" || got[0].Patients != 30000 || got[0].Half != 2 || got[0].NineInTen != 16 || got[0].NinetyNine != 64 {
		t.Fatalf("the profile is %+v", got)
	}
	charged, _ := f.losses(t)
	if want := 0.1 * 2.0; math.Abs(charged-want) > 1e-6 { // of a budget of 2
		t.Errorf("it cost %v, not %v", charged, want)
	}
	again, err := f.Profile(ctx, alice, ProfileRequest{Study: "s", Tables: []string{"stay"}})
	must(t, err)
	if now, _ := f.losses(t); now != charged || !slices.Equal([]string{again[0].String()}, []string{got[0].String()}) {
		t.Errorf("the same again cost %v more, and says %v", now-charged, again)
	}
	f.Coordinator.profiles = profiles{} // as after a restart
	must(t, f.loadProfiles(ctx))
	e, err := f.Explain(ctx, alice, Request{SQL: "SELECT COUNT(*) FROM stay", Settings: Settings{Study: "s", Ask: planner.Ask{MaxRows: 5}}})
	must(t, err)
	if text := strings.Join(e.Warnings, "\n"); !strings.Contains(text, "from the profile of "+time.Now().UTC().Format(time.DateOnly)) || !strings.Contains(text, "nine in ten up to 16") {
		t.Errorf("explain says %q", text)
	}
	if !strings.Contains(e.Plan, "by the profile about 68 % of all rows are beyond the limit of 5 a patient") {
		t.Errorf("the plan does not foretell the bias:\n%s", e.Plan)
	}
	// A query without a limit gets the one with the smallest error of an average, or of a total.
	for sql, want := range map[string]string{"SELECT AVG(days) FROM stay": "beyond 51 rows", "SELECT COUNT(*) FROM stay": "beyond 91 rows"} {
		e, err = f.Explain(ctx, alice, Request{SQL: sql, Settings: Settings{Study: "s"}})
		must(t, err)
		if !strings.Contains(e.Plan, want) {
			t.Errorf("%s: the plan has no limit of the profile's:\n%s", sql, e.Plan)
		}
	}
	// Another study has not paid for it.
	f.propose(t, "t", nil)
	e, err = f.Explain(ctx, alice, Request{SQL: "SELECT COUNT(*) FROM stay", Settings: Settings{Study: "t", Ask: planner.Ask{MaxRows: 5}}})
	must(t, err)
	if strings.Contains(strings.Join(e.Warnings, "\n"), "profile") {
		t.Error("a profile is told in a study that did not pay for it")
	}
}

// TestProfileByKey checks that the usual key is one that every row has, that refers to a public table, and that the
// study may read. Steps are read by its values.
func TestProfileByKey(t *testing.T) {
	c, err := catalog.Parse([]byte(testCatalog+`  term:
    key: number
    public: true
    columns:
      number: {type: int, nullable: false}
  finding:
    key: number
    patient: id
    columns:
      id: {type: int, nullable: false, references: person.id}
      number: {type: int, nullable: false}
      other: {type: int, references: term.number}
      term: {type: int, nullable: false, references: term.number}
`), "finding.yaml")
	must(t, err)
	table, _ := c.Table("finding")
	any := func(*catalog.Column) bool { return true }
	if got := usualKey(c, table, any); got != "term" {
		t.Errorf("the usual key is %q", got)
	}
	if got := usualKey(c, table, func(of *catalog.Column) bool { return of.Name != "term" }); got != "" {
		t.Errorf("of a study that may not read it the usual key is %q", got)
	}
	if n := len(profiling{table: table, key: "term"}.questions()); n != 3 {
		t.Errorf("it asks %d questions", n)
	}
	for _, q := range (profiling{table: table, key: "term"}).questions() {
		_, err := planner.Compose(planner.Query{SQL: q.sql, Ask: planner.Ask{Epsilon: 0.1, Delta: 1e-6, MaxGroups: q.groups}},
			planner.Federation{Catalog: c, Hospitals: []string{"a", "b"}, Accounting: dp.ZCDP})
		must(t, err)
	}
	p := Profile{Table: "finding", Key: "term", Groups: estimate.Ladder{{Rows: 1, Patients: 10}}}
	row := func(step, patients, key int64) []planner.Estimate {
		return []planner.Estimate{{Value: value.Int(step)}, {Value: value.Int(patients), Low: value.Int(patients - 20), High: value.Int(patients + 20)}, {Value: value.Int(key)}}
	}
	p.byKey([][]planner.Estimate{row(1, 900, 7), row(2, 10, 7), row(4, 500, 8)})
	ladders := map[planner.LadderOf]estimate.Ladder{}
	p.addLadders(ladders)
	if l := ladders[planner.LadderOf{Table: "finding", Column: "term", Value: "7"}]; len(l) == 0 || l[0] != (estimate.Step{Rows: 1, Patients: 900}) || len(ladders) != 3 {
		t.Errorf("known are %v", ladders)
	}
}

// TestProfileRefuses checks invalid shares, tables without patients, and tables that the researcher may not ask for.
func TestProfileRefuses(t *testing.T) {
	f := newFederation(t, nil)
	for _, c := range []struct {
		who  string
		req  ProfileRequest
		code Code
	}{
		{"alice", ProfileRequest{Study: "s", Share: 1}, CodeInvalidRequest},
		{"alice", ProfileRequest{Study: "s", Share: math.NaN()}, CodeInvalidRequest},
		{"alice", ProfileRequest{Study: "s", Tables: []string{"nowhere"}}, Code(planner.CodeTable)},
		{"alice", ProfileRequest{Study: "others"}, CodeStudyUnknown},
		{"bob", ProfileRequest{Study: "s"}, CodeStudyUnknown},
	} {
		if _, err := f.Profile(t.Context(), asker(c.who), c.req); !errors.Is(err, c.code) {
			t.Errorf("%s, %+v: %v, not %s", c.who, c.req, err, c.code)
		}
	}
	f.settled(t, 0)
}

// TestProfileSkips checks that a table that hospitals lack is skipped for free, unless it was named.
func TestProfileSkips(t *testing.T) {
	f := newFederation(t, func(c *Config) {
		c.Catalog = filepath.Join(filepath.Dir(c.Catalog), "profile.yaml")
		must(t, os.WriteFile(c.Catalog, []byte(profileCatalog), 0o600))
	})
	f.hospital("b").refuse[actionPrepare] = status.Error(codes.FailedPrecondition, "NODE_SOURCE: cannot compute this")
	got, err := f.Profile(t.Context(), asker("alice"), ProfileRequest{Study: "s"})
	must(t, err)
	if len(got) != 1 || !got[0].Closed || got[0].String() != "stay: no profile, since too few hospitals answer over this table; nothing was paid for it" {
		t.Errorf("it tells %v", got)
	}
	if _, err := f.Profile(t.Context(), asker("alice"), ProfileRequest{Study: "s", Tables: []string{"stay"}}); !errors.Is(err, CodeHospitalRefused) {
		t.Errorf("of a table that was named: %v", err)
	}
	f.settled(t, 0)
	f.hospital("b").refuse[actionPrepare] = status.Error(codes.ResourceExhausted, "NODE_BUDGET: there is too little left")
	if _, err := f.Profile(t.Context(), asker("alice"), ProfileRequest{Study: "s"}); !errors.Is(err, CodeHospitalRefused) {
		t.Errorf("another reason: %v", err)
	}
}

// TestProfileCost checks that all releases together cost the stated share, under either accounting, and none more than
// a query may.
func TestProfileCost(t *testing.T) {
	for _, c := range []struct {
		budget dp.Budget
		spent  func(epsilon float64) float64 // of one release, as a share of the whole budget
	}{
		{dp.Budget{Accounting: dp.Pure, Epsilon: 10, Delta: 1e-6}, func(e float64) float64 { return e / 10 }},
		{dp.Budget{Accounting: dp.ZCDP, Epsilon: 10, Delta: 1e-6}, func(e float64) float64 {
			whole := dp.Budget{Accounting: dp.ZCDP, Epsilon: 10, Delta: 1e-6}.Remaining(dp.Loss{}).Epsilon
			return e * e / (whole * whole)
		}},
	} {
		for _, n := range []int{1, 2, 9} {
			d := &study.Document{Budget: c.budget, MaxEpsilon: 5}
			if got := float64(n) * c.spent(epsilonOfShare(d, 0.02, n)); math.Abs(got-0.02) > 1e-3*0.02 {
				t.Errorf("%s, %d releases: a share of %v, not 0.02", c.budget.Accounting, n, got)
			}
			d.MaxEpsilon = 0.001
			if got := epsilonOfShare(d, 0.02, n); got > 0.001 {
				t.Errorf("%s: epsilon %v, where a query may cost 0.001", c.budget.Accounting, got)
			}
		}
	}
}

// TestUnbounded checks the columns whose values would need a CLAMP and identify nobody, as far as the study may read
// them.
func TestUnbounded(t *testing.T) {
	c, err := catalog.Parse([]byte(testCatalog+`  lab:
    key: number
    patient: id
    columns:
      id: {type: int, nullable: false, references: person.id}
      number: {type: int, nullable: false}
      batch_id: {type: int}
      book: {type: int, identifier: true}
      code: {type: int, domain: [1, 2]}
      low: {type: float, bounds: [0, 1]}
      unit: {type: text}
      result: {type: float}
      days: {type: int}
`), "lab.yaml")
	must(t, err)
	table, _ := c.Table("lab")
	for _, x := range []struct {
		tables map[string][]string
		want   []string
	}{
		{map[string][]string{"*": {"*"}}, []string{"result", "days"}},
		{map[string][]string{"lab": {"days", "id", "book"}}, []string{"days"}},
		{map[string][]string{"person": {"*"}}, nil},
	} {
		if got := unbounded(table, &study.Document{Tables: x.tables}); !slices.Equal(got, x.want) {
			t.Errorf("a study that may read %v looks for %v, not %v", x.tables, got, x.want)
		}
	}
}

// TestProfileOfNoise checks that counts that noise alone can explain are not read as a tail.
func TestProfileOfNoise(t *testing.T) {
	step := func(n, patients, half int64) []planner.Estimate {
		return []planner.Estimate{{Value: value.Int(n)}, {Value: value.Int(patients), Low: value.Int(patients - half), High: value.Int(patients + half)}}
	}
	var p Profile
	p.rows([][]planner.Estimate{step(1, 900, 20), step(2, 300, 20), step(4, 12, 20), step(32768, 15, 20)})
	if p.Patients != 1200 || p.Half != 1 || p.NineInTen != 2 || p.NinetyNine != 2 {
		t.Errorf("%+v", p)
	}
	p = Profile{}
	p.rows([][]planner.Estimate{step(1, 9, 20), step(2, 3, 20)})
	if p.Half != 0 || !strings.Contains(p.String(), "too few patients") {
		t.Errorf("noise alone gives %s", p)
	}
}
