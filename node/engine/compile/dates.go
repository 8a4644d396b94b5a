package compile

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

var dates = map[expr.Op]written{
	expr.OpExtract: {(*compiler).extract, (*compiler).postgresExtract, (*compiler).trinoExtract},
	expr.OpTruncate: {
		duckDB:     truncateFrom("%s"),
		postgreSQL: truncateFrom("CAST(%s AS TIMESTAMP)"), // a date alone would be taken for an instant in the session's time zone
	},
	expr.OpAddMonths: {(*compiler).addMonths, (*compiler).postgresAddMonths, (*compiler).trinoAddMonths},
	expr.OpMonths:    {(*compiler).months, (*compiler).postgresMonths, (*compiler).trinoMonths},
	expr.OpMakeDate:  {(*compiler).makeDate, (*compiler).postgresMakeDate, (*compiler).trinoMakeDate},
}

// The largest distances between two days and between two instants.
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

// typed returns the range of an expression, within what its SQL can yield.
func (c *compiler) typed(e *expr.Expr) expr.Range { return c.facts(e).WithinType(e.Type) }

func inside(f expr.Range, lower, upper float64) bool { return f.Lower >= lower && f.Upper <= upper }

// within writes an int that is NULL outside of a range.
func (c *compiler) within(e *expr.Expr, lower, upper int64) string {
	if e.Op == expr.OpLiteral && inside(c.facts(e), float64(lower), float64(upper)) {
		return c.literal(*e.Value, true).sql
	}
	x := c.finiteOrNull(e)
	if !inside(c.facts(e), float64(lower), float64(upper)) {
		x = c.f("CASE WHEN %[1]s BETWEEN %[2]s AND %[3]s THEN %[1]s END", x, fmt.Sprintf("(%d)", lower), fmt.Sprintf("(%d)", upper)).sql
	}
	return x
}

// int32 writes such an int as an INTEGER of 32 bits.
func (c *compiler) int32(e *expr.Expr, lower, upper int64) string {
	x := c.within(e, lower, upper)
	if e.Op == expr.OpLiteral && !e.Value.IsNull() && inside(c.facts(e), float64(lower), float64(upper)) {
		return x // which has that type
	}
	return c.f("CAST(%s AS INTEGER)", x).sql
}

// inRangeOrNull writes a date or timestamp that is NULL outside of the years 1 to 9999. With sure it is known to be
// within them.
func (c *compiler) inRangeOrNull(x code, t value.Type, sure bool) code {
	if sure {
		return x
	}
	ends := firstAndLast[t]
	return c.f("CASE WHEN %[1]s BETWEEN %[2]s AND %[3]s THEN %[1]s END", x.sql, ends[0], ends[1])
}

// shift writes a date or timestamp plus or minus an int, and the difference of two.
func (c *compiler) shift(e *expr.Expr) code {
	a, b := e.Args[0], e.Args[1]
	if e.Type == value.TypeInt {
		if a.Type == value.TypeDate {
			return c.f("(%s - %s)", c.finiteOrNull(a), c.finiteOrNull(b))
		}
		return c.f("(epoch_us(%s) - epoch_us(%s))", c.finiteOrNull(a), c.finiteOrNull(b))
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
		x = c.f("(%s %s %s)", c.finiteOrNull(a), string(e.Op), c.int32(b, -spanOfDays, spanOfDays))
		sure = low >= value.MinDate && high <= value.MaxDate
	} else {
		x = c.f("make_timestamp(epoch_us(%s) %s %s)", c.finiteOrNull(a), string(e.Op), c.within(b, -spanOfMicroseconds, spanOfMicroseconds))
		sure = low >= value.MinTimestamp+1000 && high <= value.MaxTimestamp-1000 // that is the precision of float64 here
	}
	return c.inRangeOrNull(x, e.Type, sure)
}

const epoch = "DATE '1970-01-01'"

