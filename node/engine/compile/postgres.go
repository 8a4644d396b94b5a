package compile

import (
	"fmt"
	"math"
	"math/big"
	"strconv"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// PostgreSQL raises on overflow, on underflow, on a division by zero and on a text
// or date that does not convert, so each operation is guarded by a CASE, whose
// branches it evaluates no further than needed; constants, which it would compute
// beforehand, are computed here.
//
// Integer arithmetic whose interval is not proved to fit in 64 bits is computed in
// NUMERIC. Real arithmetic is that of float64 between 1e-150 and 8.9e307: what
// could go beyond is NULL, and in products and quotients a number nearer to zero
// counts as 0, because exact guards would repeat their operands dozens of times.
//
// Texts are compared by their bytes, COLLATE "C". A column that is compared with constants for
// equality is so in its own collation as well, so that its index serves.
var PostgreSQL = &Dialect{
	name: "PostgreSQL",
	types: map[value.Type]string{
		value.TypeBool: "BOOLEAN", value.TypeInt: "BIGINT", value.TypeFloat: "DOUBLE PRECISION",
		value.TypeText: "TEXT", value.TypeDate: "DATE", value.TypeTimestamp: "TIMESTAMP",
	},
	wide: "NUMERIC",
	whole: func(i int64) string {
		s := strconv.FormatInt(i, 10)
		if i < 0 {
			s = "(" + s + ")"
		}
		return s + "::BIGINT"
	},
	real:       func(x float64) string { return "float8 '" + strconv.FormatFloat(x, 'g', -1, 64) + "'" },
	instant:    func(s string) string { return s },
	cast:       "CAST",
	bytes:      "octet_length(%[1]s)",
	let:        "(SELECT %[3]s FROM (SELECT %[2]s AS %[1]s OFFSET 0) AS let)",
	nan:        "(%s = float8 'NaN')",
	apart:      "\nOFFSET 0",
	pulled:     600,
	collate:    ` COLLATE "C"`,
	operation:  postgresOperation,
	column:     postgresColumn,
	sum:        "sum(%s)",
	division:   "/",
	quotient:   "div(%s, %s)",
	inlines:    true,
	least:      call("least"),
	greatest:   call("greatest"),
	clamp:      postgresClamp,
	pack:       "string_agg(leaf || ':' || n, ' ')",
	choice:     postgresChoice,
	stored:     " MATERIALIZED",
	maxSQL:     1 << 20,
	underflows: true,
}

// The ends of PostgreSQL's real arithmetic.
const (
	postgresTiny = 1e-150
	postgresHuge = 8.9e307
)

// postgresChoice combines keyed hashes of the patient and of each key, which its own
// half-key tells apart from the others, and scatters them once more, since exclusive
// or alone would leave the groups of many patients in the same order.
func postgresChoice(patient value.Type, keys []value.Type) string {
	hash := func(column string, t value.Type, key string) string {
		switch t {
		case value.TypeBool:
			return "hashint8extended(CAST(CAST(" + column + " AS INTEGER) AS BIGINT), " + key + ")"
		case value.TypeFloat:
			return "hashfloat8extended(" + column + ", " + key + ")"
		case value.TypeText:
			return "hashtextextended(" + column + ", " + key + ")"
		case value.TypeDate:
			return "hashint8extended(CAST(" + column + " - DATE '1970-01-01' AS BIGINT), " + key + ")"
		case value.TypeTimestamp:
			return "timestamp_hash_extended(" + column + ", " + key + ")"
		}
		return "hashint8extended(" + column + ", " + key + ")"
	}
	all := hash("patient", patient, "$1::BIGINT")
	for i, t := range keys {
		own := fmt.Sprintf("$2::BIGINT # %d", i+1)
		all += fmt.Sprintf(" # coalesce(%s, hashint8extended(%d, %s))", hash("k"+strconv.Itoa(i), t, own), i, own)
	}
	return "hashint8extended(" + all + ", $1::BIGINT)"
}

// postgresColumn reads a stored column; see compiler.column.
func postgresColumn(c *compiler, e *expr.Expr) code {
	s, col := c.raw(e)
	if !col.Lower.Valid() {
		switch e.Type {
		case value.TypeFloat: // NaN is above all
			return c.f("CASE WHEN %[1]s > float8 '-Infinity' AND %[1]s < float8 'Infinity' THEN %[1]s END", s)
		case value.TypeDate, value.TypeTimestamp:
			return c.existing(code{sql: s}, e.Type, false)
		}
		return code{sql: s}
	}
	if e.Type == value.TypeFloat {
		s = "NULLIF(" + s + ", float8 'NaN')"
	}
	return c.f("%s", postgresClamp(s, c.literal(col.Lower, true).sql, c.literal(col.Upper, true).sql, e.Type))
}

// postgresClamp is Dialect.clamp. The functions are strict, so that NULL stays NULL, and compute x once: to read a
// NUMERIC as a float8 takes longer than all else that is done with it. They count NaN as above all.
func postgresClamp(x, lower, upper string, t value.Type) string {
	kind := map[value.Type]string{value.TypeInt: "int8", value.TypeFloat: "float8", value.TypeDate: "date_", value.TypeTimestamp: "timestamp_"}[t]
	return kind + "smaller(" + upper + ", " + kind + "larger(" + lower + ", " + x + "))"
}

func postgresOperation(c *compiler, e *expr.Expr) (code, bool) {
	if x, ok := c.constant(e); ok {
		return x, true
	}
	if x, ok := c.postgresFunction(e); ok {
		return x, true
	}
	switch e.Op {
	case expr.OpCast:
		return c.postgresCast(e)
	case expr.OpRound:
		if e.Type == value.TypeFloat {
			return c.postgresRound(c.real(e.Args[0]), int(e.Args[1].Value.Int64()), c.facts(e.Args[0])), true
		}
	case expr.OpIntDivide:
		if c.facts(e.Args[0]).Lower > math.MinInt64 || without(c.facts(e.Args[1]), -1) {
			return c.f("(%s / NULLIF(%s, 0))", c.expr(e.Args[0]).sql, c.expr(e.Args[1]).sql), true
		}
		return c.fits(c.f("div(%s, CAST(NULLIF(%s, 0) AS NUMERIC))", c.expr(e.Args[0]).sql, c.expr(e.Args[1]).sql).sql), true
	case expr.OpModulo: // the least int % -1 is 0
		return c.f("(%s %% NULLIF(%s, 0))", c.expr(e.Args[0]).sql, c.expr(e.Args[1]).sql), true
	case expr.OpAdd, expr.OpSubtract, expr.OpMultiply, expr.OpDivide:
		if e.Type == value.TypeFloat {
			return c.postgresReal(e), true
		}
	}
	return code{}, false
}

// constant computes an expression without columns.
func (c *compiler) constant(e *expr.Expr) (code, bool) {
	if e.Op == expr.OpLiteral || e.Op == expr.OpHospital {
		return code{}, false
	}
	columns := false
	e.Columns(func(string, string) { columns = true })
	if columns {
		return code{}, false
	}
	v := expr.Evaluate(e, func(*expr.Expr) value.Value { return value.Text(c.target.Hospital) })
	s, err := c.target.Dialect.literal(v, false)
	return code{sql: inLine(s)}, err == nil
}

// postgresReal writes arithmetic of reals.
func (c *compiler) postgresReal(e *expr.Expr) code {
	a, b := e.Args[0], e.Args[1]
	x, y := c.real(a).sql, c.real(b).sql
	bounded := c.facts(e).Bounded()
	switch e.Op {
	case expr.OpMultiply:
		// A product is nearer to zero than float64 can tell only if both are below 1.
		if !atLeastOne(c.facts(b), b) {
			x = c.coarse(a, x)
		}
		if !atLeastOne(c.facts(a), a) {
			y = c.coarse(b, y)
		}
		if bounded {
			return c.f("(%s * %s)", x, y)
		}
		return c.f("CASE WHEN abs(%[1]s) <= %[3]s / greatest(abs(%[2]s), 1) THEN %[1]s * %[2]s END", x, y, c.number(postgresHuge))
	case expr.OpDivide:
		x = c.coarse(a, x)
		far := ""
		if f := c.facts(b); math.Abs(f.Lower) > 0x1p500 || math.Abs(f.Upper) > 0x1p500 {
			// Both are scaled, so that the quotient of a small and a large number is not too small.
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

// atLeastOne reports whether a number is 0 or at least 1 in magnitude.
func atLeastOne(f expr.Range, e *expr.Expr) bool {
	return e.Type == value.TypeInt || f.Lower >= 1 || f.Upper <= -1 || e.Op == expr.OpFloor || e.Op == expr.OpCeiling
}

// coarse gives a number that is 0 where it is nearer to zero than PostgreSQL can
// multiply and divide.
func (c *compiler) coarse(e *expr.Expr, sql string) string {
	f := c.facts(e)
	if atLeastOne(f, e) || f.Lower >= postgresTiny || f.Upper <= -postgresTiny || e.Op == expr.OpRound {
		return sql
	}
	return c.f("CASE WHEN abs(%[1]s) < %[2]s THEN 0 ELSE %[1]s END", sql, c.number(postgresTiny)).sql
}

// postgresRound is compiler.round, but that what is too large to be scaled, and so
// has no digits after the point, is left as it is before it is scaled.
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

// postgresNumber is longer than any text that is a number or a date.
const postgresNumber = 1000

// ExistingDate is a date of the years 0001 to 9999 as a regular expression of PostgreSQL's and Java's, in ISO 8601.
const ExistingDate = `(?!0000)([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))` +
	`|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)`

// A time of the day in a hospital's text, and what may follow it where it is an instant, as regular expressions of all engines.
const (
	TextTime   = `([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?`
	TextOffset = `(Z|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)`
)

// Texts that a CAST converts, as PostgreSQL's regular expressions say it: a repetition counts to 255 at most.
const (
	postgresInt   = `^[+-]?[0-9]{1,18}$`
	postgresFloat = `^[+-]?([0-9]{1,150}[0-9]{0,150}([.][0-9]{0,150}[0-9]{0,150})?|[.][0-9]{1,150}[0-9]{0,150})([eE][+-]?[0-9]{1,3})?$`
	existingTime  = `[ T]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,6})?`
)

// The decimal numbers that round to a finite float64 and to one other than 0: below
// the first, and above the second (approximately, in its twentieth digit).
var (
	decimalEnd   = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 1024), new(big.Int).Lsh(big.NewInt(1), 970)).String()
	decimalStart = "2.4703282292062327208e-324"
)

func (c *compiler) postgresCast(e *expr.Expr) (code, bool) {
	a := e.Args[0]
	switch from := a.Type; {
	case from == e.Type:
		return code{}, false
	case from == value.TypeText:
		x := c.whole(a)
		if a.Longest() > postgresNumber { // to match a pattern takes several times a text's memory
			x = c.byBytes(c.f("substring(%s, 1, %s)", x, strconv.Itoa(postgresNumber)).sql, a.Type)
		}
		return c.postgresParse(x, e.Type), true
	case from == value.TypeFloat: // to int
		x := c.expr(a)
		whole := c.postgresRound(x, 0, expr.Range{})
		if f := c.facts(a); math.Abs(f.Lower) < 1<<62 && math.Abs(f.Upper) < 1<<62 {
			return c.f("CAST(%s AS BIGINT)", whole.sql), true
		}
		return c.f("CASE WHEN %s BETWEEN %s AND %s THEN CAST(%s AS BIGINT) END", x.sql,
			c.number(math.MinInt64), c.number(math.Nextafter(1<<63, 0)), whole.sql), true
	case from == value.TypeBool && e.Type == value.TypeInt:
		return c.f("CAST(CAST(%s AS INTEGER) AS BIGINT)", c.expr(a).sql), true
	}
	return code{}, false // to timestamp or text, and the rest: nothing raises
}

// Narrow gives the SQL that converts a NUMERIC to a DOUBLE PRECISION, NULL where it
// is out of range; PostgreSQL only.
func (d *Dialect) Narrow(sql string) string {
	return fmt.Sprintf("CASE WHEN abs(%[1]s) < %[2]s THEN 0 WHEN abs(%[1]s) < %[3]s THEN CAST(%[1]s AS DOUBLE PRECISION) END", sql, decimalStart, decimalEnd)
}

// postgresParse converts a text.
func (c *compiler) postgresParse(x string, t value.Type) code {
	pattern := func(p string) string { return c.literal(value.Text(p), false).sql }
	switch t {
	case value.TypeBool:
		return c.f("CASE WHEN lower(%[1]s) IN ('true', 't', 'yes', 'y', '1') THEN true WHEN lower(%[1]s) IN ('false', 'f', 'no', 'n', '0') THEN false END", x)
	case value.TypeInt:
		return c.f("CASE WHEN %[1]s ~ %[2]s THEN CAST(%[1]s AS BIGINT) END", x, pattern(postgresInt))
	case value.TypeFloat:
		return c.f("CASE WHEN %s ~ %s THEN %s END", x, pattern(postgresFloat), c.target.Dialect.Narrow("CAST("+x+" AS NUMERIC)"))
	case value.TypeDate:
		return c.f("CASE WHEN %[1]s ~ %[2]s THEN CAST(%[1]s AS DATE) END", x, pattern("^"+ExistingDate+"$"))
	}
	return c.f("CASE WHEN %[1]s ~ %[2]s THEN CAST(%[1]s AS TIMESTAMP) END", x, pattern("^"+ExistingDate+existingTime+"$"))
}
