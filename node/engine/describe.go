package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// Describe lists the distinct values of a column if there are at most widest. A value in fewer rows than rare may point
// to one person.
const (
	widest = 30
	rare   = 10
)

// Table is a local table as Describe finds it.
type Table struct {
	Name    string // the catalog's name if a Source maps it, else "schema.name" or a file
	Columns []Column
	Draft   *Draft // nil if there is nothing more to say
	Fault   string // why it cannot be described, without values; else empty
}

// Column is a column of a local table. Its values are private: they are for the custodian who writes the catalog.
type Column struct {
	Name     string
	Local    string     // the database's type
	Type     value.Type // the catalog's type that fits best
	Nullable bool       // a NULL was found
	Min, Max string     // empty for booleans and without values
	Values   []string   // all distinct values except NULL, sorted, if there are at most 30
	Rare     bool       // one of Values occurs in fewer than ten rows
	Unique   bool       // the database itself keeps it unique and not NULL
	Key      bool       // the same, alone or together with other columns: it identifies rows
	// Singles: the column has more than a few values and at least half of them differ, so that a value points to a row or
	// two. It is set for texts and ints only, because measurements and times always differ.
	Singles bool
	Prose   bool // texts of more than proseLength characters on average, written by somebody
}

// From how many distinct ints on a column can be Singles, and from which average length on texts are Prose.
const (
	singleInts  = 1000
	proseLength = 40
)

// Describe describes local tables, as a start for a catalog: the sources of the given tables, or all tables if none is
// given. It reads all of a table, or a sample of a very large one, once and then once for each column.
func Describe(ctx context.Context, driver Driver, dialect *compile.Dialect, tables map[string]Source, local Finder) ([]Table, error) {
	var places []Place
	mapped := slices.Sorted(maps.Keys(tables))
	for _, name := range mapped {
		at, _, err := locate(ctx, local, tables, name)
		if errors.Is(err, ErrConfig) && ctx.Err() == nil {
			at.Fault, err = Close(name, err).Why, nil
		}
		if err != nil {
			return nil, err
		}
		places = append(places, at)
	}
	all, err := local.All(ctx)
	if err != nil {
		return nil, err
	}
	places = append(places, slices.DeleteFunc(all, func(at Place) bool {
		return slices.ContainsFunc(places, func(p Place) bool { return p.SQL == at.SQL && p.SQL != "" })
	})...)
	var found []Table
	for i, at := range places {
		t := Table{Name: at.Name, Draft: at.Draft, Fault: at.Fault}
		if t.Fault == "" {
			var err error
			if t.Columns, t.Fault, err = describeAll(ctx, driver, dialect, at); err != nil {
				return nil, err
			}
		}
		if i < len(mapped) {
			t.Name = mapped[i]
		}
		if i < len(mapped) && t.Fault == "" {
			for logical, name := range tables[t.Name].Columns {
				if j := at.column(name); j >= 0 {
					t.Columns[j].Name = logical
				}
			}
		}
		found = append(found, t)
	}
	return found, nil
}

// describeAll describes the columns of a table, or says what is wrong with it.
func describeAll(ctx context.Context, driver Driver, dialect *compile.Dialect, at Place) (columns []Column, wrong string, err error) {
	for _, l := range at.Columns {
		if l.Clash != "" {
			return nil, "column " + l.Name + ": " + l.Clash, nil
		}
		c, err := describe(ctx, driver, dialect, at, l)
		var fault *Fault
		if errors.As(err, &fault) && fault.table && ctx.Err() == nil {
			return nil, fault.class, nil
		}
		if err != nil {
			return nil, "", fmt.Errorf("column %s of %s: %w", l.Name, at.Name, err)
		}
		columns = append(columns, c)
	}
	return columns, "", nil
}

func describe(ctx context.Context, driver Driver, dialect *compile.Dialect, at Place, l Local) (Column, error) {
	c := Column{Name: l.Name, Local: l.Kind, Type: l.Type}
	for _, key := range at.Unique {
		if slices.Contains(key, l.Name) {
			c.Key, c.Unique = true, c.Unique || len(key) == 1
		}
	}
	x, _ := driver.Convert(l, l.Type)
	from := "(SELECT " + x + " AS v FROM " + at.SQL + ") AS t"
	if at.Sample != "" {
		from = "(SELECT " + x + " AS v FROM " + at.Sample + ") AS t"
	}
	text := func(sql string) string { return "CAST(" + sql + " AS " + dialect.Type(value.TypeText) + ")" }
	columns := []string{"count(*) > count(v)"}
	if l.Type != value.TypeBool {
		columns = append(columns, "coalesce("+text("min(v)")+", '')", "coalesce("+text("max(v)")+", '')")
	}
	err := driver.Query(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+from, false, func(row []any) error {
		c.Nullable, _ = row[0].(bool)
		if len(row) > 1 {
			c.Min, c.Max = plain(row[1], l.Type), plain(row[2], l.Type)
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	distinct := fmt.Sprintf("SELECT %s, n < %d FROM (SELECT v, count(*) AS n FROM %s WHERE v IS NOT NULL GROUP BY v LIMIT %d) AS d ORDER BY v", text("v"), rare, from, widest+1)
	err = driver.Query(ctx, distinct, false, func(row []any) error {
		c.Values = append(c.Values, plain(row[0], l.Type))
		if few, _ := row[1].(bool); few {
			c.Rare = true
		}
		return nil
	})
	if len(c.Values) > widest {
		c.Values, c.Rare = nil, false
		if err == nil {
			err = describeMany(ctx, driver, from, &c)
		}
	}
	return c, err
}

// describeMany decides whether the many values of a column identify rows.
func describeMany(ctx context.Context, driver Driver, from string, c *Column) error {
	least, long := singleInts, "1 = 0"
	switch c.Type {
	case value.TypeText:
		least, long = widest, fmt.Sprintf("coalesce(avg(length(v)), 0) > %d", proseLength)
	case value.TypeInt:
	default:
		return nil
	}
	sql := fmt.Sprintf("SELECT count(DISTINCT v) * 2 >= count(v) AND count(DISTINCT v) > %d, %s FROM %s", least, long, from)
	return driver.Query(ctx, sql, false, func(row []any) error {
		c.Singles, _ = row[0].(bool)
		c.Prose, _ = row[1].(bool)
		return nil
	})
}

// plain is a value's text. A number that the database writes as 4.95E1 becomes 49.5.
func plain(cell any, t value.Type) string {
	s, _ := cell.(string)
	if t == value.TypeFloat && strings.Contains(s, "E") {
		if x, err := strconv.ParseFloat(s, 64); err == nil {
			return strconv.FormatFloat(x, 'g', -1, 64)
		}
	}
	return s
}
