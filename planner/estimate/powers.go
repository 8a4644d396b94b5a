package estimate

import (
	"math"
	"slices"
)

// APPROX_BOUNDS(x) finds bounds if neither the catalog nor the researcher knows any. It releases one histogram over
// powers of two, from -2^62 to 2^62. It returns the outermost buckets that hold more than noise would put there (after
// ApproxBounds of Google's differential-privacy library). The answer is meant for a CLAMP in a later query. Values
// beyond the bounds that only few rows have are not seen.

const (
	lastPower  = 62
	firstPower = -20 // for reals; smaller numbers count as 0
	// powersAlarm is the probability that any empty bucket is taken for one that is not empty.
	powersAlarm = 1e-3
)

// PowerEdges are the inner edges of the buckets of powers of two, for whole numbers or reals. There is one bucket more
// than edges.
func PowerEdges(whole bool) []float64 {
	first := firstPower
	if whole {
		first = 0
	}
	var all []float64
	for k := lastPower; k >= first; k-- {
		all = append(all, -math.Ldexp(1, k))
	}
	for k := first; k <= lastPower; k++ {
		all = append(all, math.Ldexp(1, k))
	}
	return all
}

// FilledFrom is the number of rows above which one of the tree's buckets is taken as not empty.
func (t Tree) FilledFrom() float64 { return -t.Noise.Quantile(powersAlarm / float64(t.Branching)) }

// OutermostPower returns the power of two below which no values are seen; with top, the one above which none are seen.
// It is NaN if no bucket holds enough. The interval holds the outermost value on its near side; its far side is open.
func (t Tree) OutermostPower(top bool) (x, low, high float64) {
	whole := t.Branching == len(PowerEdges(true))+1
	all := append(append([]float64{-math.Ldexp(1, lastPower+1)}, PowerEdges(whole)...), math.Ldexp(1, lastPower+1))
	threshold := t.FilledFrom()
	full := func(y float64) bool { return y >= threshold && y > 0 }
	if !top {
		i := slices.IndexFunc(t.Counts, full)
		if i < 0 {
			return math.NaN(), math.Inf(-1), math.Inf(1)
		}
		return all[i], math.Inf(-1), all[i+1]
	}
	for i := len(t.Counts) - 1; i >= 0; i-- {
		if full(t.Counts[i]) {
			return all[i+1], all[i], math.Inf(1)
		}
	}
	return math.NaN(), math.Inf(-1), math.Inf(1)
}
