package expr

import "github.com/intramuros/intramuros/internal/value"

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

func longestArgument(e *Expr, of func(*Expr) int) int { return longestOf(e.Args, of) }

func longestOf(all []*Expr, of func(*Expr) int) int {
	n := 0
	for _, a := range all {
		n = max(n, of(a))
	}
	return n
}

func lengthOfAll(e *Expr, of func(*Expr) int) int {
	n := 0
	for _, a := range e.Args {
		n = min(n+of(a), MaxText)
	}
	return n
}
