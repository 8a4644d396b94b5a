package planner

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// condition resolves a term that must be a condition.
func (r *resolver) condition(t *syntax.Expr, where string) *expr.Expr {
	e := r.row(t)
	if e.Type != value.TypeBool {
		refuse(CodeType, t.At, "write a comparison, such as "+t.Describe()+" = …", "%s needs a condition, and this is a %s", where, e.Type)
	}
	return e
}

// or returns what is near, else where to look.
func or(near, where string) string {
	if near == "" {
		return where
	}
	return near
}

// written says how a value of a type is written.
var written = map[value.Type]string{
	value.TypeInt: "a whole number", value.TypeFloat: "a number", value.TypeBool: "TRUE or FALSE",
	value.TypeDate: "a date as '2020-12-31'", value.TypeTimestamp: "a time as '2020-12-31 23:59:59'", value.TypeText: "a text in quotes",
}

// build applies a term's operation to its resolved arguments.
func build(t *syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) *expr.Expr {
	switch t.Kind {
	case syntax.Literal:
		if !t.Literal.Valid() {
			return expr.Literal(value.Null(value.TypeText)) // a NULL whose type nothing tells
		}
		return expr.Literal(t.Literal)
	case syntax.Cast:
		return buildCast(t, resolve)
	case syntax.Operator:
		return buildOperator(t, resolve)
	case syntax.Call:
		return buildCall(t, resolve)
	}
	refuse(CodeNotSupported, t.At, "", "this cannot stand here")
	return nil
}

func operands(terms []*syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) []*expr.Expr {
	args := make([]*expr.Expr, len(terms))
	for i, t := range terms {
		args[i] = resolve(t)
	}
	return args
}

// unified resolves operands that must share a type: a string literal becomes a
// date or a number where the others are, a NULL takes their type, a date among
// timestamps becomes one.
func unified(terms []*syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) []*expr.Expr {
	args := operands(terms, resolve)
	var target value.Type
	for i, a := range args {
		free := terms[i].Kind == syntax.Literal && (terms[i].Text || !terms[i].Literal.Valid()) || isFree(a)
		switch {
		case free:
		case target == "", target == value.TypeInt && a.Type == value.TypeFloat, target == value.TypeDate && a.Type == value.TypeTimestamp:
			target = a.Type
		}
	}
	if target == "" {
		target = value.TypeText
	}
	for i, a := range args {
		switch t := terms[i]; {
		case t.Kind == syntax.Literal && !t.Literal.Valid(), isFree(a):
			args[i] = expr.Literal(value.Null(target))
		case t.Text && target != value.TypeText:
			v, err := value.Parse(target, t.Literal.Str())
			if at, ok := instant(t.Literal.Str()); err != nil && ok && (target == value.TypeTimestamp || at.Int64()%day == 0) {
				v, err = atDay(at, target), nil
			}
			if err != nil && target == value.TypeInt {
				v, err = value.Parse(value.TypeFloat, t.Literal.Str())
			}
			if err != nil {
				panic(&Error{
					Code: CodeType, Position: t.At, Hint: "write " + written[target], Message: fmt.Sprintf("%q is no %s", t.Literal.Str(), target), Wanted: target,
				})
			}
			args[i] = expr.Literal(v)
		case a.Type == value.TypeDate && target == value.TypeTimestamp:
			args[i], _ = expr.Cast(a, target)
		}
	}
	return args
}

const day = 86400e6 // microseconds

