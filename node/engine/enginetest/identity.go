package enginetest

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
)

// Verifier is an engine that compares its data with the catalog.
type Verifier interface {
	Engine
	Contradictions(ctx context.Context) ([]engine.Finding, error)
}

// Identity is a column of ids in a database, and whether it distinguishes patients.
type Identity struct {
	Column string   // in SQL, such as "id BIGINT"
	Type   string   // in the catalog
	Values []string // in SQL, one per patient
	Refuse string   // the finding for the table; empty: there is none, and each value is a patient
}

// ID makes an Identity.
func ID(column, of, refuse string, values ...string) Identity {
	return Identity{Column: column, Type: of, Values: values, Refuse: refuse}
}

// SpelledIDs are identities of a column of texts that should be integers.
func SpelledIDs(column string) []Identity {
	return []Identity{
		ID(column, "int", "", "'712'", "'-3'", "'0'"),
		ID(column, "int", Unspelled, "'712'", "'0712'"),
		ID(column, "int", Unspelled, "'712.2'", "'712.4'"),
		ID(column, "int", Unspelled, "'1e3'", "'1000'"),
		ID(column, "int", Unspelled, "'+712'", "'712'"),
		ID(column, "int", Unspelled, "' 712'", "'712'"),
		ID(column, "int", Unspelled, "'-0'", "'0'"),
		ID(column, "int", Unspelled, "'0x10'", "'16'"),
		ID(column, "int", Unspelled, "'1_000'", "'1000'"),
		ID(column, "int", Unspelled, "'true'", "'1'"),
	}
}

// Unspelled is the finding for texts that should be integers but have another spelling.
const Unspelled = "tells patients apart, and holds values that are no int as one is written (without zeros, a sign, blanks or a point more than it needs): " +
	"they could be one patient's or several's; mend them, or declare the column as text in all tables of the catalog"

// Mistyped is the finding for a column whose database type has different values that could read as the same value of
// the catalog's type.
func Mistyped(local, in string) string {
	return "tells patients apart, and is of type " + local + " here and " + in + " in the catalog: values that differ could be read as one; give a column of whole numbers or texts"
}

// Identities opens a table for each identity, and checks that no two patients become one: either patients are counted,
// in groups of one, or the table is refused.
func Identities(t *testing.T, all []Identity, open func(t testing.TB, c *catalog.Catalog, statements ...string) Verifier) {
	t.Helper()
	for _, i := range all {
		t.Run(i.Type+" from "+i.Column, func(t *testing.T) {
			c := testcatalog.Parse(t, "catalog: ids\ntables:\n  stay:\n    patient: id\n    columns:\n      id: {type: "+i.Type+"}\n      x: {type: int, bounds: [0, 9]}\n")
			statements := []string{"CREATE TABLE stay (" + i.Column + ", x BIGINT)"}
			for _, v := range i.Values { // two rows each, so that a merged patient has more rows
				statements = append(statements, "INSERT INTO stay VALUES ("+v+", 1)", "INSERT INTO stay VALUES ("+v+", 1)")
			}
			e := open(t, c, statements...)
			found, err := e.Contradictions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			refused := slices.IndexFunc(found, func(f engine.Finding) bool { return f.Severity == engine.SeverityError })
			switch {
			case i.Refuse == "" && refused >= 0:
				t.Fatalf("refused: %s", found[refused].Text)
			case i.Refuse != "" && (refused < 0 || found[refused].Text != i.Refuse || found[refused].Column != "id"):
				t.Fatalf("%v, not %q", found, i.Refuse)
			}
			id := expr.Column("stay", "id", value.Type(i.Type))
			f := &fragment.Fragment{Version: fragment.Version, Catalog: c.Digest(), Relations: []fragment.Relation{{Name: "stay", Table: "stay"}}, Patient: id,
				Partials: []fragment.Partial{{Kind: fragment.PartialPatients}, {Kind: fragment.PartialRows}}, Norm: fragment.L2, MaxGroups: 1, MaxRows: 2}
			sums, _, p := Exact(t, e, c, f)
			n := int64(len(i.Values)) * p.Units[0]
			if got := slices.Collect(maps.Values(sums))[0]; i.Refuse == "" && got[0] != n || got[0] > n || got[1] != 2*got[0] {
				t.Errorf("%d patients with %d rows, not two each; there are %d", got[0], got[1], n)
			}
		})
	}
}
