package fragment

import (
	"github.com/intramuros/intramuros/internal/value"
)

// maxTraced bounds the operations of all that Trace tells.
const maxTraced = 2_000_000

// trace is how much of Trace's room is left.
type trace struct{ room int }

// apply makes an expression, or nil where an argument is none or the room is used up.
func (t *trace) apply(op Op, of value.Type, args ...*Expr) *Expr {
	t.room -= 1 + len(args)
	constant := true
	for _, a := range args {
		if a == nil || t.room < 0 {
			return nil
		}
		constant = constant && a.Op == OpLiteral
	}
	var e *Expr
	var err error
	if op == OpCast {
		e, err = Cast(args[0], of)
	} else {
		e, err = New(op, args...)
	}
	if err != nil { // too large
		return nil
	}
	if constant {
		return Literal(Evaluate(e, nil))
	}
	return e
}

// tree combines expressions pair by pair, so that it is as flat as can be.
func (t *trace) tree(op Op, all []*Expr) *Expr {
	if len(all) == 1 {
		return all[0]
	}
	x, y := t.tree(op, all[:len(all)/2]), t.tree(op, all[len(all)/2:])
	if x == nil || y == nil {
		return nil
	}
	return t.apply(op, "", x, y)
}

func constants(rows [][]value.Value) [][]*Expr {
	all := make([][]*Expr, len(rows))
	for i, row := range rows {
		for _, v := range row {
			all[i] = append(all[i], Literal(v))
		}
	}
	return all
}

func (v *evaluation) constant(x value.Value) *Expr {
	if v.trace == nil {
		return nil
	}
	return Literal(x)
}

// origin tells of what an expression over a row is made; nil in Evaluate.
func (j *joined) origin(e *Expr, row int) *Expr {
	if j.trace == nil {
		return nil
	}
	return j.substitute(e, j.rows[row])
}

func (j *joined) substitute(e *Expr, row joinedRow) *Expr {
	switch e.Op {
	case OpLiteral:
		return e
	case OpHospital:
		return Literal(value.Text(j.hospital))
	case OpColumn:
		i, k, ok := j.at(e, row)
		if !ok {
			return Literal(value.Null(e.Type))
		}
		return j.sources[i].Origins[row[i]][k]
	}
	args := make([]*Expr, len(e.Args))
	for i, a := range e.Args {
		args[i] = j.substitute(a, row)
	}
	return j.trace.apply(e.Op, e.Type, args...)
}

// originOf tells of what a function of rows is made, whose value is known.
func (o *Output) originOf(from *joined, rows []int, v value.Value) *Expr {
	if from.trace == nil {
		return nil
	}
	if o.Function == FunctionRows {
		return Literal(v)
	}
	var all []*Expr
	constant := true
	for _, r := range rows {
		e := from.origin(o.Expr, r)
		if e == nil {
			return nil
		}
		constant = constant && e.Op == OpLiteral
		all = append(all, e)
	}
	if constant {
		return Literal(v)
	}
	t := from.trace
	switch o.Function {
	case FunctionMin:
		return t.tree(OpLeast, all)
	case FunctionMax:
		return t.tree(OpGreatest, all)
	case FunctionCount:
		return t.tree(OpAdd, t.counted(all))
	}
	if !o.sums() || o.Grid != nil {
		return nil
	}
	terms := make([]*Expr, len(all))
	for i, e := range all {
		terms[i] = t.apply(OpCoalesce, "", e, zero(e.Type))
	}
	sum := t.tree(OpAdd, terms)
	if sum == nil || o.Function == FunctionSum {
		return sum
	}
	return t.apply(OpDivide, "", sum, t.tree(OpAdd, t.counted(all)))
}

// counted are 1 for each value that is not NULL, and 0 for each that is.
func (t *trace) counted(all []*Expr) []*Expr {
	ones := make([]*Expr, len(all))
	for i, e := range all {
		ones[i] = t.apply(OpCase, "", t.apply(OpIsNull, "", e), Literal(value.Int(0)), Literal(value.Int(1)))
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
			if x := from.origin(e, r); x == nil || x.Op != OpLiteral {
				return false
			}
		}
	}
	return true
}

// span is of what a function of groups is made over some rows of a partition.
type span struct {
	first, rows int
	expr        *Expr
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
		s.expr = from.trace.apply(OpAdd, "", nonNull(before.expr), nonNull(o.originOf(from, added, o.of(from, added))))
	default:
		s.expr = o.originOf(from, rows, v)
	}
	return s
}

// nonNull is 0 for a constant NULL.
func nonNull(e *Expr) *Expr {
	if e == nil || e.Op != OpLiteral || !e.Value.IsNull() {
		return e
	}
	return zero(e.Type)
}

func zero(t value.Type) *Expr {
	if t == value.TypeFloat {
		return Literal(value.Float(0))
	}
	return Literal(value.Int(0))
}
