// Package lex reads PostgreSQL's SQL into tokens, as far as the front door needs it:
// to tell one statement from the next, and one kind of statement from another.
package lex

import (
	"strings"
	"unicode/utf8"
)

// Kind is the kind of a token.
type Kind int

// The kinds of tokens.
const (
	Word   Kind = iota // an unquoted name or keyword
	Quoted             // "a name"
	String             // 'text', E'text', $$text$$
	Number
	Parameter // $1
	Operator  // such as :: or <=, and punctuation
)

// Token is one token. Text is as it is written; the name of a Word in lower case.
type Token struct {
	Kind       Kind
	Text       string
	Start, End int // bytes in the SQL
}

// Is tells whether the token is this keyword or operator.
func (t Token) Is(text string) bool { return (t.Kind == Word || t.Kind == Operator) && t.Text == text }

// Name is the name that a Word or Quoted stands for, else empty.
func (t Token) Name() string {
	switch t.Kind {
	case Word:
		return t.Text
	case Quoted:
		return strings.ReplaceAll(strings.TrimSuffix(t.Text[1:], `"`), `""`, `"`)
	}
	return ""
}

// Value is the text that a String stands for; of the escapes of E'…' those of letters
// beyond \n, \r and \t stay as they are.
func (t Token) Value() string {
	s := t.Text
	if t.Kind != String {
		return s
	}
	if s[0] == '$' {
		end := strings.IndexByte(s[1:], '$') + 2
		return strings.TrimSuffix(s[end:], s[:end])
	}
	escapes := s[0] == 'e' || s[0] == 'E'
	s = strings.TrimSuffix(s[strings.IndexByte(s, '\'')+1:], "'")
	s = strings.ReplaceAll(s, "''", "'")
	if escapes {
		s = strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\n`, "\n", `\r`, "\r", `\t`, "\t").Replace(s)
	}
	return s
}

// Tokens reads all tokens; comments and spaces are left out. Any text has tokens: what
// does not end, ends with the text.
func Tokens(sql string) []Token {
	var all []Token
	for i := 0; i < len(sql); {
		start := i
		c := sql[i]
		add := func(k Kind, end int) {
			i = min(end, len(sql))
			text := sql[start:i]
			if k == Word {
				text = strings.ToLower(text)
			}
			all = append(all, Token{k, text, start, i})
		}
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
			i++
		case strings.HasPrefix(sql[i:], "--"):
			if end := strings.IndexByte(sql[i:], '\n'); end >= 0 {
				i += end
			} else {
				i = len(sql)
			}
		case strings.HasPrefix(sql[i:], "/*"):
			i = comment(sql, i)
		case c == '\'':
			add(String, quoted(sql, i, '\'', false))
		case (c == 'e' || c == 'E') && strings.HasPrefix(sql[i+1:], "'"):
			add(String, quoted(sql, i+1, '\'', true))
		case c == '"':
			add(Quoted, quoted(sql, i, '"', false))
		case c == '$' && i+1 < len(sql) && isDigit(sql[i+1]):
			end := i + 1
			for end < len(sql) && isDigit(sql[end]) {
				end++
			}
			add(Parameter, end)
		case c == '$':
			if end := dollar(sql, i); end > 0 {
				add(String, end)
			} else {
				add(Operator, i+1)
			}
		case isDigit(c) || c == '.' && i+1 < len(sql) && isDigit(sql[i+1]):
			end := i
			for end < len(sql) && (isDigit(sql[end]) || sql[end] == '.' || isLetter(sql[end])) {
				end++
			}
			add(Number, end)
		case isLetter(c):
			end := i
			for end < len(sql) && (isLetter(sql[end]) || isDigit(sql[end]) || sql[end] == '$') {
				end++
			}
			add(Word, end)
		case strings.HasPrefix(sql[i:], "::"):
			add(Operator, i+2)
		case strings.IndexByte(symbols, c) >= 0:
			add(Operator, symbol(sql, i))
		default:
			_, size := utf8.DecodeRuneInString(sql[i:])
			add(Operator, i+size)
		}
	}
	return all
}

// symbols make operators of several characters.
const symbols = "+-*/<>=~!@#%^&|?`"

// symbol gives the end of an operator: the longest, but a comment ends it, and it ends in
// + or - only where it has a character that no operator of standard SQL has.
func symbol(sql string, i int) int {
	end := i
	for end < len(sql) && strings.IndexByte(symbols, sql[end]) >= 0 && (end == i || !strings.HasPrefix(sql[end:], "--") && !strings.HasPrefix(sql[end:], "/*")) {
		end++
	}
	for end-i > 1 && (sql[end-1] == '+' || sql[end-1] == '-') && !strings.ContainsAny(sql[i:end], "~!@#%^&|?`") {
		end--
	}
	return end
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

// comment gives the end of a comment; they nest.
func comment(sql string, i int) int {
	depth := 0
	for i < len(sql) {
		switch {
		case strings.HasPrefix(sql[i:], "/*"):
			depth++
			i += 2
		case strings.HasPrefix(sql[i:], "*/"):
			depth--
			i += 2
			if depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return len(sql)
}

// quoted gives the end of what begins with a quote at i.
func quoted(sql string, i int, quote byte, escapes bool) int {
	for i++; i < len(sql); i++ {
		switch {
		case escapes && sql[i] == '\\':
			i++
		case sql[i] == quote && i+1 < len(sql) && sql[i+1] == quote:
			i++
		case sql[i] == quote:
			return i + 1
		}
	}
	return len(sql)
}

// dollar gives the end of $tag$ … $tag$, or 0.
func dollar(sql string, i int) int {
	end := i + 1
	for end < len(sql) && (isLetter(sql[end]) || isDigit(sql[end])) {
		end++
	}
	if end == len(sql) || sql[end] != '$' {
		return 0
	}
	tag := sql[i : end+1]
	if close := strings.Index(sql[end+1:], tag); close >= 0 {
		return end + 1 + close + len(tag)
	}
	return len(sql)
}

// Statement is one statement of a text.
type Statement struct {
	Text   string // without the ; after it
	Start  int    // bytes from the start of the whole text
	Tokens []Token
}

// Statements splits a text at its semicolons; empty statements are left out. The
// tokens' places are within the statement's text.
func Statements(sql string) []Statement {
	var all []Statement
	var tokens []Token
	finish := func(end int) {
		if len(tokens) == 0 {
			return
		}
		start := tokens[0].Start
		for i := range tokens {
			tokens[i].Start -= start
			tokens[i].End -= start
		}
		all = append(all, Statement{strings.TrimSpace(sql[start:end]), start, tokens})
		tokens = nil
	}
	for _, t := range Tokens(sql) {
		if t.Is(";") {
			finish(t.Start)
			continue
		}
		tokens = append(tokens, t)
	}
	finish(len(sql))
	return all
}
