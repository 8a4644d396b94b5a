package synth

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Exact answers a query of DuckDB's SQL over the union of a synthetic federation. No coordinator could give this
// answer. It can be shown beside a noisy one, since nobody in the data is real. Each table of the first hospital is a
// view of the same name over the tables of all hospitals, with an additional column `hospital`. Values are as the
// driver gives them: nil, bool, integers, float64, string, time.Time.
func Exact(ctx context.Context, folder string, hospitals []string, query string) ([][]any, error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, fmt.Errorf("starting the embedded DuckDB: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // a view belongs to its connection's database
	if err := unite(ctx, db, folder, hospitals); err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, stopped(ctx, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all [][]any
	for rows.Next() {
		row, into := make([]any, len(names)), make([]any, len(names))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, stopped(ctx, rows.Err())
}

func unite(ctx context.Context, db *sql.DB, folder string, hospitals []string) error {
	if len(hospitals) == 0 {
		return fmt.Errorf("%w: no hospital is named", ErrConfig)
	}
	files, err := os.ReadDir(filepath.Join(folder, hospitals[0]))
	if err != nil {
		return err
	}
	for _, f := range files {
		table, ok := strings.CutSuffix(f.Name(), ".parquet")
		if !ok {
			continue
		}
		var arms []string
		for _, h := range hospitals {
			arms = append(arms, fmt.Sprintf("SELECT *, %s AS hospital FROM read_parquet(%s)", quote(h), quote(filepath.Join(folder, h, f.Name()))))
		}
		if _, err := db.ExecContext(ctx, fmt.Sprintf("CREATE VIEW %s AS %s", table, strings.Join(arms, " UNION ALL "))); err != nil {
			return stopped(ctx, err)
		}
	}
	return nil
}
