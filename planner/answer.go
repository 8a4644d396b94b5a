package planner

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
)

func index(i int) string { return strconv.Itoa(i) }

func indexOf(column string) int {
	i, err := strconv.Atoi(column)
	if err != nil {
		panic(err) // written by index
	}
	return i
}

// Finish turns released groups into the answer: arithmetic over aggregates,
// HAVING, ORDER BY, LIMIT, and an interval for each noisy number. All of it is
// post-processing of noisy numbers and public facts, so it costs nothing.
// Confidence is in (0, 1); the error says which cell does not fit the plan.
func (p *Plan) Finish(cells []Cell, confidence float64) (*Answer, error) {
	rows, err := p.shown(cells, nil)
	if err != nil {
		return nil, err
	}
	answer := p.answer(rows, confidence)
	answer.Bias = append(answer.Bias, p.biases(cells, confidence)...)
	return answer, nil
}

// shown are the groups that the answer shows, in its order.
func (p *Plan) shown(cells []Cell, fit *fitted) ([]groupRow, error) {
	width := 0
	for _, at := range p.places {
		width = at.end
	}
	rows := make([]groupRow, 0, len(cells))
	for _, c := range cells {
		if len(c.Keys) != len(p.Fragment.Keys) || len(c.Noisy) != width {
			return nil, fmt.Errorf("a group has %d keys and %d numbers where the plan has %d and %d", len(c.Keys), len(c.Noisy), len(p.Fragment.Keys), width)
		}
		g := p.group(c)
		if g.fit = fit; fit != nil {
			g.position = fit.positions.of(c.Keys)
		}
		if p.having != nil && !g.evaluate(p.having).True() {
			continue
		}
		row := groupRow{group: g}
		for _, o := range p.order {
			row.order = append(row.order, g.evaluate(o.Expr))
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b groupRow) int { return p.compare(a, b) })
	rows = rows[min(p.offset, len(rows)):]
	if p.limit >= 0 && p.limit < len(rows) {
		rows = rows[:p.limit]
	}
	return rows, nil
}

func (p *Plan) answer(rows []groupRow, confidence float64) *Answer {
	readings := make([]*reading, len(p.Columns))
	for i, c := range p.Columns {
		if c.Ranged() {
			readings[i] = p.prepareFitted(c.expr, confidence, fitOf(rows))
		}
	}
	answer := &Answer{Columns: p.Columns, Rows: make([][]Estimate, len(rows))}
	estimates := make([]Estimate, len(rows)*len(p.Columns))
	unknown := make([]int, len(p.Columns)) // rows in which noise is why there is no number
	for i, row := range rows {
		answer.Rows[i], estimates = estimates[:len(p.Columns):len(p.Columns)], estimates[len(p.Columns):]
		for k, c := range p.Columns {
			e := Estimate{Value: row.evaluate(c.expr)}
			if r := readings[k]; r != nil {
				low, high := row.interval(r)
				e.Low, e.High = ends(low, high, e.Value, c.Type)
			}
			if e.Value.IsNull() && c.Noisy && row.unknown(c.expr) {
				unknown[k]++
			}
			answer.Rows[i][k] = e
		}
	}
	answer.Notes = tooFew(p.Columns, unknown, len(rows))
	return answer
}

// ends writes an interval in the column's type, NULL where it has no end. A
// value that post-processing moved stays within.
func ends(low, high float64, v value.Value, t value.Type) (value.Value, value.Value) {
	if !v.IsNull() {
		low, high = math.Min(low, v.Float64()), math.Max(high, v.Float64())
	}
	if t == value.TypeFloat {
		return value.Float(low), value.Float(high)
	}
	whole := func(x float64) value.Value {
		if math.IsInf(x, 0) || math.IsNaN(x) || math.Abs(x) >= 1<<62 {
			return value.Null(t)
		}
		return ordinal(t, x)
	}
	return whole(math.Floor(low)), whole(math.Ceil(high))
}

// ordinal is a whole number, or the day or instant that it counts.
func ordinal(t value.Type, x float64) value.Value {
	switch t {
	case value.TypeDate:
		return value.Date(int64(x))
	case value.TypeTimestamp:
		return value.Timestamp(int64(x))
	}
	return value.Int(int64(x))
}

type groupRow struct {
	group
	order []value.Value
}

