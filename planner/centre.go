package planner

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/scalar"
)

// If the rows of a sum are counted too, the sum is measured from the middle of its bounds, as means are, and added up
// again. For n values in [l, u] with middle c, the sum is c*n plus the sum of (value - c). At the same price the noise
// on the second part is proportional to (u-l)/2, and on the first to c. Together that is never wider than noise
// proportional to max(|l|, |u|); if l or u is 0, it is 1/√2 as wide.
//
// A share, x of n rows, is a good example. An expert would release x and n-x, since a row is in only one of them. The
// pair n and 2*(x - n/2), their sum and difference, is as good: a patient's vector is always √2 times as long, and so
// is the noise.
//
// If an answer divides the sum by anything other than its rows, the sum stays as it is, so that its bounds are known
// (estimate.Parts).

// centre measures sums and counts of values from the middle of their bounds if their rows are counted too.
func (b *builder) centre() {
	for _, of := range []*function{aggregates["sum"], aggregates["count"]} {
		for i := range b.plan.Aggregates {
			if a := &b.plan.Aggregates[i]; a.function == of {
				b.shift(a, i)
			}
		}
	}
	b.dropUnreadPartials()
}

// shift measures a sum, or a count of values that nothing else reads, from the middle of its bounds if that is better.
func (b *builder) shift(a *Aggregate, i int) {
	p := b.fragment.Partials[a.Partials[0]]
	if p.Kind == fragment.PartialValues && b.countReaders(a.Partials[0]) > 1 {
		return
	}
	p, facts, n := b.countedSum(p)
	if n < 0 || !b.divides(i, n) {
		return
	}
	grid, err := fragment.NewGrid(facts.Lower, facts.Upper, p.Expr.Type == value.TypeInt, true, b.fragment.MaxRows)
	if err != nil || grid.Center == 0 {
		return
	}
	p = fragment.Partial{Kind: fragment.PartialSum, Expr: p.Expr, Grid: &grid}
	a.Partials, a.shifted = []int{b.partial(p), n}, true
	a.scale, a.center = []float64{grid.Number(1), 1}, []float64{grid.Number(float64(grid.Center)), 0}
}

// countedSum returns a partial aggregate as a sum over the rows that partial n counts, and what is known of the summed
// value. n is -1 if nothing counts those rows. A count of values is a sum of ones and zeros.
func (b *builder) countedSum(p fragment.Partial) (sum fragment.Partial, facts expr.Range, n int) {
	is := func(want fragment.Partial) int { return slices.IndexFunc(b.fragment.Partials, want.Equal) }
	rows, at := is(fragment.Partial{Kind: fragment.PartialRows}), b.syntax.At
	missing := func() *expr.Expr { return scalar.Apply(at, expr.OpIsNull, p.Expr) }
	switch p.Kind {
	case fragment.PartialValues:
		p.Expr = scalar.Apply(at, expr.OpCase, missing(), expr.Literal(value.Int(0)), expr.Literal(value.Int(1)))
		return p, expr.Range{Upper: 1}, rows
	case fragment.PartialSum:
		if facts = b.facts(p.Expr); !facts.Nullable {
			return p, facts, rows
		}
		if values := is(fragment.Partial{Kind: fragment.PartialValues, Expr: p.Expr}); values >= 0 {
			return p, facts, values
		}
		zero := value.Float(0)
		if p.Expr.Type == value.TypeInt {
			zero = value.Int(0)
		}
		p.Expr = scalar.Apply(at, expr.OpCase, missing(), expr.Literal(zero), p.Expr)
		facts.Lower, facts.Upper = math.Min(0, facts.Lower), math.Max(0, facts.Upper)
		return p, facts, rows
	}
	return p, facts, -1
}

// countReaders is the number of aggregates that read a partial aggregate.
func (b *builder) countReaders(partial int) (n int) {
	for _, a := range b.plan.Aggregates {
		if slices.Contains(a.Partials, partial) {
			n++
		}
	}
	return n
}

// divides reports whether the answer divides an aggregate by the partial aggregate n only, if at all, and divides
// nothing by that aggregate.
func (b *builder) divides(aggregate, n int) bool {
	p := b.plan
	all := []*expr.Expr{p.having}
	for _, c := range p.Columns {
		all = append(all, c.expr)
	}
	for _, o := range p.order {
		all = append(all, o.Expr)
	}
	var by func(e *expr.Expr) bool
	by = func(e *expr.Expr) bool {
		if e == nil || !slices.Contains(p.aggregatesOf(e), aggregate) {
			return true
		}
		if e.Op == expr.OpIntDivide {
			e = scalar.Untruncated(e)
		}
		if q, ok := p.quotientOf(e); ok {
			_, is := q.Bottom.Weights[n]
			return q.Bottom.IsConstant() || is && len(q.Bottom.Weights) == 1
		}
		return !slices.ContainsFunc(e.Args, func(a *expr.Expr) bool { return !by(a) })
	}
	return !slices.ContainsFunc(all, func(e *expr.Expr) bool { return !by(e) })
}

// dropUnreadPartials removes the partial aggregates that nothing reads any more.
func (b *builder) dropUnreadPartials() {
	read := make([]bool, len(b.fragment.Partials))
	for _, a := range b.plan.Aggregates {
		for _, i := range a.Partials {
			read[i] = true
		}
	}
	if s := b.plan.Selection; s != nil {
		read[s.Partial] = true
	}
	moved, kept := make([]int, len(read)), b.fragment.Partials[:0]
	for i, p := range b.fragment.Partials {
		if moved[i] = len(kept); read[i] {
			kept = append(kept, p)
		}
	}
	b.fragment.Partials = kept
	for _, a := range b.plan.Aggregates {
		for k, i := range a.Partials {
			a.Partials[k] = moved[i]
		}
	}
	if s := b.plan.Selection; s != nil {
		s.Partial = moved[s.Partial]
	}
}

// linear writes an aggregate as a linear form in its partial aggregates, if it is one.
func (a *Aggregate) linear() (f estimate.Form, ok bool) {
	switch {
	case a.read != nil:
	case a.shifted:
		return estimate.Form{Weights: map[int]float64{a.Partials[0]: a.scale[0], a.Partials[1]: a.center[0] * a.scale[1]}}, true
	case len(a.Partials) == 1:
		return estimate.Form{Weights: map[int]float64{a.Partials[0]: a.scale[0]}}, true
	}
	return f, false
}
