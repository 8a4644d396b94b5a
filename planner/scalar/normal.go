package scalar

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Conjunction joins conditions by AND, in one fixed order. It refuses conditions that are too large together.
func Conjunction(conditions []*expr.Expr) *expr.Expr {
	parts := SortedUnique(conditions)
	if len(parts) == 1 {
		return parts[0]
	}
	all, err := expr.New(expr.OpAnd, parts...)
	if err != nil {
		Mistyped(syntax.Position{Line: 1, Column: 1}, err, "")
	}
	return all
}

// Mistyped refuses an operation that the types of its arguments do not allow, with the message of package expr.
func Mistyped(at syntax.Position, err error, hint string) {
	_, message, _ := strings.Cut(err.Error(), ": ")
	if errors.Is(err, expr.ErrTooLarge) {
		syntax.Refuse(syntax.CodeTooLarge, at, "nest fewer functions: CLAMP and some others write what they are given twice", "%s", message)
	}
	syntax.Refuse(syntax.CodeType, at, hint, "%s", message)
}

// Apply builds one operation in normal form, so that equivalent ways to write a query give the same fragment.
func Apply(at syntax.Position, op expr.Op, args ...*expr.Expr) *expr.Expr {
	if op == expr.OpNot && args[0].Op == expr.OpNot {
		return args[0].Args[0]
	}
	op, args = normalize(op, args)
	e, err := expr.New(op, args...)
	if err != nil {
		hint := ""
		for i, a := range args {
			switch {
			case len(args) == 2 && a.Type == value.TypeText && args[1-i].Type.Numeric() && syntax.IsComparison(string(op)):
				hint = "write CAST(" + a.String() + " AS " + string(args[1-i].Type) + ")"
			case a.Type == value.TypeText && syntax.IsArithmetic(string(op)):
				hint = "write CAST(" + a.String() + " AS float)"
			case len(args) == 2 && isDay(a.Type) && args[1-i].Type == value.TypeInt && syntax.IsComparison(string(op)):
				hint = "compare it with a date, DATE '2020-12-31', or a part of it, EXTRACT(YEAR FROM " + a.String() + ")"
			case op == expr.OpLeast, op == expr.OpGreatest, op == expr.OpCoalesce, op == expr.OpCase, op == expr.OpIn:
				hint = "CAST one of them, so that all are of one type"
			case (a.Type == value.TypeDate || a.Type == value.TypeTimestamp) && syntax.IsArithmetic(string(op)):
				hint = "dates take whole days and intervals: d + 30, d - INTERVAL '1' MONTH; see also DATEDIFF"
			}
		}
		Mistyped(at, err, hint)
	}
	return e
}

var mirrored = map[expr.Op]expr.Op{
	expr.OpLess: expr.OpGreater, expr.OpLessOrEqual: expr.OpGreaterOrEqual,
	expr.OpGreater: expr.OpLess, expr.OpGreaterOrEqual: expr.OpLessOrEqual,
}

func normalize(op expr.Op, args []*expr.Expr) (expr.Op, []*expr.Expr) {
	switch op {
	case expr.OpAnd, expr.OpOr:
		var flat []*expr.Expr
		for _, a := range args {
			if a.Op == op {
				flat = append(flat, a.Args...)
			} else {
				flat = append(flat, a)
			}
		}
		flat = SortedUnique(flat)
		if len(flat) == 1 {
			flat = append(flat, flat[0]) // x AND x: keep AND, because it demands a condition
		}
		return op, flat
	case expr.OpIn:
		return op, append(args[:1:1], SortedUnique(args[1:])...)
	case expr.OpEqual, expr.OpNotEqual, expr.OpAdd, expr.OpMultiply:
		if before(args[1], args[0]) {
			args = []*expr.Expr{args[1], args[0]}
		}
	case expr.OpLess, expr.OpLessOrEqual:
		if args[0].Op == expr.OpLiteral && args[1].Op != expr.OpLiteral {
			return mirrored[op], []*expr.Expr{args[1], args[0]}
		}
	case expr.OpGreater, expr.OpGreaterOrEqual: // comparisons of two columns always use < or <=
		if args[1].Op != expr.OpLiteral || args[0].Op == expr.OpLiteral {
			return mirrored[op], []*expr.Expr{args[1], args[0]}
		}
	}
	return op, args
}

// Normalized puts a condition into normal form: its parts in one order, each once.
func Normalized(e *expr.Expr) *expr.Expr { return Conjunction(expr.Conjuncts(e)) }

// before orders expressions by their canonical text, constants last.
func before(a, b *expr.Expr) bool {
	if constant := a.Op == expr.OpLiteral; constant != (b.Op == expr.OpLiteral) {
		return !constant
	}
	return Canonical(a) < Canonical(b)
}

// SortedUnique orders expressions, constants last, and keeps each once.
func SortedUnique(args []*expr.Expr) []*expr.Expr {
	type written struct {
		*expr.Expr
		constant bool
		text     string
	}
	var all []written // each once: the longest lists have thousands of items
	for _, a := range args {
		all = append(all, written{a, a.Op == expr.OpLiteral, Canonical(a)})
	}
	slices.SortStableFunc(all, func(a, b written) int {
		switch {
		case a.constant == b.constant:
			return strings.Compare(a.text, b.text)
		case b.constant:
			return -1
		}
		return 1
	})
	var unique []*expr.Expr
	for i, a := range all {
		if i == 0 || a.text != all[i-1].text {
			unique = append(unique, a.Expr)
		}
	}
	return unique
}

// Canonical returns a text that orders expressions and the structures made of them; digests are computed from it. Two
// expressions have the same text exactly if they are the same; Equal tells that faster.
func Canonical(x any) string {
	b, err := json.Marshal(x)
	if err != nil {
		panic(err) // cannot fail on plain data
	}
	return string(b)
}

// IsNull reports whether the expression is NULL in every row.
func IsNull(e *expr.Expr) bool {
	switch e.Op {
	case expr.OpLiteral:
		return e.Value.IsNull()
	case expr.OpCase:
		for i, a := range e.Args {
			if (i%2 == 1 || i == len(e.Args)-1) && !IsNull(a) {
				return false
			}
		}
		return true
	case expr.OpCoalesce:
		return !slices.ContainsFunc(e.Args, func(a *expr.Expr) bool { return !IsNull(a) })
	}
	return false
}

// IsFree reports whether the expression is a NULL whose type nothing tells. Its type is text by default.
func IsFree(e *expr.Expr) bool { return e.Type == value.TypeText && IsNull(e) }
