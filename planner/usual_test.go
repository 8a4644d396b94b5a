package planner

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestUsualShares: over the moments that data may have, the shares of a function err less on average than equal ones,
// and nowhere much more. Beside the best there are, which nobody knows, a mean errs by at most 1.23 times, and beside
// equal ones by 1.07.
func TestUsualShares(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	for name, f := range aggregates {
		if f.shares == nil {
			continue
		}
		const draws = 2000
		usual, equal, worst, beside := 0.0, 0.0, 0.0, 0.0
		for range draws {
			x, reach := moments(r, len(f.shares))
			best, a := 0.0, make([]float64, len(x)) // shares proportional to |a| err by the sum of |a|
			for i := range x {
				const h = 1e-4
				up, down := append([]float64(nil), x...), append([]float64(nil), x...)
				up[i] += h
				down[i] -= h
				c := []float64{0, 0, 0, 0, 0.5, 0.5}[:len(x)]
				a[i] = reach[i] * (f.estimate(up, c) - f.estimate(down, c)) / (2 * h)
				best += math.Abs(a[i])
			}
			given, same, all := 0.0, 0.0, 0
			for i, s := range f.shares {
				all += s
				given += a[i] * a[i] / float64(s)
				same += a[i] * a[i]
			}
			if all != usualShare*len(f.shares) {
				t.Fatalf("%s: the shares %v are not %d on average", name, f.shares, usualShare)
			}
			given, same = math.Sqrt(given*float64(all))/best, math.Sqrt(same*float64(len(x)))/best
			usual, equal = usual+given/draws, equal+same/draws
			worst, beside = math.Max(worst, given), math.Max(beside, given/same)
		}
		t.Logf("%s: beside the best %.3f times on average and %.3f at most, equal shares %.3f; %.3f times those at most", name, usual, worst, equal, beside)
		if usual > 0.95*equal || beside > 1.25 || name == "avg" && (worst > 1.23 || beside > 1.07) {
			t.Errorf("%s: the shares %v err by %.3f times the best on average, equal ones by %.3f; by %.3f at most, and %.3f times equal ones", name, f.shares, usual, equal, worst, beside)
		}
	}
}

// moments draws, for each value, a mean anywhere in the middle two thirds of its bounds, of two values, or anywhere of
// one; and the standard deviations, of 4 to 22 % of the range, and the correlation of two. Sums are in units of their
// bounds and of the count, and reach is the bound of each.
func moments(r *rand.Rand, n int) (x, reach []float64) {
	const rows = 100
	between := func(low, high float64) float64 { return low + (high-low)*r.Float64() }
	if n == 2 {
		return []float64{rows * between(-1, 1), rows}, []float64{1, 1}
	}
	a, b, s, t, c := between(-0.6, 0.6), between(-0.6, 0.6), between(0.08, 0.45), between(0.08, 0.45), between(-0.8, 0.8)
	x = []float64{1, a, b, c*s*t + a*b, s*s + a*a - 0.5, t*t + b*b - 0.5}
	for i := range x {
		x[i] *= rows
	}
	return x, []float64{1, 1, 1, 1, 0.5, 0.5}
}
