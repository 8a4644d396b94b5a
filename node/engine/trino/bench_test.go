package trino

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/trino/trinotest"
)

// BenchmarkFragment compares fragments in Trino with the same SQL run directly. It needs a server: see `make
// bench-trino`.
func BenchmarkFragment(b *testing.B) {
	s := trinotest.Start(b)
	var e *Engine
	var db *sql.DB
	enginetest.Benchmark(b, func(c *catalog.Catalog) enginetest.Engine {
		schema := s.Schema(b)
		for name, q := range enginetest.BenchTables(trinotest.Series) {
			s.Exec(b, "CREATE TABLE memory."+schema+"."+name+" AS "+q)
		}
		e = open(b, over(s, schema), c, testKey)
		var err error
		if db, err = sql.Open("trino", strings.Replace(s.URL, "://", "://analyst@", 1)+"?catalog=memory&schema="+schema); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { db.Close() })
		return e
	}, func(ctx context.Context, text string, keyed bool) error {
		if keyed {
			text = strings.Replace(text, "$group_key", "X'"+e.driver.key+"'", 1)
		}
		rows, err := db.QueryContext(ctx, text)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
		}
		return rows.Err()
	})
}
