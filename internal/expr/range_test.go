package expr_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/value"
)

// An interval contains the exact result of whole numbers. Engines multiply them exactly, and float64 would round them.
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

// An interval contains the results of engines that treat numbers near zero as 0 in products and quotients, and powers
// below the least as 0. Further guards are derived from such intervals.
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

// TestLongDomains: no domain contains texts longer than a key, and building them uses no memory.
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

// TestRangesOfChoices: a value of a CASE lies where its condition says, for all values and constants.
func TestRangesOfChoices(t *testing.T) {
	u, k := expr.Column("t", "u", value.TypeInt), expr.Column("t", "k", value.TypeFloat)
	null := expr.Literal(value.Null(value.TypeInt))
	number := exprtest.Float
	of := func(op expr.Op, args ...*expr.Expr) *expr.Expr { return exprtest.New(t, op, args...) }
	open := func(*expr.Expr) expr.Range { return expr.Unknown(true) }
	for _, c := range []struct {
		e            *expr.Expr
		lower, upper float64
	}{
		{of(expr.OpCase, of(expr.OpAnd, of(expr.OpGreaterOrEqual, u, exprtest.Int(3)), of(expr.OpLessOrEqual, u, exprtest.Int(15))), u, null), 3, 15},
		{of(expr.OpCase, of(expr.OpLess, u, exprtest.Int(0)), exprtest.Int(0), of(expr.OpGreater, u, exprtest.Int(50)), exprtest.Int(50), u), 0, 50},
		{of(expr.OpCase, of(expr.OpOr, of(expr.OpLess, k, number(-1)), of(expr.OpGreater, k, number(2.5))), null, k), -1, 2.5},
		{of(expr.OpCase, of(expr.OpGreater, u, exprtest.Int(50)), exprtest.Int(50), u), math.Inf(-1), 50},
	} {
		if f := expr.RangeOf(c.e, open); f.Lower != c.lower || f.Upper != c.upper {
			t.Errorf("%s is within [%v, %v], not [%v, %v]", c.e, f.Lower, f.Upper, c.lower, c.upper)
		}
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 5))
	some := []float64{math.MinInt64, -3, -1, 0, 1, 2, 3.5, 7, 1 << 53, 1<<53 + 2}
	value1 := func() *expr.Expr {
		return []*expr.Expr{u, k, null, of(expr.OpAdd, u, exprtest.Int(1)), of(expr.OpAbs, k), exprtest.Int(2), of(expr.OpCoalesce, u, k)}[r.IntN(7)]
	}
	condition := func() *expr.Expr {
		x, c := value1(), number(some[r.IntN(len(some))])
		ops := []expr.Op{expr.OpLess, expr.OpLessOrEqual, expr.OpGreater, expr.OpGreaterOrEqual, expr.OpEqual, expr.OpIn}
		one := of(ops[r.IntN(len(ops))], x, c)
		switch other := of(ops[r.IntN(len(ops))], value1(), number(some[r.IntN(len(some))])); r.IntN(5) {
		case 0:
			return of(expr.OpAnd, one, other)
		case 1:
			return of(expr.OpOr, one, other)
		case 2:
			return of(expr.OpNot, of(expr.OpIsNull, x))
		}
		return one
	}
	for range 20_000 {
		e := of(expr.OpCase, condition(), value1(), condition(), value1(), value1())
		if r.IntN(3) == 0 {
			e = of(expr.OpCase, condition(), e, value1())
		}
		f := expr.RangeOf(e, open)
		for range 8 {
			row := map[string]value.Value{"u": value.Int(int64(some[r.IntN(len(some))])), "k": value.Float(some[r.IntN(len(some))])}
			for name, v := range row {
				if r.IntN(5) == 0 {
					row[name] = value.Null(v.Type())
				}
			}
			v := expr.Evaluate(e, func(c *expr.Expr) value.Value { return row[c.Column] })
			if !v.IsNull() && (v.Float64() < f.Lower || v.Float64() > f.Upper) || v.IsNull() && !f.Nullable {
				t.Fatalf("seed %d: %s is %s of %v, and is said to be within [%v, %v], NULL %t", seed, e, v, row, f.Lower, f.Upper, f.Nullable)
			}
		}
	}
}
