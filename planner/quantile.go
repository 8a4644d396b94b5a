package planner

import (
	"math"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
)

// tree builds a partial aggregate's tree from its released counts; nil counts: nothing is released yet.
func (p *Plan) tree(partial int, counts []int64) estimate.Tree {
	of := p.Fragment.Partials[partial]
	var t estimate.Tree
	if r := p.ranks[partial]; r != nil {
		t = estimate.NewRanked(*of.Buckets, r, p.Proof.Units[partial], counts, p.noise[partial])
	} else {
		t = estimate.NewTree(*of.Buckets, p.Proof.Units[partial], counts, p.noise[partial])
	}
	t.Whole = of.Expr.Type == value.TypeInt && of.Buckets.Width() == 1 && of.Buckets.Lower == math.Floor(of.Buckets.Lower)
	return t
}

// strategies decides which trees are released as ranks. Ranks serve quantiles and extremes if the noise is Gaussian and
// the coordinator draws it. A hospital that adds its own noise adds it to a tree.
func (b *builder) strategies() {
	b.plan.ranks = map[int]*estimate.Ranks{}
	for _, a := range b.plan.Aggregates {
		i := a.Partials[0]
		if of := b.fragment.Partials[i].Buckets; a.ofTree && of.Levels > 1 && b.ranked() && b.plan.ranks[i] == nil {
			b.plan.ranks[i] = estimate.NewRanks(of.Leaves())
		}
	}
}

func (b *builder) ranked() bool { return b.fragment.Norm == fragment.L2 && !b.federation.Covered }

// Coordinates returns what is released of a partial aggregate before noise: its one integer, a tree's counts, or ranks.
func (p *Plan) Coordinates(partial int, exact []int64) []int64 {
	if r := p.ranks[partial]; r != nil {
		return r.Sums(exact)
	}
	return p.Fragment.Partials[partial].Coordinates(exact)
}

// Coordinate returns what the noise on a partial aggregate's numbers depends on. In a tree, a row counts once on each
// level. Ranks are one vector: a row moves it by at most the length of its weights. Its weight is that of all levels of
// the tree that it replaces, so it costs the same.
func (p *Plan) Coordinate(partial int) dp.Coordinate {
	c := p.Fragment.Coordinate(p.Proof, p.Sites, partial)
	if r := p.ranks[partial]; r != nil {
		c.Size, c.Weight = c.Size*r.Length, c.Weight*int64(p.Fragment.Partials[partial].Buckets.Levels)
	}
	return c
}

// Extremes and quantiles of one tree must be in order. Quantiles are: a larger share gives a larger estimate. An
// extreme is the first edge of a bucket that noise alone cannot explain. It may lie beyond the median or beyond a
// quantile that the answer shows. Then it is moved back; its interval reaches to the public bound, so it still holds.
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
	switch { // for days and seconds: the one that contains the edge
	case a.of != "" && least:
		return math.Floor(x)
	case a.of != "":
		return math.Ceil(x)
	}
	return x
}
