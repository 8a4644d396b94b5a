package syntax

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// Dialect is a database's SQL. It decides how a text is read where databases differ. What only one database has is read
// in every dialect.
type Dialect string

// The dialects. The zero value means PostgreSQL.
const (
	PostgreSQL Dialect = "postgres"
	MySQL      Dialect = "mysql"
	BigQuery   Dialect = "bigquery"
	Snowflake  Dialect = "snowflake"
	TSQL       Dialect = "tsql"
	Spark      Dialect = "spark"
)

// Dialects lists the dialects in the order for people.
var Dialects = []Dialect{PostgreSQL, MySQL, BigQuery, Snowflake, TSQL, Spark}

// ParseDialect reads a dialect's name in any letter case. An empty name means PostgreSQL.
func ParseDialect(name string) (d Dialect, ok bool) {
	d = Dialect(strings.ToLower(name))
	if d == "" {
		d = PostgreSQL
	}
	return d, slices.Contains(Dialects, d)
}

// differences are the meanings that depend on the dialect.
type differences struct {
	realDivision bool   // 1 / 2 is 0.5 instead of 0
	logarithm    string // the function that LOG(x) means; "": it is refused
	baseLast     bool   // LOG(x, base) instead of LOG(base, x)
	nullsLeast   bool   // ORDER BY treats NULL as the least value, not the greatest
	nullConcat   bool   // CONCAT with a NULL is NULL
	nullExtreme  bool   // LEAST and GREATEST with a NULL are NULL
	sunday       int64  // DAYOFWEEK of a Sunday; -1: no such function
	monday       int64  // WEEKDAY of a Monday; -1: no such function
	length       string // the function that LEN means; "": no such function
	textQuotes   bool   // "x" is a text
	nullJoin     bool   // CONCAT_WS with a NULL is NULL
	monthName    string // the TO_CHAR format of MONTHNAME; "": no such function
	// ADD_MONTHS from the last day of a month gives the "last" day of the other month, or the "same" day; "": no such
	// function
	addMonths   string
	typeLast    bool // CONVERT(x, type) instead of CONVERT(type, x)
	truncates   bool // CAST(2.5 AS int) is 2 instead of 3
	numberNames bool // [8507] is a name
	bareJoin    bool // a JOIN b without a condition is a CROSS JOIN
	partsOfDate bool // EXTRACT gives a number with a fraction, so that a quotient of it has one
}

var dialects = map[Dialect]differences{
	PostgreSQL: {logarithm: "log10", sunday: -1, monday: -1, partsOfDate: true},
	MySQL: {
		realDivision: true, logarithm: "ln", nullsLeast: true, nullConcat: true, nullExtreme: true, sunday: 1, monday: 0,
		textQuotes: true, monthName: "FMMonth", typeLast: true, bareJoin: true,
	},
	BigQuery: {
		realDivision: true, logarithm: "ln", baseLast: true, nullsLeast: true, nullConcat: true, nullExtreme: true,
		sunday: 1, monday: -1, textQuotes: true,
	},
	Snowflake: {realDivision: true, nullConcat: true, nullExtreme: true, sunday: 0, monday: -1, length: "length", nullJoin: true, monthName: "Mon", addMonths: "last"},
	TSQL:      {logarithm: "ln", baseLast: true, nullsLeast: true, sunday: 1, monday: -1, length: "trimmed", truncates: true, numberNames: true},
	Spark: {
		realDivision: true, logarithm: "ln", nullsLeast: true, nullConcat: true, sunday: 1, monday: 0, length: "length",
		textQuotes: true, monthName: "Mon", addMonths: "same", truncates: true, bareJoin: true,
	},
}

// division builds / in the dialect.
func (d differences) division(x, y *Expr) *Expr {
	switch {
	case d.realDivision:
		return NewOperator(Divide, x, y)
	case d.partsOfDate && (ofDateParts(x) || ofDateParts(y)):
		x = &Expr{Kind: Cast, At: x.At, Type: value.TypeFloat, Args: []*Expr{x}}
	}
	return NewOperator("/", x, y)
}

// ofDateParts reports whether a number is computed from EXTRACT or DATE_PART, and not cast to int since.
func ofDateParts(t *Expr) bool {
	switch {
	case t.Kind == Call && (t.Name == "extract" || t.Name == "date_part"):
		return len(t.Args) > 0 && t.Args[0].Literal != value.Text("epoch") // which has a fraction
	case t.Kind == Call && dateParts[t.Name] && t.Over == nil, t.Kind == Operator && (IsArithmetic(t.Name) || t.Name == "neg"):
		return slices.ContainsFunc(t.Args, ofDateParts)
	}
	return false
}

// dateParts are the functions that give a number of the type of theirs.
var dateParts = words("abs ceil ceiling floor round trunc greatest least coalesce nullif min max sum avg")

// cast builds a CAST. In some dialects a cast to int drops the fraction.
func (d differences) cast(t *Expr) *Expr {
	if d.truncates && t.Type == value.TypeInt {
		t.Name = Truncating
	}
	return t
}

