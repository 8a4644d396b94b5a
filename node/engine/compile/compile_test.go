package compile_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

func target(t *testing.T, d *compile.Dialect) *compile.Target {
	t.Helper()
	c, err := catalog.Parse([]byte(enginetest.WardCatalog), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return &compile.Target{Dialect: d, Catalog: c, Hospital: "St. Mary's", Table: func(t *catalog.Table, columns []string) (string, bool) {
		if d == compile.DuckDB {
			return "logical." + t.Name, true
		}
		return "(SELECT " + strings.Join(columns, ", ") + " FROM " + t.Name + ")", true
	}}
}

func TestFragment(t *testing.T) {
	for _, d := range []*compile.Dialect{compile.DuckDB, compile.PostgreSQL, compile.Trino} {
		to, fragments := target(t, d), enginetest.Shapes()
		datadriven.RunTest(t, "testdata/"+strings.ToLower(d.String()), func(t *testing.T, at *datadriven.TestData) string {
			f, ok := fragments[at.CmdArgs[0].Key]
			if !ok {
				t.Fatalf("there is no fragment %s", at.CmdArgs[0].Key)
			}
			delete(fragments, at.CmdArgs[0].Key)
			p, err := fragment.Check(f, to.Catalog)
			if err != nil {
				t.Fatal(err)
			}
			s, err := to.Fragment(f, p)
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
		for name := range fragments {
			t.Errorf("testdata/%s lacks %s", d.String(), name)
		}
	}
}

func TestRefused(t *testing.T) {
	to := target(t, compile.DuckDB)
	to.Table = func(*catalog.Table, []string) (string, bool) { return "", false }
	shape := enginetest.Shapes()["no-keys"]
	proof, err := fragment.Check(shape, to.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.Fragment(shape, proof); !errors.Is(err, compile.ErrNotOffered) {
		t.Errorf("a fragment over a table without source gives %v", err)
	}
	to = target(t, compile.DuckDB)
	// Each addition may overflow, so each repeats its operand.
	x := fragment.Column("p", "id", value.TypeInt)
	for range 40 {
		if x, err = fragment.New(fragment.OpAdd, x, fragment.Literal(value.Int(1))); err != nil {
			t.Fatal(err)
		}
	}
	f := enginetest.Shapes()["count"]
	f.Filter, _ = fragment.New(fragment.OpIsNull, x)
	p, err := fragment.Check(f, to.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.Fragment(f, p); !errors.Is(err, compile.ErrTooLarge) {
		t.Errorf("a very large expression gives %v", err)
	}
	// Many that are each within the limit.
	x = fragment.Column("p", "id", value.TypeInt)
	for range 14 {
		if x, err = fragment.New(fragment.OpAdd, x, fragment.Literal(value.Int(1))); err != nil {
			t.Fatal(err)
		}
	}
	d := &fragment.Derived{Relations: f.Relations, Columns: []fragment.Output{{Name: "p", Expr: f.Patient}}, Patient: "p"}
	for i := range 199 {
		d.Columns = append(d.Columns, fragment.Output{Name: "c" + strconv.Itoa(i), Expr: x})
	}
	f = &fragment.Fragment{
		Version: fragment.Version, Relations: []fragment.Relation{{Name: "d", Derived: d}}, Patient: fragment.Column("d", "p", f.Patient.Type),
		Partials: f.Partials[:1], MaxGroups: 1, MaxRows: 1,
	}
	if p, err = fragment.Check(f, to.Catalog); err != nil {
		t.Fatal(err)
	}
	if s, err := to.Fragment(f, p); !errors.Is(err, compile.ErrTooLarge) {
		t.Errorf("many large expressions give %d bytes, %v", len(s), err)
	}
}
