package estimate

import (
	"math"

	"github.com/intramuros/intramuros/internal/fragment"
)

// WholeBuckets returns a tree with one bucket for each whole number from low to high and at most that many levels.
// Among these it is the tree in which a median has the smallest error. By least squares (Forest), the variance of half
// of all values minus those below an edge is, on average over edges, about b/4 at the roots for b branches and b/6 at
// each level below. The variance of a count grows with the number of levels, or with its square if noise is for L1. The
// zero value means that no tree has room for the numbers.
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

// SquareBuckets returns a tree with one bucket for each whole number from low to high, in two levels with equal
// branching.
func SquareBuckets(low, high float64) fragment.Buckets {
	b := fragment.Buckets{Lower: low, Branching: max(2, int(math.Ceil(math.Sqrt(high-low+1)-1e-9))), Levels: 2}
	b.Upper = low + float64(b.Leaves())
	return b
}

// Bin reads one count of a histogram, with its interval. A histogram is a tree of one level. The interval of a count
// below 0 is that of 0 (see Clipped).
func (t Tree) Bin(i int, confidence float64) (n, low, high float64) {
	n, half := t.Counts[i], t.Noise.HalfWidth(confidence)
	return n, math.Max(0, n) - half, math.Max(0, n) + half
}
