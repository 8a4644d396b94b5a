package scalar

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// toDate reads a text by a format. The format has YYYY, MM and DD once each; between them there may be characters other
// than letters and digits.
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

// toTimestamp reads TO_TIMESTAMP(text, format) in the formats that a CAST reads; these are what tools write.
// TO_TIMESTAMP of a number would mean seconds since 1970, which no catalog has.
func (c *call) toTimestamp() *expr.Expr {
	const hint = "write 'YYYY-MM-DD HH24:MI:SS', with .US after it where there are fractions, or CAST(x AS timestamp)"
	s, format := c.text(0), strings.ToUpper(c.constantText(1, hint).Value.Str())
	if !slices.Contains([]string{"YYYY-MM-DD", "YYYY-MM-DD HH24:MI:SS", "YYYY-MM-DD HH24:MI:SS.MS", "YYYY-MM-DD HH24:MI:SS.US"}, format) {
		c.refuse(1, hint, "this format of times is not read")
	}
	return c.cast(s, value.TypeTimestamp)
}

// ofParts reads TO_DATE(TO_CHAR(y, '0000') || '-' || TO_CHAR(m, '00') || '-' || TO_CHAR(d, '00'), 'YYYY-MM-DD').
// OHDSI's tools write MAKE_DATE(y, m, d) like this for PostgreSQL. It returns nil for anything else.
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

// dateParts are the parts of a date that TO_CHAR and similar functions write.
var dateParts = []struct {
	pattern string // of TO_CHAR
	percent string // of DATE_FORMAT and STRFTIME; "" if these two, or databases, differ
	letters string // of Java and .NET
	field   expr.Field
	digits  int
	names   []string // of the values from 1, in English; nil: written as a number
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

// short cuts names to three letters.
func short(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = name[:3]
	}
	return all
}

// toChar writes a date by a format, or a whole number with leading zeros.
func (c *call) toChar() *expr.Expr {
	const hint = "write a format such as 'YYYY-MM', 'YYYYMMDD', 'FMMonth' or 'HH24:MI', or for a whole number '0000'"
	format := c.constantText(1, hint).Value.Str()
	if zeros, bare := strings.CutPrefix(strings.ToUpper(format), "FM"); zeros != "" && len(zeros) <= 18 && strings.Trim(zeros, "0") == "" {
		return c.zeros(len(zeros), !bare)
	}
	return c.written(format, hint, func(rest string, d *expr.Expr) (int, *expr.Expr) {
		unfilled, bare := strings.CutPrefix(strings.ToUpper(rest), "FM") // without leading zeros or blanks
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

// dateFormat writes a date by a format. The format has percent signs, or letters as in Java and .NET.
func (c *call) dateFormat() *expr.Expr {
	const hint = "write a format such as '%Y-%m', with %Y, %m, %d, %j, %b, %B, %a, %A, %H and %S, or 'yyyy-MM'"
	if c.Args[0].Text && !c.Args[1].Text { // SQLite has the format first
		turned := *c.Expr
		turned.Args = []*syntax.Expr{c.Args[1], c.Args[0]}
		c = newCall(&turned, c.resolve)
	}
	format := strings.NewReplacer("%F", "%Y-%m-%d").Replace(c.constantText(1, hint).Value.Str())
	if !strings.Contains(format, "%") && len(format) > 1 { // a single letter is a format of another kind
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

// lettersPart reads a run of one letter. Its length tells how much is written.
func (c *call) lettersPart(rest string, d *expr.Expr) (int, *expr.Expr) {
	n := len(rest) - len(strings.TrimLeft(rest, rest[:1]))
	for i, p := range dateParts {
		if p.letters == rest[:n] {
			return n, c.datePart(i, d, p.digits, "")
		}
	}
	return 0, nil
}

// datePart writes one part of a date. A number has leading zeros up to width. A name has the case of the letters of
// like and is padded with blanks up to width.
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

// written fills a format with the parts of a date. part reads the part at the start of rest and returns its length.
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

// padded writes a number that is at least 0 with leading zeros.
func (c *call) padded(n *expr.Expr, digits int) *expr.Expr {
	written := c.cast(n, value.TypeText)
	if digits == 1 {
		return written
	}
	written = c.op(expr.OpConcat, textual(strings.Repeat("0", digits-1)), written)
	return c.op(expr.OpSubstring, written, c.op(expr.OpSubtract, c.op(expr.OpLength, written), wholeNumber(int64(digits-1))), wholeNumber(int64(digits)))
}

// zeros writes a whole number with that many digits. If sign is set, a sign or a blank comes first, as in PostgreSQL. A
// number with more digits gives NULL.
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
