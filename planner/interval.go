package planner

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/scalar"
)

// releasedExpr is a released expression prepared for intervals: everything that is the same in each group.
type releasedExpr struct {
	plan       *Plan
	expr       *expr.Expr
	confidence float64
	fit        *fitted
	// inner is the argument of ROUND or CAST, or the exact quotient of two ints. The interval is computed for inner, and
	// then widened by half a unit or truncated.
	inner     *releasedExpr
	half      float64
	truncated bool
	// smooth: the expression is pure arithmetic, so it may be simulated.
	smooth bool
	// keyed: the expression reads group keys, so each group has its own bounds and quotient.
	keyed      bool
	aggregates []int // listed as often as the expression reads them
	trees      bool  // an aggregate among them reads a tree
	bounds     expr.Range
	quotient   *settledQuotient
	simulation *simulation
}

// settledQuotient is a quotient with the partial aggregates that it reads and their noise.
type settledQuotient struct {
	estimate.Quotient
	used  []int
	terms []dp.RatioTerm
}

// prepare makes an expression ready for intervals of that confidence.
func (p *Plan) prepare(e *expr.Expr, confidence float64) *releasedExpr {
	return p.prepareFitted(e, confidence, nil)
}

func (p *Plan) prepareFitted(e *expr.Expr, confidence float64, fit *fitted) *releasedExpr {
	r := &releasedExpr{plan: p, expr: e, confidence: confidence, fit: fit}
	switch e.Op {
	case expr.OpRound:
		r.inner, r.half = p.prepareFitted(e.Args[0], confidence, fit), 0.5*math.Pow10(-int(e.Args[1].Value.Int64()))
		return r
	case expr.OpCast:
		if e.Args[0].Type.Numeric() {
			r.inner = p.prepareFitted(e.Args[0], confidence, fit)
			return r
		}
	case expr.OpIntDivide:
		r.inner, r.truncated = p.prepareFitted(scalar.Untruncated(e), confidence, fit), true
		return r
	}
	e.Columns(func(relation, _ string) { r.keyed = r.keyed || refKind(relation) == refKey })
	r.aggregates, r.smooth = p.aggregatesOf(e), scalar.Smooth(e)
	if r.trees = slices.ContainsFunc(r.aggregates, func(a int) bool { return p.Aggregates[a].read != nil }); r.trees {
		return r
	}
	if !r.keyed {
		r.chooseMethod(p.group(Cell{}))
	}
	return r
}

// chooseMethod decides how the expression's interval is computed, for one group or for all.
func (r *releasedExpr) chooseMethod(g group) {
	r.bounds, r.quotient = expr.RangeOf(r.expr, g.facts), nil
	if q, ok := g.quotient(r.expr); ok && !q.Empty() {
		r.quotient = &settledQuotient{Quotient: q, used: q.Partials()}
		for _, i := range r.quotient.used {
			r.quotient.terms = append(r.quotient.terms, r.fit.terms(r.plan, i, q.Top.Weights[i], q.Bottom.Weights[i])...)
		}
		low, high := r.plan.parts().ShareRange(q)
		r.bounds.Lower, r.bounds.Upper = math.Max(r.bounds.Lower, low), math.Min(r.bounds.Upper, high)
	} else if r.simulation == nil {
		r.simulation = newSimulation(r.plan, r.expr, r.confidence)
	}
}

// limits are the bounds of a settled expression by the plan; infinite if the plan tells none.
func (r *releasedExpr) limits() (low, high float64) {
	switch {
	case r.trees:
		return math.Inf(-1), math.Inf(1)
	case r.inner == nil:
		return r.bounds.Lower, r.bounds.Upper
	}
	low, high = r.inner.limits()
	if r.half > 0 { // the ends are rounded too
		low, high = math.Floor(low/(2*r.half))*2*r.half, math.Ceil(high/(2*r.half))*2*r.half
	}
	if r.truncated {
		low, high = math.Trunc(low), math.Trunc(high)
	}
	return low, high
}

// aggregatesOf lists the aggregates that an expression reads, each as often as it is read.
func (p *Plan) aggregatesOf(e *expr.Expr) []int {
	var all []int
	e.Columns(func(relation, column string) {
		if read := refOf(relation, column); read.kind == refAggregate {
			all = append(all, read.index)
		}
	})
	return all
}

