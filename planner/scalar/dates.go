package scalar

import (
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// MicrosecondsPerSecond is the number of microseconds in a second. Timestamps count microseconds.
const (
	MicrosecondsPerSecond = 1_000_000
	microsecondsPerDay    = 86_400 * MicrosecondsPerSecond
)

// dateUnits maps the names of units of time in SQL dialects to units.
var dateUnits = map[string]expr.Unit{
	"year": "year", "years": "year", "yyyy": "year", "yy": "year", "quarter": "quarter", "quarters": "quarter", "qq": "quarter", "q": "quarter",
	"month": "month", "months": "month", "mm": "month", "m": "month", "week": "week", "weeks": "week", "wk": "week", "ww": "week",
	"day": "day", "days": "day", "dd": "day", "d": "day", "hour": "hour", "hours": "hour", "hh": "hour",
	"minute": "minute", "minutes": "minute", "mi": "minute", "n": "minute", "second": "second", "seconds": "second", "ss": "second", "s": "second",
}

// These are the units of fixed length, in seconds, and the others, in months.
var (
	secondsOf = map[expr.Unit]int64{"week": 7 * 86_400, "day": 86_400, "hour": 3600, "minute": 60, "second": 1}
	monthsOf  = map[expr.Unit]int64{"year": 12, "quarter": 3, "month": 1}
)

// dateFields maps the names that EXTRACT takes to fields.
var dateFields = map[string]expr.Field{
	"year": "year", "isoyear": "isoyear", "quarter": "quarter", "month": "month", "week": "week", "isoweek": "week", "day": "day",
	"doy": "doy", "dayofyear": "doy", "dow": "dow", "isodow": "isodow", "hour": "hour", "minute": "minute", "second": "second",
}

// word reads an argument that is a word: DAY or 'day'.
func (c *call) word(i int) string {
	switch a := c.Args[i]; {
	case a.Kind == syntax.Column && a.Qualifier == "":
		return strings.ToLower(a.Name)
	case a.Kind == syntax.Literal && a.Text:
		return strings.ToLower(a.Literal.Str())
	}
	return ""
}

func (c *call) unit(i int) expr.Unit {
	u, ok := dateUnits[c.word(i)]
	if !ok {
		c.refuse(i, "write year, quarter, month, week, day, hour, minute or second", "this is no unit of time")
	}
	return u
}

// clockTime reports whether a unit is smaller than a day.
func clockTime(u expr.Unit) bool { return u == "hour" || u == "minute" || u == "second" }

func (c *call) field(f expr.Field, i int) *expr.Expr {
	return c.op(expr.OpExtract, textual(string(f)), c.day(i))
}

func (c *call) extract() *expr.Expr {
	word, d := c.word(0), c.Args[1]
	if d.Kind == syntax.Call && d.Name == "age" && len(d.Args) == 2 && (word == "year" || word == "month") {
		age := newCall(d, c.resolve)
		at, birth := age.days(0, 1)
		op := map[string]expr.Op{"year": expr.OpIntDivide, "month": expr.OpModulo}[word]
		return c.op(op, c.op(expr.OpMonths, birth, at), wholeNumber(12))
	}
	if d.Kind == syntax.Operator && d.Name == "-" && (word == "epoch" || word == "day") && d.Args[0].Kind != syntax.Interval && d.Args[1].Kind != syntax.Interval {
		if e := c.elapsed(d, word); e != nil {
			return e
		}
	}
	if word == "epoch" {
		return c.seconds(c.op(expr.OpSubtract, c.cast(c.day(1), value.TypeTimestamp), expr.Literal(value.Timestamp(0))))
	}
	f, ok := dateFields[word]
	if !ok {
		c.refuse(0, "write year, quarter, month, week, day, doy, dow, isodow, isoyear, hour, minute, second or epoch", "there is no such part of a date")
	}
	return c.field(f, 1)
}

func (c *call) seconds(microseconds *expr.Expr) *expr.Expr {
	return c.op(expr.OpDivide, microseconds, wholeNumber(MicrosecondsPerSecond))
}

// elapsed is the difference of two timestamps or dates in seconds or whole days; nil if the operands are neither.
func (c *call) elapsed(difference *syntax.Expr, word string) *expr.Expr {
	args := Unified(difference.Args, c.resolve)
	if args[0].Type == value.TypeDate && args[1].Type == value.TypeDate {
		days := c.op(expr.OpSubtract, args...)
		if word == "day" {
			return days
		}
		return c.op(expr.OpMultiply, days, expr.Literal(value.Float(24*60*60)))
	}
	if args[0].Type != value.TypeTimestamp || args[1].Type != value.TypeTimestamp {
		return nil
	}
	microseconds := c.op(expr.OpSubtract, args...)
	if word == "day" {
		return c.op(expr.OpIntDivide, microseconds, wholeNumber(microsecondsPerDay))
	}
	return c.seconds(microseconds)
}

func (c *call) dateTrunc() *expr.Expr {
	u, d := c.unit(0), c.day(1)
	if d.Type == value.TypeDate && (clockTime(u) || u == "day") {
		return d
	}
	return c.op(expr.OpTruncate, textual(string(u)), d)
}

// add builds +. It also adds an interval or a number of days to a date.
func (c *call) add() *expr.Expr {
	for i, a := range c.Args {
		if a.Kind == syntax.Interval {
			return c.shift(c.day(1-i), a, false)
		}
	}
	args := c.unified()
	if args[0].Type == value.TypeText && args[1].Type == value.TypeText { // SQL Server joins texts with +
		return c.concatenate()
	}
	return Apply(c.At, expr.OpAdd, args...)
}

func (c *call) subtract() *expr.Expr {
	if c.Args[1].Kind == syntax.Interval {
		return c.shift(c.day(0), c.Args[1], true)
	}
	args := c.unified()
	if args[0].Type == value.TypeTimestamp && args[1].Type == value.TypeTimestamp {
		syntax.Refuse(syntax.CodeType, c.At, "write TIMESTAMPDIFF(SECOND, from, to), or DATEDIFF(DAY, from, to)", "the difference of two timestamps is an interval, which is no value here")
	}
	e := Apply(c.At, expr.OpSubtract, args...)
	if e.Type == value.TypeInt && !args[0].Type.Numeric() {
		return Fold(e)
	}
	return e
}

func (c *call) shift(d *expr.Expr, interval *syntax.Expr, back bool) *expr.Expr {
	n := newCall(interval, c.resolve)
	u, ok := dateUnits[interval.Name]
	if !ok {
		syntax.Refuse(syntax.CodeNotSupported, interval.At, "write it in seconds", "there are no intervals of %ss here", interval.Name)
	}
	d = c.moved(d, n.int(0), u, back)
	if len(interval.Args) > 1 {
		return c.shift(d, interval.Args[1], back)
	}
	return d
}

// moved adds n units to a date or timestamp, or subtracts them. A date stays a date unless the unit is shorter than a
// day.
func (c *call) moved(d, n *expr.Expr, u expr.Unit, back bool) *expr.Expr {
	op := expr.OpAdd
	if back {
		op = expr.OpSubtract
	}
	times := func(by int64) *expr.Expr {
		if by == 1 {
			return n
		}
		return c.op(expr.OpMultiply, n, wholeNumber(by))
	}
	if months := monthsOf[u]; months > 0 {
		n = times(months)
		if back {
			n = c.op(expr.OpNegate, n)
		}
		return c.op(expr.OpAddMonths, d, n)
	}
	if d.Type == value.TypeDate && clockTime(u) {
		d = c.cast(d, value.TypeTimestamp)
	}
	by := secondsOf[u] / 86_400
	if d.Type == value.TypeTimestamp {
		by = secondsOf[u] * MicrosecondsPerSecond
	}
	n = times(by)
	if n.Op == expr.OpLiteral && !n.Value.IsNull() && n.Value.Int64() < 0 && n.Value.Int64() > -1<<62 { // d + -3 is d - 3
		n = wholeNumber(-n.Value.Int64())
		op = map[expr.Op]expr.Op{expr.OpAdd: expr.OpSubtract, expr.OpSubtract: expr.OpAdd}[op]
	}
	return c.op(op, d, n)
}

// dateAdd builds DATE_ADD(d, INTERVAL n unit), DATE_ADD(d, days) and DATEADD(unit, n, d).
func (c *call) dateAdd() *expr.Expr {
	if len(c.Args) == 3 {
		u := c.unit(0)
		return c.moved(c.day(2), c.int(1), u, false)
	}
	return c.dateMoved(false)
}

func (c *call) dateSub() *expr.Expr { return c.dateMoved(true) }

func (c *call) dateMoved(back bool) *expr.Expr {
	if c.Args[1].Kind == syntax.Interval {
		return c.shift(c.day(0), c.Args[1], back)
	}
	return c.moved(c.day(0), c.int(1), "day", back)
}

// dateDiff counts the unit boundaries between two days, as SQL Server does. With two arguments it counts the days from
// the second to the first, as MySQL does.
func (c *call) dateDiff() *expr.Expr {
	if len(c.Args) == 2 {
		return c.op(expr.OpSubtract, c.cast(c.day(0), value.TypeDate), c.cast(c.day(1), value.TypeDate))
	}
	u := c.unit(0)
	from, to := c.days(1, 2)
	begun := func(d *expr.Expr) *expr.Expr { return c.op(expr.OpTruncate, textual(string(u)), d) }
	switch {
	case u == "year":
		year := func(d *expr.Expr) *expr.Expr { return c.op(expr.OpExtract, textual("year"), d) }
		return c.op(expr.OpSubtract, year(to), year(from))
	case monthsOf[u] > 0:
		n := c.op(expr.OpMonths, begun(from), begun(to))
		if u == "quarter" {
			n = c.op(expr.OpIntDivide, n, wholeNumber(3))
		}
		return n
	case clockTime(u):
		from, to = c.cast(from, value.TypeTimestamp), c.cast(to, value.TypeTimestamp)
		return c.op(expr.OpIntDivide, c.op(expr.OpSubtract, begun(to), begun(from)), wholeNumber(secondsOf[u]*MicrosecondsPerSecond))
	}
	from, to = c.cast(from, value.TypeDate), c.cast(to, value.TypeDate)
	if u == "week" {
		return c.op(expr.OpIntDivide, c.op(expr.OpSubtract, begun(to), begun(from)), wholeNumber(7))
	}
	return c.op(expr.OpSubtract, to, from)
}

// timestampDiff counts complete units, rounded toward zero, as MySQL does.
func (c *call) timestampDiff() *expr.Expr {
	u := c.unit(0)
	from, to := c.days(1, 2)
	if months := monthsOf[u]; months > 0 {
		n := c.op(expr.OpMonths, from, to)
		if months > 1 {
			n = c.op(expr.OpIntDivide, n, wholeNumber(months))
		}
		return n
	}
	if from.Type == value.TypeDate && clockTime(u) {
		from, to = c.cast(from, value.TypeTimestamp), c.cast(to, value.TypeTimestamp)
	}
	unit := secondsOf[u] / 86_400
	if from.Type == value.TypeTimestamp {
		unit = secondsOf[u] * MicrosecondsPerSecond
	}
	n := c.op(expr.OpSubtract, to, from)
	if unit > 1 {
		n = c.op(expr.OpIntDivide, n, wholeNumber(unit))
	}
	return n
}

func (c *call) ageInYears() *expr.Expr {
	birth, at := c.days(0, 1)
	return c.op(expr.OpIntDivide, c.op(expr.OpMonths, birth, at), wholeNumber(12))
}

// lastDay adds months to 31 January of the year; the sum is cut to the last day of its month. The first day of the next
// month minus one day would not work for December 9999.
func (c *call) lastDay() *expr.Expr {
	d := c.cast(c.day(0), value.TypeDate)
	january := c.op(expr.OpAdd, c.op(expr.OpTruncate, textual("year"), d), wholeNumber(30))
	return c.op(expr.OpAddMonths, january, c.op(expr.OpSubtract, c.op(expr.OpExtract, textual("month"), d), wholeNumber(1)))
}

func (c *call) makeDate() *expr.Expr {
	return c.op(expr.OpMakeDate, c.int(0), c.int(1), c.int(2))
}

// makeTimestamp is NULL if there is no such day or time. The seconds may have a fraction.
func (c *call) makeTimestamp() *expr.Expr {
	midnight := c.cast(c.makeDate(), value.TypeTimestamp)
	h, m, s := c.int(3), c.int(4), c.number(5)
	var valid []*expr.Expr
	for _, x := range []struct {
		*expr.Expr
		below int64
	}{{h, 24}, {m, 60}, {s, 60}} {
		valid = append(valid, c.op(expr.OpGreaterOrEqual, x.Expr, wholeNumber(0)), c.op(expr.OpLess, x.Expr, wholeNumber(x.below)))
	}
	micros := c.op(expr.OpMultiply, s, wholeNumber(MicrosecondsPerSecond))
	if s.Type == value.TypeFloat {
		micros = c.cast(micros, value.TypeInt)
	}
	micros = c.op(expr.OpAdd, micros, c.op(expr.OpMultiply, h, wholeNumber(3600*MicrosecondsPerSecond)))
	micros = c.op(expr.OpAdd, micros, c.op(expr.OpMultiply, m, wholeNumber(60*MicrosecondsPerSecond)))
	return c.op(expr.OpCase, c.op(expr.OpAnd, valid...), c.op(expr.OpAdd, midnight, micros), nothing(value.TypeTimestamp))
}

func isDay(t value.Type) bool { return t == value.TypeDate || t == value.TypeTimestamp }
