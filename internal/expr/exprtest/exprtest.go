// Package exprtest makes expressions in tests. A test fails if an operation does not fit its arguments.
package exprtest

import (
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// New applies an operation.
func New(t testing.TB, op expr.Op, args ...*expr.Expr) *expr.Expr {
	t.Helper()
	e, err := expr.New(op, args...)
	if err != nil {
		t.Fatalf("%s: %v", op, err)
	}
	return e
}

// Cast converts an expression to another type.
func Cast(t testing.TB, e *expr.Expr, to value.Type) *expr.Expr {
	t.Helper()
	c, err := expr.Cast(e, to)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Int is a constant.
func Int(i int64) *expr.Expr { return expr.Literal(value.Int(i)) }

// Float is a constant.
func Float(f float64) *expr.Expr { return expr.Literal(value.Float(f)) }

// Text is a constant.
func Text(s string) *expr.Expr { return expr.Literal(value.Text(s)) }

// Signature is an operation with types that its arguments can have, whatever their values.
type Signature struct {
	Op   expr.Op
	Args []value.Type
	Type value.Type // of the result
}

// Types are all types of values.
var Types = []value.Type{value.TypeBool, value.TypeInt, value.TypeFloat, value.TypeText, value.TypeDate, value.TypeTimestamp}

// Signatures lists the signatures of up to three arguments, for all operations except those that need a constant
// argument. So a test over all signatures includes new operations.
func Signatures() []Signature {
	var all []Signature
	for _, op := range expr.Ops() {
		var try func(args []*expr.Expr)
		try = func(args []*expr.Expr) {
			if len(args) > 0 {
				if e, err := expr.New(op, args...); err == nil {
					s := Signature{Op: op, Type: e.Type}
					for _, a := range args {
						s.Args = append(s.Args, a.Type)
					}
					all = append(all, s)
				}
			}
			for _, t := range Types {
				if len(args) < 3 {
					try(append(args[:len(args):len(args)], expr.Column("t", "c", t)))
				}
			}
		}
		try(nil)
	}
	return all
}
