package coordinator

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/cputime"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

const manyGroups = `
catalog: many
tables:
  event:
    patient: id
    columns:
      id: {type: int, nullable: false}
      many: {type: int}
      hundred: {type: int, nullable: false, bounds: [0, 99]}
      thousand: {type: int, nullable: false, bounds: [0, 999]}
`

// BenchmarkMerge adds up the answers of five hospitals with 100,000 undeclared groups. BenchmarkRelease adds noise to
// them.
func BenchmarkMerge(b *testing.B) {
	p := manyPlan(b, dp.ZCDP)
	for b.Loop() {
		mergeMany(b, p)
	}
}

func BenchmarkRelease(b *testing.B) {
	for _, accounting := range []dp.Accounting{dp.ZCDP, dp.Pure} {
		p := manyPlan(b, accounting)
		sums := mergeMany(b, p)
		c := &Coordinator{noise: drawn}
		b.Run(string(p.Noise.Mechanism), func(b *testing.B) {
			for b.Loop() {
				if _, err := c.release(b.Context(), p, sums); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func manyPlan(b testing.TB, accounting dp.Accounting) *planner.Plan {
	b.Helper()
	return groupedPlan(b, accounting, "many")
}

func groupedPlan(b testing.TB, accounting dp.Accounting, by string) *planner.Plan {
	b.Helper()
	c := testcatalog.Parse(b, manyGroups)
	p, err := planner.Compose(planner.Query{SQL: "SELECT " + by + ", COUNT(*) FROM event GROUP BY " + by, Ask: planner.Ask{Epsilon: 1, Delta: 1e-6, MaxGroups: 3, MaxRows: 10}},
		planner.Federation{Catalog: c, Hospitals: []string{"a", "b", "c", "d", "e"}, Accounting: accounting, Digest: "of the test"})
	if err != nil {
		b.Fatal(err)
	}
	return p.Releases[0]
}

// millionPlan has a million declared groups, more than a statement may ask for.
func millionPlan(b testing.TB) *planner.Plan {
	b.Helper()
	p := groupedPlan(b, dp.ZCDP, "hundred, thousand")
	for i := range p.Fragment.Keys {
		p.Fragment.Keys[i].Domain = wholeNumbers(1000)
	}
	return p
}

// millionAnswers are all million groups, in records as nodes send them.
func millionAnswers(b testing.TB, p *planner.Plan) []arrow.Record {
	b.Helper()
	partials := slices.Repeat([]int64{1}, p.Fragment.Width())
	var records []arrow.Record
	for first := range int64(100) {
		records = append(records, recordOf(b, p.Fragment, func(add func([]value.Value, []int64)) {
			for i := range int64(10_000) {
				k := (first*10_000 + i) * 7919 % 1_000_000 // in no order
				add([]value.Value{value.Int(k / 1000), value.Int(k % 1000)}, partials)
			}
		}))
	}
	return records
}

// addedUp adds up the answers of five hospitals that all send these records.
func addedUp(b testing.TB, p *planner.Plan, records []arrow.Record) exact {
	b.Helper()
	total := newExact(p.Fragment)
	for range 5 {
		site := total.emptyCopy()
		for _, r := range records {
			if err := site.addRecord(r); err != nil {
				b.Fatal(err)
			}
		}
		if err := total.merge(site); err != nil {
			b.Fatal(err)
		}
	}
	return total
}

func mergeMany(b testing.TB, p *planner.Plan) *merger {
	b.Helper()
	return merged(b, p, 5, 100_000)
}

// merged adds up the answers of that many hospitals with that many groups each.
func merged(b testing.TB, p *planner.Plan, hospitals, groups int) *merger {
	b.Helper()
	total := newMerger(p.Fragment)
	partials := make([]int64, p.Fragment.Width())
	for range hospitals {
		site := total.emptyCopy().(*merger)
		for k := range int64(groups) {
			if err := site.add([]value.Value{value.Int(k)}, partials); err != nil {
				b.Fatal(err)
			}
		}
		if err := total.merge(site); err != nil {
			b.Fatal(err)
		}
	}
	return total
}

// TestBenchRelease prints the time for many numbers and many hospitals at the coordinator, the least of three runs. It
// fails if a goal is missed by half.
func TestBenchRelease(t *testing.T) {
	if os.Getenv("INTRAMUROS_BENCH") == "" {
		t.Skip("INTRAMUROS_BENCH is not set: times mean little beside other tests")
	}
	least := func(do func()) (least time.Duration) {
		for range 3 {
			began := time.Now()
			do()
			if took := time.Since(began); least == 0 || took < least {
				least = took
			}
		}
		return least
	}
	row := func(name string, took, goal time.Duration) {
		fmt.Printf("%-52s %10.2f ms, goal %v\n", name, 1e3*took.Seconds(), goal)
		if took > goal*3/2 {
			t.Errorf("%s: %v; the goal is %v", name, took, goal)
		}
	}
	fmt.Println()
	for _, accounting := range []dp.Accounting{dp.ZCDP, dp.Pure} {
		p := manyPlan(t, accounting)
		sums, c := merged(t, p, 1, 100_000/p.Fragment.Width()), &Coordinator{noise: drawn}
		row("noise of 100,000 numbers, "+string(p.Noise.Mechanism), least(func() {
			if _, err := c.release(t.Context(), p, sums); err != nil {
				t.Fatal(err)
			}
		}), 200*time.Millisecond)
	}
	p := manyPlan(t, dp.ZCDP)
	few, many := least(func() { merged(t, p, 100, 200) })/100, least(func() { merged(t, p, 1000, 200) })/1000
	row("merge of 200 groups, a hospital of 100", few, time.Millisecond)
	row("merge of 200 groups, a hospital of 1,000", many, time.Millisecond)
	million := millionPlan(t)
	answers, c := millionAnswers(t, million), &Coordinator{noise: drawn}
	best := time.Duration(math.MaxInt64)
	for range 3 {
		began := cputime.Used(t)
		if _, err := c.release(t.Context(), million, addedUp(t, million, answers)); err != nil {
			t.Fatal(err)
		}
		best = min(best, cputime.Used(t)-began)
	}
	row("1,000,000 declared groups of 5, processor time", best, 2*time.Second)
}
