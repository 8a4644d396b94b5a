package planner

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/relational"
)

// What Expected notes for a number that is not itself released.
const (
	noteComputed   = "computed from released numbers: its interval comes with the answer, and may be open"
	noteNoInterval = "no interval: the order of noisy numbers decides it"
)

// Expected returns the error to expect in each noisy number of the answer.
func (p *Program) Expected(confidence float64) []Expected {
	if p.post == nil {
		return p.Releases[0].Expected(confidence)
	}
	released := make([]map[string]Expected, len(p.Releases))
	for i := range p.Releases {
		released[i] = p.expectedOf(i, confidence)
	}
	var all []Expected
	for i, c := range p.Columns {
		if !c.Ranged() {
			continue
		}
		x := expectedIn(p.post.Query, p.post.columns[i].name, released)
		x.Column = c.Name
		all = append(all, x)
	}
	return all
}

// expectedOf returns the expected errors of a release, by the names of its columns.
func (p *Program) expectedOf(i int, confidence float64) map[string]Expected {
	of, release := map[string]Expected{}, p.Releases[i]
	if s := p.lifeTables[i+1]; s != nil {
		for _, x := range s.expected(release, confidence) {
			of[x.Column] = x
		}
		return of
	}
	all := release.Expected(confidence)
	for k, name := range release.released() {
		if release.Columns[k].Ranged() {
			of[name], all = all[0], all[1:]
		}
	}
	return of
}

// expectedIn finds the release column that a column passes on, and its expected error.
func expectedIn(d *fragment.Query, name string, released []map[string]Expected) Expected {
	unknown := Expected{HalfWidth: math.NaN(), Value: math.NaN(), Note: noteComputed}
	if d.SetOp != "" {
		at := slices.IndexFunc(relational.Leaf(d).Columns, func(o fragment.Output) bool { return o.Name == name })
		if at < 0 {
			return unknown
		}
		widest := expectedIn(d.Inputs[0], name, released)
		for _, arm := range d.Inputs[1:] {
			switch x := expectedIn(arm, relational.Leaf(arm).Columns[at].Name, released); {
			case math.IsNaN(x.HalfWidth) || math.IsNaN(widest.HalfWidth):
				return unknown // the inputs of a set operation have different widths
			case x.HalfWidth > widest.HalfWidth:
				widest = x
			}
		}
		return widest
	}
	at := slices.IndexFunc(d.Columns, func(o fragment.Output) bool { return o.Name == name })
	if at < 0 {
		return unknown
	}
	o := d.Columns[at]
	switch o.Function {
	case "", fragment.FunctionLag, fragment.FunctionLead, fragment.FunctionFirst, fragment.FunctionLast:
	case fragment.FunctionRank, fragment.FunctionDenseRank, fragment.FunctionRowNumber, fragment.FunctionDistinct:
		unknown.Note = noteNoInterval
		return unknown
	default:
		return unknown
	}
	if o.Expr != nil && o.Expr.Op == expr.OpLiteral {
		return Expected{Value: math.NaN()}
	}
	if o.Expr == nil || o.Expr.Op != expr.OpColumn {
		return unknown
	}
	for _, r := range d.Relations {
		if r.Name != o.Expr.Relation {
			continue
		}
		if r.Query != nil {
			return expectedIn(r.Query, o.Expr.Column, released)
		}
		if n, ok := relational.Release.Of(r.Table); ok {
			if x, ok := released[n-1][o.Expr.Column]; ok {
				return x
			}
		}
	}
	return unknown
}
