package planner

import (
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/syntax"
)

// profiledRows is the limit of rows that the profile of the one table with patients advises: where totals are asked for, that with
// which they err least, and otherwise as many as half of the patients have. 0: there is no profile, or other tables besides.
func (b *builder) profiledRows() int {
	l := b.ladder()
	if len(l) == 0 {
		return 0
	}
	counts, sums := 0, 0
	for _, item := range b.syntax.Select.Items {
		n, s := totalsIn(item.Term, b.counted != nil)
		counts, sums = counts+n, sums+s
	}
	totals := counts + sums
	switch {
	case totals == 0:
		return l.Quantile(0.5)
	case !(b.query.Epsilon > 0) || b.query.Accuracy != nil:
		return l.Quantile(0.99)
	}
	scale := float64(b.sites()) * math.Sqrt(float64(totals)) / b.query.Epsilon
	groups := b.cells // each has its part of what is left out, and noise of its own
	if groups == 0 {
		groups = undeclaredGroups
	}
	scale *= float64(groups * b.bins())
	switch {
	case counts > 0:
		return max(1, l.Best(scale))
	case b.sumsAlone(): // who is clipped has rows whose values add up to more than the limit's bounds, which are of more rows
		return max(1, int(math.Ceil(float64(l.Best(scale))/roomy)))
	}
	return max(1, l.Best(scale*roomy))
}

// profiledGroups is the limit of groups that the profile advises where patients are counted in groups; 0: there is no profile, or it
// tells nothing of them.
func (b *builder) profiledGroups() int {
	l := b.ladder()
	if len(l) == 0 || len(b.fragment.Keys) == 0 || !(b.query.Epsilon > 0) || b.query.Accuracy != nil || b.counted != nil ||
		!slices.ContainsFunc(aggregatesIn(b.syntax.Select), func(t *syntax.Expr) bool { return t.Name == "count" && t.Distinct }) {
		return 0
	}
	groups, possible := undeclaredGroups, maxProfiledGroups
	if b.cells > 0 {
		groups, possible = b.cells, min(b.cells, maxProfiledGroups)
	}
	return l.Groups(float64(b.sites())/b.query.Epsilon, groups, possible, b.fragment.Norm == fragment.L2)
}

// sites is at how many hospitals a patient may be.
func (b *builder) sites() int {
	if b.catalog.MaxSites > 0 {
		return min(len(b.federation.Hospitals), b.catalog.MaxSites)
	}
	return len(b.federation.Hospitals)
}

// bins is of how many numbers the largest histogram of the query is; 1 without any.
func (b *builder) bins() int {
	bins := 1
	for _, item := range b.syntax.Select.Items {
		item.Term.Walk(func(t *syntax.Expr) bool {
			if t.Kind == syntax.Call && t.Name == "histogram" && len(t.Args) == 4 && t.Args[3].Kind == syntax.Literal && t.Args[3].Literal.Type().Numeric() {
				bins = max(bins, int(math.Min(maxColumns, t.Args[3].Literal.Float64())))
			}
			return true
		})
	}
	return bins
}

// sumsAlone reports whether all that is asked for are sums, so that a patient's rows are not counted.
func (b *builder) sumsAlone() bool {
	for _, t := range aggregatesIn(b.syntax.Select) {
		if t.Name != "sum" || t.Distinct {
			return false
		}
	}
	return true
}

// What is supposed where nothing is known.
const (
	roomy            = 4  // times the bound of a sum is of the values that it adds up
	undeclaredGroups = 10 // that there are

	maxProfiledGroups = 1000
)

// ladder is what a profile tells of the one table with patients that the query reads, or of whose rows it reads as many or fewer.
func (b *builder) ladder() estimate.Ladder {
	var l estimate.Ladder
	for _, s := range b.sources {
		if s.table.Public || s.table.OneRowPerPatient || s.alias == "" { // of no name: it is reached by keys
			continue
		}
		base, _ := b.base(s.Relation, s.table)
		if base == nil || l != nil {
			return nil
		}
		if l = b.federation.Ladders[base.Name]; l == nil {
			return nil
		}
	}
	return l
}

// base is the one table of whose rows a patient has as many in a relation, or fewer; nil where there is none. grouped: several may
// have become one row.
func (r *resolver) base(of fragment.Relation, t *catalog.Table) (base *catalog.Table, grouped bool) {
	d := of.Derived
	switch {
	case d == nil:
		return t, false
	case d.Combine != "" || t.OneRowPerPatient:
		return nil, false
	case d.Grouped:
		if counted := r.countedIn(d, t); counted != nil {
			return counted, false
		}
	}
	for _, within := range d.Relations {
		known := r.tableOf(within)
		switch {
		case known == nil:
			return nil, false
		case known.Public || known.OneRowPerPatient || lookedUp(within, known):
			continue
		case base != nil:
			return nil, false
		}
		if base, grouped = r.base(within, known); base == nil {
			return nil, false
		}
	}
	return base, grouped || d.Grouped
}

