package fragment

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Limits of a fragment's wire form.
const (
	MaxWireBytes = 4 << 20
	maxNodes     = 100_000
	maxExpanded  = 20_000 // operations of one expression, see Scope.size
	maxDepth     = 200
	maxRelations = 30
	// maxRelationsInAll bounds relations with those within derived ones.
	maxRelationsInAll = 200
	maxKeys           = 10
	maxPartials       = 100
	// MaxCells is the largest number of groups that declared domains may span.
	MaxCells = 100_000
	// MaxIntegers is the largest number of integers that a node sends, and that
	// declared groups may span.
	MaxIntegers = 1 << 24
)

// ErrInvalid means that a fragment is not one that this node can run.
var ErrInvalid = errors.New("the fragment is not valid")

// Fragment is what one node computes. See the package comment for its meaning.
type Fragment struct {
	Version   int        `json:"version"`
	Catalog   string     `json:"catalog"` // digest of the catalog it was planned with
	Relations []Relation `json:"relations"`
	Patient   *expr.Expr `json:"patient"` // the column that holds the patient's id
	Filter    *expr.Expr `json:"filter,omitempty"`
	Keys      []Key      `json:"keys,omitempty"`
	Partials  []Partial  `json:"partials"`
	// A patient is clipped to a norm: that of a patient in MaxGroups groups, of MaxRows rows in all; each at least 1. See the package comment.
	Norm      Norm `json:"norm"`
	MaxGroups int  `json:"max_groups"`
	MaxRows   int  `json:"max_rows"`
}

// Join is how a relation joins those before it.
type Join string

// The joins. The first relation has none.
const (
	JoinInner Join = "inner"
	JoinLeft  Join = "left"
	JoinCross Join = "cross"
)

// Relation is a table, or a derived relation, under a name of its own.
type Relation struct {
	Name    string     `json:"name"`
	Table   string     `json:"table,omitempty"` // of the catalog; empty for a derived relation
	Derived *Derived   `json:"derived,omitempty"`
	Join    Join       `json:"join,omitempty"`
	On      *expr.Expr `json:"on,omitempty"` // inner and left
}

// Key is an expression to group by.
type Key struct {
	Expr *expr.Expr `json:"expr"`
	// Domain lists every key, NULL included where it is one; rows with another
	// key are left out. Nil: the keys are not declared.
	Domain []value.Value `json:"domain,omitempty"`
}

// PartialKind is a kind of partial aggregate.
type PartialKind string

// The partial aggregates; the package comment defines them.
const (
	PartialPatients PartialKind = "patients"
	PartialRows     PartialKind = "rows"
	PartialValues   PartialKind = "values"
	PartialSum      PartialKind = "sum"
	PartialBuckets  PartialKind = "buckets"
	PartialBeyond   PartialKind = "beyond"
)

// Partial is one partial aggregate: integers that add up.
type Partial struct {
	Kind PartialKind `json:"kind"`
	// Of is the kind of the partial aggregate, of the same Expr and Grid, of which beyond tells what was left out.
	Of   PartialKind `json:"of,omitempty"`
	Expr *expr.Expr  `json:"expr,omitempty"` // patients: a condition, optional; values: any; sum, buckets: a number
	Grid *Grid       `json:"grid,omitempty"` // sum
	// Most is by how many times what is left of a patient the part that was left out counts at most, 1 to MostBeyond; kind beyond.
	Most int `json:"most,omitempty"`
	// Buckets are those into which values are counted; kind buckets.
	Buckets *Buckets `json:"buckets,omitempty"`
	// Share is for how many coordinates each of the partial aggregate's counts where it is released, 1 to
	// MaxShare: the more, the less noise it has, and the more the others have. 0 means 1.
	Share int `json:"share,omitempty"`
}

// Limits of partial aggregates.
const (
	MaxShare   = 20_000 // of Partial.Share
	MostBeyond = 1000   // of Partial.Most
)

// Buckets divide [Lower, Upper] into Branching^Levels buckets of equal width; a
// value outside counts in the first or the last. The coordinator releases them as
// a tree: at each level, the counts of Branching times as many, finer buckets.
type Buckets struct {
	Lower     float64 `json:"lower"`
	Upper     float64 `json:"upper"`
	Branching int     `json:"branching"` // 2..1000
	Levels    int     `json:"levels"`    // 1..4
}

