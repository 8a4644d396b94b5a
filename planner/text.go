package planner

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// abridged removes the middle of a very long text.
func abridged(s string) string {
	const most = 300
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most*2/3]) + " … " + string(r[len(r)-most/3:])
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func whole(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func number(x float64) string { return fmt.Sprintf("%.4g", x) }

// plain writes a number with four significant digits, without an exponent if possible.
func plain(x float64) string {
	rounded, err := strconv.ParseFloat(number(x), 64)
	if err != nil || math.Abs(rounded) >= 1e15 || math.Abs(rounded) < 1e-4 {
		return number(x)
	}
	return whole(rounded)
}

func domainText(d []value.Value) string {
	if d == nil {
		return ", undeclared: groups must be selected"
	}
	var names []string
	for _, v := range d {
		names = append(names, expr.Literal(v).String())
	}
	if len(names) > 8 {
		names = append(append(names[:4:4], "…"), names[len(names)-3:]...)
	}
	return fmt.Sprintf(" in %d declared: %s", len(d), strings.Join(names, ", "))
}

// unmeasured says that it is not measured how much is beyond a limit.
func unmeasured(limit string) string {
	return "how much is beyond " + limit + " and left out is not measured: ask for a count beside it; intervals hold the value without that part"
}

// divisor is the greatest common divisor.
func divisor(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}
