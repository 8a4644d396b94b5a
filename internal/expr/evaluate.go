package expr

import "github.com/intramuros/intramuros/internal/value"

// Evaluate computes an expression. It asks column for each column's value and for the hospital's name. It never fails:
// what cannot be computed is NULL.
func Evaluate(e *Expr, column func(*Expr) value.Value) value.Value {
	switch e.Op {
	case OpColumn, OpHospital:
		return column(e)
	case OpLiteral:
		return *e.Value
	}
	args := make([]value.Value, len(e.Args))
	for i, a := range e.Args {
		args[i] = Evaluate(a, column)
		if a.Op == OpColumn && a.Type == value.TypeText && !e.readsWhole() {
			args[i] = Cut(args[i], MaxText)
		}
	}
	return apply(e.Op, e.Type, args)
}

// apply computes one operation on values.
func apply(op Op, t value.Type, args []value.Value) value.Value {
	o := operations[op]
	if !o.nulls {
		for _, a := range args {
			if a.IsNull() {
				return value.Null(t)
			}
		}
	}
	return o.evaluate(t, args)
}
