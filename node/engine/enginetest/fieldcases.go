package enginetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine"
)

// FieldCatalog has the cases found in hospitals that are not specific to CSV. Table letter also has texts with line
// feeds and one of three million characters, beside its declared columns; its weights, days and words are French texts.
// Table absent lacks the patient's column: it is called patient there. It has dead.
const FieldCatalog = `
catalog: field
max_groups: 5
max_rows: 5
tables:
  letter:
    patient: id
    columns:
      id: {type: int, nullable: false}
      dead: {type: bool}
      weight: {type: float, bounds: [0, 200]}
      day: {type: date}
      smoker: {type: bool}
      retired: {type: bool}
  absent:
    patient: id
    columns:
      id: {type: int, nullable: false}
      dead: {type: bool}
`

// FieldColumns are the hospital's columns of letter: id is an integer, the others are texts.
var FieldColumns = []string{"id", "note", "dead", "weight", "day", "smoker", "retired"}

// Letters are the rows of table letter, in that order.
func Letters() [][]string {
	return [][]string{
		{"1", "line one\nline \"two\", 1", "yes", "50,5", "05/03/2023", "O", "yes"},
		{"2", strings.Repeat("x", 3_000_000), "no", "60,0", "25/03/2023", "N", "no"},
		{"3", "\n", "no", "70,5", "31/03/2023", "N", "O"},
	}
}

// FieldCases checks an engine whose catalog is FieldCatalog, with the same messages on each engine. It must read each
// letter, report that weights, days and words are unreadable as they are, and not offer the table without the patient.
func FieldCases(t *testing.T, form string, e Checker, c *catalog.Catalog) {
	t.Helper()
	want := [][]string{{"1", "true", "", "", "", "true"}, {"2", "false", "", "", "false", "false"}, {"3", "false", "", "", "false", ""}}
	if diff := cmp.Diff(want, readRows(t, e, c, "letter")); diff != "" {
		t.Errorf("%s: %s", form, diff)
	}
	found, err := e.Verify(context.Background())
	if err != nil {
		t.Fatalf("%s: %v", form, err)
	}
	var got []string
	for _, f := range found {
		got = append(got, fmt.Sprintf("%s %s.%s %s", f.Severity, f.Table, f.Column, f.Text))
	}
	slices.Sort(got)
	const closed = ": more than 90 % of them. Map another column, mend the catalog, or accept it in node.yaml by the table's max_unusable"
	if diff := cmp.Diff([]string{
		"error absent.id does not exist here, and leads to the patient: nothing can be answered without it; map it in node.yaml, `columns`",
		"error letter.day has 3 values that are no date and read as NULL" + strings.Replace(closed, "90", "50", 1),
		"error letter.smoker has 1 values that are words for true in another language, and read as NULL: more than are read as true. Give them in node.yaml, `csv: {true: […], false: […]}`, or read the column by a `select`; or accept the loss by the table's max_unusable",
		"error letter.weight has 3 values that are no float and read as NULL" + closed,
		"warning letter.retired has 1 values that are no bool and read as NULL",
		"warning letter.retired has 1 values that are words for true in another language, and read as NULL", // a single one closes nothing
		"warning letter.smoker has 1 values that are no bool and read as NULL",
	}, got); diff != "" {
		t.Errorf("%s: %s", form, diff)
	}
	// The checks for a server whose tables are not read as a whole must refuse the same columns.
	severe := func(found []engine.Finding) (all []string) {
		for _, f := range found {
			if f.Severity == engine.SeverityError {
				all = append(all, f.Table+"."+f.Column)
			}
		}
		slices.Sort(all)
		return all
	}
	less, err := e.Contradictions(context.Background())
	if err != nil {
		t.Fatalf("%s: %v", form, err)
	}
	if diff := cmp.Diff(severe(found), severe(less)); diff != "" {
		t.Errorf("%s: %s", form, diff)
	}
}
