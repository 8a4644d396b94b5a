package expr

import "github.com/intramuros/intramuros/internal/value"

// Limits of texts, in characters (Unicode code points). A longer text is cut and never refused: the length of a text is
// a patient's own value, and must not decide whether a query fails.
const (
	// MaxText is how much of a stored text operations read; they ignore the rest. Operations that need no memory of
	// their own read a bare column as a whole: comparing it, searching in it with LIKE or POSITION, measuring it,
	// ordering and grouping by it, and returning it.
	MaxText = 65_536
	// MaxGrown is the limit of a text that || or a growing REPLACE makes, and of the text that such a REPLACE reads.
	MaxGrown = 1024
	// MaxKey is the limit of a text that rows are grouped by and that a node answers with.
	MaxKey = 512
	// maxGrowth bounds the length of the replacement in a REPLACE, in multiples of the replaced text.
	maxGrowth = 64
)

// Cut returns the first n characters of a text. NULL stays NULL.
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
