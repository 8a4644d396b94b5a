package adversary

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// few is a limit that patients of a small world exceed.
const few = 12

// TestFewRows builds the program with a limit of few joined rows for each patient, instead of a million. It runs tests
// in it whose results the limit must not change.
func TestFewRows(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	overlay := mutant{Edits: []edit{{File: "internal/fragment/cap.go", Old: "const MaxPatientRows = 1_000_000", New: fmt.Sprintf("const MaxPatientRows = %d", few)}}}.overlay(t, root)
	n := map[string]string{"duckdb": "200", "postgres": "200", "trino": "20"}
	if os.Getenv("INTRAMUROS_FULL") != "" {
		n = map[string]string{"duckdb": "20000", "postgres": "20000", "trino": "200"}
	}
	for engine := range openers {
		t.Run(engine, func(t *testing.T) { fewRows(t, root, overlay, engine, n[engine]) })
	}
}

func fewRows(t *testing.T, root, overlay, engine, n string) {
	c := exec.Command("go", "test", "-overlay", overlay, "-vet=off", "-count=1", "-timeout", "60m", "-v", "-run", "^(TestCut|TestNeighbours)$/^"+engine+"$", "./integration/adversary")
	c.Dir, c.Env = root, append(os.Environ(), "INTRAMUROS_TRIPLES="+n)
	out, err := c.CombinedOutput()
	if strings.Contains(string(out), "--- SKIP: TestCut/"+engine+" ") {
		t.Skipf("there is no %s", engine)
	}
	for _, test := range []string{"TestCut/", "TestNeighbours/"} {
		if !strings.Contains(string(out), "--- PASS: "+test+engine+" ") {
			t.Errorf("%s%s did not pass", test, engine)
		}
	}
	if err != nil || t.Failed() {
		t.Fatalf("%v\n%.6000s", err, out)
	}
	if cut := "of which the limit cut "; strings.Contains(string(out), cut+"0") || !strings.Contains(string(out), cut) {
		t.Errorf("the limit cut nothing:\n%.3000s", out)
	}
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, "of which the limit cut") || strings.Contains(line, "answered alike") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

var crowd = testcatalog.YAML("catalog: crowd",
	testcatalog.Person("n: {type: int, bounds: [0, 9]}"),
	testcatalog.Rows("event", "n: {type: int, bounds: [0, 9]}"),
	testcatalog.Keyed("stay", "n: {type: int, bounds: [0, 9]}"),
)

// newCrowd makes patients with few and with many rows, who keep all promises.
func newCrowd(r *rand.Rand, c *catalog.Catalog) *world {
	w := &world{Rand: r, catalog: c, ids: asInt, events: asInt}
	for _, t := range c.Tables {
		add := &table{name: t.Name}
		for _, column := range t.Columns {
			add.columns, add.stored = append(add.columns, column.Name), append(add.stored, asInt)
		}
		w.tables = append(w.tables, add)
	}
	for p := range 12 {
		id, n := strconv.Itoa(p), func() string { return strconv.Itoa(w.IntN(10)) }
		w.table("person").rows = append(w.table("person").rows, row{cells: []string{id, n()}})
		for range w.IntN(2 + p) {
			w.table("event").rows = append(w.table("event").rows, row{cells: []string{id, n()}})
		}
		for range w.IntN(6) {
			stays := w.table("stay")
			stays.rows = append(stays.rows, row{cells: []string{strconv.Itoa(len(stays.rows)), id, n()}})
		}
	}
	return w
}

// memory is the rows of a table whose columns are all ints.
func (w *world) memory(name string) fragment.Rows {
	t := w.table(name)
	out := fragment.Rows{Names: t.columns}
	for _, r := range t.rows {
		var values []value.Value
		for _, cell := range r.cells {
			n, _ := strconv.ParseInt(cell, 10, 64)
			values = append(values, value.Int(n))
		}
		out.Values = append(out.Values, values)
	}
	return out
}

