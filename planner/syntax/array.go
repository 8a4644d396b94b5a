package syntax

import (
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// Arrays are the lists of x = ANY (…) and x <> ALL (…): ARRAY[1, 2], '{1,2}', a parameter, or a cast of one. They are
// not values. An element takes its type from what it is compared with, as in IN (…), whatever type a cast names.

// array reads the array after ANY ( or ALL (, and compares left with its elements. ok is false if there is no array.
func (p *parser) array(left *Expr, negated bool) (x *Expr, ok bool) {
	const hint = "write ANY(ARRAY[1, 2]) or ANY('{1,2}')"
	switch t := p.here(); {
	case p.accept("array", "["), p.accept("["):
		if p.accept("]") {
			x = amongAll(left, nil, negated)
			break
		}
		x = among(left, p.expressions(), negated)
		p.expect("]", hint)
	case t.kind == tokenString:
		p.i++
		x = amongAll(left, elements(t.text, t.at), negated)
	case t.kind == tokenParameter:
		list := p.parameter()
		list.Array = true
		p.statement.Parameters[len(p.statement.Parameters)-1].Array = true
		x = among(left, []*Expr{list}, negated)
	case p.accept("("):
		if x, ok = p.array(left, negated); !ok {
			p.unexpected(hint)
		}
		p.expect(")", hint)
	case p.accept("cast", "("):
		if x, ok = p.array(left, negated); !ok {
			p.unexpected(hint)
		}
		p.expect("as", "write CAST('{1,2}' AS int[])")
		p.arrayType()
		p.expect(")", "write CAST('{1,2}' AS int[])")
	default:
		return nil, false
	}
	for p.accept("::") {
		p.arrayType()
	}
	return x, true
}

// arrayType skips the type of an array, such as int4[], character varying(9)[] or pg_catalog.text[].
func (p *parser) arrayType() {
	for p.here().isName() || p.comes("precision") || p.comes("without") || p.comes("with") || p.comes("time") {
		p.i++
		p.accept(".")
	}
	p.sizes()
	p.expect("[", "write an array's type, such as int[]")
	p.expect("]", "write an array's type, such as int[]")
}

// amongAll is among for a list that may be empty. Nothing is in an empty list.
func amongAll(left *Expr, list []*Expr, negated bool) *Expr {
	if len(list) == 0 {
		return NewLiteral(left.At, value.Bool(negated))
	}
	return among(left, list, negated)
}

// bindArrays replaces each bound array in a list by its elements.
func bindArrays(t *Expr) *Expr {
	if t.Kind != Operator || t.Name != "in" || len(t.Args) != 2 || !t.Args[1].Array {
		return nil
	}
	of := t.Args[1]
	list := []*Expr{of} // a NULL or a value of another type is the only element
	if of.Text {
		list = elements(of.Literal.Str(), of.At)
	}
	return amongAll(t.Args[0].Rewrite(bindArrays), list, false)
}

// elements reads an array in PostgreSQL's form, {1,NULL,"a, b"}, as constants.
func elements(text string, at Position) (list []*Expr) {
	wrong := func() {
		Refuse(CodeType, at, "write '{1,2}', with double quotes around texts that hold commas, braces or blanks", "this is no array of one dimension")
	}
	rest := strings.TrimSpace(text)
	if len(rest) < 2 || rest[0] != '{' || rest[len(rest)-1] != '}' {
		wrong()
	}
	rest = strings.TrimSpace(rest[1 : len(rest)-1])
	for more := rest != ""; more; {
		element, quoted, after, ok := element(rest)
		if !ok {
			wrong()
		}
		e := &Expr{Kind: Literal, At: at, Literal: value.Text(element), Text: true}
		if !quoted && strings.EqualFold(element, "null") {
			e.Literal, e.Text = value.Value{}, false
		}
		list = append(list, e)
		if more = after != ""; more {
			rest = strings.TrimSpace(after[1:])
		}
	}
	return list
}

// element reads the first element of a list. after is the rest of the list: empty, or a comma and the next element.
func element(list string) (text string, quoted bool, after string, ok bool) {
	var b strings.Builder
	quoted = strings.HasPrefix(list, `"`)
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\\' && i+1 < len(list):
			i++
			b.WriteByte(list[i])
		case quoted && c == '"' && i > 0:
			after = strings.TrimSpace(list[i+1:])
			return b.String(), true, after, after == "" || after[0] == ','
		case c == '"' && i == 0:
		case !quoted && c == ',':
			text = strings.TrimSpace(b.String())
			return text, false, list[i:], text != ""
		case !quoted && (c == '{' || c == '}' || c == '"'):
			return "", false, "", false
		default:
			b.WriteByte(c)
		}
	}
	text = strings.TrimSpace(b.String())
	return text, false, "", !quoted && text != ""
}

// Array writes values as PostgreSQL writes an array, for doors whose clients pass a list as a parameter.
func Array(list []value.Value) value.Value {
	var b strings.Builder
	for i, v := range list {
		if i > 0 {
			b.WriteString(",")
		}
		if v.IsNull() {
			b.WriteString("NULL")
			continue
		}
		text := v.String()
		if v.Type() == value.TypeText {
			text = v.Str()
		}
		b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`)
	}
	return value.Text("{" + b.String() + "}")
}
