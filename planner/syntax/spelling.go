package syntax

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// Functions that one database calls by a name of its own. Their meaning is the same everywhere.

// spellings maps such names to the usual ones.
var spellings = map[string]string{
	"logical_or": "bool_or", "logical_and": "bool_and", "boolor_agg": "bool_or", "booland_agg": "bool_and",
	"listagg": "string_agg", "group_concat": "string_agg", "to_varchar": "to_char",
	"timestamp_from_parts": "make_timestamp", "timestamp_ntz_from_parts": "make_timestamp", "datetime": "make_timestamp",
	"count_big": "count", "stdev": "stddev_samp", "stdevp": "stddev_pop", "varp": "var_pop", "iff": "if",
	"approx_percentile": "quantile", "percentile_approx": "quantile",
	"datetime_add": "date_add", "timestamp_add": "date_add", "datetime_sub": "date_sub", "timestamp_sub": "date_sub",
	"datetime_diff": "date_diff", "datetime_trunc": "date_trunc", "timestamp_trunc": "date_trunc",
	"date_from_parts": "make_date", "startswith": "starts_with", "regexp_contains": "regexp_like", "rlike": "regexp_like",
}

// respelled reports whether spelled may rewrite a call of that name.
func respelled(name string) bool {
	switch name {
	case "count_if", "countif", "approx_distinct", "approx_count_distinct", "ndv", "safe_divide", "try_divide", "months_between",
		"zeroifnull", "nullifzero", "div0", "div0null", "choose", "isnotnull", "concat_ws", "unix_timestamp", "ratio_to_report", "timestamp_diff", "format_date", "format_datetime", "format_timestamp", "parse_date",
		"date_trunc", "datetime_trunc", "timestamp_trunc", "ends_with", "endswith", "isnumeric", "first", "last", "min_by", "max_by", "arg_min",
		"arg_max", "argmin", "argmax", "array_agg", "size", "cardinality", "array_size", "array_length", "element_at", "range_bucket", "some", "any", "percentile_cont",
		"percentile_disc":
		return true
	}
	return spellings[name] != "" || conversions[name] || tried[name] != ""
}

// tried are Snowflake's conversions that give NULL if they fail. All conversions do so here.
var tried = map[string]value.Type{
	"try_to_double": value.TypeFloat, "try_to_boolean": value.TypeBool, "try_to_date": value.TypeDate, "try_to_timestamp": value.TypeTimestamp,
	"try_to_number": value.TypeInt, "try_to_decimal": value.TypeInt, "try_to_numeric": value.TypeInt,
}

// conversions are types that Spark and BigQuery also use as functions.
var conversions = words("int bigint double float string boolean timestamp")

