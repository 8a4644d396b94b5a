package duckdb

import (
	"context"
	"testing"
	"time"

	"github.com/intramuros/intramuros/node/engine/enginetest"
)

// BenchmarkWorkers compares, alternating over the same data, the smallest statement in this process and in a process of
// its own. The difference is the cost of the pipe, the memory watch and a second process for each statement.
func BenchmarkWorkers(b *testing.B) {
	path := newDatabase(b, twoPersons...)
	here := engineWith(b, enginetest.WardCatalog, twoPersons...)
	apart := start(b, Config{Database: path}, 1)
	var taken [2]time.Duration
	for b.Loop() {
		for i, e := range []*Engine{here, apart} {
			begun := time.Now()
			if err := one(context.Background(), e); err != nil {
				b.Fatal(err)
			}
			taken[i] += time.Since(begun)
		}
	}
	n := time.Duration(b.N)
	b.ReportMetric(float64((taken[1]-taken[0])/n)/1000, "µs-more/op")
	b.ReportMetric(float64(taken[1])/float64(taken[0]), "apart/here")
}

// BenchmarkWorkersRows does the same for an answer of 100,000 rows with four columns.
func BenchmarkWorkersRows(b *testing.B) {
	here := engineWith(b, enginetest.WardCatalog, twoPersons...)
	apart := start(b, Config{Database: newDatabase(b, twoPersons...)}, 1)
	var taken [2]time.Duration
	for b.Loop() {
		for i, e := range []*Engine{here, apart} {
			begun, n := time.Now(), 0
			if err := e.driver.Query(context.Background(), "SELECT range, range / 7.0, 'kind ' || range, range % 3 = 0 FROM range(100000)", false, func([]any) error {
				n++
				return nil
			}); err != nil || n != 100000 {
				b.Fatal(n, err)
			}
			taken[i] += time.Since(begun)
		}
	}
	b.ReportMetric(float64(taken[1])/float64(taken[0]), "apart/here")
}
