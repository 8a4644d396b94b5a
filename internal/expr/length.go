package expr

import (
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/value"
)

// Limits of texts, in characters (Unicode code points). What is longer is cut, never refused: a text's length is a
// patient's own, and must not decide whether a query fails.
const (
	// MaxText is how much of a stored text operations read: what stands after it is as if it were not there. What needs
	// no memory of its own reads a bare column whole: to compare it, to find something in it with LIKE or POSITION, to
	// measure it, to order and group by it, and to pass it on.
	MaxText = 65_536
	// MaxGrown is where a text ends that || or a growing REPLACE makes, and how much of its text that REPLACE reads.
	MaxGrown = 1024
	// MaxKey is where a text ends that rows are grouped by and a node answers with.
	MaxKey = 512
	// maxGrowth is how many times as long as what it replaces the constant of a REPLACE may be.
	maxGrowth = 64
)

// Cut returns the first n characters of a text; a NULL stays.
func Cut(v value.Value, n int) value.Value {
	if v.IsNull() || len(v.Str()) <= n {
		return v
	}
	return value.Text(firstCharacters(v.Str(), n))
}

func firstCharacters(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for at := range s {
		if n == 0 {
			return s[:at]
		}
		n--
	}
	return s
}

// readsWhole reports whether the operation reads a text that is a bare column to its end.
func (e *Expr) readsWhole() bool {
	switch e.Op {
	case OpLike:
		return !SlowLike(e.Args[1].Value.Str())
	case OpEqual, OpNotEqual, OpLess, OpLessOrEqual, OpGreater, OpGreaterOrEqual, OpIn, OpIsNull, OpDistinct, OpLength, OpPosition,
		OpCast: // so long a text is no number and no date
		return true
	}
	return false
}

// Grows reports whether the operation may make a longer text than it reads, which then is cut at MaxGrown.
func (e *Expr) Grows() bool {
	switch e.Op {
	case OpConcat:
		return e.sum() > MaxGrown
	case OpReplace:
		return utf8.RuneCountInString(e.Args[2].Value.Str()) > utf8.RuneCountInString(e.Args[1].Value.Str())
	}
	return false
}

func (e *Expr) sum() int {
	n := 0
	for _, a := range e.Args {
		n = min(n+a.Longest(), MaxText)
	}
	return n
}

// Longest bounds how many characters the text of an expression has; that of a bare column counts as what operations
// read of it.
func (e *Expr) Longest() int {
	switch e.Op {
	case OpLiteral:
		if e.Value.IsNull() {
			return 0
		}
		return utf8.RuneCountInString(e.Value.Str())
	case OpConcat:
		return min(e.sum(), MaxGrown)
	case OpReplace:
		if e.Grows() {
			return MaxGrown
		}
		return e.Args[0].Longest()
	case OpLower, OpUpper, OpLeftTrim, OpRightTrim, OpSplit:
		return e.Args[0].Longest()
	case OpSubstring:
		n := e.Args[0].Longest()
		if l := e.Args[2]; l.Op == OpLiteral && !l.Value.IsNull() && l.Value.Int64() < int64(n) {
			n = max(0, int(l.Value.Int64()))
		}
		return n
	case OpCase, OpCoalesce, OpLeast, OpGreatest:
		n := 0
		for i, a := range e.Args {
			if e.Op != OpCase || i%2 == 1 || i == len(e.Args)-1 {
				n = max(n, a.Longest())
			}
		}
		return n
	case OpCast:
		if from := e.Args[0].Type; from != value.TypeText {
			return longestDigits
		}
		return e.Args[0].Longest()
	}
	return MaxText
}

// longestDigits is the length of the longest text of a number or a date.
const longestDigits = 30
