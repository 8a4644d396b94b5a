package planner

import (
	"fmt"
	"math"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Aggregate is one released aggregate: the noisy partial aggregates it reads, and how its value follows from them.
type Aggregate struct {
	*function
	// Partials are indexes into the fragment's partial aggregates, in the function's order.
	Partials []int
	scale    []float64 // the unit of each partial
	center   []float64 // the value that a centred sum was measured from; 0 for others
	whole    bool      // every partial is a whole number
	shifted  bool      // the sum was measured from the center, so center * rows is added back: see centre
	// of is date or timestamp if the released value has that type, else empty. A date's tree counts in days, a timestamp's
	// in seconds.
	of       value.Type
	lower    float64 // bounds of the released number
	upper    float64
	argument float64 // for functions that read a tree: the quantile's share, or the histogram's bucket
}

// function is an aggregate function. One entry says what a node computes (partial aggregates, which add up over
// patients and nodes) and how the result is estimated from them. fragment.Check derives the sensitivity from the same
// partials. So the parts cannot drift apart.
type function struct {
	arguments int
	whole     bool // the result is a number of rows or patients, or a sum of whole numbers
	ofValues  bool // the result is one of known values, or their number
	ofTree    bool // a quantile or an extreme: undefined where there is no value
	// partials lists what a node computes.
	partials func(a *argument) []fragment.Partial
	// bounds derives the bounds of the released number from the bounds of the arguments.
	bounds func(a *argument) (lower, upper float64)
	// estimate computes the number. x[i] is partial i in its unit; c[i] is the center of its values.
	estimate func(x, c []float64) float64
	// brackets is how many brackets of means within needs. within bounds the number from them by interval arithmetic. It
	// is nil if the number is a quotient of linear forms or is read from a tree.
	brackets int
	within   func(m estimate.Means) estimate.Bracket
	// shares are those of the partials, usualShare on average, which suit most data best (TestUsualShares); nil: equal.
	shares []int
	// read, if not nil, replaces estimate: it reads a number and its interval from a tree of bucket counts.
	read func(t estimate.Tree, argument, confidence float64) (x, low, high float64)
}

const usualShare = 6

var inf, allMoments = math.Inf(1), []int{6, 6, 6, 12, 3, 3} // of a count, two sums, that of products, two of squares

// aggregates is the only table of aggregates, by the names of syntax.Aggregates.
var aggregates = map[string]*function{
	"count": {arguments: 1, whole: true, partials: (*argument).counts, bounds: positive, estimate: estimate.First},
	"sum":   {arguments: 1, partials: (*argument).total, bounds: (*argument).signs, estimate: estimate.First},
	"avg":   {arguments: 1, partials: (*argument).mean, bounds: (*argument).extent, estimate: estimate.Mean, shares: []int{8, 4}},

	"var_pop":    {arguments: 1, partials: (*argument).squares, bounds: (*argument).variance, estimate: func(x, c []float64) float64 { return estimate.Variance(x, c, 1, 2, 0) }, brackets: 2, within: func(m estimate.Means) estimate.Bracket { return m.Variance(1, 2) }},
	"var_samp":   {arguments: 1, partials: (*argument).squares, bounds: (*argument).variance, estimate: func(x, c []float64) float64 { return estimate.Bessel(x[0]) * estimate.Variance(x, c, 1, 2, 0) }, brackets: 3, within: func(m estimate.Means) estimate.Bracket { return m.Variance(1, 2).Times(m.Bessel()) }},
	"stddev_pop": {arguments: 1, partials: (*argument).squares, bounds: (*argument).deviation, estimate: func(x, c []float64) float64 { return estimate.Root(estimate.Variance(x, c, 1, 2, 0)) }, brackets: 2, within: func(m estimate.Means) estimate.Bracket { return m.Variance(1, 2).Root() }},
	"stddev_samp": {arguments: 1, partials: (*argument).squares, bounds: (*argument).deviation, estimate: func(x, c []float64) float64 {
		return estimate.Root(estimate.Bessel(x[0]) * estimate.Variance(x, c, 1, 2, 0))
	}, brackets: 3, within: func(m estimate.Means) estimate.Bracket { return m.Variance(1, 2).Times(m.Bessel()).Root() }},

	"covar_pop":      {arguments: 2, partials: (*argument).products, bounds: (*argument).covariance, estimate: estimate.Covariance, brackets: 3, within: estimate.Means.Covariance},
	"covar_samp":     {arguments: 2, partials: (*argument).products, bounds: (*argument).covariance, estimate: func(x, c []float64) float64 { return estimate.Bessel(x[0]) * estimate.Covariance(x, c) }, brackets: 4, within: func(m estimate.Means) estimate.Bracket { return m.Covariance().Times(m.Bessel()) }},
	"corr":           {arguments: 2, partials: (*argument).allProducts, bounds: unitInterval, estimate: estimate.Correlation, brackets: 5, within: estimate.Means.Correlation, shares: allMoments},
	"regr_slope":     {arguments: 2, partials: (*argument).allProducts, bounds: unbounded, estimate: estimate.Slope, brackets: 4, within: estimate.Means.Slope, shares: allMoments},
	"regr_intercept": {arguments: 2, partials: (*argument).allProducts, bounds: unbounded, estimate: estimate.Intercept, brackets: 4, within: func(m estimate.Means) estimate.Bracket { return m.Of(1).Minus(m.Slope().Times(m.Of(2))) }, shares: allMoments},

	"min":      {arguments: 1, ofTree: true, partials: (*argument).tree, bounds: (*argument).extent, read: func(t estimate.Tree, _, c float64) (x, low, high float64) { return t.Extreme(false, c) }},
	"max":      {arguments: 1, ofTree: true, partials: (*argument).tree, bounds: (*argument).extent, read: func(t estimate.Tree, _, c float64) (x, low, high float64) { return t.Extreme(true, c) }},
	"median":   {arguments: 1, ofTree: true, partials: (*argument).tree, bounds: (*argument).extent, read: func(t estimate.Tree, _, c float64) (x, low, high float64) { return t.Quantile(0.5, c) }},
	"quantile": {arguments: 2, ofTree: true, partials: (*argument).tree, bounds: (*argument).extent, read: func(t estimate.Tree, q, c float64) (x, low, high float64) { return t.Quantile(q, c) }},
	"mode":     mostOf, "bool_or": highestOf, "bool_and": lowestOf,
	// The count of one bucket. The query's HISTOGRAM(x, low, high, bins) becomes one of these for each bin.
	"histogram": {arguments: 4, whole: true, partials: (*argument).histogram, bounds: positive, read: func(t estimate.Tree, i, c float64) (x, low, high float64) { return t.Bin(int(i), c) }},
	// One end of a range to use in CLAMP. The query's APPROX_BOUNDS(x) becomes two of these.
	"approx_bounds": {arguments: 1, partials: (*argument).powers, bounds: unbounded, read: func(t estimate.Tree, end, _ float64) (x, low, high float64) { return t.OutermostPower(end != 0) }},
}

// countDistinct is COUNT(DISTINCT x), where the possible values of x are known.
var countDistinct = &function{arguments: 1, whole: true, ofValues: true, partials: (*argument).values, bounds: (*argument).size, read: estimate.Distinct}

func positive(*argument) (lower, upper float64)     { return 0, inf }
func unitInterval(*argument) (lower, upper float64) { return -1, 1 }
func unbounded(*argument) (lower, upper float64)    { return -inf, inf }

func (a *argument) extent() (lower, upper float64) { return a.x.facts.Lower, a.x.facts.Upper }

// argument is what an aggregate is applied to.
type argument struct {
	call     *syntax.Expr
	x, y     operand
	maxRows  int
	cells    int // the number of declared groups; 0 if the groups are not declared
	norm     fragment.Norm
	ranked   bool              // quantiles are read from ranks (estimate.Ranks)
	value    float64           // the constant argument of QUANTILE
	buckets  *fragment.Buckets // for HISTOGRAM
	distinct bool              // COUNT(DISTINCT patient)
	patient  *expr.Expr        // with distinct: only rows where this condition holds count; nil: all rows
	domain   []value.Value     // for COUNT(DISTINCT x): the possible values of x, without NULL
	placed   *function         // reads the index of a value in domain
}

// operand is an argument evaluated over the rows. Its expression is nil for COUNT(*).
type operand struct {
	*expr.Expr
	facts expr.Range
	term  *syntax.Expr
	none  string // why x is NULL in every row; empty if it may have a value
	// likely is where the values probably lie, as an earlier release told; nil if unknown.
	likely *Likely
}

// middle is the centre of the operand's bounds on its grid. Sums and products are measured from it.
func (o operand) middle(maxRows int) float64 {
	g, err := fragment.NewGrid(o.facts.Lower, o.facts.Upper, o.Type == value.TypeInt, true, maxRows)
	if err != nil {
		return 0 // the sum itself is refused elsewhere, with its position
	}
	return g.Number(float64(g.Center))
}

func (a *argument) counts() []fragment.Partial { return []fragment.Partial{a.count()} }

func (a *argument) count() fragment.Partial {
	switch {
	case a.distinct:
		return fragment.Partial{Kind: fragment.PartialPatients, Expr: a.patient}
	case a.x.Expr == nil || !a.x.facts.Nullable: // COUNT(x) equals COUNT(*) if x is never NULL
		return fragment.Partial{Kind: fragment.PartialRows}
	}
	return fragment.Partial{Kind: fragment.PartialValues, Expr: a.x.Expr}
}

func (a *argument) total() []fragment.Partial { return []fragment.Partial{a.sum(a.x, false)} }

func (a *argument) mean() []fragment.Partial {
	return []fragment.Partial{a.sum(a.x, true), a.count()}
}

func (a *argument) squares() []fragment.Partial {
	return []fragment.Partial{a.count(), a.sum(a.x, true), a.product(a.x, a.x)}
}

// products are the partial aggregates over rows in which neither operand is NULL.
func (a *argument) products() []fragment.Partial {
	a.pair()
	return []fragment.Partial{a.count(), a.sum(a.x, true), a.sum(a.y, true), a.product(a.x, a.y)}
}

func (a *argument) allProducts() []fragment.Partial {
	return append(a.products(), a.product(a.x, a.x), a.product(a.y, a.y))
}

// pair makes each operand NULL where the other is.
func (a *argument) pair() {
	x, y := a.x, a.y
	where := func(o, other operand) operand {
		if other.facts.Nullable {
			at := o.term.At
			absent := scalar.Apply(at, expr.OpIsNull, other.Expr)
			o.Expr = scalar.Apply(at, expr.OpCase, absent, expr.Literal(value.Null(o.Type)), o.Expr)
			o.facts.Nullable = true
		}
		return o
	}
	a.x, a.y = where(x, y), where(y, x)
}

// product is the sum of the products of two operands, each measured from its middle. The product of an operand with
// itself is a square, so it is not negative.
func (a *argument) product(x, y operand) fragment.Partial {
	a.check(x)
	a.check(y)
	at := x.term.At
	from := func(o operand) *expr.Expr {
		return scalar.Apply(at, expr.OpSubtract, o.Expr, expr.Literal(value.Float(o.middle(a.maxRows))))
	}
	reach := func(o operand) float64 {
		m := o.middle(a.maxRows)
		return math.Max(o.facts.Upper-m, m-o.facts.Lower)
	}
	p := operand{Expr: scalar.Apply(at, expr.OpMultiply, from(x), from(y)), term: x.term}
	p.facts.Upper = reach(x) * reach(y)
	if x.Expr != y.Expr {
		p.facts.Lower = -p.facts.Upper
	}
	return a.sum(p, true)
}

// These are the sizes of the trees from which quantiles are read. A tree has 16 branches a level, and 3 levels if there
// are few groups, else 2, so that a release stays within a few million numbers. If whole numbers fit into fewer
// buckets, each has one bucket.
//
// If ranks (estimate.Ranks) are released in place of a tree, there are this many buckets. There are fewer for many
// groups, because the computation grows with the square of their number. To a hospital, ranks are a tree of two levels.
const (
	treeBranching = 16
	treeLevels    = 3
	manyGroups    = 100

	someGroups                        = 10
	rankedFew, rankedSome, rankedMany = 64, 32, 16
)

func (a *argument) tree() []fragment.Partial {
	x := a.asNumber(a.x)
	a.check(x)
	b := fragment.Buckets{Lower: x.facts.Lower, Upper: x.facts.Upper, Branching: treeBranching, Levels: treeLevels}
	many := a.cells == 0 || a.cells > manyGroups
	switch {
	case a.ranked:
		if b.Branching, b.Levels = rankedFew, 2; many {
			b.Branching = rankedMany
		} else if a.cells > someGroups {
			b.Branching = rankedSome
		}
	case many:
		b.Levels = treeLevels - 1
	}
	switch low, high := math.Ceil(b.Lower), math.Floor(b.Upper); {
	case x.Expr.Type == value.TypeInt && high-low < float64(b.Leaves()):
		if a.ranked {
			b = estimate.SquareBuckets(low, high)
		} else {
			b = estimate.WholeBuckets(low, high, b.Levels, a.norm)
		}
	case b.Lower == b.Upper:
		b.Upper = math.Nextafter(b.Lower, inf) + 1 // x is a constant, so any width will do
	}
	if b.Validate() != nil {
		refuse(CodeBounds, a.x.term.At, "narrow or widen them with CLAMP(x, lowest, highest)", "the bounds [%g, %g] are too far apart, or too near, for buckets", b.Lower, b.Upper)
	}
	return []fragment.Partial{{Kind: fragment.PartialBuckets, Expr: x.Expr, Buckets: &b}}
}

// asNumber turns an operand into a number: a date into days since 1970, a timestamp into seconds.
func (a *argument) asNumber(x operand) operand {
	at := x.term.At
	first, last := float64(value.MinDate), float64(value.MaxDate)
	origin, of := value.Date(0), "DATE '2015-01-01' AND DATE '2024-12-31'"
	switch x.Type {
	case value.TypeDate:
	case value.TypeTimestamp:
		first, last = float64(value.MinTimestamp), float64(value.MaxTimestamp)
		origin, of = value.Timestamp(0), "TIMESTAMP '2015-01-01 00:00:00' AND TIMESTAMP '2024-12-31 23:59:59'"
	default:
		return x
	}
	if x.none != "" {
		a.refuseNone(x, x.none)
	}
	if x.facts.Lower <= first || x.facts.Upper >= last {
		name := x.term.Describe()
		refuse(CodeBounds, at, "write WHERE "+name+" BETWEEN "+of+", with bounds from what you know of the matter, not from the data",
			"%s of %s needs bounds, and the catalog gives none", strings.ToUpper(a.call.Name), name)
	}
	x.Expr = scalar.Apply(at, expr.OpSubtract, x.Expr, expr.Literal(origin))
	if origin.Type() == value.TypeTimestamp {
		x.Expr = scalar.Apply(at, expr.OpDivide, x.Expr, expr.Literal(value.Float(scalar.MicrosecondsPerSecond)))
		x.facts.Lower, x.facts.Upper = x.facts.Lower/scalar.MicrosecondsPerSecond, x.facts.Upper/scalar.MicrosecondsPerSecond
	}
	return x
}

func (a *argument) histogram() []fragment.Partial {
	return []fragment.Partial{{Kind: fragment.PartialBuckets, Expr: a.x.Expr, Buckets: a.buckets}}
}

// check refuses an operand that cannot be summed.
func (a *argument) check(o operand) {
	name, what := o.term.Describe(), strings.ToUpper(a.call.Name)
	if !o.Type.Numeric() {
		refuse(CodeType, o.term.At, scalar.AsNumber(name, o.Type), "%s needs a number, and this is a %s", what, o.Type)
	}
	if o.facts.Lower > o.facts.Upper {
		a.refuseNone(o, noRow)
	}
	if !o.facts.Bounded() {
		if o.none != "" {
			a.refuseNone(o, o.none)
		}
		hint := "write " + what + "(CLAMP(" + name + ", lowest, highest)), with bounds from what you know of the matter, not from the data"
		if l := o.likely; l != nil {
			hint += fmt.Sprintf("; or those of the profile of %s, CLAMP(%s, %s, %s)", l.Taken, name, number(l.Lower), number(l.Upper))
		}
		refuse(CodeBounds, o.term.At, hint,
			"%s of %s needs bounds, and the catalog gives none", what, name)
	}
}

// Reasons why no row has a value of an operand.
const (
	noRow      = "what it is computed from, the conditions and the catalog's bounds leave none"
	alwaysNull = "it is NULL"
)

// refuseNone refuses an operand that has no value in any row: its SQL sum is NULL, and a budget would be spent on it.
func (a *argument) refuseNone(o operand, why string) {
	hint := "change WHERE, or the condition: a part of it contradicts another, or the bounds that the catalog gives a column"
	if why == alwaysNull {
		hint = "write what is meant; COUNT(*) counts the rows"
	}
	refuse(CodeBounds, o.term.At, hint, "%s has no value in any row: %s", o.term.Describe(), why)
}

func (a *argument) sum(o operand, centered bool) fragment.Partial {
	a.check(o)
	grid, err := fragment.NewGrid(o.facts.Lower, o.facts.Upper, o.Type == value.TypeInt, centered, a.maxRows)
	if err != nil {
		refuse(CodeBounds, o.term.At, "narrow them with CLAMP(x, lowest, highest)", "the bounds [%g, %g] are too wide for exact sums", o.facts.Lower, o.facts.Upper)
	}
	return fragment.Partial{Kind: fragment.PartialSum, Expr: o.Expr, Grid: &grid}
}

// The methods below bound the released numbers.

func (a *argument) signs() (lower, upper float64) {
	lower, upper = -inf, inf
	if a.x.facts.Lower >= 0 {
		lower = 0
	}
	if a.x.facts.Upper <= 0 {
		upper = 0
	}
	return lower, upper
}

// variance bounds a variance. The variance of numbers in [l, u] is at most (u-l)^2/4 (Popoviciu 1935), and a sample's
// variance at most twice that.
func (a *argument) variance() (lower, upper float64) {
	reach := a.x.facts.Upper - a.x.facts.Lower
	return 0, reach * reach / 2
}

func (a *argument) deviation() (lower, upper float64) {
	return 0, (a.x.facts.Upper - a.x.facts.Lower) / math.Sqrt2
}

func (a *argument) covariance() (lower, upper float64) {
	m := (a.x.facts.Upper - a.x.facts.Lower) * (a.y.facts.Upper - a.y.facts.Lower) / 2
	return -m, m
}

// valueType is the type of the released number.
func (a *Aggregate) valueType() value.Type {
	if a.of != "" {
		return a.of
	}
	if a.function.whole || a.whole {
		return value.TypeInt
	}
	return value.TypeFloat
}

// step is the unit of the aggregate's tree, measured in the unit of its value.
func (a *Aggregate) step() float64 {
	if a.of == value.TypeTimestamp {
		return scalar.MicrosecondsPerSecond
	}
	return 1
}

// facts are the bounds of the released number. Intervals of expressions over it need them.
func (a *Aggregate) facts() expr.Range {
	return expr.Range{Lower: a.lower, Upper: a.upper}
}

// average reports whether the aggregate is (center * n + scale * s) / n, where s and n are its two partials and n is in
// its own unit.
func (a *Aggregate) average() (center, scale float64, ok bool) {
	return a.center[0], a.scale[0], len(a.Partials) == 2 && !a.shifted
}

// at computes the released number from its partials; NaN if it is undefined. Partials may be fractional, since
// intervals are simulated. Aggregates that read trees are not computed here: see group.column.
func (a *Aggregate) at(partials func(int) float64) float64 {
	var room [6]float64
	x := room[:len(a.Partials)]
	for i, p := range a.Partials {
		x[i] = a.scale[i] * partials(p)
	}
	if a.shifted {
		return x[0] + a.center[0]*x[1]
	}
	return a.estimate(x, a.center)
}

// clamped moves a number into the public bounds; NULL if it is undefined. This is post-processing and costs nothing.
func (a *Aggregate) clamped(v float64) value.Value {
	if math.IsNaN(v) {
		return value.Null(a.valueType())
	}
	v = math.Max(a.lower, math.Min(a.upper, v))
	if t := a.valueType(); t != value.TypeFloat {
		return value.OfOrdinal(t, math.Round(v))
	}
	return value.Float(v)
}
