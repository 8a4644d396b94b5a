package planner

import (
	"fmt"
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/syntax"
)

// profiledRows is the row limit that the profile of the only table with patients advises. For totals, it is the limit
// with the smallest error of totals; otherwise that of a mean. It is 0 if there is no profile or there are other tables
// with patients.
func (b *builder) profiledRows() int {
	l := b.ladder()
	if len(l) == 0 {
		return 0
	}
	counts, sums := b.syntax.Select.Totals(b.counted != nil)
	totals := counts + sums
	switch unpriced := !(b.query.Epsilon > 0) || b.query.Accuracy != nil; {
	case unpriced && totals == 0:
		return l.Quantile(0.5)
	case unpriced:
		return l.Quantile(0.99)
	}
	scale := float64(b.sites()) / b.query.Epsilon
	groups := b.cells // each loses its part of what is clipped and gets its own noise
	if groups == 0 {
		groups = undeclaredGroups
	}
	scale *= float64(groups * b.syntax.Select.Bins(maxColumns))
	if totals == 0 && b.shares() {
		return max(1, l.BestOfShare(scale))
	}
	if totals == 0 {
		var asked []string
		for _, t := range b.syntax.Select.Aggregates() {
			asked = append(asked, t.Name)
		}
		return max(1, l.BestOfMean(scale*estimate.Spreading(asked)))
	}
	scale *= math.Sqrt(float64(totals))
	switch {
	case counts > 0:
		return max(1, l.Best(scale))
	// a clipped patient has values that sum to more than the bound of the limit's rows, which takes more rows than the
	// limit
	case b.syntax.Select.OnlySums():
		return max(1, int(math.Ceil(float64(l.Best(scale))/sumBoundMultiple)))
	}
	return max(1, l.Best(scale*sumBoundMultiple))
}

// shares reports whether the query asks only for shares of rows: means or sums of values in [0, 1], or counts.
func (b *builder) shares() bool {
	all := b.syntax.Select.Aggregates()
	for _, t := range all {
		switch t = t.Unfiltered(); {
		case t.Distinct:
			return false
		case t.Name == "count":
		case (t.Name == "sum" || t.Name == "avg") && len(t.Args) == 1 && t.Args[0].Aggregate() == nil:
			if f := b.facts(b.Row(t.Args[0])); !(f.Lower >= 0 && f.Upper <= 1) {
				return false
			}
		default:
			return false
		}
	}
	return len(all) > 0
}

// profiledGroups is the group limit that the profile advises, if patients are counted in groups. It is 0 if there is no
// profile or it tells nothing about the groups.
func (b *builder) profiledGroups() int {
	l := b.ladder()
	if of := b.ladderOfKeys(); of != nil {
		l = of
	}
	if len(l) == 0 || len(b.fragment.Keys) == 0 || !(b.query.Epsilon > 0) || b.query.Accuracy != nil || b.counted != nil ||
		!slices.ContainsFunc(b.syntax.Select.Aggregates(), func(t *syntax.Expr) bool { return t.Name == "count" && t.Distinct }) {
		return 0
	}
	groups, possible := undeclaredGroups, maxProfiledGroups
	if b.cells > 0 {
		groups, possible = b.cells, min(b.cells, maxProfiledGroups)
	}
	return l.Groups(float64(b.sites())/b.query.Epsilon, groups, possible, b.fragment.Norm == fragment.L2)
}

// steadyGroups is 1 if all keys are made of columns that have one value for each patient, by the catalog; else 0.
func (b *builder) steadyGroups() int {
	if len(b.fragment.Keys) == 0 {
		return 0
	}
	groups := 1
	for _, k := range b.fragment.Keys {
		k.Expr.Columns(func(relation, column string) {
			if c, ok := b.Of(relation).Schema.Column(column); !ok || !c.Steady {
				groups = 0
			}
		})
	}
	return groups
}

