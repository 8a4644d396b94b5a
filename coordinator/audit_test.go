package coordinator

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/audit"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// These audits cover whole queries: the real planner, merger, release and Finish, over hospitals' answers with one
// patient and without. Package audit says how they conclude.

// narrowed is noise of 4/5 of the scale, with the same claim.
func narrowed(t *testing.T, n dp.Noise, c dp.Coordinate) dp.Noise {
	t.Helper()
	n.Epsilon = audit.Narrow(t, n.Epsilon, func(epsilon float64) float64 {
		n.Epsilon = epsilon
		return n.Distribution(c).Scale
	})
	return n
}

// The number of draws is such that narrowed noise exceeds the claim by more than 6 standard deviations of the audit's
// result (mean and deviation from 8 to 12 repetitions). So it goes unnoticed with probability below 1e-8.
var auditCatalog = testcatalog.YAML(`catalog: audit
max_sites: 2
max_groups: 2
max_rows: 3`,
	testcatalog.Person(),
	testcatalog.Rows("stay",
		"ward: {type: text, nullable: false, domain: [north, south]}",
		"unit: {type: text, nullable: false}",
		"days: {type: int, nullable: false, bounds: [0, 90]}",
	),
)

// audited is a query whose answers are drawn over neighbouring data.
type audited struct {
	t             *testing.T
	plan          *planner.Plan
	with, without exact
}

// whole is a patient who contributes as much as allowed, equally to each of the groups.
func whole(groups ...string) func(p *planner.Plan, site int) map[string][]int64 {
	return func(p *planner.Plan, _ int) map[string][]int64 {
		parts := map[string][]int64{}
		for _, g := range groups {
			part := make([]int64, p.Fragment.Width())
			at := 0
			for i, partial := range p.Fragment.Partials { // of buckets, all in the first
				part[at] = p.Proof.Sizes[i] * partial.ShareOrOne() / p.Proof.NormWeight(p.Fragment, i)
				at += partial.Width()
			}
			parts[g] = part
		}
		return parts
	}
}

// ask plans a query. Two hospitals answer it, with the partial aggregates of others and of one patient.
func ask(t *testing.T, q planner.Query, accounting dp.Accounting, others, patient func(p *planner.Plan, site int) map[string][]int64) *audited {
	t.Helper()
	c, err := catalog.Parse([]byte(auditCatalog), "audit.yaml")
	must(t, err)
	p, err := planner.Build(q, planner.Federation{Catalog: c, Hospitals: []string{"a", "b"}, Accounting: accounting})
	must(t, err)
	if p.Sites != 2 {
		t.Fatalf("the patient is not the worst:\n%s", p.Describe())
	}
	data := func(with bool) exact {
		total := newExact(p.Fragment)
		for i := range p.Sites {
			sums := map[string][]int64{}
			for g, x := range others(p, i) {
				sums[g] = make([]int64, p.Fragment.Width())
				copy(sums[g], x)
			}
			for g, part := range patient(p, i) {
				if !with {
					continue
				}
				if sums[g] == nil {
					sums[g] = make([]int64, p.Fragment.Width())
				}
				for i, x := range part {
					sums[g][i] += x
				}
			}
			site := total.emptyCopy()
			b := array.NewRecordBuilder(memory.NewGoAllocator(), p.Fragment.Schema())
			for g, x := range sums {
				keys := []value.Value{value.Text(g)}
				fragment.AppendRow(b, keys[:len(p.Fragment.Keys)], x)
			}
			record := b.NewRecord()
			must(t, site.addRecord(record))
			record.Release()
			b.Release()
			must(t, total.merge(site))
		}
		return total
	}
	return &audited{t: t, plan: p, with: data(true), without: data(false)}
}

// told is the epsilon of what the answer shows. A part of the limit is for the number that measures what was left out,
// which the audits' scores do not use. Without this, noise that is a fifth too narrow would hardly exceed the claim. It
// is for L1; under L2 the square root counts.
func (a *audited) told(epsilon float64) float64 {
	shown := 0
	for _, p := range a.plan.Fragment.Partials {
		if p.Kind != fragment.PartialBeyond {
			shown += p.Weight()
		}
	}
	return epsilon * float64(shown) / float64(a.plan.Fragment.Weight())
}

// draw answers the query with its own noise or another, and returns the answer's score.
func (a *audited) draw(noise dp.Noise, p *planner.Plan, score func(*planner.Answer) float64) func(with bool) float64 {
	c := &Coordinator{noise: func(_ dp.Noise, c dp.Coordinate) (adder, error) { return drawn(noise, c) }}
	return func(with bool) float64 {
		sums := a.without
		if with {
			sums = a.with
		}
		cells, err := c.release(a.t.Context(), p, sums)
		if err == nil {
			var answer *planner.Answer
			if answer, err = p.Finish(cells, 0.95); err == nil {
				return score(answer)
			}
		}
		a.t.Error(err)
		return 0
	}
}

// gaussianDelta is the delta, for this epsilon, of Gaussian noise that is shifted by mu of its deviations (Balle & Wang
// 2018, Theorem 8).
func gaussianDelta(epsilon, mu float64) float64 {
	below := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	return below(mu/2-epsilon/mu) - math.Exp(epsilon)*below(-mu/2-epsilon/mu)
}

// favors is the log-likelihood ratio, up to a factor, of a coordinate that is 0 without the patient and 1 with.
func favors(m dp.Mechanism, y float64) float64 {
	if m == dp.Gaussian {
		return 2*y - 1
	}
	return math.Abs(y) - math.Abs(y-1)
}

// A COUNT by declared groups: the patient is in two groups at each of two hospitals, with all rows that count.
func TestAuditCount(t *testing.T) {
	t.Parallel()
	q := planner.Query{SQL: "SELECT ward, COUNT(*) FROM stay GROUP BY ward", Ask: planner.Ask{Epsilon: 1.5}}
	a := ask(t, q, dp.Pure, func(p *planner.Plan, _ int) map[string][]int64 {
		return map[string][]int64{"north": {500 * p.Proof.Units[0]}, "south": {700 * p.Proof.Units[0]}}
	}, whole("north", "south"))
	score := func(answer *planner.Answer) float64 {
		change := float64(a.plan.Coordinate(0).Size) / 2 / float64(a.plan.Proof.Units[0])
		return favors(dp.Laplace, (answer.Rows[0][1].Value.Float64()-1000)/change) + favors(dp.Laplace, (answer.Rows[1][1].Value.Float64()-1400)/change)
	}
	audit.Expect(t, audit.Draws(60_000), a.told(q.Epsilon), 0, a.draw(a.plan.Noise, a.plan, score), a.draw(narrowed(t, a.plan.Noise, a.plan.Coordinate(0)), a.plan, score))
}

// An AVG and the COUNT that it shares: two partial aggregates, one epsilon.
func TestAuditAverage(t *testing.T) {
	t.Parallel()
	q := planner.Query{SQL: "SELECT AVG(days), COUNT(*) FROM stay", Ask: planner.Ask{Epsilon: 1, Delta: 0.1}}
	count := 0
	a := ask(t, q, dp.ZCDP, func(p *planner.Plan, _ int) map[string][]int64 {
		others := make([]int64, p.Fragment.Width())
		count = slices.IndexFunc(p.Fragment.Partials, func(p fragment.Partial) bool { return p.Kind == fragment.PartialRows })
		others[count] = 50_000 * p.Proof.Units[count]
		return map[string][]int64{"": others}
	}, whole(""))
	if a.plan.Noise.Mechanism != dp.Gaussian {
		t.Fatalf("the noise is %+v", a.plan.Noise)
	}
	center := a.plan.Fragment.Partials[1-count].Grid.Center
	rows := func(partial int) float64 {
		return float64(a.plan.Coordinate(partial).Size) / float64(a.plan.Proof.Units[partial])
	}
	score := func(answer *planner.Answer) float64 {
		n := answer.Rows[0][1].Value.Float64()
		sum := (answer.Rows[0][0].Value.Float64() - float64(center)) * n
		return favors(dp.Gaussian, (n-100_000)/rows(count)) + favors(dp.Gaussian, sum/rows(1-count))
	}
	audit.Expect(t, audit.Draws(60_000), q.Epsilon, gaussianDelta(q.Epsilon, q.Epsilon*math.Sqrt(a.told(1))),
		a.draw(a.plan.Noise, a.plan, score), a.draw(narrowed(t, a.plan.Noise, a.plan.Coordinate(0)), a.plan, score))
}

// Counts of buckets, as for HISTOGRAM, COUNT(DISTINCT x), APPROX_BOUNDS and quantiles. All of the patient's rows are in
// one bucket, beside a COUNT of three times the weight.
func TestAuditBuckets(t *testing.T) {
	t.Parallel()
	q := planner.Query{SQL: "SELECT HISTOGRAM(days, 0, 90, 3) AS h, COUNT(*) AS n FROM stay", Ask: planner.Ask{Epsilon: 1.5, Weights: map[string]int{"n": 3}}}
	a := ask(t, q, dp.Pure, func(p *planner.Plan, _ int) map[string][]int64 {
		others := make([]int64, p.Fragment.Width())
		at := 0
		for i, partial := range p.Fragment.Partials {
			others[at] = 500 * p.Proof.Units[i]
			at += partial.Width()
		}
		return map[string][]int64{"": others}
	}, whole(""))
	if a.plan.Noise.Limit != 19*4+3 { // and the number that measures what was left out
		t.Fatalf("the noise is %+v", a.plan.Noise)
	}
	score := func(answer *planner.Answer) float64 {
		const change = 2 * 3 // in rows, at two hospitals
		return favors(dp.Laplace, (answer.Rows[0][0].Value.Float64()-1000)/change) + 3*favors(dp.Laplace, (answer.Rows[0][3].Value.Float64()-1000)/change)
	}
	audit.Expect(t, audit.Draws(80_000), a.told(q.Epsilon), 0, a.draw(a.plan.Noise, a.plan, score), a.draw(narrowed(t, a.plan.Noise, a.plan.Coordinate(0)), a.plan, score))
}

// Ranks, for quantiles, beside a count. The score is the projection of everything released on the direction in which
// the patient moves it. All of the patient's rows are in one bucket, in as many groups as allowed.
func TestAuditRanks(t *testing.T) {
	t.Parallel()
	q := planner.Query{SQL: "SELECT ward, MEDIAN(CLAMP(days, 0, 3)) AS m, COUNT(*) FROM stay GROUP BY ward",
		Ask: planner.Ask{Epsilon: 1, Delta: 0.1, Weights: map[string]int{"m": 2}}}
	patient := func(p *planner.Plan, site int) map[string][]int64 {
		parts := whole("north", "south")(p, site)
		for _, part := range parts {
			at := 0
			for i, partial := range p.Fragment.Partials { // with c rows in each of two groups, the length is the root of 2c²
				part[at] = int64(float64(p.Proof.Sizes[i]) / math.Sqrt(2))
				if at += partial.Width(); partial.Kind == fragment.PartialBeyond {
					part[at-1] = 0
				}
			}
		}
		return parts
	}
	a := ask(t, q, dp.ZCDP, func(p *planner.Plan, _ int) map[string][]int64 {
		others := make([]int64, p.Fragment.Width())
		for i := range others {
			others[i] = 500 * p.Proof.Units[0]
		}
		return map[string][]int64{"north": others, "south": others}
	}, patient)
	exactly := func(m exact) []planner.Cell {
		cells, err := unnoised.release(t.Context(), a.plan, m)
		must(t, err)
		return cells
	}
	with, without := exactly(a.with), exactly(a.without)
	towards := make([][]float64, len(with)) // by number: its change in squares of the noise
	ranks := 0
	for g := range with {
		at := 0
		for i, partial := range a.plan.Fragment.Partials {
			deviation := a.plan.Noise.Distribution(a.plan.Coordinate(i)).StandardDeviation()
			for range a.plan.Coordinates(i, make([]int64, partial.Width())) {
				towards[g] = append(towards[g], float64(with[g].Noisy[at]-without[g].Noisy[at])/deviation/deviation)
				if at++; partial.Buckets != nil {
					ranks++
				}
			}
		}
	}
	if ranks != 2*4 {
		t.Fatalf("%d numbers of buckets are released:\n%s", ranks, a.plan.Describe())
	}
	draw := func(noise dp.Noise) audit.Score {
		c := &Coordinator{noise: func(_ dp.Noise, c dp.Coordinate) (adder, error) { return drawn(noise, c) }}
		return func(with bool) (score float64) {
			sums := a.without
			if with {
				sums = a.with
			}
			cells, err := c.release(t.Context(), a.plan, sums)
			if err != nil {
				t.Error(err)
				return 0
			}
			for g, cell := range cells {
				for k, x := range cell.Noisy {
					score += towards[g][k] * float64(x-without[g].Noisy[k])
				}
			}
			return score
		}
	}
	audit.Expect(t, audit.Draws(60_000), q.Epsilon, gaussianDelta(q.Epsilon, q.Epsilon*math.Sqrt(a.told(1))),
		draw(a.plan.Noise), draw(narrowed(t, a.plan.Noise, a.plan.Coordinate(0))))
}

