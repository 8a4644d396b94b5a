package compile

import (
	"fmt"
	"math"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

var numbers = map[expr.Op]written{
	expr.OpAdd:      {(*compiler).plus, (*compiler).postgresPlus, (*compiler).trinoPlus},
	expr.OpSubtract: {(*compiler).plus, (*compiler).postgresPlus, (*compiler).trinoPlus},
	expr.OpMultiply: {duckDB: (*compiler).arithmetic, postgreSQL: (*compiler).postgresArithmetic},
	expr.OpDivide:   {duckDB: (*compiler).arithmetic, postgreSQL: (*compiler).postgresArithmetic},
	expr.OpIntDivide: {
		duckDB:     intDivide("%[1]s // %[2]s"), // x // 0 is NULL
		postgreSQL: (*compiler).postgresIntDivide,
		trino:      intDivide("%[1]s / NULLIF(%[2]s, 0)"),
	},
	expr.OpModulo:  {(*compiler).modulo, (*compiler).guardedModulo, (*compiler).guardedModulo},
	expr.OpNegate:  {duckDB: magnitude("-", "(-(%s))")},
	expr.OpAbs:     {duckDB: magnitude("abs", "abs(%s)")},
	expr.OpFloor:   {duckDB: rounding("floor(%s)")},
	expr.OpCeiling: {duckDB: rounding("ceil(%s)")},
	expr.OpRound:   {duckDB: roundBy((*compiler).round), postgreSQL: roundBy((*compiler).postgresRound)},

	// Engines raise outside of a real function's domain.
	expr.OpSqrt:  {duckDB: (*compiler).squareRoot},
	expr.OpLn:    {duckDB: logarithm("ln(%s)")},
	expr.OpLog10: {duckDB: logarithm("log10(%s)")},
	expr.OpExp:   {duckDB: (*compiler).exp, postgreSQL: (*compiler).postgresExp},
	expr.OpPower: {duckDB: (*compiler).power, postgreSQL: (*compiler).postgresPower},
}

// ofDays reports whether a sum or a difference has a date or a timestamp as an operand.
func ofDays(e *expr.Expr) bool { return !(e.Args[0].Type.Numeric() && e.Args[1].Type.Numeric()) }

func (c *compiler) plus(e *expr.Expr) code {
	if ofDays(e) {
		return c.shift(e)
	}
	return c.arithmetic(e)
}

func (c *compiler) postgresPlus(e *expr.Expr) code {
	if ofDays(e) {
		return c.postgresShift(e)
	}
	return c.postgresArithmetic(e)
}

func (c *compiler) trinoPlus(e *expr.Expr) code {
	if ofDays(e) {
		return c.trinoShift(e)
	}
	return c.arithmetic(e)
}

// arithmetic writes +, -, * and /. If a float operation cannot hide an argument that is NaN or infinite, its consumer
// checks.
func (c *compiler) arithmetic(e *expr.Expr) code {
	if e.Type == value.TypeInt {
		a, b := c.expr(e.Args[0]).sql, c.expr(e.Args[1]).sql
		if c.facts(e).Bounded() {
			return c.f("(%s %s %s)", a, string(e.Op), b)
		}
		return c.fits(c.f("(CAST(%s AS %s) %s %s)", a, c.target.Dialect.wide, string(e.Op), b).sql)
	}
	a, b := c.real(e.Args[0]), c.real(e.Args[1])
	if e.Op == expr.OpDivide {
		b = c.finite(b) // x/infinity would be 0
	}
	x := c.f("(%s %s %s)", a.sql, string(e.Op), b.sql)
	x.maybeNonFinite = a.maybeNonFinite || b.maybeNonFinite || !c.facts(e).Bounded()
	return x
}

// fits narrows a wide integer to an int, or to NULL.
func (c *compiler) fits(wide string) code {
	d := c.target.Dialect
	return c.f("CASE WHEN %[1]s BETWEEN %[2]s AND %[3]s THEN %[4]s(%[1]s AS BIGINT) END", wide, d.whole(math.MinInt64), d.whole(math.MaxInt64), d.cast)
}

// overflows reports whether a quotient of ints may overflow. Only the least int divided by -1 does.
func (c *compiler) overflows(e *expr.Expr) bool {
	return c.facts(e.Args[0]).Lower <= math.MinInt64 && !without(c.facts(e.Args[1]), -1)
}

func without(f expr.Range, x float64) bool { return x < f.Lower || x > f.Upper }

// intDivide returns what writes a quotient of ints in the given form. The divisor -1 is a case of its own if the
// dividend may be the least int.
func intDivide(quotient string) func(*compiler, *expr.Expr) code {
	return func(c *compiler, e *expr.Expr) code {
		a, b := c.expr(e.Args[0]).sql, c.expr(e.Args[1]).sql
		if !c.overflows(e) {
			return c.f("("+quotient+")", a, b)
		}
		return c.f("CASE WHEN %[2]s = -1 THEN -NULLIF(%[1]s, %[3]s) ELSE "+quotient+" END", a, b, c.target.Dialect.whole(math.MinInt64))
	}
}

func (c *compiler) postgresIntDivide(e *expr.Expr) code {
	a, b := c.expr(e.Args[0]).sql, c.expr(e.Args[1]).sql
	if !c.overflows(e) {
		return c.f("(%s / NULLIF(%s, 0))", a, b)
	}
	return c.fits(c.f("div(%s, CAST(NULLIF(%s, 0) AS NUMERIC))", a, b).sql)
}

func (c *compiler) modulo(e *expr.Expr) code {
	a, b := c.expr(e.Args[0]).sql, c.expr(e.Args[1]).sql
	if !c.overflows(e) {
		return c.f("(%s %% %s)", a, b)
	}
	return c.f("(%[1]s %% (CASE WHEN %[2]s = -1 THEN 1 ELSE %[2]s END))", a, b)
}

// guardedModulo is for engines that raise if the divisor is 0, and in which the least int % -1 is 0.
func (c *compiler) guardedModulo(e *expr.Expr) code {
	return c.f("(%s %% NULLIF(%s, 0))", c.expr(e.Args[0]).sql, c.expr(e.Args[1]).sql)
}

// magnitude writes a function that overflows for the least int only.
func magnitude(function, real string) write {
	return func(c *compiler, e *expr.Expr) code {
		if e.Type == value.TypeFloat {
			return c.propagateNonFinite(e, real)
		}
		a := c.expr(e.Args[0]).sql
		if c.facts(e).Bounded() {
			return c.f("(%s(%s))", function, a)
		}
		// DuckDB rewrites NULLIF as a CASE that reads its argument twice.
		return c.f("CASE WHEN %[2]s <> %[3]s THEN %[1]s(%[2]s) END", function, a, c.target.Dialect.whole(math.MinInt64))
	}
}

// propagateNonFinite writes a float function that is NaN or infinite if its argument is.
func (c *compiler) propagateNonFinite(e *expr.Expr, format string) code {
	a := c.real(e.Args[0])
	x := c.f(format, a.sql)
	x.maybeNonFinite = a.maybeNonFinite
	return x
}

// rounding writes a function that leaves ints unchanged.
func rounding(format string) write {
	return func(c *compiler, e *expr.Expr) code {
		if e.Type == value.TypeInt {
			return code{sql: c.expr(e.Args[0]).sql}
		}
		return c.propagateNonFinite(e, format)
	}
}

// roundBy writes ROUND, with an engine's way to round floats.
func roundBy(round func(c *compiler, a code, digits int, f expr.Range) code) write {
	return func(c *compiler, e *expr.Expr) code {
		if e.Type == value.TypeInt {
			return code{sql: c.expr(e.Args[0]).sql}
		}
		a := c.real(e.Args[0])
		x := round(c, a, int(e.Args[1].Value.Int64()), c.facts(e.Args[0]))
		x.maybeNonFinite = a.maybeNonFinite
		return x
	}
}

// round follows fragment's roundTo step by step.
func (c *compiler) round(a code, digits int, f expr.Range) code {
	if digits == 0 {
		return c.f("(sign(%[1]s) * floor(abs(%[1]s) + 0.5e0))", a.sql)
	}
	scale := math.Pow10(digits)
	rounded := c.f("(sign(%[1]s) * floor(abs(%[1]s * %[2]s) + 0.5e0) / %[2]s)", a.sql, c.number(scale))
	if f.Bounded() && !math.IsInf(f.Lower*scale, 0) && !math.IsInf(f.Upper*scale, 0) {
		return rounded
	}
	return c.f("CASE WHEN "+fmt.Sprintf(c.target.Dialect.infinite, "%[1]s * %[2]s")+" THEN %[1]s ELSE (sign(%[1]s) * floor(abs(%[1]s * %[2]s) + 0.5e0) / %[2]s) END", a.sql, c.number(scale))
}

// postgresRound is round for PostgreSQL. A number that is too large to be scaled has no digits after the point, so it
// is left unchanged.
func (c *compiler) postgresRound(a code, digits int, f expr.Range) code {
	scale := math.Pow10(digits)
	if digits == 0 {
		return c.f("(sign(%[1]s) * floor(abs(%[1]s) + 0.5))", a.sql)
	}
	rounded := c.f("(sign(%[1]s) * floor(abs(%[1]s * %[2]s) + 0.5) / %[2]s)", a.sql, c.number(scale))
	most := postgresHuge * 2 / scale
	if f.Lower >= -most && f.Upper <= most {
		return rounded
	}
	return c.f("CASE WHEN abs(%[1]s) > %[2]s THEN %[1]s ELSE %[3]s END", a.sql, c.number(most), rounded.sql)
}

// The bounds of PostgreSQL's float arithmetic.
const (
	postgresTiny = 1e-150
	postgresHuge = 8.9e307
)

func (c *compiler) postgresArithmetic(e *expr.Expr) code {
	if e.Type == value.TypeFloat {
		return c.postgresReal(e)
	}
	return c.arithmetic(e)
}

// postgresReal writes float arithmetic.
func (c *compiler) postgresReal(e *expr.Expr) code {
	a, b := e.Args[0], e.Args[1]
	x, y := c.real(a).sql, c.real(b).sql
	bounded := c.facts(e).Bounded()
	switch e.Op {
	case expr.OpMultiply:
		// A product underflows only if both factors are below 1.
		if !atLeastOne(c.facts(b), b) {
			x = c.flushTiny(a, x)
		}
		if !atLeastOne(c.facts(a), a) {
			y = c.flushTiny(b, y)
		}
		if bounded {
			return c.f("(%s * %s)", x, y)
		}
		return c.f("CASE WHEN abs(%[1]s) <= %[3]s / greatest(abs(%[2]s), 1) THEN %[1]s * %[2]s END", x, y, c.number(postgresHuge))
	case expr.OpDivide:
		x = c.flushTiny(a, x)
		far := ""
		if f := c.facts(b); math.Abs(f.Lower) > 0x1p500 || math.Abs(f.Upper) > 0x1p500 {
			// Both operands are scaled, so that the quotient of a small and a large number does not underflow.
			far = fmt.Sprintf("WHEN abs(%[2]s) > %[3]s THEN CASE WHEN abs(%[1]s) < 1 THEN 0 ELSE (%[1]s * %[4]s) / (%[2]s * %[4]s) END ", x, y, c.number(0x1p500), c.number(0x1p-500))
		}
		if bounded {
			if far == "" {
				return c.f("(%s / %s)", x, y)
			}
			return c.f("CASE %sELSE %s / %s END", far, x, y)
		}
		return c.f("CASE %[4]sWHEN abs(%[1]s) <= %[3]s * least(abs(%[2]s), 1) THEN %[1]s / NULLIF(%[2]s, 0) END", x, y, c.number(postgresHuge), far)
	}
	if bounded {
		return c.f("(%s %s %s)", x, string(e.Op), y)
	}
	return c.f("CASE WHEN abs(%[1]s) <= %[4]s AND abs(%[3]s) <= %[4]s THEN %[1]s %[2]s %[3]s END", x, string(e.Op), y, c.number(postgresHuge))
}

// atLeastOne reports whether a number is always 0 or at least 1 in magnitude.
func atLeastOne(f expr.Range, e *expr.Expr) bool {
	return e.Type == value.TypeInt || f.Lower >= 1 || f.Upper <= -1 || e.Op == expr.OpFloor || e.Op == expr.OpCeiling
}

// flushTiny replaces a number by 0 if it is nearer to zero than PostgreSQL can multiply and divide.
func (c *compiler) flushTiny(e *expr.Expr, sql string) string {
	f := c.facts(e)
	if atLeastOne(f, e) || f.Lower >= postgresTiny || f.Upper <= -postgresTiny || e.Op == expr.OpRound {
		return sql
	}
	return c.f("CASE WHEN abs(%[1]s) < %[2]s THEN 0 ELSE %[1]s END", sql, c.number(postgresTiny)).sql
}

func (c *compiler) squareRoot(e *expr.Expr) code {
	x := c.finite(c.real(e.Args[0])).sql
	if c.facts(e.Args[0]).Lower < 0 {
		x = c.f("CASE WHEN %[1]s >= 0 THEN %[1]s END", x).sql
	}
	return c.f("sqrt(%s)", x)
}

func logarithm(format string) write {
	return func(c *compiler, e *expr.Expr) code {
		x := c.finite(c.real(e.Args[0])).sql
		if c.facts(e.Args[0]).Lower <= 0 {
			x = c.f("CASE WHEN %[1]s > 0 THEN %[1]s END", x).sql
		}
		return c.f(format, x)
	}
}

func (c *compiler) exp(e *expr.Expr) code {
	return c.withinPowers(c.f("exp(%s)", c.finite(c.real(e.Args[0])).sql))
}

func (c *compiler) power(e *expr.Expr) code {
	x := c.finite(c.real(e.Args[0])).sql
	return c.withinPowers(c.f("pow(%s, %s)", x, c.finite(c.real(e.Args[1])).sql))
}

// withinPowers bounds a result of exp or power as expr.Evaluate does.
func (c *compiler) withinPowers(p code) code {
	return c.f("CASE WHEN abs(%[1]s) < %[2]s THEN 0e0 WHEN abs(%[1]s) <= %[3]s THEN %[1]s END", p.sql, c.number(expr.LeastPower), c.number(expr.MostPower))
}

func (c *compiler) postgresExp(e *expr.Expr) code {
	x := c.real(e.Args[0]).sql
	return c.f("CASE WHEN %[1]s < -700 THEN 0 WHEN %[1]s <= 700 THEN %[2]s END", x, c.moderate(c.f("exp(%s)", x).sql))
}

func (c *compiler) postgresPower(e *expr.Expr) code {
	x, y := c.real(e.Args[0]).sql, c.real(e.Args[1]).sql
	return c.f("CASE WHEN %[1]s IS NULL OR %[2]s IS NULL THEN NULL WHEN %[2]s = 0 THEN 1 WHEN %[1]s = 0 THEN CASE WHEN %[2]s > 0 THEN 0 END WHEN %[1]s < 0 AND %[2]s <> floor(%[2]s) THEN NULL "+
		"WHEN abs(ln(abs(%[1]s))) <= 700 / greatest(abs(%[2]s), float8 '1e-300') THEN %[3]s WHEN (abs(%[1]s) > 1) <> (%[2]s > 0) THEN 0 END",
		x, y, c.moderate(c.f("power(%s, %s)", x, y).sql))
}

// moderate is withinPowers.
func (c *compiler) moderate(p string) string {
	return c.f("CASE WHEN abs(%[1]s) < %[2]s THEN 0 WHEN abs(%[1]s) <= %[3]s THEN %[1]s END", p, c.number(expr.LeastPower), c.number(expr.MostPower)).sql
}
