package planner

import (
	"maps"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/planner/scalar"
)

// Function is a function that queries may use.
type Function struct {
	Usage     string       // as a person writes it
	Aggregate bool         // of rows of many patients
	Table     bool         // stands in FROM, and makes released rows of a query; else, and if no aggregate, of the values of one row
	Works     scalar.Works // of a function of a row; empty: another one
}

// Name is what stands before the function's arguments, in lower case.
func (f Function) Name() string {
	name, _, _ := strings.Cut(f.Usage, "(")
	return strings.ToLower(name)
}

// Functions lists all functions, by name: aggregates, those that stand in FROM, those of a row.
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

// tableFunctions are how the functions in FROM are written.
var tableFunctions = []string{
	"INCIDENCE_RATE((SELECT time, event, strata … FROM …), horizon => n [, per => n])",
	"KAPLAN_MEIER((SELECT time, event, strata … FROM …), horizon => n [, step => n] [, every => n])",
}
