package compile

import (
	"fmt"
	"strconv"

	"github.com/intramuros/intramuros/internal/value"
)

// DuckDB never raises: integer arithmetic whose interval is not proved to fit in 64
// bits is computed in 128; real arithmetic may give NaN or an infinity, which lasts
// through further arithmetic and becomes NULL at the first operation that could lose
// it; texts convert only if they match the patterns of internal/fragment. Its TRY is
// not used: a raised error costs so much that the time of an answer would tell.
var DuckDB = &Dialect{
	name: "DuckDB",
	types: map[value.Type]string{
		value.TypeBool: "BOOLEAN", value.TypeInt: "BIGINT", value.TypeFloat: "DOUBLE",
		value.TypeText: "VARCHAR", value.TypeDate: "DATE", value.TypeTimestamp: "TIMESTAMP",
	},
	wide: "HUGEINT",
	whole: func(i int64) string {
		s := strconv.FormatInt(i, 10)
		if i < 0 {
			s = "(" + s + ")"
		}
		return s + "::BIGINT"
	},
	real:       exponential,
	instant:    func(s string) string { return s },
	cast:       "TRY_CAST",
	bytes:      "strlen(%[1]s)",
	let:        "list_transform([%[2]s], lambda %[1]s: %[3]s)[1]",
	finite:     "isfinite(%s)",
	nan:        "isnan(%s)",
	infinite:   "isinf(%s)",
	operations: operations(func(w written) write { return w.duckDB }),
	sum:        "sum(%s)",
	division:   "//",
	quotient:   "%s // %s",
	least:      call("least"),
	greatest:   call("greatest"),
	hidden:     "(%s | 0)",
	// Not LEAST(GREATEST()), which would take a bound for a NULL, and takes longer.
	clamp: func(x, lower, upper string, _ value.Type) string {
		return fmt.Sprintf("CASE WHEN %[1]s < %[2]s THEN %[2]s WHEN %[1]s > %[3]s THEN %[3]s ELSE %[1]s END", x, lower, upper)
	},
	pack: "string_agg(leaf || ':' || n, ' ')",
	choice: func(_ value.Type, keys []value.Type) string {
		arguments := "$group_key_1::UBIGINT, $group_key_2::UBIGINT, patient"
		for i := range keys {
			arguments += ", k" + strconv.Itoa(i)
		}
		// The outer hash scatters what the inner one, which combines its arguments
		// by exclusive or, would leave in the same order for many patients.
		return "hash(hash(" + arguments + "))"
	},
	apart:  "\nOFFSET 0",
	pulled: 20_000, // it pulls conditions alone, and OFFSET makes it hold the rows
	stored: " MATERIALIZED",
	maxSQL: 1 << 20,
}