// compare orders rows by ORDER BY, and then by the keys, so that no order tells
// anything else. NULL comes last, first with DESC.
func (p *Plan) compare(a, b groupRow) int {
	for i, o := range p.order {
		if c := o.Compare(a.order[i], b.order[i]); c != 0 {
			return c
		}
	}
	return slices.CompareFunc(a.cell.Keys, b.cell.Keys, value.Compare)
}

// group is one released group.
type group struct {
	plan  *Plan
	cell  Cell
	trees map[int]*estimate.Tree // by partial, once read
	// fit, if not nil, holds better estimates of partial aggregates than what was released of this group alone.
	fit      *fitted
	position int // of the group in the fitted tables
	// asIs takes numbers as they are, however small they are beside the noise: to plan with.
	asIs bool
}

func (p *Plan) group(c Cell) group {
	g := group{plan: p, cell: c}
	if slices.ContainsFunc(p.Aggregates, func(a Aggregate) bool { return a.read != nil }) {
		g.trees = map[int]*estimate.Tree{}
	}
	return g
}

// evaluate computes an expression over the group.
func (g group) evaluate(e *expr.Expr) value.Value {
	if settled := g.plan.settled[e]; settled != nil {
		e = settled
	}
	if e.Op == expr.OpColumn {
		return g.column(e)
	}
	return expr.Evaluate(e, g.column)
}

func (g group) column(e *expr.Expr) value.Value {
	switch e.Relation {
	case relationKey:
		return g.cell.Keys[indexOf(e.Column)]
	case relationDivision:
		return g.divide(&g.plan.divisions[indexOf(e.Column)])
	}
	a := &g.plan.Aggregates[indexOf(e.Column)]
	switch {
	case g.undetermined(a):
		return value.Null(a.valueType())
	case a.read != nil:
		return a.clamped(g.ordered(a) * a.step())
	}
	return a.clamped(a.at(g.cellOf))
}

// asReleased is a partial aggregate of one integer, as released.
func (g group) asReleased(i int) float64 { return float64(g.cell.Noisy[g.plan.places[i].start]) }

// noisy is the best estimate of a partial aggregate of one integer: what was released, or what it agrees on with others.
func (g group) noisy(i int) float64 {
	if t := g.fit.of(i); t != nil {
		return t.estimates[g.position]
	}
	return g.asReleased(i)
}

// cellOf is the number that is shown for it.
func (g group) cellOf(i int) float64 {
	if t := g.fit.of(i); t != nil {
		return t.shown[g.position]
	}
	return g.asReleased(i)
}

func (g group) tree(a *Aggregate) *estimate.Tree {
	i := a.Partials[0]
	if t, ok := g.trees[i]; ok {
		return t
	}
	at := g.plan.places[i]
	t := g.plan.tree(i, g.cell.Noisy[at.start:at.end])
	g.trees[i] = &t
	return &t
}

// reading is a released expression, with all that its intervals need and that is
// the same in each group.
type reading struct {
	plan       *Plan
	expr       *expr.Expr
	confidence float64
	fit        *fitted
	// inner is what ROUND, CAST and the quotient of two ints are of; an interval is theirs, and half wider, or truncated.
	inner     *reading
	half      float64
	truncated bool
	// smooth: arithmetic and nothing else, so that a simulation may serve.
	smooth bool
	// keyed: the expression reads group keys, so that bounds and quotient are each group's own.
	keyed      bool
	aggregates []int // one for each time that the expression reads one
	trees      bool  // one of them is of a tree
	bounds     expr.Range
	quotient   *settledQuotient
	simulation *simulation
}

// settledQuotient is a quotient with the partial aggregates that it reads and the noise on them.
type settledQuotient struct {
	estimate.Quotient
	used  []int
	terms []dp.RatioTerm
}

// prepare makes an expression ready for intervals of that confidence.
func (p *Plan) prepare(e *expr.Expr, confidence float64) *reading {
	return p.prepareFitted(e, confidence, nil)
}

func (p *Plan) prepareFitted(e *expr.Expr, confidence float64, fit *fitted) *reading {
	r := &reading{plan: p, expr: e, confidence: confidence, fit: fit}
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
		r.inner, r.truncated = p.prepareFitted(untruncated(e), confidence, fit), true
		return r
	}
	e.Columns(func(relation, _ string) { r.keyed = r.keyed || relation == relationKey })
	r.aggregates, r.smooth = p.aggregatesOf(e), smooth(e)
	if r.trees = slices.ContainsFunc(r.aggregates, func(a int) bool { return p.Aggregates[a].read != nil }); r.trees {
		return r
	}
	if !r.keyed {
		r.settle(p.group(Cell{}))
	}
	return r
}

