package planner

import (
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/bias"
	"github.com/intramuros/intramuros/planner/clamp"
)

// wide warns of sums and means of a column whose bounds are so far apart that noise drowns them: where the profile or
// the catalog tells how many values there are at most, and the mean of so many is expected to err by a twentieth of the
// range, or of where the profile says that nearly all values lie.
func (b *builder) wide() (all []string) {
	p := b.plan
	for _, a := range p.Aggregates {
		of := p.Fragment.Partials[a.Partials[0]]
		if of.Kind != fragment.PartialSum || p.most == 0 {
			continue
		}
		x, facts := clamp.Of(of.Expr), b.facts(of.Expr)
		if x.Op != expr.OpColumn {
			continue
		}
		w := bias.Wide{Column: x.Column, Lower: facts.Lower, Upper: facts.Upper, Values: p.most}
		w.HalfWidth = a.scale[0] * p.noise[a.Partials[0]].HalfWidth(0.95) / p.most
		span := facts.Upper - facts.Lower
		if l := b.likely(x); l != nil && l.Lower >= facts.Lower && l.Upper <= facts.Upper && l.Upper-l.Lower < span {
			w.From, w.To, w.Taken = l.Lower, l.Upper, l.Taken
			span = l.Upper - l.Lower
		}
		if w.HalfWidth >= span/20 {
			all = append(all, w.String())
		}
	}
	return all
}
