package fragment

import (
	"fmt"
	"math"

	"github.com/intramuros/intramuros/internal/expr"
)

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

// Partial is one partial aggregate: integers that add up over patients and nodes.
type Partial struct {
	Kind PartialKind `json:"kind"`
	// Of is the kind of the partial aggregate, with the same Expr and Grid, whose cut-off part this one measures; kind
	// beyond.
	Of   PartialKind `json:"of,omitempty"`
	Expr *expr.Expr  `json:"expr,omitempty"` // patients: a condition, optional; values: any; sum, buckets: a number
	Grid *Grid       `json:"grid,omitempty"` // sum
	// Most bounds the part that was cut off a patient, as a multiple of the part that stays, 1 to MostBeyond; kind
	// beyond.
	Most int `json:"most,omitempty"`
	// Buckets are the buckets in which values are counted; kind buckets.
	Buckets *Buckets `json:"buckets,omitempty"`
	// Share is the weight of each of the partial aggregate's coordinates in a release, 1 to MaxShare. The larger it is,
	// the less noise this aggregate has, and the more the others have. 0 means 1.
	Share int `json:"share,omitempty"`
}

// Limits of partial aggregates.
const (
	MaxShare   = 20_000 // of Partial.Share
	MostBeyond = 1000   // of Partial.Most
)

// Buckets divide [Lower, Upper] into Branching^Levels buckets of equal width. A value outside counts in the first or
// the last bucket. The coordinator releases them as a tree: each level has Branching times as many, finer buckets.
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

// Leaf returns the bucket of x: clamp(floor((x - Lower) * Density), 0, Leaves - 1).
func (b Buckets) Leaf(x float64) int {
	return int(math.Max(0, math.Min(float64(b.Leaves()-1), math.Floor((x-b.Lower)*b.Density()))))
}

// Density is the number of buckets per unit.
func (b Buckets) Density() float64 { return float64(b.Leaves()) / (b.Upper - b.Lower) }

// Validate refuses buckets whose number, ends, width or density is out of range. The error wraps ErrInvalid.
func (b Buckets) Validate() error {
	finite := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	if !finite(b.Lower) || !finite(b.Upper) || b.Lower >= b.Upper || b.Branching < 2 || b.Branching > 1000 ||
		b.Levels < 1 || b.Levels > 4 || b.Leaves() > maxLeaves {
		return fmt.Errorf("%w: buckets are out of range", ErrInvalid)
	}
	// Width and Density overflow if the ends are very far apart, and underflow if they are too near.
	if !finite(b.Width()) || !finite(b.Density()) || b.Width() == 0 || b.Density() == 0 {
		return fmt.Errorf("%w: buckets of [%g, %g] are too wide or too narrow for float64", ErrInvalid, b.Lower, b.Upper)
	}
	return nil
}

// Width is the number of integers of the partial aggregate: one, or one per bucket.
func (p Partial) Width() int {
	if p.Buckets != nil {
		return p.Buckets.Leaves()
	}
	return 1
}

// Weight is the weight of the partial aggregate in a release: its Share, times the number of levels of a tree. On each
// level the counts add up to the number of rows, whatever buckets the rows fall into: exactly in L1, and at most in L2.
// So a tree weighs as much as one number for each of its levels.
func (p Partial) Weight() int {
	w := max(1, p.Share)
	if p.Buckets != nil {
		w *= p.Buckets.Levels
	}
	return w
}

// String names the partial aggregate for a person.
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
