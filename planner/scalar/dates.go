package scalar

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// MicrosecondsPerSecond is how many microseconds, in which timestamps are counted, a second has.
const (
	MicrosecondsPerSecond = 1_000_000
	microsecondsPerDay    = 86_400 * MicrosecondsPerSecond
)

// dateUnits are the units of time as SQL's dialects write them.
var dateUnits = map[string]expr.Unit{
	"year": "year", "years": "year", "yyyy": "year", "yy": "year", "quarter": "quarter", "quarters": "quarter", "qq": "quarter", "q": "quarter",
	"month": "month", "months": "month", "mm": "month", "m": "month", "week": "week", "weeks": "week", "wk": "week", "ww": "week",
	"day": "day", "days": "day", "dd": "day", "d": "day", "hour": "hour", "hours": "hour", "hh": "hour",
	"minute": "minute", "minutes": "minute", "mi": "minute", "n": "minute", "second": "second", "seconds": "second", "ss": "second", "s": "second",
}

// The lengths of the units that are all alike, in seconds, and of others in months.
var (
	secondsOf = map[expr.Unit]int64{"week": 7 * 86_400, "day": 86_400, "hour": 3600, "minute": 60, "second": 1}
	monthsOf  = map[expr.Unit]int64{"year": 12, "quarter": 3, "month": 1}
)

// dateFields are what EXTRACT takes.
var dateFields = map[string]expr.Field{
	"year": "year", "isoyear": "isoyear", "quarter": "quarter", "month": "month", "week": "week", "isoweek": "week", "day": "day",
	"doy": "doy", "dayofyear": "doy", "dow": "dow", "isodow": "isodow", "hour": "hour", "minute": "minute", "second": "second",
}

// name reads the word of an argument: DAY, or 'day'.
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

