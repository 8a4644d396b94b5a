package fragment

import (
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

func (v *evaluation) constant(x value.Value) *expr.Expr {
	if v.trace == nil {
		return nil
	}
	return expr.Literal(x)
}

// origin returns the provenance of an expression over a row, or nil in Evaluate.
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

// originOf returns the provenance of a function of rows, whose value is known.
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

// orderedByConstants reports whether the order of a partition's rows depends on constants alone. With peers, ties
// matter.
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

// span is the provenance of a group function over some rows of a partition.
type span struct {
	first, rows int
	expr        *expr.Expr
}

// spanOf is the provenance for the rows from first on, whose function has the value v. A sum extends the provenance of
// fewer rows from the same first row.
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
