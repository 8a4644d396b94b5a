package rewrite

import (
	"slices"

	"github.com/intramuros/intramuros/planner/syntax"
)

// Ranks are compared with the number of rows. That number may also come from a query beside the ranking query:
//
//	FROM (SELECT x, ROW_NUMBER() OVER (ORDER BY x) AS rn FROM t) r CROSS JOIN (SELECT COUNT(*) AS n FROM t) c
//	FROM (SELECT k, x, ROW_NUMBER() OVER (PARTITION BY k ORDER BY x) AS rn FROM t) r
//	  JOIN (SELECT k, COUNT(*) AS n FROM t GROUP BY k) c ON r.k = c.k
//	FROM (SELECT x, ROW_NUMBER() OVER (ORDER BY x) AS rn, (SELECT COUNT(*) FROM t) AS n FROM t) r
//
// Each means COUNT(*) OVER (PARTITION BY k) in the ranking query, if both read the same rows.

// counted returns the query with such a count written as a window function; nil if it has none.
func counted(q *syntax.Query, names []syntax.With) *syntax.Query {
	s := q.Select
	if len(s.From) == 0 || len(s.From) > 2 {
		return nil
	}
	f := s.From[0]
	ranking := named(f, names)
	if ranking == nil || ranking.Select == nil || f.Columns != nil || len(ranking.Select.GroupBy) > 0 {
		return nil
	}
	within := *ranking.Select
	within.Items = slices.Clone(within.Items)
	found := false
	for i, item := range within.Items { // a subquery among the items
		if t := item.Term; t.Kind == syntax.Subquery && len(s.From) == 1 {
			if keys, _, ok := countOf(t.Query, &within); ok && len(keys) == 0 {
				within.Items[i] = syntax.Item{Term: countOver(t.At, nil), Alias: item.Name()}
				found = true
			}
		}
	}
	out, one := *q, *s
	if len(s.From) == 2 {
		if found = beside(&one, &within, names); !found {
			return nil
		}
	}
	if !found {
		return nil
	}
	inner := *ranking
	inner.Select = &within
	if f.Alias == "" {
		f.Alias = f.Table
	}
	f.Table, f.Query = "", &inner
	one.From = []syntax.From{f}
	out.Select = &one
	return &out
}

// beside moves the count that a SELECT joins to the ranking query into the ranking query.
func beside(s, ranking *syntax.Select, names []syntax.With) bool {
	first, second := s.From[0], s.From[1]
	count := named(second, names)
	if count == nil || second.Columns != nil || second.Lateral || second.Natural || len(second.Using) > 0 ||
		second.Join != syntax.CrossJoin && second.Join != syntax.InnerJoin {
		return false
	}
	keys, items, ok := countOf(count, ranking)
	if !ok {
		return false
	}
	alias := func(f syntax.From) string {
		if f.Alias != "" {
			return f.Alias
		}
		return f.Table
	}
	key := func(name string) int {
		return slices.IndexFunc(keys, func(k *syntax.Expr) bool { return k.Name == name })
	}
	// Each key must be compared with the same column of the ranking query, and nothing else may be compared.
	compared := map[int]bool{}
	for _, t := range second.On.Conjuncts() {
		if t.Kind != syntax.Operator || t.Name != "=" || t.Args[0].Kind != syntax.Column || t.Args[1].Kind != syntax.Column ||
			t.Args[0].Name != t.Args[1].Name || t.Args[0].Qualifier == t.Args[1].Qualifier || key(t.Args[0].Name) < 0 {
			return false
		}
		compared[key(t.Args[0].Name)] = true
	}
	if len(compared) != len(keys) {
		return false
	}
	const n = "counted"
	ranking.Items = append(ranking.Items, syntax.Item{Term: countOver(second.At, keys), Alias: syntax.Internal(n)})
	isCount := func(t *syntax.Expr) bool {
		return t.Kind == syntax.Column && (t.Qualifier == "" || t.Qualifier == alias(second)) &&
			slices.ContainsFunc(items, func(i syntax.Item) bool { return i.Term.Kind == syntax.Call && i.Name() == t.Name })
	}
	read := func(t *syntax.Expr) *syntax.Expr {
		if t == nil {
			return nil
		}
		return t.Rewrite(func(t *syntax.Expr) *syntax.Expr {
			switch {
			case isCount(t):
				return &syntax.Expr{Kind: syntax.Column, At: t.At, Name: syntax.Internal(n)}
			case t.Kind == syntax.Column && t.Qualifier == alias(second):
				x := *t
				x.Qualifier = alias(first)
				return &x
			}
			return nil
		})
	}
	s.Items = slices.Clone(s.Items)
	for i, item := range s.Items {
		s.Items[i] = syntax.Item{Term: read(item.Term), Alias: item.Name()}
	}
	s.Where, s.Having = read(s.Where), read(s.Having)
	sets := make([][]*syntax.Expr, len(s.GroupBy))
	for i, set := range s.GroupBy {
		for _, t := range set {
			sets[i] = append(sets[i], read(t))
		}
	}
	s.GroupBy = sets
	return true
}

// named returns the query of a derived table or of a name of WITH; nil for another table.
func named(f syntax.From, names []syntax.With) *syntax.Query {
	if w, _ := f.Named(names); w != nil && w.Columns == nil {
		return w.Query
	}
	return f.Query
}

// countOf reads SELECT k, COUNT(*) FROM t WHERE c GROUP BY k, if t and c are those of the ranking query.
func countOf(q *syntax.Query, of *syntax.Select) (keys []*syntax.Expr, items []syntax.Item, ok bool) {
	if q.Select == nil || q.Limit != nil || q.Offset != nil {
		return nil, nil, false
	}
	s := q.Select
	if s.Distinct || s.Having != nil || s.Qualify != nil || len(s.GroupBy) > 1 || !sameRows(s, of) {
		return nil, nil, false
	}
	counts := 0
	for _, i := range s.Items {
		t := i.Term
		switch {
		case t.Kind == syntax.Column && i.Name() == t.Name:
			keys = append(keys, t)
		case t.Kind == syntax.Call && t.Name == "count" && t.Star && t.Filter == nil && t.Over == nil:
			counts++
		default:
			return nil, nil, false
		}
	}
	grouped := []*syntax.Expr(nil)
	if len(s.GroupBy) == 1 {
		grouped = s.GroupBy[0]
	}
	return keys, s.Items, counts > 0 && sameTerms(keys, grouped)
}

// sameRows reports whether two SELECTs read the same rows of one table, judged by their texts.
func sameRows(a, b *syntax.Select) bool {
	if len(a.From) != 1 || len(b.From) != 1 {
		return false
	}
	x, y := a.From[0], b.From[0]
	if x.Table == "" || x.Table != y.Table || x.Function != nil || y.Function != nil || x.Columns != nil || y.Columns != nil {
		return false
	}
	if a.Where == nil || b.Where == nil {
		return a.Where == b.Where
	}
	return a.Where.Equal(b.Where)
}

func countOver(at syntax.Position, keys []*syntax.Expr) *syntax.Expr {
	return &syntax.Expr{Kind: syntax.Call, Name: "count", Star: true, At: at, Over: &syntax.Window{At: at, Partition: keys}}
}
