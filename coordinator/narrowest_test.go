package coordinator

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/planner"
)

// Explain, SHOW BUDGET and the API show what the hospital with the least left allows, before anything runs.
func TestNarrowest(t *testing.T) {
	f := newFederation(t, nil)
	before, err := f.Budget(t.Context(), asker("alice"), "s")
	must(t, err)
	if before.At != "" {
		t.Fatalf("%+v", before)
	}
	narrow := before.Budget
	narrow.Epsilon /= 4
	wide := dp.Budget{Accounting: before.Budget.Accounting, Epsilon: 100, Delta: 0.1}
	expires := f.now().Add(time.Hour)
	terms := func(b dp.Budget) study.Terms {
		return study.Terms{Budget: b, Whole: wide, MaxEpsilon: before.MaxEpsilon / 2, MinEpsilon: before.MinEpsilon * 2, Expires: expires,
			Tables: map[string][]string{"person": {"*"}, "*": {"sex"}}, Aggregates: []study.Aggregate{study.Count, study.Sum}, MaxRows: 70, MaxGroups: 7}
	}
	f.custody.held["b"] = map[string]study.Terms{"s": terms(narrow)}
	f.custody.held["c"] = map[string]study.Terms{"s": terms(wide)}
	a, err := f.Budget(t.Context(), asker("alice"), "s")
	must(t, err)
	if a.At != "b" || a.Budget != narrow || a.Remaining.Epsilon >= before.Remaining.Epsilon || a.MaxEpsilon != before.MaxEpsilon/2 || a.MinEpsilon != before.MinEpsilon*2 ||
		a.Expires != expires.Format(time.RFC3339) {
		t.Errorf("%+v, and before %+v", a, before)
	}
	shown, err := f.ask(t.Context(), t, "SHOW BUDGET")
	must(t, err)
	if got := shown.Rows[0][0].Value.Str(); !strings.HasSuffix(got, ", at b") {
		t.Error(got)
	}
	permits, err := f.Permits(t.Context(), asker("alice"), "s")
	must(t, err)
	if len(permits) != 3 || permits[0].Terms != nil || permits[1].Left.Epsilon >= permits[2].Left.Epsilon || permits[1].Terms.Budget != narrow {
		t.Errorf("%+v", permits)
	}
	if _, err := f.Permits(t.Context(), asker("mallory"), "s"); !errors.Is(err, CodeStudyUnknown) {
		t.Errorf("somebody who is not in the study: %v", err)
	}
	shown, err = f.ask(t.Context(), t, "SHOW PERMISSIONS")
	must(t, err)
	if got := shown.Rows[1]; got[0].Value.Str() != "b" || got[2].Value.Str() != "every table (sex), person" || got[3].Value.Str() != "count, sum" ||
		!strings.Contains(got[7].Value.Str(), "70 rows, 7 groups of a patient; until ") {
		t.Error(got)
	}
	explain := func(hospitals string) *Explanation {
		t.Helper()
		e, err := f.Explain(t.Context(), asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "s", Hospitals: hospitals, Ask: planner.Ask{Epsilon: 0.6}}})
		must(t, err)
		return e
	}
	e := explain("")
	if e.Remaining != a.Remaining || e.Allowed || len(e.Problems) != 1 || e.Problems[0].Name != "b" || e.Problems[0].Code != "NODE_BUDGET" {
		t.Errorf("%+v", e)
	}
	if e = explain("all but b"); !e.Allowed || len(e.Problems) > 0 || e.Remaining != before.Remaining {
		t.Errorf("without b: %+v", e)
	}
	// An answer says the same as SHOW BUDGET, also where it is a hospital's budget over all studies.
	least := terms(wide)
	least.Whole = narrow
	least.Whole.Epsilon *= 3
	delete(f.custody.held, "b")
	f.custody.held["c"] = map[string]study.Terms{"s": least}
	answer := f.mustAsk(t, bySex)
	a, err = f.Budget(t.Context(), asker("alice"), "s")
	must(t, err)
	if a.At != "c" || answer.Remaining != a.Remaining {
		t.Errorf("an answer tells of %+v left, and the budget is %+v", answer.Remaining, a)
	}
	if got := f.mustAsk(t, "SHOW BUDGET").Rows[0][0].Value.Str(); got != "all studies, at c" {
		t.Error(got)
	}
}
