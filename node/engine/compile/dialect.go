package compile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// ErrLiteral reports that a value or a name cannot be written as SQL.
var ErrLiteral = errors.New("a constant or a name cannot be written in this engine's SQL")

// Dialect holds how an engine's SQL differs: DuckDB, PostgreSQL or Trino. A zero field means what DuckDB does.
type Dialect struct {
	name    string
	types   map[value.Type]string
	wide    string                 // the type of a sum of whole numbers, wider than 64 bits
	whole   func(i int64) string   // a whole number of exactly the type of an int
	real    func(x float64) string // a finite real number
	instant func(v string) string  // the digits of a timestamp as the engine reads them
	cast    string                 // CAST, or one that gives NULL where it would raise, to be doubly sure
	bytes   string                 // the length of a text in bytes, or in characters if the engine cannot tell bytes
	// apart stops a select within another from being merged with it. Empty: the engine never merges where the SQL would
	// grow.
	apart string
	// pulled bounds the length of a column's SQL where the optimizer replaces columns by their definitions. A column
	// that is read twice at each of several levels would grow exponentially. Selects with a larger column are kept
	// apart.
	pulled int
	// inlines: the engine does so with columns of whole numbers that it aggregates.
	inlines  bool
	let      string // gives a name to an operand within an expression: name, operand, expression
	finite   string // the test that a real number is finite; empty: every float is finite
	nan      string // the test that a real number is NaN
	infinite string // the test that a real number is infinite, if its arithmetic does not raise
	collate  string // makes a text compare by its bytes; empty if it does already
	// operations writes each operation, see written.
	operations map[expr.Op]write
	// folds: expressions without columns are computed before the query is sent. The engine would fold them itself, and
	// raise.
	folds bool
	// column reads a stored column as the catalog's type; nil: see compiler.column.
	column func(c *compiler, e *expr.Expr) code

	sum      string // of whole numbers, in more than 64 bits; %s: the terms
	division string // of two BIGINTs, at least 0 and above 0, rounded down
	quotient string // of whole numbers of the type of sums, rounded toward zero; %s: dividend, divisor
	least    func(args []string) string
	greatest func(args []string) string
	// clamp writes an int or a float clamped to an interval. NULL stays NULL.
	clamp func(x, lower, upper string, t value.Type) string
	// hidden writes the same int in a form whose range the optimizer does not know. It would otherwise drop a clamp
	// that changes nothing according to statistics, and a file may bring false statistics. Empty: the engine uses none.
	hidden string
	pack   string // the counts of all buckets in one text; see Unpack
	// choice hashes the patient and the keys, which are columns of the step rows, with both halves of the secret key.
	// It is pseudorandom, and the same for each pair of a patient and a group.
	choice func(patient value.Type, keys []value.Type) string
	// stored makes the engine materialize a step that is read twice. Empty: the engine cannot.
	stored string
	// days: dates and timestamps are returned as texts, because the client would read them in a time zone.
	days bool
	// maxSQL bounds the length of one expression's SQL, in bytes.
	maxSQL int
	// joins bounds the length of the SQL that a select of joined rows computes in place. Longer expressions are
	// computed beside the joins, see compiler.join. 0: no bound.
	joins int
	// underflows: a product raises if it is not zero and rounds to zero.
	underflows bool
}

// String returns the engine's name.
func (d *Dialect) String() string { return d.name }

// Type returns the engine's type for the catalog's type t.
func (d *Dialect) Type(t value.Type) string { return d.types[t] }

// NaN writes the test that a float is NaN.
func (d *Dialect) NaN(sql string) string { return fmt.Sprintf(d.nan, sql) }

// Literal writes a value beside a column of its type, or returns ErrLiteral.
func (d *Dialect) Literal(v value.Value) (string, error) { return d.literal(v, true) }

// literal writes a value in exactly its type. An untyped int has the smallest type that holds it, which suffices beside
// a BIGINT and is easier to read.
func (d *Dialect) literal(v value.Value, untyped bool) (string, error) {
	if v.IsNull() {
		return "CAST(NULL AS " + d.types[v.Type()] + ")", nil
	}
	switch v.Type() {
	case value.TypeInt:
		if i := v.Int64(); !untyped || i < -1<<62 {
			return d.whole(i), nil
		} else if i < 0 {
			return "(" + strconv.FormatInt(i, 10) + ")", nil
		}
		return strconv.FormatInt(v.Int64(), 10), nil
	case value.TypeFloat:
		return d.real(v.Float64()), nil
	case value.TypeText:
		return d.Text(v.Str())
	case value.TypeDate, value.TypeTimestamp:
		return strings.ToUpper(string(v.Type())) + " '" + d.instant(v.String()) + "'", nil
	}
	return v.String(), nil
}

// Text quotes a string. It returns ErrLiteral for one that is not UTF-8, or that holds U+0000, where SQL text would
// end.
func (d *Dialect) Text(s string) (string, error) {
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("%w: a text that is not UTF-8, or holds the character U+0000", ErrLiteral)
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'", nil
}

// Name quotes an identifier, or returns ErrLiteral.
func Name(s string) (string, error) {
	if s == "" || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("%w: the name %q", ErrLiteral, s)
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`, nil
}

// exponential writes a finite number with an exponent, which makes it a DOUBLE. Without one it would be a DECIMAL.
func exponential(x float64) string {
	s := strconv.FormatFloat(x, 'g', -1, 64)
	if !strings.ContainsRune(s, 'e') {
		s += "e0"
	}
	if x < 0 {
		s = "(" + s + ")"
	}
	return s
}

func call(function string) func([]string) string {
	return func(args []string) string { return function + "(" + strings.Join(args, ", ") + ")" }
}
