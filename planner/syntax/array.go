package syntax

import (
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// Arrays are lists that x = ANY (…) and x <> ALL (…) compare with: ARRAY[1, 2], '{1,2}', a parameter, or a cast of one.
// They are no values: an element takes its type from what it is compared with, as in IN (…), whatever type a cast
// names.

// array reads an array behind ANY ( or ALL (, and compares left with its elements. ok is false where none stands there.
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

// arrayType passes over the type of an array, such as int4[], character varying(9)[] or pg_catalog.text[].
func (p *parser) arrayType() {
	for p.here().isName() || p.comes("precision") || p.comes("without") || p.comes("with") || p.comes("time") {
		p.i++
		p.accept(".")
	}
	p.sizes()
	p.expect("[", "write an array's type, such as int[]")
	p.expect("]", "write an array's type, such as int[]")
}

// amongAll is among for a list that may be empty: then nothing is in it, and all is outside of it.
func amongAll(left *Expr, list []*Expr, negated bool) *Expr {
	if len(list) == 0 {
		return NewLiteral(left.At, value.Bool(negated))
	}
	return among(left, list, negated)
}

// bindArrays puts the elements of bound arrays into the lists where they stand.
func bindArrays(t *Expr) *Expr {
	if t.Kind != Operator || t.Name != "in" || len(t.Args) != 2 || !t.Args[1].Array {
		return nil
	}
	of := t.Args[1]
	list := []*Expr{of} // one value of another type, or NULL, is the only element
	if of.Text {
		list = elements(of.Literal.Str(), of.At)
	}
	return amongAll(t.Args[0].Rewrite(bindArrays), list, false)
}

// elements reads an array as PostgreSQL writes it, {1,NULL,"a, b"}, as constants.
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

// element reads the first element of a list, and gives what follows: nothing, or a comma and the next.
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

// Array writes values as PostgreSQL writes an array of them, for doors whose clients pass a list as a parameter.
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
