package scalar

import (
	"fmt"

	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// buildCast converts a value to the type of a CAST. The cast to bool is built here: an int is false if it is 0, and a
// text must be one of the usual words.
func buildCast(t *syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) *expr.Expr {
	c := newCall(t, resolve)
	x := c.as(0, t.Type)
	if t.Type == value.TypeBool {
		switch x.Type {
		case value.TypeInt:
			return c.op(expr.OpNotEqual, x, wholeNumber(0))
		case value.TypeText:
			said := c.op(expr.OpLower, c.op(expr.OpLeftTrim, c.op(expr.OpRightTrim, x, textual(" ")), textual(" ")))
			among := func(words ...string) *expr.Expr {
				args := []*expr.Expr{said}
				for _, w := range words {
					args = append(args, textual(w))
				}
				return c.op(expr.OpIn, args...)
			}
			return c.op(expr.OpCase, among("true", "t", "yes", "y", "on", "1"), expr.Literal(value.Bool(true)),
				among("false", "f", "no", "n", "off", "0"), expr.Literal(value.Bool(false)), nothing(value.TypeBool))
		}
	}
	if x.Type == t.Type {
		return x
	}
	if t.Name == syntax.Truncating && x.Type == value.TypeFloat {
		x = c.towardZero(x)
	}
	if (t.Type == value.TypeDate || t.Type == value.TypeTimestamp) && x.Op == expr.OpLiteral && x.Type == value.TypeText && !x.Value.IsNull() {
		if at, ok := instant(x.Value.Str()); ok {
			return expr.Literal(atDay(at, t.Type))
		}
	}
	if x.Type == value.TypeFloat && t.Type == value.TypeText {
		return c.digits(x)
	}
	e, err := expr.Cast(x, t.Type)
	if err != nil {
		hint := ""
		switch {
		case t.Type.Numeric() && x.Type == value.TypeDate:
			hint = "write " + c.Args[0].Describe() + " - DATE '1970-01-01', the days since then"
		case t.Type.Numeric() && x.Type == value.TypeTimestamp:
			hint = "write EXTRACT(EPOCH FROM " + c.Args[0].Describe() + "), the seconds since 1970"
		}
		Mistyped(t.At, err, hint)
	}
	switch f := Fold(e); {
	case f.Op != expr.OpLiteral:
	case !f.Value.IsNull():
		return f
	case x.Op == expr.OpLiteral && t.Args[0].Kind == syntax.Literal && t.Args[0].Text && written[t.Type] != "":
		panic(&syntax.Error{
			Code: syntax.CodeType, Position: t.Args[0].At, Hint: "write " + written[t.Type], Message: fmt.Sprintf("%q is no %s", x.Value.Str(), t.Type),
		})
	}
	return e
}

// digits writes a float with up to 6 digits after the point and without trailing zeros. It uses operations that all
// engines compute alike, because their own texts of a float differ. The result is NULL beyond 64 bits.
func (c *call) digits(x *expr.Expr) *expr.Expr {
	if isWhole(x) {
		return c.cast(c.cast(x, value.TypeInt), value.TypeText)
	}
	const decimals, scale = 6, 1_000_000
	n := c.cast(c.op(expr.OpMultiply, x, expr.Literal(value.Float(scale))), value.TypeInt)
	size, by := c.op(expr.OpAbs, n), wholeNumber(scale)
	units, parts := c.cast(c.op(expr.OpIntDivide, size, by), value.TypeText), c.op(expr.OpModulo, size, by)
	padded := c.op(expr.OpConcat, textual(strings.Repeat("0", decimals)), c.cast(parts, value.TypeText))
	last := c.op(expr.OpSubstring, padded, c.op(expr.OpSubtract, c.op(expr.OpLength, padded), wholeNumber(decimals-1)), wholeNumber(decimals))
	written := c.op(expr.OpConcat, units, textual("."), last)
	written = c.op(expr.OpRightTrim, c.op(expr.OpRightTrim, written, textual("0")), textual("."))
	return c.op(expr.OpCase, c.op(expr.OpLess, n, wholeNumber(0)), c.op(expr.OpConcat, textual("-"), written), written)
}

// isWhole reports whether a float is always a whole number.
func isWhole(e *expr.Expr) bool {
	switch e.Op {
	case expr.OpFloor, expr.OpCeiling:
		return true
	case expr.OpRound:
		digits := e.Args[1]
		return digits.Op == expr.OpLiteral && digits.Value.Int64() == 0
	case expr.OpNegate, expr.OpAbs, expr.OpAdd, expr.OpSubtract, expr.OpMultiply:
		return !slices.ContainsFunc(e.Args, func(a *expr.Expr) bool { return a.Type != value.TypeInt && !isWhole(a) })
	case expr.OpLiteral:
		return !e.Value.IsNull() && e.Value.Float64() == math.Trunc(e.Value.Float64())
	}
	return false
}

// AsNumber says how to turn a value of another type into a number.
func AsNumber(name string, t value.Type) string {
	switch t {
	case value.TypeBool:
		return "write CASE WHEN " + name + " THEN 1 ELSE 0 END"
	case value.TypeDate, value.TypeTimestamp:
		return "write DATEDIFF(day, DATE '2000-01-01', " + name + "), or YEAR(" + name + ")"
	}
	return "write CAST(" + name + " AS float)"
}
