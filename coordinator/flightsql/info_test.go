package flightsql

import (
	"slices"
	"testing"

	"github.com/intramuros/intramuros/planner"
)

// TestFunctions: clients are told of every function of the planner, once, and of no other.
func TestFunctions(t *testing.T) {
	var known []string
	for _, f := range planner.Functions() {
		if !f.Aggregate {
			known = append(known, nameOf(f))
		}
	}
	told := slices.Concat(numericFunctions, textFunctions, systemFunctions, dateFunctions)
	slices.Sort(known)
	slices.Sort(told)
	if !slices.Equal(told, known) {
		t.Errorf("clients are told of\n%v, and there are\n%v", told, known)
	}
}
