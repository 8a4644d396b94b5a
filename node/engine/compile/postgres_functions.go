package compile

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// postgresFunction writes the functions of dates, texts and reals, if e is one.
func (c *compiler) postgresFunction(e *expr.Expr) (code, bool) {
	switch e.Op {
	case expr.OpExtract:
		return c.postgresExtract(e), true
	case expr.OpTruncate: // a date alone would be taken for an instant in the session's time zone
		return c.f("CAST(date_trunc('%s', CAST(%s AS TIMESTAMP)) AS %s)", e.Args[0].Value.Str(), c.strict(e.Args[1]), c.sqlType(e.Type)), true
	case expr.OpAddMonths:
		return c.postgresAddMonths(e), true
	case expr.OpMonths:
		return c.postgresMonths(e), true
	case expr.OpMakeDate:
		// As compiler.date: so many days after the first of the month.
		y, m, d := c.within(e.Args[0], 1, 9999), c.within(e.Args[1], 1, 12), c.within(e.Args[2], 1, 31)
		day := c.f("(make_date(CAST(%s AS INTEGER), CAST(%s AS INTEGER), 1) + CAST(%s - 1 AS INTEGER))", y, m, d).sql
		if c.facts(e.Args[2]).Upper <= 28 {
			return code{sql: day}, true
		}
		return c.f("CASE WHEN EXTRACT(MONTH FROM %[1]s) = %[2]s THEN %[1]s END", day, m), true
	case expr.OpAdd, expr.OpSubtract:
		if !(e.Args[0].Type.Numeric() && e.Args[1].Type.Numeric()) {
			return c.postgresShift(e), true
		}
	case expr.OpLower, expr.OpUpper:
		// By COLLATE "C", the engine's own function knows the letters of ASCII alone.
		_, from, _ := strings.Cut(expr.UpperLetters, "Z")
		_, to, _ := strings.Cut(expr.LowerLetters, "z")
		if e.Op == expr.OpUpper {
			from, to = to, from
		}
		return c.f("translate(%s(%s), '%s', '%s')", string(e.Op), c.byBytes(c.strict(e.Args[0]), value.TypeText), from, to), true
	case expr.OpLength:
		return c.f("CAST(length(%s) AS BIGINT)", c.whole(e.Args[0])), true
	case expr.OpPosition:
		return c.f("CAST(strpos(%s, %s) AS BIGINT)", c.byBytes(c.whole(e.Args[1]), value.TypeText), c.whole(e.Args[0])), true
	case expr.OpSplit:
		if n := e.Args[2].Value.Int64(); n > math.MaxInt32 {
			return c.f("left(%s, 0)", c.strict(e.Args[0])), true
		}
		return c.f("split_part(%s, %s, %s)", c.strict(e.Args[0]), c.literal(*e.Args[1].Value, false).sql, strconv.FormatInt(e.Args[2].Value.Int64(), 10)), true
	case expr.OpRegexp:
		return c.f("(%s ~ %s)", c.byBytes(c.strict(e.Args[0]), value.TypeText), c.literal(*e.Args[1].Value, false).sql), true
	case expr.OpSubstring:
		return c.postgresSubstring(e), true
	case expr.OpLn, expr.OpLog10, expr.OpSqrt:
		return code{}, false
	case expr.OpExp:
		x := c.real(e.Args[0]).sql
		return c.f("CASE WHEN %[1]s < -700 THEN 0 WHEN %[1]s <= 700 THEN %[2]s END", x, c.moderate(c.f("exp(%s)", x).sql)), true
	case expr.OpPower:
		x, y := c.real(e.Args[0]).sql, c.real(e.Args[1]).sql
		return c.f("CASE WHEN %[1]s IS NULL OR %[2]s IS NULL THEN NULL WHEN %[2]s = 0 THEN 1 WHEN %[1]s = 0 THEN CASE WHEN %[2]s > 0 THEN 0 END WHEN %[1]s < 0 AND %[2]s <> floor(%[2]s) THEN NULL "+
			"WHEN abs(ln(abs(%[1]s))) <= 700 / greatest(abs(%[2]s), float8 '1e-300') THEN %[3]s WHEN (abs(%[1]s) > 1) <> (%[2]s > 0) THEN 0 END",
			x, y, c.moderate(c.f("power(%s, %s)", x, y).sql)), true
	}
	return code{}, false
}

// moderate gives a result of exp or power as fragment.Evaluate bounds it.
func (c *compiler) moderate(p string) string {
	return c.f("CASE WHEN abs(%[1]s) < %[2]s THEN 0 WHEN abs(%[1]s) <= %[3]s THEN %[1]s END", p, c.number(expr.LeastPower), c.number(expr.MostPower)).sql
}

func (c *compiler) postgresExtract(e *expr.Expr) code {
	field, x := e.Args[0].Value.Str(), c.strict(e.Args[1])
	part := c.f("EXTRACT(%s FROM %s)", strings.ToUpper(field), x).sql
	switch expr.Field(field) {
	case expr.FieldHour, expr.FieldMinute:
		part = c.f("EXTRACT(%s FROM CAST(%s AS TIMESTAMP))", strings.ToUpper(field), x).sql
	case expr.FieldSecond:
		part = c.f("floor(EXTRACT(SECOND FROM CAST(%s AS TIMESTAMP)))", x).sql
	}
	return c.f("CAST(%s AS BIGINT)", part)
}

// firstMonths is how many months may be taken from the year 1 without leaving
// PostgreSQL's dates, which begin in 4713 BC.
const firstMonths = 56_000

