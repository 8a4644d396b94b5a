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
	most := b.scope().MostRows(b.Filter) // and so in as many groups
	if b.fragment.MaxGroups == 0 {
		b.fragment.MaxGroups = atMost(cmp.Or(b.steadyGroups(), b.profiledGroups(), b.Catalog.MaxGroups), most)
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
		b.fragment.MaxRows = atMost(b.fragment.MaxRows, most)
		if len(keys) > 0 {
			inEach := float64(atMost(b.fragment.MaxRows, b.scope().MostRows(b.Filter, keys...)))
			b.fragment.MaxRows = min(b.fragment.MaxRows, int(math.Ceil(inEach*b.groupsInFull())))
		}
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

// atMost is a limit, or how many rows a patient has at most, if that is fewer.
func atMost(limit int, most float64) int {
	if most < float64(limit) {
		return max(1, int(most))
	}
	return limit
}