// elapsed is the seconds, or whole days, of a difference of timestamps; nil where the
// difference is of something else.
func (c *call) elapsed(difference *syntax.Expr, word string) *expr.Expr {
	args := Unified(difference.Args, c.resolve)
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

// add is +, also of a date and an interval, or of a date and days.
func (c *call) add() *expr.Expr {
	for i, a := range c.Args {
		if a.Kind == syntax.Interval {
			return c.shift(c.day(1-i), a, false)
		}
	}
	args := c.unified()
	if args[0].Type == value.TypeText && args[1].Type == value.TypeText { // as SQL Server joins texts
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

// moved adds n units to a date or timestamp, or takes them away. A date stays one
// unless the unit is shorter than a day.
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

// dateAdd is DATE_ADD(d, INTERVAL n unit), DATE_ADD(d, days) and DATEADD(unit, n, d).
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

// dateDiff counts the boundaries of a unit between two days, as SQL Server does;
// with two arguments the days from the second to the first, as MySQL does.
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

// timestampDiff counts complete units, toward zero, as MySQL does.
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

// lastDay moves from 31 January of the year to the month, and is cut to its last
// day; the first of the next month less a day would not exist in December 9999.
func (c *call) lastDay() *expr.Expr {
	d := c.cast(c.day(0), value.TypeDate)
	january := c.op(expr.OpAdd, c.op(expr.OpTruncate, textual("year"), d), wholeNumber(30))
	return c.op(expr.OpAddMonths, january, c.op(expr.OpSubtract, c.op(expr.OpExtract, textual("month"), d), wholeNumber(1)))
}

func (c *call) makeDate() *expr.Expr {
	return c.op(expr.OpMakeDate, c.int(0), c.int(1), c.int(2))
}

// makeTimestamp is NULL where there is no such day or time of it. The seconds may have a fraction.
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

// toDate reads a text in a format of YYYY, MM, DD, each once, and other characters
// than letters and digits between them.
func (c *call) toDate() *expr.Expr {
	const hint = "write a format such as 'YYYY-MM-DD', 'DD/MM/YYYY' or 'YYYYMMDD'"
	if len(c.Args) == 1 && isDay(c.as(0, value.TypeText).Type) { // Spark
		return c.cast(c.day(0), value.TypeDate)
	}
	s, format := c.text(0), "YYYY-MM-DD"
	if len(c.Args) == 2 {
		format = strings.ToUpper(c.constantText(1, hint).Value.Str())
	}
	if e := c.ofParts(format); e != nil {
		return e
	}
	if format == "YYYY-MM-DD" {
		return c.cast(s, value.TypeDate)
	}
	at := map[string]int{}
	rest := format
	for _, part := range []string{"YYYY", "MM", "DD"} {
		at[part] = strings.Index(format, part)
		rest = strings.Replace(rest, part, "", 1)
	}
	between := func(r rune) bool { return strings.ContainsRune("-/. ", r) }
	if slices.Contains([]int{at["YYYY"], at["MM"], at["DD"]}, -1) || strings.IndexFunc(rest, func(r rune) bool { return !between(r) }) >= 0 {
		c.refuse(1, hint, "this format of dates is not read")
	}
	var pattern strings.Builder
	pattern.WriteByte('^')
	for _, r := range format {
		switch {
		case !between(r):
			pattern.WriteString("[0-9]")
		case r == '.':
			pattern.WriteString(`\.`)
		default:
			pattern.WriteRune(r)
		}
	}
	pattern.WriteByte('$')
	portable, err := expr.Regexp(pattern.String(), false)
	if err != nil {
		Mistyped(c.Args[1].At, err, hint)
	}
	part := func(name string) *expr.Expr {
		return c.op(expr.OpSubstring, s, wholeNumber(int64(at[name]+1)), wholeNumber(int64(len(name))))
	}
	dash := textual("-")
	iso := c.op(expr.OpConcat, part("YYYY"), dash, part("MM"), dash, part("DD"))
	return c.op(expr.OpCase, c.op(expr.OpRegexp, s, textual(portable)), c.cast(iso, value.TypeDate), nothing(value.TypeDate))
}

// toTimestamp reads TO_TIMESTAMP(text, format) in the formats that a CAST reads, which tools write. Of a number it
// would be seconds since 1970, which no catalog has.
func (c *call) toTimestamp() *expr.Expr {
	const hint = "write 'YYYY-MM-DD HH24:MI:SS', with .US after it where there are fractions, or CAST(x AS timestamp)"
	s, format := c.text(0), strings.ToUpper(c.constantText(1, hint).Value.Str())
	if !slices.Contains([]string{"YYYY-MM-DD", "YYYY-MM-DD HH24:MI:SS", "YYYY-MM-DD HH24:MI:SS.MS", "YYYY-MM-DD HH24:MI:SS.US"}, format) {
		c.refuse(1, hint, "this format of times is not read")
	}
	return c.cast(s, value.TypeTimestamp)
}

// ofParts reads TO_DATE(TO_CHAR(y, '0000') || '-' || TO_CHAR(m, '00') || '-' || TO_CHAR(d, '00'), 'YYYY-MM-DD'),
// which is how OHDSI's tools write MAKE_DATE(y, m, d) for PostgreSQL; nil where it is something else.
func (c *call) ofParts(format string) *expr.Expr {
	var parts []*syntax.Expr
	var collect func(t *syntax.Expr)
	collect = func(t *syntax.Expr) {
		if t.Kind == syntax.Operator && t.Name == "||" {
			collect(t.Args[0])
			collect(t.Args[1])
			return
		}
		parts = append(parts, t)
	}
	collect(c.Args[0])
	if format != "YYYY-MM-DD" || len(parts) != 5 {
		return nil
	}
	date := &syntax.Expr{Kind: syntax.Call, Name: "make_date", At: c.At}
	for i, t := range parts {
		if i%2 == 1 {
			if t.Kind != syntax.Literal || !t.Text || t.Literal.Str() != "-" {
				return nil
			}
			continue
		}
		zeros := []string{"0000", "00", "00"}[i/2]
		if t.Kind != syntax.Call || t.Name != "to_char" || len(t.Args) != 2 || !t.Args[1].Text || t.Args[1].Literal.Str() != zeros {
			return nil
		}
		date.Args = append(date.Args, t.Args[0])
	}
	return newCall(date, c.resolve).makeDate()
}

func isDay(t value.Type) bool { return t == value.TypeDate || t == value.TypeTimestamp }

// dateParts are the parts of a date that TO_CHAR and its like write.
var dateParts = []struct {
	pattern string // of TO_CHAR
	percent string // of DATE_FORMAT and STRFTIME; "" where these two or databases differ
	letters string // of Java's and .NET's formats
	field   expr.Field
	digits  int
	names   []string // of the values from 1, in English; nil: the number
}{
	{"YYYY", "%Y", "yyyy", expr.FieldYear, 4, nil}, {"MM", "%m", "MM", expr.FieldMonth, 2, nil}, {"DD", "%d", "dd", expr.FieldDay, 2, nil},
	{"HH24", "%H", "HH", expr.FieldHour, 2, nil}, {"MI", "", "mm", expr.FieldMinute, 2, nil}, {"SS", "%S", "ss", expr.FieldSecond, 2, nil},
	{"DDD", "%j", "", expr.FieldDOY, 3, nil}, {"Q", "", "", expr.FieldQuarter, 1, nil},
	{"IYYY", "", "", expr.FieldISOYear, 4, nil}, {"IW", "", "", expr.FieldWeek, 2, nil},
	{"MONTH", "%B", "MMMM", expr.FieldMonth, 9, monthNames}, {"MON", "%b", "MMM", expr.FieldMonth, 3, short(monthNames)},
	{"DAY", "%A", "EEEE", expr.FieldISODOW, 9, dayNames}, {"DY", "%a", "EEE", expr.FieldISODOW, 3, short(dayNames)},
	{"", "", "dddd", expr.FieldISODOW, 9, dayNames}, {"", "", "ddd", expr.FieldISODOW, 3, short(dayNames)},
	{"", "", "M", expr.FieldMonth, 1, nil}, {"", "", "d", expr.FieldDay, 1, nil}, {"", "", "H", expr.FieldHour, 1, nil},
}

var (
	monthNames = []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	dayNames   = []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
)

// short are names cut to three letters.
func short(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = name[:3]
	}
	return all
}

// toChar writes a date by a format, or a whole number with zeros before it.
func (c *call) toChar() *expr.Expr {
	const hint = "write a format such as 'YYYY-MM', 'YYYYMMDD', 'FMMonth' or 'HH24:MI', or for a whole number '0000'"
	format := c.constantText(1, hint).Value.Str()
	if zeros, bare := strings.CutPrefix(strings.ToUpper(format), "FM"); zeros != "" && len(zeros) <= 18 && strings.Trim(zeros, "0") == "" {
		return c.zeros(len(zeros), !bare)
	}
	return c.written(format, hint, func(rest string, d *expr.Expr) (int, *expr.Expr) {
		unfilled, bare := strings.CutPrefix(strings.ToUpper(rest), "FM") // without zeros or blanks
		longest := -1
		for i, p := range dateParts {
			if p.pattern != "" && strings.HasPrefix(unfilled, p.pattern) && (longest < 0 || len(p.pattern) > len(dateParts[longest].pattern)) {
				longest = i
			}
		}
		if longest < 0 {
			return 0, nil
		}
		n := len(rest) - len(unfilled) + len(dateParts[longest].pattern)
		width := dateParts[longest].digits
		if bare {
			width = 0
		}
		return n, c.datePart(longest, d, width, rest[len(rest)-len(unfilled):n])
	})
}

// dateFormat writes a date by a format with percent signs, or one of letters alone, as Java and .NET have them.
func (c *call) dateFormat() *expr.Expr {
	const hint = "write a format such as '%Y-%m', with %Y, %m, %d, %j, %b, %B, %a, %A, %H and %S, or 'yyyy-MM'"
	if c.Args[0].Text && !c.Args[1].Text { // SQLite has the format first
		turned := *c.Expr
		turned.Args = []*syntax.Expr{c.Args[1], c.Args[0]}
		c = newCall(&turned, c.resolve)
	}
	format := strings.NewReplacer("%F", "%Y-%m-%d").Replace(c.constantText(1, hint).Value.Str())
	if !strings.Contains(format, "%") && len(format) > 1 { // one letter alone is a format of another kind
		return c.written(format, hint, c.lettersPart)
	}
	return c.written(format, hint, func(rest string, d *expr.Expr) (int, *expr.Expr) {
		for i, p := range dateParts {
			if p.percent != "" && strings.HasPrefix(rest, p.percent) {
				return len(p.percent), c.datePart(i, d, p.digits, "")
			}
		}
		return 0, nil
	})
}

// lettersPart reads a run of one letter, of which the number tells how much is written.
func (c *call) lettersPart(rest string, d *expr.Expr) (int, *expr.Expr) {
	n := len(rest) - len(strings.TrimLeft(rest, rest[:1]))
	for i, p := range dateParts {
		if p.letters == rest[:n] {
			return n, c.datePart(i, d, p.digits, "")
		}
	}
	return 0, nil
}

// datePart writes a part of a date: a number with zeros before it up to the width, or a name, in the case of the
// letters of like, and with blanks up to the width where there are any.
func (c *call) datePart(i int, d *expr.Expr, width int, like string) *expr.Expr {
	p := dateParts[i]
	n := c.op(expr.OpExtract, textual(string(p.field)), d)
	if p.names == nil {
		return c.padded(n, max(1, width))
	}
	args := make([]*expr.Expr, 0, 2*len(p.names)+1)
	for k, name := range p.names {
		switch {
		case like == "":
		case like == strings.ToUpper(like):
			name = strings.ToUpper(name)
		case like == strings.ToLower(like):
			name = strings.ToLower(name)
		}
		if like != "" && width > len(name) {
			name += strings.Repeat(" ", width-len(name))
		}
		args = append(args, c.op(expr.OpEqual, n, wholeNumber(int64(k+1))), textual(name))
	}
	return c.op(expr.OpCase, append(args, nothing(value.TypeText))...)
}

// written puts the parts of a date into a format; part reads the one that rest begins with, and tells how long it is.
func (c *call) written(format, hint string, part func(rest string, d *expr.Expr) (int, *expr.Expr)) *expr.Expr {
	d := c.day(0)
	var texts []*expr.Expr
	for rest := format; rest != ""; {
		n, text := part(rest, d)
		switch {
		case n > 0:
			texts = append(texts, text)
		case strings.ContainsRune("-/.:, ", rune(rest[0])):
			n = 1
			texts = append(texts, textual(rest[:1]))
		default:
			c.refuse(1, hint, "this format of dates is not written")
		}
		rest = rest[n:]
	}
	switch len(texts) {
	case 0:
		c.refuse(1, hint, "the format is empty")
	case 1:
		return texts[0]
	}
	return c.op(expr.OpConcat, texts...)
}

// padded writes a number from 0 with zeros before it.
func (c *call) padded(n *expr.Expr, digits int) *expr.Expr {
	written := c.cast(n, value.TypeText)
	if digits == 1 {
		return written
	}
	written = c.op(expr.OpConcat, textual(strings.Repeat("0", digits-1)), written)
	return c.op(expr.OpSubstring, written, c.op(expr.OpSubtract, c.op(expr.OpLength, written), wholeNumber(int64(digits-1))), wholeNumber(int64(digits)))
}

// zeros writes a whole number with that many digits, and a sign or a blank before them
// where sign is set, as PostgreSQL does; one that has more digits is NULL.
func (c *call) zeros(digits int, sign bool) *expr.Expr {
	n := c.number(0)
	if n.Type == value.TypeFloat {
		n = c.cast(n, value.TypeInt)
	}
	size, most := c.op(expr.OpAbs, n), int64(1)
	for range digits {
		most *= 10
	}
	written := c.padded(size, digits)
	plus := ""
	if sign {
		plus = " "
	}
	written = c.op(expr.OpConcat, c.op(expr.OpCase, c.op(expr.OpLess, n, wholeNumber(0)), textual("-"), textual(plus)), written)
	return c.op(expr.OpCase, c.op(expr.OpLess, size, wholeNumber(most)), written, nothing(value.TypeText))
}
