package stream

import (
	"fmt"
	"math"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// Plan says what an Operator does with rows. A row's columns are the patient, the keys and the cells, in this order.
type Plan struct {
	Patient value.Type // int or text
	Keys    []Key      // by which a patient's rows are grouped
	Cells   []Cell     // what is added up
	Parts   []Part     // the partial aggregates, in the fragment's order

	L2        bool // the norm: L2, else L1
	Unclipped bool // no patient is clipped
	Single    Clip // how all partial aggregates of one integer are clipped
	// Least is the smallest factor with which a patient counts if keys are not declared; 0: all patients count.
	Least int64
}

// Key is a column of a key, and the values by which rows are grouped.
type Key struct {
	Type value.Type
	// Bounded: an int outside of Least and Most is clamped to them.
	Bounded     bool
	Least, Most int64
	// Declared: a row counts only if the int is then from First to Last, and not NULL.
	Declared    bool
	First, Last int64
}

// Cell is a column of numbers or conditions, and the integer that each of its values counts as.
type Cell struct {
	Type value.Type // int, float or bool
	// Bounded: a value outside of the column's own bounds is clamped to them.
	Bounded             bool
	Least, Most         int64   // of an int
	LeastReal, MostReal float64 // of a float
	// A float x counts as floor((x-From)*Scale + Half), an int as itself. Either is then clamped to [Lower, Upper], and
	// Center is subtracted.
	From, Scale, Half    float64
	Lower, Upper, Center int64
}

// Part is one partial aggregate.
type Part struct {
	Kind fragment.PartialKind
	// Beyond: the part is what clipping cuts off a part of that kind, up to Most times what stays of the patient.
	Beyond bool
	Most   uint64
	Cell   int // the cell that it reads; -1 if it counts rows
	// Unit, Size, Weight and Cap are those of fragment.Proof and fragment.Clip.
	Unit, Size, Weight, Cap int64
	Leaves, Levels          int  // for buckets
	Tree                    Clip // for buckets: how it is clipped
}

// Knows reports whether an operator can compute a kind of partial aggregate.
func Knows(k fragment.PartialKind) bool {
	switch k {
	case fragment.PartialPatients, fragment.PartialRows, fragment.PartialValues, fragment.PartialSum, fragment.PartialBuckets, fragment.PartialBeyond:
		return true
	}
	return false
}

// Clip holds the numbers of fragment.Clip.
type Clip struct {
	Limit int64
	Root  float64
}

// tree reports whether the part consists of buckets.
func (p *Part) tree() bool { return p.Kind == fragment.PartialBuckets }

// width returns the number of integers of the part.
func (p *Part) width() int {
	if p.tree() {
		return p.Leaves
	}
	return 1
}

// New returns the plan of a fragment, without its cells and the values of its keys. cells has the cell of each partial
// aggregate, or -1 if that counts rows.
func New(f *fragment.Fragment, p *fragment.Proof, cells []int) *Plan {
	single := p.Single(f)
	plan := &Plan{Patient: f.Patient.Type, L2: f.Norm == fragment.L2, Unclipped: p.Unclipped, Single: clip(single)}
	for i, partial := range f.Partials {
		part := Part{Kind: partial.Kind, Cell: cells[i], Unit: p.Units[i], Size: p.Sizes[i], Weight: p.NormWeight(f, i), Cap: single.Cap(p.Sizes[i] / partial.MostOrOne())}
		if partial.Kind == fragment.PartialBeyond {
			part.Kind, part.Beyond, part.Most = partial.Of, true, uint64(partial.MostOrOne()) //nolint:gosec // at least 1
		}
		if b := partial.Buckets; b != nil {
			part.Leaves, part.Levels, part.Tree = b.Leaves(), b.Levels, clip(p.Tree(f))
		}
		if p.Selects(f, i) && !p.Unclipped {
			least := (part.Unit + fragment.LeastPresence - 1) / fragment.LeastPresence
			plan.Least = (least*fragment.Whole + part.Unit - 1) / part.Unit
		}
		plan.Parts = append(plan.Parts, part)
	}
	for _, k := range f.Keys {
		plan.Keys = append(plan.Keys, Key{Type: k.Expr.Type})
	}
	return plan
}

func clip(c fragment.Clip) Clip { return Clip{Limit: c.Limit, Root: c.Root()} }

// Fits reports whether the integer of a cell fits into its 32 bits of a row.
func (c *Cell) Fits() bool {
	return c.Lower-c.Center > missing && c.Upper-c.Center <= math.MaxInt32 && c.Lower <= c.Upper
}

// String distinguishes cells.
func (c *Cell) String() string { return fmt.Sprintf("%+v", *c) }

// missing stands for NULL.
const missing = math.MinInt32

// read computes the integers that a column's values count as.
func (c *Cell) read(into []int32, from *Column) {
	switch c.Type {
	case value.TypeBool:
		for row, b := range from.Bools[:len(into)] {
			into[row] = int32(b)
		}
	case value.TypeInt:
		c.wholes(into, from.Ints)
	default:
		c.reals(into, from.Floats)
	}
	for row := from.nextNull(0, len(into)); row < len(into); row = from.nextNull(row+1, len(into)) {
		into[row] = missing
	}
}

// wholes computes the integers that ints count as.
func (c *Cell) wholes(into []int32, from []int64) {
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	if c.Bounded {
		least, most = c.Least, c.Most
	}
	for row, x := range from[:len(into)] {
		x = max(least, min(x, most))
		into[row] = int32(max(c.Lower, min(x, c.Upper)) - c.Center) //nolint:gosec // Fits
	}
}

// reals computes the integers that floats count as. NaN, and an infinity without bounds, are missing.
func (c *Cell) reals(into []int32, from []float64) {
	least, most, bounded := c.LeastReal, c.MostReal, c.Bounded
	start, scale, half := c.From, c.Scale, c.Half
	low, high, center := c.Lower, c.Upper, c.Center
	lower, upper := float64(low), float64(high)
	from = from[:len(into)]
	for row, x := range from {
		switch {
		case bounded && x < least:
			x = least
		case bounded && x > most:
			x = most
		case !(x >= -math.MaxFloat64 && x <= math.MaxFloat64): // also true for NaN
			into[row] = missing
			continue
		}
		y := math.Floor(float64((x-start)*scale) + half) // rounded twice on every processor, as in SQL
		n := low
		if y >= upper {
			n = high
		} else if y > lower {
			n = int64(y)
		}
		into[row] = int32(max(low, min(n, high)) - center) //nolint:gosec // Fits
	}
}

// groupColumns is 1 if there are keys, else 0.
func (p *Plan) groupColumns() int { return min(len(p.Keys), 1) }

// columns returns how many numbers of a row are kept: its group if there are keys, and its cells.
func (p *Plan) columns() int { return p.groupColumns() + len(p.Cells) }

// width returns how many integers a group has.
func (p *Plan) width() int {
	n := 0
	for i := range p.Parts {
		n += p.Parts[i].width()
	}
	return n
}

// Columns returns the number of columns of a row.
func (p *Plan) Columns() int { return 1 + len(p.Keys) + len(p.Cells) }

// Type returns the type of column i.
func (p *Plan) Type(i int) value.Type {
	switch {
	case i == 0:
		return p.Patient
	case i <= len(p.Keys):
		return p.Keys[i-1].Type
	}
	return p.Cells[i-1-len(p.Keys)].Type
}
