package planner

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
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
	noise := make([]dp.Distribution, len(p.Fragment.Partials))
	width := 0
	for i := range noise {
		noise[i] = p.Noise.Distribution(p.LInf(i))
		width = p.places[i].end
	}
	rows := make([]groupRow, 0, len(cells))
	for _, c := range cells {
		if len(c.Keys) != len(p.Fragment.Keys) || len(c.Noisy) != width {
			return nil, fmt.Errorf("a group has %d keys and %d numbers where the plan has %d and %d", len(c.Keys), len(c.Noisy), len(p.Fragment.Keys), width)
		}
		g := group{plan: p, cell: c, noise: noise}
		row := groupRow{group: g}
		if p.having != nil && !fragment.Evaluate(p.having, g.column).True() {
			continue
		}
		for _, o := range p.order {
			row.order = append(row.order, fragment.Evaluate(o.expr, g.column))
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b groupRow) int { return p.compare(a, b) })
	rows = rows[min(p.offset, len(rows)):]
	if p.limit >= 0 && p.limit < len(rows) {
		rows = rows[:p.limit]
	}
	answer := &Answer{Columns: p.Columns, Rows: make([][]Estimate, len(rows))}
	for i, row := range rows {
		for _, c := range p.Columns {
			e := Estimate{Value: fragment.Evaluate(c.expr, row.column)}
			if c.Noisy && c.Type.Numeric() {
				low, high := row.interval(c.expr, confidence)
				e.Low, e.High = ends(low, high, e.Value, c.Type)
			}
			answer.Rows[i] = append(answer.Rows[i], e)
		}
	}
	return answer, nil
}

// ends writes an interval in the column's type, NULL where it has no end. A
// value that post-processing moved stays within.
func ends(low, high float64, v value.Value, t value.Type) (value.Value, value.Value) {
	if !v.IsNull() {
		low, high = math.Min(low, v.Float64()), math.Max(high, v.Float64())
	}
	if t != value.TypeInt {
		return value.Float(low), value.Float(high)
	}
	whole := func(x float64) value.Value {
		if math.IsInf(x, 0) || math.IsNaN(x) || math.Abs(x) >= 1<<62 {
			return value.Null(t)
		}
		return value.Int(int64(x))
	}
	return whole(math.Floor(low)), whole(math.Ceil(high))
}

type groupRow struct {
	group
	order []value.Value
}

// compare orders rows by ORDER BY, and then by the keys, so that no order tells
// anything else. NULL comes last, first with DESC.
func (p *Plan) compare(a, b groupRow) int {
	for i, o := range p.order {
		if c := value.Compare(a.order[i], b.order[i]); c != 0 {
			if o.descending {
				return -c
			}
			return c
		}
	}
	return slices.CompareFunc(a.cell.Keys, b.cell.Keys, value.Compare)
}

// group is one released group.
type group struct {
	plan  *Plan
	cell  Cell
	noise []dp.Distribution
}

func (g group) column(e *fragment.Expr) value.Value {
	if e.Relation == relationKey {
		return g.cell.Keys[indexOf(e.Column)]
	}
	a := &g.plan.Aggregates[indexOf(e.Column)]
	if a.read != nil {
		x, _, _ := a.read(g.tree(a), a.argument, 0.95)
		return a.clamped(x)
	}
	return a.number(g.noisy)
}

// noisy is a partial aggregate of one integer, as released.
func (g group) noisy(i int) float64 { return float64(g.cell.Noisy[g.plan.places[i].start]) }

func (g group) tree(a *Aggregate) tree {
	i := a.Partials[0]
	at := g.plan.places[i]
	return newTree(*g.plan.Fragment.Partials[i].Buckets, g.cell.Noisy[at.start:at.end], g.noise[i])
}

// interval covers the exact value of an expression with that confidence.
//
// Where the expression is a quotient of two sums of partial aggregates (all that
// is made of counts, sums and averages with +, -, one division and constants), it is
// Fieller's interval (dp.Ratio), which covers at any size of the counts. For the
// rest it is simulated: see simulate.
func (g group) interval(e *fragment.Expr, confidence float64) (low, high float64) {
	if e.Op == fragment.OpRound {
		low, high = g.interval(e.Args[0], confidence)
		half := 0.5 * math.Pow10(-int(e.Args[1].Value.Int64()))
		return low - half, high + half
	}
	if e.Op == fragment.OpCast {
		return g.interval(e.Args[0], confidence)
	}
	if trees := g.trees(e); trees > 0 {
		return g.fromTrees(e, confidence, trees)
	}
	bounds := fragment.Infer(e, g.facts)
	if q, ok := g.quotient(e); ok && !q.empty() {
		ratio := dp.Ratio{Numerator: q.top.constant, Denominator: q.bottom.constant}
		for _, i := range q.partials() {
			ratio.Terms = append(ratio.Terms, dp.RatioTerm{
				Value: g.noisy(i), Distribution: g.noise[i], Numerator: q.top.weights[i], Denominator: q.bottom.weights[i],
			})
		}
		return within(ratio, confidence, bounds)
	}
	return g.simulate(e, confidence, bounds)
}

