package scalar

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// expression builds the only item of a SELECT without columns, or returns the refusal.
func expression(sql string, dialect syntax.Dialect) (e *expr.Expr, err error) {
	defer syntax.Catch(&err)
	var resolve func(t *syntax.Expr) *expr.Expr
	resolve = func(t *syntax.Expr) *expr.Expr {
		if t.Kind == syntax.Column {
			syntax.Refuse(syntax.CodeColumn, t.At, "", "there is no column %s", t.Name)
		}
		return Build(t, resolve)
	}
	s, err := syntax.ParseIn("SELECT "+sql+" FROM t", dialect)
	if err != nil {
		return nil, err
	}
	bound, err := s.Bind(nil, time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC))
	if err != nil {
		return nil, err
	}
	return resolve(bound.Select.Items[0].Term), nil
}

// dialectIn is the dialect of a section.
func dialectIn(t *testing.T, d *datadriven.TestData) syntax.Dialect {
	name := ""
	if d.HasArg("dialect") {
		d.ScanArgs(t, "dialect", &name)
	}
	return syntax.Dialect(name)
}

// TestValues reads testdata/functions. Each line is an expression of constants with its value. They show the semantics
// of docs/sql.md.
func TestValues(t *testing.T) {
	datadriven.Walk(t, "testdata/functions", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var b strings.Builder
			for line := range strings.Lines(d.Input) {
				line = strings.TrimSpace(line)
				e, err := expression(line, dialectIn(t, d))
				var refusal *syntax.Error
				switch {
				case errors.As(err, &refusal):
					fmt.Fprintf(&b, "%s  --  %s: %s; %s\n", line, refusal.Code, refusal.Message, refusal.Hint)
				case err != nil:
					t.Fatalf("%s: %v", d.Pos, err)
				default:
					v := expr.Evaluate(e, nil)
					shown := v.String()
					if v.Type() == value.TypeText && !v.IsNull() {
						shown = "'" + shown + "'"
					}
					fmt.Fprintf(&b, "%s = %s (%s)\n", line, shown, v.Type())
				}
			}
			return b.String()
		})
	})
}

// standsForToday reports whether a call of that name means the day of the query.
func standsForToday(name string) bool {
	s, err := syntax.Parse("SELECT " + name + "()")
	return err == nil && s.Query.Select.Items[0].Term.Kind == syntax.Placeholder
}

// TestReference checks that docs/sql.md documents every function, and that SHOW FUNCTIONS lists each with a usage that
// begins with its name.
func TestReference(t *testing.T) {
	docs, err := os.ReadFile("../../docs/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range scalars {
		if !strings.HasPrefix(strings.ToLower(f.usage), name+"(") {
			t.Errorf("%s has the usage %s", name, f.usage)
		}
		if !strings.Contains(string(docs), strings.ToUpper(name)) {
			t.Errorf("docs/sql.md does not tell of %s", strings.ToUpper(name))
		}
		if standsForToday(name) || dice[name] || unanswered[name] != "" || slices.Contains(syntax.Aggregates(), name) {
			t.Errorf("%s is listed twice", name)
		}
	}
	for name := range operations {
		if operators[name] == "" {
			t.Errorf("the operator %s is not listed", name)
		}
	}
}

func literalTerm(v value.Value) *syntax.Expr {
	return &syntax.Expr{Kind: syntax.Literal, Literal: v, Text: v.Type() == value.TypeText}
}

func columnsOnly(t *syntax.Expr) *expr.Expr {
	types := map[string]value.Type{"i": value.TypeInt, "f": value.TypeFloat, "s": value.TypeText, "d": value.TypeDate, "ts": value.TypeTimestamp, "b": value.TypeBool}
	if t.Kind == syntax.Column {
		return expr.Column("t", t.Name, types[t.Name])
	}
	return Build(t, columnsOnly)
}

