package planner

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func whole(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func number(x float64) string { return fmt.Sprintf("%.4g", x) }

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
