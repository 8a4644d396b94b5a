package coordinator

import (
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
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
`

// BenchmarkMerge adds up what five hospitals answer of 100,000 undeclared groups, and BenchmarkRelease covers them.
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

func manyPlan(b *testing.B, accounting dp.Accounting) *planner.Plan {
	b.Helper()
	c, err := catalog.Parse([]byte(manyGroups), "many.yaml")
	if err != nil {
		b.Fatal(err)
	}
	p, err := planner.Compose(planner.Query{SQL: "SELECT many, COUNT(*) FROM event GROUP BY many", Ask: planner.Ask{Epsilon: 1, Delta: 1e-6, MaxGroups: 3, MaxRows: 10}},
		planner.Federation{Catalog: c, Hospitals: []string{"a", "b", "c", "d", "e"}, Accounting: accounting, Digest: "of the test"})
	if err != nil {
		b.Fatal(err)
	}
	return p.Releases[0]
}

func mergeMany(b *testing.B, p *planner.Plan) *merger {
	b.Helper()
	total := newMerger(p.Fragment)
	partials := make([]int64, p.Fragment.Width())
	for range 5 {
		site := total.sibling()
		for k := range int64(100_000) {
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
