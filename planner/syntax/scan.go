package syntax

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/value"
)

// maxSQL is the longest text that is read, in bytes; maxNesting the deepest
// nesting of parentheses.
const (
	maxSQL     = 64 << 10
	maxNesting = 60
)

type tokenKind int

const (
	tokenEnd  tokenKind = iota
	tokenWord           // a keyword or an identifier
	tokenName           // a quoted identifier
	tokenNumber
	tokenString
	tokenParameter // ?, $1 or :name; the text is "?", "1" or the name
	tokenSymbol
)

// token is a piece of the SQL text, read by the SQL standard.
type token struct {
	kind tokenKind
	text string // a word in lower case, a name or string unquoted, a symbol
	at   Position
}

func (t token) is(word string) bool {
	return (t.kind == tokenWord || t.kind == tokenSymbol) && t.text == word
}

type scanner struct {
	sql    string
	offset int
	line   int
	column int
	hint   bool // between /*+ and */
}

// scan splits the text into tokens, the last one being tokenEnd.
func scan(sql string) []token {
	s := &scanner{sql: sql, line: 1, column: 1}
	if len(sql) > maxSQL {
		Refuse(CodeTooLarge, Position{Line: 1, Column: 1}, "ask it in several queries", "the text has more than %d bytes", maxSQL)
	}
	if !utf8.ValidString(sql) {
		Refuse(CodeSyntax, Position{Line: 1, Column: 1}, "send UTF-8", "the text is not valid UTF-8")
	}
	if i := strings.IndexByte(sql, 0); i >= 0 {
		s.advance(i)
		Refuse(CodeSyntax, s.here(), "leave it out", "the character U+0000 stands here, which some databases' texts cannot hold")
	}
	var tokens []token
	for {
		t := s.next()
		tokens = append(tokens, t)
		if t.kind == tokenEnd {
			return tokens
		}
	}
}

// partners returns, for each opening parenthesis or bracket, the token that closes it.
func partners(tokens []token) map[int]int {
	closedBy := map[string]string{"(": ")", "[": "]"}
	partner := map[int]int{}
	var open []int
	for i, t := range tokens {
		switch {
		case t.is("("), t.is("["):
			if open = append(open, i); len(open) > maxNesting {
				Refuse(CodeTooLarge, t.at, "simplify the expression", "parentheses nest deeper than %d", maxNesting)
			}
		case t.is(")"), t.is("]"):
			if len(open) == 0 || !t.is(closedBy[tokens[open[len(open)-1]].text]) {
				Refuse(CodeSyntax, t.at, "take it out, or open it before", "%q closes nothing", t.text)
			}
			partner[open[len(open)-1]] = i
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t := tokens[open[len(open)-1]]
		Refuse(CodeSyntax, t.at, "add "+closedBy[t.text], "%q is never closed", t.text)
	}
	return partner
}

func (s *scanner) peek(ahead int) byte {
	if s.offset+ahead < len(s.sql) {
		return s.sql[s.offset+ahead]
	}
	return 0
}

// advance moves over n bytes, keeping line and column.
func (s *scanner) advance(n int) {
	for _, r := range s.sql[s.offset : s.offset+n] {
		if r == '\n' {
			s.line, s.column = s.line+1, 1
		} else {
			s.column++
		}
	}
	s.offset += n
}

func (s *scanner) here() Position {
	return Position{Offset: s.offset, Length: 1, Line: s.line, Column: s.column}
}

func (s *scanner) blank() {
	for s.offset < len(s.sql) {
		rest := s.sql[s.offset:]
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case unicode.IsSpace(r):
			s.advance(size)
		case strings.HasPrefix(rest, "--"):
			if i := strings.IndexByte(rest, '\n'); i >= 0 {
				s.advance(i)
			} else {
				s.advance(len(rest))
			}
		case strings.HasPrefix(rest, "/*+") || s.hint && strings.HasPrefix(rest, "*/"):
			return
		case strings.HasPrefix(rest, "/*"):
			i := strings.Index(rest[2:], "*/")
			if i < 0 {
				Refuse(CodeSyntax, s.here(), "close it with */", "this comment has no end")
			}
			if strings.HasPrefix(rest, "/*!") || strings.Contains(rest[2:2+i], "/*") {
				Refuse(CodeSyntax, s.here(), "use a plain /* comment */", "some databases would run a part of this comment")
			}
			s.advance(i + 4)
		default:
			return
		}
	}
}

// symbols, the longest first. Those that are read only to be refused keep a
// misreading from passing as something else.
var symbols = []string{
	"!~~*", "!~~", "!~*", "~~*", "<=>", "->>", "::", "||", "<=", ">=", "<>", "!=", "==", ":=", "=>", "<<", ">>", "->", "&&", "!~", "~*", "~~",
	"(", ")", ",", ".", ";", "+", "-", "*", "/", "%", "=", "<", ">",
	"&", "|", "^", "~", "!", "@", ":", "[", "]", "{", "}", "#", "\\",
}