// instant reads a time as RFC 3339 writes it, in UTC, the zone of all times here: so do Grafana's macros and JSON; and a day of
// eight digits, as PostgreSQL and SQL Server do.
func instant(text string) (value.Value, bool) {
	if t, err := time.Parse("20060102", text); err == nil && t.Year() > 0 {
		return value.Timestamp(t.UnixMicro()), true
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 1 {
		return value.Value{}, false
	}
	_, offset := t.Zone()
	return value.Timestamp(t.UnixMicro()), offset == 0
}

// atDay is the time, or the day that it is in.
func atDay(at value.Value, target value.Type) value.Value {
	if target == value.TypeTimestamp {
		return at
	}
	days := at.Int64() / day
	if at.Int64()%day < 0 {
		days--
	}
	return value.Date(days)
}

var operators = map[string]expr.Op{
	"and": expr.OpAnd, "or": expr.OpOr, "not": expr.OpNot, "is null": expr.OpIsNull, "in": expr.OpIn,
	"like": expr.OpLike, "case": expr.OpCase, "neg": expr.OpNegate,
	"||": expr.OpConcat, "ilike": expr.OpLike, "regexp": expr.OpRegexp, "iregexp": expr.OpRegexp, "is distinct from": expr.OpDistinct,
	"=": expr.OpEqual, "<>": expr.OpNotEqual, "<": expr.OpLess, "<=": expr.OpLessOrEqual,
	">": expr.OpGreater, ">=": expr.OpGreaterOrEqual,
	"+": expr.OpAdd, "-": expr.OpSubtract, "*": expr.OpMultiply, "/": expr.OpDivide, syntax.Divide: expr.OpDivide, "div": expr.OpIntDivide, "%": expr.OpModulo,
}

func buildOperator(t *syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) *expr.Expr {
	if f, ok := operations[t.Name]; ok {
		return f(newCall(t, resolve))
	}
	if operators[t.Name] == "" {
		refuse(CodeNotSupported, t.At, "", "the operator %s is not answered yet", strings.ToUpper(t.Name))
	}
	var args []*expr.Expr
	switch t.Name {
	case "and", "or", "not", "is null":
		args = operands(t.Args, resolve)
	case "case":
		args = caseOperands(t, resolve)
	default:
		args = unified(t.Args, resolve)
	}
	if t.Name == "in" {
		for i, a := range t.Args[1:] {
			if args[i+1] = constant(args[i+1]); args[i+1].Op != expr.OpLiteral { // clients cast what they bind
				refuse(CodeNotSupported, a.At, "write x = a OR x = b", "IN takes constants, and value %d is none", i+1)
			}
		}
	}
	if t.Name == "like" {
		if args[1] = constant(args[1]); args[1].Op != expr.OpLiteral {
			refuse(CodeNotSupported, t.Args[1].At, "write the pattern as a string", "LIKE takes a constant pattern")
		}
	}
	return apply(t.At, operators[t.Name], args...)
}

// constant computes what is made of constants alone, such as the cast of one.
func constant(e *expr.Expr) *expr.Expr {
	if len(e.Args) == 0 {
		return e
	}
	return folded(e)
}

// caseOperands resolves conditions on their own and the values together.
func caseOperands(t *syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) []*expr.Expr {
	var values []*syntax.Expr
	for i, a := range t.Args {
		if i%2 == 1 || i == len(t.Args)-1 {
			values = append(values, a)
		}
	}
	if len(t.Args)%2 == 0 { // no ELSE
		values = append(values, &syntax.Expr{Kind: syntax.Literal, At: t.At})
	}
	resolved := unified(values, resolve)
	var args []*expr.Expr
	for i := 0; i+1 < len(t.Args); i += 2 {
		args = append(args, resolve(t.Args[i]), resolved[i/2])
	}
	return append(args, resolved[len(resolved)-1])
}

func mistyped(at Position, err error, hint string) {
	_, message, _ := strings.Cut(err.Error(), ": ")
	refuse(CodeType, at, hint, "%s", message)
}

// apply builds one operation in normal form, so that rewritings of a query make
// the same fragment.
func apply(at Position, op expr.Op, args ...*expr.Expr) *expr.Expr {
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
		mistyped(at, err, hint)
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
		flat = sortedUnique(flat)
		if len(flat) == 1 {
			flat = append(flat, flat[0]) // x AND x: keep the operation, and its demand for a condition
		}
		return op, flat
	case expr.OpIn:
		return op, append(args[:1:1], sortedUnique(args[1:])...)
	case expr.OpEqual, expr.OpNotEqual, expr.OpAdd, expr.OpMultiply:
		if before(args[1], args[0]) {
			args = []*expr.Expr{args[1], args[0]}
		}
	case expr.OpLess, expr.OpLessOrEqual:
		if args[0].Op == expr.OpLiteral && args[1].Op != expr.OpLiteral {
			return mirrored[op], []*expr.Expr{args[1], args[0]}
		}
	case expr.OpGreater, expr.OpGreaterOrEqual: // between two columns, always < or <=
		if args[1].Op != expr.OpLiteral || args[0].Op == expr.OpLiteral {
			return mirrored[op], []*expr.Expr{args[1], args[0]}
		}
	}
	return op, args
}

func normalizeConjunction(e *expr.Expr) *expr.Expr { return conjunction(expr.Conjuncts(e)) }

// before orders expressions: constants last, else by their canonical text.
func before(a, b *expr.Expr) bool {
	if constant := a.Op == expr.OpLiteral; constant != (b.Op == expr.OpLiteral) {
		return !constant
	}
	return canonical(a) < canonical(b)
}

func sortedUnique(args []*expr.Expr) []*expr.Expr {
	type written struct {
		*expr.Expr
		constant bool
		text     string
	}
	var all []written // each once: the longest lists have thousands
	for _, a := range args {
		all = append(all, written{a, a.Op == expr.OpLiteral, canonical(a)})
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

// sameExpr reports whether two expressions, or none, are the same. Unlike their canonical texts, it mostly finds at once that
// they are not.
func sameExpr(a, b *expr.Expr) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a == b || a.Equal(b)
}

// samePartial reports whether two partial aggregates are the same.
func samePartial(a, b fragment.Partial) bool {
	if a.Kind != b.Kind || !sameExpr(a.Expr, b.Expr) {
		return false
	}
	a.Expr, b.Expr = nil, nil
	return canonical(a) == canonical(b)
}

// sameOutput reports whether two outputs are the same, whatever they are called.
func sameOutput(a, b fragment.Output) bool {
	if a.Function != b.Function || !sameExpr(a.Expr, b.Expr) {
		return false
	}
	a.Name, b.Name, a.Expr, b.Expr = "", "", nil, nil
	return canonical(a) == canonical(b)
}

// canonical is a text that two expressions share if and only if they are the same.
func canonical(x any) string {
	b, err := json.Marshal(x)
	if err != nil {
		panic(err) // plain data, by construction
	}
	return string(b)
}
