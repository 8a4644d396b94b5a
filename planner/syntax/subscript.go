package syntax

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// BigQuery's APPROX_QUANTILES(x, 4) AS q becomes one column for each quantile here, and q[OFFSET(1)] in an outer query
// reads one of them.

// elementOf names q[OFFSET(k)] until the query that defines q is known.
const elementOf = internal + "element"

// subscripts replaces each q[OFFSET(k)] in a query by the column that it means. The list's columns that nothing reads
// are removed.
func subscripts(q *Query) {
	s := &subscripted{lists: map[*Select][]*list{}}
	s.query(q, nil)
	for from, lists := range s.lists {
		from.Items = slices.DeleteFunc(from.Items, func(i Item) bool {
			return slices.ContainsFunc(lists, func(l *list) bool {
				return slices.Contains(l.names, i.Alias) && !slices.Contains(l.read, i.Alias)
			})
		})
	}
}

type subscripted struct{ lists map[*Select][]*list }

// list is the columns of one APPROX_QUANTILES.
type list struct{ names, read []string }

func (s *subscripted) query(q *Query, names []With) {
	names = slices.Clone(names)
	for _, w := range q.With {
		s.query(w.Query, names)
		names = append(names, w)
	}
	if o := q.SetOperation; o != nil {
		s.query(o.Left, names)
		s.query(o.Right, names)
		return
	}
	sel := q.Select
	for _, f := range sel.From {
		if f.Query != nil {
			s.query(f.Query, names)
		}
	}
	read := func(t *Expr) *Expr {
		if t == nil {
			return nil
		}
		return t.Rewrite(func(t *Expr) *Expr {
			if t.Query != nil {
				s.query(t.Query, names)
			}
			if t.Kind == Call && t.Name == elementOf {
				return s.element(t, sel.From, names)
			}
			return nil
		})
	}
	for i := range sel.Items {
		item := &sel.Items[i]
		if label := item.Name(); item.Alias == "" && item.Term.Kind == Call && item.Term.Name == elementOf {
			item.Alias = label
		}
		item.Term = read(item.Term)
	}
	sel.Where, sel.Having, sel.Qualify = read(sel.Where), read(sel.Having), read(sel.Qualify)
	for i := range sel.From {
		sel.From[i].On = read(sel.From[i].On)
	}
	for _, set := range sel.GroupBy {
		for i := range set {
			set[i] = read(set[i])
		}
	}
	for i := range q.OrderBy {
		q.OrderBy[i].Term = read(q.OrderBy[i].Term)
	}
}

// element returns the column that q[OFFSET(k)] means.
func (s *subscripted) element(t *Expr, from []From, names []With) *Expr {
	of, k := t.Args[0], t.Args[1].Literal.Int64()
	for _, f := range from {
		if of.Qualifier != "" && of.Qualifier != f.Alias {
			continue
		}
		query := f.Query
		if w, _ := f.Named(names); w != nil && w.Columns == nil {
			query = w.Query
		}
		if query == nil || query.Select == nil || f.Columns != nil {
			continue
		}
		l := s.list(query.Select, of.Name)
		if k >= 0 && k < int64(len(l.names)) {
			name := l.names[k]
			l.read = append(l.read, name)
			return &Expr{Kind: Column, At: t.At, Qualifier: of.Qualifier, Name: name}
		}
	}
	Refuse(CodeNotSupported, t.At, "for a quantile write APPROX_QUANTILES(x, 4)[OFFSET(1)] or QUANTILE(x, 0.25)", "there are no arrays")
	return nil
}

// list returns the columns that a SELECT made from APPROX_QUANTILES(…) AS name, or nil.
func (s *subscripted) list(of *Select, name string) *list {
	var names []string
	for _, i := range of.Items {
		t := i.Term
		if t.Kind == Call && t.Name == "quantile" && len(t.Args) == 2 && t.Args[1].Kind == Literal && t.Args[1].Literal.Type() == value.TypeFloat &&
			strings.EqualFold(i.Alias, name+" "+t.Args[1].Describe()) {
			names = append(names, i.Alias)
		}
	}
	for _, l := range s.lists[of] {
		if slices.Equal(l.names, names) {
			return l
		}
	}
	l := &list{names: names}
	if len(names) > 0 {
		s.lists[of] = append(s.lists[of], l)
	}
	return l
}
