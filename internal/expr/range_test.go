package expr_test

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/value"
)

// An interval holds the exact result: of whole numbers, which engines multiply exactly, where float64 would round it away.
func TestIntervalsOfWholeNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 20_000 {
		a, b := r.Int64N(1<<33)-1<<32, r.Int64N(1<<31)-1<<30
		f := expr.RangeOf(exprtest.New(t, expr.OpMultiply, exprtest.Int(a), exprtest.Int(b)), noColumns)
		p := new(big.Float).SetInt(new(big.Int).Mul(big.NewInt(a), big.NewInt(b)))
		if p.Cmp(big.NewFloat(f.Lower)) < 0 || p.Cmp(big.NewFloat(f.Upper)) > 0 {
			t.Fatalf("%d * %d is outside [%v, %v]", a, b, f.Lower, f.Upper)
		}
	}
}

func noColumns(*expr.Expr) expr.Range { panic("no columns here") }

// An interval holds what an engine gives that takes numbers near zero for 0 in products and quotients, and powers
// below the least for 0: from such a result, further guards follow.
func TestIntervalsNearZero(t *testing.T) {
	x, y := expr.Column("t", "x", value.TypeFloat), expr.Column("t", "y", value.TypeFloat)
	const tiny = 1e-160
	for _, c := range []struct {
		e        *expr.Expr
		x, y     expr.Range
		contains float64
	}{
		{exprtest.New(t, expr.OpMultiply, x, y), expr.Range{Lower: tiny, Upper: 2 * tiny}, expr.Range{Lower: 0.5, Upper: 0.6}, 0},
		{exprtest.New(t, expr.OpMultiply, x, y), expr.Range{Lower: 0.5, Upper: 0.6}, expr.Range{Lower: -2 * tiny, Upper: -tiny}, 0},
		{exprtest.New(t, expr.OpMultiply, x, y), expr.Range{Lower: tiny, Upper: 3}, expr.Range{Lower: 0.5, Upper: 0.6}, 0},
		{exprtest.New(t, expr.OpDivide, x, y), expr.Range{Lower: tiny, Upper: 2 * tiny}, expr.Range{Lower: 0.5, Upper: 0.6}, 0},
		{exprtest.New(t, expr.OpDivide, x, y), expr.Range{Lower: 0.5, Upper: 0.6}, expr.Range{Lower: 4e150, Upper: 5e150}, 0},
		{exprtest.New(t, expr.OpDivide, x, y), expr.Range{Lower: -0.6, Upper: -0.5}, expr.Range{Lower: -1e200, Upper: -5}, 0},
		{exprtest.New(t, expr.OpPower, x, y), expr.Range{Lower: 1e-200, Upper: 1e-199}, expr.Range{Lower: 2, Upper: 2}, 0},
		{exprtest.New(t, expr.OpPower, x, exprtest.Int(3)), expr.Range{Lower: -1.1e-100, Upper: -0.9e-100}, expr.Range{}, -1.3e-300},
		{exprtest.New(t, expr.OpPower, x, exprtest.Int(3)), expr.Range{Lower: -1.01e-100, Upper: -1e-100}, expr.Range{}, 0},
	} {
		f := expr.RangeOf(c.e, func(column *expr.Expr) expr.Range { return map[string]expr.Range{"x": c.x, "y": c.y}[column.Column] })
		if f.Lower > c.contains || f.Upper < c.contains {
			t.Errorf("%s of [%g, %g] and [%g, %g] may be %g, and is said to be within [%g, %g]", c.e, c.x.Lower, c.x.Upper, c.y.Lower, c.y.Upper, c.contains, f.Lower, f.Upper)
		}
	}
	if f := expr.RangeOf(exprtest.New(t, expr.OpMultiply, x, y), func(*expr.Expr) expr.Range { return expr.Range{Lower: 0.5, Upper: 0.6} }); f.Lower < 0.24 {
		t.Errorf("the product of numbers far from zero is within [%g, %g]", f.Lower, f.Upper)
	}
}

// TestLongDomains: no domain is made of texts that are longer than a key, nor is memory spent on them.
func TestLongDomains(t *testing.T) {
	i := expr.NewRangeAnalysis(func(*expr.Expr) expr.Range { return expr.Range{Domain: []value.Value{value.Text(""), value.Text("x")}} })
	a := expr.Column("p", "a", value.TypeText)
	longer := func(e *expr.Expr) *expr.Expr {
		return exprtest.New(t, expr.OpReplace, e, expr.Literal(value.Text("x")), expr.Literal(value.Text(strings.Repeat("x", 60))))
	}
	if d := i.Range(longer(a)).Domain; len(d) != 2 {
		t.Errorf("domain %v", d)
	}
	e := longer(longer(a))
	if d := i.Range(e).Domain; d != nil {
		t.Errorf("a domain of texts of 3600 characters: %d", len(d))
	}
	left := i.CharactersLeft()
	if expr.Written(expr.OpConcat, []value.Value{value.Text("ab"), value.Text("cde")}) != 5 || expr.Written(expr.OpReplace, []value.Value{value.Text("xx"), value.Text("x"), value.Text("yyy")}) != 6 {
		t.Error("what an operation writes is counted wrong")
	}
	if left > expr.MaxCharacters-60-3600 {
		t.Errorf("%d of %d characters are left: what is written before it is cut does not count", left, expr.MaxCharacters)
	}
}