// interval covers the value of an expression with the reading's confidence. The value meant is that of the clipped and
// bounded data.
//
//   - A quotient of two sums of partial aggregates has Fieller's interval (dp.Ratio), which covers for any counts. Such
//     are all expressions made of counts, sums and averages with +, -, one division and constants.
//   - Other arithmetic is simulated if all its divisors and factors are surely far from 0. Then it is nearly linear in
//     the noise, and the simulation covers.
//   - Everything else is interval arithmetic over the aggregates' own intervals. Each has a higher confidence, so that
//     all hold together with the stated one (Bonferroni). It covers at least as often as stated.
func (g group) interval(r *releasedExpr) (low, high float64) {
	if r.inner != nil {
		low, high = g.interval(r.inner)
		least, most := r.limits()
		return math.Max(least, low-r.half), math.Min(most, high+r.half)
	}
	if r.trees {
		return g.apart(r)
	}
	if r.keyed {
		r.chooseMethod(g)
	}
	q := r.quotient
	if q == nil {
		if r.smooth && g.determined(r.aggregates) {
			return r.simulation.interval(g, r.bounds)
		}
		return g.apart(r)
	}
	if i := q.used[0]; len(q.used) == 1 && g.fit.of(i) == nil && q.Bottom.IsConstant() && q.Bottom.Constant == 1 { // a count or a sum
		weight := q.terms[0].Numerator
		center, half := q.Top.Constant+weight*g.noisy(i), math.Abs(weight)*g.plan.noise[i].HalfWidth(r.confidence)
		center = math.Max(r.bounds.Lower, math.Min(r.bounds.Upper, center)) // see estimate.Clipped
		if low, high = math.Max(r.bounds.Lower, center-half), math.Min(r.bounds.Upper, center+half); low < high {
			return low, high
		}
	}
	ratio := dp.Ratio{Numerator: q.Top.Constant, Denominator: q.Bottom.Constant, Terms: q.terms}
	for _, i := range q.used {
		ratio.Numerator += q.Top.Weights[i] * g.noisy(i)
		ratio.Denominator += q.Bottom.Weights[i] * g.noisy(i)
	}
	return estimate.Clipped(ratio, r.confidence, r.bounds.Lower, r.bounds.Upper)
}

// apart bounds an expression by interval arithmetic over the aggregates that it reads.
func (g group) apart(r *releasedExpr) (low, high float64) {
	each := 1 - (1-r.confidence)/float64(max(1, len(r.aggregates)))
	f := expr.RangeOf(r.expr, func(c *expr.Expr) expr.Range {
		f := g.facts(c)
		read := refOf(c.Relation, c.Column)
		if read.kind != refAggregate {
			return f
		}
		a := &g.plan.Aggregates[read.index]
		switch {
		case a.read != nil:
			_, low, high = a.read(*g.tree(a), a.argument, each)
			low, high = low*a.step(), high*a.step()
		case a.within != nil:
			s := a.within(g.means(a, 1-(1-each)/float64(a.brackets)))
			low, high = s.Low, s.High
		default:
			low, high = g.interval(g.plan.prepareFitted(c, each, g.fit))
		}
		f.Lower, f.Upper = math.Max(f.Lower, low), math.Min(f.Upper, high)
		if !(f.Lower <= f.Upper) {
			f.Lower, f.Upper = a.lower, a.upper
		}
		return f
	})
	return f.Lower, f.Upper
}

// simulation gives an interval for an expression of any form. Each point subtracts one possible draw of the noise, and
// the interval is the central part of the points. It is an approximation: if counts are small beside the noise,
// coverage may differ from the nominal one.
type simulation struct {
	expr       *expr.Expr
	confidence float64
	used       []int       // partials that the expression reads
	noise      [][]float64 // by partial: one draw for each point
}

func newSimulation(p *Plan, e *expr.Expr, confidence float64) *simulation {
	s := &simulation{expr: e, confidence: confidence}
	for _, a := range p.aggregatesOf(e) {
		s.used = append(s.used, p.Aggregates[a].Partials...)
	}
	slices.Sort(s.used)
	s.used = slices.Compact(s.used)
	var noise []dp.Distribution
	for _, i := range s.used {
		noise = append(noise, p.noise[i])
	}
	s.noise = estimate.Draws(noise)
	return s
}

func (s *simulation) interval(g group, bounds expr.Range) (low, high float64) {
	point := make([]float64, len(g.plan.Fragment.Partials))
	at := func(i int) float64 { return point[i] }
	column := func(c *expr.Expr) value.Value {
		read := refOf(c.Relation, c.Column)
		if read.kind == refKey {
			return g.column(c)
		}
		a := &g.plan.Aggregates[read.index]
		return a.clamped(a.at(at))
	}
	var alone *Aggregate
	if s.expr.Op == expr.OpColumn {
		alone = &g.plan.Aggregates[refOf(s.expr.Relation, s.expr.Column).index]
	}
	results := make([]float64, 0, estimate.Points)
	for k := range estimate.Points {
		for j, i := range s.used {
			point[i] = g.noisy(i) - s.noise[j][k]
		}
		if alone != nil {
			if v := alone.at(at); !math.IsNaN(v) {
				results = append(results, math.Max(alone.lower, math.Min(alone.upper, v)))
			}
		} else if v := expr.Evaluate(s.expr, column); !v.IsNull() {
			results = append(results, v.Float64())
		}
	}
	if low, high, ok := estimate.Central(results, s.confidence); ok {
		return low, high
	}
	return bounds.Lower, bounds.Upper
}
