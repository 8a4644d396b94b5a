package compile

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

var casts = map[expr.Op]written{
	expr.OpCast: {(*compiler).cast, (*compiler).postgresCast, (*compiler).trinoCast},
}

// Patterns of texts that convert, without the anchors that regexp_full_match implies.
var patterns = map[value.Type]string{
	value.TypeInt:       strings.Trim(expr.IntPattern, "^$"),
	value.TypeFloat:     strings.Trim(expr.FloatPattern, "^$"),
	value.TypeDate:      strings.Trim(expr.DatePattern, "^$"),
	value.TypeTimestamp: strings.Trim(expr.TimePattern, "^$"),
}

func (c *compiler) cast(e *expr.Expr) code {
	a := e.Args[0]
	x := c.expr(a)
	switch from := a.Type; {
	case from == e.Type:
		return code{sql: c.comparable(a), maybeNonFinite: x.maybeNonFinite}
	case from == value.TypeText:
		x.sql = c.comparable(a)
		pattern := c.literal(value.Text(patterns[e.Type]), false).sql
		s := c.f("CASE WHEN regexp_full_match(%[1]s, %[2]s) THEN TRY_CAST(%[1]s AS %[3]s) END", x.sql, pattern, c.sqlType(e.Type))
		s.maybeNonFinite = e.Type == value.TypeFloat // 1e999
		return s
	case from == value.TypeFloat:
		whole := c.round(x, 0, expr.Range{})
		if f := c.facts(a); !x.maybeNonFinite && math.Abs(f.Lower) < 1<<62 && math.Abs(f.Upper) < 1<<62 {
			return c.f("CAST(%s AS BIGINT)", whole.sql)
		}
		return c.f("CASE WHEN %s BETWEEN %s AND %s THEN TRY_CAST(%s AS BIGINT) END", x.sql,
			c.number(math.MinInt64), c.number(math.Nextafter(1<<63, 0)), whole.sql)
	}
	return c.f("CAST(%s AS %s)", x.sql, c.sqlType(e.Type))
}

// postgresNumber is the length above which no text is a number or a date.
const postgresNumber = 1000

// ExistingDate is a regular expression of PostgreSQL and Java for an ISO 8601 date of the years 0001 to 9999.
const ExistingDate = `(?!0000)([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))` +
	`|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)`

// Regular expressions, for all engines, of a time of day in a hospital's text, and of what may follow it in an instant.
const (
	TextTime   = `([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?`
	TextOffset = `(Z|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)`
)

// The texts that a CAST converts, as regular expressions of PostgreSQL, in which a repetition counts to 255 at most.
const (
	postgresInt   = `^[+-]?[0-9]{1,18}$`
	postgresFloat = `^[+-]?([0-9]{1,150}[0-9]{0,150}([.][0-9]{0,150}[0-9]{0,150})?|[.][0-9]{1,150}[0-9]{0,150})([eE][+-]?[0-9]{1,3})?$`
	existingTime  = `[ T]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,6})?`
)

// Bounds of the decimal numbers that round to a finite float64 other than 0: below the first, and above the second
// (which is approximate in its twentieth digit).
var (
	decimalEnd   = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 1024), new(big.Int).Lsh(big.NewInt(1), 970)).String()
	decimalStart = "2.4703282292062327208e-324"
)

func (c *compiler) postgresCast(e *expr.Expr) code {
	a := e.Args[0]
	switch from := a.Type; {
	case from == e.Type:
		return c.cast(e)
	case from == value.TypeText:
		x := c.comparable(a)
		if a.Longest() > postgresNumber { // matching a pattern takes several times the memory of the text
			x = c.byBytes(c.f("substring(%s, 1, %s)", x, strconv.Itoa(postgresNumber)).sql, a.Type)
		}
		return c.postgresParse(x, e.Type)
	case from == value.TypeFloat: // to int
		x := c.expr(a)
		whole := c.postgresRound(x, 0, expr.Range{})
		if f := c.facts(a); math.Abs(f.Lower) < 1<<62 && math.Abs(f.Upper) < 1<<62 {
			return c.f("CAST(%s AS BIGINT)", whole.sql)
		}
		return c.f("CASE WHEN %s BETWEEN %s AND %s THEN CAST(%s AS BIGINT) END", x.sql,
			c.number(math.MinInt64), c.number(math.Nextafter(1<<63, 0)), whole.sql)
	case from == value.TypeBool && e.Type == value.TypeInt:
		return c.f("CAST(CAST(%s AS INTEGER) AS BIGINT)", c.expr(a).sql)
	}
	return c.cast(e) // to timestamp or text, for example: these never raise
}

// Narrow returns SQL that converts a NUMERIC to DOUBLE PRECISION, or to NULL if it is out of range. PostgreSQL only.
func (d *Dialect) Narrow(sql string) string {
	return fmt.Sprintf("CASE WHEN abs(%[1]s) < %[2]s THEN 0 WHEN abs(%[1]s) < %[3]s THEN CAST(%[1]s AS DOUBLE PRECISION) END", sql, decimalStart, decimalEnd)
}

// postgresParse writes a conversion of a text to type t.
func (c *compiler) postgresParse(x string, t value.Type) code {
	pattern := func(p string) string { return c.literal(value.Text(p), false).sql }
	switch t {
	case value.TypeBool:
		return c.f("CASE WHEN lower(%[1]s) IN ('true', 't', 'yes', 'y', '1') THEN true WHEN lower(%[1]s) IN ('false', 'f', 'no', 'n', '0') THEN false END", x)
	case value.TypeInt:
		return c.f("CASE WHEN %[1]s ~ %[2]s THEN CAST(%[1]s AS BIGINT) END", x, pattern(postgresInt))
	case value.TypeFloat:
		return c.f("CASE WHEN %s ~ %s THEN %s END", x, pattern(postgresFloat), c.target.Dialect.Narrow("CAST("+x+" AS NUMERIC)"))
	case value.TypeDate:
		return c.f("CASE WHEN %[1]s ~ %[2]s THEN CAST(%[1]s AS DATE) END", x, pattern("^"+ExistingDate+"$"))
	}
	return c.f("CASE WHEN %[1]s ~ %[2]s THEN CAST(%[1]s AS TIMESTAMP) END", x, pattern("^"+ExistingDate+existingTime+"$"))
}

func (c *compiler) trinoCast(e *expr.Expr) code {
	if e.Args[0].Type == value.TypeText && e.Type != value.TypeText {
		return c.trinoParse(c.comparable(e.Args[0]), e.Type)
	}
	return c.cast(e)
}

// trinoParse writes a conversion of a text to type t.
func (c *compiler) trinoParse(x string, t value.Type) code {
	pattern := map[value.Type]string{value.TypeInt: strings.Trim(expr.IntPattern, "^$"), value.TypeFloat: strings.Trim(expr.FloatPattern, "^$"),
		value.TypeDate: ExistingDate, value.TypeTimestamp: ExistingDate + existingTime}[t]
	text := x
	if t == value.TypeTimestamp {
		text = c.f("replace(%s, 'T', ' ')", x).sql
	}
	s := c.f("CASE WHEN regexp_like(%s, %s) THEN TRY_CAST(%s AS %s) END", x, c.literal(value.Text(`^(?:`+pattern+`)\z`), false).sql, text, c.sqlType(t))
	s.maybeNonFinite = t == value.TypeFloat // 1e999
	return s
}
