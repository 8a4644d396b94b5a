package planner

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/syntax"
)

// profiledRows is the limit of rows that the profile of the one table with patients advises: where totals are asked
// for, that with which they err least, and otherwise that with which a mean does. 0: there is no profile, or other
// tables besides.
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
	groups := b.cells // each has its part of what is left out, and noise of its own
	if groups == 0 {
		groups = undeclaredGroups
	}
	scale *= float64(groups * b.syntax.Select.Bins(maxColumns))
	if totals == 0 && b.shares() {
		return max(1, l.BestOfShare(scale))
	}
	if totals == 0 {
		return max(1, l.BestOfMean(scale*b.spreading()))
	}
	scale *= math.Sqrt(float64(totals))
	switch {
	case counts > 0:
		return max(1, l.Best(scale))
	case b.syntax.Select.OnlySums(): // who is clipped has rows whose values add up to more than the limit's bounds, which are of more rows
		return max(1, int(math.Ceil(float64(l.Best(scale))/roomy)))
	}
	return max(1, l.Best(scale*roomy))
}

// shares reports whether all that is asked for are shares of rows: means, or sums that are divided, of what is within
// [0, 1]; or counts.
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

// spreading is about how many times as wide as that of a count the noise is that is divided by the number of rows: of a
// sum of values and how many there are; of spreads and quantiles a few times that; of correlations, whose sums are
// divided by two spreads as well, of a quarter of the range or less, more.
func (b *builder) spreading() float64 {
	spreading := 5 * math.Sqrt2
	for _, t := range b.syntax.Select.Aggregates() {
		switch {
		case t.Name == "avg" || t.Name == "count" || t.Name == "sum":
			return math.Sqrt2
		case t.Name == "corr" || strings.HasPrefix(t.Name, "covar") || strings.HasPrefix(t.Name, "regr"):
			spreading = 20
		}
	}
	return spreading
}

// profiledGroups is the limit of groups that the profile advises where patients are counted in groups; 0: there is no
// profile, or it tells nothing of them.
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

// steadyGroups is 1 where all keys are made of columns of which a patient has one value, as the catalog says; else 0.
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

// sites is at how many hospitals a patient may be.
func (b *builder) sites() int {
	if b.Catalog.MaxSites > 0 {
		return min(len(b.federation.Hospitals), b.Catalog.MaxSites)
	}
	return len(b.federation.Hospitals)
}

// What is supposed where nothing is known.
const (
	roomy            = 4  // times the bound of a sum is of the values that it adds up
	undeclaredGroups = 10 // that there are

	maxProfiledGroups = 1000
)

// LadderOfRows names, in Federation.Ladders, that of a table's rows with one value of a column, as it is written.
func LadderOfRows(table, column, value string) string { return table + "." + column + " = " + value }

// LadderOfGroups names that of how many values of a column patients have.
func LadderOfGroups(table, column string) string { return table + "." + column }

// ladder is what a profile tells of the one table with patients that the query reads, or of whose rows it reads as many
// or fewer.
func (b *builder) ladder() estimate.Ladder {
	var l estimate.Ladder
	for _, s := range b.Sources {
		if s.Schema.Public || s.Schema.OneRowPerPatient || s.Alias == "" { // of no name: it is reached by keys
			continue
		}
		base, _ := b.BaseTable(s.Relation, s.Schema)
		if base == nil || l != nil {
			return nil
		}
		if l = b.federation.Ladders[base.Name]; l == nil {
			return nil
		}
		if s.Query == nil {
			l = b.ladderWhere(s, l)
		}
	}
	return l
}

// laddered says which rows the ladder is of: those that WHERE keeps may have another.
func (b *builder) laddered(l estimate.Ladder) string {
	for _, s := range b.Sources {
		base, _ := b.BaseTable(s.Relation, s.Schema)
		switch {
		case base == nil || b.federation.Ladders[base.Name] == nil || b.Filter == nil && s.Query == nil:
		case slices.Equal(b.federation.Ladders[base.Name], l):
			return fmt.Sprintf("all rows of %s (of those that the query keeps it may be far more or less)", base.Name)
		default:
			return "the rows of this kind"
		}
	}
	return "all rows"
}

// ladderWhere is that of a table's rows with the one value that WHERE gives of a column, or what is known of all rows.
func (b *builder) ladderWhere(s *relational.Source, all estimate.Ladder) estimate.Ladder {
	for _, e := range expr.Conjuncts(b.Filter) {
		if e.Op != expr.OpEqual {
			continue
		}
		for i, x := range e.Args {
			if constant := e.Args[1-i]; x.Op == expr.OpColumn && x.Relation == s.Name && constant.Op == expr.OpLiteral {
				if l := b.federation.Ladders[LadderOfRows(s.Schema.Name, x.Column, constant.Value.String())]; l != nil {
					return l
				}
			}
		}
	}
	return all
}

// ladderOfKeys is how many groups patients are in, where all keys are made of one column of a table with patients, or
// of columns of a public table that it refers to, and a profile tells how many values of it patients have.
func (b *builder) ladderOfKeys() estimate.Ladder {
	var of []string // by name in Federation.Ladders
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

// keyedBy is the column of a table with patients that decides a key's column, as LadderOfGroups names it; "" where it
// is not known.
func (b *builder) keyedBy(relation, column string) string {
	s := b.Of(relation)
	if s.Query != nil {
		return ""
	}
	if !s.Schema.Public {
		return LadderOfGroups(s.Schema.Name, column)
	}
	for _, e := range expr.Conjuncts(s.On) {
		if e.Op != expr.OpEqual || !relational.LookedUp(s.Relation, s.Schema) {
			continue
		}
		for _, x := range e.Args {
			if x.Op == expr.OpColumn && x.Relation != relation {
				if other := b.Of(x.Relation); other.Query == nil && !other.Schema.Public {
					return LadderOfGroups(other.Schema.Name, x.Column)
				}
			}
		}
	}
	return ""
}
