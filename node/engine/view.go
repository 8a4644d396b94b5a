package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// Closed is a catalog table that is not offered because its source cannot be read.
type Closed struct {
	Table string
	Why   string // for the custodian; without values
}

// Close closes a table because of an error of its source.
func Close(table string, err error) Closed {
	return Closed{table, strings.ReplaceAll(err.Error(), ErrConfig.Error()+": ", "")}
}

// Map makes the views of the offered tables, in the catalog's order: those in tables, and those that are found by name.
// A source that cannot be read closes its own table only. Errors are the finder's, except those that wrap ErrConfig.
func Map(ctx context.Context, c *catalog.Catalog, tables map[string]Source, local Finder) (views []*View, closed []Closed, err error) {
	identities, err := identityColumns(c)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range c.Tables {
		source := tables[t.Source()]
		at, ok, err := locate(ctx, local, tables, t.Source())
		var v *View
		if i := slices.IndexFunc(through(c, t), func(x *catalog.Table) bool { return tables[x.Source()].Key == KeyNone }); err == nil && ok && i >= 0 {
			err = fmt.Errorf("%w: it reaches its patient by %s, whose key is none here", ErrConfig, through(c, t)[i].Name)
		}
		if err == nil && ok {
			v, err = newView(t, at, source.Columns)
		}
		switch {
		case errors.Is(err, ErrConfig) && ctx.Err() == nil:
			closed = append(closed, Close(t.Name, err))
		case err != nil:
			return nil, nil, err
		case ok:
			v.identity, v.keyless = identities[t.Name], source.Key == KeyNone
			if most := source.MaxUnusable; most != nil {
				v.unusable, v.declared = float64(*most), true
			}
			views = append(views, v)
		}
	}
	return views, closed, nil
}

// View is how a catalog table reads its source.
type View struct {
	Place
	Table   *catalog.Table   // as the catalog has it
	Stored  string           // what follows FROM for a view that exists in the database; else empty
	columns map[string]Local // by the catalog's name; a column that does not exist here is missing
	// identity are the columns by which rows reach their patient; see identityColumns.
	identity map[string]bool
	keyless  bool    // the catalog's key does not hold here, and nothing relies on it
	unusable float64 // the share of a column's values that may be lost
	declared bool    // node.yaml sets that share
}

// newView matches the columns of a catalog table with local ones by name.
func newView(t *catalog.Table, at Place, names map[string]string) (*View, error) {
	v := &View{Place: at, Table: t, columns: map[string]Local{}, unusable: unusable}
	for _, c := range t.Columns {
		want, renamed := names[c.Name]
		if !renamed {
			want = c.Name
		}
		i := at.column(want)
		if i < 0 && renamed {
			return nil, fmt.Errorf("%w: columns of table %s: %s has no column %s (any more); name the one that it has, or leave the line out to read NULL", ErrConfig, t.Name, at.Name, want)
		}
		if i < 0 {
			continue
		}
		if l := at.Columns[i]; l.Clash != "" {
			return nil, fmt.Errorf("%w: column %s of %s: %s", ErrConfig, l.Name, at.Name, l.Clash)
		}
		v.columns[c.Name] = at.Columns[i]
	}
	if p := t.Part; p != nil {
		if _, ok := v.columns[p.Column]; !ok {
			return nil, fmt.Errorf("%w: %s has no column %s, which tells whose its rows are", ErrConfig, at.Name, p.Column)
		}
	}
	return v, nil
}

// From is what follows FROM for the rows of the table, with the hospital's columns. For a part of a table it selects
// the part's rows. The column that divides the parts is compared by its bytes, as fragments read it. With another
// collation a row might belong to two parts, and so to two patients.
func (v *View) From(driver Driver) string {
	p := v.Table.Part
	if p == nil {
		return v.SQL
	}
	is, _ := driver.Convert(v.columns[p.Column], value.TypeText)
	return "(SELECT * FROM " + v.SQL + " WHERE " + is + " = '" + strings.ReplaceAll(p.Value, "'", "''") + "') AS part"
}

// Changed says how the columns that are read have changed, given the place as it is now; empty if they have not.
func (v *View) Changed(now Place) string {
	if now.SQL != v.SQL {
		return "they have other columns, or columns of other types"
	}
	for _, c := range v.Table.Columns {
		l, ok := v.columns[c.Name]
		if !ok {
			if i := now.column(c.Name); i >= 0 {
				return "column " + c.Name + " is there now"
			}
			continue
		}
		i := slices.IndexFunc(now.Columns, func(o Local) bool { return o.Name == l.Name })
		switch {
		case i < 0:
			return "column " + l.Name + " is gone"
		case now.Columns[i].Clash != "":
			return "column " + l.Name + ": " + now.Columns[i].Clash
		case now.Columns[i].Kind != l.Kind:
			return "column " + l.Name + " is " + now.Columns[i].Kind + " now, and was " + l.Kind
		}
	}
	return ""
}

// Reads reports whether a column of the catalog is read from a local one of that name.
func (v *View) Reads(local string) bool {
	for _, l := range v.columns {
		if strings.EqualFold(l.Name, local) {
			return true
		}
	}
	return false
}

// local returns the local names of columns.
func (v *View) local(names []string) []string {
	var local []string
	for _, n := range names {
		if c, ok := v.Table.Column(n); ok {
			local = append(local, v.columns[c.Name].Name)
		}
	}
	return local
}

// Select writes the SELECT of the named columns of the catalog's table; nil means all.
func (v *View) Select(driver Driver, dialect *compile.Dialect, names []string) string {
	var columns []string
	for _, c := range v.Table.Columns {
		if names != nil && !slices.Contains(names, c.Name) {
			continue
		}
		sql := "CAST(NULL AS " + dialect.Type(c.Type) + ")"
		if l, ok := v.columns[c.Name]; ok {
			sql, _ = v.read(driver, dialect, c, l)
		}
		if quoted := `"` + c.Name + `"`; sql != quoted {
			sql += " AS " + quoted
		}
		columns = append(columns, sql)
	}
	if len(columns) == 0 {
		columns = []string{"1 AS nothing"}
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + v.From(driver)
}
