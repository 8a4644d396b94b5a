package compile

import (
	"math"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// onGrid writes the integer that a value counts as, before it is clamped to the grid: see fragment.Grid. The arithmetic
// is that of float64, unless the value is an int on a grid of shift 0. A value far beyond the grid is cut off before it
// is scaled, so nothing overflows.
func (c *compiler) onGrid(e *expr.Expr, g fragment.Grid) string {
	if e.Type == value.TypeInt && g.Shift == 0 {
		return c.within64(e, g.Lower, g.Upper)
	}
	x, f, scale := c.finite(c.real(e)).sql, c.facts(e), math.Ldexp(1, g.Shift)
	y := x
	if math.Abs(f.Lower*scale) > 1<<62 || math.Abs(f.Upper*scale) > 1<<62 {
		end := func(i int64) float64 {
			return math.Max(-math.MaxFloat64, math.Min(g.Number(float64(i)), math.MaxFloat64))
		}
		y = c.cutOff(x, end(g.Lower), end(g.Upper))
	}
	scaled := c.floor(c.f("%s * %s + %s", y, c.number(scale), c.number(0.5)).sql)
	if g.Shift < 0 && c.target.Dialect.underflows {
		scaled = c.f("CASE WHEN abs(%s) < %s THEN 0 ELSE %s END", x, c.number(math.Ldexp(0.25, -g.Shift)), scaled).sql
	}
	return scaled
}

// within64 writes an int that is clamped to [lower, upper] next. The clamp to a column's own wider bounds is then not
// needed.
func (c *compiler) within64(e *expr.Expr, lower, upper int64) string {
	if e.Op == expr.OpColumn {
		if s, col := c.storedColumn(e); col.Lower.Valid() && col.Lower.Int64() <= lower && col.Upper.Int64() >= upper {
			return s
		}
	}
	return c.expr(e).sql
}

// cutOff clamps a float to [lower, upper].
func (c *compiler) cutOff(x string, lower, upper float64) string {
	return c.f("%s", c.target.Dialect.clamp(x, c.number(lower), c.number(upper), value.TypeFloat)).sql
}

// floor writes the floor of a float that is within 64 bits.
func (c *compiler) floor(x string) string {
	return c.f("%s(floor(%s) AS BIGINT)", c.target.Dialect.cast, x).sql
}

// leaf writes the number of a value's bucket, before it is clamped to the existing buckets: see fragment.Buckets.
func (c *compiler) leaf(e *expr.Expr, b fragment.Buckets) string {
	if e.Type == value.TypeInt && b.Lower == 0 && b.Density() == 1 {
		return c.within64(e, 0, int64(b.Leaves()-1)) // a bucket's number, as COUNT(DISTINCT …) and APPROX_BOUNDS have it
	}
	x, lower := c.cutOff(c.finite(c.real(e)).sql, b.Lower, b.Upper), c.number(b.Lower)
	leaf := c.floor(c.f("(%s - %s) * %s", x, lower, c.number(b.Density())).sql)
	if b.Density() < 1 && c.target.Dialect.underflows {
		leaf = c.f("CASE WHEN %s - %s < %s THEN 0 ELSE %s END", x, lower, c.number(0.5/b.Density()), leaf).sql
	}
	return leaf
}
