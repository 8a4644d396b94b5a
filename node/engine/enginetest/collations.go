package enginetest

import (
	"maps"
	"slices"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// Collations checks that texts compare by their bytes wherever a fragment compares them, in a table whose column ward has a
// collation to which the wards of all three patients are equal. The statements are of a table stay with a row for each.
func Collations(t *testing.T, ward string, open func(t testing.TB, c *catalog.Catalog, statements ...string) Verifier) {
	t.Helper()
	c, err := catalog.Parse([]byte(`
catalog: collations
tables:
  stay:
    key: [id, ward]
    patient: id
    columns:
      id: {type: int, nullable: false}
      ward: {type: text, nullable: false}
`), "collations.yaml")
	if err != nil {
		t.Fatal(err)
	}
	e := open(t, c, "CREATE TABLE stay (id BIGINT, "+ward+")", "INSERT INTO stay VALUES (1, 'north'), (2, 'NORTH'), (3, 'North'), (3, 'nORTH')")
	op := func(o fragment.Op, args ...*fragment.Expr) *fragment.Expr {
		t.Helper()
		e, err := fragment.New(o, args...)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	text := func(s string) *fragment.Expr { return fragment.Literal(value.Text(s)) }
	of := func(relation string) *fragment.Expr { return fragment.Column(relation, "ward", value.TypeText) }
	north := of("s")
	for _, tc := range []struct {
		name   string
		filter *fragment.Expr
		want   []int64 // patients by group
	}{
		{"groups", nil, []int64{1, 1, 1, 1}},
		{"=", op(fragment.OpEqual, north, text("north")), []int64{1}},
		{"= the other way round", op(fragment.OpEqual, text("NORTH"), north), []int64{1}},
		{"not =", op(fragment.OpNot, op(fragment.OpEqual, north, text("north"))), []int64{1, 1, 1}},
		{"<>", op(fragment.OpNotEqual, north, text("north")), []int64{1, 1, 1}},
		{"IN", op(fragment.OpIn, north, text("north"), text("north2")), []int64{1}},
		{"NOT IN", op(fragment.OpNot, op(fragment.OpIn, north, text("north"), text("NORTH"))), []int64{1, 1}},
		{"<", op(fragment.OpLess, north, text("North")), []int64{1}},
		{"IS DISTINCT FROM", op(fragment.OpDistinct, north, text("north")), []int64{1, 1, 1}},
		{"LIKE", op(fragment.OpLike, north, text("nor%")), []int64{1}},
		{"REGEXP", op(fragment.OpRegexp, north, text("^nor")), []int64{1}},
		{"CASE", op(fragment.OpEqual, op(fragment.OpCase, op(fragment.OpEqual, north, text("NORTH")), north, text("")), text("NORTH")), []int64{1}},
		{"a function", op(fragment.OpEqual, op(fragment.OpConcat, north, text("x")), text("northx")), []int64{1}},
		{"LEAST", op(fragment.OpEqual, op(fragment.OpLeast, north, text("nORTH")), north), []int64{1, 1, 1}},
	} {
		f := &fragment.Fragment{Version: fragment.Version, Catalog: c.Digest(), Relations: []fragment.Relation{{Name: "s", Table: "stay"}}, Patient: fragment.Column("s", "id", value.TypeInt),
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
	// Joined with itself by the ward: each row meets one.
	join := &fragment.Fragment{Version: fragment.Version, Catalog: c.Digest(), Relations: []fragment.Relation{{Name: "s", Table: "stay"}, {Name: "o", Table: "stay", Join: fragment.JoinInner,
		On: op(fragment.OpAnd, op(fragment.OpEqual, fragment.Column("s", "id", value.TypeInt), fragment.Column("o", "id", value.TypeInt)), op(fragment.OpEqual, north, of("o")))}},
		Patient: fragment.Column("s", "id", value.TypeInt), Partials: []fragment.Partial{{Kind: fragment.PartialRows}}, Norm: fragment.L2, MaxGroups: 1, MaxRows: 9}
	// Grouped, and the distinct wards of a patient counted, in a derived relation.
	grouped := &fragment.Derived{Patient: "p", Grouped: true, Relations: []fragment.Relation{{Name: "s", Table: "stay"}}, Columns: []fragment.Output{
		{Name: "p", Expr: fragment.Column("s", "id", value.TypeInt)}, {Name: "n", Function: fragment.FunctionDistinct, Expr: north}}}
	two := &fragment.Fragment{Version: fragment.Version, Catalog: c.Digest(), Relations: []fragment.Relation{{Name: "d", Derived: grouped}}, Patient: fragment.Column("d", "p", value.TypeInt),
		Filter: op(fragment.OpEqual, fragment.Column("d", "n", value.TypeInt), fragment.Literal(value.Int(2))), Partials: []fragment.Partial{{Kind: fragment.PartialRows}}, Norm: fragment.L2, MaxGroups: 1, MaxRows: 9}
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
