package clamp

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Is reports whether an expression is CLAMP(x, lower, upper) with constant bounds, which is built as GREATEST(LEAST(x,
// upper), lower).
func Is(e *expr.Expr) bool {
	_, _, _, ok := parts(e)
	return ok && e.Type.Numeric()
}

// parts returns the arguments of GREATEST(LEAST(x, upper), lower) with constant bounds of any type.
func parts(e *expr.Expr) (x, upper, lower *expr.Expr, ok bool) {
	if e.Op != expr.OpGreatest || len(e.Args) != 2 || e.Args[0].Op != expr.OpLeast || len(e.Args[0].Args) != 2 {
		return nil, nil, nil, false
	}
	x, upper, lower = e.Args[0].Args[0], e.Args[0].Args[1], e.Args[1]
	return x, upper, lower, upper.Op == expr.OpLiteral && lower.Op == expr.OpLiteral
}

// Of is what is clamped, also of a CLAMP of what may be NULL; of everything else it is that itself.
func Of(e *expr.Expr) *expr.Expr {
	if e.Op == expr.OpCase && len(e.Args) == 3 && e.Args[0].Op == expr.OpIsNull && Is(e.Args[2]) {
		e = e.Args[2]
	}
	if Is(e) {
		return e.Args[0].Args[0]
	}
	return e
}

// Within lists the CLAMPs in an expression, each once; none for nil.
func Within(e *expr.Expr) (all []*expr.Expr) {
	if e == nil {
		return nil
	}
	if Is(e) {
		all = append(all, e)
	}
	for _, a := range e.Args {
		for _, c := range Within(a) {
			if !slices.ContainsFunc(all, c.Equal) {
				all = append(all, c)
			}
		}
	}
	return all
}

// Makes reports whether a column of a derived relation, or of a relation that it reads, uses CLAMP.
func Makes(d *fragment.Query) bool {
	return slices.ContainsFunc(d.Columns, func(o fragment.Output) bool { return len(Within(o.Expr)) > 0 }) ||
		slices.ContainsFunc(d.Relations, func(r fragment.Relation) bool { return r.Query != nil && Makes(r.Query) }) ||
		slices.ContainsFunc(d.Inputs, Makes)
}

// Moves is the condition under which a clamp moves a value that e is computed from; at is its position in the text, and
// facts tells what is known of an expression. Nil: it never moves one.
func Moves(e, clamp *expr.Expr, at syntax.Position, facts func(*expr.Expr) expr.Range) *expr.Expr {
	switch {
	case e.Equal(clamp):
		return outside(e, at, facts)
	case e.Op == expr.OpCase && len(e.Args) == 3 && e.Args[0].Op == expr.OpIsNull && e.Args[2].Equal(clamp) && e.Args[0].Args[0].Equal(clamp.Args[0].Args[0]):
		return outside(clamp, at, facts) // CLAMP of NULL is NULL, for which no comparison is true
	case e.Op == expr.OpCase:
		args, found := slices.Clone(e.Args), false
		for i := range args {
			if i%2 == 1 || i == len(args)-1 {
				moved := Moves(args[i], clamp, at, facts)
				if found = found || moved != nil; moved == nil {
					moved = expr.Literal(value.Bool(false))
				}
				args[i] = moved
			}
		}
		if found {
			return scalar.Apply(at, expr.OpCase, args...)
		}
		return nil
	}
	var any *expr.Expr
	for _, a := range e.Args {
		switch moved := Moves(a, clamp, at, facts); {
		case moved == nil || any != nil && any.Equal(moved):
		case any == nil:
			any = moved
		default:
			any = scalar.Apply(at, expr.OpOr, any, moved)
		}
	}
	return any
}

// outside is the condition under which a clamp moves its value; nil if the known range shows that it never does.
func outside(clamp *expr.Expr, at syntax.Position, facts func(*expr.Expr) expr.Range) *expr.Expr {
	x, upper, lower, ok := parts(clamp)
	if !ok || x.Op == expr.OpLiteral {
		return nil
	}
	known := facts(x)
	var any *expr.Expr
	if known.Upper > upper.Value.Float64() {
		any = scalar.Apply(at, expr.OpGreater, x, upper)
	}
	if known.Lower < lower.Value.Float64() {
		below := scalar.Apply(at, expr.OpLess, x, lower)
		if any == nil {
			return below
		}
		any = scalar.Apply(at, expr.OpOr, any, below)
	}
	return any
}

// Warn finds each CLAMP(x, lower, upper) in an expression that is narrower than the known range of x. x may have any
// type.
func Warn(e *expr.Expr, bounds func() *expr.RangeAnalysis, warn func(format string, args ...any)) {
	if e == nil {
		return
	}
	for _, a := range e.Args {
		Warn(a, bounds, warn)
	}
	x, upper, lower, ok := parts(e)
	if !ok {
		return
	}
	known := bounds().Range(x)
	if high := upper.Value.Float64(); !math.IsInf(known.Upper, 0) && high < known.Upper {
		warn("%s may be up to %g, and counts as %g at most: sums and averages come out low where it is more", x, known.Upper, high)
	}
	if low := lower.Value.Float64(); !math.IsInf(known.Lower, 0) && low > known.Lower {
		warn("%s may be down to %g, and counts as %g at least: sums and averages come out high where it is less", x, known.Lower, low)
	}
}
