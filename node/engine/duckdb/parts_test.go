package duckdb

import (
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

// TestPartsInACollation checks that the bytes of a row's value decide its part, whatever a collation calls equal.
// Otherwise a row would be in two parts, and belong to two patients.
func TestPartsInACollation(t *testing.T) {
	c := testcatalog.Parse(t, `
catalog: bills
tables:
  person: {key: id, patient: id, one_row_per_patient: true, columns: {id: {type: int, nullable: false}}}
  visit: {key: visit, patient: id, columns: {visit: {type: int, nullable: false}, id: {type: int, nullable: false, references: person.id}}}
  drug: {key: drug, patient: id, columns: {drug: {type: int, nullable: false}, id: {type: int, nullable: false, references: person.id}}}
  lower: {part_of: {table: bill, column: what, value: a}, patient: event, columns: {event: {type: int, references: visit.visit}, what: {type: text}}}
  upper: {part_of: {table: bill, column: what, value: A}, patient: event, columns: {event: {type: int, references: drug.drug}, what: {type: text}}}
`)
	path := newDatabase(t, "CREATE TABLE person AS SELECT range AS id FROM range(9)", "CREATE TABLE visit AS SELECT range AS visit, 1::BIGINT AS id FROM range(9)",
		"CREATE TABLE drug AS SELECT range AS drug, 2::BIGINT AS id FROM range(9)",
		"CREATE TABLE bill (event BIGINT, what VARCHAR COLLATE NOCASE)", "INSERT INTO bill VALUES (1, 'a'), (2, 'a'), (3, 'a'), (4, 'A'), (5, 'á')")
	e, err := Open(t.Context(), Config{Database: path}, c, enginetest.Hospital, testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for table, want := range map[string]int64{"lower": 3, "upper": 1} {
		of := map[string]string{"lower": "visit", "upper": "drug"}[table]
		on, err := expr.New(expr.OpEqual, expr.Column("b", "event", value.TypeInt), expr.Column("e", of, value.TypeInt))
		if err != nil {
			t.Fatal(err)
		}
		f := &fragment.Fragment{
			Version: fragment.Version, Catalog: c.Digest(), Patient: expr.Column("e", "id", value.TypeInt), Norm: fragment.L1, MaxGroups: 5, MaxRows: 10,
			Relations: []fragment.Relation{{Name: "b", Table: table}, {Name: "e", Table: of, Join: fragment.JoinInner, On: on}},
			Partials:  []fragment.Partial{{Kind: fragment.PartialRows}},
		}
		got, _, _ := enginetest.Partials(t, e, c, f)
		for _, sums := range got {
			if sums[0] != want {
				t.Errorf("%s has %d rows, want %d", table, sums[0], want)
			}
		}
	}
}
