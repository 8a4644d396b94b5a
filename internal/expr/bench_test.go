package expr

import (
	"testing"

	"github.com/intramuros/intramuros/internal/value"
)

// BenchmarkInfer infers an expression of 13 levels whose operands are used twice
// each: some 40,000 operations as a tree, 66 in memory.
func BenchmarkInfer(b *testing.B) {
	s := Column("t", "w", value.TypeText)
	e := s
	for range 13 {
		start := must(b, OpSubtract, must(b, OpLength, e), num(3))
		e = must(b, OpSubstring, e, start, num(3))
	}
	column := func(c *Expr) Range { return columns[c.Column] }
	b.ReportAllocs()
	for b.Loop() {
		RangeOf(e, column)
	}
}
