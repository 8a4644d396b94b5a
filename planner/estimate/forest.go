package estimate

import "math"

// Forest is the least-squares estimate of every node of trees, given noisy counts of all nodes. A node's estimate is
// the sum of its children's estimates. Of all linear unbiased estimates it has the smallest error. It takes two passes
// over the nodes (Hay, Rastogi, Miklau, Suciu: Boosting the Accuracy of Differentially Private Histograms Through
// Consistency, VLDB 2010).
type Forest struct {
	branching int
	under     []float64 // sums of the first 0, 1, ... leaves
	own       []float64 // by level from the roots: the variance of a node's estimate from the counts at and below it
}

// NewForest fits several trees; there are as many trees as a node has children. Counts come level by level from the
// roots, each with noise of variance 1.
func NewForest(branching int, counts []float64) *Forest {
	var levels [][]float64
	for size := branching; len(counts) >= size; size *= branching {
		levels, counts = append(levels, counts[:size]), counts[size:]
	}
	f := &Forest{branching: branching, own: ownErrors(branching, len(levels))}
	b := float64(branching)
	best := make([][]float64, len(levels)) // from the counts at and below a node
	for l := len(levels) - 1; l >= 0; l-- {
		if best[l] = levels[l]; l == len(levels)-1 {
			continue
		}
		below := b * f.own[l+1] // variance of the sum of the children
		best[l] = make([]float64, len(levels[l]))
		for i, n := range levels[l] {
			best[l][i] = (n*below + sum(best[l+1][i*branching:(i+1)*branching])) / (below + 1)
		}
	}
	for l := 1; l < len(levels); l++ { // the excess of a node over its children is spread over them
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

// ownErrors returns, for each level from the roots, the variance of a node's estimate from the counts at and below it.
func ownErrors(branching, levels int) []float64 {
	own := make([]float64, levels)
	for l := levels - 1; l >= 0; l-- {
		if own[l] = 1; l < levels-1 {
			below := float64(branching) * own[l+1]
			own[l] = below / (below + 1)
		}
	}
	return own
}

func sum(of []float64) float64 {
	all := 0.0
	for _, x := range of {
		all += x
	}
	return all
}

// Under estimates the sum of the first i leaves minus the share q of all, and the standard deviation of its error.
func (f *Forest) Under(i int, q float64) (excess, deviation float64) {
	leaves := len(f.under) - 1
	excess = f.under[i] - q*f.under[leaves]
	span := leaves / f.branching // leaves in one tree
	whole, rest := i/span, i%span
	b := float64(f.branching)
	part := float64(rest) / float64(span) // how much of the cut tree's error goes into the sum
	squares := float64(whole)*(1-q)*(1-q) + (b-float64(whole))*q*q
	if rest > 0 {
		squares += (part-q)*(part-q) - q*q
	}
	squares *= f.own[0]
	// Given the error of a node, the errors of its children are independent errors from which their mean was subtracted.
	for l := 1; l < len(f.own) && rest > 0; l++ {
		span /= f.branching
		k := float64(rest / span)
		rest %= span
		a := float64(rest) / float64(span)
		squares += f.own[l] * (k + a*a - (k+a)*(k+a)/b)
	}
	return excess, math.Sqrt(squares)
}

// Between is the variance of the error of the sum of the leaves i to j-1.
func (f *Forest) Between(i, j int) (variance float64) {
	if i >= j {
		return 0
	}
	span := (len(f.under) - 1) / f.branching // leaves in one tree
	_, squares := covered(i, j, span)
	variance = squares * f.own[0]
	for _, own := range f.own[1:] {
		of := span // leaves under a node that may be cut
		span /= f.branching
		for n, cut := range [2]int{i, j} { // the children of other nodes add up to them
			parent := cut / of
			if cut%of == 0 || n == 1 && parent == i/of && i%of != 0 {
				continue
			}
			// As in Under, the children's errors are independent errors from which their mean was subtracted.
			parts, squares := covered(max(i, parent*of), min(j, (parent+1)*of), span)
			variance += own * (squares - parts*parts/float64(f.branching))
		}
	}
	return variance
}

// covered measures the leaves i to j-1 in nodes of span leaves each. A node that is partly covered counts as a
// fraction. parts is the sum of the fractions, and squares the sum of their squares.
func covered(i, j, span int) (parts, squares float64) {
	first, last := i/span, j/span
	if first == last {
		part := float64(j-i) / float64(span)
		return part, part * part
	}
	before, after := float64((first+1)*span-i)/float64(span), float64(j-last*span)/float64(span)
	whole := float64(last - first - 1)
	return before + whole + after, before*before + whole + after*after
}

// Spread is the variance of the error of a weighted sum. The terms are the sums of the first 0, 1, ... leaves.
func (f *Forest) Spread(weights []float64) float64 {
	// Least squares solve N x = H'y: the leaves x give the nodes Hx, y is the count of each node, and N = H'H. The errors
	// of x have the covariance 1/N. If y = w at the leaves and 0 above, then H'y = w, and so x = w/N.
	nodes, size := 0, 1
	for range f.own {
		size *= f.branching
		nodes += size
	}
	counts := make([]float64, nodes)
	leaves := counts[nodes-size:]
	all := 0.0
	for i := size - 1; i >= 0; i-- {
		all += weights[i+1]
		leaves[i] = all
	}
	solved := NewForest(f.branching, counts)
	variance := 0.0
	for i, w := range leaves {
		variance += w * (solved.under[i+1] - solved.under[i])
	}
	return variance
}
