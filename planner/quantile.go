package planner

import (
	"math"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
)

// tree is a partial aggregate's, of what was released of it; nil: of nothing yet.
func (p *Plan) tree(partial int, counts []int64) estimate.Tree {
	of := p.Fragment.Partials[partial]
	t := estimate.NewTree(*of.Buckets, p.Proof.Units[partial], counts, p.noise[partial])
	t.Whole = of.Expr.Type == value.TypeInt && of.Buckets.Width() == 1 && of.Buckets.Lower == math.Floor(of.Buckets.Lower)
	return t
}

// Extremes and quantiles of one tree are in order. A quantile's estimate rises with its share where the tree counts
// something, for each crossing is of a sum that falls with the share. An extreme's is the first edge that noise alone
// cannot explain, which may lie beyond the median, or beyond a quantile that the answer shows; there it is moved back,
// and its interval, which reaches to the public bound, holds it still.
func (g group) ordered(a *Aggregate) float64 {
	t := g.tree(a)
	x, _, _ := a.read(*t, a.argument, surely)
	least, most := a.function == aggregates["min"], a.function == aggregates["max"]
	if !least && !most || math.IsNaN(x) {
		return x
	}
	shares := []float64{0.5}
	for _, other := range g.plan.Aggregates {
		if other.function == aggregates["quantile"] && other.Partials[0] == a.Partials[0] {
			shares = append(shares, other.argument)
		}
	}
	for _, q := range shares {
		beside, _, _ := t.Quantile(q, surely)
		if least {
			x = math.Min(x, beside)
		} else {
			x = math.Max(x, beside)
		}
	}
	switch { // of days, and seconds, that of which the bucket holds is told
	case a.of != "" && least:
		return math.Floor(x)
	case a.of != "":
		return math.Ceil(x)
	}
	return x
}
