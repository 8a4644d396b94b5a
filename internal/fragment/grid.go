package fragment

import (
	"fmt"
	"math"

	"github.com/intramuros/intramuros/internal/expr"
)

// Grid is the fixed-point grid on which a sum is exact. A value x counts as clamp(floor(x*2^Shift + 1/2), Lower, Upper)
// - Center. The grid depends on public bounds alone (Casacuberta et al. 2022 show why it must).
type Grid struct {
	Shift  int   `json:"shift"` // -1074..1023; 0 for whole numbers unless their range is very wide
	Lower  int64 `json:"lower"`
	Upper  int64 `json:"upper"`
	Center int64 `json:"center"`
}

const (
	gridBits = 24 // of |value| on the grid
	sizeBits = 28 // of |value| times MaxRows, a size; so a part times Steps fits into 64 bits
	// fewWhole is the width of a range of integers from which on a center that is off by one half widens the noise by
	// at most a twentieth.
	fewWhole = 20
	// innerBits is the number of bits of |value| on the grid of a sum within a derived relation. 2^26 such values add
	// up within an int64.
	innerBits = 36
)

// NewGrid returns the grid for numbers in [lower, upper], which are integers if whole. maxRows is the number of a
// patient's rows that count. A centered grid measures from the middle of the bounds, which halves the sensitivity of a
// mean. Other grids measure from zero.
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
		limit = room // whole numbers are exact at shift 0 if they fit
	}
	reach := math.Max(math.Abs(lower), math.Abs(upper))
	if centered && lower < upper { // a range far from zero needs a grid as fine as its width requires
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
	// If a few integers have no integer in their middle, the grid has halves, so that the middle is on it: 0 and 1 are
	// both 1/2 from it.
	if width := upper - lower; centered && whole && shift == 0 && width < fewWhole && int64(width)%2 == 1 {
		shift = 1
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

// validate refuses a grid on which maxRows rows may exceed 2^most.
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

// within bounds a number that counts as a value of the grid, without its center. The coordinator chooses the grid, so
// it need not follow from the range.
func (g Grid) within(x expr.Range) expr.Range {
	at := func(x float64) float64 {
		return g.Number(math.Min(math.Max(math.Floor(math.Ldexp(x, g.Shift)+0.5), float64(g.Lower)), float64(g.Upper)))
	}
	x.Lower, x.Upper = expr.Outward(at(x.Lower), at(x.Upper))
	return x
}