// spelled rewrites a call with a database's own spelling as the usual one.
func spelled(t *Expr) *Expr {
	literal := func(v value.Value) *Expr { return NewLiteral(t.At, v) }
	renamed := func(name string, args ...*Expr) *Expr {
		x := *t
		x.Name, x.Args = name, args
		return &x
	}
	plain := func(name string, args ...*Expr) *Expr { return &Expr{Kind: Call, Name: name, At: t.At, Args: args} }
	n := len(t.Args)
	switch {
	case (t.Name == "count_if" || t.Name == "countif") && n == 1:
		return renamed("count", NewOperator("case", t.Args[0], literal(value.Int(1))))
	case (t.Name == "approx_distinct" || t.Name == "approx_count_distinct" || t.Name == "ndv") && n == 1:
		x := renamed("count", t.Args...)
		x.Distinct = true
		return x
	case (t.Name == "safe_divide" || t.Name == "try_divide") && n == 2:
		return NewOperator(Divide, t.Args...)
	case t.Name == "zeroifnull" && n == 1:
		return plain("coalesce", t.Args[0], literal(value.Int(0)))
	case (t.Name == "div0" || t.Name == "div0null") && n == 2:
		zero := literal(value.Int(0))
		none := NewOperator("=", t.Args[1], zero)
		if t.Name == "div0null" {
			none = NewOperator("or", none, NewOperator("is null", t.Args[1]))
		}
		return NewOperator("case", none, zero, NewOperator(Divide, t.Args...))
	case t.Name == "choose" && n > 1:
		return choice(t)
	case t.Name == "isnotnull" && n == 1:
		return negation(NewOperator("is null", t.Args[0]), true)
	case t.Name == "unix_timestamp" && n == 1:
		seconds := plain("floor", plain("extract", word("epoch", t.At), t.Args[0]))
		return &Expr{Kind: Cast, At: t.At, Type: value.TypeInt, Args: []*Expr{seconds}}
	case t.Name == "ratio_to_report" && n == 1 && t.Over != nil:
		return NewOperator(Divide, t.Args[0], renamed("sum", t.Args...))
	case (t.Name == "percentile_cont" || t.Name == "percentile_disc") && n == 2:
		return renamed("quantile", t.Args...)
	case tried[t.Name] != "" && n == 1: // a text with a fraction is rounded
		x := &Expr{Kind: Cast, At: t.At, Type: tried[t.Name], Args: t.Args}
		if x.Type == value.TypeInt {
			x.Args = []*Expr{{Kind: Cast, At: t.At, Type: value.TypeFloat, Args: t.Args}}
		}
		return x
	case t.Name == "isnumeric" && n == 1:
		number := &Expr{Kind: Cast, At: t.At, Type: value.TypeFloat, Args: t.Args}
		return NewOperator("case", NewOperator("is null", number), literal(value.Int(0)), literal(value.Int(1)))
	case (t.Name == "dateadd" || t.Name == "datediff") && n == 3 && t.Args[0].Text:
		return renamed(t.Name, t.Args[0], numbered(t.Args[1], t.Name == "datediff"), numbered(t.Args[2], true))
	case conversions[t.Name] && n == 1 && !t.Distinct && t.Over == nil && t.Filter == nil:
		return &Expr{Kind: Cast, At: t.At, Type: castTypes[t.Name], Args: t.Args}
	case (t.Name == "to_varchar" || t.Name == "to_char") && n == 1:
		return &Expr{Kind: Cast, At: t.At, Type: value.TypeText, Args: t.Args}
	case t.Name == "nullifzero" && n == 1:
		return plain("nullif", t.Args[0], literal(value.Int(0)))
	case (t.Name == "ends_with" || t.Name == "endswith") && n == 2:
		return NewOperator("=", plain("right", t.Args[0], plain("length", t.Args[1])), t.Args[1])
	case slices.Contains([]string{"format_date", "format_datetime", "format_timestamp"}, t.Name) && n == 2:
		return plain("date_format", t.Args[1], t.Args[0])
	case t.Name == "parse_date" && n == 2 && t.Args[0].Text:
		format := *t.Args[0]
		format.Literal = value.Text(strings.NewReplacer("%Y", "YYYY", "%m", "MM", "%d", "DD", "%F", "YYYY-MM-DD").
			Replace(format.Literal.Str()))
		return plain("to_date", t.Args[1], &format)
	case t.Name == "date" && n == 3:
		return plain("make_date", t.Args...)
	case t.Name == "months_between" && n == 2:
		return monthsBetween(t.Args[0], t.Args[1])
	case t.Name == "timestamp_diff" && n == 3:
		if unit := t.Args[2]; unit.Text {
			return plain("timestampdiff", unit, t.Args[1], t.Args[0])
		}
	}
	if name := spellings[t.Name]; name != "" {
		t = renamed(name, t.Args...)
	}
	return unitLast(t)
}