// joins writes a join by the patient alone. The number of its rows does not depend on which of a patient's rows are
// cut. plain: it contains no join.
func (w *writer) joins() (from string, plain bool) {
	plain = true
	var optional []bool
	relation := func(name string) string {
		switch w.IntN(6) {
		case 0:
			return "(SELECT id, n FROM " + w.pick("event", "stay") + " WHERE n < " + w.pick("4", "8") + ") " + name
		case 1:
			if w.one(2) {
				plain = false
				// a filter on n keeps all rows or none
				return "(SELECT a.id, 4 AS n FROM event a JOIN event b ON a.id = b.id) " + name
			}
			return "(SELECT DISTINCT id, n FROM event) " + name
		case 2:
			return w.pick("person ", "stay ") + name
		}
		return w.pick("event ", "event ", "stay ") + name
	}
	for i := range 2 + w.IntN(3) {
		name := "r" + strconv.Itoa(i)
		if i == 0 {
			from, optional = relation(name), append(optional, false)
			continue
		}
		left := w.one(4)
		from += map[bool]string{true: " LEFT JOIN ", false: " JOIN "}[left] + relation(name) + " ON " + name + ".id = r0.id"
		if w.one(3) {
			from += " AND " + name + ".n < " + w.pick("3", "6", "9")
		}
		optional = append(optional, left)
	}
	if w.one(3) {
		i := w.IntN(len(optional))
		for optional[i] {
			i = 0
		}
		from += fmt.Sprintf(" WHERE r%d.n > %s", i, w.pick("0", "2", "5"))
	}
	return from, plain
}

// TestCut joins relations of one patient. Engines keep as many rows as the reference: at most fragment.MaxPatientRows
// for each combination of left joins that find a row, and all if there are no more.
func TestCut(t *testing.T) {
	for name, open := range openers {
		t.Run(name, func(t *testing.T) { cut(t, open(t)) })
	}
}

func cut(t *testing.T, open opener) {
	c := testcatalog.Parse(t, crowd)
	seed, n := number(t, "INTRAMUROS_SEED", seed()), min(number(t, "INTRAMUROS_TRIPLES", 200), 4000)
	cut, each := 0, min(40, n)
	for i := range n / each {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		crowd := newCrowd(r, c)
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			h := open(t, crowd, false)
			for range each {
				w := &writer{Rand: r, catalog: c}
				from, plain := w.joins()
				if why, is := compareCut(t, c, crowd, h, from, plain); why != "" {
					t.Fatalf("INTRAMUROS_SEED=%d: SELECT COUNT(*) FROM %s: %s", seed, from, why)
				} else if is {
					cut++
				}
			}
		})
	}
	t.Logf("%d joins, of which the limit cut %d", n/each*each, cut)
}

// compareCut says how an engine's rows differ from the reference's, and whether any were cut.
func compareCut(t *testing.T, c *catalog.Catalog, w *world, h hospital, from string, plain bool) (why string, isCut bool) {
	t.Helper()
	program, err := planner.Compose(planner.Query{SQL: "SELECT COUNT(*) FROM " + from, Ask: planner.Ask{Epsilon: 1, Delta: 1e-6, MaxGroups: 1, MaxRows: 1_000_000}},
		planner.Federation{Catalog: c, Hospitals: []string{"h0"}, Accounting: dp.ZCDP, Digest: "of the test"})
	if err != nil {
		return err.Error(), false
	}
	f := *program.Releases[0].Fragment
	f.Keys = []fragment.Key{{Expr: f.Patient}} // no researcher may ask this
	p, err := fragment.Check(&f, c)
	if err != nil {
		return err.Error(), false
	}
	got := map[int64]int64{}
	err = h.Run(context.Background(), &f, p, memory.DefaultAllocator, func(r arrow.Record) error {
		return fragment.ReadRecord(&f, r, func(keys []value.Value, partials []int64) error {
			got[keys[0].Int64()] = partials[0] / p.Units[0]
			return nil
		})
	})
	if err != nil {
		return fmt.Sprintf("%v: %.600v", err, errors.Unwrap(err)), false
	}
	d := &fragment.Query{Relations: f.Relations, Filter: f.Filter, Patient: "id", Columns: []fragment.Output{{Name: "id", Expr: f.Patient}}}
	want, all := map[int64]int64{}, map[int64]int64{}
	for _, row := range d.Evaluate(w.memory, "h0", c).Values {
		want[row[0].Int64()]++
	}
	for _, row := range d.Evaluate(w.memory, "h0", nil).Values {
		all[row[0].Int64()]++
	}
	cases := int64(1) << strings.Count(from, "LEFT JOIN")
	for id, whole := range all {
		switch {
		case got[id] != want[id]:
			return fmt.Sprintf("patient %d has %d rows, not %d of %d", id, got[id], want[id], whole), false
		case got[id] > cases*fragment.MaxPatientRows:
			return fmt.Sprintf("patient %d has %d rows, more than %d", id, got[id], cases*fragment.MaxPatientRows), false
		case plain && whole <= fragment.MaxPatientRows && got[id] != whole:
			return fmt.Sprintf("of %d rows of patient %d, which are within the limit, %d are left", whole, id, got[id]), false
		}
		isCut = isCut || got[id] != whole
	}
	if len(got) != len(want) {
		return fmt.Sprintf("%d patients, not %d", len(got), len(want)), false
	}
	return "", isCut
}