// trees counts the aggregates of an expression, if one of them is of a tree.
func (g group) trees(e *fragment.Expr) int {
	n, found := 0, false
	e.Columns(func(relation, column string) {
		if relation == relationAggregate {
			n++
			found = found || g.plan.Aggregates[indexOf(column)].read != nil
		}
	})
	if !found {
		return 0
	}
	return n
}

// fromTrees gives the interval of one tree's aggregate, or of what is made of
// several aggregates by interval arithmetic over their own, each at a
// confidence that leaves the stated one for all (Bonferroni).
func (g group) fromTrees(e *fragment.Expr, confidence float64, n int) (low, high float64) {
	each := 1 - (1-confidence)/float64(n)
	f := fragment.Infer(e, func(c *fragment.Expr) fragment.Facts {
		f := g.facts(c)
		if c.Relation != relationAggregate {
			return f
		}
		a := &g.plan.Aggregates[indexOf(c.Column)]
		if a.read == nil {
			low, high = g.interval(c, each)
		} else {
			_, low, high = a.read(g.tree(a), a.argument, each)
		}
		f.Lower, f.Upper = math.Max(f.Lower, low), math.Min(f.Upper, high)
		if f.Lower > f.Upper {
			f.Lower, f.Upper = a.lower, a.upper
		}
		return f
	})
	return f.Lower, f.Upper
}

