package scalar

import (
	"math"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// divide builds /. The quotient of two ints has no fraction.
func (c *call) divide() *expr.Expr {
	args := c.unified()
	if args[0].Type == value.TypeInt && args[1].Type == value.TypeInt {
		return Apply(c.At, expr.OpIntDivide, args...)
	}
	return Apply(c.At, expr.OpDivide, args...)
}

func (c *call) round() *expr.Expr {
	digits := wholeNumber(0)
	if len(c.Args) == 2 {
		digits = c.resolve(c.Args[1])
	}
	return Apply(c.At, expr.OpRound, c.number(0), digits)
}

// trunc rounds toward zero. For a number of digits it truncates x times a power of ten.
func (c *call) trunc() *expr.Expr {
	x, scale := c.number(0), 1.0
	if len(c.Args) == 2 {
		digits := c.constant(1, "write a whole number from 0 to 15")
		if digits.Type() != value.TypeInt || digits.Int64() < 0 || digits.Int64() > 15 {
			c.refuse(1, "write a whole number from 0 to 15", "the digits are out of range")
		}
		scale = math.Pow10(int(digits.Int64()))
	}
	if x.Type == value.TypeInt {
		return x
	}
	by := expr.Literal(value.Float(scale))
	if scale > 1 {
		x = c.op(expr.OpMultiply, x, by)
	}
	cut := c.towardZero(x)
	if scale > 1 {
		cut = c.op(expr.OpDivide, cut, by)
	}
	return cut
}

func (c *call) towardZero(x *expr.Expr) *expr.Expr {
	return c.op(expr.OpCase, c.op(expr.OpLess, x, wholeNumber(0)), c.op(expr.OpCeiling, x), c.op(expr.OpFloor, x))
}

func (c *call) sign() *expr.Expr {
	x, zero := c.number(0), wholeNumber(0)
	return c.op(expr.OpCase, c.op(expr.OpGreater, x, zero), wholeNumber(1), c.op(expr.OpLess, x, zero), wholeNumber(-1),
		c.op(expr.OpEqual, x, zero), zero, nothing(value.TypeInt))
}

func (c *call) log() *expr.Expr {
	if len(c.Args) == 1 {
		syntax.Refuse(syntax.CodeNotSupported, c.At, "write LN(x) or LOG10(x)", "this dialect has no LOG of one argument")
	}
	return c.op(expr.OpDivide, c.op(expr.OpLn, c.number(1)), c.op(expr.OpLn, c.number(0)))
}

func (c *call) log2() *expr.Expr {
	return c.op(expr.OpDivide, c.op(expr.OpLn, c.number(0)), expr.Literal(value.Float(math.Ln2)))
}

func (c *call) power() *expr.Expr { return c.op(expr.OpPower, c.number(0), c.number(1)) }

// widthBucket numbers the buckets from 1 to n. Below them it is 0, above them n + 1.
func (c *call) widthBucket() *expr.Expr {
	const hint = "write WIDTH_BUCKET(x, low, high, n) with low < high and 1 to 500 buckets"
	low, high, n := c.constant(1, hint), c.constant(2, hint), c.constant(3, hint)
	for i, v := range []value.Value{low, high, n} {
		if !v.Type().Numeric() || i == 2 && v.Type() != value.TypeInt {
			c.refuse(1+i, hint, "this is a %s", v.Type())
		}
	}
	if low.Float64() >= high.Float64() || n.Int64() < 1 || n.Int64() > 500 {
		c.refuse(1, hint, "the range of the buckets is empty, or they are too many")
	}
	x, first, last := c.number(0), expr.Literal(low), expr.Literal(high)
	share := c.op(expr.OpDivide, c.op(expr.OpSubtract, x, first), expr.Literal(value.Float(high.Float64()-low.Float64())))
	at := c.op(expr.OpAdd, c.cast(c.op(expr.OpFloor, c.op(expr.OpMultiply, share, expr.Literal(n))), value.TypeInt), wholeNumber(1))
	// Rounding must not lead out of the range.
	at = c.op(expr.OpGreatest, c.op(expr.OpLeast, at, expr.Literal(n)), wholeNumber(1))
	return c.op(expr.OpCase, c.op(expr.OpLess, x, first), wholeNumber(0), c.op(expr.OpLess, x, last), at,
		c.op(expr.OpGreaterOrEqual, x, last), wholeNumber(n.Int64()+1), nothing(value.TypeInt))
}

func (c *call) clamp() *expr.Expr {
	args := c.unified()
	x, lower, upper := args[0], args[1], args[2]
	if lower.Op == expr.OpLiteral && upper.Op == expr.OpLiteral && !lower.Value.IsNull() && !upper.Value.IsNull() && value.Compare(*lower.Value, *upper.Value) > 0 {
		c.refuse(1, "write the lower bound first", "the lower bound of CLAMP is above the upper one, so that every value would be the same")
	}
	return Clamp(c.At, x, lower, upper)
}

// Clamp builds CLAMP(x, lower, upper) of expressions of one type. NULL stays NULL.
func Clamp(at syntax.Position, x, lower, upper *expr.Expr) *expr.Expr {
	within := Within(at, x, lower, upper)
	return Apply(at, expr.OpCase, Apply(at, expr.OpIsNull, x), nothing(within.Type), within)
}

// Within is Clamp for a value that is never NULL. A NULL would become a bound.
func Within(at syntax.Position, x, lower, upper *expr.Expr) *expr.Expr {
	return Apply(at, expr.OpGreatest, Apply(at, expr.OpLeast, x, upper), lower)
}
