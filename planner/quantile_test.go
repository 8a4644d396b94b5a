package planner

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/estimate"
)

// release is a tree over values, in rows. It has noise if the distribution has a scale.
func release(p *Plan, values []float64, noise dp.Distribution) []int64 {
	b := *p.Fragment.Partials[0].Buckets
	leaves, unit := make([]int64, b.Leaves()), p.Proof.Units[0]
	for _, x := range values {
		leaves[b.Leaf(x)] += unit
	}
	nodes := p.Coordinates(0, leaves)
	for i := range nodes {
		if noise.Scale > 0 {
			nodes[i] += int64(math.Round(float64(unit) * noise.Quantile(math.Max(rand.Float64(), 1e-15))))
		}
	}
	return nodes
}

// inUnits converts noise in rows to the units of the tree's counts.
func inUnits(p *Plan, noise dp.Distribution) dp.Distribution {
	noise.Scale *= float64(p.Proof.Units[0])
	return noise
}

// treeOf is the tree of a partial aggregate, with another noise.
func treeOf(p *Plan, partial int, counts []int64, noise dp.Distribution) estimate.Tree {
	other := *p
	other.noise = slices.Clone(p.noise)
	other.noise[partial] = noise
	return other.tree(partial, counts)
}

func quantilePlan(t testing.TB, sql string) *Plan {
	t.Helper()
	p, err := Build(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}}, federation(t, "eicu"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestQuantilesWithoutNoise(t *testing.T) {
	p := quantilePlan(t, "SELECT MEDIAN(admissionweight) FROM patient")
	var values []float64
	for i := range 1001 {
		values = append(values, 40+float64(i)/10)
	}
	tr := treeOf(p, 0, release(p, values, dp.Distribution{}), inUnits(p, dp.Distribution{Mechanism: dp.Laplace, Scale: 1e-9}))
	for q, want := range map[float64]float64{0.1: 50, 0.25: 65, 0.5: 90, 0.9: 130} {
		x, low, high := tr.Quantile(q, 0.95)
		if step := tr.Buckets.Width(); math.Abs(x-want) > 2*step || low > want+step || high < want-step || high-low > 5*step {
			t.Errorf("quantile %v is %v in [%v, %v], want %v", q, x, low, high, want)
		}
	}
	if x, low, high := tr.Extreme(false, 0.95); math.Abs(x-40) > 0.2 || low != 0 || high != x {
		t.Errorf("minimum %v in [%v, %v]", x, low, high)
	}
	if x, _, high := tr.Extreme(true, 0.95); math.Abs(x-140) > 0.2 || high != 300 {
		t.Errorf("maximum %v, at most %v", x, high)
	}
}

// TestBelowAddsUp checks that the sum below an edge, minus the share, is right for every way to combine nodes.
func TestBelowAddsUp(t *testing.T) {
	fed := federation(t, "eicu")
	fed.Accounting = dp.Pure // under zCDP there is no tree
	p, err := Build(Query{SQL: "SELECT gender, MEDIAN(admissionweight), COUNT(*) FROM patient WHERE gender = 'Male' GROUP BY gender", Ask: Ask{Epsilon: 1, Delta: 1e-6}}, fed)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(p.Fragment.Partials, func(p fragment.Partial) bool { return p.Buckets != nil })
	b := *p.Fragment.Partials[i].Buckets
	leaves := make([]int64, b.Leaves())
	total := int64(0)
	for j := range leaves {
		n := int64(rand.IntN(5))
		leaves[j] = n * p.Proof.Units[i]
		total += n
	}
	tr := treeOf(p, i, p.Coordinates(i, leaves), dp.Distribution{Mechanism: dp.Laplace, Scale: 1})
	if n := p.places[i].end - p.places[i].start; len(tr.Counts) != n {
		t.Fatalf("%d nodes, want %d", len(tr.Counts), n)
	}
	under := int64(0)
	for edge := 0; edge <= len(leaves); edge++ {
		if got, _ := tr.Below(edge, 0.3); math.Abs(got-(float64(under)-0.3*float64(total))) > 1e-6 {
			t.Fatalf("below edge %d: %v, want %v", edge, got, float64(under)-0.3*float64(total))
		}
		if edge < len(leaves) {
			under += leaves[edge] / p.Proof.Units[i]
		}
	}
}

// TestQuantileIntervalsCover checks coverage. With 400 draws each, coverage more than 6 standard deviations below 95 %
// has a probability below 1e-8.
func TestQuantileIntervalsCover(t *testing.T) {
	const n = 400
	coverQuantiles(t, n, quantilePlan(t, "SELECT MEDIAN(admissionweight) FROM patient"), func(x float64) float64 { return x })
	coverQuantiles(t, n, quantilePlan(t, "SELECT MEDIAN(CLAMP(CAST(admissionweight AS int), 0, 300)) FROM patient"), math.Round)
}

// coverQuantiles draws quantiles of values computed from normal ones.
func coverQuantiles(t *testing.T, n int, p *Plan, made func(float64) float64) {
	t.Helper()
	floor := 0.95 - 6*math.Sqrt(0.95*0.05/float64(n))
	for _, patients := range []int{50, 1000, 20000} {
		var values []float64
		for range patients {
			values = append(values, made(math.Max(0, math.Min(300, 80+20*rand.NormFloat64()))))
		}
		slices.Sort(values)
		for _, q := range []float64{0.05, 0.5, 0.9} {
			exact := values[int(q*float64(patients))]
			for _, noise := range []dp.Distribution{{Mechanism: dp.Laplace, Scale: 15}, {Mechanism: dp.Gaussian, Scale: 15}} {
				covered := 0
				for range n {
					tr := treeOf(p, 0, release(p, values, noise), inUnits(p, noise))
					x, low, high := tr.Quantile(q, 0.95)
					if x < low || x > high {
						t.Fatalf("%v is outside [%v, %v]", x, low, high)
					}
					if low <= exact && exact <= high {
						covered++
					}
				}
				if got := float64(covered) / float64(n); got < floor {
					t.Errorf("%d patients, quantile %v, %s: %.3f of the intervals cover", patients, q, noise.Mechanism, got)
				}
			}
		}
	}
}

// TestQuantilesOfWholeNumbers checks that each whole number has a bucket, so quantiles are exact.
func TestQuantilesOfWholeNumbers(t *testing.T) {
	for _, accounting := range []dp.Accounting{dp.ZCDP, dp.Pure} {
		fed := federation(t, "eicu")
		fed.Accounting = accounting
		p, err := Build(Query{SQL: "SELECT MEDIAN(CLAMP(CAST(admissionweight AS int), 10, 129)) FROM patient", Ask: Ask{Epsilon: 1}}, fed)
		if err != nil {
			t.Fatal(err)
		}
		if b := p.Fragment.Partials[0].Buckets; b.Leaves() > 150 || b.Width() != 1 || b.Lower != 10 {
			t.Errorf("%s: %+v", accounting, b)
		}
		var values []float64
		for x := 40.0; x <= 100; x++ {
			values = append(values, x, x, x)
		}
		tr := treeOf(p, 0, release(p, values, dp.Distribution{}), inUnits(p, dp.Distribution{Mechanism: dp.Gaussian, Scale: 1e-9}))
		for q, want := range map[float64]float64{0.001: 40, 0.1: 46, 0.5: 70, 0.999: 100} {
			if x, low, high := tr.Quantile(q, 0.95); x != want || low != want || high != want {
				t.Errorf("%s: quantile %v is %v in [%v, %v], want %v", accounting, q, x, low, high, want)
			}
		}
		if x, low, high := tr.Extreme(false, 0.95); x != 40 || low != 10 || high != 40 {
			t.Errorf("%s: minimum %v in [%v, %v]", accounting, x, low, high)
		}
		if x, low, _ := tr.Extreme(true, 0.95); x != 100 || low != 100 {
			t.Errorf("%s: maximum %v from %v on", accounting, x, low)
		}
	}
}
