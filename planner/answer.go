package planner

import (
	"fmt"
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/bias"
	"github.com/intramuros/intramuros/planner/estimate"
)

// Finish turns released groups into the answer: arithmetic over aggregates, HAVING, ORDER BY, LIMIT, and an interval
// for each noisy number. It uses only noisy numbers and public facts, so it costs nothing. Confidence is in (0, 1). The
// error says which cell does not fit the plan.
func (p *Plan) Finish(cells []Cell, confidence float64) (*Answer, error) {
	rows, err := p.shown(cells, nil)
	if err != nil {
		return nil, err
	}
	answer := p.answer(rows, confidence)
	answer.Bias = append(answer.Bias, p.biases(cells, confidence)...)
	return answer, nil
}

// shown returns the groups that the answer shows, in its order.
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
			g.position = fit.positions.Of(c.Keys)
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
	readings := make([]*releasedExpr, len(p.Columns))
	for i, c := range p.Columns {
		if c.Ranged() {
			readings[i] = p.prepareFitted(c.expr, confidence, fitOf(rows))
		}
	}
	answer := &Answer{Columns: p.Columns, Rows: make([][]Estimate, len(rows))}
	estimates := make([]Estimate, len(rows)*len(p.Columns))
	unknown := make([]int, len(p.Columns)) // rows in which the number is missing because of noise
	for i, row := range rows {
		answer.Rows[i], estimates = estimates[:len(p.Columns):len(p.Columns)], estimates[len(p.Columns):]
		for k, c := range p.Columns {
			e := Estimate{Value: row.evaluate(c.expr)}
			if r := readings[k]; r != nil {
				low, high := row.interval(r)
				e.Low, e.High = value.Interval(low, high, e.Value, c.Type)
			}
			if e.Value.IsNull() && c.Noisy && row.unknown(c.expr) {
				unknown[k]++
			}
			answer.Rows[i][k] = e
		}
	}
	answer.Notes = bias.TooFew(names(p.Columns), unknown, len(rows))
	return answer
}

type groupRow struct {
	group
	order []value.Value
}

// compare orders rows by ORDER BY and then by the keys, so that the order reveals nothing else. NULL comes last, or
// first with DESC.
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
	trees map[int]*estimate.Tree // by partial, filled when first read
	// fit, if not nil, holds estimates that are better than this group's released partial aggregates alone.
	fit      *fitted
	position int // of the group in the fitted tables
	// asIs takes numbers as they are, even if noise may explain them. It is set while planning.
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
	read := refOf(e.Relation, e.Column)
	switch read.kind {
	case refKey:
		return g.cell.Keys[read.index]
	case refDivision:
		return g.divide(&g.plan.divisions[read.index])
	}
	a := &g.plan.Aggregates[read.index]
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

// noisy is the best estimate of a partial aggregate of one integer: the released number, or its fitted value.
func (g group) noisy(i int) float64 {
	if t := g.fit.of(i); t != nil {
		return t.estimates[g.position]
	}
	return g.asReleased(i)
}

// cellOf is the number that is shown for a partial aggregate.
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

func (g group) facts(e *expr.Expr) expr.Range {
	read := refOf(e.Relation, e.Column)
	if read.kind == refKey {
		v := g.cell.Keys[read.index]
		f := expr.Range{Nullable: v.IsNull(), Lower: math.Inf(-1), Upper: math.Inf(1), Domain: []value.Value{v}}
		if v.Type() != value.TypeText && !v.IsNull() {
			f.Lower, f.Upper = v.Float64(), v.Float64()
		}
		return f
	}
	return g.plan.Aggregates[read.index].facts()
}

// quotient writes an expression as a quotient of linear forms, if it is one.
func (g group) quotient(e *expr.Expr) (estimate.Quotient, bool) {
	return quotientOf(e, g.quotient, g.released)
}

// released writes a column of a released expression as a quotient of linear forms, if it is one.
func (g group) released(e *expr.Expr) (estimate.Quotient, bool) {
	read := refOf(e.Relation, e.Column)
	if read.kind == refKey {
		return constantForm(g.column(e))
	}
	a := &g.plan.Aggregates[read.index]
	if f, ok := a.linear(); ok {
		return estimate.LinearForm(f), true
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

// quotientOf writes an expression as a quotient of linear forms, if it is one. The functions argument and column do so
// for its arguments and for columns.
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
	case expr.OpCoalesce: // of counts and sums, which are never NULL
		x, ok := argument(e.Args[0])
		return x, ok && x.Bottom.IsConstant()
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

func names(columns []Column) (all []string) {
	for _, c := range columns {
		all = append(all, c.Name)
	}
	return all
}
