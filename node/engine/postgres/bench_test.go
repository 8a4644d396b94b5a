package postgres

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

// BenchmarkFragment compares fragments in PostgreSQL with the same SQL run directly.
func BenchmarkFragment(b *testing.B) {
	s := postgrestest.Start(b, "work_mem=64MB", "shared_buffers=512MB")
	var e *Engine
	var conn *pgx.Conn
	enginetest.Benchmark(b, func(c *catalog.Catalog) enginetest.Engine {
		s.Exec(b, "CREATE SCHEMA bench", "GRANT USAGE ON SCHEMA bench TO "+postgrestest.Reader)
		for name, q := range enginetest.BenchTables(func(n int) string { return fmt.Sprintf("generate_series(0::bigint, %d) AS s(i)", n-1) }) {
			s.Exec(b, "CREATE TABLE bench."+name+" AS "+q, "VACUUM ANALYZE bench."+name, "GRANT SELECT ON bench."+name+" TO "+postgrestest.Reader)
		}
		e = open(b, over(s, "bench"), c, testKey)
		var err error
		if conn, err = pgx.Connect(context.Background(), fmt.Sprintf("host=%s port=%d user=%s database=%s", s.Folder, s.Port, postgrestest.Reader, postgrestest.Database)); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close(context.Background()) })
		return e
	}, func(ctx context.Context, text string, keyed bool) error {
		var args []any
		if keyed {
			args = []any{e.driver.key[0], e.driver.key[1]}
		}
		rows, err := conn.Query(ctx, text, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
		}
		return rows.Err()
	})
}
