package syntax

import (
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/internal/value"
)

// convertStyles maps the style numbers of SQL Server's CONVERT to date formats.
var convertStyles = map[string]string{
	"23": "YYYY-MM-DD", "120": "YYYY-MM-DD", "121": "YYYY-MM-DD", "20": "YYYY-MM-DD", "21": "YYYY-MM-DD", "126": "YYYY-MM-DD",
	"112": "YYYYMMDD", "101": "MM/DD/YYYY", "102": "YYYY.MM.DD", "103": "DD/MM/YYYY", "104": "DD.MM.YYYY", "105": "DD-MM-YYYY",
	"110": "MM-DD-YYYY", "111": "YYYY/MM/DD",
}

// convert reads CONVERT(type, x[, style]), or CONVERT(x, type) in MySQL's dialect.
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

// closedAs reads the closing parenthesis of a special form that was read as x.
func (p *parser) closedAs(x *Expr, hint string) *Expr {
	p.expect(")", hint)
	return x
}

// The types that CAST knows. A text may have a length, and NUMERIC may have digits. Other types take no size, or a size
// that changes nothing here.
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

// instant reads a moment, with or without a time zone, as a time in UTC, the zone of all times here. x may be a text as
// drivers write it, or a parameter, whose value is already in UTC. It returns nil for anything else.
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

// cast reads a type and returns the cast of x to it. As in the SQL standard, a text longer than VARCHAR(n) is cut, and
// a number is rounded to the digits of NUMERIC(p, s).
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
	if name == "uuid" && x.Text { // tables hold it as a text
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