func (s *scanner) next() token {
	s.blank()
	at := s.here()
	if s.offset == len(s.sql) {
		at.Length = 0
		return token{kind: tokenEnd, at: at}
	}
	make := func(kind tokenKind, text string, size int) token {
		s.advance(size)
		at.Length = size
		return token{kind: kind, text: text, at: at}
	}
	rest := s.sql[s.offset:]
	r, _ := utf8.DecodeRuneInString(rest)
	switch {
	case strings.HasPrefix(rest, "/*+") && !s.hint:
		s.hint = true
		return make(tokenSymbol, "/*+", 3)
	case strings.HasPrefix(rest, "*/") && s.hint:
		s.hint = false
		return make(tokenSymbol, "*/", 2)
	case r == '\'':
		text, size := s.quoted('\'', "string")
		return make(tokenString, text, size)
	case r == '"' || r == '`':
		text, size := s.quoted(byte(r), "name")
		if text == "" {
			Refuse(CodeSyntax, at, "", "this name is empty")
		}
		return make(tokenName, text, size)
	case isDigit(rest[0]) || r == '.' && isDigit(s.peek(1)):
		size := s.number()
		return make(tokenNumber, rest[:size], size)
	case r == '_' || unicode.IsLetter(r):
		size := strings.IndexFunc(rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if size < 0 {
			size = len(rest)
		}
		// e'…', b'…', n'…' and _utf8'…' mean other things in each database; DATE'…' is plain.
		if size < len(rest) && rest[size] == '\'' && (size <= 2 || r == '_') {
			Refuse(CodeSyntax, at, "write a plain 'string', with '' for a quote", "a string with a prefix is not read")
		}
		return make(tokenWord, strings.ToLower(rest[:size]), size)
	case r == '?':
		return make(tokenParameter, "?", 1)
	case r == '$':
		digits := 1
		for isDigit(s.peek(digits)) {
			digits++
		}
		if next, _ := utf8.DecodeRuneInString(rest[digits:]); digits == 1 || next == '_' || unicode.IsLetter(next) {
			Refuse(CodeSyntax, at, "write a plain 'string', or $1 for a parameter", "a dollar sign starts neither a string nor a name here")
		}
		return make(tokenParameter, rest[1:digits], digits)
	case r == ':':
		if next, _ := utf8.DecodeRuneInString(rest[1:]); next == '_' || unicode.IsLetter(next) {
			size := 1 + strings.IndexFunc(rest[1:]+" ", func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
			return make(tokenParameter, strings.ToLower(rest[1:size]), size)
		}
	}
	for _, symbol := range symbols {
		if strings.HasPrefix(rest, symbol) {
			return make(tokenSymbol, symbol, len(symbol))
		}
	}
	hint := ""
	if strings.ContainsRune("‘’“”", r) {
		hint = "write a plain ' around a text, or \" around a name"
	}
	Refuse(CodeSyntax, at, hint, "the character %q has no meaning here", r)
	return token{}
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// quoted reads up to the closing quote, a doubled one standing for itself, and
// returns the text and its size with the quotes. A backslash is a character
// like any other.
func (s *scanner) quoted(quote byte, what string) (string, int) {
	var b strings.Builder
	rest := s.sql[s.offset:]
	for i := 1; i < len(rest); i++ {
		if rest[i] != quote {
			b.WriteByte(rest[i])
			continue
		}
		if i+1 < len(rest) && rest[i+1] == quote {
			b.WriteByte(quote)
			i++
			continue
		}
		return b.String(), i + 1
	}
	Refuse(CodeSyntax, s.here(), "close it with "+string(quote), "this %s has no end", what)
	return "", 0
}

func (s *scanner) number() int {
	rest := s.sql[s.offset:]
	i := 0
	digits := func() {
		for i < len(rest) && isDigit(rest[i]) {
			i++
		}
	}
	digits()
	if i < len(rest) && rest[i] == '.' {
		i++
		digits()
	}
	if i+1 < len(rest) && (rest[i] == 'e' || rest[i] == 'E') {
		j := i + 1
		if rest[j] == '+' || rest[j] == '-' {
			j++
		}
		if j < len(rest) && isDigit(rest[j]) {
			i = j
			digits()
		}
	}
	if r, _ := utf8.DecodeRuneInString(rest[i:]); r == '_' || unicode.IsLetter(r) || r == '.' {
		at := s.here()
		at.Length = i + 1
		Refuse(CodeSyntax, at, "separate the number from what follows", "this is neither a number nor a name")
	}
	return i
}

// numberValue reads a number: an int where it is written as one and fits, else
// a float.
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
