package relational

import (
	"cmp"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// VALUES and SELECT without FROM are public rows, such as a researcher's list of codes to join with the hospitals'
// data. In a plan they are rows of constants in a fixed order, so the order in the text makes no difference.

// ReadsNoTable reports whether a SELECT reads no table.
func ReadsNoTable(s *syntax.Select) bool {
	return len(s.From) == 0 && s.Where == nil && len(s.GroupBy) == 0 && s.Having == nil && s.Qualify == nil &&
		!slices.ContainsFunc(s.Items, func(i syntax.Item) bool {
			return i.Term.Kind == syntax.Star || i.Term.Aggregate() != nil || i.Term.Window() != nil
		})
}

// values plans the rows of a SELECT that reads no table.
func (r *Resolver) values(s *syntax.Select) *Derived {
	rows := s.Values
	if rows == nil {
		var row []*syntax.Expr
		for _, i := range s.Items {
			row = append(row, i.Term)
		}
		rows = [][]*syntax.Expr{row}
	}
	columns := make([]Column, len(s.Items))
	lists := make([][]*expr.Expr, len(s.Items)) // by column
	for i, item := range s.Items {
		var terms []*syntax.Expr
		for _, row := range rows {
			terms = append(terms, row[i])
		}
		columns[i] = Column{Name: item.Name(), Column: "value", Untyped: true}
		for k, e := range scalar.Unified(terms, r.Row) {
			if e = scalar.Fold(e); e.Op != expr.OpLiteral {
				syntax.Refuse(syntax.CodeNotSupported, terms[k].At, "write a constant", "VALUES takes constants, and this is none")
			}
			columns[i].Untyped = columns[i].Untyped && scalar.IsNull(e)
			lists[i] = append(lists[i], e)
		}
		t := widest(lists[i])
		for k, e := range lists[i] { // whole numbers beside reals become reals
			if e.Type != t {
				c, err := expr.Cast(e, t)
				if err != nil || e.Type != value.TypeInt || t != value.TypeFloat {
					syntax.Refuse(syntax.CodeType, terms[k].At, "CAST one of them", "a column of VALUES is a %s in one row and a %s in another", t, e.Type)
				}
				lists[i][k] = scalar.Fold(c)
			}
		}
	}
	arms := make([]*fragment.Query, len(rows))
	for k := range rows {
		arms[k] = &fragment.Query{}
		for i := range columns {
			columns[i].Column = freshOutput(arms[k], "value")
			arms[k].Columns = append(arms[k].Columns, fragment.Output{Name: columns[i].Column, Expr: lists[i][k]})
		}
	}
	if len(arms) == 1 {
		return r.checkDerived(arms[0], columns, s.At)
	}
	sortConstants(arms)
	return r.checkDerived(&fragment.Query{SetOp: fragment.SetOpUnionAll, Inputs: arms}, columns, s.At)
}

// sortConstants orders rows of constants that have the same names.
func sortConstants(rows []*fragment.Query) {
	slices.SortStableFunc(rows, func(a, b *fragment.Query) int {
		return cmp.Compare(scalar.Canonical(a.Columns), scalar.Canonical(b.Columns))
	})
}

// widest is the common type of numbers of several types, or else the type of the first value.
func widest(list []*expr.Expr) value.Type {
	for _, e := range list {
		if e.Type == value.TypeFloat {
			return e.Type
		}
	}
	return list[0].Type
}
