package sqltoken

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is the kind of a token.
type Kind int

// The kinds of tokens.
const (
	Word   Kind = iota // an unquoted name or keyword
	Quoted             // "a name" or `a name`
	String             // 'text', E'text', $$text$$
	Number
	Parameter // $1
	Operator  // such as :: or <=, and punctuation
	Comment   // of either form; only All returns them
)

// Token is one token. Text is its text in the SQL, in lower case for a Word.
type Token struct {
	Kind       Kind
	Text       string
	Start, End int  // bytes in the SQL
	Open       bool // a string, a quoted name or a comment without an end
}

// Is reports whether the token is this keyword or operator.
func (t Token) Is(text string) bool { return (t.Kind == Word || t.Kind == Operator) && t.Text == text }

// Name is the name that a Word or Quoted stands for, or "".
func (t Token) Name() string {
	switch t.Kind {
	case Word:
		return t.Text
	case Quoted:
		quote := t.Text[:1]
		return strings.ReplaceAll(strings.TrimSuffix(t.Text[1:], quote), quote+quote, quote)
	}
	return ""
}

// Value is the text that a String stands for. In E'…', escapes of letters other than \n, \r and \t stay as they are.
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

// Tokens reads all tokens, without comments and spaces. Any text has tokens: an unfinished token ends with the text.
func Tokens(sql string) []Token {
	return slices.DeleteFunc(All(sql), func(t Token) bool { return t.Kind == Comment })
}

// All reads all tokens and comments.
func All(sql string) []Token {
	var all []Token
	for i := 0; i < len(sql); {
		start := i
		c, size := utf8.DecodeRuneInString(sql[i:])
		add := func(k Kind, end int, closed bool) {
			i = end
			text := sql[start:i]
			if k == Word {
				text = strings.ToLower(text)
			}
			all = append(all, Token{k, text, start, i, !closed})
		}
		switch {
		case unicode.IsSpace(c):
			i += size
		case strings.HasPrefix(sql[i:], "--"):
			end := len(sql)
			if n := strings.IndexByte(sql[i:], '\n'); n >= 0 {
				end = i + n
			}
			add(Comment, end, true)
		case strings.HasPrefix(sql[i:], "/*"):
			end, closed := comment(sql, i)
			add(Comment, end, closed)
		case c == '\'':
			end, closed := quoted(sql, i, '\'', false)
			add(String, end, closed)
		case (c == 'e' || c == 'E') && strings.HasPrefix(sql[i+1:], "'"):
			end, closed := quoted(sql, i+1, '\'', true)
			add(String, end, closed)
		case c == '"' || c == '`':
			end, closed := quoted(sql, i, byte(c), false)
			add(Quoted, end, closed)
		case c == '$' && i+1 < len(sql) && isDigit(sql[i+1]):
			end := i + 1
			for end < len(sql) && isDigit(sql[end]) {
				end++
			}
			add(Parameter, end, true)
		case c == '$':
			if end, closed := dollar(sql, i); end > 0 {
				add(String, end, closed)
			} else {
				add(Operator, i+1, true)
			}
		case c < utf8.RuneSelf && isDigit(sql[i]) || c == '.' && i+1 < len(sql) && isDigit(sql[i+1]):
			end := i + Numeral(sql[i:])
			for end < len(sql) { // characters directly after a number belong to it
				r, n := utf8.DecodeRuneInString(sql[end:])
				if !isLetter(r) && !unicode.IsDigit(r) && r != '.' {
					break
				}
				end += n
			}
			add(Number, end, true)
		case isLetter(c):
			add(Word, i+word(sql[i:]), true)
		case strings.HasPrefix(sql[i:], "::"):
			add(Operator, i+2, true)
		case c < utf8.RuneSelf && strings.IndexByte(symbols, sql[i]) >= 0:
			add(Operator, symbol(sql, i), true)
		default:
			add(Operator, i+size, true)
		}
	}
	return all
}

// word returns the length of the letters, digits, _ and $ at the beginning of a text.
func word(text string) int {
	n := strings.IndexFunc(text, func(r rune) bool { return !isLetter(r) && !unicode.IsDigit(r) && r != '$' })
	if n < 0 {
		return len(text)
	}
	return n
}

// Numeral returns the length of the number at the beginning of a text: digits, a fraction, an exponent.
func Numeral(text string) int {
	i := 0
	digits := func() {
		for i < len(text) && isDigit(text[i]) {
			i++
		}
	}
	digits()
	if i < len(text) && text[i] == '.' {
		i++
		digits()
	}
	if i+1 < len(text) && (text[i] == 'e' || text[i] == 'E') {
		sign := i + 1
		if text[sign] == '+' || text[sign] == '-' {
			sign++
		}
		if sign < len(text) && isDigit(text[sign]) {
			i = sign
			digits()
		}
	}
	return i
}

// symbols are the characters of operators with several characters.
const symbols = "+-*/<>=~!@#%^&|?"

// longest is the largest number of characters of an operator, as in PostgreSQL. It keeps the time linear in the length
// of the text.
const longest = 63

// symbol returns the end of the longest operator. A comment ends it. It ends in + or - only if it has a character that
// no operator of standard SQL has.
func symbol(sql string, i int) int {
	sql = sql[:min(len(sql), i+longest)]
	end := i
	for end < len(sql) && strings.IndexByte(symbols, sql[end]) >= 0 && (end == i || !strings.HasPrefix(sql[end:], "--") && !strings.HasPrefix(sql[end:], "/*")) {
		end++
	}
	if strings.ContainsAny(sql[i:end], "~!@#%^&|?") {
		return end
	}
	for end-i > 1 && (sql[end-1] == '+' || sql[end-1] == '-') {
		end--
	}
	return end
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(r rune) bool { return r == '_' || unicode.IsLetter(r) }

// comment returns the end of a comment; comments nest.
func comment(sql string, i int) (end int, closed bool) {
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
				return i, true
			}
		default:
			i++
		}
	}
	return len(sql), false
}

// quoted returns the end of the text in quotes that begins at i.
func quoted(sql string, i int, quote byte, escapes bool) (end int, closed bool) {
	for i++; i < len(sql); i++ {
		switch {
		case escapes && sql[i] == '\\':
			i++
		case sql[i] == quote && i+1 < len(sql) && sql[i+1] == quote:
			i++
		case sql[i] == quote:
			return i + 1, true
		}
	}
	return len(sql), false
}

// dollar returns the end of $tag$ … $tag$, or 0 if none begins.
func dollar(sql string, i int) (end int, closed bool) {
	n := strings.IndexFunc(sql[i+1:], func(r rune) bool { return !isLetter(r) && !unicode.IsDigit(r) })
	if n < 0 || sql[i+1+n] != '$' {
		return 0, false
	}
	end = i + 1 + n
	tag := sql[i : end+1]
	if n := strings.Index(sql[end+1:], tag); n >= 0 {
		return end + 1 + n + len(tag), true
	}
	return len(sql), false
}

// Statement is one statement of a text.
type Statement struct {
	Text   string // without the ; after it
	Start  int    // bytes from the start of the whole text
	Tokens []Token
}

// Statements splits a text at its semicolons and leaves out empty statements. The positions of tokens are within the
// statement's text.
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
