package expr

import (
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// RangeOf derives the range of an expression. It asks column for the range of each column and of the hospital's name.
//
// Bounds follow interval arithmetic (Moore 1966), evaluated in float64 and widened by one unit in the last place at
// each operation that may round.
func RangeOf(e *Expr, column func(*Expr) Range) Range { return NewRangeAnalysis(column).Range(e) }

// RangeAnalysis derives the ranges of expressions over the same columns. It derives each part once: parts may be
// shared, and a compiler asks for them one by one.
type RangeAnalysis struct {
	column        func(*Expr) Range
	known         map[*Expr]Range
	left          *Budget
	ignoreDomains bool // domains are not needed
	depth         int  // nesting depth of CASE; within a branch its condition holds
	examined      *int // how many conditions of CASE may still be examined, here and in nested analyses; nil before the first
	// conditions hold for every row, and restrict expressions that are computed from columns.
	conditions []*Expr
}

// NewRangeAnalysis returns an analysis that asks column for the range of each column and of the hospital's name.
func NewRangeAnalysis(column func(*Expr) Range) *RangeAnalysis {
	return &RangeAnalysis{column: column, known: map[*Expr]Range{}, left: NewScopeBudget()}
}

// NewRangeAnalysisWhere is NewRangeAnalysis on rows that satisfy the filter, which may be nil. It spends from a budget,
// and lists domains only if they are wanted. Each column's range is narrowed once, because a hostile filter has many
// conditions on many columns.
func NewRangeAnalysisWhere(filter *Expr, b *Budget, domains bool, column func(*Expr) Range) *RangeAnalysis {
	type name struct{ relation, column string }
	of := func(e *Expr) name { return name{e.Relation, strings.ToLower(e.Column)} }
	var conditions map[name][]*Expr
	known := map[name]Range{}
	var made []*Expr // conditions on expressions that are computed from columns
	for _, c := range Conjuncts(filter) {
		if of := c.Args; len(of) > 0 && len(of[0].Args) > 0 && len(made) < maxMade {
			made = append(made, c)
		}
		at := c
		for len(at.Args) > 0 {
			at = at.Args[0]
		}
		if conditions == nil {
			conditions = map[name][]*Expr{}
		}
		conditions[of(at)] = append(conditions[of(at)], c)
	}
	i := NewRangeAnalysis(func(e *Expr) Range {
		f, ok := known[of(e)]
		if !ok {
			f = column(e)
			for _, c := range conditions[of(e)] {
				f = f.restrictBy(e, c)
			}
			known[of(e)] = f
		}
		return f
	})
	i.conditions, i.left, i.ignoreDomains = made, b, !domains
	return i
}

// Range derives the range of an expression; see RangeOf.
func (i *RangeAnalysis) Range(e *Expr) Range {
	f, ok := i.known[e]
	if !ok {
		f = i.derive(e)
		i.known[e] = f
	}
	return f
}

func (i *RangeAnalysis) derive(e *Expr) Range {
	if e.Op == OpColumn || e.Op == OpHospital {
		return i.column(e)
	}
	if e.Op == OpLiteral {
		f := Unknown(e.Value.IsNull())
		f.Domain = []value.Value{*e.Value}
		if !f.Nullable && e.Type != value.TypeText {
			f.Lower, f.Upper = Bounds(*e.Value, *e.Value)
		}
		return f
	}
	i.left.visits--
	if i.depth > 0 {
		*i.examined--
	}
	args := make([]Range, len(e.Args))
	for k, a := range e.Args {
		args[k] = i.Range(a)
	}
	f := boundsOf(e, args)
	if e.Op == OpCase && e.Type != value.TypeText && e.Type != value.TypeBool {
		f = i.chosenWhere(e, f)
	}
	switch {
	case e.Type == value.TypeInt:
		f.Lower, f.Upper = math.Max(f.Lower, math.MinInt64), math.Min(f.Upper, math.MaxInt64)
		if f.Lower == math.MinInt64 {
			f.Lower = math.Inf(-1)
		}
		if f.Upper == math.MaxInt64 {
			f.Upper = math.Inf(1)
		}
	case isDay(e.Type):
		least, most := dayLimits(e.Type)
		if f.Lower < least || f.Upper > most { // values beyond are NULL; an infinite bound stays, because it means that nothing is known
			f.Nullable = true
			if !math.IsInf(f.Lower, 0) {
				f.Lower = math.Max(f.Lower, least)
			}
			if !math.IsInf(f.Upper, 0) {
				f.Upper = math.Min(f.Upper, most)
			}
		}
	}
	if f.Lower > f.Upper { // the only value is NULL
		f = Unknown(true)
	}
	if !i.ignoreDomains {
		f.Domain = i.domain(e, args, f)
	}
	for _, c := range i.conditions {
		f = f.restrictBy(e, c)
	}
	return f
}

// maxCaseDepth is the depth of nested CASEs that are examined, maxChoices the number of arguments of one CASE, and
// maxLooks the number of conditions in all. The time for nested CASEs grows with a high power of their length.
const (
	maxCaseDepth  = 3
	maxChoices    = 65
	maxConditions = 10_000
)

// chosenWhere narrows the range of a CASE. Each of its values counts only where it is chosen: where its condition is
// true and no earlier condition is. So CASE WHEN x BETWEEN 3 AND 15 THEN x END lies from 3 to 15. Computations in a
// branch keep their guards.
func (i *RangeAnalysis) chosenWhere(e *Expr, f Range) Range {
	if i.examined == nil {
		looks := maxConditions
		i.examined = &looks
	}
	if i.depth >= maxCaseDepth || len(e.Args) > maxChoices || *i.examined < 0 {
		return f
	}
	all := make([]Range, 0, len(e.Args)/2+1)
	var before []*Expr // what holds where no earlier condition was true
	for k := 1; k < len(e.Args); k += 2 {
		all = append(all, i.rangeWhere(e.Args[k], Conjuncts(e.Args[k-1]), before))
		before = append(before, negated(e.Args[k-1])...)
	}
	narrow := union(append(all, i.rangeWhere(e.Args[len(e.Args)-1], nil, before)))
	f.Lower, f.Upper = math.Max(f.Lower, narrow.Lower), math.Min(f.Upper, narrow.Upper)
	return f
}

// rangeWhere is the range of an expression on rows where conditions hold. It narrows bounds only.
func (i *RangeAnalysis) rangeWhere(e *Expr, holds, before []*Expr) Range {
	f := i.Range(e)
	conditions := slices.Concat(holds, before)
	if *i.examined -= 1 + len(conditions); *i.examined < 0 {
		return f
	}
	for _, c := range conditions {
		narrow := f.restrictBy(e, c)
		f.Lower, f.Upper = narrow.Lower, narrow.Upper
	}
	if !f.Bounded() && len(e.Args) > 0 {
		f = i.where(conditions).Range(e)
	}
	return f
}

// where returns an analysis of the rows where conditions hold.
func (i *RangeAnalysis) where(conditions []*Expr) *RangeAnalysis {
	in := NewRangeAnalysis(func(e *Expr) Range {
		f := i.column(e)
		for _, c := range conditions {
			narrow := f.restrictBy(e, c)
			f.Lower, f.Upper = narrow.Lower, narrow.Upper
		}
		f.Domain = nil
		return f
	})
	in.left, in.ignoreDomains, in.depth, in.examined = i.left, true, i.depth+1, i.examined
	in.conditions = slices.Clone(i.conditions)
	for _, c := range conditions {
		if len(c.Args) > 0 && len(c.Args[0].Args) > 0 && len(in.conditions) < maxMade {
			in.conditions = append(in.conditions, c)
		}
	}
	return in
}

// negated lists comparisons that hold for values that are not NULL where a condition is not true. There the condition
// is false, or the value is NULL, and bounds say nothing about NULL.
func negated(c *Expr) (all []*Expr) {
	turned := map[Op]Op{OpLess: OpGreaterOrEqual, OpLessOrEqual: OpGreater, OpGreater: OpLessOrEqual, OpGreaterOrEqual: OpLess}
	switch {
	case c.Op == OpOr:
		for _, a := range c.Args {
			all = append(all, negated(a)...)
		}
	case turned[c.Op] != "":
		x := *c
		x.Op = turned[c.Op]
		all = append(all, &x)
	}
	return all
}

// boundsOf gives the range of an operation, without a domain.
func boundsOf(e *Expr, args []Range) Range {
	f := Unknown(anyNull(args))
	if of := operations[e.Op].bounds; of != nil {
		f = of(e, args)
	}
	if e.Type == value.TypeBool {
		f.Lower, f.Upper = 0, 1
	}
	return f
}

// Restrict narrows the range of a column of type t by a condition `column op v` that is known to hold.
func (f Range) Restrict(t value.Type, op Op, values ...value.Value) Range {
	f.Nullable = false
	var kept []value.Value
	for _, v := range values {
		if !v.IsNull() {
			kept = append(kept, v)
		}
	}
	if len(kept) == 0 {
		return f
	}
	if t != value.TypeText {
		least, most := Bounds(slices.MinFunc(kept, value.Compare), slices.MaxFunc(kept, value.Compare))
		switch op {
		case OpEqual, OpIn:
			f.Lower, f.Upper = math.Max(f.Lower, least), math.Min(f.Upper, most)
		case OpLess, OpLessOrEqual:
			f.Upper = math.Min(f.Upper, most)
		case OpGreater, OpGreaterOrEqual:
			f.Lower = math.Max(f.Lower, least)
		}
		// The largest integer below a whole number is that number less one.
		whole := t == value.TypeInt || t == value.TypeDate
		if whole && op == OpLess && most == math.Trunc(most) && math.Abs(most) < ExactWhole {
			f.Upper = math.Min(f.Upper, most-1)
		}
		if whole && op == OpGreater && least == math.Trunc(least) && math.Abs(least) < ExactWhole {
			f.Lower = math.Max(f.Lower, least+1)
		}
	}
	args := append([]value.Value{{}}, kept...)
	holds := func(x value.Value) bool {
		args[0] = x
		return apply(op, value.TypeBool, args).True()
	}
	switch {
	case f.Domain != nil && len(f.Domain)*len(kept) <= 100*maxDomain: // a longer list would take too much time
		f.Domain = slices.DeleteFunc(slices.Clone(f.Domain), func(x value.Value) bool { return !holds(x) })
	case f.Domain != nil:
	case op == OpEqual || op == OpIn:
		f.Domain = equals(t, kept)
	case t == value.TypeInt || t == value.TypeDate:
		f.Domain = wholeDomain(t, f)
	}
	return f
}

// maxMade bounds the number of conditions on computed expressions that are used.
const maxMade = 10

// restrictBy narrows the range of a column, or of a computed expression, by a condition that every row satisfies: `x op
// constant`, IN, and IS NOT NULL.
func (f Range) restrictBy(column, condition *Expr) Range {
	is := func(e *Expr) bool {
		if len(e.Args) > 0 {
			return e.Equal(column)
		}
		return e.Op == column.Op && e.Relation == column.Relation && strings.EqualFold(e.Column, column.Column) &&
			(e.Op == OpColumn || e.Op == OpHospital)
	}
	switch condition.Op {
	case OpNot:
		if inner := condition.Args[0]; inner.Op == OpIsNull && is(inner.Args[0]) {
			f.Nullable = false
			if f.Domain != nil {
				f.Domain = slices.DeleteFunc(slices.Clone(f.Domain), value.Value.IsNull)
			}
		}
	case OpEqual, OpLess, OpLessOrEqual, OpGreater, OpGreaterOrEqual, OpIn:
		if !is(condition.Args[0]) {
			return f
		}
		var values []value.Value
		for _, a := range condition.Args[1:] {
			if a.Op != OpLiteral {
				return f
			}
			values = append(values, *a.Value)
		}
		return f.Restrict(column.Type, condition.Op, values...)
	}
	return f
}
