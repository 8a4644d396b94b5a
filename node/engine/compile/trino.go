package compile

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// Trino is Trino's dialect. Trino raises if integers overflow or are divided by zero; its float64 arithmetic is like
// DuckDB's. Integer arithmetic is computed in DECIMAL(38, 0), which holds every product of two ints, unless its range
// is proved to fit in 64 bits. Trino's TRY is not used, because a raised and caught error takes noticeable time.
var Trino = &Dialect{
	name: "Trino",
	types: map[value.Type]string{
		value.TypeBool: "BOOLEAN", value.TypeInt: "BIGINT", value.TypeFloat: "DOUBLE",
		value.TypeText: "VARCHAR", value.TypeDate: "DATE", value.TypeTimestamp: "TIMESTAMP(6)",
	},
	wide:       "DECIMAL(38, 0)",
	whole:      func(i int64) string { return "BIGINT '" + strconv.FormatInt(i, 10) + "'" },
	real:       exponential,
	instant:    trinoInstant,
	cast:       "TRY_CAST",
	bytes:      "length(%[1]s)",
	let:        "element_at(transform(ARRAY[%[2]s], %[1]s -> %[3]s), 1)",
	finite:     "is_finite(%s)",
	nan:        "is_nan(%s)",
	infinite:   "is_infinite(%s)",
	folds:      true,
	operations: operations(func(w written) write { return w.trino }),
	sum:        "sum(CAST(%s AS DECIMAL(38, 0)))",
	division:   "/",
	quotient:   "((%[1]s - (%[1]s) %% %[2]s) / %[2]s)",
	least:      trinoExtreme("array_min"),
	greatest:   trinoExtreme("array_max"),
	clamp: func(x, lower, upper string, _ value.Type) string { // these functions return NULL for NULL
		return "least(greatest(" + x + ", " + lower + "), " + upper + ")"
	},
	pack: "array_join(array_agg(CAST(leaf AS VARCHAR) || ':' || CAST(n AS VARCHAR)), ' ')",
	choice: func(_ value.Type, keys []value.Type) string {
		// The parameter is the whole key. Trino's client cannot pass it separately from the text.
		text := "CAST(patient AS VARCHAR)"
		for i := range keys {
			text += fmt.Sprintf(" || coalesce(chr(31) || CAST(k%d AS VARCHAR), chr(30))", i)
		}
		return "from_big_endian_64(xxhash64($group_key || to_utf8(" + text + ")))"
	},
	days:   true,
	joins:  4 << 10,
	maxSQL: 200 << 10, // a server accepts a million characters in total
}

// trinoInstant writes all six digits of a second's fraction, because they set the precision of the literal's type.
func trinoInstant(s string) string {
	day, time, ok := strings.Cut(s, "T")
	if !ok {
		return s
	}
	time, fraction, _ := strings.Cut(time, ".")
	return day + " " + time + "." + (fraction + "000000")[:6]
}

// trinoExtreme leaves NULLs out. Trino's own functions return NULL if an argument is NULL.
func trinoExtreme(function string) func([]string) string {
	return func(args []string) string {
		return function + "(filter(ARRAY[" + strings.Join(args, ", ") + "], x -> x IS NOT NULL))"
	}
}
