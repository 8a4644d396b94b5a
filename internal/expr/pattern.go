package expr

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Limits of regular expressions. A repetition counts once for each repeat.
const (
	maxPattern = 1000
	maxRepeat  = 100
	maxStates  = 5000
)

// likePattern turns a LIKE pattern into a regular expression (RE2: linear time).
func likePattern(pattern string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	escaped := false
	for _, r := range pattern {
		switch {
		case escaped || r != '\\' && r != '%' && r != '_':
			b.WriteString(regexp.QuoteMeta(string(r)))
			escaped = false
		case r == '\\':
			escaped = true
		case r == '%':
			b.WriteString(".*")
		default:
			b.WriteByte('.')
		}
	}
	if escaped {
		return nil, mistyped("a pattern must not end with its escape character \\")
	}
	b.WriteString(`\z`)
	return regexp.Compile(b.String())
}

// SlowLike reports whether an engine's own LIKE may need more than linear time for the pattern: it has several % and a
// _. Such a pattern is matched as a regular expression.
func SlowLike(pattern string) bool {
	wild, single, escaped := 0, false, false
	for _, r := range pattern {
		switch {
		case escaped:
			escaped = false
			continue
		case r == '%':
			wild++
		case r == '_':
			single = true
		}
		escaped = r == '\\'
	}
	return wild > 1 && single
}

// LikeRegexp writes a LIKE pattern as a regular expression in the form of Regexp, for engines whose LIKE does not run
// in linear time.
func LikeRegexp(pattern string) (string, error) {
	re, err := likePattern(pattern)
	if err != nil {
		return "", err
	}
	return Regexp(re.String(), false)
}

// Regexp writes a regular expression of RE2's syntax in a form that RE2, PostgreSQL and Java read in the same way:
// characters, classes spelt out, (?:…), |, * + ? {n,m}, ^ and $. Every $ without a backslash is the end of the text,
// and not the place before a last line feed, as in Java. A backslash only precedes one of \.+*?()|[]{}^$-& and makes it
// literal. With fold, or (?i) in the pattern, letters match both cases (Unicode's simple folding).
//
// The dot does not match a line feed. \d, \s and \w mean ASCII. ^ and $ are the ends of the text, not of lines. These
// are refused with ErrExpression: what has no such form (\b, (?m), look-around, back-references, the character NUL),
// and patterns that are too large. Only whether a text matches counts here, not which part of it, so greedy and lazy
// are the same.
func Regexp(pattern string, fold bool) (string, error) {
	// The printed pattern may parse to a simpler tree, which prints differently. Repeat until it does not change.
	for range 5 {
		printed, err := portable(pattern, fold)
		if err != nil || printed == pattern {
			return printed, err
		}
		pattern, fold = printed, false
	}
	return "", mistyped("the pattern is too intricate")
}

func portable(pattern string, fold bool) (string, error) {
	if len(pattern) > maxPattern*10 {
		return "", mistyped("a pattern of more than %d characters is too large", maxPattern)
	}
	flags := syntax.PerlX | syntax.ClassNL | syntax.OneLine
	if fold {
		flags |= syntax.FoldCase
	}
	tree, err := syntax.Parse(pattern, flags)
	if err != nil {
		return "", mistyped("%s", strings.Replace(err.Error(), "error parsing regexp: ", "in the pattern: ", 1))
	}
	w := &patternWriter{}
	if n := w.write(tree, false); n > maxStates || w.Len() > maxPattern {
		w.refuse("it is too large")
	}
	if w.err != nil {
		return "", w.err
	}
	return w.String(), nil
}

// patternWriter writes a tree in the portable form.
type patternWriter struct {
	strings.Builder
	err error // the first
}

func (w *patternWriter) refuse(why string) {
	if w.err == nil {
		w.err = mistyped("in the pattern: %s", why)
	}
}

