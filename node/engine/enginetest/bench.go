package enginetest

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

// BenchCatalog is the catalog of benchmarks. Each patient has 40 events.
var BenchCatalog = testcatalog.YAML("catalog: bench",
	testcatalog.Person("age: {type: int, bounds: [0, 120]}", "grp: {type: int, bounds: [0, 9]}"),
	testcatalog.Rows("event",
		"unit: {type: int, bounds: [0, 199]}",
		"name: {type: text}",
		"many: {type: int}",
		"x: {type: float, bounds: [0, 100]}",
		"n: {type: int, bounds: [0, 1000]}",
	),
)

// BenchRows is the number of events in the benchmark, 40 per patient: the value of the environment variable BENCH_ROWS,
// or a million.
func BenchRows() int {
	if n, err := strconv.Atoi(os.Getenv("BENCH_ROWS")); err == nil {
		return n
	}
	return 1_000_000
}

// BenchTables returns the SELECTs that fill the tables person and event, for an engine with this function of series.
// Each patient has rows in many groups.
func BenchTables(series func(n int) string) map[string]string {
	n := BenchRows()
	return map[string]string{
		"person": "SELECT i AS id, i * 7919 % 100 AS age, i * 31 % 10 AS grp FROM " + series(n/40),
		"event": fmt.Sprintf("SELECT i * 2654435761 %% %d AS id, i * 40503 %% 65537 %% 200 AS unit, concat('unit ', CAST(i * 40503 %% 65537 %% 200 AS VARCHAR)) AS name, i * 7919 %% 1000003 %% 100000 AS many, CAST(i * 104729 %% 100000 AS DOUBLE PRECISION) / 1000 AS x, i * 1299709 %% 1000 AS n FROM %s",
			n/40, series(n)),
	}
}

// Benchmark measures fragments of several shapes. For each it reports the ratio of the time through the engine to the
// time of the same SQL typed into the database. raw runs that SQL, with the key's halves if keyed, and reads the whole
// answer.
func Benchmark(b *testing.B, open func(c *catalog.Catalog) Engine, raw func(ctx context.Context, sql string, keyed bool) error) {
	c := testcatalog.Parse(b, BenchCatalog)
	e := open(c)
	column := func(name string, t value.Type) *expr.Expr { return expr.Column("e", name, t) }
	var units []value.Value
	for i := range int64(200) {
		units = append(units, value.Int(i))
	}
	x, n := column("x", value.TypeFloat), column("n", value.TypeInt)
	declared := []fragment.Key{{Expr: column("unit", value.TypeInt), Domain: units}}
	undeclared := []fragment.Key{{Expr: column("name", value.TypeText)}}
	patients, rows := fragment.Partial{Kind: fragment.PartialPatients}, fragment.Partial{Kind: fragment.PartialRows}
	sumX := fragment.Partial{Kind: fragment.PartialSum, Expr: x, Grid: grid(0, 100, false, true, 10)}
	sumN := fragment.Partial{Kind: fragment.PartialSum, Expr: n, Grid: grid(0, 1000, true, true, 10)}
	events := []fragment.Relation{{Name: "e", Table: "event"}}
	for _, shape := range []struct {
		name string
		f    fragment.Fragment
	}{
		{"1 group, count", fragment.Fragment{Relations: events, Patient: evID, Partials: []fragment.Partial{rows}}},
		{"1 group, mean", fragment.Fragment{Relations: events, Patient: evID, Partials: []fragment.Partial{{Kind: fragment.PartialValues, Expr: x}, sumX}}},
		{"200 declared groups, count", fragment.Fragment{Relations: events, Patient: evID, Keys: declared, Partials: []fragment.Partial{rows}}},
		{"200 declared groups, mean", fragment.Fragment{Relations: events, Patient: evID, Keys: declared, Partials: []fragment.Partial{{Kind: fragment.PartialValues, Expr: n}, sumN}}},
		{"200 undeclared groups, mean", fragment.Fragment{Relations: events, Patient: evID, Keys: undeclared, Partials: []fragment.Partial{patients, {Kind: fragment.PartialValues, Expr: x}, sumX}}},
		{"100000 groups, count", fragment.Fragment{Relations: events, Patient: evID, MaxGroups: 1000, Keys: []fragment.Key{{Expr: column("many", value.TypeInt)}}, Partials: []fragment.Partial{patients, rows}}},
		{"one row a patient", fragment.Fragment{Relations: []fragment.Relation{{Name: "p", Table: "person"}}, Patient: pID, Keys: []fragment.Key{{Expr: expr.Column("p", "grp", value.TypeInt)}},
			Partials: []fragment.Partial{patients, {Kind: fragment.PartialSum, Expr: pAge, Grid: grid(0, 120, true, true, 1)}}}},
	} {
		b.Run(shape.name, func(b *testing.B) {
			f := shape.f
			f.Version, f.Norm, f.MaxRows, f.MaxGroups = fragment.Version, fragment.L2, 10, max(5, f.MaxGroups)
			p, err := fragment.Check(&f, c)
			if err != nil {
				b.Fatal(err)
			}
			sql, _, err := e.Compile(&f, p)
			if err != nil {
				b.Fatal(err)
			}
			if i := strings.LastIndex(sql, "\n-- "); i >= 0 { // the part that the database alone computes
				sql = sql[i+1:]
			}
			run := func() {
				if err := e.Run(context.Background(), &f, p, memory.DefaultAllocator, func(arrow.Record) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			typed := func() {
				if err := raw(context.Background(), sql, strings.Contains(sql, "$")); err != nil {
					b.Fatal(err)
				}
			}
			run()
			typed()
			// They run in turns, so that other load on the machine slows both.
			var through, direct time.Duration
			b.ResetTimer()
			for range b.N {
				start := time.Now()
				run()
				through += time.Since(start)
				b.StopTimer()
				start = time.Now()
				typed()
				direct += time.Since(start)
				b.StartTimer()
			}
			b.ReportMetric(float64(through)/float64(direct), "x-typed-SQL")
		})
	}
}
