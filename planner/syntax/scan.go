package syntax

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/sqltoken"
)

// MaxSQL is the length of the longest text that is read, in bytes.
const MaxSQL = 64 << 10

// maxNesting is the deepest nesting of parentheses.
const maxNesting = 60

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

// token is a piece of the SQL text, by the SQL standard.
type token struct {
	kind tokenKind
	text string // a word or name in lower case, a string unquoted, a symbol
	at   Position
	// written is a quoted name with its original letter case.
	written string
}

func (t token) is(word string) bool {
	return (t.kind == tokenWord || t.kind == tokenSymbol) && t.text == word
}

// label is a name as the answer shows it.
func (t token) label() string {
	if t.kind == tokenName {
		return t.written
	}
	return t.text
}

// scanner turns sqltoken's tokens into the planner's.
type scanner struct {
	sql     string
	tokens  []token
	dialect differences
	// The position that has been reached.
	offset, line, column int
}

// scan splits the text into tokens; the last is tokenEnd. It refuses text that databases read in two ways.
func scan(sql string, dialect differences) []token {
	s := &scanner{sql: sql, line: 1, column: 1, dialect: dialect}
	if len(sql) > MaxSQL {
		Refuse(CodeTooLarge, Position{Line: 1, Column: 1}, "ask it in several queries", "the text has more than %d bytes",
			MaxSQL)
	}
	if !utf8.ValidString(sql) {
		Refuse(CodeSyntax, Position{Line: 1, Column: 1}, "send UTF-8", "the text is not valid UTF-8")
	}
	if i := strings.IndexByte(sql, 0); i >= 0 {
		Refuse(CodeSyntax, s.at(i, 1), "leave it out",
			"the character U+0000 stands here, which some databases' texts cannot hold")
	}
	s.read(sql, 0, false)
	s.tokens = append(s.tokens, token{kind: tokenEnd, at: s.at(len(sql), 0)})
	return s.tokens
}

// partners returns the closing token of each opening parenthesis or bracket.
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

// at returns the position of an offset. Offsets must not decrease from call to call.
func (s *scanner) at(offset, length int) Position {
	for _, r := range s.sql[s.offset:offset] {
		if r == '\n' {
			s.line, s.column = s.line+1, 1
		} else {
			s.column++
		}
	}
	s.offset = offset
	return Position{Offset: offset, Length: length, Line: s.line, Column: s.column}
}

func (s *scanner) add(kind tokenKind, text string, offset, length int) {
	s.tokens = append(s.tokens, token{kind: kind, text: text, at: s.at(offset, length)})
}

// read reads the part of the text that begins at offset. hint says that it is within /*+ and */.
func (s *scanner) read(text string, offset int, hint bool) {
	all := sqltoken.All(text)
	for i := 0; i < len(all); i++ {
		t := all[i]
		next := sqltoken.Token{Kind: sqltoken.Comment}
		if i+1 < len(all) && all[i+1].Start == t.End { // without a space between them
			next = all[i+1]
		}
		start, length := offset+t.Start, t.End-t.Start
		switch t.Kind {
		case sqltoken.Comment:
			s.comment(t, start, hint)
		case sqltoken.String, sqltoken.Quoted:
			s.quoted(t, start)
		case sqltoken.Number:
			if n := sqltoken.Numeral(t.Text); n < length {
				Refuse(CodeSyntax, s.at(start, n+1), "separate the number from what follows", "this is neither a number nor a name")
			}
			s.add(tokenNumber, t.Text, start, length)
		case sqltoken.Parameter:
			if next.Kind == sqltoken.Word {
				s.refuseDollar(start)
			}
			s.add(tokenParameter, t.Text[1:], start, length)
		case sqltoken.Word:
			if n := strings.IndexByte(t.Text, '$'); n >= 0 {
				s.refuseDollar(start + strings.IndexByte(text[t.Start:t.End], '$'))
			}
			// b'…', n'…' and _utf8'…' differ between databases; DATE'…' does not.
			if next.Kind == sqltoken.String && next.Text[0] == '\'' && (length <= 2 || t.Text[0] == '_') {
				// In r'…' backslashes are ordinary, as in all strings here. SQL Server's N'…' is Unicode, which all strings are.
				if t.Text == "r" || t.Text == "n" && s.dialect.numberNames {
					continue
				}
				s.refusePrefix(start)
			}
			s.add(tokenWord, t.Text, start, length)
		case sqltoken.Operator:
			end := 0
			if t.Text == "[" {
				end = bracketed(text, t.Start, s.dialect.numberNames)
			}
			if end > 0 {
				s.name(text[t.Start+1:end-1], start, end-t.Start)
				for i+1 < len(all) && all[i+1].Start < end {
					i++
				}
				continue
			}
			end = t.End
			for i+1 < len(all) && all[i+1].Kind == sqltoken.Operator && all[i+1].Start == end &&
				!(all[i+1].Text == "[" && bracketed(text, end, s.dialect.numberNames) > 0) {
				i++
				end = all[i].End
			}
			var word *sqltoken.Token
			if i+1 < len(all) && all[i+1].Kind == sqltoken.Word && all[i+1].Start == end {
				word = &all[i+1]
			}
			if s.symbols(text[t.Start:end], start, word) { // :name
				i++
			}
		}
	}
}

