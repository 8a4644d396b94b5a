package integration

import (
	"reflect"
	"slices"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestGoldensInPostgreSQL takes every query that planner/testdata/plan plans against OMOP, and compares PostgreSQL's
// and DuckDB's results over a hospital's rows, number by number. Nothing may depend on the order of tied rows, on an
// engine's order of texts, or on the precision of its floats.
func TestGoldensInPostgreSQL(t *testing.T) {
	m := newMixed(t, 60)
	lyon := slices.Index(m.hospitals, "lyon")
	compared, refused := 0, 0
	datadriven.Walk(t, "../planner/testdata/plan", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "omop" || len(d.CmdArgs) > 0 {
				return d.Expected
			}
			program, err := m.compose(d.Input)
			if err != nil {
				refused++
				return d.Expected
			}
			for i, release := range program.Releases {
				if slices.ContainsFunc(release.Fragment.Tables(), m.isPart) {
					continue // it reads a table that this PostgreSQL does not have
				}
				want, got := exact(t, release, m.files[lyon:lyon+1]), exact(t, release, m.engines[lyon:lyon+1])
				if compared++; !reflect.DeepEqual(want, got) {
					t.Errorf("%s: %s\nrelease %d: PostgreSQL\n%v\nDuckDB\n%v", d.Pos, d.Input, i+1, got, want)
				}
			}
			return d.Expected
		})
	})
	if compared < 400 {
		t.Errorf("%d releases were compared, not 400", compared)
	}
	t.Logf("%d releases compared, %d queries refused", compared, refused)
}

// isPart reports whether a table is a part of another's rows, as the costs of drugs are.
func (m *mixed) isPart(name string) bool {
	table, ok := m.catalog.Table(name)
	return ok && table.Part != nil
}