// within clips an interval to what is public. Where noise moved the number so far
// beyond a bound that nothing is left, an interval of no width would claim a
// certainty that nobody has: a third of the half-width, about the noise's scale, is left.
func within(r dp.Ratio, confidence float64, bounds fragment.Facts) (low, high float64) {
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

func (g group) facts(e *fragment.Expr) fragment.Facts {
	if e.Relation == relationKey {
		v := g.cell.Keys[indexOf(e.Column)]
		f := fragment.Facts{Nullable: v.IsNull(), Lower: math.Inf(-1), Upper: math.Inf(1), Domain: []value.Value{v}}
		if v.Type() != value.TypeText && !v.IsNull() {
			f.Lower, f.Upper = v.Float64(), v.Float64()
		}
		return f
	}
	return g.plan.Aggregates[indexOf(e.Column)].facts()
}

// form is constant + sum of weight * partial.
type form struct {
	constant float64
	weights  map[int]float64
}

func (f form) plus(o form, factor float64) form {
	sum := form{f.constant + factor*o.constant, map[int]float64{}}
	for i, w := range f.weights {
		sum.weights[i] += w
	}
	for i, w := range o.weights {
		sum.weights[i] += factor * w
	}
	return sum
}

func (f form) times(factor float64) form { return form{}.plus(f, factor) }

func (f form) isConstant() bool { return len(f.weights) == 0 }

func (f form) equal(o form) bool {
	if f.constant != o.constant || len(f.weights) != len(o.weights) {
		return false
	}
	for i, w := range f.weights {
		if v, ok := o.weights[i]; !ok || v != w {
			return false
		}
	}
	return true
}

// quotient is top / bottom.
type quotient struct{ top, bottom form }

func (q quotient) empty() bool { return q.top.isConstant() && q.bottom.isConstant() }

func (q quotient) partials() []int {
	var all []int
	for _, f := range []form{q.top, q.bottom} {
		for i := range f.weights {
			if !slices.Contains(all, i) {
				all = append(all, i)
			}
		}
	}
	slices.Sort(all)
	return all
}

func linearForm(f form) quotient { return quotient{f, form{constant: 1}} }

// quotient writes an expression as a quotient of linear forms, if it is one.
func (g group) quotient(e *fragment.Expr) (quotient, bool) {
	none := quotient{}
	switch e.Op {
	case fragment.OpLiteral, fragment.OpColumn:
		if e.Op == fragment.OpLiteral || e.Relation == relationKey {
			v := fragment.Evaluate(e, g.column)
			if v.IsNull() || !v.Type().Numeric() {
				return none, false
			}
			return linearForm(form{constant: v.Float64()}), true
		}
		a := &g.plan.Aggregates[indexOf(e.Column)]
		if scale, ok := a.linear(); ok {
			return linearForm(form{weights: map[int]float64{a.Partials[0]: scale}}), true
		}
		center, scale, ok := a.average()
		if !ok {
			return none, false
		}
		sum, n := a.Partials[0], a.Partials[1]
		return quotient{form{weights: map[int]float64{sum: scale, n: center}}, form{weights: map[int]float64{n: 1}}}, true
	case fragment.OpNegate:
		x, ok := g.quotient(e.Args[0])
		return quotient{x.top.times(-1), x.bottom}, ok
	case fragment.OpCast:
		if e.Type.Numeric() && e.Args[0].Type == value.TypeInt {
			return g.quotient(e.Args[0])
		}
	case fragment.OpAdd, fragment.OpSubtract, fragment.OpMultiply, fragment.OpDivide:
		x, okX := g.quotient(e.Args[0])
		y, okY := g.quotient(e.Args[1])
		if okX && okY {
			return combine(e.Op, x, y)
		}
	}
	return none, false
}

func combine(op fragment.Op, x, y quotient) (quotient, bool) {
	constant := func(q quotient) (float64, bool) {
		return q.top.constant / q.bottom.constant, q.top.isConstant() && q.bottom.isConstant() && q.bottom.constant != 0
	}
	c, yConstant := constant(y)
	d, xConstant := constant(x)
	sign := 1.0
	switch op {
	case fragment.OpSubtract:
		sign = -1
		fallthrough
	case fragment.OpAdd:
		switch {
		case yConstant:
			return quotient{x.top.plus(x.bottom, sign*c), x.bottom}, true
		case xConstant:
			return quotient{y.top.times(sign).plus(y.bottom, d), y.bottom}, true
		case x.bottom.equal(y.bottom):
			return quotient{x.top.plus(y.top, sign), x.bottom}, true
		}
	case fragment.OpMultiply:
		switch {
		case yConstant:
			return quotient{x.top.times(c), x.bottom}, true
		case xConstant:
			return quotient{y.top.times(d), y.bottom}, true
		}
	case fragment.OpDivide:
		switch {
		case yConstant && c != 0:
			return quotient{x.top.times(1 / c), x.bottom}, true
		case x.bottom.isConstant() && y.bottom.isConstant():
			return quotient{x.top.times(y.bottom.constant), y.top.times(x.bottom.constant)}, true
		case xConstant:
			return quotient{y.bottom.times(d), y.top}, true
		}
	}
	return quotient{}, false
}

// draws is how many points simulate evaluates; the quantiles of 95 % then rest on
// the 50 lowest and highest.
const draws = 2000

// simulate covers an expression of any form: each point undoes one possible draw
// of the noise, and the interval spans the points' central part. The points are a
// Kronecker sequence (Niederreiter 1992) pushed through the noise's quantiles: fixed,
// so that the same answer always has the same interval. It approximates; where
// counts are small beside the noise, coverage may differ from the nominal.
func (g group) simulate(e *fragment.Expr, confidence float64, bounds fragment.Facts) (low, high float64) {
	var used []int
	e.Columns(func(relation, column string) {
		if relation == relationAggregate {
			used = append(used, g.plan.Aggregates[indexOf(column)].Partials...)
		}
	})
	slices.Sort(used)
	used = slices.Compact(used)
	root := generalizedGolden(len(used))
	point := map[int]float64{}
	var results []float64
	undefined := 0
	for k := 1; k <= draws; k++ {
		step := 1.0
		for _, i := range used {
			step /= root
			_, u := math.Modf(0.5 + float64(k)*step)
			point[i] = g.noisy(i) - g.noise[i].Quantile(math.Max(u, 1e-9))
		}
		v := fragment.Evaluate(e, func(c *fragment.Expr) value.Value {
			if c.Relation == relationKey {
				return g.column(c)
			}
			return g.plan.Aggregates[indexOf(c.Column)].number(func(i int) float64 { return point[i] })
		})
		if v.IsNull() {
			undefined++
			continue
		}
		results = append(results, v.Float64())
	}
	tail := (1 - confidence) / 2
	if float64(undefined) > tail*draws {
		return bounds.Lower, bounds.Upper // too often undefined to bound anything
	}
	slices.Sort(results)
	cut := int(tail * float64(len(results)))
	return results[cut], results[len(results)-1-cut]
}

// generalizedGolden is the root above 1 of x^(d+1) = x + 1, whose inverse powers
// make the Kronecker sequence of d dimensions spread evenly (Roberts 2018).
func generalizedGolden(d int) float64 {
	x := 2.0
	for range 50 {
		x = math.Pow(1+x, 1/float64(d+1))
	}
	return x
}
