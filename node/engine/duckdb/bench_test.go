package duckdb

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

// BenchmarkFragment times fragments in DuckDB beside the same SQL typed into it.
func BenchmarkFragment(b *testing.B) {
	var e *Engine
	enginetest.Benchmark(b, func(c *catalog.Catalog) enginetest.Engine {
		var statements []string
		for name, s := range enginetest.BenchTables(func(n int) string { return fmt.Sprintf("range(%d) AS s(i)", n) }) {
			statements = append(statements, "CREATE TABLE "+name+" AS "+s)
		}
		var err error
		if e, err = Open(context.Background(), Config{Database: newDatabase(b, statements...)}, c, enginetest.Hospital, testKey); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { e.Close() })
		return e
	}, func(ctx context.Context, text string, _ bool) error {
		// As a person would type it: database/sql takes no uint64.
		text = strings.NewReplacer("$group_key_1", fmt.Sprint(e.driver.key[0]), "$group_key_2", fmt.Sprint(e.driver.key[1])).Replace(text)
		rows, err := e.driver.db.QueryContext(ctx, text)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
		}
		return rows.Err()
	})
}
