package rewrite

import (
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// A query with an aggregate and without GROUP BY has one row. The other relations in FROM can be released first, and
// joined with that row afterwards:
//
//	SELECT k, COUNT(*) / a.n FROM patients t CROSS JOIN (SELECT COUNT(*) AS n FROM …) a GROUP BY k, a.n
//	SELECT k, v / a.n FROM (SELECT k, COUNT(*) AS v FROM patients t GROUP BY k) CROSS JOIN (SELECT COUNT(*) AS n …) a
//
//	SELECT (SELECT COUNT(*) FROM …) AS n, (SELECT COUNT(*) FROM …) AS m
//	SELECT a.n, b.m FROM (SELECT COUNT(*) AS n FROM …) a CROSS JOIN (SELECT COUNT(*) AS m FROM …) b

// OneRow moves joins of patients' rows with a one-row query after the release. It also moves scalar subqueries of a
// SELECT without FROM into a FROM. It reports whether it changed the query.
func OneRow(q *syntax.Query, columns Columns) (*syntax.Query, bool) {
	q, values := each(q, nil, scalars)
	q, joined := apart(q, nil, columns, (*joining).beside)
	return q, values || joined
}

// ofOneRow reports whether the text of a query shows that it has one row: it aggregates without GROUP BY, or reads only
// such queries.
func ofOneRow(q *syntax.Query, names []syntax.With) bool {
	s := q.Select
	if s == nil || q.Limit != nil || q.Offset != nil || len(s.GroupBy) > 0 || s.Having != nil || s.Qualify != nil || s.Values != nil {
		return false
	}
	names = slices.Concat(names, q.With)
	if len(s.From) > 0 && s.IsGrouped() {
		return true
	}
	return len(s.From) > 0 && s.Where == nil && !slices.ContainsFunc(s.From, func(f syntax.From) bool { return !isOneRow(f, names) })
}

// isOneRow reports whether an item of FROM is a query of one row, joined without a condition.
func isOneRow(f syntax.From, names []syntax.With) bool {
	q := f.Query
	if w, before := f.Named(names); w != nil {
		q, names = w.Query, before
	}
	return q != nil && !f.Lateral && !f.Natural && f.Using == nil && isAlways(f.On) && f.Alias != "" && ofOneRow(q, names)
}

// isAlways reports whether a join has no condition, or TRUE, or 1 = 1.
func isAlways(on *syntax.Expr) bool {
	return !slices.ContainsFunc(on.Conjuncts(), func(t *syntax.Expr) bool {
		return t.Kind != syntax.Operator || t.Name != "=" || t.Args[0].Kind != syntax.Literal || !t.Args[0].Literal.Valid() || !t.Args[0].Equal(t.Args[1])
	})
}

// beside joins the release with the queries that have one row.
func (j *joining) beside() []syntax.From {
	var others []syntax.From
	for _, f := range j.s.From {
		if isOneRow(f, j.names) {
			f.Join, f.On = syntax.CrossJoin, nil
			j.one = append(j.one, f)
			continue
		}
		others = append(others, f)
	}
	if len(j.one) == 0 || len(others) == 0 || others[0].Join == syntax.LeftJoin || others[0].Natural || others[0].Using != nil || others[0].Lateral {
		return nil
	}
	s := *j.s
	if on := others[0].On; on != nil {
		if s.Where != nil {
			on = syntax.NewOperator("and", on, s.Where)
		}
		s.Where = on
	}
	others[0].Join, others[0].On = syntax.NoJoin, nil
	reads := func(t *syntax.Expr) bool {
		return t != nil && t.Find(func(t *syntax.Expr) bool { return t.Query != nil || j.ofOne(t) != nil }) != nil
	}
	if s.Where != nil && s.Where.Find(func(t *syntax.Expr) bool { return j.ofOne(t) != nil }) != nil ||
		slices.ContainsFunc(others, func(f syntax.From) bool { return reads(f.On) || f.Natural || slices.ContainsFunc(f.Using, reads) }) {
		return nil
	}
	j.keys = slices.DeleteFunc(j.keys, func(k *syntax.Expr) bool { return j.ofOne(k) != nil })
	if slices.ContainsFunc(j.keys, reads) {
		return nil
	}
	j.s = &s
	return append([]syntax.From{j.release(others)}, j.one...)
}

// ofOne returns the column of a one-row query that a term reads, also within an aggregate such as MAX, since the column
// is the same in all rows. It returns nil for other terms.
func (j *joining) ofOne(t *syntax.Expr) *syntax.Expr {
	if t.IsAggregate() && len(t.Args) == 1 && t.Filter == nil && slices.Contains([]string{"min", "max", "avg", "any_value"}, t.Name) {
		x := j.ofOne(t.Args[0])
		if x != nil && t.Name == "avg" { // a mean has a fraction, also when it is divided
			x = &syntax.Expr{Kind: syntax.Cast, At: t.At, Type: value.TypeFloat, Args: []*syntax.Expr{x}}
		}
		return x
	}
	if t.Kind != syntax.Column {
		return nil
	}
	for _, f := range j.one {
		if t.Qualifier == f.Alias || t.Qualifier == "" && slices.Contains(j.columnsOf(f), strings.ToLower(t.Name)) {
			return column(f.Alias, t.Name, t.At)
		}
	}
	return nil
}

// scalars writes the scalar subqueries of a SELECT without FROM as queries of its FROM. It returns nil if there is
// none, or if one may have another number of rows.
func scalars(q *syntax.Query, names []syntax.With) *syntax.Query {
	s := q.Select
	if len(s.From) > 0 || s.Values != nil || s.Where != nil || s.IsGrouped() || s.Distinct || s.Qualify != nil {
		return nil
	}
	out, one := *q, *s
	one.Items = slices.Clone(s.Items)
	fits := true
	for i, item := range s.Items {
		term := item.Term.Rewrite(func(t *syntax.Expr) *syntax.Expr {
			if t.Kind != syntax.Subquery {
				fits = fits && t.Query == nil
				return nil
			}
			if fits = fits && ofOneRow(t.Query, names) && len(t.Query.Select.Items) == 1 && t.Query.Select.Items[0].Term.Kind != syntax.Star; !fits {
				return t
			}
			at := slices.IndexFunc(one.From, func(f syntax.From) bool { return f.Query == t.Query })
			if at < 0 {
				at = len(one.From)
				f := syntax.From{At: t.At, Query: asValue(t.Query), Alias: syntax.Internal("value " + strconv.Itoa(at)), Written: at}
				if at > 0 {
					f.Join = syntax.CrossJoin
				}
				one.From = append(one.From, f)
			}
			return column(one.From[at].Alias, valueName(0), t.At)
		})
		one.Items[i] = syntax.Item{Term: term, Alias: item.Name()}
	}
	if !fits || len(one.From) == 0 {
		return nil
	}
	out.Select = &one
	return &out
}

// asValue returns a query of one item under the name of the first value.
func asValue(q *syntax.Query) *syntax.Query {
	out, s := *q, *q.Select
	s.Items = []syntax.Item{{Term: s.Items[0].Term, Alias: valueName(0)}}
	out.Select = &s
	return &out
}

// Distinct writes SELECT DISTINCT of rows as GROUP BY of all selected terms. It reports whether it changed the query.
func Distinct(q *syntax.Query, _ Columns) (*syntax.Query, bool) {
	return each(q, nil, func(q *syntax.Query, _ []syntax.With) *syntax.Query {
		s := q.Select
		if !s.Distinct || s.IsGrouped() || s.Qualify != nil || len(s.From) == 0 {
			return nil
		}
		var keys []*syntax.Expr
		for _, i := range s.Items {
			t := i.Term
			if t.Kind == syntax.Star || t.Window() != nil || t.Find(func(t *syntax.Expr) bool { return t.Query != nil }) != nil {
				return nil
			}
			if t.Kind != syntax.Literal {
				keys = append(keys, t)
			}
		}
		if len(keys) == 0 {
			return nil
		}
		out, grouped := *q, *s
		grouped.Distinct, grouped.GroupBy = false, [][]*syntax.Expr{keys}
		out.Select = &grouped
		return &out
	})
}
