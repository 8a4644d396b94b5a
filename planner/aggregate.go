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

// Aggregate is one released aggregate: which noisy partial aggregates it is made
// of, and how.
type Aggregate struct {
	*function
	// Partials index the fragment's partial aggregates, in the function's order.
	Partials []int
	scale    []float64 // of one unit of each partial
	center   []float64 // what a centred sum was measured from, 0 for others
	whole    bool      // the partials are whole numbers on a grid of ones
	shifted  bool      // a sum, of what its values are above the center and of that for each row: see centre
	// of is date or timestamp where the released value is one, else empty. A date's tree counts days, a timestamp's
	// seconds.
	of       value.Type
	lower    float64 // bounds of the released number
	upper    float64
	argument float64 // of a tree's function: the quantile, or the bucket of a histogram
}

// function is an aggregate function. Its partials add up over patients and
// nodes, fragment.Check derives their sensitivity, and estimate makes the number
// of them; so the four cannot drift apart.
type function struct {
	arguments int
	whole     bool // a number of rows or patients, or a sum of whole numbers
	ofValues  bool // of those values that occur, among known ones
	ofTree    bool // a quantile or an extreme of values, of which there must be some
	// partials is what a node computes.
	partials func(a *argument) []fragment.Partial
	// bounds of the released number, from those of the arguments.
	bounds func(a *argument) (lower, upper float64)
	// estimate makes the number; x[i] is partial i in its unit, and c[i] the
	// center of its values.
	estimate func(x, c []float64) float64
	// brackets and within bound the number by interval arithmetic over that many brackets of means;
	// nil for one that is a quotient of linear forms, or read from a tree.
	brackets int
	within   func(m estimate.Means) estimate.Bracket
	// read, instead of estimate, reads a number and its interval from a tree of
	// bucket counts.
	read func(t estimate.Tree, argument, confidence float64) (x, low, high float64)
}

var inf = math.Inf(1)

// aggregates is the one table, by the names of syntax.Aggregates.
var aggregates = map[string]*function{
	"count": {arguments: 1, whole: true, partials: (*argument).counts, bounds: positive, estimate: estimate.First},
	"sum":   {arguments: 1, partials: (*argument).total, bounds: (*argument).signs, estimate: estimate.First},
	"avg":   {arguments: 1, partials: (*argument).mean, bounds: (*argument).extent, estimate: estimate.Mean},

	"var_pop":    {arguments: 1, partials: (*argument).squares, bounds: (*argument).variance, estimate: func(x, c []float64) float64 { return estimate.Variance(x, c, 1, 2, 0) }, brackets: 2, within: func(m estimate.Means) estimate.Bracket { return m.Variance(1, 2) }},
	"var_samp":   {arguments: 1, partials: (*argument).squares, bounds: (*argument).variance, estimate: func(x, c []float64) float64 { return estimate.Bessel(x[0]) * estimate.Variance(x, c, 1, 2, 0) }, brackets: 3, within: func(m estimate.Means) estimate.Bracket { return m.Variance(1, 2).Times(m.Bessel()) }},
	"stddev_pop": {arguments: 1, partials: (*argument).squares, bounds: (*argument).deviation, estimate: func(x, c []float64) float64 { return estimate.Root(estimate.Variance(x, c, 1, 2, 0)) }, brackets: 2, within: func(m estimate.Means) estimate.Bracket { return m.Variance(1, 2).Root() }},
	"stddev_samp": {arguments: 1, partials: (*argument).squares, bounds: (*argument).deviation, estimate: func(x, c []float64) float64 {
		return estimate.Root(estimate.Bessel(x[0]) * estimate.Variance(x, c, 1, 2, 0))
	}, brackets: 3, within: func(m estimate.Means) estimate.Bracket { return m.Variance(1, 2).Times(m.Bessel()).Root() }},

	"covar_pop":      {arguments: 2, partials: (*argument).products, bounds: (*argument).covariance, estimate: estimate.Covariance, brackets: 3, within: estimate.Means.Covariance},
	"covar_samp":     {arguments: 2, partials: (*argument).products, bounds: (*argument).covariance, estimate: func(x, c []float64) float64 { return estimate.Bessel(x[0]) * estimate.Covariance(x, c) }, brackets: 4, within: func(m estimate.Means) estimate.Bracket { return m.Covariance().Times(m.Bessel()) }},
	"corr":           {arguments: 2, partials: (*argument).allProducts, bounds: unitInterval, estimate: estimate.Correlation, brackets: 5, within: estimate.Means.Correlation},
	"regr_slope":     {arguments: 2, partials: (*argument).allProducts, bounds: unbounded, estimate: estimate.Slope, brackets: 4, within: estimate.Means.Slope},
	"regr_intercept": {arguments: 2, partials: (*argument).allProducts, bounds: unbounded, estimate: estimate.Intercept, brackets: 4, within: func(m estimate.Means) estimate.Bracket { return m.Of(1).Minus(m.Slope().Times(m.Of(2))) }},

	"min":      {arguments: 1, ofTree: true, partials: (*argument).tree, bounds: (*argument).extent, read: func(t estimate.Tree, _, c float64) (x, low, high float64) { return t.Extreme(false, c) }},
	"max":      {arguments: 1, ofTree: true, partials: (*argument).tree, bounds: (*argument).extent, read: func(t estimate.Tree, _, c float64) (x, low, high float64) { return t.Extreme(true, c) }},
	"median":   {arguments: 1, ofTree: true, partials: (*argument).tree, bounds: (*argument).extent, read: func(t estimate.Tree, _, c float64) (x, low, high float64) { return t.Quantile(0.5, c) }},
	"quantile": {arguments: 2, ofTree: true, partials: (*argument).tree, bounds: (*argument).extent, read: func(t estimate.Tree, q, c float64) (x, low, high float64) { return t.Quantile(q, c) }},
	"mode":     mostOf, "bool_or": highestOf, "bool_and": lowestOf,
	// One bucket of a histogram; the query's HISTOGRAM(x, low, high, bins) stands for all of them.
	"histogram": {arguments: 4, whole: true, partials: (*argument).histogram, bounds: positive, read: func(t estimate.Tree, i, c float64) (x, low, high float64) { return t.Bin(int(i), c) }},
	// One end of a range for CLAMP; the query's APPROX_BOUNDS(x) stands for both.
	"approx_bounds": {arguments: 1, partials: (*argument).powers, bounds: unbounded, read: func(t estimate.Tree, end, _ float64) (x, low, high float64) { return t.OutermostPower(end != 0) }},
}

