package estimate_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/intramuros/intramuros/planner/estimate"
)

// shapes are tables by sets of keys.
var shapes = []struct {
	sizes     []int
	axes      [][]int
	variances []float64
}{
	{[]int{4}, [][]int{{0}, {}}, []float64{1, 1}},
	{[]int{3, 5}, [][]int{{0, 1}, {0}, {}}, []float64{1, 4, 0.5}},
	{[]int{3, 5}, [][]int{{0}, {1}, {}}, []float64{2, 1, 1}},
	{[]int{3, 5}, [][]int{{0}, {1}}, []float64{2, 1}},
	{[]int{3, 4, 2}, [][]int{{0, 1, 2}, {0, 1}, {0, 2}, {1, 2}, {0}, {1}, {2}, {}}, []float64{1, 1, 2, 1, 3, 1, 1, 9}},
	{[]int{3, 1}, [][]int{{0, 1}, {0}, {0}}, []float64{1, 2, 3}},
}

// of adds up a joint table to a table by these keys.
func of(sizes, axes []int, joint []float64) []float64 {
	n := 1
	for _, k := range axes {
		n *= sizes[k]
	}
	out := make([]float64, n)
	for cell, x := range joint {
		values := make([]int, len(sizes))
		for k, rest := len(sizes)-1, cell; k >= 0; k-- {
			values[k], rest = rest%sizes[k], rest/sizes[k]
		}
		place := 0
		for _, k := range axes {
			place = place*sizes[k] + values[k]
		}
		out[place] += x
	}
	return out
}

func joint(sizes []int, r *rand.Rand, draw func() float64) []float64 {
	n := 1
	for _, s := range sizes {
		n *= s
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = draw()
	}
	return out
}

// TestMarginalsAreLeastSquares checks the normal equations: the estimates come from one joint table, and the weighted
// residuals are orthogonal to every change of a joint table. Tables that agree do not change. Weights and Parts say how
// the estimates are made.
func TestMarginalsAreLeastSquares(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 0))
	for _, s := range shapes {
		m := estimate.NewMarginals(s.sizes, s.axes, s.variances)
		exact, noisy := make([][]float64, len(s.axes)), make([][]float64, len(s.axes))
		truth := joint(s.sizes, r, func() float64 { return float64(r.IntN(50)) })
		for i, axes := range s.axes {
			exact[i] = of(s.sizes, axes, truth)
			for _, x := range exact[i] {
				noisy[i] = append(noisy[i], x+math.Sqrt(s.variances[i])*r.NormFloat64())
			}
		}
		for i, table := range m.Fit(exact) {
			for k, x := range table {
				if math.Abs(x-exact[i][k]) > 1e-9 {
					t.Fatalf("%v: tables that agree are changed: %v, %v", s.axes, table, exact[i])
				}
			}
		}
		fit := m.Fit(noisy)
		if got := m.Misfit(fit); got > 1e-9 {
			t.Errorf("%v: the estimates differ by %v deviations", s.axes, got)
		}
		if got := m.Misfit(noisy); got == 0 || got > 6 {
			t.Errorf("%v: the numbers differ by %v deviations", s.axes, got)
		}
		for range 20 {
			direction := joint(s.sizes, r, r.NormFloat64)
			product := 0.0
			for i, axes := range s.axes {
				for k, d := range of(s.sizes, axes, direction) {
					product += (noisy[i][k] - fit[i][k]) * d / s.variances[i]
				}
			}
			if math.Abs(product) > 1e-9 {
				t.Fatalf("%v: the rest is not orthogonal: %v", s.axes, product)
			}
		}
		for i, table := range fit {
			for cell, want := range table {
				if finest, ok := m.Finest(); ok {
					sum := 0.0
					for _, k := range m.Within(i, cell, finest) {
						sum += fit[finest][k]
					}
					if math.Abs(sum-want) > 1e-9 {
						t.Fatalf("%v: the parts of table %d cell %d sum to %v, not %v", s.axes, i, cell, sum, want)
					}
				}
				got, variance := 0.0, 0.0
				for j := range s.axes {
					for k, w := range m.Weights(i, cell, j) {
						got += w * noisy[j][k]
						variance += w * w * s.variances[j]
					}
				}
				parts := 0.0
				for _, p := range m.Parts(i) {
					parts += float64(p.Count) * p.Weight * p.Weight * s.variances[p.Table]
				}
				if math.Abs(got-want) > 1e-9 || math.Abs(parts-variance) > 1e-9 || variance > s.variances[i]+1e-9 {
					t.Fatalf("%v: table %d cell %d is %v by weights, %v by fit; variance %v, by parts %v", s.axes, i, cell, got, want, variance, parts)
				}
			}
		}
	}
}

// TestSettledTablesAgree checks whole numbers, at least 0, whose totals are the sums of their parts.
func TestSettledTablesAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 0))
	for _, s := range shapes {
		m := estimate.NewMarginals(s.sizes, s.axes, s.variances)
		for round := range 200 {
			truth := joint(s.sizes, r, func() float64 { return float64(r.IntN(1 + round%7)) })
			noisy := make([][]float64, len(s.axes))
			for i, axes := range s.axes {
				for _, x := range of(s.sizes, axes, truth) {
					noisy[i] = append(noisy[i], x+5*math.Sqrt(s.variances[i])*r.NormFloat64())
				}
			}
			settled := m.Settle(m.Fit(noisy), true)
			totals := map[float64]bool{}
			for _, table := range settled {
				sum := 0.0
				for _, x := range table {
					if x < 0 || x != math.Trunc(x) {
						t.Fatalf("%v: %v", s.axes, table)
					}
					sum += x
				}
				totals[sum] = true
			}
			if len(totals) != 1 {
				t.Fatalf("%v: totals %v", s.axes, totals)
			}
			if len(s.axes) == 3 && len(s.axes[0]) == 2 && len(s.axes[1]) == 1 { // ROLLUP: each level
				for k, x := range of(s.sizes, s.axes[1], settled[0]) {
					if x != settled[1][k] {
						t.Fatalf("%v: %v and %v", s.axes, settled[0], settled[1])
					}
				}
			}
		}
	}
}
