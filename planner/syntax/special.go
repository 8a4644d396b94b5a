package syntax

import (
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// SQL forms with words of their own, such as CAST, EXTRACT and INTERVAL. Each becomes a plain term.

// special reads a function whose arguments are separated by words. It returns nil if none comes next.
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

// rangeBucket reads RANGE_BUCKET(x, [a, b, c]): how many values of the ascending list are at most x.
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

// closed reads the closing parenthesis of a special form and returns it as a call with the name t.
func (p *parser) closed(t token, args ...*Expr) *Expr {
	p.expect(")", "close the parenthesis of "+strings.ToUpper(t.text)+" there")
	return p.dialect.call(&Expr{Kind: Call, Name: t.text, At: t.at, Args: args})
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
		return NewOperator("div", NewOperator("+", year, number(years-1)), number(years)) // the first one begins in year 1
	}
	return p.closed(t, word(name, field.at), p.expression())
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
