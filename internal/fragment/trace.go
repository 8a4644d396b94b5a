package fragment

import (
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// maxTraced bounds the number of operations in the provenance expressions that Trace builds.
const maxTraced = 2_000_000

// trace has the number of operations that Trace may still build.
type trace struct{ room int }

// apply builds an expression. It returns nil if an argument is nil or the room is used up.
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

// tree combines expressions in pairs, so that the result has the least depth.
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

// counted has 1 for each value that is not NULL, and 0 for each NULL.
func (t *trace) counted(all []*expr.Expr) []*expr.Expr {
	ones := make([]*expr.Expr, len(all))
	for i, e := range all {
		ones[i] = t.apply(expr.OpCase, "", t.apply(expr.OpIsNull, "", e), expr.Literal(value.Int(0)), expr.Literal(value.Int(1)))
	}
	return ones
}

// nonNull replaces a constant NULL by 0.
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
