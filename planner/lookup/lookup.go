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

// maxBound is the largest number of values of a bound. A bound with more keeps all rows.
const maxBound = 5000

// Lookup is one read of public tables by a program.
type Lookup struct {
	fragment.Reading
	columns *catalog.Table // of the relation, under the lookup's name
	// bounds limit the rows to those that the rest of the query can join.
	bounds []bound
}

// bound keeps the rows of a lookup whose column has one of some values. The values are the single column of a relation,
// which reads releases and earlier lookups.
type bound struct {
	column *expr.Expr
	values *fragment.Query
}

// Bounded reports whether the read depends on what was released.
func (l *Lookup) Bounded() bool { return len(l.bounds) > 0 }

// Narrow returns the reading of the rows that can matter. tables returns the rows of releases and earlier lookups, by
// table name. It returns nil if no row can matter. The error says that too many rows would be joined to find out.
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

// Empty is the result of a lookup if no row can matter.
func (l *Lookup) Empty() fragment.Rows {
	var rows fragment.Rows
	for _, c := range l.columns.Columns {
		rows.Names = append(rows.Names, c.Name)
	}
	return rows
}

// Columns describes the relation's columns.
func (l *Lookup) Columns() *catalog.Table { return l.columns }

// Describe writes the lookup for a person, without its number.
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
