package coordinator

import (
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/syntax"
)

// constants returns the row and the columns of SELECT 1 and similar statements, with which pools and drivers test a
// connection. It returns nil for any other statement.
func constants(s *syntax.Statement) (columns []planner.Column, row []planner.Estimate) {
	q := s.Query
	if s.Kind != syntax.KindSelect || q == nil || q.Select == nil || len(q.With) > 0 || len(q.OrderBy) > 0 || q.Limit != nil || q.Offset != nil {
		return nil, nil
	}
	if of := q.Select; of.Distinct || len(of.Values) > 0 || len(of.From) > 0 || of.Where != nil || len(of.GroupBy) > 0 || of.Having != nil || of.Qualify != nil {
		return nil, nil
	}
	for _, item := range q.Select.Items {
		v := item.Term.Literal
		switch {
		case item.Term.Kind != syntax.Literal:
			return nil, nil
		case !v.Valid(): // NULL
			v = value.Null(value.TypeText)
		}
		name := item.Alias
		if name == "" {
			name = "?column?" // PostgreSQL's name for it
		}
		columns, row = append(columns, planner.Column{Name: name, Type: v.Type()}), append(row, planner.Estimate{Value: v})
	}
	return columns, row
}
