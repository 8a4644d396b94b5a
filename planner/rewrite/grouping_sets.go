package rewrite

import (
	"slices"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// GroupingSets writes a query with several grouping sets as a UNION ALL. It has one query for each set, in which the
// other keys are NULL.
func GroupingSets(q *syntax.Query) *syntax.Query {
	s := q.Select
	var keys []*syntax.Expr
	for _, set := range s.GroupBy {
		for _, k := range set {
			if !slices.ContainsFunc(keys, k.Equal) {
				keys = append(keys, k)
			}
		}
	}
	resolve := func(t *syntax.Expr) *syntax.Expr {
		if t.Kind == syntax.Literal {
			return syntax.Ordinal(s.Items, t, "GROUP BY")
		}
		return t
	}
	for i, k := range keys {
		keys[i] = resolve(k)
	}
	var all *syntax.Query
	for _, set := range s.GroupBy {
		arm := *s
		arm.GroupBy = nil
		var kept []*syntax.Expr
		for _, k := range set {
			kept = append(kept, resolve(k))
		}
		if len(set) > 0 {
			arm.GroupBy = [][]*syntax.Expr{kept}
		}
		absent := func(t *syntax.Expr) *syntax.Expr {
			if t.Kind == syntax.Call && t.Name == "grouping" && len(t.Args) == 1 {
				n := int64(1)
				if slices.ContainsFunc(kept, t.Args[0].Equal) {
					n = 0
				}
				return syntax.NewLiteral(t.At, value.Int(n))
			}
			if t.IsAggregate() {
				return t // it reads the rows, whose keys stay
			}
			switch {
			case slices.ContainsFunc(kept, t.Equal):
				return t // keep it whole: its parts may be missing
			case slices.ContainsFunc(keys, t.Equal):
				return &syntax.Expr{Kind: syntax.Literal, At: t.At}
			}
			return nil
		}
		arm.Items = nil
		for _, i := range s.Items {
			arm.Items = append(arm.Items, syntax.Item{Term: i.Term.Rewrite(absent), Alias: i.Name()})
		}
		if s.Having != nil {
			arm.Having = s.Having.Rewrite(absent)
		}
		one := &syntax.Query{At: q.At, Select: &arm}
		if all == nil {
			all = one
		} else {
			both := &syntax.SetOperation{At: q.At, Operator: "union", All: true, Left: all, Right: one}
			all = &syntax.Query{At: q.At, SetOperation: both}
		}
	}
	all.With = q.With
	return all
}