// countDistinct is COUNT(DISTINCT x) of an x of known values.
var countDistinct = &function{arguments: 1, whole: true, ofValues: true, partials: (*argument).values, bounds: (*argument).size, read: estimate.Distinct}

func positive(*argument) (lower, upper float64)     { return 0, inf }
func unitInterval(*argument) (lower, upper float64) { return -1, 1 }
func unbounded(*argument) (lower, upper float64)    { return -inf, inf }

func (a *argument) extent() (lower, upper float64) { return a.x.facts.Lower, a.x.facts.Upper }

// argument is what an aggregate is asked of.
type argument struct {
	call     *syntax.Expr
	x, y     operand
	maxRows  int
	cells    int // declared groups, 0 where they are not declared
	norm     fragment.Norm
	ranked   bool              // quantiles are read from ranks
	value    float64           // the constant that QUANTILE takes
	buckets  *fragment.Buckets // of HISTOGRAM
	distinct bool              // COUNT(DISTINCT patient)
	patient  *expr.Expr        // the condition under which that counts; nil: always
	domain   []value.Value     // of COUNT(DISTINCT x): the values of x but NULL
	placed   *function         // reads the place of a value among those of the domain
}

// operand is an argument over the rows; its expression is nil for COUNT(*).
type operand struct {
	*expr.Expr
	facts expr.Range
	term  *syntax.Expr
	none  string // why no row has a value of it; "": some may have
	// likely is where the values lie, as a profile tells; nil: nobody knows.
	likely *Likely
}

// middle is the centre of the operand's bounds on its grid, from which sums and
// products are measured.
func (o operand) middle(maxRows int) float64 {
	g, err := fragment.NewGrid(o.facts.Lower, o.facts.Upper, o.Type == value.TypeInt, true, maxRows)
	if err != nil {
		return 0 // the sum over it is refused, with its place
	}
	return g.Number(float64(g.Center))
}

func (a *argument) counts() []fragment.Partial { return []fragment.Partial{a.count()} }

func (a *argument) count() fragment.Partial {
	switch {
	case a.distinct:
		return fragment.Partial{Kind: fragment.PartialPatients, Expr: a.patient}
	case a.x.Expr == nil || !a.x.facts.Nullable: // COUNT(x) of an x that is never NULL is COUNT(*)
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

// products are of the rows in which both operands are.
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

// product is the sum of the products of two operands, each from its middle. The
// product of one with itself is a square, so it is not negative.
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

// The trees over which quantiles are sought: of 16 branches, and of 3 levels where the groups are few, else 2, so that
// a release stays a few million numbers. Whole numbers that such a tree has room for have a bucket each, and no more.
//
// Where ranks are released in place of a tree (estimate.Ranks) there are as many buckets, and fewer of some groups,
// whose computation takes the square of their number. To the hospitals they are a tree of two levels.
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
		b.Upper = math.Nextafter(b.Lower, inf) + 1 // a constant: any width will do
	}
	if b.Validate() != nil {
		refuse(CodeBounds, a.x.term.At, "narrow or widen them with CLAMP(x, lowest, highest)", "the bounds [%g, %g] are too far apart, or too near, for buckets", b.Lower, b.Upper)
	}
	return []fragment.Partial{{Kind: fragment.PartialBuckets, Expr: x.Expr, Buckets: &b}}
}

// asNumber is an operand as a number: of a date the days since 1970, of a timestamp the seconds.
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

// check refuses what cannot be summed.
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

// Why no row has a value of an operand.
const (
	noRow      = "what it is computed from, the conditions and the catalog's bounds leave none"
	alwaysNull = "it is NULL"
)

// refuseNone refuses to spend a budget on what has no value in any row, of which SQL's sum is NULL.
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

// The bounds of what is released.

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

// variance: that of numbers within [l, u] is at most (u-l)^2/4 (Popoviciu 1935);
// a sample's at most twice that.
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

// step is what the unit of the aggregate's tree is in that of its value.
func (a *Aggregate) step() float64 {
	if a.of == value.TypeTimestamp {
		return scalar.MicrosecondsPerSecond
	}
	return 1
}

// facts bound the released number, for the intervals of what is made of it.
func (a *Aggregate) facts() expr.Range {
	return expr.Range{Lower: a.lower, Upper: a.upper}
}

// average tells whether the aggregate is (center * n + scale * s) / n, in partials s and
// n, the latter in its own unit.
func (a *Aggregate) average() (center, scale float64, ok bool) {
	return a.center[0], a.scale[0], len(a.Partials) == 2 && !a.shifted
}

// at is the released number, from partials that may be fractional where an
// interval is being simulated; NaN where it is not defined. Aggregates of trees have
// no such number: see group.column.
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

// clamped moves a number within public bounds, which is post-processing and costs
// nothing; NULL where it is not defined.
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