// sites is the largest number of hospitals that one patient may be known to.
func (b *builder) sites() int {
	if b.Catalog.MaxSites > 0 {
		return min(len(b.federation.Hospitals), b.Catalog.MaxSites)
	}
	return len(b.federation.Hospitals)
}

// Assumptions where nothing is known.
const (
	sumBoundMultiple = 4  // the bound of a sum, in multiples of the values that it adds up
	undeclaredGroups = 10 // the number of groups

	maxProfiledGroups = 1000
)

// ladder is the profile of the only table with patients that the query reads. The query may also read a relation with
// at most as many rows for each patient.
func (b *builder) ladder() estimate.Ladder {
	var l estimate.Ladder
	for _, s := range b.Sources {
		if s.Schema.Public || s.Schema.OneRowPerPatient || s.Alias == "" { // a source without a name is reached by keys
			continue
		}
		base, _ := b.BaseTable(s.Relation, s.Schema)
		if base == nil || l != nil {
			return nil
		}
		if l = b.federation.Ladders[LadderOf{Table: base.Name}]; l == nil {
			return nil
		}
		if s.Query == nil {
			l = b.ladderWhere(s, l)
		}
	}
	return l
}

// ladderSubject names the rows that the ladder describes: the rows that WHERE keeps may differ from all rows.
func (b *builder) ladderSubject(l estimate.Ladder) string {
	for _, s := range b.Sources {
		base, _ := b.BaseTable(s.Relation, s.Schema)
		switch {
		case base == nil || b.federation.Ladders[LadderOf{Table: base.Name}] == nil || b.Filter == nil && s.Query == nil:
		case slices.Equal(b.federation.Ladders[LadderOf{Table: base.Name}], l):
			return fmt.Sprintf("all rows of %s (of those that the query keeps it may be far more or less)", base.Name)
		default:
			return "the rows of this kind"
		}
	}
	return "all rows"
}

// ladderWhere is the profile of the table's rows with the value that WHERE demands in a column. Without such a profile
// it is that of all rows.
func (b *builder) ladderWhere(s *relational.Source, all estimate.Ladder) estimate.Ladder {
	for _, e := range expr.Conjuncts(b.Filter) {
		if e.Op != expr.OpEqual {
			continue
		}
		for i, x := range e.Args {
			if constant := e.Args[1-i]; x.Op == expr.OpColumn && x.Relation == s.Name && constant.Op == expr.OpLiteral {
				if l := b.federation.Ladders[LadderOf{Table: s.Schema.Name, Column: x.Column, Value: constant.Value.String()}]; l != nil {
					return l
				}
			}
		}
	}
	return all
}

// ladderOfKeys is how many groups patients are in. It is known if one column of a table with patients decides all keys,
// itself or through a public table that it refers to, and a profile tells how many values of it patients have.
func (b *builder) ladderOfKeys() estimate.Ladder {
	var of []LadderOf
	for _, k := range b.fragment.Keys {
		k.Expr.Columns(func(relation, column string) {
			if name := b.keyedBy(relation, column); !slices.Contains(of, name) {
				of = append(of, name)
			}
		})
	}
	if len(of) != 1 {
		return nil
	}
	return b.federation.Ladders[of[0]]
}

// keyedBy names the ladder of the values of the patients' column that decides a key's column; empty if unknown.
func (b *builder) keyedBy(relation, column string) LadderOf {
	s := b.Of(relation)
	if s.Query != nil {
		return LadderOf{}
	}
	if !s.Schema.Public {
		return LadderOf{Table: s.Schema.Name, Column: column, Groups: true}
	}
	for _, e := range expr.Conjuncts(s.On) {
		for _, x := range e.Args {
			if x.Op != expr.OpColumn || !b.scope().Determines(relation, b.Filter, x) {
				continue
			}
			if other := b.Of(x.Relation); other.Query == nil && !other.Schema.Public {
				return LadderOf{Table: other.Schema.Name, Column: x.Column, Groups: true}
			}
		}
	}
	return LadderOf{}
}