func (c *compiler) postgresAddMonths(e *expr.Expr) code {
	x, by := c.strict(e.Args[0]), c.facts(e.Args[1])
	n := c.within(e.Args[1], -spanOfMonths, spanOfMonths)
	sum := c.f("CAST(%s + make_interval(months => CAST(%s AS INTEGER)) AS %s)", x, n, c.sqlType(e.Type))
	if by.Lower >= -firstMonths {
		return c.existing(sum, e.Type, false)
	}
	return c.f("CASE WHEN EXTRACT(YEAR FROM %[1]s) * 12 + EXTRACT(MONTH FROM %[1]s) - 1 + %[2]s BETWEEN 12 AND 119999 THEN %[3]s END", x, n, sum.sql)
}

// postgresMonths is compiler.months.
func (c *compiler) postgresMonths(e *expr.Expr) code {
	a, b := c.strict(e.Args[0]), c.strict(e.Args[1])
	into := func(x string) string { return c.f("EXTRACT(DAY FROM %s)", x).sql }
	if e.Args[0].Type == value.TypeTimestamp {
		into = func(x string) string { return c.f("(%[1]s - date_trunc('month', %[1]s))", x).sql }
	}
	return c.f("(CAST((EXTRACT(YEAR FROM %[2]s) - EXTRACT(YEAR FROM %[1]s)) * 12 + EXTRACT(MONTH FROM %[2]s) - EXTRACT(MONTH FROM %[1]s) AS BIGINT)"+
		" - CASE WHEN %[1]s <= %[2]s THEN CAST(%[3]s > %[4]s AS INTEGER) ELSE -CAST(%[3]s < %[4]s AS INTEGER) END)", a, b, into(a), into(b))
}

const epoch = "DATE '1970-01-01'"

// postgresShift writes a date or timestamp plus or minus an int, and differences.
func (c *compiler) postgresShift(e *expr.Expr) code {
	a, b := e.Args[0], e.Args[1]
	const perDay = 86_400_000_000
	if e.Type == value.TypeInt {
		x, y := c.strict(a), c.strict(b)
		if a.Type == value.TypeDate {
			return c.f("CAST(%s - %s AS BIGINT)", x, y)
		}
		time := func(x string) string {
			return c.f("CAST(EXTRACT(EPOCH FROM CAST(%s AS TIME)) * 1000000 AS BIGINT)", x).sql
		}
		return c.f("((CAST(%s AS DATE) - CAST(%s AS DATE)) * %d::BIGINT + %s - %s)", x, y, perDay, time(x), time(y))
	}
	if a.Type == value.TypeInt {
		a, b = b, a
	}
	x, from, by := c.strict(a), c.typed(a), c.facts(b)
	low, high := from.Lower+by.Lower, from.Upper+by.Upper
	if e.Op == expr.OpSubtract {
		low, high = from.Lower-by.Upper, from.Upper-by.Lower
	}
	if e.Type == value.TypeDate {
		n := c.within(b, -spanOfDays, spanOfDays)
		if low >= value.MinDate && high <= value.MaxDate {
			return c.f("(%s %s CAST(%s AS INTEGER))", x, string(e.Op), n)
		}
		day := c.f("%s - %s %s %s", x, epoch, string(e.Op), n).sql
		return c.f("CASE WHEN %[1]s BETWEEN %[2]s AND %[3]s THEN %[4]s + CAST(%[1]s AS INTEGER) END", day, strconv.Itoa(value.MinDate), strconv.Itoa(value.MaxDate), epoch)
	}
	n := c.within(b, -spanOfMicroseconds, spanOfMicroseconds)
	// An INTERVAL times a number is computed in float64, which a day's microseconds fit.
	sum := c.f("(%[1]s %[2]s make_interval(days => CAST(%[3]s / %[4]s AS INTEGER)) %[2]s (%[3]s %% %[4]s) * INTERVAL '1 microsecond')", x, string(e.Op), n, fmt.Sprintf("%d::BIGINT", perDay))
	if low >= value.MinTimestamp+1000 && high <= value.MaxTimestamp-1000 { // float64 is that coarse here
		return sum
	}
	return c.f("CASE WHEN CAST(%s AS DATE) - %s %s %s / %d BETWEEN %d AND %d THEN %s END", x, epoch, string(e.Op), n, perDay, value.MinDate-1, value.MaxDate+1,
		c.existing(sum, e.Type, false).sql)
}

// postgresSubstring is compiler.substring; a length below 0 would raise, and places
// are of 32 bits.
func (c *compiler) postgresSubstring(e *expr.Expr) code {
	x, start := c.strict(e.Args[0]), c.facts(e.Args[1])
	s, n := c.strict(e.Args[1]), c.strict(e.Args[2])
	const most = 1 << 30
	clamped := func(sql string, f expr.Range, least int) string {
		if !inside(f, float64(least), most) {
			sql = c.f("CASE WHEN %[1]s > %[2]s THEN %[2]s WHEN %[1]s < %[3]s THEN %[3]s ELSE %[1]s END", sql, strconv.Itoa(most), strconv.Itoa(least)).sql
		}
		return c.f("CAST(%s AS INTEGER)", sql).sql
	}
	inner := c.f("substr(%s, %s, %s)", x, clamped(s, start, 1), clamped(n, c.facts(e.Args[2]), 0))
	if start.Lower >= 1 {
		return inner
	}
	rest := c.f("(CAST(%s AS NUMERIC) + %s - 1)", s, n).sql
	return c.f("CASE WHEN %s >= 1 THEN %s ELSE substr(%s, 1, %s) END", s, inner.sql, x, clamped(rest, expr.Range{Lower: math.Inf(-1), Upper: math.Inf(1)}, 0))
}
