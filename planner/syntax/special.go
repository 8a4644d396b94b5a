package syntax

import (
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/internal/value"
)

// What SQL writes with words of its own: CAST, EXTRACT, INTERVAL, … Each becomes
// a plain term.

// special reads a function whose arguments are separated by words, or returns nil
// where the next is none.
func (p *parser) special() *Expr {
	t := p.here()
	switch t.text {
	case "cast", "try_cast", "safe_cast":
		p.i += 2
		x := p.expression()
		p.expect("as", "write CAST(x AS type)")
		x = p.cast(x)
		p.expect(")", "close CAST after the type")
		return x
	case "convert", "try_convert":
		return p.convert()
	case "overlay":
		Refuse(CodeNotSupported, t.at, "write it with SUBSTRING and ||", "OVERLAY is not answered")
	case "extract":
		return p.extract()
	case "position":
		p.i += 2
		needle := p.concatenation()
		p.expect("in", "write POSITION(part IN text)")
		return p.closed(t, needle, p.concatenation())
	case "substring", "substr":
		return p.substring()
	case "trim":
		return p.trim()
	case "range_bucket":
		return p.rangeBucket()
	case "element_at":
		if p.token(2).is("map") {
			return p.elementOfMap()
		}
	}
	return nil
}

// rangeBucket reads RANGE_BUCKET(x, [a, b, c]), how many of the ascending list are not above x.
func (p *parser) rangeBucket() *Expr {
	t := p.take()
	p.i++
	x := p.expression()
	p.expect(",", "write RANGE_BUCKET(x, [10, 20])")
	list := p.constants()
	p.expect(")", "write RANGE_BUCKET(x, [10, 20])")
	number := func(n int) *Expr { return NewLiteral(t.at, value.Int(int64(n))) }
	args := []*Expr{NewOperator("is null", x), {Kind: Literal, At: t.at}}
	for n, y := range list {
		args = append(args, NewOperator("<", x, y), number(n))
	}
	return NewOperator("case", append(args, number(len(list)))...)
}

// elementOfMap reads ELEMENT_AT(MAP(1, 'a', 2, 'b'), x) as CASE x WHEN 1 THEN 'a' WHEN 2 THEN 'b' END.
func (p *parser) elementOfMap() *Expr {
	const hint = "write ELEMENT_AT(MAP(1, 'a', 2, 'b'), x), or CASE"
	at := p.take().at
	p.i += 2
	p.expect("(", hint)
	pairs := p.expressions()
	p.expect(")", hint)
	p.expect(",", hint)
	x := p.expression()
	p.expect(")", hint)
	if len(pairs)%2 != 0 {
		Refuse(CodeType, at, hint, "MAP takes a value for each key")
	}
	args := make([]*Expr, 0, len(pairs))
	for i := 0; i < len(pairs); i += 2 {
		args = append(args, NewOperator("=", x, pairs[i]), pairs[i+1])
	}
	return NewOperator("case", args...)
}

// closed reads the closing parenthesis of a special form, which is a call of that name.
func (p *parser) closed(t token, args ...*Expr) *Expr {
	p.expect(")", "close the parenthesis of "+strings.ToUpper(t.text)+" there")
	return p.dialect.call(&Expr{Kind: Call, Name: t.text, At: t.at, Args: args})
}

// word is a word of the query, such as YEAR, as a text.
func word(name string, at Position) *Expr {
	return &Expr{Kind: Literal, At: at, Literal: value.Text(name), Text: true}
}

// extract reads EXTRACT(field FROM x) as extract('field', x).
func (p *parser) extract() *Expr {
	t := p.take()
	p.i++
	field := p.take()
	if field.kind != tokenWord && field.kind != tokenString || !p.comes("from") {
		p.i--
		p.unexpected("write EXTRACT(YEAR FROM x)")
	}
	p.i++
	name := strings.ToLower(field.text)
	if years := map[string]int64{"decade": 10, "century": 100, "millennium": 1000}[name]; years > 0 {
		year := p.closed(t, word("year", field.at), p.expression())
		number := func(n int64) *Expr { return NewLiteral(field.at, value.Int(n)) }
		if name == "decade" {
			return NewOperator("div", year, number(years))
		}
		return NewOperator("div", NewOperator("+", year, number(years-1)), number(years)) // the first begins with year 1
	}
	return p.closed(t, word(name, field.at), p.expression())
}

