package flightsql

import (
	"slices"
	"testing"

	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/scalar"
)

// TestFunctions checks that clients are told every function of the planner, once, where they look for it.
func TestFunctions(t *testing.T) {
	told := map[string][]string{
		"numbers": working(scalar.OnNumbers), "texts": working(scalar.OnTexts), "times": working(scalar.OnTimes), "system": functionNames(general), "aggregates": functionNames(aggregate),
	}
	seen := map[string]string{}
	for where, names := range told {
		for _, name := range names {
			if seen[name] != "" && where != "aggregates" && seen[name] != "aggregates" { // some names are both
				t.Errorf("%s is of %s and of %s", name, where, seen[name])
			}
			seen[name] = where
		}
	}
	for _, f := range planner.Functions() {
		if seen[f.Name()] == "" {
			t.Errorf("no client is told of %s", f.Usage)
		}
	}
	for name, where := range map[string]string{"round": "numbers", "lower": "texts", "date_trunc": "times", "coalesce": "system", "kaplan_meier": "system", "median": "aggregates"} {
		if !slices.Contains(told[where], name) {
			t.Errorf("%s is not among %s", name, where)
		}
	}
}