// TestOperators builds the operators and intervals directly, independent of the grammar.
func TestOperators(t *testing.T) {
	column := func(name string) *syntax.Expr { return &syntax.Expr{Kind: syntax.Column, Name: name} }
	text := func(s string) *syntax.Expr { return literalTerm(value.Text(s)) }
	number := func(i int64) *syntax.Expr { return literalTerm(value.Int(i)) }
	null := &syntax.Expr{Kind: syntax.Literal}
	interval := func(n int64, unit string) *syntax.Expr {
		return &syntax.Expr{Kind: syntax.Interval, Name: unit, Args: []*syntax.Expr{number(n)}}
	}
	op := func(name string, args ...*syntax.Expr) *syntax.Expr {
		return &syntax.Expr{Kind: syntax.Operator, Name: name, Args: args}
	}
	call := func(name string, args ...*syntax.Expr) *syntax.Expr {
		return &syntax.Expr{Kind: syntax.Call, Name: name, Args: args}
	}
	cast := func(x *syntax.Expr, to value.Type) *syntax.Expr {
		return &syntax.Expr{Kind: syntax.Cast, Type: to, Args: []*syntax.Expr{x}}
	}
	day, instant := literalTerm(value.Date(18262)), literalTerm(value.Timestamp(18262*microsecondsPerDay))
	for _, c := range []struct {
		term *syntax.Expr
		want string
	}{
		{op("||", column("s"), text("-"), column("i")), "t.s || '-' || CAST(t.i AS text)"},
		{op("||", op("||", column("s"), text("a")), column("d")), "t.s || 'a' || CAST(t.d AS text)"},
		{op("||", column("s"), null), "t.s || NULL"},
		{op("ilike", column("s"), text("%É_\\%X")), `LOWER(t.s) LIKE '%é_\%x'`},
		{op("ilike", column("s"), column("s")), "TYPE: ILIKE takes a constant here"},
		{op("regexp", column("s"), text(`^I2[0-5]\.\d`)), `t.s REGEXP '^I2[0-5]\.[0-9]'`},
		{op("iregexp", column("s"), text(`i2`)), `t.s REGEXP '[Ii]2'`},
		{op("regexp", column("s"), text(`(a)\1`)), "TYPE: in the pattern: invalid escape sequence: `\\1`"},
		{op("is distinct from", column("i"), number(3)), "t.i IS DISTINCT FROM 3"},
		{op("is distinct from", column("d"), text("2020-01-01")), "t.d IS DISTINCT FROM DATE '2020-01-01'"},
		{op("+", column("d"), interval(1, "month")), "ADD_MONTHS(t.d, 1)"},
		{op("+", interval(1, "month"), column("d")), "ADD_MONTHS(t.d, 1)"},
		{op("-", column("d"), interval(1, "year")), "ADD_MONTHS(t.d, -12)"},
		{op("-", column("d"), interval(2, "quarter")), "ADD_MONTHS(t.d, -6)"},
		{op("+", column("d"), interval(2, "week")), "t.d + 14"},
		{op("+", column("d"), interval(-3, "day")), "t.d - 3"},
		{op("-", column("ts"), interval(1, "day")), "t.ts - 86400000000"},
		{op("+", column("d"), interval(90, "minute")), "CAST(t.d AS timestamp) + 5400000000"},
		{op("+", column("d"), &syntax.Expr{Kind: syntax.Interval, Name: "month", Args: []*syntax.Expr{column("i")}}), "ADD_MONTHS(t.d, t.i)"},
		{op("-", column("d"), &syntax.Expr{Kind: syntax.Interval, Name: "day", Args: []*syntax.Expr{column("i")}}), "t.d - t.i"},
		{op("+", column("d"), &syntax.Expr{Kind: syntax.Interval, Name: "day", Args: []*syntax.Expr{column("f")}}), "TYPE: DAY needs a whole number here, and this is a float"},
		{op("+", column("d"), interval(1, "millisecond")), "NOT_SUPPORTED: there are no intervals of milliseconds here"},
		{op("+", column("i"), interval(1, "day")), "TYPE: + needs a date or a timestamp, and this is a int"},
		{op("+", day, interval(1, "month")), "DATE '2020-02-01'"},
		{op("-", instant, interval(1, "second")), "TIMESTAMP '2019-12-31T23:59:59'"},
		{op("+", column("d"), number(3)), "t.d + 3"},
		{op("-", column("d"), column("d")), "t.d - t.d"},
		{op("-", column("d"), text("2020-01-01")), "t.d - DATE '2020-01-01'"},
		{op("-", column("ts"), column("d")), "TYPE: the difference of two timestamps is an interval, which is no value here"},
		{op("+", column("d"), column("d")), "TYPE: + needs a number, and t.d is a date"},
		{op("*", column("d"), number(2)), "TYPE: * needs a number, and t.d is a date"},
		{call("extract", text("epoch"), op("-", column("ts"), column("ts"))), "(t.ts - t.ts) / 1000000"},
		{call("extract", text("day"), op("-", column("ts"), column("ts"))), "(t.ts - t.ts) DIV 86400000000"},
		{call("extract", text("day"), op("-", column("d"), interval(1, "day"))), "DAY(t.d - 1)"},
		{call("extract", text("year"), call("age", column("ts"), column("d"))), "MONTHS(CAST(t.d AS timestamp), t.ts) DIV 12"},
		{call("date_add", column("d"), interval(3, "day")), "t.d + 3"},
		{call("date_sub", column("d"), interval(3, "month")), "ADD_MONTHS(t.d, -3)"},
		{call("trim", column("s"), text("x ")), "LTRIM(RTRIM(t.s, 'x '), 'x ')"},
		{call("ltrim", column("s"), text("0")), "LTRIM(t.s, '0')"},
		{call("position", text("b"), column("s")), "POSITION('b', t.s)"},
		{cast(column("i"), value.TypeBool), "t.i <> 0"},
		{cast(column("f"), value.TypeBool), "TYPE: a float does not convert to bool"},
		{cast(column("b"), value.TypeInt), "CAST(t.b AS int)"},
		{cast(text("yes"), value.TypeBool), "true"},
		{cast(text("2020-02-30"), value.TypeDate), "TYPE: \"2020-02-30\" is no date"},
		{call("decode", column("i"), number(1), text("one"), null, text("none"), text("many")),
			"CASE WHEN NOT t.i IS DISTINCT FROM 1 THEN 'one' WHEN NOT t.i IS DISTINCT FROM NULL THEN 'none' ELSE 'many' END"},
		{call("left", column("s"), number(-1)), "TYPE: databases differ in what -1 means here"},
		{call("if", column("b"), column("i"), null), "CASE WHEN t.b THEN t.i ELSE NULL END"},
	} {
		got, err := func() (s string, err error) {
			defer syntax.Catch(&err)
			return columnsOnly(c.term).String(), nil
		}()
		var refusal *syntax.Error
		if errors.As(err, &refusal) {
			got = string(refusal.Code) + ": " + refusal.Message
		}
		if got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestNestedOperands checks that operands that are used several times do not make the tree grow without limit, and do
// not take exponential time.
func TestNestedOperands(t *testing.T) {
	term := &syntax.Expr{Kind: syntax.Column, Name: "s"}
	for range 40 {
		term = &syntax.Expr{Kind: syntax.Call, Name: "right", Args: []*syntax.Expr{term, literalTerm(value.Int(3))}}
	}
	defer func() {
		if r, ok := recover().(*syntax.Error); !ok || !strings.Contains(r.Message, "too large") {
			t.Fatalf("%v, want a refusal", r)
		}
	}()
	columnsOnly(term)
	t.Fatal("built")
}
