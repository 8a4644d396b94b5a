package compile

import (
	"fmt"
	"strconv"

	"github.com/intramuros/intramuros/internal/value"
)

// DuckDB is DuckDB's dialect, in which no expression raises. Integer arithmetic is computed in 128 bits unless its
// range is proved to fit in 64. Float arithmetic may give NaN or an infinity. These last through further arithmetic,
// and become NULL at the first operation that could lose them. Texts convert only if they match the patterns of
// internal/fragment. DuckDB's TRY is not used: a raised error takes so long that the response time would reveal it.
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
	// LEAST(GREATEST()) would replace a NULL by a bound, and is slower.
	clamp: func(x, lower, upper string, _ value.Type) string {
		return fmt.Sprintf("CASE WHEN %[1]s < %[2]s THEN %[2]s WHEN %[1]s > %[3]s THEN %[3]s ELSE %[1]s END", x, lower, upper)
	},
	pack: "string_agg(leaf || ':' || n, ' ')",
	choice: func(_ value.Type, keys []value.Type) string {
		arguments := "$group_key_1::UBIGINT, $group_key_2::UBIGINT, patient"
		for i := range keys {
			arguments += ", k" + strconv.Itoa(i)
		}
		// The inner hash combines its arguments by exclusive or, which would order the groups of many patients alike.
		// The outer hash removes that.
		return "hash(hash(" + arguments + "))"
	},
	apart:  "\nOFFSET 0",
	pulled: 20_000, // it moves only conditions down, and OFFSET stops that
	stored: " MATERIALIZED",
	maxSQL: 1 << 20,
}
