package enginetest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

const vocabularyCatalog = `
catalog: vocabulary
tables:
  person: {key: id, patient: id, columns: {id: {type: int, nullable: false}}}
  term:
    public: true
    columns: {n: {type: int}, s: {type: text}, x: {type: float}, d: {type: date}, ts: {type: timestamp}, b: {type: bool}}
`

// lookups compares the rows of a public table, in many orders, with rows ordered by package value. It checks that no
// patient's rows are read.
func (k Kind) lookups(t *testing.T) {
	c := testcatalog.Parse(t, vocabularyCatalog)
	table := Table{Name: "term", Columns: []Column{{"n", value.TypeInt}, {"s", value.TypeText}, {"x", value.TypeFloat}, {"d", value.TypeDate}, {"ts", value.TypeTimestamp}, {"b", value.TypeBool}}}
	texts := []any{"b", "B", "a", "Á", "é", "e", "", " ", "a b", "a-b", "ab", "😀", "NULL", nil, "z\tz", "\\", "'\""}
	for i := range 120 {
		row := []any{int64(i%7 - 3), texts[i*5%len(texts)], float64(i%5)/4 - 0.5, Day(i%9 - 4), Instant(int64(i%4)*3_600_000_001 - 1), i%3 == 0}
		if i%11 == 0 {
			row[i%6] = nil
		}
		table.Rows = append(table.Rows, row)
	}
	person := Table{Name: "person", Columns: []Column{{"id", value.TypeInt}}, Rows: [][]any{{int64(1)}}}
	e, ok := k.Open(t, c, "a secret of the node, for tests only", table, person).(interface {
		Look(ctx context.Context, r *fragment.Reading, take func(row []value.Value) error) error
	})
	if !ok {
		t.Fatal("the engine looks nothing up")
	}
	d := &fragment.Query{Relations: []fragment.Relation{{Name: "term", Table: "term"}}}
	for _, col := range table.Columns {
		d.Columns = append(d.Columns, fragment.Output{Name: col.Name, Expr: expr.Column("term", col.Name, col.Type)})
	}
	known := read(c, table)
	for i, by := range append(table.Columns, table.Columns...) {
		r := fragment.Reading{Relation: d, Limit: 50, Offset: i * 7, Order: []fragment.Place{{Column: by.Name, Descending: i%2 == 0, NullsFirst: i > 5}, {Column: table.Columns[(i+2)%6].Name, NullsFirst: i%3 == 0}}}
		described, err := r.Table(c)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Clone(known)
		slices.SortStableFunc(want, func(a, b map[string]value.Value) int {
			for _, p := range r.Places(described) {
				if cmp := (fragment.Order{Descending: p.Descending, NullsFirst: p.NullsFirst}).Compare(a[p.Column], b[p.Column]); cmp != 0 {
					return cmp
				}
			}
			return 0
		})
		want = want[r.Offset:min(len(want), r.Offset+r.Limit)]
		var got []map[string]value.Value
		if err := e.Look(t.Context(), &r, func(row []value.Value) error {
			cells := map[string]value.Value{}
			for j, v := range row {
				cells[table.Columns[j].Name] = v
			}
			got = append(got, cells)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("ordered by %+v:\n%v\nwant\n%v", r.Order, got, want)
		}
	}
	stop := errors.New("enough")
	if err := e.Look(t.Context(), &fragment.Reading{Relation: d, Limit: 5}, func([]value.Value) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	private := &fragment.Query{Relations: []fragment.Relation{{Name: "person", Table: "person"}}, Patient: "id", Columns: []fragment.Output{{Name: "id", Expr: expr.Column("person", "id", value.TypeInt)}}}
	if err := e.Look(t.Context(), &fragment.Reading{Relation: private, Limit: 5}, func([]value.Value) error { return nil }); err == nil {
		t.Error("a patient was read")
	}
}