// postgresShift is shift for PostgreSQL.
func (c *compiler) postgresShift(e *expr.Expr) code {
	a, b := e.Args[0], e.Args[1]
	const perDay = 86_400_000_000
	if e.Type == value.TypeInt {
		x, y := c.finiteOrNull(a), c.finiteOrNull(b)
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
	x, from, by := c.finiteOrNull(a), c.typed(a), c.facts(b)
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
	// PostgreSQL multiplies an INTERVAL in float64. A day's microseconds are exact in it.
	sum := c.f("(%[1]s %[2]s make_interval(days => CAST(%[3]s / %[4]s AS INTEGER)) %[2]s (%[3]s %% %[4]s) * INTERVAL '1 microsecond')", x, string(e.Op), n, fmt.Sprintf("%d::BIGINT", perDay))
	if low >= value.MinTimestamp+1000 && high <= value.MaxTimestamp-1000 { // that is the precision of float64 here
		return sum
	}
	return c.f("CASE WHEN CAST(%s AS DATE) - %s %s %s / %d BETWEEN %d AND %d THEN %s END", x, epoch, string(e.Op), n, perDay, value.MinDate-1, value.MaxDate+1,
		c.inRangeOrNull(sum, e.Type, false).sql)
}

// trinoMicroseconds writes the microseconds since 1970. Trino's own functions of dates count milliseconds.
func (c *compiler) trinoMicroseconds(x string) string {
	return c.f("(date_diff('second', TIMESTAMP '1970-01-01 00:00:00', date_trunc('second', %[1]s)) * 1000000 + CAST(substr(CAST(%[1]s AS VARCHAR), -6) AS BIGINT))", x).sql
}

// trinoShift is shift for Trino.
func (c *compiler) trinoShift(e *expr.Expr) code {
	a, b := e.Args[0], e.Args[1]
	if e.Type == value.TypeInt {
		if a.Type == value.TypeDate {
			return c.f("date_diff('day', %s, %s)", c.finiteOrNull(b), c.finiteOrNull(a))
		}
		return c.f("(%s - %s)", c.trinoMicroseconds(c.finiteOrNull(a)), c.trinoMicroseconds(c.finiteOrNull(b)))
	}
	if a.Type == value.TypeInt {
		a, b = b, a
	}
	if e.Type == value.TypeDate {
		by := c.within(b, -spanOfDays, spanOfDays)
		if e.Op == expr.OpSubtract {
			by = c.f("-(%s)", by).sql
		}
		return c.inRangeOrNull(c.f("date_add('day', %s, %s)", by, c.finiteOrNull(a)), e.Type, false)
	}
	at := c.f("(%s %s %s)", c.trinoMicroseconds(c.finiteOrNull(a)), string(e.Op), c.within(b, -spanOfMicroseconds, spanOfMicroseconds)).sql
	return c.f("CASE WHEN %[1]s BETWEEN %[2]s AND %[3]s THEN CAST(from_unixtime_nanos(CAST(%[1]s AS DECIMAL(38, 0)) * 1000) AT TIME ZONE 'UTC' AS TIMESTAMP(6)) END",
		at, strconv.FormatInt(value.MinTimestamp, 10), strconv.FormatInt(value.MaxTimestamp, 10))
}

var fieldFunctions = map[expr.Field]string{
	expr.FieldDOY: "dayofyear", expr.FieldDOW: "dayofweek",
}

func (c *compiler) extract(e *expr.Expr) code {
	field := e.Args[0].Value.Str()
	if f, ok := fieldFunctions[expr.Field(field)]; ok {
		field = f
	}
	return c.f("%s(%s)", field, c.finiteOrNull(e.Args[1]))
}

func (c *compiler) postgresExtract(e *expr.Expr) code {
	field, x := e.Args[0].Value.Str(), c.finiteOrNull(e.Args[1])
	part := c.f("EXTRACT(%s FROM %s)", strings.ToUpper(field), x).sql
	switch expr.Field(field) {
	case expr.FieldHour, expr.FieldMinute:
		part = c.f("EXTRACT(%s FROM CAST(%s AS TIMESTAMP))", strings.ToUpper(field), x).sql
	case expr.FieldSecond:
		part = c.f("floor(EXTRACT(SECOND FROM CAST(%s AS TIMESTAMP)))", x).sql
	}
	return c.f("CAST(%s AS BIGINT)", part)
}

func (c *compiler) trinoExtract(e *expr.Expr) code {
	x := c.finiteOrNull(e.Args[1])
	switch field := e.Args[0].Value.Str(); expr.Field(field) {
	case expr.FieldISOYear:
		return c.f("year_of_week(%s)", x)
	case expr.FieldDOY:
		return c.f("day_of_year(%s)", x)
	case expr.FieldDOW:
		return c.f("(day_of_week(%s) %% 7)", x)
	case expr.FieldISODOW:
		return c.f("day_of_week(%s)", x)
	case expr.FieldHour, expr.FieldMinute, expr.FieldSecond:
		return c.f("%s(CAST(%s AS TIMESTAMP(6)))", field, x)
	default:
		return c.f("%s(%s)", field, x)
	}
}

// truncateFrom returns what writes DATE_TRUNC of an operand in the given form.
func truncateFrom(form string) write {
	return func(c *compiler, e *expr.Expr) code {
		return c.f("CAST(date_trunc('%s', "+form+") AS %s)", e.Args[0].Value.Str(), c.finiteOrNull(e.Args[1]), c.sqlType(e.Type))
	}
}

func (c *compiler) addMonths(e *expr.Expr) code {
	x := c.f("CAST(%s + to_months(%s) AS %s)", c.finiteOrNull(e.Args[0]), c.int32(e.Args[1], -spanOfMonths, spanOfMonths), c.sqlType(e.Type))
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
	return c.inRangeOrNull(x, e.Type, sure)
}

// firstMonths is how many months can be subtracted from the year 1 within PostgreSQL's dates, which begin in 4713 BC.
const firstMonths = 56_000

func (c *compiler) postgresAddMonths(e *expr.Expr) code {
	x, by := c.finiteOrNull(e.Args[0]), c.facts(e.Args[1])
	n := c.within(e.Args[1], -spanOfMonths, spanOfMonths)
	sum := c.f("CAST(%s + make_interval(months => CAST(%s AS INTEGER)) AS %s)", x, n, c.sqlType(e.Type))
	if by.Lower >= -firstMonths {
		return c.inRangeOrNull(sum, e.Type, false)
	}
	return c.f("CASE WHEN EXTRACT(YEAR FROM %[1]s) * 12 + EXTRACT(MONTH FROM %[1]s) - 1 + %[2]s BETWEEN 12 AND 119999 THEN %[3]s END", x, n, sum.sql)
}

func (c *compiler) trinoAddMonths(e *expr.Expr) code {
	n := c.within(e.Args[1], -spanOfMonths, spanOfMonths)
	return c.inRangeOrNull(c.f("date_add('month', %s, %s)", n, c.finiteOrNull(e.Args[0])), e.Type, false)
}

// months writes the number of complete months between two dates: the changes of month, less one if the last month is
// not complete.
func (c *compiler) months(e *expr.Expr) code {
	a, b := c.finiteOrNull(e.Args[0]), c.finiteOrNull(e.Args[1])
	into := func(x string) string { return c.f("day(%s)", x).sql }
	if e.Args[0].Type == value.TypeTimestamp {
		into = func(x string) string { return c.f("(%[1]s - date_trunc('month', %[1]s))", x).sql }
	}
	return c.f("(date_diff('month', %[1]s, %[2]s) - CASE WHEN %[1]s <= %[2]s THEN CAST(%[3]s > %[4]s AS BIGINT) ELSE -CAST(%[3]s < %[4]s AS BIGINT) END)",
		a, b, into(a), into(b))
}

// postgresMonths is months for PostgreSQL.
func (c *compiler) postgresMonths(e *expr.Expr) code {
	a, b := c.finiteOrNull(e.Args[0]), c.finiteOrNull(e.Args[1])
	into := func(x string) string { return c.f("EXTRACT(DAY FROM %s)", x).sql }
	if e.Args[0].Type == value.TypeTimestamp {
		into = func(x string) string { return c.f("(%[1]s - date_trunc('month', %[1]s))", x).sql }
	}
	return c.f("(CAST((EXTRACT(YEAR FROM %[2]s) - EXTRACT(YEAR FROM %[1]s)) * 12 + EXTRACT(MONTH FROM %[2]s) - EXTRACT(MONTH FROM %[1]s) AS BIGINT)"+
		" - CASE WHEN %[1]s <= %[2]s THEN CAST(%[3]s > %[4]s AS INTEGER) ELSE -CAST(%[3]s < %[4]s AS INTEGER) END)", a, b, into(a), into(b))
}

// trinoMonths is months for Trino, whose INTERVAL counts milliseconds.
func (c *compiler) trinoMonths(e *expr.Expr) code {
	a, b := c.finiteOrNull(e.Args[0]), c.finiteOrNull(e.Args[1])
	later := func(x, y string) string {
		if e.Args[0].Type == value.TypeDate {
			return c.f("day(%s) > day(%s)", x, y).sql
		}
		// The operands are compared as texts, from the day to the microseconds: CAST AS TIME loses these in early
		// years.
		return c.f("substr(CAST(%s AS VARCHAR), 9) > substr(CAST(%s AS VARCHAR), 9)", x, y).sql
	}
	return c.f("((year(%[2]s) - year(%[1]s)) * 12 + month(%[2]s) - month(%[1]s) - CASE WHEN %[1]s <= %[2]s THEN CASE WHEN %[3]s THEN 1 ELSE 0 END WHEN %[4]s THEN -1 ELSE 0 END)",
		a, b, later(a, b), later(b, a))
}

// makeDate counts days from the first of the month. If the result is in another month, the date does not exist.
func (c *compiler) makeDate(e *expr.Expr) code {
	y, m, d := c.within(e.Args[0], 1, 9999), c.within(e.Args[1], 1, 12), c.within(e.Args[2], 1, 31)
	first := c.f("CAST(DATE '0001-01-01' + to_months(CAST((%s - 1) * 12 + (%s - 1) AS INTEGER)) AS DATE)", y, m).sql
	day := c.f("(%s + CAST(%s - 1 AS INTEGER))", first, d).sql
	if f := c.facts(e.Args[2]); f.Upper <= 28 {
		return code{sql: day}
	}
	return c.f("CASE WHEN month(%[1]s) = %[2]s THEN %[1]s END", day, m)
}

func (c *compiler) postgresMakeDate(e *expr.Expr) code {
	y, m, d := c.within(e.Args[0], 1, 9999), c.within(e.Args[1], 1, 12), c.within(e.Args[2], 1, 31)
	day := c.f("(make_date(CAST(%s AS INTEGER), CAST(%s AS INTEGER), 1) + CAST(%s - 1 AS INTEGER))", y, m, d).sql
	if c.facts(e.Args[2]).Upper <= 28 {
		return code{sql: day}
	}
	return c.f("CASE WHEN EXTRACT(MONTH FROM %[1]s) = %[2]s THEN %[1]s END", day, m)
}

func (c *compiler) trinoMakeDate(e *expr.Expr) code {
	y, m, d := c.within(e.Args[0], 1, 9999), c.within(e.Args[1], 1, 12), c.within(e.Args[2], 1, 31)
	day := c.f("date_add('day', %s - 1, date_add('month', (%s - 1) * 12 + (%s - 1), DATE '0001-01-01'))", d, y, m).sql
	return c.f("CASE WHEN month(%[1]s) = %[2]s THEN %[1]s END", day, m)
}