// countedIn is the table of which rows are told apart by what a relation groups a patient's rows by, as by a visit's id; nil: by
// something else.
func (r *resolver) countedIn(d *fragment.Derived, t *catalog.Table) *catalog.Table {
	var counted *catalog.Table
	for _, o := range d.Columns {
		if o.Function != "" || o.Name == d.Patient {
			continue
		}
		c, ok := t.Column(o.Name)
		if !ok || counted != nil || !r.privateKey(c.References) {
			return nil
		}
		name, _, _ := strings.Cut(c.References, ".")
		counted, _ = r.catalog.Table(name)
	}
	return counted
}

// tableOf is a relation as a table; nil: it cannot be made.
func (r *resolver) tableOf(of fragment.Relation) *catalog.Table {
	if of.Derived == nil {
		t, _ := r.catalog.Table(of.Table)
		return t
	}
	t, err := of.Derived.Table(of.Name, r.catalog.Catalog, r.catalog.domains)
	if err != nil {
		return nil
	}
	return t
}

// lookedUp reports whether a relation is joined by its key, so that it adds no rows.
func lookedUp(of fragment.Relation, t *catalog.Table) bool {
	if of.Derived != nil || len(t.Key) != 1 {
		return false
	}
	return slices.ContainsFunc(expr.Conjuncts(of.On), func(e *expr.Expr) bool {
		return e.Op == expr.OpEqual && slices.ContainsFunc(e.Args, func(x *expr.Expr) bool {
			return x.Op == expr.OpColumn && x.Relation == of.Name && strings.EqualFold(x.Column, t.Key[0])
		})
	})
}

// rowLimit is how many rows of a relation a patient may have and count in full, as the catalog says of tables: a derived one has
// no more than what it reads.
func (r *resolver) rowLimit(of fragment.Relation, t *catalog.Table) int {
	d := of.Derived
	switch {
	case t == nil:
		return r.catalog.MaxRows
	case d == nil || t.OneRowPerPatient:
		return r.catalog.RowLimit(t)
	case d.Combine != "":
		return r.rowLimitOf(d)
	}
	if base, _ := r.base(of, t); base != nil {
		return r.catalog.RowLimit(base)
	}
	limit := 1
	for _, within := range d.Relations {
		if known := r.tableOf(within); known == nil || !known.Public {
			limit = max(limit, r.rowLimit(within, known))
		}
	}
	return limit
}

// rowLimitOf is that of what several relations are put together to: those of one table have its rows between them, as where each
// has a kind.
func (r *resolver) rowLimitOf(d *fragment.Derived) int {
	limit, seen := 0, map[string]bool{}
	apart := d.Combine == fragment.CombineAll && fragment.Apart(d.Arms, r.catalog.Catalog, r.catalog.domains)
	for i, arm := range d.Arms {
		of := fragment.Relation{Name: "arm", Derived: arm}
		known := r.tableOf(of)
		one := r.rowLimit(of, known)
		table := ""
		if known != nil {
			if base, _ := r.base(of, known); base != nil {
				table = base.Source()
			}
		}
		switch {
		case d.Combine == fragment.CombineExcept && i > 0:
		case d.Combine == fragment.CombineIntersect && i > 0:
			limit = min(limit, one)
		case apart || seen[table]:
			limit = max(limit, one)
		default:
			limit = min(limit+one, maxRows)
			seen[table] = table != ""
		}
	}
	return limit
}

// totalsIn counts the counts and the sums of rows in a term that are not divided by one another; once: what is distinct is a row.
func totalsIn(t *syntax.Expr, once bool) (counts, sums int) {
	switch {
	case t == nil:
		return 0, 0
	case t.IsAggregate():
		switch {
		case t.Distinct && !once:
		case t.Name == "count" || t.Name == "histogram":
			counts = 1
		case t.Name == "sum":
			sums = 1
		}
		return counts, sums
	case t.Kind == syntax.Operator && t.Name == "/" && len(t.Args) == 2 && t.Args[0].Aggregate() != nil && t.Args[1].Aggregate() != nil:
		return 0, 0
	}
	for _, a := range t.Args {
		n, s := totalsIn(a, once)
		counts, sums = counts+n, sums+s
	}
	return counts, sums
}
