package enginetest

import (
	"maps"
	"slices"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

// Collations checks that texts compare by their bytes wherever a fragment compares them. The table's column ward has a
// collation in which the wards of all three patients are equal. The statements make a table stay with a row for each
// patient.
func Collations(t *testing.T, ward string, open func(t testing.TB, c *catalog.Catalog, statements ...string) Verifier) {
	t.Helper()
	c := testcatalog.Parse(t, `
catalog: collations
tables:
  stay:
    key: [id, ward]
    patient: id
    columns:
      id: {type: int, nullable: false}
      ward: {type: text, nullable: false}
`)
	e := open(t, c, "CREATE TABLE stay (id BIGINT, "+ward+")", "INSERT INTO stay VALUES (1, 'north'), (2, 'NORTH'), (3, 'North'), (3, 'nORTH')")
	op := func(o expr.Op, args ...*expr.Expr) *expr.Expr {
		t.Helper()
		e, err := expr.New(o, args...)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	text := func(s string) *expr.Expr { return expr.Literal(value.Text(s)) }
	of := func(relation string) *expr.Expr { return expr.Column(relation, "ward", value.TypeText) }
	north := of("s")
	for _, tc := range []struct {
		name   string
		filter *expr.Expr
		want   []int64 // patients by group
	}{
		{"groups", nil, []int64{1, 1, 1, 1}},
		{"=", op(expr.OpEqual, north, text("north")), []int64{1}},
		{"= the other way round", op(expr.OpEqual, text("NORTH"), north), []int64{1}},
		{"not =", op(expr.OpNot, op(expr.OpEqual, north, text("north"))), []int64{1, 1, 1}},
		{"<>", op(expr.OpNotEqual, north, text("north")), []int64{1, 1, 1}},
		{"IN", op(expr.OpIn, north, text("north"), text("north2")), []int64{1}},
		{"NOT IN", op(expr.OpNot, op(expr.OpIn, north, text("north"), text("NORTH"))), []int64{1, 1}},
		{"<", op(expr.OpLess, north, text("North")), []int64{1}},
		{"IS DISTINCT FROM", op(expr.OpDistinct, north, text("north")), []int64{1, 1, 1}},
		{"LIKE", op(expr.OpLike, north, text("nor%")), []int64{1}},
		{"REGEXP", op(expr.OpRegexp, north, text("^nor")), []int64{1}},
		{"CASE", op(expr.OpEqual, op(expr.OpCase, op(expr.OpEqual, north, text("NORTH")), north, text("")), text("NORTH")), []int64{1}},
		{"a function", op(expr.OpEqual, op(expr.OpConcat, north, text("x")), text("northx")), []int64{1}},
		{"LEAST", op(expr.OpEqual, op(expr.OpLeast, north, text("nORTH")), north), []int64{1, 1, 1}},
	} {
		f := &fragment.Fragment{Version: fragment.Version, Catalog: c.Digest(), Relations: []fragment.Relation{{Name: "s", Table: "stay"}}, Patient: expr.Column("s", "id", value.TypeInt),
			Filter: tc.filter, Keys: []fragment.Key{{Expr: north}}, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}}, Norm: fragment.L2, MaxGroups: 5, MaxRows: 5}
		got, _, _ := Partials(t, e, c, f)
		var patients []int64
		for _, k := range slices.Sorted(maps.Keys(got)) {
			patients = append(patients, got[k][0])
		}
		if !slices.Equal(patients, tc.want) {
			t.Errorf("%s: %v, not %v", tc.name, got, tc.want)
		}
	}
	// Joined with itself by the ward: each row finds one.
	join := &fragment.Fragment{Version: fragment.Version, Catalog: c.Digest(), Relations: []fragment.Relation{{Name: "s", Table: "stay"}, {Name: "o", Table: "stay", Join: fragment.JoinInner,
		On: op(expr.OpAnd, op(expr.OpEqual, expr.Column("s", "id", value.TypeInt), expr.Column("o", "id", value.TypeInt)), op(expr.OpEqual, north, of("o")))}},
		Patient: expr.Column("s", "id", value.TypeInt), Partials: []fragment.Partial{{Kind: fragment.PartialRows}}, Norm: fragment.L2, MaxGroups: 1, MaxRows: 9}
	// In a derived relation: grouping, and counting the distinct wards of a patient.
	grouped := &fragment.Query{Patient: "p", Grouped: true, Relations: []fragment.Relation{{Name: "s", Table: "stay"}}, Columns: []fragment.Output{
		{Name: "p", Expr: expr.Column("s", "id", value.TypeInt)}, {Name: "n", Function: fragment.FunctionDistinct, Expr: north}}}
	two := &fragment.Fragment{Version: fragment.Version, Catalog: c.Digest(), Relations: []fragment.Relation{{Name: "d", Query: grouped}}, Patient: expr.Column("d", "p", value.TypeInt),
		Filter: op(expr.OpEqual, expr.Column("d", "n", value.TypeInt), expr.Literal(value.Int(2))), Partials: []fragment.Partial{{Kind: fragment.PartialRows}}, Norm: fragment.L2, MaxGroups: 1, MaxRows: 9}
	for name, tc := range map[string]struct {
		f    *fragment.Fragment
		want int64
	}{"a join": {join, 4}, "distinct": {two, 1}} {
		got, _, _ := Partials(t, e, c, tc.f)
		if got[""][0] != tc.want {
			t.Errorf("%s: %v, not %d", name, got, tc.want)
		}
	}
	if found, err := e.Contradictions(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}
