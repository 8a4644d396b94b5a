package planner

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// scalar is a function of the values of one row.
type scalar struct {
	least, most int
	build       func(at Position, args []*fragment.Expr) *fragment.Expr
}

func direct(op fragment.Op, least, most int) scalar {
	return scalar{least, most, func(at Position, args []*fragment.Expr) *fragment.Expr { return apply(at, op, args...) }}
}

var scalars = map[string]scalar{
	"abs": direct(fragment.OpAbs, 1, 1), "floor": direct(fragment.OpFloor, 1, 1),
	"ceil": direct(fragment.OpCeiling, 1, 1), "ceiling": direct(fragment.OpCeiling, 1, 1),
	"year": direct(fragment.OpExtract, 1, 1), "month": direct(fragment.OpExtract, 1, 1),
	"mod":   direct(fragment.OpModulo, 2, 2),
	"least": direct(fragment.OpLeast, 1, 100), "greatest": direct(fragment.OpGreatest, 1, 100),
	"coalesce": direct(fragment.OpCoalesce, 1, 100), "ifnull": direct(fragment.OpCoalesce, 2, 2),
	"round": {1, 2, func(at Position, args []*fragment.Expr) *fragment.Expr {
		if len(args) == 1 {
			args = append(args, fragment.Literal(value.Int(0)))
		}
		return apply(at, fragment.OpRound, args...)
	}},
	"nullif": {2, 2, func(at Position, args []*fragment.Expr) *fragment.Expr {
		same := apply(at, fragment.OpEqual, args...)
		return apply(at, fragment.OpCase, same, fragment.Literal(value.Null(args[0].Type)), args[0])
	}},
	"if": {3, 3, func(at Position, args []*fragment.Expr) *fragment.Expr {
		return apply(at, fragment.OpCase, args...)
	}},
	"clamp": {3, 3, func(at Position, args []*fragment.Expr) *fragment.Expr {
		x, lower, upper := args[0], args[1], args[2]
		within := apply(at, fragment.OpGreatest, apply(at, fragment.OpLeast, x, upper), lower)
		return apply(at, fragment.OpCase, apply(at, fragment.OpIsNull, x), fragment.Literal(value.Null(within.Type)), within)
	}},
}

func buildCall(t *termSyntax, resolve func(*termSyntax) *fragment.Expr) *fragment.Expr {
	f, ok := scalars[t.name]
	if !ok {
		var names []string
		for name := range scalars {
			names = append(names, name)
		}
		for name := range aggregates {
			names = append(names, name)
		}
		slices.Sort(names)
		refuse(CodeFunction, t.at, nearest(t.name, names), "there is no function %s here", strings.ToUpper(t.name))
	}
	if t.star || t.distinct || len(t.args) < f.least || len(t.args) > f.most {
		refuse(CodeType, t.at, "see the reference of functions", "%s does not take these arguments", strings.ToUpper(t.name))
	}
	args := t.args
	if t.name == "if" { // the condition is no part of the common type
		return f.build(t.at, append([]*fragment.Expr{resolve(args[0])}, unified(args[1:], resolve)...))
	}
	if t.name == "round" {
		return f.build(t.at, operands(args, resolve))
	}
	return f.build(t.at, unified(args, resolve))
}
