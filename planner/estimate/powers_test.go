package estimate

import (
	"math"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
)

// The outermost buckets with enough values are returned, and not buckets whose counts noise explains.
func TestOutermostPower(t *testing.T) {
	edges := PowerEdges(true)
	n := len(edges) + 1
	counts := make([]int64, n)
	at := func(x float64) int { // the bucket of x
		for i, e := range edges {
			if x < e {
				return i
			}
		}
		return n - 1
	}
	counts[at(-3)], counts[at(5)], counts[at(1000)] = 500, 900, 3
	tree := NewTree(fragment.Buckets{Upper: float64(n), Branching: n, Levels: 1}, 1, counts, dp.Distribution{Mechanism: dp.Gaussian, Scale: 2})
	if x, low, high := tree.OutermostPower(false); x != -4 || !math.IsInf(low, -1) || high != -2 {
		t.Errorf("the lower end is %g in [%g, %g], want -4 in [-Inf, -2]", x, low, high)
	}
	if x, low, high := tree.OutermostPower(true); x != 8 || low != 4 || !math.IsInf(high, 1) {
		t.Errorf("the upper end is %g in [%g, %g], want 8 in [4, +Inf]", x, low, high)
	}
	if x, _, _ := NewTree(tree.Buckets, 1, make([]int64, n), tree.Noise).OutermostPower(true); !math.IsNaN(x) {
		t.Errorf("of nothing the upper end is %g", x)
	}
}

func TestWholeBuckets(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		norm      fragment.Norm
		branching int
		levels    int
	}{
		{0, 5, fragment.L2, 6, 1}, {0, 120, fragment.L2, 5, 3}, {0, 120, fragment.L1, 11, 2},
	} {
		b := WholeBuckets(c.low, c.high, 3, c.norm)
		if b.Branching != c.branching || b.Levels != c.levels || b.Width() != 1 || b.Lower != c.low || b.Upper <= c.high {
			t.Errorf("%g to %g under %s: %d branches, %d levels, to %g", c.low, c.high, c.norm, b.Branching, b.Levels, b.Upper)
		}
	}
}

func TestClipped(t *testing.T) {
	noise := []dp.RatioTerm{{Distribution: dp.Distribution{Mechanism: dp.Gaussian, Scale: 10}, Numerator: 1}}
	of := func(x float64) dp.Ratio { return dp.Ratio{Numerator: x, Denominator: 1, Terms: noise} }
	if low, high := Clipped(of(5), 0.95, 0, math.Inf(1)); low != 0 || math.Abs(high-24.6) > 0.5 {
		t.Errorf("5 of counts is in [%g, %g]", low, high)
	}
	// Outside the possible range, the interval starts at the bound and keeps the promised width.
	for _, beyond := range []float64{-1, -18, -60} {
		if low, high := Clipped(of(beyond), 0.95, 0, math.Inf(1)); low != 0 || math.Abs(high-19.6) > 0.5 {
			t.Errorf("%v of counts is in [%g, %g], which claims more than ± 19.6", beyond, low, high)
		}
		if low, high := Clipped(of(100-beyond), 0.95, 0, 100); high != 100 || math.Abs(low-80.4) > 0.5 {
			t.Errorf("%v of at most 100 is in [%g, %g], which claims more than ± 19.6", 100-beyond, low, high)
		}
	}
}
