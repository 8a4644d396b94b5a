package syntax

import (
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/config"
)

func (p *parser) token(ahead int) token {
	if i := p.i + ahead; i >= 0 && i < len(p.tokens) {
		return p.tokens[i]
	}
	return token{kind: tokenEnd, at: p.tokens[len(p.tokens)-1].at}
}

// here returns the next token.
func (p *parser) here() token { return p.token(0) }

// comes reports whether these words and symbols come next.
func (p *parser) comes(words ...string) bool {
	for k, w := range words {
		if !p.token(k).is(w) {
			return false
		}
	}
	return true
}

// comesOneOf reports whether one of these words comes next.
func (p *parser) comesOneOf(words ...string) bool { return slices.ContainsFunc(words, p.here().is) }

// accept reads these words if they come next.
func (p *parser) accept(words ...string) bool {
	if !p.comes(words...) {
		return false
	}
	p.i += len(words)
	return true
}

func (p *parser) expect(word, hint string) {
	if !p.accept(word) {
		p.unexpected(hint)
	}
}

// take reads the next token, whatever it is.
func (p *parser) take() token {
	t := p.here()
	if t.kind != tokenEnd {
		p.i++
	}
	return t
}

// unexpected refuses the next token.
func (p *parser) unexpected(hint string) {
	t := p.here()
	if instead, ok := unsupportedSymbols[t.text]; ok && t.kind == tokenSymbol {
		Refuse(CodeNotSupported, t.at, instead, "%s is not answered here", t.text)
	}
	if instead, ok := unsupported[t.text]; ok && t.kind == tokenWord {
		Refuse(CodeNotSupported, t.at, instead, "%s is not answered here", strings.ToUpper(t.text))
	}
	switch t.kind {
	case tokenEnd:
		Refuse(CodeSyntax, t.at, hint, "the query ends too early")
	case tokenWord:
		if reserved[t.text] {
			Refuse(CodeSyntax, t.at, hint, "%s does not fit here", strings.ToUpper(t.text))
		}
	case tokenParameter:
		Refuse(CodeSyntax, t.at, hint, "a parameter does not fit here")
	case tokenString:
		Refuse(CodeSyntax, t.at, hint, "a string does not fit here")
	}
	Refuse(CodeSyntax, t.at, hint, "%q does not fit here", t.text)
}

// mistaken returns the hint if the statement does not continue. Perhaps an earlier clause was misspelled and read as an
// alias; otherwise it returns otherwise.
func (p *parser) mistaken(otherwise string) string {
	before := p.token(-1)
	if before.kind != tokenWord || reserved[before.text] {
		return otherwise
	}
	if hint := Nearest(before.text, []string{"FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "JOIN",
		"UNION"}); hint != "" {
		return strings.ToUpper(before.text) + " before it is read as a name; " + hint
	}
	return otherwise
}

// Nearest asks whether one of the known words was meant; it is empty if none is similar.
func Nearest(word string, known []string) string {
	if n, ok := config.Nearest(word, known); ok {
		return "did you mean " + n + "?"
	}
	var longer []string // gender: gender_concept_id, gender_source_value
	for _, n := range known {
		if len(word) > 2 && strings.HasPrefix(n, strings.ToLower(word)+"_") && !slices.Contains(longer, n) {
			longer = append(longer, n)
		}
	}
	const most = 3
	if len(longer) == 0 || len(longer) > most {
		return ""
	}
	text := longer[len(longer)-1]
	if before := longer[:len(longer)-1]; len(before) > 0 {
		text = strings.Join(before, ", ") + " or " + text
	}
	return "did you mean " + text + "?"
}

// isName reports whether the token can be a name: a quoted name, or a word that is not reserved.
func (t token) isName() bool {
	return t.kind == tokenName || t.kind == tokenWord && !reserved[t.text]
}

// name reads a name.
func (p *parser) name(hint string) token {
	if !p.here().isName() {
		if t := p.here(); t.kind == tokenWord && unsupported[t.text] == "" {
			Refuse(CodeSyntax, t.at, `to use it as a name, write "`+t.text+`"`, "%s is a word of SQL", strings.ToUpper(t.text))
		}
		p.unexpected(hint)
	}
	return p.take()
}

