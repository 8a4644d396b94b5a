package planner

import (
	"maps"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/planner/scalar"
)

// Function is a function that queries may use.
type Function struct {
	Usage     string       // the written form, for people
	Aggregate bool         // computed from rows of many patients
	Table     bool         // stands in FROM and turns a query's rows into released rows; if neither, it is a function of one row
	Works     scalar.Works // the group of a function of one row; else empty
}

// Name is the function's name without its arguments, in lower case.
func (f Function) Name() string {
	name, _, _ := strings.Cut(f.Usage, "(")
	return strings.ToLower(name)
}

// Functions lists all functions, ordered by name within each kind: aggregates, functions in FROM, functions of one row.
func Functions() []Function {
	var all []Function
	for _, name := range slices.Sorted(maps.Keys(aggregates)) {
		arguments, ok := map[string]string{"quantile": "x, q", "histogram": "x, low, high, bins", "regr_slope": "y, x", "regr_intercept": "y, x"}[name]
		if !ok {
			arguments = strings.Join([]string{"x", "y"}[:aggregates[name].arguments], ", ")
		}
		all = append(all, Function{Usage: strings.ToUpper(name) + "(" + arguments + ")", Aggregate: true})
	}
	for _, usage := range tableFunctions {
		all = append(all, Function{Usage: usage, Table: true})
	}
	for _, f := range scalar.Functions() {
		all = append(all, Function{Usage: f.Usage, Works: f.Works})
	}
	return all
}

// tableFunctions are the written forms of the functions in FROM.
var tableFunctions = []string{
	"INCIDENCE_RATE((SELECT time, event, strata … FROM …), horizon => n [, per => n])",
	"KAPLAN_MEIER((SELECT time, event, strata … FROM …), horizon => n [, step => n] [, every => n])",
}
