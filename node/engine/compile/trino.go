package compile

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Trino raises on integers that overflow or are divided by zero, and has float64
// arithmetic like DuckDB's. Integer arithmetic whose interval is not proved to fit in
// 64 bits is computed in DECIMAL(38, 0), which holds every product of two ints. Its
// TRY is not used, since an error that is raised and caught takes its time.
var Trino = &Dialect{
	name: "Trino",
	types: map[value.Type]string{
		value.TypeBool: "BOOLEAN", value.TypeInt: "BIGINT", value.TypeFloat: "DOUBLE",
		value.TypeText: "VARCHAR", value.TypeDate: "DATE", value.TypeTimestamp: "TIMESTAMP(6)",
	},
	wide:      "DECIMAL(38, 0)",
	whole:     func(i int64) string { return "BIGINT '" + strconv.FormatInt(i, 10) + "'" },
	real:      exponential,
	instant:   trinoInstant,
	cast:      "TRY_CAST",
	bytes:     "length(%[1]s)",
	let:       "element_at(transform(ARRAY[%[2]s], %[1]s -> %[3]s), 1)",
	finite:    "is_finite(%s)",
	nan:       "is_nan(%s)",
	infinite:  "is_infinite(%s)",
	operation: trinoOperation,
	sum:       "sum(CAST(%s AS DECIMAL(38, 0)))",
	division:  "/",
	quotient:  "((%[1]s - (%[1]s) %% %[2]s) / %[2]s)",
	least:     trinoExtreme("array_min"),
	greatest:  trinoExtreme("array_max"),
	clamp: func(x, lower, upper string, _ value.Type) string { // of NULL, these functions give NULL
		return "least(greatest(" + x + ", " + lower + "), " + upper + ")"
	},
	pack: "array_join(array_agg(CAST(leaf AS VARCHAR) || ':' || CAST(n AS VARCHAR)), ' ')",
	choice: func(_ value.Type, keys []value.Type) string {
		// The parameter is the whole key, which Trino's client cannot give apart from the text.
		text := "CAST(patient AS VARCHAR)"
		for i := range keys {
			text += fmt.Sprintf(" || coalesce(chr(31) || CAST(k%d AS VARCHAR), chr(30))", i)
		}
		return "from_big_endian_64(xxhash64($group_key || to_utf8(" + text + ")))"
	},
	days:   true,
	joins:  4 << 10,
	maxSQL: 200 << 10, // of the million characters that a server takes in all
}

// trinoInstant writes all six digits of a second's fraction, which are the precision
// of the literal's type.
func trinoInstant(s string) string {
	day, time, ok := strings.Cut(s, "T")
	if !ok {
		return s
	}
	time, fraction, _ := strings.Cut(time, ".")
	return day + " " + time + "." + (fraction + "000000")[:6]
}

// trinoExtreme leaves NULLs out, for which Trino's own functions give NULL.
func trinoExtreme(function string) func([]string) string {
	return func(args []string) string {
		return function + "(filter(ARRAY[" + strings.Join(args, ", ") + "], x -> x IS NOT NULL))"
	}
}

func trinoOperation(c *compiler, e *expr.Expr) (code, bool) {
	if x, ok := c.constant(e); ok {
		return x, true
	}
	switch e.Op {
	case expr.OpCoalesce:
		if len(e.Args) == 1 {
			return c.as(e.Args[0], e.Type), true
		}
	case expr.OpIntDivide:
		a, b := c.expr(e.Args[0]).sql, c.expr(e.Args[1]).sql
		if c.facts(e.Args[0]).Lower > math.MinInt64 || without(c.facts(e.Args[1]), -1) {
			return c.f("(%s / NULLIF(%s, 0))", a, b), true
		}
		return c.f("CASE WHEN %[2]s = -1 THEN -NULLIF(%[1]s, %[3]s) ELSE %[1]s / NULLIF(%[2]s, 0) END", a, b, c.target.Dialect.whole(math.MinInt64)), true
	case expr.OpModulo: // the least int % -1 is 0
		return c.f("(%s %% NULLIF(%s, 0))", c.expr(e.Args[0]).sql, c.expr(e.Args[1]).sql), true
	case expr.OpCast:
		if from := e.Args[0].Type; from == value.TypeText && e.Type != value.TypeText {
			return c.trinoParse(c.whole(e.Args[0]), e.Type), true
		}
	case expr.OpExtract:
		return c.trinoExtract(e), true
	case expr.OpAddMonths:
		n := c.within(e.Args[1], -spanOfMonths, spanOfMonths)
		return c.existing(c.f("date_add('month', %s, %s)", n, c.strict(e.Args[0])), e.Type, false), true
	case expr.OpMonths:
		return c.trinoMonths(e), true
	case expr.OpMakeDate:
		y, m, d := c.within(e.Args[0], 1, 9999), c.within(e.Args[1], 1, 12), c.within(e.Args[2], 1, 31)
		day := c.f("date_add('day', %s - 1, date_add('month', (%s - 1) * 12 + (%s - 1), DATE '0001-01-01'))", d, y, m).sql
		return c.f("CASE WHEN month(%[1]s) = %[2]s THEN %[1]s END", day, m), true
	case expr.OpAdd, expr.OpSubtract:
		if !(e.Args[0].Type.Numeric() && e.Args[1].Type.Numeric()) {
			return c.trinoShift(e), true
		}
	case expr.OpLower, expr.OpUpper:
		from, to := expr.UpperLetters, expr.LowerLetters
		if e.Op == expr.OpUpper {
			from, to = to, from
		}
		return c.f("CASE WHEN length(to_utf8(%[1]s)) = length(%[1]s) THEN %[2]s(%[1]s) ELSE translate(%[1]s, '%[3]s', '%[4]s') END", c.strict(e.Args[0]), string(e.Op), from, to), true
	case expr.OpLeftTrim, expr.OpRightTrim:
		// TRIM(LEADING … FROM …) is the same, and unknown to old versions.
		name := map[expr.Op]string{expr.OpLeftTrim: "ltrim", expr.OpRightTrim: "rtrim"}[e.Op]
		return c.f("%s(%s, %s)", name, c.strict(e.Args[0]), c.literal(*e.Args[1].Value, false).sql), true
	case expr.OpSplit:
		x := c.strict(e.Args[0])
		return c.f("CASE WHEN %[1]s IS NOT NULL THEN coalesce(split_part(%[1]s, %[2]s, %[3]s), '') END", x, c.literal(*e.Args[1].Value, false).sql, strconv.FormatInt(e.Args[2].Value.Int64(), 10)), true
	case expr.OpRegexp:
		return c.f("regexp_like(%s, %s)", c.strict(e.Args[0]), c.literal(value.Text(javaPattern(e.Args[1].Value.Str())), false).sql), true
	}
	return code{}, false
}

