package enginetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/catalog"
)

// OddCatalog is the catalog of a table with values that databases have and the catalog's types do not: amounts with a
// currency, infinite days and instants, and lists.
const OddCatalog = `
catalog: odd
max_groups: 5
max_rows: 5
tables:
  odd:
    patient: id
    columns:
      id: {type: int, nullable: false}
      cost: {type: float}
      until: {type: timestamp}
      day: {type: date, bounds: ["1900-01-01", "2100-01-01"]}
      seen: {type: date, bounds: ["1900-01-01", "2100-01-01"]}
      tags: {type: text}
`

// OddTypes checks that an engine whose catalog is OddCatalog reads its three rows. Each has the cost 1234.5 and lists
// in tags. until is infinite in the second row. day and seen, an instant of Paris, are infinite in the second row and
// minus infinite in the third. list is the database's name of its list type.
func OddTypes(t *testing.T, form, list string, e Checker, c *catalog.Catalog) {
	t.Helper()
	want := [][]string{{"1", "1234.5", "2023-07-01T12:00:00", "2023-07-01", "2023-07-02"}, {"2", "1234.5", "", "2100-01-01", "2100-01-01"}, {"3", "1234.5", "2023-07-01T12:00:00", "1900-01-01", "1900-01-01"}}
	rows := readRows(t, e, c, "odd")
	for i := range rows {
		rows[i] = rows[i][:5]
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("%s: %s", form, diff)
	}
	found, err := e.Verify(context.Background())
	if err != nil {
		t.Fatalf("%s: %v", form, err)
	}
	var got []string
	for _, f := range found {
		got = append(got, strings.Replace(fmt.Sprintf("%s %s %s", f.Severity, f.Column, f.Text), "TIMESTAMP WITH TIME ZONE", "timestamp with time zone", 1))
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{
		"warning day has 2 values outside of its bounds [1900-01-01, 2100-01-01], which count as the nearest bound",
		"warning seen has 2 values outside of its bounds [1900-01-01, 2100-01-01], which count as the nearest bound",
		"warning seen is of type timestamp with time zone here and date in the catalog; values are converted",
		"warning tags is of type " + list + " here, whose text no two databases write alike; read what is needed of it by a `select`",
		"warning until has 1 values beyond the years 1 to 9999, which read as NULL",
	}, got); diff != "" {
		t.Errorf("%s: %s", form, diff)
	}
}
