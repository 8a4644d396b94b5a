package estimate

import "math"

// Forest is what noisy counts of trees make likely: of each node its count, such that a node's is the sum of its
// children's. The estimate is that of least squares, which of all that are linear and unbiased errs least, in two
// passes over the nodes (Hay, Rastogi, Miklau, Suciu: Boosting the Accuracy of Differentially Private Histograms
// Through Consistency, VLDB 2010).
type Forest struct {
	branching int
	under     []float64 // of the first 0, 1, ... leaves
	own       []float64 // by level from the roots: variance of a node's estimate from what is at and below it
}

// NewForest is of as many trees as each node has children, of counts level by level from the roots, each with noise
// of variance 1.
func NewForest(branching int, counts []float64) *Forest {
	var levels [][]float64
	for size := branching; len(counts) >= size; size *= branching {
		levels, counts = append(levels, counts[:size]), counts[size:]
	}
	f := &Forest{branching: branching, own: make([]float64, len(levels))}
	b := float64(branching)
	best := make([][]float64, len(levels)) // from what is at and below a node
	for l := len(levels) - 1; l >= 0; l-- {
		if best[l] = levels[l]; l == len(levels)-1 {
			f.own[l] = 1
			continue
		}
		below := b * f.own[l+1] // variance of the sum of the children
		best[l] = make([]float64, len(levels[l]))
		for i, n := range levels[l] {
			best[l][i] = (n*below + sum(best[l+1][i*branching:(i+1)*branching])) / (below + 1)
		}
		f.own[l] = below / (below + 1)
	}
	for l := 1; l < len(levels); l++ { // what a node has more or less than its children is spread over them
		settled := make([]float64, len(best[l]))
		for i, n := range best[l-1] {
			children := best[l][i*branching : (i+1)*branching]
			more := (n - sum(children)) / b
			for k, child := range children {
				settled[i*branching+k] = child + more
			}
		}
		best[l] = settled
	}
	leaves := best[len(best)-1]
	f.under = make([]float64, len(leaves)+1)
	for i, n := range leaves {
		f.under[i+1] = f.under[i] + n
	}
	return f
}

func sum(of []float64) float64 {
	all := 0.0
	for _, x := range of {
		all += x
	}
	return all
}

// Under estimates the sum of the first i leaves less the share q of all, and the standard deviation of its error.
func (f *Forest) Under(i int, q float64) (excess, deviation float64) {
	leaves := len(f.under) - 1
	excess = f.under[i] - q*f.under[leaves]
	span := leaves / f.branching // leaves of a tree
	whole, rest := i/span, i%span
	b := float64(f.branching)
	part := float64(rest) / float64(span) // of the tree that is cut, how far its error goes into the sum
	squares := float64(whole)*(1-q)*(1-q) + (b-float64(whole))*q*q
	if rest > 0 {
		squares += (part-q)*(part-q) - q*q
	}
	squares *= f.own[0]
	// Given a node's error, those of its children are what is left of independent ones whose mean is taken out of them.
	for l := 1; l < len(f.own) && rest > 0; l++ {
		span /= f.branching
		k := float64(rest / span)
		rest %= span
		a := float64(rest) / float64(span)
		squares += f.own[l] * (k + a*a - (k+a)*(k+a)/b)
	}
	return excess, math.Sqrt(squares)
}