// convertStyles are how CONVERT of SQL Server writes dates, by its numbers.
var convertStyles = map[string]string{
	"23": "YYYY-MM-DD", "120": "YYYY-MM-DD", "121": "YYYY-MM-DD", "20": "YYYY-MM-DD", "21": "YYYY-MM-DD", "126": "YYYY-MM-DD",
	"112": "YYYYMMDD", "101": "MM/DD/YYYY", "102": "YYYY.MM.DD", "103": "DD/MM/YYYY", "104": "DD.MM.YYYY", "105": "DD-MM-YYYY",
	"110": "MM-DD-YYYY", "111": "YYYY/MM/DD",
}

// convert reads CONVERT(type, x[, style]), and in MySQL's dialect CONVERT(x, type).
func (p *parser) convert() *Expr {
	t := p.take()
	end := p.partner[p.i]
	p.i++
	if p.dialect.typeLast {
		x := p.expression()
		p.expect(",", "write CONVERT(x, type)")
		return p.closedAs(p.cast(x), "write CONVERT(x, type)")
	}
	const hint = "write CAST(x AS type)"
	first := p.i
	if _, known := castTypes[p.here().text]; !known || p.here().kind != tokenWord {
		Refuse(CodeNotSupported, t.at, hint, "%s has the type first here, and last in some databases", strings.ToUpper(t.text))
	}
	for p.i < end && !p.comes(",") {
		if size, opens := p.partner[p.i]; opens {
			p.i = size
		}
		p.i++
	}
	p.expect(",", "write CONVERT(type, x)")
	x := p.expression()
	var style string
	if p.accept(",") {
		n := p.here()
		if style = convertStyles[n.text]; style == "" || n.kind != tokenNumber {
			Refuse(CodeNotSupported, n.at, "write FORMAT(x, 'yyyy-MM-dd'), or TO_DATE(x, 'YYYY-MM-DD')", "CONVERT with this style is not answered")
		}
		p.i++
	}
	p.expect(")", "write CONVERT(type, x, style)")
	after := p.i
	p.i = first
	of := castTypes[p.here().text]
	switch {
	case style == "":
	case of == value.TypeText && p.token(1).is("(") && (p.token(2).kind == tokenNumber && len(p.token(2).text) == 1 || p.token(2).is("10")):
		x = &Expr{Kind: Call, At: t.at, Name: "to_char", Args: []*Expr{x, word(style, t.at)}}
	case of == value.TypeText && !slices.Contains([]string{"120", "121", "20", "21", "126"}, p.tokens[after-2].text):
		x = &Expr{Kind: Call, At: t.at, Name: "to_char", Args: []*Expr{x, word(style, t.at)}}
	case of == value.TypeDate:
		x = &Expr{Kind: Call, At: t.at, Name: "to_date", Args: []*Expr{x, word(style, t.at)}}
	default:
		Refuse(CodeNotSupported, t.at, "write CONVERT(varchar(10), x, 120) or CONVERT(date, x, 120), or FORMAT(x, 'yyyy-MM-dd HH:mm:ss')",
			"a style of CONVERT is read for days alone")
	}
	cast := p.cast(x)
	p.i = after
	return cast
}

// closedAs reads the closing parenthesis after what stands for the form.
func (p *parser) closedAs(x *Expr, hint string) *Expr {
	p.expect(")", hint)
	return x
}

// substring reads SUBSTRING(x FROM a FOR b) and SUBSTRING(x, a, b).
func (p *parser) substring() *Expr {
	t := p.take()
	p.i++
	if p.comes(")") {
		return p.closed(t)
	}
	args := p.expressions()
	if len(args) == 1 && (p.comes("from") || p.comes("for")) {
		start := literalOf(token{kind: tokenNumber, text: "1", at: p.here().at})
		if p.accept("from") {
			if p.here().kind == tokenString {
				Refuse(CodeNotSupported, p.here().at, "write SUBSTRING(x FROM 1 FOR 3)",
					"the part of a text that matches a pattern is not answered")
			}
			start = p.expression()
		}
		args = append(args, start)
		if p.accept("for") {
			args = append(args, p.expression())
		}
	}
	return p.closed(t, args...)
}

// trim reads TRIM([LEADING|TRAILING|BOTH] [characters] FROM x) as ltrim, rtrim or
// trim of (x, characters).
func (p *parser) trim() *Expr {
	t := p.take()
	p.i++
	sided := false
	for side, name := range map[string]string{"leading": "ltrim", "trailing": "rtrim", "both": "trim"} {
		if p.comes(side) && !p.token(1).is(")") && !p.token(1).is(",") {
			p.i++
			t.text, sided = name, true
			break
		}
	}
	if p.accept("from") {
		return p.closed(t, p.expression())
	}
	args := p.expressions()
	switch {
	case len(args) == 1 && p.accept("from"):
		args = []*Expr{p.expression(), args[0]}
	case sided:
		p.unexpected("write TRIM(LEADING ' ' FROM x)")
	}
	return p.closed(t, args...)
}

