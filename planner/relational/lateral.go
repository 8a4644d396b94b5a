package relational

import (
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// uncorrelated removes the correlation from a grouped subquery; see untied.
func (r *Resolver) uncorrelated(q *syntax.Query) (*syntax.Query, []*syntax.Expr) {
	if s := q.Select; s == nil || len(s.GroupBy) != 1 || s.Distinct || q.Limit != nil || q.Offset != nil {
		return q, nil
	}
	return r.untied(q)
}

// untied removes from a SELECT the equalities that correlate it with the outer query. It also groups by their inner
// sides (or selects them) and adds these as the last items. The second result lists their outer sides.
func (r *Resolver) untied(q *syntax.Query) (*syntax.Query, []*syntax.Expr) {
	s := q.Select
	if s.Where == nil {
		return q, nil
	}
	inner := &Resolver{Catalog: r.Catalog, Scope: r.Scope.Extend(q.With), Depth: r.Depth + 1, composer: r.composer}
	inner.from(s.From, s.At)
	conditions := []*syntax.Expr{s.Where}
	if s.Where.Kind == syntax.Operator && s.Where.Name == "and" {
		conditions = s.Where.Args
	}
	var rest, ties, outer, tied []*syntax.Expr
	for _, c := range conditions {
		if c.Kind == syntax.Operator && c.Name == "=" {
			x, y := c.Args[0], c.Args[1]
			if !inner.Resolves(x) {
				x, y = y, x
			}
			if inner.Resolves(x) && !inner.Resolves(y) && r.Resolves(y) {
				ties, outer, tied = append(ties, x), append(outer, y), append(tied, c)
				continue
			}
		}
		rest = append(rest, c)
	}
	again := r.comparedWith(inner, rest)
	if len(ties) == 0 && len(again) == 0 {
		return q, nil
	}
	if len(again) > 0 {
		rest = append(rest, tied...)
		s = rereading(s, again)
		for _, o := range again {
			keys := r.rowOf(o, r.Scope.Extend(q.With))
			ties, outer = append(ties, keys...), append(outer, keys...)
		}
	}
	changed := *q
	changed.Select = tiedBy(s, inner, ties, rest)
	if limit := q.Limit; limit != nil && len(q.OrderBy) > 0 && q.Offset == nil && s.Qualify == nil && !s.Distinct {
		w := &syntax.Window{At: limit.At, Partition: ties}
		for _, o := range q.OrderBy {
			o.Term = syntax.Ordered(s.Items, o.Term)
			w.OrderBy = append(w.OrderBy, o)
		}
		number := &syntax.Expr{Kind: syntax.Call, Name: "row_number", At: limit.At, Over: w}
		changed.Select.Qualify, changed.Limit = syntax.NewOperator("<=", number, limit), nil
	}
	changed.OrderBy = nil
	return &changed, outer
}

// comparedWith lists the outer tables that conditions of an inner query read, other than in a correlating equality. The
// inner query reads these tables again and correlates with their rows by key.
func (r *Resolver) comparedWith(inner *Resolver, conditions []*syntax.Expr) (again []*Source) {
	for _, c := range conditions {
		c.Walk(func(t *syntax.Expr) bool {
			if t.Kind != syntax.Column || inner.Resolves(t) || !r.IsColumn(t) {
				return true
			}
			for _, s := range r.Sources {
				if _, has := s.Column(t.Qualifier, t.Name); has && s.hasName(t.Qualifier) && !slices.Contains(again, s) {
					again = append(again, s)
				}
			}
			return true
		})
	}
	return again
}

// rowOf returns the columns that identify a row of an outer table: its key.
func (r *Resolver) rowOf(o *Source, within *Scope) (key []*syntax.Expr) {
	known := o.Join != fragment.JoinLeft && !o.asked.Lateral && o.asked.Tables == nil &&
		within.find(o.asked.Table) == r.Scope.find(o.asked.Table)
	for _, c := range o.Named {
		if slices.Contains(o.Schema.Key, c.Column) {
			column, _ := o.Schema.Column(c.Column)
			known = known && !column.Nullable
			key = append(key, &syntax.Expr{Kind: syntax.Column, At: o.At, Qualifier: o.Alias, Name: c.Name})
		}
	}
	if !known || len(key) == 0 {
		syntax.Refuse(syntax.CodeNotSupported, o.At, "join the tables instead",
			"a LATERAL query compares with %s by other than =, and no key tells its rows apart", strings.TrimSpace(o.Alias))
	}
	return key
}

// rereading is a SELECT that also reads tables of the outer query, under their outer names.
func rereading(s *syntax.Select, again []*Source) *syntax.Select {
	for _, i := range s.Items {
		if i.Term.Kind == syntax.Star && i.Term.Qualifier == "" {
			syntax.Refuse(syntax.CodeNotSupported, i.Term.At, "list the columns, or write the table before it, such as v.*",
				"SELECT * of a LATERAL query that compares with the tables before it is not answered")
		}
	}
	out := *s
	out.From = slices.Clone(s.From)
	for _, o := range again {
		f := o.asked
		f.At, f.Join, f.On, f.Using, f.Natural, f.Columns = s.At, syntax.CrossJoin, nil, nil, false, nil
		for _, c := range o.Named {
			f.Columns = append(f.Columns, c.Name)
		}
		out.From = append(out.From, f)
	}
	return &out
}

// tiedBy is the SELECT with only the other conditions, and with its correlations among its keys and items.
func tiedBy(s *syntax.Select, inner *Resolver, ties, rest []*syntax.Expr) *syntax.Select {
	out := *s
	out.Where = nil
	switch len(rest) {
	case 0:
	case 1:
		out.Where = rest[0]
	default:
		out.Where = syntax.NewOperator("and", rest...)
	}
	out.Items = slices.Clone(s.Items)
	for i, t := range ties {
		out.Items = append(out.Items, syntax.Item{Term: t, Alias: syntax.Internal("tie " + strconv.Itoa(i))})
	}
	if !s.IsGrouped() {
		return &out
	}
	keys := slices.Clone(ties)
	if len(s.GroupBy) == 1 {
		for _, t := range s.GroupBy[0] {
			keys = append(keys, inner.GroupKey(s.Items, t))
		}
	}
	out.GroupBy = [][]*syntax.Expr{keys}
	return &out
}

// lateral joins a query that reads earlier tables, by the equalities that correlate it. An aggregating query gives one
// row for each of their rows, even if it finds none.
func (r *Resolver) lateral(f syntax.From) {
	s := f.Query.Select
	if s == nil || len(s.GroupBy) > 1 || ReadsNoTable(s) {
		syntax.Refuse(syntax.CodeNotSupported, f.At, "write one SELECT", "a LATERAL query is one SELECT here")
	}
	whole := s.IsGrouped() && len(s.GroupBy) == 0
	for _, i := range s.Items {
		if whole && !isCount(i.Term) && !absentOfNone(i.Term) {
			syntax.Refuse(syntax.CodeNotSupported, i.Term.At, "select COUNT(*), SUM, AVG, MIN and MAX, and compute with them in the query around",
				"in a LATERAL query that aggregates without GROUP BY this is not answered")
		}
	}
	q, outer := r.untied(f.Query)
	around := make([]*expr.Expr, len(outer))
	for i, t := range outer {
		around[i] = r.Row(t)
	}
	f.Query = q
	joined := r.source(f)
	ties := joined.Named[len(joined.Named)-len(outer):]
	joined.Named = joined.Named[:len(joined.Named)-len(outer)]
	for i := range joined.Named {
		joined.Named[i].zero = whole && isCount(s.Items[i].Term)
	}
	r.Sources = append(r.Sources, joined)
	var conditions []*expr.Expr
	if f.On != nil && (f.On.Kind != syntax.Literal || !f.On.Literal.True()) {
		r.joining = true
		conditions = append(conditions, expr.Conjuncts(r.Condition(f.On, "ON"))...)
		r.joining = false
	}
	for i, tie := range ties {
		c, _ := joined.Schema.Column(tie.Column)
		args := unifiedExprs(f.At, joined.Expr(c), around[i])
		conditions = append(conditions, expr.Conjuncts(scalar.Apply(f.At, expr.OpEqual, args[0], args[1]))...)
	}
	left := f.Join == syntax.LeftJoin || whole
	switch {
	case len(conditions) == 0 && left:
		syntax.Refuse(syntax.CodeNotSupported, f.At, "tie it by an equality, such as WHERE v.person_id = p.person_id", "nothing ties this LATERAL query to the tables before it")
	case len(conditions) == 0:
		joined.Join = fragment.JoinCross
		return
	case left:
		joined.Join = fragment.JoinLeft
	default:
		joined.Join = fragment.JoinInner
	}
	joined.On = scalar.Conjunction(conditions)
}
