package fragment

import (
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// maxTraced bounds the operations of all that Trace tells.
const maxTraced = 2_000_000

// trace is how much of Trace's room is left.
type trace struct{ room int }

// apply makes an expression, or nil where an argument is none or the room is used up.
func (t *trace) apply(op expr.Op, of value.Type, args ...*expr.Expr) *expr.Expr {
	t.room -= 1 + len(args)
	constant := true
	for _, a := range args {
		if a == nil || t.room < 0 {
			return nil
		}
		constant = constant && a.Op == expr.OpLiteral
	}
	var e *expr.Expr
	var err error
	if op == expr.OpCast {
		e, err = expr.Cast(args[0], of)
	} else {
		e, err = expr.New(op, args...)
	}
	if err != nil { // too large
		return nil
	}
	if constant {
		return expr.Literal(expr.Evaluate(e, nil))
	}
	return e
}

// tree combines expressions pair by pair, so that it is as flat as can be.
func (t *trace) tree(op expr.Op, all []*expr.Expr) *expr.Expr {
	if len(all) == 1 {
		return all[0]
	}
	x, y := t.tree(op, all[:len(all)/2]), t.tree(op, all[len(all)/2:])
	if x == nil || y == nil {
		return nil
	}
	return t.apply(op, "", x, y)
}

func constants(rows [][]value.Value) [][]*expr.Expr {
	all := make([][]*expr.Expr, len(rows))
	for i, row := range rows {
		for _, v := range row {
			all[i] = append(all[i], expr.Literal(v))
		}
	}
	return all
}

func (v *evaluation) constant(x value.Value) *expr.Expr {
	if v.trace == nil {
		return nil
	}
	return expr.Literal(x)
}

// origin tells of what an expression over a row is made; nil in Evaluate.
func (j *joined) origin(e *expr.Expr, row int) *expr.Expr {
	if j.trace == nil {
		return nil
	}
	return j.substitute(e, j.rows[row])
}

func (j *joined) substitute(e *expr.Expr, row joinedRow) *expr.Expr {
	switch e.Op {
	case expr.OpLiteral:
		return e
	case expr.OpHospital:
		return expr.Literal(value.Text(j.hospital))
	case expr.OpColumn:
		i, k, ok := j.at(e, row)
		if !ok {
			return expr.Literal(value.Null(e.Type))
		}
		return j.sources[i].Origins[row[i]][k]
	}
	args := make([]*expr.Expr, len(e.Args))
	for i, a := range e.Args {
		args[i] = j.substitute(a, row)
	}
	return j.trace.apply(e.Op, e.Type, args...)
}

// originOf tells of what a function of rows is made, whose value is known.
func (o *Output) originOf(from *joined, rows []int, v value.Value) *expr.Expr {
	if from.trace == nil {
		return nil
	}
	if o.Function == FunctionRows {
		return expr.Literal(v)
	}
	var all []*expr.Expr
	constant := true
	for _, r := range rows {
		e := from.origin(o.Expr, r)
		if e == nil {
			return nil
		}
		constant = constant && e.Op == expr.OpLiteral
		all = append(all, e)
	}
	if constant {
		return expr.Literal(v)
	}
	t := from.trace
	switch o.Function {
	case FunctionMin:
		return t.tree(expr.OpLeast, all)
	case FunctionMax:
		return t.tree(expr.OpGreatest, all)
	case FunctionCount:
		return t.tree(expr.OpAdd, t.counted(all))
	}
	if !o.sums() || o.Grid != nil {
		return nil
	}
	terms := make([]*expr.Expr, len(all))
	for i, e := range all {
		terms[i] = t.apply(expr.OpCoalesce, "", e, zero(e.Type))
	}
	sum := t.tree(expr.OpAdd, terms)
	if sum == nil || o.Function == FunctionSum {
		return sum
	}
	return t.apply(expr.OpDivide, "", sum, t.tree(expr.OpAdd, t.counted(all)))
}

// counted are 1 for each value that is not NULL, and 0 for each that is.
func (t *trace) counted(all []*expr.Expr) []*expr.Expr {
	ones := make([]*expr.Expr, len(all))
	for i, e := range all {
		ones[i] = t.apply(expr.OpCase, "", t.apply(expr.OpIsNull, "", e), expr.Literal(value.Int(0)), expr.Literal(value.Int(1)))
	}
	return ones
}

// orderedByConstants reports whether the order of a partition's rows rests on constants alone. Ties count where
// there are peers.
func (o *Output) orderedByConstants(from *joined, rows []int, peers bool) bool {
	if from.trace == nil || o.Function.ofGroups() {
		return false
	}
	w := *o.Window
	if !peers || !o.Tied() {
		w.Ties = nil
	}
	for _, e := range w.by() {
		for _, r := range rows {
			if x := from.origin(e, r); x == nil || x.Op != expr.OpLiteral {
				return false
			}
		}
	}
	return true
}

// span is of what a function of groups is made over some rows of a partition.
type span struct {
	first, rows int
	expr        *expr.Expr
}

// spanOf is that of rows from first on, whose function has the value v. A sum of more rows than those before is made of theirs.
func (o *Output) spanOf(from *joined, before *span, first int, rows []int, v value.Value) *span {
	s := &span{first: first, rows: len(rows)}
	same := before != nil && before.expr != nil && before.first == first
	switch {
	case from.trace == nil:
	case same && before.rows == len(rows):
		s.expr = before.expr
	case same && before.rows < len(rows) && o.Function == FunctionSum && o.Grid == nil:
		added := rows[before.rows:]
		s.expr = from.trace.apply(expr.OpAdd, "", nonNull(before.expr), nonNull(o.originOf(from, added, o.of(from, added))))
	default:
		s.expr = o.originOf(from, rows, v)
	}
	return s
}

// nonNull is 0 for a constant NULL.
func nonNull(e *expr.Expr) *expr.Expr {
	if e == nil || e.Op != expr.OpLiteral || !e.Value.IsNull() {
		return e
	}
	return zero(e.Type)
}

func zero(t value.Type) *expr.Expr {
	if t == value.TypeFloat {
		return expr.Literal(value.Float(0))
	}
	return expr.Literal(value.Int(0))
}