// maxLeaves is the largest number of buckets.
const maxLeaves = 1 << 16

// Leaves is the number of buckets.
func (b Buckets) Leaves() int {
	n := 1
	for range b.Levels {
		n *= b.Branching
	}
	return n
}

// Width is the width of one bucket.
func (b Buckets) Width() float64 { return (b.Upper - b.Lower) / float64(b.Leaves()) }

// Leaf is the bucket of x: clamp(floor((x - Lower) * Density), 0, Leaves - 1).
func (b Buckets) Leaf(x float64) int {
	return int(math.Max(0, math.Min(float64(b.Leaves()-1), math.Floor((x-b.Lower)*b.Density()))))
}

// Density is the number of buckets a unit.
func (b Buckets) Density() float64 { return float64(b.Leaves()) / (b.Upper - b.Lower) }

// Validate refuses buckets whose number, ends, width or density is out of range. The error wraps ErrInvalid.
func (b Buckets) Validate() error {
	finite := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	if !finite(b.Lower) || !finite(b.Upper) || b.Lower >= b.Upper || b.Branching < 2 || b.Branching > 1000 ||
		b.Levels < 1 || b.Levels > 4 || b.Leaves() > maxLeaves {
		return fmt.Errorf("%w: buckets are out of range", ErrInvalid)
	}
	// Width and Density overflow where the ends are very far apart, and vanish where they are too near.
	if !finite(b.Width()) || !finite(b.Density()) || b.Width() == 0 || b.Density() == 0 {
		return fmt.Errorf("%w: buckets of [%g, %g] are too wide or too narrow for float64", ErrInvalid, b.Lower, b.Upper)
	}
	return nil
}

// Width is how many integers the partial aggregate is: one, or one a bucket.
func (p Partial) Width() int {
	if p.Buckets != nil {
		return p.Buckets.Leaves()
	}
	return 1
}

// Weight is for how many numbers the partial aggregate counts where it is released: its Share, times the levels of a
// tree. Rows add up to as many on each level, whatever buckets they fall into: in L1, and in L2 at most, so that a tree
// weighs as many numbers as it has levels.
func (p Partial) Weight() int {
	w := max(1, p.Share)
	if p.Buckets != nil {
		w *= p.Buckets.Levels
	}
	return w
}

// Width is how many integers a node sends for a group.
func (f *Fragment) Width() int {
	n := 0
	for _, p := range f.Partials {
		n += p.Width()
	}
	return n
}

// Weight is how many numbers of a group a patient changes.
func (f *Fragment) Weight() int64 {
	n := int64(0)
	for _, p := range f.Partials {
		if p.Kind != PartialBeyond {
			n += int64(p.Weight())
			continue
		}
		if i := f.measured(p); i >= 0 { // which may take up all of the block's norm
			of := f.Partials[i].ShareOrOne()
			n += (p.ShareOrOne()*f.single() + of - 1) / of
		}
	}
	return n
}

// single is the weight of the partial aggregates of one integer that are clipped as one vector.
func (f *Fragment) single() int64 {
	weight := int64(0)
	for _, p := range f.Partials {
		if p.Buckets == nil && p.Kind != PartialBeyond {
			weight += p.ShareOrOne()
		}
	}
	return weight
}

// measured is the index of the partial aggregate of which p, of kind beyond, tells what was left out; -1: there is none.
func (f *Fragment) measured(p Partial) int {
	return slices.IndexFunc(f.Partials, func(o Partial) bool {
		sameExpr := (o.Expr == nil) == (p.Expr == nil) && (p.Expr == nil || o.Expr.Equal(p.Expr))
		sameGrid := (o.Grid == nil) == (p.Grid == nil) && (p.Grid == nil || *o.Grid == *p.Grid)
		return p.Kind == PartialBeyond && o.Kind == p.Of && o.Buckets == nil && o.Kind != PartialBeyond && sameExpr && sameGrid
	})
}

// Grid is the fixed-point grid on which a sum is exact: a value x counts as
// clamp(floor(x*2^Shift + 1/2), Lower, Upper) - Center. Public bounds alone
// decide it (Casacuberta et al. 2022 show what happens otherwise).
type Grid struct {
	Shift  int   `json:"shift"` // -1074..1023; 0 for whole numbers unless their range is very wide
	Lower  int64 `json:"lower"`
	Upper  int64 `json:"upper"`
	Center int64 `json:"center"`
}

