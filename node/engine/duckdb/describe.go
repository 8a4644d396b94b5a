package duckdb

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// widest is the most distinct values of a column that Describe lists.
const widest = 30

// Table is a local table as Describe finds it.
type Table struct {
	Name    string // as a Source names it: "schema.name" or a file
	Columns []Column
}

// Column is a column of a local table. Its values are private: they are for the
// custodian who writes the catalog.
type Column struct {
	Name     string
	Local    string     // DuckDB's type
	Type     value.Type // the catalog's type that suits it best
	Nullable bool       // a NULL was found
	Min, Max string     // empty without values
	Values   []string   // all distinct values but NULL, sorted, if there are at most 30
}

// Describe lists what the sources hold, to begin a catalog with. It reads all of
// them, and ignores cfg.Tables.
func Describe(ctx context.Context, cfg Config) ([]Table, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	db, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	found, err := find(ctx, db, cfg)
	if err != nil {
		return nil, err
	}
	all, err := found.all()
	if err != nil {
		return nil, err
	}
	var tables []Table
	for _, at := range all {
		columns, err := describe(ctx, db, at)
		if err != nil {
			return nil, fmt.Errorf("%w: %s cannot be read: %w", ErrConfig, at.name, err)
		}
		t := Table{Name: at.name}
		for _, l := range columns {
			q, err := compile.Name(l.name)
			if err != nil {
				return nil, err
			}
			c := Column{Name: l.name, Local: l.kind, Type: suits(l)}
			few := false
			err = query(ctx, db, fmt.Sprintf("SELECT count(*) > count(%[1]s), coalesce(CAST(min(%[1]s) AS VARCHAR), ''), coalesce(CAST(max(%[1]s) AS VARCHAR), ''), approx_count_distinct(%[1]s) <= %[2]d FROM %[3]s", q, 2*widest, at.sql), nil, func(row []driver.Value) error {
				c.Nullable, _ = row[0].(bool)
				c.Min, _ = row[1].(string)
				c.Max, _ = row[2].(string)
				few, _ = row[3].(bool)
				return nil
			})
			if err == nil && few {
				err = query(ctx, db, fmt.Sprintf("SELECT CAST(v AS VARCHAR) FROM (SELECT DISTINCT %[1]s AS v FROM %[2]s WHERE %[1]s IS NOT NULL ORDER BY v LIMIT %[3]d)", q, at.sql, widest+1), nil, func(row []driver.Value) error {
					s, _ := row[0].(string)
					c.Values = append(c.Values, s)
					return nil
				})
			}
			if err != nil {
				return nil, fmt.Errorf("column %s of %s: %w", l.name, at.name, err)
			}
			if len(c.Values) > widest {
				c.Values = nil
			}
			t.Columns = append(t.Columns, c)
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// suits gives the catalog's type for a local column.
func suits(l local) value.Type {
	switch {
	case l.kind == "BOOLEAN":
		return value.TypeBool
	case l.fits(value.TypeInt) || l.kind == "HUGEINT" || l.kind == "UBIGINT":
		return value.TypeInt
	case l.fits(value.TypeFloat):
		return value.TypeFloat
	case l.kind == "DATE":
		return value.TypeDate
	case l.fits(value.TypeTimestamp):
		return value.TypeTimestamp
	}
	return value.TypeText
}
