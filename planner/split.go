package planner

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// sameKeys is the condition that a release's row has the same keys as the first release's row.
func sameKeys(r *relational.Resolver, s *relational.Source, keys int, at Position) *expr.Expr {
	var all []*expr.Expr
	for k := range keys {
		first, _ := r.Sources[0].Column("", keyAlias(k))
		other, _ := s.Column("", keyAlias(k))
		differ := scalar.Apply(at, expr.OpDistinct, r.Sources[0].Expr(first), s.Expr(other))
		all = append(all, scalar.Apply(at, expr.OpNot, differ))
	}
	return scalar.Conjunction(all)
}

// extraRelease is a release beside the first. It has one row, or the first release's keys.
type extraRelease struct {
	query *syntax.Query
	keys  int // the number of GROUP BY keys, which are named by keyAlias
	// countDistinct is the COUNT(DISTINCT key) that it releases.
	countDistinct *syntax.Expr
}

func keyAlias(k int) string { return syntax.Internal("key " + strconv.Itoa(k)) }

var releasedAlias, countedAlias = syntax.Internal("released"), syntax.Internal("counted")

func otherAlias(i int) string { return syntax.Internal("released " + strconv.Itoa(i)) }

// split divides a SELECT into the release that it needs and the computation over the release's rows: windows, QUALIFY
// and DISTINCT. others are its scalar subqueries that are releases, and each COUNT(DISTINCT key) that stands beside
// other aggregates. inner is nil if nothing is computed.
func (c *programPlanner) split(q *syntax.Query, within *relational.Scope) (inner *syntax.Query, outer *syntax.Select, others []extraRelease) {
	s := q.Select
	if !c.computes(q, within) {
		return nil, nil, nil
	}
	around := c.rows(q, within, 0)
	in := *s
	in.Items, in.Distinct, in.Qualify = nil, false, nil
	out := &syntax.Select{At: s.At, Distinct: s.Distinct}
	var keys []*syntax.Expr
	if len(s.GroupBy) == 1 { // positions and names refer to items that will change
		for _, t := range s.GroupBy[0] {
			keys = append(keys, around.GroupKey(s.Items, t))
		}
		in.GroupBy = [][]*syntax.Expr{keys}
	}
	apart := c.countedApart(s, around)
	if len(apart) > 0 {
		for k, t := range keys {
			in.Items = append(in.Items, syntax.Item{Term: t, Alias: keyAlias(k)})
		}
	}
	// A term without a window inside becomes a column of the release.
	move := func(t *syntax.Expr) *syntax.Expr {
		if t.Kind == syntax.Literal {
			return t
		}
		if t.Kind == syntax.Subquery && c.isScalarRelease(t.Query, around) {
			if t.Query.Select == nil || len(t.Query.Select.Items) != 1 || len(t.Query.Select.GroupBy) > 0 {
				refuse(CodeNotSupported, t.At, "select one aggregate without GROUP BY", "this subquery is no single value")
			}
			others = append(others, extraRelease{query: t.Query})
			name := t.Query.Select.Items[0].Name()
			return &syntax.Expr{Kind: syntax.Column, At: t.At, Qualifier: otherAlias(len(others) - 1), Name: name}
		}
		if i := slices.IndexFunc(others, func(o extraRelease) bool { return o.countDistinct != nil && o.countDistinct.Equal(t) }); i >= 0 {
			return &syntax.Expr{Kind: syntax.Column, At: t.At, Qualifier: otherAlias(i), Name: countedAlias}
		}
		if slices.ContainsFunc(apart, t.Equal) {
			one := &syntax.Select{At: t.At, From: s.From, Where: s.Where, GroupBy: in.GroupBy}
			for k, key := range keys {
				one.Items = append(one.Items, syntax.Item{Term: key, Alias: keyAlias(k)})
			}
			one.Items = append(one.Items, syntax.Item{Term: t, Alias: countedAlias})
			others = append(others, extraRelease{&syntax.Query{At: t.At, Select: one}, len(keys), t})
			return &syntax.Expr{Kind: syntax.Column, At: t.At, Qualifier: otherAlias(len(others) - 1), Name: countedAlias}
		}
		within := func(x *syntax.Expr) bool { return slices.ContainsFunc(apart, x.Equal) }
		if t.Window() == nil && !c.scalarWithin(t, around) && t.Find(within) == nil {
			i := slices.IndexFunc(in.Items, func(i syntax.Item) bool { return i.Term.Equal(t) })
			if i < 0 {
				i = len(in.Items)
				in.Items = append(in.Items, syntax.Item{Term: t, Alias: fmt.Sprintf("%d %s", i, syntax.Item{Term: t}.Name())})
			}
			return &syntax.Expr{Kind: syntax.Column, At: t.At, Qualifier: releasedAlias, Name: in.Items[i].Alias}
		}
		return nil
	}
	for _, i := range s.Items {
		out.Items = append(out.Items, syntax.Item{Term: i.Term.Rewrite(move), Alias: i.Name()})
	}
	aliased := func(t *syntax.Expr) *syntax.Expr { return syntax.Aliased(s.Items, t) }
	if s.Qualify != nil {
		out.Qualify = s.Qualify.Rewrite(aliased).Rewrite(move)
	}
	if c.havingComputes(s, around) { // HAVING compares with another release, so it is applied after both
		in.Having, out.Where = nil, s.Having.Rewrite(aliased).Rewrite(move)
	}
	inner = &syntax.Query{At: q.At, With: q.With, Select: &in}
	within.MoveRows(q, inner)
	return inner, out, others
}

// computes reports whether a SELECT computes with what it releases: see split.
func (c *programPlanner) computes(q *syntax.Query, within *relational.Scope) bool {
	s := q.Select
	if c.havingComputes(s, nil) && c.havingComputes(s, c.rows(q, within, 0)) {
		return true
	}
	return s.Distinct || s.Qualify != nil || severalCounts(s) && len(c.countedApart(s, c.rows(q, within, 0))) > 0 || slices.ContainsFunc(s.Items, func(i syntax.Item) bool {
		return i.Term.Window() != nil || holdsSubquery(i.Term) && c.scalarWithin(i.Term, c.rows(q, within, 0))
	})
}

// havingComputes reports whether HAVING compares with another release. If around is nil, it reports whether it may.
func (c *programPlanner) havingComputes(s *syntax.Select, around *relational.Resolver) bool {
	return s.Having != nil && holdsSubquery(s.Having) && (around == nil || c.scalarWithin(s.Having, around))
}

func holdsSubquery(t *syntax.Expr) bool {
	return t.Find(func(t *syntax.Expr) bool { return t.Kind == syntax.Subquery }) != nil
}

// scalarWithin reports whether a term has, outside its aggregates, a subquery that is a release.
func (c *programPlanner) scalarWithin(t *syntax.Expr, around *relational.Resolver) (found bool) {
	t.Walk(func(t *syntax.Expr) bool {
		found = found || t.Kind == syntax.Subquery && c.isScalarRelease(t.Query, around)
		return !found && !t.IsAggregate()
	})
	return found
}