const (
	gridBits = 24 // of |value| on the grid; sizeBits are those of that times MaxRows
	// innerBits are those of |value| on the grid of a sum within a derived relation, of which 2^26 add up within an int64.
	innerBits = 36
)

// NewGrid returns the grid for numbers within [lower, upper], whole ones or not,
// of which maxRows of a patient count. A centered grid measures from the middle
// of the bounds, which halves the sensitivity of a mean; the other from zero.
func NewGrid(lower, upper float64, whole, centered bool, maxRows int) (Grid, error) {
	if math.IsInf(lower, 0) || math.IsInf(upper, 0) || math.IsNaN(lower) || math.IsNaN(upper) || lower > upper {
		return Grid{}, fmt.Errorf("%w: a sum needs bounds", ErrInvalid)
	}
	if whole && (lower <= -expr.ExactWhole || upper >= expr.ExactWhole) {
		return Grid{}, fmt.Errorf("%w: the whole numbers in [%g, %g] are beyond what float64 tells apart", ErrInvalid, lower, upper)
	}
	room := sizeBits - int(math.Ceil(math.Log2(float64(maxRows))))
	limit := min(gridBits, room)
	if whole {
		limit = room // whole numbers are exact at shift 0, as long as they fit
	}
	reach := math.Max(math.Abs(lower), math.Abs(upper))
	if centered && lower < upper { // the place of a constant is told as finely as by its size
		reach = upper - lower
	}
	shift := 0
	if reach > 0 {
		_, exponent := math.Frexp(reach) // reach < 2^exponent
		shift = limit - exponent
		if whole {
			shift = min(0, shift)
		}
	}
	if shift < -1000 || shift > 1000 {
		return Grid{}, fmt.Errorf("%w: the bounds [%g, %g] are too wide or too narrow for a sum", ErrInvalid, lower, upper)
	}
	g := Grid{Shift: shift, Lower: int64(math.Floor(math.Ldexp(lower, shift))), Upper: int64(math.Ceil(math.Ldexp(upper, shift)))}
	if centered {
		g.Center = g.Lower + (g.Upper-g.Lower)/2
	}
	return g, nil
}

// Bound is the largest |value| on the grid after centering.
func (g Grid) Bound() int64 { return max(g.Upper-g.Center, g.Center-g.Lower, 1) }

// Number turns a sum on the grid, without its center, into a number.
func (g Grid) Number(sum float64) float64 { return math.Ldexp(sum, -g.Shift) }

// validate refuses a grid of which the rows exceed 2^most.
func (g Grid) validate(maxRows, most int) error {
	const far = 1 << 60
	if g.Shift < -1000 || g.Shift > 1000 || g.Lower > g.Upper || g.Lower < -far || g.Upper > far || g.Center < g.Lower && g.Center != 0 || g.Center > g.Upper && g.Center != 0 {
		return fmt.Errorf("%w: a sum's grid is out of range", ErrInvalid)
	}
	if bound := g.Bound(); bound > (1<<most)/int64(maxRows) {
		return fmt.Errorf("%w: a sum's grid is too fine: %d rows of %d exceed 2^%d", ErrInvalid, maxRows, bound, most)
	}
	return nil
}

// String names the partial aggregate as a person reads it.
func (p Partial) String() string {
	switch {
	case p.Kind == PartialBeyond:
		of := p
		of.Kind = p.Of
		return "what clipping leaves out of the " + of.String()
	case p.Grid != nil:
		lower, upper := p.Grid.Number(float64(p.Grid.Lower)), p.Grid.Number(float64(p.Grid.Upper))
		text := fmt.Sprintf("sum of %s within [%g, %g]", p.Expr, lower, upper)
		if p.Grid.Center != 0 {
			text += fmt.Sprintf(" less %g", p.Grid.Number(float64(p.Grid.Center)))
		}
		return text + fmt.Sprintf(", in steps of %g", p.Grid.Number(1))
	case p.Buckets != nil:
		b := p.Buckets
		return fmt.Sprintf("values of %s in %d buckets of [%g, %g], in %d levels", p.Expr, b.Leaves(), b.Lower, b.Upper, b.Levels)
	case p.Kind == PartialPatients && p.Expr != nil:
		return "patients with " + p.Expr.String()
	case p.Kind == PartialValues:
		return "values of " + p.Expr.String()
	}
	return string(p.Kind)
}
