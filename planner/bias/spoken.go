package bias

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/clamp"
)

// Abridged leaves out the middle of a very long text.
func Abridged(s string) string {
	const most = 300
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most*2/3]) + " … " + string(r[len(r)-most/3:])
}

// Spoken returns the text of an expression for a warning: CLAMP as it was written, a date as a date, and for a long
// expression the columns that it reads. unqualified removes the names that planning added.
func Spoken(e *expr.Expr, unqualified func(string) string) string {
	const longest = 60
	if e.Op == expr.OpDivide && e.Args[1].Op == expr.OpLiteral && sinceEpoch(e.Args[0]) {
		e = e.Args[0] // seconds
	}
	if sinceEpoch(e) {
		e = e.Args[0]
	}
	if e.Op == expr.OpCase && len(e.Args) == 3 && e.Args[0].Op == expr.OpIsNull && clamp.Is(e.Args[2]) {
		if x := e.Args[2].Args[0]; x.Args[0].Equal(e.Args[0].Args[0]) {
			of, lower, upper := Spoken(x.Args[0], unqualified), e.Args[2].Args[1], x.Args[1]
			if strings.Contains(of, ", ") { // several columns would read as arguments
				return fmt.Sprintf("CLAMP(…, %s, %s) of %s", lower, upper, of)
			}
			return fmt.Sprintf("CLAMP(%s, %s, %s)", of, lower, upper)
		}
	}
	text := e.String()
	if utf8.RuneCountInString(text) > longest {
		var columns []string
		e.Columns(func(relation, column string) {
			if c := relation + "." + column; !slices.Contains(columns, c) {
				columns = append(columns, c)
			}
		})
		text = strings.Join(columns, ", ")
	}
	return Abridged(unqualified(text))
}

// Of returns " of " and the expression. It returns an empty text for a column that planning named.
func Of(e *expr.Expr, unqualified func(string) string) string {
	if text := Spoken(e, unqualified); text != "value" && !strings.HasPrefix(text, "value_") {
		return " of " + text
	}
	return ""
}

// sinceEpoch reports whether an expression is a date or a timestamp as a number.
func sinceEpoch(e *expr.Expr) bool {
	return e.Op == expr.OpSubtract && e.Args[1].Op == expr.OpLiteral && (*e.Args[1].Value == value.Date(0) || *e.Args[1].Value == value.Timestamp(0))
}