const onlyQuestions = "write SELECT, WITH, EXPLAIN, SHOW, DESCRIBE or SET"

// read reads the statement to its end.
func (p *parser) read() {
	s, first := p.statement, p.here()
	switch {
	case first.kind == tokenEnd:
		Refuse(CodeSyntax, first.at, "write SELECT …", "the query is empty")
	case p.comesOneOf("select", "with", "("):
		s.Query = p.query()
	case p.accept("explain"):
		s.Kind = KindExplain
		if p.accept("privacy") {
			s.Kind = KindExplainPrivacy
		}
		if !p.comesOneOf("select", "with", "(") {
			p.unexpected("write EXPLAIN SELECT … or EXPLAIN PRIVACY SELECT …")
		}
		s.Query = p.query()
	case p.accept("show"):
		s.Kind = KindShow
		if !p.comesOneOf("tables", "hospitals", "budget", "permissions", "functions") {
			p.unexpected("write SHOW TABLES, SHOW HOSPITALS, SHOW BUDGET, SHOW PERMISSIONS or SHOW FUNCTIONS")
		}
		t := p.take()
		s.Name, s.Position = t.text, t.at
	case p.accept("describe"), p.accept("desc"):
		s.Kind = KindDescribe
		s.Name, s.Position = p.tableName()
	case p.accept("set"):
		p.set()
	default:
		if first.kind == tokenWord {
			hint := Nearest(first.text, []string{"SELECT", "WITH", "EXPLAIN", "SHOW", "DESCRIBE", "SET"})
			if hint == "" {
				hint = onlyQuestions
			}
			Refuse(CodeNotSupported, first.at, hint, "%s is no question, and nothing else is answered",
				strings.ToUpper(first.text))
		}
		p.unexpected(onlyQuestions)
	}
	ended := false
	for p.accept(";") {
		ended = true
	}
	if p.here().kind != tokenEnd {
		if ended {
			Refuse(CodeNotSupported, p.here().at, "send one statement at a time",
				"there is something after the end of the statement")
		}
		p.unexpected(p.mistaken("look before it, or end the statement there"))
	}
}

// set reads SET name = value.
func (p *parser) set() {
	s := p.statement
	s.Kind = KindSet
	t := p.name("write SET name = value")
	s.Name, s.Position = t.text, t.at
	if !p.accept("=") && !p.accept("to") {
		p.unexpected("write SET " + t.text + " = value")
	}
	s.Value = p.constant("write SET " + t.text + " = and a number or a 'string'").Literal
}

// hints reads /*+ name = value, … */ after SELECT.
func (p *parser) hints() {
	if !p.comes("/*+") {
		return
	}
	open := p.take()
	if p.inner > 0 || len(p.statement.Hints) > 0 {
		Refuse(CodeSyntax, open.at, "write it after the SELECT of the whole query",
			"a hint is for the whole query, and stands there once")
	}
	const hint = "write /*+ epsilon = 0.5, max_groups = 3 */"
	for !p.accept("*/") {
		t := p.name(hint)
		p.expect("=", hint)
		if slices.ContainsFunc(p.statement.Hints, func(h Setting) bool { return h.Name == t.text }) {
			Refuse(CodeSyntax, t.at, "write it once", "%s is set twice", t.text)
		}
		p.statement.Hints = append(p.statement.Hints, Setting{Name: t.text, Value: p.constant(hint).Literal, Position: t.at})
		if !p.accept(",") && !p.comes("*/") && !p.here().isName() {
			p.unexpected(hint)
		}
	}
}

// parameter reads ?, $1 or :name.
func (p *parser) parameter() *Expr {
	t, s := p.take(), p.statement
	marker := byte(':')
	switch {
	case t.text == "?":
		marker, t.text = '?', strconv.Itoa(len(s.Parameters)+1)
	case isDigit(t.text[0]):
		marker = '$'
	}
	if p.marker != 0 && p.marker != marker {
		Refuse(CodeSyntax, t.at, "use one of ?, $1 and :name throughout", "parameters are written in two ways")
	}
	p.marker = marker
	s.placeholders = true
	s.Parameters = append(s.Parameters, Parameter{Name: t.text, At: t.at})
	return &Expr{Kind: Placeholder, Name: t.text, At: t.at}
}
