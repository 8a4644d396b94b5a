// Package exprtest makes expressions in tests, which fail where an operation does not fit its arguments.
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
