package compile

import (
	"fmt"
	"math"
	"strconv"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// No argument that an engine's functions would raise on reaches them: it is NULL, or
// moved to where the outcome is the same, before.

// How far a day, or an instant, can be from another.
const (
	spanOfDays         = value.MaxDate - value.MinDate
	spanOfMicroseconds = value.MaxTimestamp - value.MinTimestamp
	spanOfMonths       = 120_000
)

const lastInstant = "TIMESTAMP '9999-12-31 23:59:59.999999'"

var firstAndLast = map[value.Type][2]string{
	value.TypeDate:      {"DATE '0001-01-01'", "DATE '9999-12-31'"},
	value.TypeTimestamp: {"TIMESTAMP '0001-01-01 00:00:00'", lastInstant},
}

// typed narrows an expression's facts to what its SQL can yield.
func (c *compiler) typed(e *expr.Expr) expr.Range { return c.facts(e).WithinType(e.Type) }

func inside(f expr.Range, lower, upper float64) bool { return f.Lower >= lower && f.Upper <= upper }

// within gives an int that is NULL outside of a range.
func (c *compiler) within(e *expr.Expr, lower, upper int64) string {
	if e.Op == expr.OpLiteral && inside(c.facts(e), float64(lower), float64(upper)) {
		return c.literal(*e.Value, true).sql
	}
	x := c.strict(e)
	if !inside(c.facts(e), float64(lower), float64(upper)) {
		x = c.f("CASE WHEN %[1]s BETWEEN %[2]s AND %[3]s THEN %[1]s END", x, fmt.Sprintf("(%d)", lower), fmt.Sprintf("(%d)", upper)).sql
	}
	return x
}

// small gives such an int as an INTEGER of 32 bits.
func (c *compiler) small(e *expr.Expr, lower, upper int64) string {
	x := c.within(e, lower, upper)
	if e.Op == expr.OpLiteral && !e.Value.IsNull() && inside(c.facts(e), float64(lower), float64(upper)) {
		return x // which has that type
	}
	return c.f("CAST(%s AS INTEGER)", x).sql
}

// existing gives a date or timestamp, NULL outside of the years 1 to 9999; sure says that it is not.
func (c *compiler) existing(x code, t value.Type, sure bool) code {
	if sure {
		return x
	}
	ends := firstAndLast[t]
	return c.f("CASE WHEN %[1]s BETWEEN %[2]s AND %[3]s THEN %[1]s END", x.sql, ends[0], ends[1])
}

// shift writes a date or timestamp plus or minus an int, and differences.
func (c *compiler) shift(e *expr.Expr) code {
	a, b := e.Args[0], e.Args[1]
	if e.Type == value.TypeInt {
		if a.Type == value.TypeDate {
			return c.f("(%s - %s)", c.strict(a), c.strict(b))
		}
		return c.f("(epoch_us(%s) - epoch_us(%s))", c.strict(a), c.strict(b))
	}
	if a.Type == value.TypeInt {
		a, b = b, a
	}
	from, by := c.typed(a), c.facts(b)
	low, high := from.Lower+by.Lower, from.Upper+by.Upper
	if e.Op == expr.OpSubtract {
		low, high = from.Lower-by.Upper, from.Upper-by.Lower
	}
	var x code
	var sure bool
	if e.Type == value.TypeDate {
		x = c.f("(%s %s %s)", c.strict(a), string(e.Op), c.small(b, -spanOfDays, spanOfDays))
		sure = low >= value.MinDate && high <= value.MaxDate
	} else {
		x = c.f("make_timestamp(epoch_us(%s) %s %s)", c.strict(a), string(e.Op), c.within(b, -spanOfMicroseconds, spanOfMicroseconds))
		sure = low >= value.MinTimestamp+1000 && high <= value.MaxTimestamp-1000 // float64 is that coarse here
	}
	return c.existing(x, e.Type, sure)
}

var fieldFunctions = map[expr.Field]string{
	expr.FieldDOY: "dayofyear", expr.FieldDOW: "dayofweek",
}

func (c *compiler) extract(e *expr.Expr) code {
	field := e.Args[0].Value.Str()
	if f, ok := fieldFunctions[expr.Field(field)]; ok {
		field = f
	}
	return c.f("%s(%s)", field, c.strict(e.Args[1]))
}

func (c *compiler) date(e *expr.Expr) code {
	switch e.Op {
	case expr.OpTruncate:
		return c.f("CAST(date_trunc('%s', %s) AS %s)", e.Args[0].Value.Str(), c.strict(e.Args[1]), c.sqlType(e.Type))
	case expr.OpAddMonths:
		x := c.f("CAST(%s + to_months(%s) AS %s)", c.strict(e.Args[0]), c.small(e.Args[1], -spanOfMonths, spanOfMonths), c.sqlType(e.Type))
		from, by := c.typed(e.Args[0]), c.facts(e.Args[1])
		perMonth := 31.0
		if e.Type == value.TypeTimestamp {
			perMonth *= 86_400e6
		}
		far := func(months float64) float64 { return perMonth * months }
		least, most := float64(value.MinDate), float64(value.MaxDate)
		if e.Type == value.TypeTimestamp {
			least, most = value.MinTimestamp, value.MaxTimestamp
		}
		sure := from.Lower+far(math.Min(by.Lower-1, 0)) >= least && from.Upper+far(math.Max(by.Upper+1, 0)) <= most
		return c.existing(x, e.Type, sure)
	case expr.OpMonths:
		return c.months(e)
	}
	// So many days after the first of the month; if that leaves the month, there is no such day.
	y, m, d := c.within(e.Args[0], 1, 9999), c.within(e.Args[1], 1, 12), c.within(e.Args[2], 1, 31)
	first := c.f("CAST(DATE '0001-01-01' + to_months(CAST((%s - 1) * 12 + (%s - 1) AS INTEGER)) AS DATE)", y, m).sql
	day := c.f("(%s + CAST(%s - 1 AS INTEGER))", first, d).sql
	if f := c.facts(e.Args[2]); f.Upper <= 28 {
		return code{sql: day}
	}
	return c.f("CASE WHEN month(%[1]s) = %[2]s THEN %[1]s END", day, m)
}

// months counts the changes of month, less one where the last month is not complete.
func (c *compiler) months(e *expr.Expr) code {
	a, b := c.strict(e.Args[0]), c.strict(e.Args[1])
	into := func(x string) string { return c.f("day(%s)", x).sql }
	if e.Args[0].Type == value.TypeTimestamp {
		into = func(x string) string { return c.f("(%[1]s - date_trunc('month', %[1]s))", x).sql }
	}
	return c.f("(date_diff('month', %[1]s, %[2]s) - CASE WHEN %[1]s <= %[2]s THEN CAST(%[3]s > %[4]s AS BIGINT) ELSE -CAST(%[3]s < %[4]s AS BIGINT) END)",
		a, b, into(a), into(b))
}

// text writes operations on texts.
func (c *compiler) text(e *expr.Expr) code {
	constant := func(i int) string { return c.literal(*e.Args[i].Value, false).sql }
	switch e.Op {
	case expr.OpLength:
		return c.f("length(%s)", c.whole(e.Args[0]))
	case expr.OpPosition:
		return c.f("strpos(%s, %s)", c.whole(e.Args[1]), c.whole(e.Args[0]))
	}
	x := c.strict(e.Args[0])
	switch e.Op {
	case expr.OpConcat:
		return c.concat(e)
	case expr.OpLower, expr.OpUpper:
		// The engine's own function knows more letters; where all are ASCII, it is right, and does not
		// look each character up in a list.
		from, to := expr.UpperLetters, expr.LowerLetters
		if e.Op == expr.OpUpper {
			from, to = to, from
		}
		return c.f("CASE WHEN strlen(%[1]s) = length(%[1]s) THEN %[2]s(%[1]s) ELSE translate(%[1]s, '%[3]s', '%[4]s') END", x, string(e.Op), from, to)
	case expr.OpLeftTrim, expr.OpRightTrim:
		return c.f("%s(%s, %s)", string(e.Op), x, constant(1))
	case expr.OpReplace:
		if !e.Grows() {
			return c.f("replace(%s, %s, %s)", x, constant(1), constant(2))
		}
		return c.f("substring(replace(%s, %s, %s), 1, %s)", c.grown(e.Args[0]), constant(1), constant(2), strconv.Itoa(expr.MaxGrown))
	case expr.OpSplit:
		// DuckDB's split_part is a macro of this, which reads its text twice, written out at each level.
		return c.f("CASE WHEN %[1]s IS NOT NULL THEN coalesce(string_split(%[1]s, %[2]s)[%[3]s], '') END", x, constant(1), strconv.FormatInt(e.Args[2].Value.Int64(), 10))
	case expr.OpRegexp:
		return c.f("regexp_matches(%s, %s)", x, constant(1))
	}
	return c.substring(e, x)
}

// grown gives as much of a text as one that grows of it has room for.
func (c *compiler) grown(e *expr.Expr) string {
	if e.Op == expr.OpColumn {
		return c.cut(c.whole(e), e, expr.MaxGrown)
	}
	return c.cut(c.strict(e), e, expr.MaxGrown)
}

// concat joins texts, and cuts what they make as soon as it may be longer than MaxGrown, so that no step is much longer.
func (c *compiler) concat(e *expr.Expr) code {
	all, longest := c.grown(e.Args[0]), min(e.Args[0].Longest(), expr.MaxGrown)
	for _, a := range e.Args[1:] {
		all = c.f("%s || %s", all, c.grown(a)).sql
		if longest += min(a.Longest(), expr.MaxGrown); longest > expr.MaxGrown {
			all, longest = c.f("substring(%s, 1, %s)", all, strconv.Itoa(expr.MaxGrown)).sql, expr.MaxGrown
		}
	}
	return c.f("(%s)", all)
}

// longest is longer than any text, and within what engines count.
const longest = 1 << 31

// substring moves what begins before the text to its beginning; some engines would
// count such places from the text's end.
func (c *compiler) substring(e *expr.Expr, x string) code {
	start, length := e.Args[1], e.Args[2]
	if inside(c.facts(start), 1, longest) && inside(c.facts(length), 0, longest) {
		return c.f("substring(%s, %s, %s)", x, c.untypedLiteral(start), c.untypedLiteral(length))
	}
	// NULL stays NULL, unlike with LEAST and GREATEST.
	clamped := func(s string, lower int) string {
		return c.f("CASE WHEN %[1]s > %[2]s THEN %[2]s WHEN %[1]s < %[3]s THEN %[3]s ELSE TRY_CAST(%[1]s AS BIGINT) END", s, strconv.Itoa(longest), strconv.Itoa(lower)).sql
	}
	s, n := c.strict(start), c.strict(length)
	inner := c.f("substring(%s, %s, %s)", x, clamped(s, 1), clamped(n, 0))
	if c.facts(start).Lower >= 1 {
		return inner
	}
	rest := c.f("(CAST(%s AS %s) + %s - 1)", s, c.target.Dialect.wide, n).sql
	return c.f("CASE WHEN %[2]s >= 1 THEN %[3]s ELSE substring(%[1]s, 1, %[4]s) END", x, s, inner.sql, clamped(rest, 0))
}

func (c *compiler) untypedLiteral(e *expr.Expr) string {
	if e.Op == expr.OpLiteral {
		return c.literal(*e.Value, true).sql
	}
	return c.strict(e)
}

// transcendental writes a real function; engines raise outside of its domain.
func (c *compiler) transcendental(e *expr.Expr) code {
	x := c.finite(c.real(e.Args[0])).sql
	f := c.facts(e.Args[0])
	switch e.Op {
	case expr.OpSqrt:
		if f.Lower < 0 {
			x = c.f("CASE WHEN %[1]s >= 0 THEN %[1]s END", x).sql
		}
		return c.f("sqrt(%s)", x)
	case expr.OpLn, expr.OpLog10:
		if f.Lower <= 0 {
			x = c.f("CASE WHEN %[1]s > 0 THEN %[1]s END", x).sql
		}
		return c.f("%s(%s)", string(e.Op), x)
	}
	p := c.f("exp(%s)", x)
	if e.Op == expr.OpPower {
		p = c.f("pow(%s, %s)", x, c.finite(c.real(e.Args[1])).sql)
	}
	return c.f("CASE WHEN abs(%[1]s) < %[2]s THEN 0e0 WHEN abs(%[1]s) <= %[3]s THEN %[1]s END", p.sql, c.number(expr.LeastPower), c.number(expr.MostPower))
}
