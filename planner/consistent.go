package planner

import (
	"math"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/overlap"
	"github.com/intramuros/intramuros/planner/scalar"
)

// findDivisions finds the divisions in everything that the plan's answer shows, filters by and orders by.
func (p *Plan) findDivisions() {
	p.divisions, p.settled, p.emptiness = nil, map[*expr.Expr]*expr.Expr{}, map[int]float64{}
	for _, a := range p.Aggregates {
		if i := a.Partials[0]; a.ofTree {
			p.emptiness[i] = p.tree(i, nil).TotalHalfWidth(surely)
		}
	}
	for _, c := range p.Columns {
		p.settled[c.expr] = p.divided(c.expr)
	}
	if p.having != nil {
		p.settled[p.having] = p.divided(p.having)
	}
	for _, o := range p.order {
		p.settled[o.Expr] = p.divided(o.Expr)
	}
}

// divided replaces each division by a column: the largest expression that is a quotient of linear forms. It does the
// same for each difference that cannot be below 0.
func (p *Plan) divided(e *expr.Expr) *expr.Expr {
	if !scalar.Divides(e) {
		return e
	}
	whole := e
	if e.Op == expr.OpIntDivide {
		whole = scalar.Untruncated(e)
	}
	q, ok := p.quotientOf(whole)
	d := division{expr: e, constant: q.Bottom.Constant}
	if ok {
		d.lower, d.upper = p.parts().ShareRange(q)
	}
	if ok && (!q.Bottom.IsConstant() || !math.IsInf(d.lower, 0)) {
		if whole != e {
			d.lower, d.upper = math.Trunc(d.lower), math.Trunc(d.upper)
		}
		var noise []dp.Weighted
		for _, i := range q.Partials() {
			if w := q.Bottom.Weights[i]; w != 0 {
				d.bottom = append(d.bottom, bottomTerm{i, w})
				noise = append(noise, dp.Weighted{Weight: w, Distribution: p.noise[i]})
			}
		}
		d.noise = dp.CombinedHalfWidth(surely, noise)
		p.divisions = append(p.divisions, d)
		return ref{refDivision, len(p.divisions) - 1}.expr(e.Type)
	}
	other := *e
	other.Args = make([]*expr.Expr, len(e.Args))
	for i, a := range e.Args {
		other.Args[i] = p.divided(a)
	}
	return &other
}

// quotientOf writes an expression as a quotient of linear forms that are the same in each group, if it is one.
func (p *Plan) quotientOf(e *expr.Expr) (estimate.Quotient, bool) {
	g := p.group(Cell{})
	column := func(c *expr.Expr) (estimate.Quotient, bool) {
		if refKind(c.Relation) == refKey {
			return estimate.Quotient{}, false
		}
		return g.released(c)
	}
	var argument func(*expr.Expr) (estimate.Quotient, bool)
	argument = func(a *expr.Expr) (estimate.Quotient, bool) { return quotientOf(a, argument, column) }
	return argument(e)
}

// divide evaluates a division. It is NULL if the divisor may be noise only.
func (g group) divide(d *division) value.Value {
	v := expr.Evaluate(d.expr, g.column)
	if v.IsNull() || g.asIs {
		return v
	}
	bottom := d.constant
	for _, t := range d.bottom {
		bottom += t.weight * g.noisy(t.partial)
	}
	if math.Abs(bottom) <= d.noise {
		return value.Null(v.Type())
	}
	return value.Clamp(v, d.lower, d.upper)
}

// undetermined reports whether an aggregate is divided by, or read from, numbers that may be noise only.
func (g group) undetermined(a *Aggregate) bool {
	if g.asIs {
		return false
	}
	if a.read != nil {
		return a.ofTree && g.tree(a).Total() <= g.plan.emptiness[a.Partials[0]]
	}
	n, ok := a.counted()
	return ok && g.noisy(n) <= g.halfWidth(n, surely)
}

// counted is the partial that counts, by which the aggregate is divided.
func (a *Aggregate) counted() (partial int, ok bool) {
	if _, _, ok := a.average(); ok {
		return a.Partials[1], true
	}
	return a.Partials[0], a.brackets > 0
}

// unknown reports whether an expression is NULL because of noise.
func (g group) unknown(e *expr.Expr) bool {
	found := false
	g.plan.settled[e].Columns(func(relation, column string) {
		found = found || refKind(relation) != refKey && g.column(expr.Column(relation, column, e.Type)).IsNull()
	})
	return found
}

// parts describes how a release's partial aggregates of one group relate to each other.
func (p *Plan) parts() estimate.Parts { return estimate.Parts{IsCount: p.isCount, WholeOf: p.wholeOf} }

// isCount reports whether a partial aggregate is at least 0 for every patient.
func (p *Plan) isCount(i int) bool {
	partial := p.Fragment.Partials[i]
	switch partial.Kind {
	case fragment.PartialRows, fragment.PartialValues, fragment.PartialPatients:
		return true
	case fragment.PartialSum:
		return partial.Grid.Center == 0 && partial.Grid.Lower >= 0
	}
	return false
}

// wholeOf finds a partial of the divisor that contains partial i: for every patient, i is l to u times that partial.
// whole is -1 if there is none.
func (p *Plan) wholeOf(i int, bottom estimate.Form) (whole int, l, u float64) {
	for _, d := range (estimate.Quotient{Bottom: bottom}).Partials() {
		if d == i {
			continue
		}
		if l, u, ok := overlap.PartOf(p.Fragment.Partials[i], p.Fragment.Partials[d]); ok {
			unit := float64(p.Proof.Units[i]) / float64(p.Proof.Units[d])
			return d, l * unit, u * unit
		}
	}
	return -1, 0, 0
}
