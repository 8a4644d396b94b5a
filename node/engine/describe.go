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

// widest is the most distinct values of a column that Describe lists. A value in fewer rows than rare may point to one
// person.
const (
	widest = 30
	rare   = 10
)

// Table is a local table as Describe finds it.
type Table struct {
	Name    string // as the catalog calls it where a Source maps it, else "schema.name" or a file
	Columns []Column
	Draft   *Draft // nil: there is nothing more to say
	Fault   string // why nothing can be said of it, in words that quote no value; else empty
}

// Column is a column of a local table. Its values are private: they are for the
// custodian who writes the catalog.
type Column struct {
	Name     string
	Local    string     // the database's type
	Type     value.Type // the catalog's type that suits it best
	Nullable bool       // a NULL was found
	Min, Max string     // empty without values, and for booleans
	Values   []string   // all distinct values but NULL, sorted, if there are at most 30
	Rare     bool       // one of Values stands in fewer than ten rows
	Unique   bool       // the database itself keeps it unique and not NULL
	Key      bool       // likewise, alone or together with others: it tells rows apart
	// Singles: there are more than a few values and half or more of them differ, so that one value points to a row or two.
	// Only for texts and ints: measurements and times always differ.
	Singles bool
	Prose   bool // texts of more than proseLength characters on average: somebody wrote them
}

// Of how many ints some are called Singles, and from which length on texts are Prose.
const (
	singleInts  = 1000
	proseLength = 40
)

// Describe lists what local tables hold, to begin a catalog with: the sources of tables
// by the catalog's names, and else all. It reads all of them, or a sample of those that
// are very large, once and once again for each column.
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

// describeMany reports whether the many values of a column single rows out.
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

// plain is a value's text; where a database writes 49.5 as 4.95E1, as people do.
func plain(cell any, t value.Type) string {
	s, _ := cell.(string)
	if t == value.TypeFloat && strings.Contains(s, "E") {
		if x, err := strconv.ParseFloat(s, 64); err == nil {
			return strconv.FormatFloat(x, 'g', -1, 64)
		}
	}
	return s
}
