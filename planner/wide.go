package planner

import (
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/bias"
	"github.com/intramuros/intramuros/planner/clamp"
)

// wide warns of bounds that are too far apart for a sum or mean. It compares the expected error of a mean of as many
// values as possible with a twentieth of the bounds' range, or of the range in which a profile finds nearly all values.
func (b *builder) wide() (all []string) {
	p := b.plan
	for _, a := range p.Aggregates {
		of := p.Fragment.Partials[a.Partials[0]]
		if of.Kind != fragment.PartialSum || p.most == 0 || clamp.Of(of.Expr).Op != expr.OpColumn {
			continue
		}
		x, facts := clamp.Of(of.Expr), b.facts(of.Expr)
		half, span := a.scale[0]*p.noise[a.Partials[0]].HalfWidth(0.95)/p.most, facts.Upper-facts.Lower
		w := bias.Wide{Column: x.Column, Lower: facts.Lower, Upper: facts.Upper, Values: p.most, HalfWidth: half}
		if l := b.likely(x); l != nil && l.Lower >= facts.Lower && l.Upper <= facts.Upper && l.Upper-l.Lower < span {
			w.From, w.To, w.Taken, span = l.Lower, l.Upper, l.Taken, l.Upper-l.Lower
		}
		if half >= span/20 {
			all = append(all, w.String())
		}
	}
	return all
}