// javaPattern writes a portable regular expression such that $ is the end of the
// text in Java's reading, which would otherwise be content before a last line feed: no
// character follows. (\z says the same, but Trino's matcher overlooks it behind a
// character of four bytes.)
func javaPattern(p string) string {
	var b strings.Builder
	escaped := false
	for _, r := range p {
		if r == '$' && !escaped {
			b.WriteString(`(?![\s\S])`)
		} else {
			b.WriteRune(r)
		}
		escaped = r == '\\' && !escaped
	}
	return b.String()
}

// trinoParse converts a text.
func (c *compiler) trinoParse(x string, t value.Type) code {
	pattern := map[value.Type]string{value.TypeInt: strings.Trim(expr.IntPattern, "^$"), value.TypeFloat: strings.Trim(expr.FloatPattern, "^$"),
		value.TypeDate: ExistingDate, value.TypeTimestamp: ExistingDate + existingTime}[t]
	text := x
	if t == value.TypeTimestamp {
		text = c.f("replace(%s, 'T', ' ')", x).sql
	}
	s := c.f("CASE WHEN regexp_like(%s, %s) THEN TRY_CAST(%s AS %s) END", x, c.literal(value.Text(`^(?:`+pattern+`)\z`), false).sql, text, c.sqlType(t))
	s.loose = t == value.TypeFloat // 1e999
	return s
}

func (c *compiler) trinoExtract(e *expr.Expr) code {
	x := c.strict(e.Args[1])
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

// trinoMonths is compiler.months; an INTERVAL has milliseconds only.
func (c *compiler) trinoMonths(e *expr.Expr) code {
	a, b := c.strict(e.Args[0]), c.strict(e.Args[1])
	later := func(x, y string) string {
		if e.Args[0].Type == value.TypeDate {
			return c.f("day(%s) > day(%s)", x, y).sql
		}
		// As texts: day, hour and so on to the microseconds, which CAST AS TIME loses in early years.
		return c.f("substr(CAST(%s AS VARCHAR), 9) > substr(CAST(%s AS VARCHAR), 9)", x, y).sql
	}
	return c.f("((year(%[2]s) - year(%[1]s)) * 12 + month(%[2]s) - month(%[1]s) - CASE WHEN %[1]s <= %[2]s THEN CASE WHEN %[3]s THEN 1 ELSE 0 END WHEN %[4]s THEN -1 ELSE 0 END)",
		a, b, later(a, b), later(b, a))
}

// trinoMicroseconds counts the microseconds since 1970, which its functions of dates
// do not: they have milliseconds.
func (c *compiler) trinoMicroseconds(x string) string {
	return c.f("(date_diff('second', TIMESTAMP '1970-01-01 00:00:00', date_trunc('second', %[1]s)) * 1000000 + CAST(substr(CAST(%[1]s AS VARCHAR), -6) AS BIGINT))", x).sql
}

// trinoShift writes a date or timestamp plus or minus an int, and differences.
func (c *compiler) trinoShift(e *expr.Expr) code {
	a, b := e.Args[0], e.Args[1]
	if e.Type == value.TypeInt {
		if a.Type == value.TypeDate {
			return c.f("date_diff('day', %s, %s)", c.strict(b), c.strict(a))
		}
		return c.f("(%s - %s)", c.trinoMicroseconds(c.strict(a)), c.trinoMicroseconds(c.strict(b)))
	}
	if a.Type == value.TypeInt {
		a, b = b, a
	}
	if e.Type == value.TypeDate {
		by := c.within(b, -spanOfDays, spanOfDays)
		if e.Op == expr.OpSubtract {
			by = c.f("-(%s)", by).sql
		}
		return c.existing(c.f("date_add('day', %s, %s)", by, c.strict(a)), e.Type, false)
	}
	at := c.f("(%s %s %s)", c.trinoMicroseconds(c.strict(a)), string(e.Op), c.within(b, -spanOfMicroseconds, spanOfMicroseconds)).sql
	return c.f("CASE WHEN %[1]s BETWEEN %[2]s AND %[3]s THEN CAST(from_unixtime_nanos(CAST(%[1]s AS DECIMAL(38, 0)) * 1000) AT TIME ZONE 'UTC' AS TIMESTAMP(6)) END",
		at, strconv.FormatInt(value.MinTimestamp, 10), strconv.FormatInt(value.MaxTimestamp, 10))
}
