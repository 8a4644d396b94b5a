package estimate

import (
	"math"

	"github.com/intramuros/intramuros/internal/fragment"
)

// WholeBuckets is the tree of at most so many levels with a bucket for each whole number from low to high in which a
// median errs least. By least squares (Forest) the variance of half of all, less those under an edge, is about b/4 at
// the roots of b branches and b/6 at each level below, on average over edges; that of a count grows with the levels, or
// with their square where noise is for L1. The zero value: no tree has room for them.
func WholeBuckets(low, high float64, most int, norm fragment.Norm) (best fragment.Buckets) {
	least := math.Inf(1)
	for levels := 1; levels <= most; levels++ {
		b := max(2, int(math.Ceil(math.Pow(high-low+1, 1/float64(levels))-1e-9)))
		cost := float64(levels*b) * (1.0/4 + float64(levels-1)/6)
		if norm == fragment.L1 {
			cost *= float64(levels)
		}
		tree := fragment.Buckets{Lower: low, Branching: b, Levels: levels}
		tree.Upper = low + float64(tree.Leaves())
		if cost < least && tree.Validate() == nil {
			best, least = tree, cost
		}
	}
	return best
}

// SquareBuckets have one for each whole number from low to high, in two levels of as many branches.
func SquareBuckets(low, high float64) fragment.Buckets {
	b := fragment.Buckets{Lower: low, Branching: max(2, int(math.Ceil(math.Sqrt(high-low+1)-1e-9))), Levels: 2}
	b.Upper = low + float64(b.Leaves())
	return b
}

// Bin reads one count of a histogram, which is a tree of one level, and its interval.
func (t Tree) Bin(i int, confidence float64) (n, low, high float64) {
	n, half := t.Counts[i], t.Noise.HalfWidth(confidence)
	return n, n - half, n + half
}