// comment skips a comment and reads a hint.
func (s *scanner) comment(t sqltoken.Token, start int, hint bool) {
	text := t.Text
	switch {
	case strings.HasPrefix(text, "--"):
	case strings.HasPrefix(text, "/*+") && !hint:
		s.add(tokenSymbol, "/*+", start, 3)
		if t.Open {
			s.read(text[3:], start+3, true)
			return
		}
		s.read(text[3:len(text)-2], start+3, true)
		s.add(tokenSymbol, "*/", start+len(text)-2, 2)
	default:
		end := strings.Index(text[2:], "*/")
		if end < 0 {
			Refuse(CodeSyntax, s.at(start, 1), "close it with */", "this comment has no end")
		}
		if strings.HasPrefix(text, "/*!") || strings.Contains(text[2:2+end], "/*") {
			Refuse(CodeSyntax, s.at(start, 1), "use a plain /* comment */", "some databases would run a part of this comment")
		}
	}
}

// quoted reads a string or a quoted name. A doubled quote stands for one quote; a backslash is an ordinary character.
func (s *scanner) quoted(t sqltoken.Token, start int) {
	kind, what := tokenString, "string"
	if t.Kind == sqltoken.Quoted {
		kind, what = tokenName, "name"
	}
	quote := t.Text[:1]
	switch {
	case quote == "$":
		s.refuseDollar(start)
	case kind == tokenString && quote != "'":
		s.refusePrefix(start)
	case t.Open:
		Refuse(CodeSyntax, s.at(start, 1), "close it with "+quote, "this %s has no end", what)
	}
	text := strings.ReplaceAll(t.Text[1:len(t.Text)-1], quote+quote, quote)
	if s.dialect.textQuotes && quote == `"` {
		kind = tokenString
	}
	if kind == tokenName {
		s.name(text, start, len(t.Text))
		return
	}
	s.add(kind, text, start, len(t.Text))
}

// name adds a quoted name. Names are found without regard to letter case. The answer shows a column's name as it was
// written.
func (s *scanner) name(text string, start, length int) {
	if text == "" {
		Refuse(CodeSyntax, s.at(start, 1), "", "this name is empty")
	}
	if IsInternal(text) {
		Refuse(CodeSyntax, s.at(start, length), "leave out the blank", "a name does not begin with a blank")
	}
	s.add(tokenName, strings.ToLower(text), start, length)
	s.tokens[len(s.tokens)-1].written = text
}

// bracketed returns the offset after a name in brackets, as SQL Server writes names. It returns 0 for another bracket:
// one that follows its predecessor without a space belongs to an array. numbers allows [8507] as a name.
func bracketed(text string, at int, numbers bool) int {
	if at > 0 {
		if r, _ := utf8.DecodeLastRuneInString(text[:at]); r == '_' || r == ')' || r == ']' || r == '"' || r == '}' ||
			unicode.IsLetter(r) || unicode.IsDigit(r) {
			return 0
		}
	}
	ends := "[]'\"\n,"
	if numbers { // there are no arrays
		ends = "[]'\"\n"
	}
	n := strings.IndexAny(text[at+1:], ends)
	if n <= 0 || text[at+1+n] != ']' {
		return 0
	}
	if r, _ := utf8.DecodeRuneInString(text[at+1:]); r != '_' && !unicode.IsLetter(r) && !(numbers && !unicode.IsSpace(r)) {
		return 0
	}
	for _, place := range []string{"offset(", "safe_offset(", "ordinal(", "safe_ordinal("} {
		if len(text) > at+1+len(place) && strings.EqualFold(text[at+1:at+1+len(place)], place) {
			return 0 // BigQuery's array
		}
	}
	return at + 1 + n + 1
}

func (s *scanner) refuseDollar(offset int) {
	Refuse(CodeSyntax, s.at(offset, 1), "write a plain 'string', or $1 for a parameter",
		"a dollar sign starts neither a string nor a name here")
}

func (s *scanner) refusePrefix(offset int) {
	Refuse(CodeSyntax, s.at(offset, 1), "write a plain 'string', with '' for a quote",
		"a string with a prefix is not read")
}

// symbols lists the symbols, the longest first. Some are only read to be refused, so that they are not misread as two
// symbols.
var symbols = []string{
	"!~~*", "!~~", "!~*", "~~*", "<=>", "->>", "::", "||", "<=", ">=", "<>", "!=", "==", ":=", "=>", "<<", ">>", "->",
	"&&", "!~", "~*", "~~",
	"(", ")", ",", ".", ";", "+", "-", "*", "/", "%", "=", "<", ">",
	"&", "|", "^", "~", "!", "@", ":", "[", "]", "{", "}", "#", "\\",
}

// symbols reads symbols without spaces between them. word, if not nil, follows the last one without a space. It reports
// whether word was read too, as in :name.
func (s *scanner) symbols(run string, start int, word *sqltoken.Token) bool {
	for len(run) > 0 {
		switch r, _ := utf8.DecodeRuneInString(run); {
		case r == '?':
			s.add(tokenParameter, "?", start, 1)
			run, start = run[1:], start+1
			continue
		case run == ":" && word != nil && !strings.Contains(word.Text, "$"):
			s.add(tokenParameter, word.Text, start, 1+word.End-word.Start)
			return true
		case r == '$':
			s.refuseDollar(start)
		}
		i := slices.IndexFunc(symbols, func(symbol string) bool { return strings.HasPrefix(run, symbol) })
		if i < 0 {
			r, _ := utf8.DecodeRuneInString(run)
			hint := ""
			if strings.ContainsRune("‘’“”", r) {
				hint = "write a plain ' around a text, or \" around a name"
			}
			Refuse(CodeSyntax, s.at(start, 1), hint, "the character %q has no meaning here", r)
		}
		size := len(symbols[i])
		s.add(tokenSymbol, symbols[i], start, size)
		run, start = run[size:], start+size
	}
	return false
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }
