package syntax

import "github.com/intramuros/intramuros/internal/value"

// constant reads a single value: a number, a string, TRUE or FALSE.
func (p *parser) constant(hint string) *Expr {
	minus := p.accept("-")
	t := p.here()
	switch {
	case t.kind == tokenNumber:
		p.i++
		if minus {
			return negative(literalOf(t))
		}
		return literalOf(t)
	case minus:
	case t.kind == tokenString:
		p.i++
		return literalOf(t)
	case t.is("true"), t.is("false"):
		p.i++
		return constantOf(t)
	}
	p.unexpected(hint)
	return nil
}

func literalOf(t token) *Expr {
	if t.kind == tokenString {
		return &Expr{Kind: Literal, At: t.at, Literal: value.Text(t.text), Text: true}
	}
	return NewLiteral(t.at, numberValue(t))
}

func constantOf(t token) *Expr {
	v := value.Bool(t.is("true"))
	if t.is("null") {
		v = value.Value{} // takes its type from the context
	}
	return NewLiteral(t.at, v)
}

// word turns a word of the query, such as YEAR, into a text.
func word(name string, at Position) *Expr {
	return &Expr{Kind: Literal, At: at, Literal: value.Text(name), Text: true}
}

// typed are the words that turn the string after them into a date or a time.
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

// numberValue reads a number: an int if it is written as one and fits, else a float.
func numberValue(t token) value.Value {
	if v, err := value.Parse(value.TypeInt, t.text); err == nil {
		return v
	}
	v, err := value.Parse(value.TypeFloat, t.text)
	if err != nil {
		Refuse(CodeSyntax, t.at, "use a number that a 64-bit float holds", "the number %s is out of range", t.text)
	}
	return v
}
