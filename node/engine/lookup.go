package engine

import (
	"context"
	"fmt"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// CompileReading returns the SQL that Look would run. It first checks the reading: only tables that the catalog calls
// public may be read. Errors wrap fragment.ErrInvalid, or are those of compile.Target.
func (e *Engine) CompileReading(r *fragment.Reading) (string, error) {
	t, err := r.Table(e.catalog)
	if err != nil {
		return "", err
	}
	return e.target().Reading(r, t)
}

// Look passes rows of public tables to take, in the order of the reading. It ends with take's first error, or soon
// after ctx does. Other errors are those of CompileReading and ErrDatabase.
func (e *Engine) Look(ctx context.Context, r *fragment.Reading, take func(row []value.Value) error) error {
	t, err := r.Table(e.catalog)
	if err != nil {
		return err
	}
	sql, err := e.target().Reading(r, t)
	if err != nil {
		return err
	}
	return e.driver.Query(ctx, sql, false, func(row []any) error {
		if len(row) != len(t.Columns) {
			return fmt.Errorf("%w: it gave %d columns, not %d", ErrDatabase, len(row), len(t.Columns))
		}
		values := make([]value.Value, len(row))
		for i, v := range row {
			var err error
			if values[i], err = valueOf(v, t.Columns[i].Type); err != nil {
				return err
			}
		}
		return take(values)
	})
}