// typed are the words that make a date or a time of the string after them.
var typed = words("date timestamp datetime time timestamptz")

func (p *parser) typedLiteral() *Expr {
	t, text := p.take(), p.take()
	kind := value.Type(t.text)
	switch t.text {
	case "datetime":
		kind = value.TypeTimestamp
	case "time", "timestamptz":
		Refuse(CodeType, t.at, "write DATE '…' or TIMESTAMP '…'", "there is no type %s here", t.text)
	}
	v, err := value.Parse(kind, text.text)
	if err != nil {
		hint := "write it as 2020-12-31"
		if kind == value.TypeTimestamp {
			hint = "write it as 2020-12-31 23:59:59"
		}
		Refuse(CodeType, text.at, hint, "%q is no %s", text.text, kind)
	}
	return NewLiteral(span(t.at, text.at), v)
}

// units are the units of time, as they are spelled.
var units = map[string]string{
	"microsecond": "microsecond", "microseconds": "microsecond", "millisecond": "millisecond",
	"milliseconds": "millisecond",
	"second":       "second", "seconds": "second", "sec": "second", "secs": "second",
	"minute": "minute", "minutes": "minute", "min": "minute", "mins": "minute",
	"hour": "hour", "hours": "hour", "hr": "hour", "hrs": "hour",
	"day": "day", "days": "day", "week": "week", "weeks": "week", "month": "month", "months": "month", "mon": "month",
	"mons":    "month",
	"quarter": "quarter", "quarters": "quarter", "year": "year", "years": "year", "yr": "year", "yrs": "year",
}

// interval reads INTERVAL '1 day', INTERVAL '1' DAY, INTERVAL 1 DAY and INTERVAL
// (x) DAY, or returns nil where INTERVAL is a name.
func (p *parser) interval() *Expr {
	t, next := p.here(), p.token(1)
	unitAt := func(i int) bool {
		u := p.tokens[min(i, len(p.tokens)-1)]
		return u.kind == tokenWord && units[u.text] != ""
	}
	switch {
	case next.kind == tokenString:
		p.i += 2
		x := quantity(next)
		if x.Name == "" {
			if !unitAt(p.i) {
				Refuse(CodeType, next.at, "write INTERVAL '1 day' or INTERVAL '1' DAY", "this interval has no unit")
			}
			x.Name = units[p.take().text]
			if p.comes("to") || p.comes("(") {
				Refuse(CodeNotSupported, p.here().at, "write INTERVAL '1' DAY", "an interval has one unit here")
			}
		}
		x.At = span(t.at, p.token(-1).at)
		return x
	case next.is("(") && !unitAt(p.partner[p.i+1]+1):
		return nil
	case next.is("("), (next.kind == tokenNumber || next.kind == tokenParameter || next.isName()) && unitAt(p.i+2),
		next.isName() && p.token(2).is(".") && unitAt(p.i+4), next.is("-") && p.token(2).kind == tokenNumber && unitAt(p.i+3):
		p.i++
		sign := p.accept("-")
		n := p.value()
		if sign {
			n = negative(n)
		}
		return &Expr{Kind: Interval, Name: units[p.take().text], At: t.at, Args: []*Expr{n}}
	}
	return nil
}

// quantity reads '3 days' as an interval, without a unit where it has none, and
// '1 month -1 day' as several, one after the other.
func quantity(t token) *Expr {
	text := strings.ReplaceAll(strings.ReplaceAll(t.text, "- ", "-"), "+ ", "+")
	fields := strings.Fields(text)
	refused := func() {
		Refuse(CodeType, t.at, "write INTERVAL '1 day', or '1 month 3 days'", "%q is not read as an interval", t.text)
	}
	if len(fields) == 1 { // 3days
		if i := strings.IndexFunc(fields[0], func(r rune) bool { return r >= 'A' }); i > 0 {
			fields = []string{fields[0][:i], fields[0][i:]}
		}
	}
	if len(fields) == 0 || len(fields) > 1 && len(fields)%2 > 0 {
		refused()
	}
	if len(fields) > 2 {
		return severalUnits(fields, t.at, refused)
	}
	x := &Expr{Kind: Interval, At: t.at}
	if len(fields) == 2 {
		if x.Name = units[strings.ToLower(fields[1])]; x.Name == "" {
			refused()
		}
	}
	n, err := value.Parse(value.TypeInt, fields[0])
	if err != nil {
		if n, err = value.Parse(value.TypeFloat, fields[0]); err != nil {
			refused()
		}
	}
	x.Args = []*Expr{{Kind: Literal, At: t.at, Literal: n}}
	return x
}