// numbered replaces 0 by 1 January 1900, if a date is expected. SQL Server reads it so.
func numbered(x *Expr, date bool) *Expr {
	const origin = -25567 // 1900-01-01
	if !date || x.Kind != Literal || x.Literal.Type() != value.TypeInt || x.Literal.Int64() != 0 {
		return x
	}
	return NewLiteral(x.At, value.Date(origin))
}

// choice writes CHOOSE(i, x, y) as CASE i WHEN 1 THEN x WHEN 2 THEN y END.
func choice(t *Expr) *Expr {
	args := make([]*Expr, 0, 2*len(t.Args))
	for i, x := range t.Args[1:] {
		place := NewLiteral(t.At, value.Int(int64(i+1)))
		args = append(args, NewOperator("=", t.Args[0], place), x)
	}
	return NewOperator("case", args...)
}

// unitLast rewrites BigQuery's DATE_DIFF(a, b, DAY) and DATE_TRUNC(a, MONTH) with the unit first. BigQuery's weeks
// begin on Sunday, except for ISOWEEK.
func unitLast(t *Expr) *Expr {
	of := map[string]int{"date_diff": 3, "datediff": 3, "date_trunc": 2, "trunc": 2}[t.Name]
	if of == 0 || len(t.Args) != of {
		return t
	}
	unit := t.Args[of-1]
	if !unit.Text || t.Args[0].Text && units[strings.ToLower(t.Args[0].Literal.Str())] != "" {
		return t
	}
	name := strings.ToLower(unit.Literal.Str())
	if known := truncated[name]; t.Name == "trunc" && known != "" {
		name = known
	}
	step := func(operator string, x *Expr) *Expr {
		return NewOperator(operator, x, NewLiteral(t.At, value.Int(1)))
	}
	day := func(x *Expr) *Expr { return &Expr{Kind: Cast, At: x.At, Type: value.TypeDate, Args: []*Expr{x}} }
	sunday := name == "week" && t.Name != "trunc"
	if name == "isoweek" {
		name = "week"
	}
	if units[name] == "" {
		return t
	}
	first := word(units[name], unit.At)
	call := func(args ...*Expr) *Expr { return &Expr{Kind: Call, Name: "date_trunc", At: t.At, Args: args} }
	switch {
	case of == 3:
		a, b := t.Args[0], t.Args[1]
		if sunday {
			a, b = step("+", day(a)), step("+", day(b))
		}
		x := call(first, b, a)
		x.Name = "date_diff"
		return x
	case sunday:
		return step("-", call(first, step("+", day(t.Args[0]))))
	}
	return call(first, t.Args[0])
}

// truncated are the units of TRUNC(date, unit) that other functions do not have.
var truncated = map[string]string{
	"yyyy": "year", "yy": "year", "q": "quarter", "mm": "month", "mon": "month", "iw": "week", "dd": "day", "ddd": "day",
}

// monthsBetween builds MONTHS_BETWEEN(a, b) of dates. It is a whole number if both are the same day of the month, or
// both the last; otherwise each day counts as 1/31 month.
func monthsBetween(a, b *Expr) *Expr {
	call := func(name string, x *Expr) *Expr { return &Expr{Kind: Call, Name: name, At: x.At, Args: []*Expr{x}} }
	number := func(v value.Value) *Expr { return NewLiteral(a.At, v) }
	less := func(field string) *Expr { return NewOperator("-", call(field, a), call(field, b)) }
	last := func(x *Expr) *Expr {
		return NewOperator("=", &Expr{Kind: Cast, At: x.At, Type: value.TypeDate, Args: []*Expr{x}}, call("last_day", x))
	}
	whole := NewOperator("+", NewOperator("*", less("year"), number(value.Int(12))), less("month"))
	same := NewOperator("or", NewOperator("=", call("day", a), call("day", b)), NewOperator("and", last(a), last(b)))
	part := NewOperator("case", same, number(value.Float(0)), NewOperator(Divide, less("day"), number(value.Float(31))))
	return NewOperator("+", whole, part)
}
