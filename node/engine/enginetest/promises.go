package enginetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
)

// Promising is a catalog whose promises Promise keeps. Each of Breaking breaks one with the rows of one patient, 4242.
var Promising = testcatalog.YAML("catalog: promising",
	testcatalog.Person("ward: {type: text}", "x: {type: float, bounds: [0, 100]}"),
	`  visit:
    key: visit
    patient: id
    columns:
      visit: {type: int, nullable: false}
      id: {type: int, nullable: false}
      day: {type: int, bounds: [0, 1000]}
      x: {type: float, bounds: [0, 100]}
`,
	testcatalog.Under("visit", "lab", "x: {type: float, bounds: [0, 100]}"),
)

// The tables of Promising: their columns in SQL, and their rows.
var (
	PromisingTables = map[string]string{
		"person": "id BIGINT NOT NULL, ward VARCHAR(10), x DOUBLE PRECISION", "visit": "visit BIGINT NOT NULL, id BIGINT NOT NULL, day BIGINT, x DOUBLE PRECISION",
		"lab": "visit BIGINT NOT NULL, x DOUBLE PRECISION",
	}
	Promise = []string{
		"INSERT INTO person SELECT i, 'north', 50 FROM generate_series(1, 100) AS s(i)",
		"INSERT INTO visit SELECT i, i, 5, 50 FROM generate_series(1, 100) AS s(i)",
		"INSERT INTO lab SELECT i, 50 FROM generate_series(1, 100) AS s(i)",
	}
	Breaking = []string{
		"INSERT INTO person SELECT 4242, 'north', 100 FROM generate_series(1, 40) AS s(i)",
		"INSERT INTO person SELECT 4242, 'w' || CAST(i AS VARCHAR(10)), 100 FROM generate_series(1, 40) AS s(i)",
		"INSERT INTO visit SELECT i, 4242, 5, 100 FROM generate_series(1, 40) AS s(i)",
		"INSERT INTO visit SELECT 4242, 4242, 5, i FROM generate_series(1, 40) AS s(i)",
	}
)

// promising lists fragments that rely on promises of the catalog, by the promise.
func promising(t testing.TB, c *catalog.Catalog) map[string]*fragment.Fragment {
	t.Helper()
	number := func(relation, name string) *expr.Expr { return expr.Column(relation, name, value.TypeFloat) }
	id := func(relation, name string) *expr.Expr { return expr.Column(relation, name, value.TypeInt) }
	grid, err := fragment.NewGrid(0, 100, false, false, 1)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(relation string) []fragment.Partial {
		return []fragment.Partial{{Kind: fragment.PartialPatients}, {Kind: fragment.PartialRows}, {Kind: fragment.PartialSum, Expr: number(relation, "x"), Grid: &grid},
			{Kind: fragment.PartialBuckets, Expr: number(relation, "x"), Buckets: &fragment.Buckets{Upper: 100, Branching: 10, Levels: 1}}}
	}
	equal := func(a, b *expr.Expr) *expr.Expr {
		e, err := expr.New(expr.OpEqual, a, b)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	person, visit := fragment.Relation{Name: "person", Table: "person"}, fragment.Relation{Name: "visit", Table: "visit"}
	first := &fragment.Query{Patient: "id", Relations: []fragment.Relation{visit}, Columns: []fragment.Output{
		{Name: "id", Expr: id("visit", "id")}, {Name: "x", Expr: number("visit", "x")},
		{Name: "place", Function: fragment.FunctionRowNumber, Window: &fragment.Window{
			Partition: []*expr.Expr{id("visit", "id")}, Order: []fragment.Order{{Expr: id("visit", "day")}, {Expr: id("visit", "visit")}},
		}},
	}}
	all := map[string]*fragment.Fragment{
		"one row": {Relations: []fragment.Relation{person}, Patient: id("person", "id"), Partials: sum("person")},
		"one row in groups": {Relations: []fragment.Relation{person}, Patient: id("person", "id"), Partials: sum("person"),
			Keys: []fragment.Key{{Expr: expr.Column("person", "ward", value.TypeText)}}},
		"one row by a join": {Relations: []fragment.Relation{visit, {Name: "person", Table: "person", Join: fragment.JoinInner, On: equal(id("visit", "id"), id("person", "id"))}},
			Patient: id("person", "id"), Partials: sum("person"), Keys: []fragment.Key{{Expr: expr.Column("person", "ward", value.TypeText)}}},
		"a key that leads to the patient": {Relations: []fragment.Relation{{Name: "lab", Table: "lab"}, {Name: "visit", Table: "visit", Join: fragment.JoinInner, On: equal(id("lab", "visit"), id("visit", "visit"))}},
			Patient: id("visit", "id"), Partials: sum("lab")},
		"a key that orders": {Relations: []fragment.Relation{{Name: "d", Query: first}}, Patient: id("d", "id"), Partials: sum("d"),
			Filter: equal(id("d", "place"), expr.Literal(value.Int(1)))},
	}
	for _, f := range all {
		f.Version, f.Catalog, f.Norm, f.MaxGroups, f.MaxRows = fragment.Version, c.Digest(), fragment.L2, 1, 1
	}
	return all
}

// Promises runs fragments before and after a change of the data by one patient who breaks the catalog's promises, with
// nothing in between. After it, either the answer changes by no more than declared, or there is no answer. Before it
// there must be an answer.
func Promises(t *testing.T, e Engine, c *catalog.Catalog, change func()) {
	t.Helper()
	answer := func(f *fragment.Fragment, p *fragment.Proof) (map[string][]int64, error) {
		out := map[string][]int64{}
		err := e.Run(context.Background(), f, p, memory.DefaultAllocator, func(r arrow.Record) error {
			return fragment.ReadRecord(f, r, func(keys []value.Value, partials []int64) error {
				out[keyText(keys)] = slices.Clone(partials)
				return nil
			})
		})
		return out, err
	}
	all := promising(t, c)
	proofs, before := map[string]*fragment.Proof{}, map[string]map[string][]int64{}
	for name, f := range all {
		p, err := fragment.Check(f, c)
		if err != nil {
			t.Fatal(name, err)
		}
		proofs[name] = p
		if before[name], err = answer(f, p); err != nil {
			t.Fatal(name, err, errors.Unwrap(err))
		}
		if len(before[name]) != 1 {
			t.Fatalf("%s: %v", name, before[name])
		}
		for _, sums := range before[name] {
			if sums[0] != 100*p.Units[0] || sums[1] != 100*p.Units[1] {
				t.Errorf("%s: %v", name, sums)
			}
		}
	}
	change()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f, p := all[name], proofs[name]
		after, err := answer(f, p)
		var fault *engine.Fault
		if errors.As(err, &fault) && (strings.Contains(fault.Class(), "contradicts the catalog") || strings.Contains(fault.Class(), "data changed")) {
			t.Logf("%s: refused", name)
			continue
		}
		if err != nil {
			t.Fatal(name, err)
		}
		if length := Length(f, p, after, before[name]); length > float64(p.NormLimit(f))*(1+1e-12) {
			t.Errorf("%s: one patient moves the vector by a length of %g, more than %d", name, length, p.NormLimit(f))
		}
	}
}

// Promised compiles the fragments of Promises.
func Promised(t testing.TB, e Engine, c *catalog.Catalog) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for name, f := range promising(t, c) {
		p, err := fragment.Check(f, c)
		if err != nil {
			t.Fatal(name, err)
		}
		if texts[name], _, err = e.Compile(f, p); err != nil {
			t.Fatal(name, err)
		}
	}
	return texts
}
