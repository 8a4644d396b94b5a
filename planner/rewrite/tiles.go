package rewrite

import (
	"slices"
	"strconv"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// maxTiles bounds the n of NTILE(n).
const maxTiles = 100

// tiles are the groups of NTILE(n).
type tiles struct {
	n   int
	key *syntax.Expr
}

// tiled writes a SELECT that groups by a tile. It becomes one release, whose quantiles are the rows of a UNION ALL.
func (r *ranked) tiled(q *syntax.Query, out *syntax.Select, tile *tiles) *syntax.Query {
	if len(out.GroupBy) > 0 || r.Having != nil || r.within != whole01 {
		return nil
	}
	name := syntax.Internal("tiles")
	release := &syntax.Select{At: r.At, From: out.From}
	var all *syntax.Query
	for k := range tile.n {
		arm := &syntax.Select{At: r.At, From: []syntax.From{{At: r.At, Table: name, Alias: name}}}
		over := part{float64(k) / float64(tile.n), float64(k+1) / float64(tile.n)}
		for _, i := range r.Items {
			term := i.Term.Rewrite(func(t *syntax.Expr) *syntax.Expr {
				switch {
				case sameTerm(t, tile.key):
					return syntax.NewLiteral(t.At, value.Int(int64(k+1)))
				case t.IsAggregate():
					a := r.aggregate(t, over)
					at := slices.IndexFunc(release.Items, func(o syntax.Item) bool { return o.Term.Equal(a) })
					if at < 0 {
						at = len(release.Items)
						release.Items = append(release.Items, syntax.Item{Term: a, Alias: syntax.Internal("tile " + strconv.Itoa(at))})
					}
					return &syntax.Expr{Kind: syntax.Column, At: t.At, Name: release.Items[at].Alias}
				}
				return nil
			})
			if r.failed = r.failed || r.readsRank(term); r.failed {
				return nil
			}
			arm.Items = append(arm.Items, syntax.Item{Term: term, Alias: i.Name()})
		}
		one := &syntax.Query{At: q.At, Select: arm}
		if all == nil {
			all = one
		} else {
			both := &syntax.SetOperation{At: q.At, Operator: "union", All: true, Left: all, Right: one}
			all = &syntax.Query{At: q.At, SetOperation: both}
		}
	}
	if len(release.Items) == 0 {
		return nil
	}
	around := *all
	of := syntax.With{At: q.At, Name: name, Query: &syntax.Query{At: q.At, Select: release}}
	around.With = append(slices.Clone(q.With), of)
	around.OrderBy, around.Limit, around.Offset = q.OrderBy, q.Limit, q.Offset
	return &around
}
