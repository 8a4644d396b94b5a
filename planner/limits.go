package planner

import (
	"cmp"
	"math"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
)

// limits sets the length to which a patient's contribution is clipped, from the query or the catalog.
func (b *builder) limits() {
	b.fragment.Norm = fragment.L2
	if b.federation.Accounting == dp.Pure { // it allows Laplace noise only
		b.fragment.Norm = fragment.L1
	}
	b.fragment.MaxGroups, b.fragment.MaxRows = b.query.MaxGroups, b.query.MaxRows
	if b.fragment.MaxGroups == 0 {
		b.fragment.MaxGroups = b.atMost(cmp.Or(b.steadyGroups(), b.profiledGroups(), b.Catalog.MaxGroups))
	}
	if b.fragment.MaxRows == 0 {
		profiled := b.profiledRows()
		b.fragment.MaxRows = profiled
		for _, s := range b.Sources {
			if profiled == 0 && !s.Schema.Public && s.Alias != "" {
				b.fragment.MaxRows = max(b.fragment.MaxRows, b.RowLimit(s.Relation, s.Schema))
			}
		}
		var keys []*expr.Expr
		for _, k := range b.fragment.Keys {
			keys = append(keys, k.Expr)
		}
		b.fragment.MaxRows = b.atMost(b.fragment.MaxRows)
		inEach := float64(b.atMost(b.fragment.MaxRows, keys...))
		b.fragment.MaxRows = min(b.fragment.MaxRows, int(math.Ceil(inEach*b.groupsInFull())))
	}
}

// groupsInFull is the largest contribution of a patient with one row in each group, measured in rows of one group.
func (b *builder) groupsInFull() float64 {
	groups := b.fragment.MaxGroups
	if b.cells > 0 {
		groups = min(groups, b.cells)
	}
	if b.fragment.Norm == fragment.L2 {
		return math.Sqrt(float64(groups))
	}
	return float64(groups)
}

// atMost is limit, or fewer if a patient is known to have fewer rows in a group of these keys.
func (b *builder) atMost(limit int, keys ...*expr.Expr) int {
	if most := fragment.MostRows(b.Relations(), b.Filter, b.Catalog.Catalog, b.Catalog.Memo, keys...); most < float64(limit) {
		return max(1, int(most))
	}
	return limit
}
