package duckdb

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

// lastClamp matches the last clamp of a row's number as compile writes it.
var lastClamp = regexp.MustCompile(`CASE WHEN (v\d+) < \S+ THEN \S+ WHEN v\d+ > \S+ THEN \S+ ELSE v\d+ END`)

// TestBenchClamp prints the cost of the last clamp, which bounds a patient's part in any case: the processor time of
// the same SQL with and without it, alternating. BenchmarkWorkers measures the cost of a separate process for each
// statement.
func TestBenchClamp(t *testing.T) {
	if os.Getenv("INTRAMUROS_BENCH") == "" {
		t.Skip("INTRAMUROS_BENCH is not set: the benchmark takes a minute")
	}
	const persons, events = 10_000_000, 3_000_000
	ctx, c := context.Background(), testcatalog.Parse(t, enginetest.BenchCatalog)
	e, err := Open(ctx, Config{Database: newDatabase(t,
		"CREATE TABLE person AS SELECT range AS id, range % 131 AS age, range % 10 AS grp FROM range("+strconv.Itoa(persons)+")",
		"CREATE TABLE event AS SELECT range // 20 AS id, range % 200 AS unit, range % 9973 AS many, hash(range) % 1200 / 10.0 AS x, range % 7 AS n FROM range("+strconv.Itoa(events)+")"), MemoryLimit: "4GB"}, c, enginetest.Hospital, testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	target := &compile.Target{Dialect: compile.DuckDB, Catalog: c, Hospital: enginetest.Hospital, Table: func(t *catalog.Table, _ []string) (string, bool) { return schema + "." + t.Name, true }}
	column := func(name string, t value.Type) *expr.Expr { return expr.Column("r", name, t) }
	grid := func(upper float64, whole bool) *fragment.Grid {
		g, err := fragment.NewGrid(0, upper, whole, true, 10)
		if err != nil {
			t.Fatal(err)
		}
		return &g
	}
	sum := func(e *expr.Expr, g *fragment.Grid) []fragment.Partial {
		return []fragment.Partial{{Kind: fragment.PartialValues, Expr: e}, {Kind: fragment.PartialSum, Expr: e, Grid: g}}
	}
	for name, f := range map[string]*fragment.Fragment{
		"mean age, a row a patient": {Relations: []fragment.Relation{{Name: "r", Table: "person"}}, Partials: sum(column("age", value.TypeInt), grid(120, true))},
		"mean of a real, rows":      {Relations: []fragment.Relation{{Name: "r", Table: "event"}}, Partials: sum(column("x", value.TypeFloat), grid(100, false))},
	} {
		f.Version, f.Patient, f.Norm, f.MaxRows, f.MaxGroups = fragment.Version, column("id", value.TypeInt), fragment.L2, 10, 1
		p, err := fragment.Check(f, c)
		if err != nil {
			t.Fatal(err)
		}
		with, err := target.Fragment(f, p)
		if err != nil {
			t.Fatal(err)
		}
		without := lastClamp.ReplaceAllString(with, "$1")
		if with == without {
			t.Fatalf("%s: there is no clamp in\n%s", name, with)
		}
		run := func(text string) func() error {
			return func() error { return e.driver.Query(ctx, text, false, func([]any) error { return nil }) }
		}
		fastest(t, run(with))
		a, b := fastest(t, run(with)), fastest(t, run(without))
		a, b = min(a, fastest(t, run(with))), min(b, fastest(t, run(without)))
		rows := map[string]int64{"person": persons, "event": events}[f.Relations[0].Table]
		each := (a - b).Seconds() * 1e9 / float64(rows)
		fmt.Printf("%-28s %6.1f ms with the last clamp, %6.1f ms without: %.3f times, %.1f ns a row\n", name, 1e3*a.Seconds(), 1e3*b.Seconds(), a.Seconds()/b.Seconds(), each)
		if each > 5 {
			t.Errorf("%s: the last clamp costs %.1f ns a row; 2 are expected", name, each)
		}
	}
}