// write writes one tree, as a single atom if a quantifier follows, and returns its number of states.
func (w *patternWriter) write(re *syntax.Regexp, atom bool) int {
	if w.Len() > maxPattern*10 {
		w.refuse("it is too large")
	}
	if w.err != nil {
		return 0
	}
	group := func(needed bool, body func() int) int {
		if !needed {
			return body()
		}
		w.WriteString("(?:")
		defer w.WriteByte(')')
		return body()
	}
	switch re.Op {
	case syntax.OpLiteral:
		return group(atom && len(re.Rune) > 1, func() int {
			for _, r := range re.Rune {
				w.literal(r, re.Flags&syntax.FoldCase != 0)
			}
			return len(re.Rune)
		})
	case syntax.OpCharClass:
		w.class(re.Rune)
		return 1 + len(re.Rune)/2
	case syntax.OpAnyCharNotNL:
		w.WriteString("[^\n]")
		return 1
	case syntax.OpAnyChar:
		w.WriteString("(?:[^\n]|\n)")
		return 2
	case syntax.OpBeginText, syntax.OpEndText:
		if atom {
			w.refuse("nothing to repeat")
		}
		w.WriteString(map[syntax.Op]string{syntax.OpBeginText: "^", syntax.OpEndText: "$"}[re.Op])
		return 1
	case syntax.OpCapture:
		return w.write(re.Sub[0], atom)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		return group(atom, func() int { return w.repeat(re) })
	case syntax.OpConcat:
		return group(atom, func() int {
			n := 0
			for _, s := range re.Sub {
				if s.Op == syntax.OpEmptyMatch {
					continue
				}
				// An alternation inside a concatenation needs its own group, also if it is inside a capture.
				n += w.write(s, inner(s).Op == syntax.OpAlternate)
			}
			return n
		})
	case syntax.OpAlternate:
		return w.alternate(re, atom)
	case syntax.OpEmptyMatch:
		w.refuse("a part of it matches the empty text")
	case syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		w.refuse(`\b is not read alike by all engines; write (^|[^A-Za-z0-9_]) or (…|$)`)
	case syntax.OpBeginLine, syntax.OpEndLine:
		w.refuse("^ and $ are the ends of the text, not of lines")
	default:
		w.refuse("a part of it matches nothing")
	}
	return 0
}

func inner(re *syntax.Regexp) *syntax.Regexp {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	return re
}

func (w *patternWriter) repeat(re *syntax.Regexp) int {
	n := w.write(re.Sub[0], true)
	switch re.Op {
	case syntax.OpStar:
		w.WriteByte('*')
	case syntax.OpPlus:
		w.WriteByte('+')
	case syntax.OpQuest:
		w.WriteByte('?')
	default:
		if max(re.Min, re.Max) > maxRepeat {
			w.refuse("{n} repeats at most " + strconv.Itoa(maxRepeat) + " times")
		}
		w.WriteString("{" + strconv.Itoa(re.Min))
		if re.Max != re.Min {
			w.WriteByte(',')
			if re.Max >= 0 {
				w.WriteString(strconv.Itoa(re.Max))
			}
		}
		w.WriteByte('}')
		n = min(n*max(1, re.Min, re.Max), maxStates+1)
	}
	return n
}

// alternate writes a|b, or (?:a|b)? if one alternative is empty.
func (w *patternWriter) alternate(re *syntax.Regexp, atom bool) int {
	subs := slices.DeleteFunc(slices.Clone(re.Sub), func(s *syntax.Regexp) bool { return inner(s).Op == syntax.OpEmptyMatch })
	empty := len(subs) < len(re.Sub)
	if len(subs) == 0 {
		w.refuse("a part of it matches the empty text")
	}
	if atom && empty {
		w.WriteString("(?:")
		defer w.WriteByte(')')
	}
	if atom || empty {
		w.WriteString("(?:")
	}
	n := 0
	for i, s := range subs {
		if i > 0 {
			w.WriteByte('|')
		}
		n += w.write(s, false)
	}
	if atom || empty {
		w.WriteByte(')')
	}
	if empty {
		w.WriteByte('?')
	}
	return n
}

func (w *patternWriter) literal(r rune, fold bool) {
	if r == 0 {
		w.refuse("texts hold no NUL")
	}
	if fold && unicode.SimpleFold(r) != r {
		class := []rune{r, r}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			class = append(class, f, f)
		}
		w.class(class)
		return
	}
	if strings.ContainsRune(`\.+*?()|[]{}^$`, r) {
		w.WriteByte('\\')
	}
	w.WriteRune(r)
}

// class writes sorted ranges of characters. A class that reaches to the end of Unicode is written as its complement.
func (w *patternWriter) class(ranges []rune) {
	type span struct{ from, to rune }
	var spans []span
	for i := 0; i+1 < len(ranges); i += 2 {
		spans = append(spans, span{ranges[i], ranges[i+1]})
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.from - b.from) })
	if n := len(spans); n > 0 && spans[n-1].to == unicode.MaxRune {
		var rest []span
		next := rune(0)
		for _, s := range spans {
			if s.from > next {
				rest = append(rest, span{next, s.from - 1})
			}
			next = s.to + 1
		}
		if len(rest) == 0 {
			w.WriteString("(?:[^\n]|\n)")
			return
		}
		w.WriteString("[^")
		spans = rest
	} else {
		w.WriteByte('[')
	}
	for _, s := range spans {
		if s.from == 0 {
			w.refuse("texts hold no NUL")
		}
		w.member(s.from)
		if s.to > s.from {
			if s.to > s.from+1 {
				w.WriteByte('-')
			}
			w.member(s.to)
		}
	}
	w.WriteByte(']')
}

func (w *patternWriter) member(r rune) {
	if strings.ContainsRune(`\[]^-&`, r) {
		w.WriteByte('\\')
	}
	w.WriteRune(r)
}
