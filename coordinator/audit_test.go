package coordinator

import (
	"errors"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"gonum.org/v1/gonum/mathext"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// Audits of whole queries: planner, merger, release and Finish as they are, over what hospitals answer with one
// patient and without. How they conclude, and from which literature, stands with the audits of
// package dp, of which the statistics are a copy.

// auditAlarm is the probability with which one audit finds a loss that is not there; dp's audits count too:
// there are fewer than 20, so a run alarms falsely with probability below 1e-7.
const auditAlarm = 4e-9

// auditDraws is how often each of two neighbours is drawn.
func auditDraws(quick int) int {
	if os.Getenv("INTRAMUROS_FULL") != "" {
		return 1_000_000
	}
	return quick
}

// lossAtLeast gives an epsilon that a mechanism loses at least, beside delta, unless the draws mislead,
// which they do with probability at most auditAlarm. score draws one release, with the patient or
// without, and gives a number that tends to be larger with.
func lossAtLeast(draws int, delta float64, score func(with bool) float64) float64 {
	sample := func() (with, without []float64) {
		for range draws / 2 {
			with, without = append(with, score(true)), append(without, score(false))
		}
		slices.Sort(with)
		slices.Sort(without)
		return with, without
	}
	loss := func(with, without []float64, threshold float64, above bool) float64 {
		n := len(with)
		p, _ := slices.BinarySearch(with, threshold)
		q, _ := slices.BinarySearch(without, threshold)
		if above {
			p, q = n-p, n-q
		} else {
			p, q = q, p
		}
		return math.Log(math.Max(0, atLeastProbability(p, n)-delta) / atMostProbability(q, n))
	}
	with, without := sample()
	best, threshold, above := math.Inf(-1), 0.0, true
	const candidates = 200
	for i := range candidates {
		for _, t := range []float64{with[i*len(with)/candidates], without[i*len(without)/candidates]} {
			for _, side := range []bool{true, false} {
				if l := loss(with, without, t, side); l > best {
					best, threshold, above = l, t, side
				}
			}
		}
	}
	with, without = sample()
	return loss(with, without, threshold, above)
}

// atLeastProbability is Clopper and Pearson's lower bound (1934) on the probability of what happened k times in n.
func atLeastProbability(k, n int) float64 {
	if k == 0 {
		return 0
	}
	low, high := 0.0, float64(k)/float64(n)
	for range 60 { // P(Binomial(n, p) >= k) is the incomplete beta function of p
		if p := (low + high) / 2; mathext.RegIncBeta(float64(k), float64(n-k+1), p) <= auditAlarm/2 {
			low = p
		} else {
			high = p
		}
	}
	return low
}

func atMostProbability(k, n int) float64 { return 1 - atLeastProbability(n-k, n) }

// narrowed is noise of four fifths the scale, under the same claim.
func narrowed(t *testing.T, n dp.Noise, lInf int64) dp.Noise {
	t.Helper()
	want := 0.8 * n.Distribution(lInf).Scale
	low, high := n.Epsilon, 4*n.Epsilon
	for range 60 {
		if n.Epsilon = (low + high) / 2; n.Distribution(lInf).Scale > want {
			low = n.Epsilon
		} else {
			high = n.Epsilon
		}
	}
	if got := n.Distribution(lInf).Scale; math.Abs(got/want-1) > 2e-3 {
		t.Fatalf("no noise has scale %v; %+v has %v", want, n, got)
	}
	return n
}

// expectAudit audits a claim, and that the audit finds narrowed noise.
func expectAudit(t *testing.T, draws int, epsilon, delta float64, honest, narrow func(with bool) float64) {
	t.Helper()
	if got := lossAtLeast(draws, delta, honest); got > epsilon {
		t.Errorf("it loses at least epsilon %.4f, and claims %v (delta %v)", got, epsilon, delta)
	} else {
		t.Logf("it loses at least epsilon %.4f, and claims %v (delta %v)", got, epsilon, delta)
	}
	if got := lossAtLeast(draws, delta, narrow); got <= epsilon {
		t.Errorf("noise that is a fifth too narrow goes unseen: at least %.4f of a claimed %v (delta %v)", got, epsilon, delta)
	} else {
		t.Logf("a fifth too narrow: at least epsilon %.4f", got)
	}
}

// Numbers of draws are such that narrowed noise exceeds the claim by more than 6 standard deviations of what the audit
// finds (mean and deviation from 8 to 12 repetitions), so that it goes unseen with probability below 1e-8.
const auditCatalog = `catalog: audit
max_sites: 2
max_groups: 2
max_rows: 3
tables:
  person:
    key: id
    patient: id
    one_row_per_patient: true
    columns:
      id: {type: int, nullable: false}
  stay:
    patient: id
    columns:
      id: {type: int, nullable: false, references: person.id}
      ward: {type: text, nullable: false, domain: [north, south]}
      unit: {type: text, nullable: false}
      days: {type: int, nullable: false, bounds: [0, 90]}
`

// audited is a query whose answers are drawn over neighbouring data.
type audited struct {
	t             *testing.T
	plan          *planner.Plan
	with, without *merger
}

// audit plans a query and has two hospitals answer it, which have others' partial aggregates, and one patient, who
// contributes all that a patient may to each of the groups that are given for the hospital.
func audit(t *testing.T, q planner.Query, accounting dp.Accounting, others func(p *planner.Plan, site int) map[string][]int64, groups [2][]string) *audited {
	t.Helper()
	c, err := catalog.Parse([]byte(auditCatalog), "audit.yaml")
	must(t, err)
	p, err := planner.Build(q, planner.Federation{Catalog: c, Hospitals: []string{"a", "b"}, Accounting: accounting})
	must(t, err)
	if p.Sites != 2 || p.Proof.Groups != len(groups[0]) {
		t.Fatalf("the patient is not the worst:\n%s", p.Describe())
	}
	data := func(with bool) *merger {
		total := newMerger(p.Fragment)
		for i := range p.Sites {
			sums := map[string][]int64{}
			for g, x := range others(p, i) {
				sums[g] = slices.Clone(x)
			}
			for _, g := range groups[i] {
				if !with {
					continue
				}
				if sums[g] == nil {
					sums[g] = make([]int64, len(p.Proof.LInf))
				}
				for i, part := range p.Proof.LInf {
					sums[g][i] += part
				}
			}
			site := total.sibling()
			b := array.NewRecordBuilder(memory.NewGoAllocator(), p.Fragment.Schema())
			for g, x := range sums {
				keys := []value.Value{value.Text(g)}
				fragment.AppendRow(b, keys[:len(p.Fragment.Keys)], x)
			}
			record := b.NewRecord()
			must(t, site.take(record))
			record.Release()
			b.Release()
			must(t, total.merge(site))
		}
		return total
	}
	return &audited{t: t, plan: p, with: data(true), without: data(false)}
}

// draw answers the query with its own noise or another, and gives the score of the answer.
func (a *audited) draw(noise dp.Noise, p *planner.Plan, score func(*planner.Answer) float64) func(with bool) float64 {
	c := &Coordinator{noise: func(_ dp.Noise, x, lInf int64) (int64, error) { return noise.Add(x, lInf) }}
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

// favors is the logarithm of the likelihoods' ratio, but for a factor, of a coordinate that is 0
// without the patient and 1 with.
func favors(m dp.Mechanism, y float64) float64 {
	if m == dp.Gaussian {
		return 2*y - 1
	}
	return math.Abs(y) - math.Abs(y-1)
}

// A COUNT by declared groups: the patient is in two groups at each of two hospitals, with all rows that count.
func TestAuditCount(t *testing.T) {
	t.Parallel()
	q := planner.Query{SQL: "SELECT ward, COUNT(*) FROM stay GROUP BY ward", Epsilon: 1.5}
	a := audit(t, q, dp.Pure, func(*planner.Plan, int) map[string][]int64 {
		return map[string][]int64{"north": {500}, "south": {700}}
	}, [2][]string{{"north", "south"}, {"north", "south"}})
	score := func(answer *planner.Answer) float64 {
		change := float64(a.plan.LInf(0))
		return favors(dp.Laplace, (answer.Rows[0][1].Value.Float64()-1000)/change) + favors(dp.Laplace, (answer.Rows[1][1].Value.Float64()-1400)/change)
	}
	expectAudit(t, auditDraws(60_000), q.Epsilon, 0, a.draw(a.plan.Noise, a.plan, score), a.draw(narrowed(t, a.plan.Noise, a.plan.LInf(0)), a.plan, score))
}

// An AVG and the COUNT it shares: two partial aggregates, one epsilon.
func TestAuditAverage(t *testing.T) {
	t.Parallel()
	// delta is such that the event that is tight has a probability that can be measured.
	q := planner.Query{SQL: "SELECT AVG(days), COUNT(*) FROM stay", Epsilon: 1, Delta: 0.1}
	count := 0
	a := audit(t, q, dp.ZCDP, func(p *planner.Plan, _ int) map[string][]int64 {
		others := []int64{0, 0}
		count = slices.IndexFunc(p.Fragment.Partials, func(p fragment.Partial) bool { return p.Kind == fragment.PartialRows })
		others[count] = 50_000
		return map[string][]int64{"": others}
	}, [2][]string{{""}, {""}})
	if a.plan.Noise.Mechanism != dp.Gaussian {
		t.Fatalf("the noise is %+v", a.plan.Noise)
	}
	center := a.plan.Fragment.Partials[1-count].Grid.Center
	score := func(answer *planner.Answer) float64 {
		n := answer.Rows[0][1].Value.Float64()
		sum := (answer.Rows[0][0].Value.Float64() - float64(center)) * n
		return favors(dp.Gaussian, (n-100_000)/float64(a.plan.LInf(count))) + favors(dp.Gaussian, sum/float64(a.plan.LInf(1-count)))
	}
	expectAudit(t, auditDraws(60_000), q.Epsilon, q.Delta,
		a.draw(a.plan.Noise, a.plan, score), a.draw(narrowed(t, a.plan.Noise, a.plan.LInf(0)), a.plan, score))
}

// A number of patients by undeclared groups, of which the patient changes one that others are in, so that it is shown or not.
func TestAuditSelection(t *testing.T) {
	t.Parallel()
	q := planner.Query{SQL: "SELECT unit, COUNT(DISTINCT patient) FROM stay GROUP BY unit", Epsilon: 2, Delta: 1e-3, MaxGroups: 1}
	a := audit(t, q, dp.Pure, func(p *planner.Plan, site int) map[string][]int64 {
		others := p.Selection.Threshold - 1 - p.LInf(0) // with the patient one below the threshold
		return map[string][]int64{"shared": {(others + int64(site)) / 2}}
	}, [2][]string{{"shared"}, {"shared"}})
	score := func(answer *planner.Answer) float64 {
		if len(answer.Rows) == 0 {
			return 0
		}
		return answer.Rows[0][1].Value.Float64()
	}
	expectAudit(t, auditDraws(80_000), q.Epsilon, q.Delta,
		a.draw(a.plan.Noise, a.plan, score), a.draw(narrowed(t, a.plan.Noise, a.plan.LInf(0)), a.plan, score))
}

// Groups that only the patient has, another at each hospital, which is the worst case: that any is shown has probability at
// most delta. A threshold that is too low for the noise is found out.
func TestAuditSingleton(t *testing.T) {
	t.Parallel()
	q := planner.Query{SQL: "SELECT unit, COUNT(*) FROM stay GROUP BY unit", Epsilon: 1, Delta: 0.05, MaxGroups: 1}
	a := audit(t, q, dp.Pure, func(*planner.Plan, int) map[string][]int64 { return nil }, [2][]string{{"mine"}, {"mine too"}})
	shown := func(answer *planner.Answer) float64 { return min(1, float64(len(answer.Rows))) }
	low, selection := *a.plan, *a.plan.Selection
	var err error
	selection.Threshold, err = narrowed(t, a.plan.Noise, 2).Threshold(int64(a.plan.Proof.Groups), int64(a.plan.Sites), selection.Delta)
	must(t, err)
	low.Selection = &selection
	expectAudit(t, auditDraws(40_000), q.Epsilon, q.Delta, a.draw(a.plan.Noise, a.plan, shown), a.draw(a.plan.Noise, &low, shown))
}

// The cap of one query is on what it costs: Gaussian noise of a small epsilon at a large delta is dear.
func TestAttackCapByDelta(t *testing.T) {
	f := newFederation(t, nil)
	f.propose(t, "z", func(d *study.Document) {
		d.Budget, d.MaxEpsilon = dp.Budget{Accounting: dp.ZCDP, Epsilon: 20, Delta: 1e-6}, 0.5
	})
	for _, delta := range []float64{0.1, 0.5, 0.9, 0.99999} {
		a, err := f.Query(t.Context(), asker("alice"), Request{SQL: "SELECT AVG(age) FROM person", Study: "z", Epsilon: 0.5, Delta: delta}, nil)
		if err == nil && a.Cost.Rho > 0.125 || err != nil && !errors.Is(err, CodeEpsilonTooLarge) {
			t.Errorf("delta %v: %v, %+v, where Laplace noise of the cap costs rho 0.125", delta, err, a)
		}
	}
}
