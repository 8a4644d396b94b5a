package duckdb

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

const benchCatalog = `
catalog: bench
tables:
  person:
    key: id
    patient: id
    one_row_per_patient: true
    columns:
      id: {type: int, nullable: false}
      age: {type: int, bounds: [0, 120]}
      group: {type: int, bounds: [0, 9]}
  event:
    patient: id
    columns:
      id: {type: int, nullable: false, references: person.id}
      unit: {type: int, bounds: [0, 199]}
      name: {type: text}
      x: {type: float, bounds: [0, 100]}
      n: {type: int, bounds: [0, 1000]}
`

// BenchmarkFragment times shapes of fragments. BENCH_ROWS sets the number of
// rows, of which 40 are a patient's; 20 million take about a minute to make.
func BenchmarkFragment(b *testing.B) {
	n := 1_000_000
	if s, err := strconv.Atoi(os.Getenv("BENCH_ROWS")); err == nil {
		n = s
	}
	e := engineWith(b, benchCatalog,
		fmt.Sprintf("CREATE TABLE person AS SELECT range AS id, (range * 7919 %% 100) AS age, range * 31 %% 10 AS \"group\" FROM range(%d)", n/40),
		fmt.Sprintf("CREATE TABLE event AS SELECT hash(range) %% %d AS id, (hash(range + 1000000007) %% 200)::BIGINT AS unit, 'unit ' || (hash(range + 1000000007) %% 200) AS name, (hash(range + 77) %% 100000) / 1000.0::DOUBLE AS x, (hash(range + 99) %% 1000)::BIGINT AS n FROM range(%d)", n/40, n))
	var units []value.Value
	for i := range int64(200) {
		units = append(units, value.Int(i))
	}
	declared := []fragment.Key{{Expr: evUnit, Domain: units}}
	undeclared := []fragment.Key{{Expr: fragment.Column("e", "name", value.TypeText)}}
	pGroup := fragment.Column("p", "group", value.TypeInt)
	patients, rows := fragment.Partial{Kind: fragment.PartialPatients}, fragment.Partial{Kind: fragment.PartialRows}
	sumX := fragment.Partial{Kind: fragment.PartialSum, Expr: evX, Grid: grid(0, 100, false, true, 10)}
	sumN := fragment.Partial{Kind: fragment.PartialSum, Expr: evN, Grid: grid(0, 1000, true, true, 10)}
	for _, shape := range []struct {
		name string
		f    fragment.Fragment
	}{
		{"no keys, count", fragment.Fragment{Relations: events, Patient: evID, Partials: []fragment.Partial{rows}}},
		{"no keys, mean", fragment.Fragment{Relations: events, Patient: evID, Partials: []fragment.Partial{{Kind: fragment.PartialValues, Expr: evX}, sumX}}},
		{"200 declared keys, count", fragment.Fragment{Relations: events, Patient: evID, Keys: declared, Partials: []fragment.Partial{rows}}},
		{"200 declared keys, mean", fragment.Fragment{Relations: events, Patient: evID, Keys: declared, Partials: []fragment.Partial{{Kind: fragment.PartialValues, Expr: evX}, sumX}}},
		{"200 declared keys, whole mean", fragment.Fragment{Relations: events, Patient: evID, Keys: declared, Partials: []fragment.Partial{{Kind: fragment.PartialValues, Expr: evN}, sumN}}},
		{"200 undeclared keys, mean", fragment.Fragment{Relations: events, Patient: evID, Keys: undeclared, Partials: []fragment.Partial{patients, {Kind: fragment.PartialValues, Expr: evX}, sumX}}},
		{"one row", fragment.Fragment{Relations: persons, Patient: pID, Keys: []fragment.Key{{Expr: pGroup}}, Partials: []fragment.Partial{patients, {Kind: fragment.PartialSum, Expr: pAge, Grid: grid(0, 120, true, true, 1)}}}},
	} {
		b.Run(shape.name, func(b *testing.B) {
			f := shape.f
			f.Version, f.MaxGroups, f.MaxRows = fragment.Version, 5, 10
			p, err := fragment.Check(&f, e.catalog)
			if err != nil {
				b.Fatal(err)
			}
			for range b.N {
				if err := e.Run(context.Background(), &f, p, memory.DefaultAllocator, func(arrow.Record) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
