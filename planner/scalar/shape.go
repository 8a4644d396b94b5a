package scalar

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Affine reports whether a number is a column times a constant factor, plus constants. It returns the column and the
// factor, whose sign may be wrong. The factor is 0 if the number has another form.
func Affine(e *expr.Expr) (column *expr.Expr, factor float64) {
	constant := func(e *expr.Expr) bool {
		return e.Op == expr.OpLiteral && !e.Value.IsNull() && e.Type.Numeric()
	}
	switch {
	case e.Op == expr.OpColumn:
		return e, 1
	case e.Op == expr.OpNegate:
		return Affine(e.Args[0])
	case e.Op != expr.OpAdd && e.Op != expr.OpSubtract && e.Op != expr.OpMultiply:
		return nil, 0
	case constant(e.Args[0]):
		column, factor = Affine(e.Args[1])
		if e.Op == expr.OpMultiply {
			factor *= e.Args[0].Value.Float64()
		}
	case constant(e.Args[1]):
		column, factor = Affine(e.Args[0])
		if e.Op == expr.OpMultiply {
			factor *= e.Args[1].Value.Float64()
		}
	}
	return column, factor
}

// Unrounded removes ROUND and casts of a number from an expression, and LEAST, GREATEST and COALESCE of one number and
// constants.
func Unrounded(e *expr.Expr) *expr.Expr {
	switch e.Op {
	case expr.OpRound:
		return Unrounded(e.Args[0])
	case expr.OpCast:
		if e.Args[0].Type.Numeric() {
			return Unrounded(e.Args[0])
		}
	case expr.OpLeast, expr.OpGreatest, expr.OpCoalesce:
		varying := slices.DeleteFunc(slices.Clone(e.Args), func(a *expr.Expr) bool { return a.Op == expr.OpLiteral })
		if len(varying) == 1 {
			return Unrounded(varying[0])
		}
	}
	return e
}

// Untruncated is the quotient of two integers with its fraction.
func Untruncated(e *expr.Expr) *expr.Expr {
	return &expr.Expr{Op: expr.OpDivide, Type: value.TypeFloat, Args: e.Args}
}

// Divides reports whether an expression divides or subtracts anything.
func Divides(e *expr.Expr) bool {
	return e.Op == expr.OpDivide || e.Op == expr.OpIntDivide || e.Op == expr.OpSubtract || slices.ContainsFunc(e.Args, Divides)
}

// Truncates reports whether an expression drops the fraction of a quotient of two numbers that both vary. A divisor
// that is itself such a quotient makes equal parts, as those of NTILE, which are meant to be whole.
func Truncates(e *expr.Expr) bool {
	switch {
	case e == nil || e.Op == expr.OpIntDivide && parts(e.Args[1]):
		return false
	case e.Op == expr.OpIntDivide && varies(e.Args[0]) && varies(e.Args[1]):
		return true
	}
	return slices.ContainsFunc(e.Args, Truncates)
}

func parts(e *expr.Expr) bool { return e.Op == expr.OpIntDivide || slices.ContainsFunc(e.Args, parts) }

func varies(e *expr.Expr) bool { return e.Op == expr.OpColumn || slices.ContainsFunc(e.Args, varies) }

// Smooth reports whether an expression consists of arithmetic only.
func Smooth(e *expr.Expr) bool {
	switch e.Op {
	case expr.OpLiteral, expr.OpColumn, expr.OpAdd, expr.OpSubtract, expr.OpMultiply, expr.OpDivide, expr.OpNegate, expr.OpCast:
		return !slices.ContainsFunc(e.Args, func(a *expr.Expr) bool { return !Smooth(a) })
	}
	return false
}
