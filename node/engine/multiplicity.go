package engine

import (
	"context"
	"strings"
)

// Multiplicity is the largest number of rows of a public table that agree in the columns, without NULLs; without
// columns, the number of rows. A table that is not offered has none. It reads the whole table. Its errors are
// ErrDatabase.
func (e *Engine) Multiplicity(ctx context.Context, table string, columns []string) (float64, error) {
	t, ok := e.catalog.Table(table)
	if !ok || e.views[t.Name] == nil {
		return 0, nil
	}
	from := e.from(t, columns, "t")
	sql := "SELECT count(*) FROM " + from
	if len(columns) > 0 {
		by, err := e.reading("t", t, columns...)
		if err != nil {
			return 0, err
		}
		sql = "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM " + from + " WHERE " + strings.Join(by, " IS NOT NULL AND ") + " IS NOT NULL GROUP BY " + strings.Join(by, ", ") + ") AS g"
	}
	most := 0.0
	err := e.driver.Query(ctx, sql, false, func(row []any) error {
		n, _ := row[0].(int64)
		most = float64(n)
		return nil
	})
	return most, err
}
