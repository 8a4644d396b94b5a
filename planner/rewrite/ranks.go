package rewrite

import (
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Before databases had QUANTILE, people computed quartiles with ranks: they numbered all rows in an order and took one
// by its number. Over patients such a window is refused, because it compares patients. But the quantile that is meant
// can be released. So a query that is refused for its ranks is tried again, with quantiles instead:
//
//	MIN(CASE WHEN rn >= 0.5 * n THEN x END)             QUANTILE(x, 0.5)
//	MIN(CASE WHEN rn < 0.5 * n THEN 9999 ELSE x END)    LEAST(9999, QUANTILE(x, 0.5))
//	AVG(x) … WHERE rn IN ((n + 1) / 2, (n + 2) / 2)     QUANTILE(x, 0.5)
//	MIN(x), MAX(x) … GROUP BY NTILE(4) OVER (…)         QUANTILE(x, 0) and QUANTILE(x, 0.25), and so on
//	m … GROUP BY k, m of f(x) OVER (PARTITION BY k) AS m   f(x)
//
// Here the inner query selects x, ROW_NUMBER() OVER (PARTITION BY k ORDER BY x) AS rn and COUNT(*) OVER (PARTITION BY
// k) AS n, and the outer query groups by k. If x may be NULL, the query stays refused: row numbers count NULLs, and
// quantiles do not. In the same way, SELECT DISTINCT k, f OVER (PARTITION BY k) becomes SELECT k, f GROUP BY k.

// Quantiles replaces ranks in the query by quantiles, and reports whether it found any.
func Quantiles(q *syntax.Query, _ Columns) (*syntax.Query, bool) {
	r := &ranking{}
	out := r.query(q, nil)
	return out, r.found
}

// ranking looks for ranks throughout a query.
type ranking struct{ found bool }

func (r *ranking) query(q *syntax.Query, names []syntax.With) *syntax.Query {
	out := *q
	out.With = slices.Clone(q.With)
	inner := slices.Clone(names)
	for i, w := range out.With {
		out.With[i].Query = r.query(w.Query, inner)
		inner = append(inner, out.With[i])
	}
	if o := q.SetOperation; o != nil {
		both := *o
		both.Left, both.Right = r.query(o.Left, inner), r.query(o.Right, inner)
		out.SetOperation = &both
		return &out
	}
	s := *q.Select
	s.From = slices.Clone(s.From)
	for i, f := range s.From {
		if f.Query != nil {
			s.From[i].Query = r.query(f.Query, inner)
		}
	}
	r.subqueries(&s, inner)
	out.Select = &s
	if one := s; oneRow(q) { // with a window over all rows, every row has the same value
		one.Distinct = true
		if grouped, ok := distinctWindows(&one); ok && !slices.ContainsFunc(s.Items, func(i syntax.Item) bool { return i.Term.Find(partitioned) != nil }) {
			r.found = true
			out.Select, out.Limit = grouped, nil
			return &out
		}
	}
	if grouped, ok := distinctWindows(&s); ok {
		r.found = true
		out.Select = grouped
		return &out
	}
	if within := counted(&out, inner); within != nil {
		out = *within
		s = *out.Select
	}
	if len(s.From) != 1 || s.From[0].Function != nil || s.From[0].Lateral {
		return &out
	}
	if rewritten := ranksOf(&out, inner); rewritten != nil {
		r.found = true
		return rewritten
	}
	return &out
}

// subqueries rewrites the subqueries among the items.
func (r *ranking) subqueries(s *syntax.Select, names []syntax.With) {
	s.Items = slices.Clone(s.Items)
	for i, item := range s.Items {
		term := item.Term.Rewrite(func(t *syntax.Expr) *syntax.Expr {
			if t.Kind != syntax.Subquery {
				return nil
			}
			before := r.found
			r.found = false
			within := r.query(t.Query, names)
			if !r.found {
				r.found = before
				return t
			}
			x := *t
			x.Query = within
			return &x
		})
		s.Items[i] = syntax.Item{Term: term, Alias: item.Alias}
		if term != item.Term && item.Alias == "" {
			s.Items[i].Alias = item.Name()
		}
	}
}

// oneRow reports whether a query keeps one row, without an order.
func oneRow(q *syntax.Query) bool {
	n := q.Limit
	return n != nil && q.Offset == nil && q.OrderBy == nil && n.Kind == syntax.Literal && n.Literal.Type() == value.TypeInt && n.Literal.Int64() == 1
}

func partitioned(t *syntax.Expr) bool { return t.Over != nil && len(t.Over.Partition) > 0 }

// distinctWindows writes SELECT DISTINCT k, f OVER (PARTITION BY k) as a grouping.
func distinctWindows(s *syntax.Select) (*syntax.Select, bool) {
	if !s.Distinct || len(s.GroupBy) > 0 || s.Having != nil || s.Qualify != nil {
		return nil, false
	}
	var partition []*syntax.Expr
	windows := 0
	for _, i := range s.Items {
		i.Term.Walk(func(t *syntax.Expr) bool {
			if t.Over == nil {
				return true
			}
			windows++
			w := t.Over
			if len(w.OrderBy) > 0 || w.Frame != nil || !syntax.IsAggregate(t.Name) ||
				windows > 1 && !sameTerms(partition, w.Partition) {
				windows = math.MinInt32
			}
			partition = t.Over.Partition
			return false
		})
	}
	if windows <= 0 {
		return nil, false
	}
	out := *s
	out.Distinct, out.Items = false, nil
	for _, k := range partition { // DISTINCT would merge groups with equal numbers unless their keys are shown
		out.Distinct = out.Distinct || !slices.ContainsFunc(s.Items, func(i syntax.Item) bool { return sameTerm(i.Term, k) })
	}
	for _, i := range s.Items {
		if i.Term.Window() == nil && !hasTerm(partition, i.Term) {
			return nil, false
		}
		term := i.Term.Rewrite(func(t *syntax.Expr) *syntax.Expr {
			if t.Over == nil {
				return nil
			}
			plain := *t
			plain.Over = nil
			return &plain
		})
		out.Items = append(out.Items, syntax.Item{Term: term, Alias: i.Name()})
	}
	if len(partition) > 0 {
		out.GroupBy = [][]*syntax.Expr{partition}
	}
	return &out, true
}

// ranked is a SELECT that reads a query with ranks.
type ranked struct {
	*syntax.Select
	alias string
	items []syntax.Item // items of the inner query, under the outer SELECT's names
	ranks map[int]bool  // items that are ranks or counts of all rows
	order syntax.Order
	// partition holds the keys of the ranks' partition.
	partition []*syntax.Expr
	// Tied rows share the RANK of the first and the CUME_DIST of the last. So a RANK can only tell where a part ends, and
	// a CUME_DIST where one begins.
	begins, ends bool
	used         bool    // a condition reads a rank
	rows         float64 // the number of rows that is assumed when ranks are compared
	within       part    // the part of the ranks that WHERE keeps
	failed       bool
}

// ranksOf replaces the ranks of the inner query by quantiles. It returns nil if no rank is used as a quantile.
func ranksOf(q *syntax.Query, names []syntax.With) *syntax.Query {
	s := q.Select
	r := &ranked{Select: s, ranks: map[int]bool{}, within: whole01, rows: many}
	within := r.read(s.From[0], names)
	if within == nil || s.Qualify != nil || len(s.GroupBy) > 1 || s.Distinct {
		return nil
	}
	out := *s
	f := s.From[0]
	f.Table, f.Query, f.Columns, f.Alias = "", within, nil, r.alias
	out.From = []syntax.From{f}
	if s.Where != nil {
		var ok bool
		if r.within, ok = r.condition(s.Where); !ok {
			return nil
		}
		out.Where = nil
	}
	var tile *tiles
	out.GroupBy, tile = r.keys()
	if r.failed {
		return nil
	}
	if tile != nil {
		return r.tiled(q, &out, tile)
	}
	out.Items = nil
	for _, i := range s.Items {
		out.Items = append(out.Items, syntax.Item{Term: r.term(i.Term), Alias: i.Name()})
	}
	if s.Having != nil {
		out.Having = r.term(s.Having)
	}
	if len(out.Items) == 0 || r.failed || !r.used {
		return nil
	}
	rewritten := *q
	rewritten.Select = &out
	return &rewritten
}

// read reads the inner query and returns it without its ranks.
func (r *ranked) read(f syntax.From, names []syntax.With) *syntax.Query {
	query, columns := f.Query, f.Columns
	if query == nil {
		w, _ := f.Named(names)
		if w == nil {
			return nil
		}
		if query = w.Query; columns == nil {
			columns = w.Columns
		}
	}
	if r.alias = f.Alias; r.alias == "" {
		r.alias = f.Table
	}
	if query.Select == nil || query.Limit != nil || query.Offset != nil || query.Select.Qualify != nil {
		return nil
	}
	s := *query.Select
	s.Items = nil
	for i, item := range query.Select.Items {
		name := item.Name()
		if i < len(columns) {
			name = columns[i]
		}
		r.items = append(r.items, syntax.Item{Term: item.Term, Alias: name})
		switch r.rank(item.Term) {
		case 1:
			r.ranks[i] = true
		case 0:
			if item.Term.Kind != syntax.Star {
				item.Alias = name
			}
			s.Items = append(s.Items, item)
		default:
			return nil
		}
	}
	if len(r.ranks) == 0 || len(s.Items) == 0 || s.Distinct {
		return nil
	}
	out := *query
	out.Select, out.OrderBy = &s, nil
	return &out
}

// rank classifies an item of the inner query. It is 1 if the item consists of ranks and counts over one order and
// partition, 0 if it has no such window, and -1 if it has other windows.
func (r *ranked) rank(t *syntax.Expr) (is int) {
	t.Walk(func(t *syntax.Expr) bool {
		w := t.Over
		if w == nil || is < 0 {
			return is >= 0
		}
		ordered := slices.Contains([]string{"row_number", "rank", "percent_rank", "cume_dist", "ntile"}, t.Name)
		if !ordered && !isWhole(t) || w.Frame != nil || ordered && len(w.OrderBy) == 0 {
			return false
		}
		if ordered && r.order.Term != nil && !sameOrder(r.order, w.OrderBy[0]) ||
			is+len(r.ranks) > 0 && !sameTerms(r.partition, w.Partition) {
			is = -1
			return false
		}
		if r.partition = w.Partition; ordered {
			r.order = w.OrderBy[0]
		}
		r.begins = r.begins || t.Name == "rank" || t.Name == "percent_rank"
		r.ends = r.ends || t.Name == "cume_dist"
		is = 1
		return false
	})
	return is
}

// column returns the index of the inner query's item that a name means, or -1.
func (r *ranked) column(t *syntax.Expr) int {
	if t.Kind != syntax.Column || t.Qualifier != "" && t.Qualifier != r.alias {
		return -1
	}
	return slices.IndexFunc(r.items, func(i syntax.Item) bool { return strings.EqualFold(i.Alias, t.Name) })
}

// readsRank reports whether a term reads a rank.
func (r *ranked) readsRank(t *syntax.Expr) bool {
	return t.Find(func(t *syntax.Expr) bool { return r.ranks[r.column(t)] }) != nil
}
