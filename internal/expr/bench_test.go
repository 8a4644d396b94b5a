package expr_test

import (
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/value"
)

// BenchmarkInfer derives the range of an expression of 13 levels that uses each operand twice: some 40,000 operations
// as a tree, and 66 in memory.
func BenchmarkInfer(b *testing.B) {
	s := expr.Column("t", "w", value.TypeText)
	e := s
	for range 13 {
		start := exprtest.New(b, expr.OpSubtract, exprtest.New(b, expr.OpLength, e), exprtest.Int(3))
		e = exprtest.New(b, expr.OpSubstring, e, start, exprtest.Int(3))
	}
	column := func(c *expr.Expr) expr.Range { return columns[c.Column] }
	b.ReportAllocs()
	for b.Loop() {
		expr.RangeOf(e, column)
	}
}