// untruncated is the quotient of two ints with its fraction.
func untruncated(e *expr.Expr) *expr.Expr {
	return &expr.Expr{Op: expr.OpDivide, Type: value.TypeFloat, Args: e.Args}
}

// settle finds out how the expression's interval is computed, in one group or in all.
func (r *reading) settle(g group) {
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

// limits are where the plan says that the expression lies, once it is settled; infinite where it says nothing.
func (r *reading) limits() (low, high float64) {
	switch {
	case r.trees:
		return math.Inf(-1), math.Inf(1)
	case r.inner == nil:
		return r.bounds.Lower, r.bounds.Upper
	}
	low, high = r.inner.limits()
	if r.half > 0 { // ROUND moves the ends as well
		low, high = math.Floor(low/(2*r.half))*2*r.half, math.Ceil(high/(2*r.half))*2*r.half
	}
	if r.truncated {
		low, high = math.Trunc(low), math.Trunc(high)
	}
	return low, high
}

// aggregatesOf lists the aggregates that an expression reads, once for each time that it does.
func (p *Plan) aggregatesOf(e *expr.Expr) []int {
	var all []int
	e.Columns(func(relation, column string) {
		if relation == relationAggregate {
			all = append(all, indexOf(column))
		}
	})
	return all
}

// smooth reports whether an expression is made by arithmetic alone.
func smooth(e *expr.Expr) bool {
	switch e.Op {
	case expr.OpLiteral, expr.OpColumn, expr.OpAdd, expr.OpSubtract, expr.OpMultiply, expr.OpDivide, expr.OpNegate, expr.OpCast:
		return !slices.ContainsFunc(e.Args, func(a *expr.Expr) bool { return !smooth(a) })
	}
	return false
}

// interval covers the value of an expression over the clipped and bounded data with the reading's confidence.
//
//   - A quotient of two sums of partial aggregates (all that is made of counts, sums and averages with +, -,
//     one division and constants) has Fieller's interval (dp.Ratio), which covers at any size of the counts.
//   - Other arithmetic is simulated where all that it divides or multiplies by is sure to be far from 0; it is
//     close to linear in the noise there, and the simulation covers.
//   - Everything else is interval arithmetic over the aggregates' own intervals, each at a confidence that
//     leaves the stated one for all (Bonferroni). It covers at least as often as stated.
func (g group) interval(r *reading) (low, high float64) {
	if r.inner != nil {
		low, high = g.interval(r.inner)
		least, most := r.limits()
		return math.Max(least, low-r.half), math.Min(most, high+r.half)
	}
	if r.trees {
		return g.apart(r)
	}
	if r.keyed {
		r.settle(g)
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
		if low, high = math.Max(r.bounds.Lower, center-half), math.Min(r.bounds.Upper, center+half); low < high {
			return low, high
		}
	}
	ratio := dp.Ratio{Numerator: q.Top.Constant, Denominator: q.Bottom.Constant, Terms: q.terms}
	for _, i := range q.used {
		ratio.Numerator += q.Top.Weights[i] * g.noisy(i)
		ratio.Denominator += q.Bottom.Weights[i] * g.noisy(i)
	}
	return within(ratio, r.confidence, r.bounds)
}

// apart bounds an expression by interval arithmetic over the aggregates that it reads.
func (g group) apart(r *reading) (low, high float64) {
	each := 1 - (1-r.confidence)/float64(max(1, len(r.aggregates)))
	f := expr.RangeOf(r.expr, func(c *expr.Expr) expr.Range {
		f := g.facts(c)
		if c.Relation != relationAggregate {
			return f
		}
		a := &g.plan.Aggregates[indexOf(c.Column)]
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

// within clips an interval to what is public. Where noise moved the number so far
// beyond a bound that nothing is left, an interval of no width would claim a
// certainty that nobody has: a third of the half-width, about the noise's scale, is left.
func within(r dp.Ratio, confidence float64, bounds expr.Range) (low, high float64) {
	low, high = r.Interval(confidence, bounds.Lower, bounds.Upper)
	if low < high {
		return low, high
	}
	wideLow, wideHigh := r.Interval(confidence, math.Inf(-1), math.Inf(1))
	margin := (wideHigh - wideLow) / 6
	if math.IsInf(margin, 0) || math.IsNaN(margin) {
		return bounds.Lower, bounds.Upper
	}
	return math.Max(bounds.Lower, low-margin), math.Min(bounds.Upper, high+margin)
}

func (g group) facts(e *expr.Expr) expr.Range {
	if e.Relation == relationKey {
		v := g.cell.Keys[indexOf(e.Column)]
		f := expr.Range{Nullable: v.IsNull(), Lower: math.Inf(-1), Upper: math.Inf(1), Domain: []value.Value{v}}
		if v.Type() != value.TypeText && !v.IsNull() {
			f.Lower, f.Upper = v.Float64(), v.Float64()
		}
		return f
	}
	return g.plan.Aggregates[indexOf(e.Column)].facts()
}

// quotient writes an expression as a quotient of linear forms, if it is one.
func (g group) quotient(e *expr.Expr) (estimate.Quotient, bool) {
	return quotientOf(e, g.quotient, g.released)
}

// released writes a column of a released expression as a quotient of linear forms, if it is one.
func (g group) released(e *expr.Expr) (estimate.Quotient, bool) {
	if e.Relation == relationKey {
		return constantForm(g.column(e))
	}
	a := &g.plan.Aggregates[indexOf(e.Column)]
	if scale, ok := a.linear(); ok {
		return estimate.LinearForm(estimate.Form{Weights: map[int]float64{a.Partials[0]: scale}}), true
	}
	center, scale, ok := a.average()
	if !ok {
		return estimate.Quotient{}, false
	}
	sum, n := a.Partials[0], a.Partials[1]
	count := a.scale[1]
	return estimate.Quotient{Top: estimate.Form{Weights: map[int]float64{sum: scale, n: center * count}}, Bottom: estimate.Form{Weights: map[int]float64{n: count}}}, true
}

func constantForm(v value.Value) (estimate.Quotient, bool) {
	if v.IsNull() || !v.Type().Numeric() {
		return estimate.Quotient{}, false
	}
	return estimate.LinearForm(estimate.Form{Constant: v.Float64()}), true
}

// quotientOf writes an expression as a quotient of linear forms, if it is one, given its arguments and columns as such.
func quotientOf(e *expr.Expr, argument, column func(*expr.Expr) (estimate.Quotient, bool)) (estimate.Quotient, bool) {
	switch e.Op {
	case expr.OpLiteral:
		return constantForm(*e.Value)
	case expr.OpColumn:
		return column(e)
	case expr.OpNegate:
		x, ok := argument(e.Args[0])
		return estimate.Quotient{Top: x.Top.Times(-1), Bottom: x.Bottom}, ok
	case expr.OpCast:
		if e.Type.Numeric() && e.Args[0].Type == value.TypeInt {
			return argument(e.Args[0])
		}
	case expr.OpAdd, expr.OpSubtract, expr.OpMultiply, expr.OpDivide:
		x, okX := argument(e.Args[0])
		if !okX {
			return estimate.Quotient{}, false
		}
		y, okY := argument(e.Args[1])
		if !okY {
			return estimate.Quotient{}, false
		}
		switch e.Op {
		case expr.OpAdd:
			return x.Plus(y, 1)
		case expr.OpSubtract:
			return x.Plus(y, -1)
		case expr.OpMultiply:
			return x.Times(y)
		}
		return x.Over(y)
	}
	return estimate.Quotient{}, false
}

// simulation covers an expression of any form: each point undoes one possible draw
// of the noise, and the interval brackets the points' central part. It approximates; where
// counts are small beside the noise, coverage may differ from the nominal.
type simulation struct {
	expr       *expr.Expr
	confidence float64
	used       []int       // partials
	noise      [][]float64 // of each of them, a draw a point
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
		if c.Relation == relationKey {
			return g.column(c)
		}
		a := &g.plan.Aggregates[indexOf(c.Column)]
		return a.clamped(a.at(at))
	}
	var alone *Aggregate
	if s.expr.Op == expr.OpColumn {
		alone = &g.plan.Aggregates[indexOf(s.expr.Column)]
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
	tail := (1 - s.confidence) / 2
	if float64(estimate.Points-len(results)) > tail*estimate.Points {
		return bounds.Lower, bounds.Upper // too often undefined to bound anything
	}
	slices.Sort(results)
	cut := int(tail * float64(len(results)))
	return results[cut], results[len(results)-1-cut]
}
