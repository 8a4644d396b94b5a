package estimate

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
)

// Tree is a noisy tree of bucket counts. It is stored level by level from the coarsest; a level has Branching times as
// many buckets as the level before. Counts are in rows.
type Tree struct {
	fragment.Buckets
	unit   float64 // the integer that a row counts as in a release
	Counts []float64
	sums   [][]float64 // by level: sums of the first 0, 1, ... nodes
	Noise  dp.Distribution
	Whole  bool   // each bucket is one whole number, its lower edge
	ranks  *Ranks // set if it was released as Ranks, which have no counts; else nil
}

// NewRanked reads what was released as Ranks, with noise in units of a row. If sums is nil, nothing is released yet.
func NewRanked(b fragment.Buckets, ranks *Ranks, row int64, sums []int64, noise dp.Distribution) Tree {
	t := Tree{Buckets: b, unit: float64(row), ranks: ranks, Noise: noise}
	t.Noise.Scale /= t.unit
	for _, n := range sums {
		t.Counts = append(t.Counts, float64(n)/t.unit)
	}
	return t
}

// cumulated estimates how many values lie below an edge, from everything that was released.
type cumulated interface {
	// Under estimates the number of values below edge i minus the share q of all, and the standard deviation of its error
	// in units of one number's noise.
	Under(i int, q float64) (excess, deviation float64)
}

func (t Tree) fit() cumulated {
	if t.ranks != nil {
		return t.ranks.read(t.Counts)
	}
	return NewForest(t.Branching, t.Counts)
}

// NewTree reads counts and noise in units of a row, and prepares the sums for Below.
func NewTree(b fragment.Buckets, row int64, counts []int64, noise dp.Distribution) Tree {
	unit := float64(row)
	noise.Scale /= unit
	t := Tree{Buckets: b, unit: unit, Counts: make([]float64, len(counts)), Noise: noise}
	for i, n := range counts {
		t.Counts[i] = float64(n) / unit
	}
	rest := t.Counts
	for size := b.Branching; len(rest) > 0; size *= b.Branching {
		sums := make([]float64, size+1)
		for i, n := range rest[:size] {
			sums[i+1] = sums[i] + n
		}
		t.sums, rest = append(t.sums, sums), rest[size:]
	}
	return t
}

// Below estimates the number of values below the edge between buckets i-1 and i, minus the share q of all values. It
// also returns the standard deviation of its noise in units of one count's. It adds as few nodes as possible: whole
// ones from the coarsest level on.
func (t Tree) Below(i int, q float64) (excess, deviation float64) {
	span := t.Leaves() / t.Branching // buckets under a node
	whole := i / span
	excess = t.sums[0][whole] - q*t.sums[0][t.Branching]
	squares := float64(whole)*(1-q)*(1-q) + float64(t.Branching-whole)*q*q
	for _, sums := range t.sums[1:] {
		from := whole * t.Branching
		span /= t.Branching
		whole = i / span
		excess += sums[whole] - sums[from]
		squares += float64(whole - from)
	}
	return excess, math.Sqrt(squares)
}

var normal = dp.Distribution{Mechanism: dp.Gaussian, Scale: 1}

// Quantile estimates the value below which the share q of the values lies, with an interval.
//
// F is the number of values below an edge minus q times that of all values, estimated from the whole tree by least
// squares. Without noise it crosses 0 at the quantile. Noise may make it cross several times, so the estimate is midway
// between the first and the last crossing. Noise on a sum of at least 16 counts is close to normal, whatever the noise
// on each. The ends of the interval are edges of whole buckets, because the tree does not tell where in a bucket its
// values lie.
func (t Tree) Quantile(q, confidence float64) (x, low, high float64) {
	first, last := -1, -1 // buckets in which F crosses 0
	fit := t.fit()
	before, _ := fit.Under(0, q)
	for i := range t.Leaves() {
		after, _ := fit.Under(i+1, q)
		if before <= 0 && after >= 0 {
			if first < 0 {
				first = i
			}
			last = i
		}
		before = after
	}
	lowest, highest := t.within(fit, q, confidence)
	low, high = t.edge(lowest), t.edge(highest+1)
	if t.Whole {
		high = t.edge(highest)
	}
	x = (low + high) / 2
	if first >= 0 {
		x = (t.crossing(fit, first, q) + t.crossing(fit, last, q)) / 2
	}
	return x, math.Min(low, x), math.Max(high, x)
}