// parts are what the units of an interval add up to, in the order in which PostgreSQL
// moves a date by them: a year and a month are 13 months, of which the last has its end.
var parts = []struct {
	unit  string
	sizes map[string]int64
}{
	{"month", map[string]int64{"year": 12, "quarter": 3, "month": 1}},
	{"day", map[string]int64{"week": 7, "day": 1}},
	{"second", map[string]int64{"hour": 3600, "minute": 60, "second": 1}},
}

// severalUnits reads 1 year 2 months -3 days: whole numbers, each with its unit.
func severalUnits(fields []string, at Position, refused func()) *Expr {
	sums := make([]int64, len(parts))
	for i := 0; i < len(fields); i += 2 {
		number := strings.TrimPrefix(fields[i], "+")
		if strings.Trim(number, "0.") == "" { // 0.000000 seconds, of Python's drivers
			number = "0"
		}
		n, err := value.Parse(value.TypeInt, number)
		if err != nil || n.Int64() > 1<<31 || n.Int64() < -1<<31 {
			refused()
		}
		known := false
		for k, part := range parts {
			if size := part.sizes[units[strings.ToLower(fields[i+1])]]; size > 0 {
				sums[k] += n.Int64() * size
				known = true
			}
		}
		if !known {
			refused()
		}
	}
	var first, last *Expr
	for k, part := range parts {
		if sums[k] == 0 && (k > 0 || slices.ContainsFunc(sums, func(n int64) bool { return n != 0 })) {
			continue
		}
		x := &Expr{Kind: Interval, Name: part.unit, At: at,
			Args: []*Expr{{Kind: Literal, At: at, Literal: value.Int(sums[k])}}}
		if first == nil {
			first = x
		} else {
			last.Args = append(last.Args, x)
		}
		last = x
	}
	return first
}

// toInterval casts '1 day', or n || ' days', to an interval.
func toInterval(x *Expr, at Position) *Expr {
	if x.Kind == Literal && x.Text {
		if t := quantity(token{kind: tokenString, text: x.Literal.Str(), at: x.At}); t.Name != "" {
			return t
		}
	}
	if x.Kind == Operator && x.Name == "||" && x.Args[1].Text {
		if unit := units[strings.ToLower(strings.TrimSpace(x.Args[1].Literal.Str()))]; unit != "" {
			n := x.Args[0]
			if n.Kind == Cast && n.Type == value.TypeText { // CAST(n AS text) || ' days'
				n = n.Args[0]
			}
			return &Expr{Kind: Interval, Name: unit, At: x.At, Args: []*Expr{n}}
		}
	}
	Refuse(CodeNotSupported, at, "write x * INTERVAL '1 day'", "only a constant such as '1 day' becomes an interval")
	return nil
}

// The types that CAST knows. A text may have a length, and NUMERIC digits; other
// types take no size, or one that changes nothing here.
var castTypes = map[string]value.Type{
	"int": value.TypeInt, "integer": value.TypeInt, "bigint": value.TypeInt, "smallint": value.TypeInt,
	"tinyint": value.TypeInt,
	"int2":    value.TypeInt, "int4": value.TypeInt, "int8": value.TypeInt, "int64": value.TypeInt, "signed": value.TypeInt,
	"signed integer": value.TypeInt,
	"float":          value.TypeFloat, "double": value.TypeFloat, "double precision": value.TypeFloat, "real": value.TypeFloat,
	"float4": value.TypeFloat, "float8": value.TypeFloat, "float64": value.TypeFloat, "numeric": value.TypeFloat,
	"decimal": value.TypeFloat, "dec": value.TypeFloat,
	"text": value.TypeText, "string": value.TypeText, "varchar": value.TypeText, "nvarchar": value.TypeText,
	"char": value.TypeText, "character": value.TypeText, "nchar": value.TypeText, "bpchar": value.TypeText,
	"character varying": value.TypeText, "char varying": value.TypeText,
	"bool": value.TypeBool, "boolean": value.TypeBool, "date": value.TypeDate,
	"timestamp": value.TypeTimestamp, "datetime": value.TypeTimestamp, "datetime2": value.TypeTimestamp,
	"timestamp without time zone": value.TypeTimestamp,
}