// Truncating is the name of a Cast that converts a float to an int toward zero.
const Truncating = "trunc"

// nulls tells where NULLs come in an order that does not say it.
func (d differences) nulls(descending bool) string {
	switch {
	case !d.nullsLeast:
		return ""
	case descending:
		return "last"
	}
	return "first"
}

// call turns a call whose meaning depends on the dialect into a call with one meaning.
func (d differences) call(t *Expr) *Expr {
	plain := !t.Star && !t.Distinct && t.Filter == nil && t.Over == nil
	named := func(name string, args ...*Expr) *Expr {
		return &Expr{Kind: Call, Name: name, At: t.At, Args: args}
	}
	number := func(n int64) *Expr { return NewLiteral(t.At, value.Int(n)) }
	switch {
	case t.Kind == Cast: // INT(x)
		return d.cast(t)
	case !plain || len(t.Args) == 0:
	case t.Name == "log" && len(t.Args) == 1 && d.logarithm != "":
		return named(d.logarithm, t.Args...)
	case t.Name == "log" && len(t.Args) == 2 && d.baseLast:
		return named("log", t.Args[1], t.Args[0])
	case t.Name == "concat" && d.nullConcat:
		x := t.Args[0]
		if len(t.Args) == 1 {
			x = NewOperator("||", x, &Expr{Kind: Literal, At: t.At, Literal: value.Text(""), Text: true})
		}
		for _, y := range t.Args[1:] {
			x = NewOperator("||", x, y)
		}
		return x
	case (t.Name == "least" || t.Name == "greatest") && d.nullExtreme && len(t.Args) > 1:
		var some []*Expr
		for _, a := range t.Args {
			some = append(some, NewOperator("is null", a))
		}
		return NewOperator("case", NewOperator("or", some...), &Expr{Kind: Literal, At: t.At}, t)
	case t.Name == "dayofweek" && len(t.Args) == 1 && d.sunday >= 0:
		return NewOperator("+", named("extract", word("dow", t.At), t.Args[0]), number(d.sunday))
	case t.Name == "weekday" && len(t.Args) == 1 && d.monday >= 0:
		return NewOperator("+", named("extract", word("isodow", t.At), t.Args[0]), number(d.monday-1))
	case (t.Name == "extract" || t.Name == "datepart" || t.Name == "date_part") && d.sunday >= 0 && t.Args[0].Text &&
		slices.Contains([]string{"dayofweek", "weekday"}, t.Args[0].Literal.Str()):
		return NewOperator("+", named("extract", word("dow", t.At), t.Args[1]), number(d.sunday))
	case t.Name == "concat_ws" && len(t.Args) > 1 && t.Args[0].Text && !d.nullJoin:
		return joinedBy(t)
	case t.Name == "concat_ws" && len(t.Args) > 1:
		x := t.Args[1]
		for _, y := range t.Args[2:] {
			x = NewOperator("||", NewOperator("||", x, t.Args[0]), y)
		}
		return x
	case t.Name == "monthname" && len(t.Args) == 1 && d.monthName != "":
		return named("to_char", t.Args[0], word(d.monthName, t.At))
	case t.Name == "dayname" && len(t.Args) == 1 && d.monthName != "":
		return named("to_char", t.Args[0], word(map[string]string{"FMMonth": "FMDay", "Mon": "Dy"}[d.monthName], t.At))
	case t.Name == "datename" && len(t.Args) == 2 && t.Args[0].Text:
		return named("to_char", t.Args[1], word(map[string]string{"month": "FMMonth", "weekday": "FMDay", "year": "YYYY", "day": "FMDD", "quarter": "Q"}[t.Args[0].Literal.Str()], t.Args[0].At))
	case t.Name == "add_months" && len(t.Args) == 2 && d.addMonths != "":
		moved := NewOperator("+", t.Args[0], &Expr{Kind: Interval, Name: "month", At: t.At, Args: t.Args[1:]})
		if d.addMonths == "same" {
			return moved
		}
		day := &Expr{Kind: Cast, At: t.At, Type: value.TypeDate, Args: t.Args[:1]}
		return NewOperator("case", NewOperator("=", day, named("last_day", t.Args[0])), named("last_day", moved), moved)
	case t.Name == "len" && len(t.Args) == 1 && d.length == "length":
		return named("length", t.Args...)
	case t.Name == "len" && len(t.Args) == 1 && d.length == "trimmed":
		return named("length", named("rtrim", t.Args...))
	}
	return t
}

// joinedBy rewrites CONCAT_WS('-', x, y). A NULL adds nothing, not even a separator.
func joinedBy(t *Expr) *Expr {
	call := func(name string, args ...*Expr) *Expr { return &Expr{Kind: Call, Name: name, At: t.At, Args: args} }
	var parts []*Expr
	for _, x := range t.Args[1:] {
		parts = append(parts, NewOperator("||", t.Args[0], x))
	}
	after := int64(len([]rune(t.Args[0].Literal.Str())) + 1)
	return call("substring", call("concat", parts...), NewLiteral(t.At, value.Int(after)))
}