// within returns the first and the last bucket in which the quantile may lie.
//
// At the quantile F is 0 except for its noise. So F is below z deviations there, with all but half of the allowed
// failures. Hence the quantile is not above the edge where F minus z deviations crosses 0, and not below the edge where
// F plus z deviations does (test inversion, as in Fieller's interval of ratios). Noise makes these cross often if
// buckets hold little. The closest series that never falls, in the sum of squares, crosses 0 where the cumulative sum
// is least (as Isotonic's does), and its error is no larger. So the interval covers, and is narrower than from the
// first crossing to the last.
func (t Tree) within(fit cumulated, q, confidence float64) (lowest, highest int) {
	reach := t.reach(confidence)
	var above, below, leastAbove, leastBelow float64
	for i := 1; i < t.Leaves(); i++ {
		excess, spread := fit.Under(i, q)
		above, below = above+excess+spread*reach, below+excess-spread*reach
		if above < leastAbove {
			leastAbove, lowest = above, i
		}
		if below <= leastBelow {
			leastBelow, highest = below, i
		}
	}
	return lowest, highest
}

// crossing interpolates where F crosses 0 within a bucket, if the bucket is more than one number.
func (t Tree) crossing(fit cumulated, i int, q float64) float64 {
	if t.Whole {
		return t.edge(i)
	}
	before, _ := fit.Under(i, q)
	after, _ := fit.Under(i+1, q)
	if after == before {
		return t.edge(i) + t.Buckets.Width()/2
	}
	return t.edge(i) + t.Buckets.Width()*(-before)/(after-before)
}

func (t Tree) edge(i int) float64 {
	if i == t.Leaves() {
		return t.Upper
	}
	return t.Lower + float64(i)*t.Buckets.Width()
}

func (t Tree) standardDeviation() float64 { return t.Noise.StandardDeviation() }

// Extreme estimates the smallest value, or the largest with top. It is the first edge below which more values are
// counted than noise alone would show at any edge. With the confidence, the exact extreme lies between the public bound
// and that edge.
func (t Tree) Extreme(top bool, confidence float64) (x, low, high float64) {
	leaves := t.Leaves()
	below := t.Below
	if t.ranks != nil {
		below = t.fit().Under
	}
	// No edge may mislead, so each gets its part of the allowed failures. The noise of an edge is that of one node or
	// more, up to Branching-1 for each level.
	beyond, each := make(map[float64]float64), 1-2*(1-confidence)/float64(leaves) // what noise may show, by deviation
	for i := 1; i <= leaves; i++ {
		edge, q, sign := i, 0.0, 1.0
		if top {
			edge, q, sign = leaves-i, 1.0, -1.0
		}
		n, spread := below(edge, q)
		limit, known := beyond[spread]
		if !known && t.ranks != nil {
			limit = spread * t.reach(each)
		} else if !known {
			limit = t.sumReach(each, int(math.Round(spread*spread)))
			beyond[spread] = limit
		}
		if sign*n > limit {
			switch {
			case top:
				return t.edge(edge), t.edge(edge), t.Upper
			case t.Whole:
				edge--
			}
			return t.edge(edge), t.Lower, t.edge(edge)
		}
	}
	return math.NaN(), t.Lower, t.Upper
}

// Total is the number of values that the tree counts: the sum of its coarsest nodes.
func (t Tree) Total() float64 {
	if t.ranks != nil {
		all, _ := t.fit().Under(t.Leaves(), 0)
		return all
	}
	return t.sums[0][t.Branching]
}

// TotalHalfWidth is how far noise moves the total, with the confidence.
func (t Tree) TotalHalfWidth(confidence float64) float64 {
	if t.ranks != nil {
		return 2 * t.ranks.Spread() * t.reach(confidence)
	}
	return t.sumReach(confidence, t.Branching)
}

// reach is how far normal noise with the standard deviation of one number goes, with the confidence.
func (t Tree) reach(confidence float64) float64 {
	return t.standardDeviation() * normal.Quantile((1+confidence)/2)
}

// sumReach is how far the noise on a sum of that many numbers goes, with the confidence.
func (t Tree) sumReach(confidence float64, numbers int) float64 {
	return dp.CombinedHalfWidth(confidence, slices.Repeat([]dp.Weighted{{Weight: 1, Distribution: t.Noise}}, numbers))
}
