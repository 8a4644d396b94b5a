package syntax

import (
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

func (p *parser) like(left *Expr, name string, negated bool) *Expr {
	if p.comesOneOf("any", "some", "all") {
		return p.likeSeveral(left, name, negated)
	}
	right := p.concatenation()
	if p.accept("escape") {
		escape := p.take()
		if escape.kind != tokenString || len([]rune(escape.text)) > 1 {
			Refuse(CodeSyntax, escape.at, "write ESCAPE '!'", "the escape is one character")
		}
		right = pattern(right, token{kind: tokenWord, text: "escape", at: escape.at}, func(pattern string) string {
			none := rune(-1) // ESCAPE '': a backslash is an ordinary character
			for _, r := range escape.text {
				none = r
			}
			return escaped(pattern, none, escape.at)
		})
	}
	return negation(NewOperator(name, left, right), negated)
}

// likeSeveral reads x LIKE ANY ('a%', 'b%') and ALL.
func (p *parser) likeSeveral(left *Expr, name string, negated bool) *Expr {
	const hint = "write LIKE ANY ('a%', 'b%')"
	all := p.take().is("all")
	array := p.accept("(", "array", "[")
	if !array {
		p.expect("(", hint)
	}
	var each []*Expr
	for _, pattern := range p.expressions() {
		each = append(each, negation(NewOperator(name, left, pattern), negated))
	}
	if array {
		p.expect("]", hint)
	}
	p.expect(")", hint)
	switch {
	case len(each) == 1:
		return each[0]
	case all:
		return NewOperator("and", each...)
	}
	return NewOperator("or", each...)
}

// pattern rewrites a pattern. The pattern must be a constant.
func pattern(x *Expr, t token, rewrite func(string) string) *Expr {
	if !x.Text {
		Refuse(CodeNotSupported, t.at, "write the pattern as a string", "with %s, only a constant pattern is read",
			strings.ToUpper(t.text))
	}
	c := *x
	c.Literal = value.Text(rewrite(x.Literal.Str()))
	return &c
}

// escaped rewrites a LIKE pattern with another escape character to use a backslash, the only escape character that the
// planner knows.
func escaped(pattern string, escape rune, at Position) string {
	var b strings.Builder
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case r == escape:
			if i++; i == len(runes) {
				Refuse(CodeType, at, "double it to match the character itself", "a pattern must not end with its escape character")
			}
			if r = runes[i]; r == '%' || r == '_' || r == '\\' {
				b.WriteRune('\\')
			}
		case r == '\\':
			b.WriteRune('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// similar rewrites a SIMILAR TO pattern as a regular expression.
func similar(pattern string) string {
	var b strings.Builder
	b.WriteString("^(?:")
	bracket := false
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '\\' && i+1 < len(runes):
			b.WriteRune(r)
			i++
			b.WriteRune(runes[i])
		case bracket:
			bracket = r != ']'
			b.WriteRune(r)
		case r == '[':
			bracket = true
			b.WriteRune(r)
		case r == '%':
			b.WriteString("(?:.|\n)*")
		case r == '_':
			b.WriteString("(?:.|\n)")
		case strings.ContainsRune(".^$", r):
			b.WriteString(`\` + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + ")$"
}