// instant is a moment with or without a zone as a time in UTC, which is the zone of all that is asked here: of a text that
// drivers write, and of a parameter, whose value has been brought there. Nil: it is neither.
func instant(x *Expr) *Expr {
	if !x.Text {
		if x.Kind != Literal && x.Kind != Placeholder {
			return nil
		}
		return &Expr{Kind: Cast, At: x.At, Type: value.TypeTimestamp, Args: []*Expr{x}}
	}
	text := strings.Replace(strings.TrimSpace(x.Literal.Str()), " ", "T", 1)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z07", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return NewLiteral(x.At, value.Timestamp(t.UnixMicro()))
		}
	}
	return nil
}

// cast reads a type and returns the cast of x to it. A text longer than VARCHAR(n)
// is cut, and a number is rounded to the digits of NUMERIC(p, s), as the standard
// has it.
func (p *parser) cast(x *Expr) *Expr {
	const known = "the types are int, float, numeric(p, s), text, varchar(n), boolean, date, timestamp and interval"
	first := p.here()
	if first.kind != tokenWord {
		p.unexpected(known)
	}
	p.i++
	name := first.text
	for _, more := range []string{"precision", "varying", "integer"} {
		if _, ok := castTypes[name+" "+more]; ok && p.accept(more) {
			name += " " + more
		}
	}
	at := span(first.at, p.token(-1).at)
	t, ok := castTypes[name]
	if name == "interval" && !p.comes("(") {
		return toInterval(x, at)
	}
	if name == "uuid" && x.Text { // as a table of text ids holds it
		return &Expr{Kind: Literal, At: x.At, Text: true, Literal: value.Text(strings.ToLower(x.Literal.Str()))}
	}
	if name == "timestamptz" || t == value.TypeTimestamp && p.comes("with", "time", "zone") {
		if moment := instant(x); moment != nil {
			p.accept("with", "time", "zone")
			return moment
		}
	}
	if !ok {
		Refuse(CodeType, at, known, "CAST does not know this type")
	}
	sizes, open := p.sizes()
	switch {
	case p.accept("without", "time", "zone") && t == value.TypeTimestamp:
	case p.comes("with", "time", "zone"), p.comes("with", "local", "time", "zone"):
		Refuse(CodeType, at, "write TIMESTAMP", "times have no zone here")
	case p.comes("["):
		Refuse(CodeType, p.here().at, known, "there are no arrays")
	}
	cast := p.dialect.cast(&Expr{Kind: Cast, At: x.At, Type: t, Args: []*Expr{x}})
	sized := func(function string, size *Expr) *Expr {
		return &Expr{Kind: Call, Name: function, At: x.At, Args: []*Expr{cast, size}}
	}
	switch {
	case len(sizes) == 0:
		if slices.Contains([]string{"char", "character", "nchar"}, name) {
			Refuse(CodeType, at, "write TEXT, or VARCHAR(1)",
				"%s without a length is one character in some databases, and any number in others", strings.ToUpper(name))
		}
		return cast
	case t == value.TypeText && len(sizes) == 1:
		return sized("left", sizes[0])
	case name == "numeric" || name == "decimal" || name == "dec":
		if len(sizes) == 1 {
			return sized("round", NewLiteral(open.at, value.Int(0)))
		}
		return sized("round", sizes[1])
	case name == "float" && len(sizes) == 1, t == value.TypeTimestamp && len(sizes) == 1 && sizes[0].Literal.Int64() >= 6:
		return cast
	}
	Refuse(CodeType, open.at, "leave the size out", "%s takes no such size here", strings.ToUpper(name))
	return nil
}

// sizes reads (n), (p, s) or (max) after a type.
func (p *parser) sizes() (sizes []*Expr, open token) {
	open = p.here()
	if p.accept("(", "max", ")") || !p.accept("(") {
		return nil, open
	}
	for len(sizes) < 2 {
		t := p.here()
		if t.kind != tokenNumber {
			p.unexpected("write a whole number")
		}
		p.i++
		x := literalOf(t)
		if x.Literal.Type() != value.TypeInt || x.Literal.Int64() > 1<<20 {
			Refuse(CodeType, t.at, "write a smaller whole number", "this is no size of a type")
		}
		sizes = append(sizes, x)
		if !p.accept(",") {
			break
		}
	}
	p.expect(")", "close the parenthesis there")
	return sizes, open
}