// The number of patients in undeclared groups. The patient decides whether a group with other patients is shown.
func TestAuditSelection(t *testing.T) {
	t.Parallel()
	q := planner.Query{SQL: "SELECT unit, COUNT(DISTINCT patient) FROM stay GROUP BY unit", Ask: planner.Ask{Epsilon: 2, Delta: 1e-3, MaxGroups: 1}}
	a := ask(t, q, dp.Pure, func(p *planner.Plan, site int) map[string][]int64 {
		// With the patient, who counts once at each site, the group is just at the threshold. So among the most revealing
		// events, which are to be shown with that number or more, it is the one with the most draws. One below it, narrowed
		// noise was noticed by only 1.3 deviations.
		others := p.Selection.Threshold - 2
		return map[string][]int64{"shared": {(others + int64(site)) / 2 * p.Proof.Units[0]}}
	}, whole("shared"))
	score := func(answer *planner.Answer) float64 {
		if len(answer.Rows) == 0 {
			return 0
		}
		return answer.Rows[0][1].Value.Float64()
	}
	audit.Expect(t, audit.Draws(80_000), a.told(q.Epsilon), q.Delta,
		a.draw(a.plan.Noise, a.plan, score), a.draw(narrowed(t, a.plan.Noise, a.plan.Coordinate(0)), a.plan, score))
}

// Groups that only the patient has: different ones at each hospital, as many as possible, each with the smallest part
// that makes a group appear. This is the worst case: any of them is shown with probability at most delta. A threshold
// that is too low for the noise is noticed.
func TestAuditSingleton(t *testing.T) {
	t.Parallel()
	q := planner.Query{SQL: "SELECT unit, COUNT(*) FROM stay GROUP BY unit", Ask: planner.Ask{Epsilon: 1, Delta: 0.05, MaxGroups: 1}}
	a := ask(t, q, dp.Pure, func(*planner.Plan, int) map[string][]int64 { return nil }, func(p *planner.Plan, site int) map[string][]int64 {
		parts := map[string][]int64{}
		for i := range fragment.LeastPresence * p.Noise.Limit / p.Proof.NormWeight(p.Fragment, p.Selection.Partial) {
			part := make([]int64, p.Fragment.Width())
			part[p.Selection.Place] = p.Proof.Units[p.Selection.Partial] / fragment.LeastPresence
			parts[fmt.Sprintf("mine %d of %d", i, site)] = part
		}
		return parts
	})
	shown := func(answer *planner.Answer) float64 { return min(1, float64(len(answer.Rows))) }
	low, selection := *a.plan, *a.plan.Selection
	var err error
	unit := a.plan.Proof.Units[selection.Partial]
	at := dp.Presence{Sites: 2, Least: unit / fragment.LeastPresence, Most: unit, Reach: unit * a.plan.Noise.Limit / a.plan.Proof.NormWeight(a.plan.Fragment, selection.Partial)}
	selection.Threshold, err = narrowed(t, a.plan.Noise, a.plan.Coordinate(selection.Partial)).Threshold(at, a.plan.Coordinate(selection.Partial), selection.Delta)
	must(t, err)
	selection.Threshold /= unit
	low.Selection = &selection
	audit.Expect(t, audit.Draws(40_000), q.Epsilon, q.Delta, a.draw(a.plan.Noise, a.plan, shown), a.draw(a.plan.Noise, &low, shown))
}

// The limit of one query is on its cost: Gaussian noise with a small epsilon and a large delta is expensive.
func TestAttackCapByDelta(t *testing.T) {
	f := newFederation(t, nil)
	f.propose(t, "z", func(d *study.Document) {
		d.Budget, d.MaxEpsilon = dp.Budget{Accounting: dp.ZCDP, Epsilon: 20, Delta: 1e-6}, 0.5
	})
	for _, delta := range []float64{0.1, 0.5, 0.9, 0.99999} {
		a, err := f.Query(t.Context(), asker("alice"), Request{SQL: "SELECT AVG(age) FROM person", Settings: Settings{Study: "z", Ask: planner.Ask{Epsilon: 0.5, Delta: delta}}}, nil)
		if err == nil && a.Cost.Rho > 0.125 || err != nil && !errors.Is(err, CodeEpsilonTooLarge) {
			t.Errorf("delta %v: %v, %+v, where Laplace noise of the cap costs rho 0.125", delta, err, a)
		}
	}
}
