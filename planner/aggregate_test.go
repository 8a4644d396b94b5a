package planner

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/planner/syntax"
)

// TestAggregatesAreNamed checks that package syntax knows the names of all aggregates in the table.
func TestAggregatesAreNamed(t *testing.T) {
	if have := slices.Sorted(maps.Keys(aggregates)); !slices.Equal(have, syntax.Aggregates()) {
		t.Errorf("the table has %v, and syntax names %v", have, syntax.Aggregates())
	}
}

// TestFunctionsAreDocumented checks that the reference documents each function.
func TestFunctionsAreDocumented(t *testing.T) {
	docs, err := os.ReadFile("../docs/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Functions() {
		name, _, _ := strings.Cut(f.Usage, "(")
		if !strings.Contains(string(docs), name) {
			t.Errorf("docs/sql.md does not tell of %s", name)
		}
	}
}
