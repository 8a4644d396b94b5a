package lookup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
)

// maxBound is how many values a bound may have; of more, it keeps all rows.
const maxBound = 5000

// Lookup is what a program reads of public tables.
type Lookup struct {
	fragment.Reading
	columns *catalog.Table // of the relation, under the name that it has in what is computed
	// bounds narrow it to what the rest of the query joins with it.
	bounds []bound
}

// bound keeps the rows of a lookup whose column is one of some values: those of the one column of a relation, which
// reads releases and lookups before this one.
type bound struct {
	column *expr.Expr
	values *fragment.Query
}

// Bounded reports whether what is asked depends on what was released.
func (l *Lookup) Bounded() bool { return len(l.bounds) > 0 }

// Narrow is the reading of the rows that can matter, given the rows of releases and of the lookups before this one by
// the names of their tables; nil: none can. The error says that too many rows would be joined to tell.
func (l *Lookup) Narrow(tables func(name string) fragment.Rows) (*fragment.Reading, error) {
	relation := *l.Relation
	var filters []*expr.Expr
	if relation.Filter != nil {
		filters = expr.Conjuncts(relation.Filter)
	}
	for _, b := range l.bounds {
		rows, err := b.values.Trace(tables, "")
		if err != nil {
			return nil, err
		}
		args := []*expr.Expr{b.column}
		slices.SortFunc(rows.Values, func(a, b []value.Value) int { return value.Compare(a[0], b[0]) })
		for _, row := range rows.Values {
			if !row[0].IsNull() {
				args = append(args, expr.Literal(row[0]))
			}
		}
		switch {
		case len(args) == 1:
			return nil, nil
		case len(args) > maxBound+1:
			continue
		}
		in, err := expr.New(expr.OpIn, args...)
		if err != nil {
			return nil, err
		}
		filters = append(filters, in)
	}
	if len(filters) > 0 {
		relation.Filter = scalar.Conjunction(filters)
	}
	narrow := l.Reading
	narrow.Relation = &relation
	return &narrow, nil
}

// Empty is what a lookup finds where no row can matter.
func (l *Lookup) Empty() fragment.Rows {
	var rows fragment.Rows
	for _, c := range l.columns.Columns {
		rows.Names = append(rows.Names, c.Name)
	}
	return rows
}

// Columns describes the relation's columns.
func (l *Lookup) Columns() *catalog.Table { return l.columns }

// Describe writes the lookup for a person, but for its number.
func (l *Lookup) Describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(l.Relation.String(), "\n", "\n  "))
	for _, by := range l.bounds {
		fmt.Fprintf(&b, "  where %s is one of the values that are joined with it\n", by.column)
	}
	for _, o := range l.Order {
		direction := ""
		if o.Descending {
			direction = " DESC"
		}
		fmt.Fprintf(&b, "  order by %s%s\n", o.Column, direction)
	}
	if l.Limit <= fragment.MaxLookupRows || l.Offset > 0 {
		fmt.Fprintf(&b, "  limit %d offset %d\n", l.Limit, l.Offset)
	}
	return b.String()
}
