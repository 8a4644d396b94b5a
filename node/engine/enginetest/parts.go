package enginetest

import (
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

const billCatalog = `
catalog: bills
tables:
  person: {key: id, patient: id, one_row_per_patient: true, columns: {id: {type: int, nullable: false}}}
  visit: {key: visit, patient: id, columns: {visit: {type: int, nullable: false}, id: {type: int, nullable: false, references: person.id}}}
  drug: {key: drug, patient: id, columns: {drug: {type: int, nullable: false}, id: {type: int, nullable: false, references: person.id}}}
  bill:
    key: bill
    patient: event
    parts: {column: what, values: {Visit: visit.visit, Drug: drug.drug}}
    columns: {bill: {type: int, nullable: false}, event: {type: int, nullable: false}, what: {type: text, nullable: false}, paid: {type: int, bounds: [0, 1000]}}
`

// parts sums the bills of each patient, whose visits and drugs have the same numbers. A bill counts for the patient of
// its own visit or drug, whatever else has that number. A bill for neither counts for nobody.
func (k Kind) parts(t *testing.T) {
	c := testcatalog.Parse(t, billCatalog)
	ids := func(name, key string, rows ...[]any) Table {
		return Table{Name: name, Columns: []Column{{key, value.TypeInt}, {"id", value.TypeInt}}, Rows: rows}
	}
	bills := Table{Name: "bill", Columns: []Column{{"bill", value.TypeInt}, {"event", value.TypeInt}, {"what", value.TypeText}, {"paid", value.TypeInt}}, Rows: [][]any{
		{int64(1), int64(7), "Visit", int64(100)}, {int64(2), int64(7), "Drug", int64(20)}, {int64(3), int64(8), "Visit", int64(3)},
		{int64(4), int64(7), "Visit", int64(400)}, {int64(5), int64(7), "Device", int64(999)}, {int64(6), int64(9), "Drug", int64(5)}, {int64(7), int64(7), "Drug ", int64(998)},
	}}
	e := k.Open(t, c, "a secret of the node, for tests only", Table{Name: "person", Columns: []Column{{"id", value.TypeInt}}, Rows: [][]any{{int64(1)}, {int64(2)}}},
		ids("visit", "visit", []any{int64(7), int64(1)}, []any{int64(8), int64(2)}), ids("drug", "drug", []any{int64(7), int64(2)}, []any{int64(9), int64(2)}), bills)
	for _, part := range []struct {
		table, of string
		patients  int64
		paid      int64
	}{{"bill_visit", "visit", 2, 503}, {"bill_drug", "drug", 1, 25}} {
		event := expr.Column("b", "event", value.TypeInt)
		f := &fragment.Fragment{
			Version: fragment.Version, Catalog: c.Digest(), Patient: expr.Column("e", "id", value.TypeInt), Norm: fragment.L1, MaxGroups: 5, MaxRows: 10,
			Relations: []fragment.Relation{{Name: "b", Table: part.table}, {Name: "e", Table: part.of, Join: fragment.JoinInner, On: op(expr.OpEqual, event, expr.Column("e", part.of, value.TypeInt))}},
			Partials:  []fragment.Partial{{Kind: fragment.PartialPatients}, {Kind: fragment.PartialSum, Expr: expr.Column("b", "paid", value.TypeInt), Grid: &fragment.Grid{Upper: 1000}}},
		}
		got, _, _ := Partials(t, e, c, f)
		for _, sums := range got {
			if sums[0] != part.patients || sums[1] != part.paid {
				t.Errorf("%s: %d patients, %d paid; want %d and %d", part.table, sums[0], sums[1], part.patients, part.paid)
			}
		}
	}
}
