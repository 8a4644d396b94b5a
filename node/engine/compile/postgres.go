package compile

import (
	"fmt"
	"strconv"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// PostgreSQL is PostgreSQL's dialect. PostgreSQL raises on overflow, on underflow, on a division by zero and on a text
// or date that does not convert. So a CASE guards each operation. PostgreSQL evaluates no branch of a CASE that is not
// needed, but folds constants, so these are computed here.
//
// Integer arithmetic is computed in NUMERIC unless its range is proved to fit in 64 bits. Float arithmetic works
// between 1e-150 and 8.9e307: a result that may go beyond is NULL, and in products and quotients a number nearer to
// zero counts as 0. Exact guards would repeat their operands dozens of times.
//
// Texts are compared by their bytes, COLLATE "C". An equality of a column with constants is also tested in the column's
// own collation, so that its index is used.
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
	folds:      true,
	operations: operations(func(w written) write { return w.postgreSQL }),
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

// postgresChoice hashes the patient and each key with a half-key of its own, combines the hashes by exclusive or, and
// hashes the result once more. Without the last hash, the groups of many patients would be in the same order.
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
	s, col := c.storedColumn(e)
	if !col.Lower.Valid() {
		switch e.Type {
		case value.TypeFloat: // NaN compares above all numbers
			return c.f("CASE WHEN %[1]s > float8 '-Infinity' AND %[1]s < float8 'Infinity' THEN %[1]s END", s)
		case value.TypeDate, value.TypeTimestamp:
			return c.inRangeOrNull(code{sql: s}, e.Type, false)
		}
		return code{sql: s}
	}
	if e.Type == value.TypeFloat {
		s = "NULLIF(" + s + ", float8 'NaN')"
	}
	return c.f("%s", postgresClamp(s, c.literal(col.Lower, true).sql, c.literal(col.Upper, true).sql, e.Type))
}

// postgresClamp is Dialect.clamp. The functions are strict, so NULL stays NULL. They compute x once: reading a NUMERIC
// as a float8 takes longer than all else that is done with it. They count NaN as above all numbers.
func postgresClamp(x, lower, upper string, t value.Type) string {
	kind := map[value.Type]string{value.TypeInt: "int8", value.TypeFloat: "float8", value.TypeDate: "date_", value.TypeTimestamp: "timestamp_"}[t]
	return kind + "smaller(" + upper + ", " + kind + "larger(" + lower + ", " + x + "))"
}
