package duckdb

import (
	"context"
	"testing"
	"time"

	"github.com/intramuros/intramuros/node/engine/enginetest"
)

// BenchmarkWorkers compares, in turn on the same data, what the least statement takes in this process and in one of its
// own: the difference is what the pipe, the watch over memory and a second process cost each statement.
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

// BenchmarkWorkersRows is the same for an answer of 100,000 rows of four columns.
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
