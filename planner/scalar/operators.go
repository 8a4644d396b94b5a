package scalar

import (
	"fmt"
	"strings"
	"time"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// written says how to write a value of a type.
var written = map[value.Type]string{
	value.TypeInt: "a whole number", value.TypeFloat: "a number", value.TypeBool: "TRUE or FALSE",
	value.TypeDate: "a date as '2020-12-31'", value.TypeTimestamp: "a time as '2020-12-31 23:59:59'", value.TypeText: "a text in quotes",
}

// Build applies a term's operation to its resolved arguments.
func Build(t *syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) *expr.Expr {
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
	syntax.Refuse(syntax.CodeNotSupported, t.At, "", "this cannot stand here")
	return nil
}

func operands(terms []*syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) []*expr.Expr {
	args := make([]*expr.Expr, len(terms))
	for i, t := range terms {
		args[i] = resolve(t)
	}
	return args
}

// Unified resolves operands that must share a type. A string literal becomes a date or a number if the others are; a
// NULL takes their type; a date among timestamps becomes a timestamp.
func Unified(terms []*syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) []*expr.Expr {
	args := operands(terms, resolve)
	var target value.Type
	for i, a := range args {
		free := terms[i].Kind == syntax.Literal && terms[i].Text || terms[i].IsNull() || IsFree(a)
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
		case t.IsNull(), IsFree(a):
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
				panic(&syntax.Error{
					Code: syntax.CodeType, Position: t.At, Hint: "write " + written[target], Message: fmt.Sprintf("%q is no %s", t.Literal.Str(), target), Wanted: target,
				})
			}
			args[i] = expr.Literal(v)
		case a.Type == value.TypeDate && target == value.TypeTimestamp:
			args[i], _ = expr.Cast(a, target)
		}
	}
	return args
}

const day = 86400e6 // in microseconds

// instant reads a time in the form of RFC 3339, which Grafana's macros and JSON use. It is in UTC, the zone of all
// times here. It also reads a day of eight digits, as PostgreSQL and SQL Server do, and 31-Dec-2020, as these and
// Oracle do.
func instant(text string) (value.Value, bool) {
	for _, layout := range []string{"20060102", "2-Jan-2006"} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 0 {
			return value.Timestamp(t.UnixMicro()), true
		}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 1 {
		return value.Value{}, false
	}
	_, offset := t.Zone()
	return value.Timestamp(t.UnixMicro()), offset == 0
}

// atDay returns the time, or its day if the target is a date.
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
		syntax.Refuse(syntax.CodeNotSupported, t.At, "", "the operator %s is not answered yet", strings.ToUpper(t.Name))
	}
	var args []*expr.Expr
	switch t.Name {
	case "and", "or", "not", "is null":
		args = operands(t.Args, resolve)
	case "case":
		args = caseOperands(t, resolve)
	default:
		args = Unified(t.Args, resolve)
	}
	if t.Name == "in" {
		for i, a := range t.Args[1:] {
			if args[i+1] = Fold(args[i+1]); args[i+1].Op != expr.OpLiteral { // clients cast the values that they bind
				syntax.Refuse(syntax.CodeNotSupported, a.At, "write x = a OR x = b", "IN takes constants, and value %d is none", i+1)
			}
		}
	}
	if t.Name == "like" {
		if args[1] = Fold(args[1]); args[1].Op != expr.OpLiteral {
			syntax.Refuse(syntax.CodeNotSupported, t.Args[1].At, "write the pattern as a string; of a column, STARTS_WITH(x, y) or CONTAINS(x, y)", "LIKE takes a constant pattern")
		}
	}
	return Apply(t.At, operators[t.Name], args...)
}

// caseOperands resolves each condition of CASE by itself, and the values to one type.
func caseOperands(t *syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) []*expr.Expr {
	var values []*syntax.Expr
	for i, a := range t.Args {
		if i%2 == 1 || i == len(t.Args)-1 {
			values = append(values, a)
		}
	}
	if len(t.Args)%2 == 0 { // there is no ELSE
		values = append(values, &syntax.Expr{Kind: syntax.Literal, At: t.At})
	}
	resolved := Unified(values, resolve)
	var args []*expr.Expr
	for i := 0; i+1 < len(t.Args); i += 2 {
		args = append(args, resolve(t.Args[i]), resolved[i/2])
	}
	return append(args, resolved[len(resolved)-1])
}
