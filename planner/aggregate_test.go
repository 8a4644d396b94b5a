package planner

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/planner/syntax"
)

// TestAggregatesAreNamed: syntax knows the names of the aggregates that the one table has.
func TestAggregatesAreNamed(t *testing.T) {
	if have := slices.Sorted(maps.Keys(aggregates)); !slices.Equal(have, syntax.Aggregates()) {
		t.Errorf("the table has %v, and syntax names %v", have, syntax.Aggregates())
	}
}

// TestFunctionsAreDocumented: the reference tells of each function.
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
