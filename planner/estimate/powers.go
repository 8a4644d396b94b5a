package estimate

import (
	"math"
	"slices"
)

// APPROX_BOUNDS(x) finds bounds where neither the catalog nor the researcher knows any: it releases one histogram over
// powers of two, from -2^62 to 2^62, and tells the outermost buckets that hold more than noise would put there (after
// ApproxBounds of Google's differential-privacy library). The answer is for a CLAMP in a query to come. What few rows
// hold beyond the bounds is not seen.

const (
	lastPower  = 62
	firstPower = -20 // of reals; smaller ones count as 0
	// powersAlarm is the probability with which any bucket that is empty passes for one that is not.
	powersAlarm = 1e-3
)

// PowerEdges are the inner edges of the buckets of powers of two, of whole numbers or of reals. There is one bucket
// more.
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

// FilledFrom is the number of rows from which one of the tree's buckets counts as one that is not empty.
func (t Tree) FilledFrom() float64 { return -t.Noise.Quantile(powersAlarm / float64(t.Branching)) }

// OutermostPower tells the edge of powers of two under which no values are seen, or with top that above which none are;
// NaN where no bucket holds enough. The interval is where the outermost value lies, as far as that can be told: nothing
// is said of its far side.
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
