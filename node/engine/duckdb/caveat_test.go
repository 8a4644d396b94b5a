package duckdb

import (
	"slices"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

// TestCaveats checks that the caveats name what a hospital has less of than the catalog, for what a query reads only.
// Rows do not matter.
func TestCaveats(t *testing.T) {
	absent := fragment.Caveat{Kind: fragment.CaveatAbsent, Table: "stay", Column: "town"}
	rejected := fragment.Caveat{Kind: fragment.CaveatRejected, Table: "stay", Share: 0.02}
	unusable := fragment.Caveat{Kind: fragment.CaveatUnusable, Table: "stay", Share: 0.95}
	column := func(relation, name string) *expr.Expr { return expr.Column(relation, name, value.TypeText) }
	id := func(relation string) *expr.Expr { return expr.Column(relation, "id", value.TypeInt) }
	of := func(key string) *fragment.Fragment {
		return &fragment.Fragment{Relations: []fragment.Relation{{Name: "s", Table: "stay"}}, Patient: id("s"), Keys: []fragment.Key{{Expr: column("s", key)}}, Norm: fragment.L2}
	}
	nested := of("code")
	nested.Relations = []fragment.Relation{{Name: "s", Query: &fragment.Query{Patient: "id", Relations: []fragment.Relation{{Name: "i", Table: "STAY"}},
		Columns: []fragment.Output{{Name: "id", Expr: id("i")}, {Name: "code", Expr: column("i", "town")}}}}}
	lines, fewer := "id,code,town\n1,7,Lyon\n", "id,code\n1,7\n"
	for _, test := range []struct {
		name, config, file string
		fragment           *fragment.Fragment
		want               []fragment.Caveat
	}{
		{"nothing", "", lines, of("town"), nil},
		{"a column that is not read", "", fewer, of("code"), nil},
		{"a column that is read", "", fewer, of("town"), []fragment.Caveat{absent}},
		{"within", "", fewer, nested, []fragment.Caveat{absent}},
		{"a loss that is accepted, and is none", "csv: {max_rejected: 2 %}", lines, of("code"), []fragment.Caveat{rejected}},
		{"a loss that is accepted, and is one", "csv: {max_rejected: 2 %}", lines + "2\n", of("code"), []fragment.Caveat{rejected}},
		{"a table's own", "tables: {stay: {max_unusable: 95 %, csv: {max_rejected: 2 %}}}", fewer, of("town"), []fragment.Caveat{absent, rejected, unusable}},
		{"a select", "csv: {max_rejected: 2 %}\ntables: {stay: {select: SELECT id::BIGINT AS id FROM source.main.stay}}", lines, of("town"), []fragment.Caveat{absent, rejected}},
	} {
		e := openFolder(t, enginetest.StayCatalog, test.config, map[string][]byte{"stay.csv": []byte(test.file)})
		f := test.fragment
		f.Version, f.Catalog, f.MaxGroups, f.MaxRows, f.Partials = fragment.Version, e.catalog.Digest(), 5, 5, []fragment.Partial{{Kind: fragment.PartialPatients}}
		p, err := fragment.Check(f, e.catalog)
		if err != nil {
			t.Fatal(err)
		}
		_, got, err := e.Compile(f, p)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, not %v", test.name, got, test.want)
		}
	}
}
