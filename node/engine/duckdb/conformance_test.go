package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

func TestMain(m *testing.M) {
	// The noise library, which a request's price needs, links glog.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

var testKey = []byte("a secret of the node, for tests only")

const nastyCatalog = `
catalog: nasty
hospital_column: true
tables:
  t:
    key: id
    patient: id
    one_row_per_patient: true
    columns:
      id: {type: int, nullable: false}
      b: {type: bool}
      i: {type: int}
      j: {type: int}
      ib: {type: int, bounds: [-5, 100]}
      iw: {type: int, bounds: [-4000000000000000000, 5000000000000000000]}
      f: {type: float}
      g: {type: float}
      fb: {type: float, bounds: [-1.5, 250.25]}
      s: {type: text}
      u: {type: text}
      d: {type: date}
      db: {type: date, bounds: [1900-01-01, 2049-12-31]}
      ts: {type: timestamp}
      tb: {type: timestamp, bounds: [1900-01-01, 2049-12-31T23:59:59]}
`

var (
	nastyInts   = []string{"NULL", "0", "1", "-1", "2", "7", "-5", "100", "101", "42", "9223372036854775807", "(-9223372036854775808)", "(-9223372036854775807)", "4611686018427387904", "3037000500", "(-3037000500)", "9007199254740993", "4000000000000000001"}
	nastyFloats = []string{"NULL", "0", "'-0.0'", "1", "-1", "0.5", "-0.5", "1.5", "2.5", "'nan'", "'inf'", "'-inf'", "'1e308'", "'-1.7976931348623157e308'", "'5e-324'", "'0.49999999999999994'", "'4503599627370497.5'", "'9007199254740993'", "'9223372036854775807'", "'-9223372036854775808'", "'9223372036854774784'", "'0.1'", "'2.675'", "'1e-300'", "'123456.789'", "250.25", "250.26", "-1.5", "'1e19'"}
	nastyTexts  = []string{"NULL", "''", "'12'", "' 12'", "'12 '", "'> 89'", "'+7'", "'-0'", "'0x10'", "'1_000'", "'1e5'", "'1e400'", "'-1e400'", "'1e-400'", "'.5'", "'5.'", "'.'", "'1.5'", "'999999999999999999'", "'9999999999999999999'", "'nan'", "'Infinity'", "'2023-02-28'", "'2023-02-30'", "'0000-01-01'", "'9999-12-31'", "'2023-13-01'", "'2023-1-1'", "'2020-02-29 12:34:56.789'", "'2020-02-29T23:59:59'", "'2020-02-29 24:00:00'", "'2020-02-29 23:59:60'", "'infinity'", "'epoch'", "'é'", "'e' || chr(769)", "'日本語'", "'😀'", "'a%b'", "'a_b'", "'aXb'", "'a\\b'", "'A'", "'a' || chr(10) || 'b'", "'12' || chr(10)", "'a' || chr(0) || 'b'", "'0.1234567890123456789012345678901234567890'", "'true'",
		"'  a '", "'aXbXc'", "'ÀÉŒŸß'", "'àéœÿẞ'", "'İıſK'", "'I21.9'", "'' || chr(9) || 'x '", "'a, b'", "'aaa'", "'2020-02-30T00:00:00'", "'0000-00-00'", "'0001-01-01'"}
	nastyDates = []string{"NULL", "'1970-01-01'", "'1969-12-31'", "'2020-02-29'", "'1900-01-01'", "'1899-12-31'", "'2049-12-31'", "'2050-01-01'", "'infinity'", "'-infinity'", "'5881580-07-10'", "'5877642-06-25 (BC)'", "'0001-01-01'", "'0001-12-31 (BC)'", "'0005-03-01 (BC)'", "'12345-06-07'", "'290000-12-31'", "'290000-01-01 (BC)'", "'9999-12-31'", "'10000-01-01'",
		"'2021-01-03'", "'2019-12-30'", "'2020-01-31'", "'2019-02-28'", "'2000-12-31'"}
	nastyTimes = []string{"NULL", "'1970-01-01'", "'1969-12-31 23:59:59.999999'", "'2020-02-29 01:02:03.4'", "'1899-12-31 23:59:59.999999'", "'2050-01-01'", "'infinity'", "'-infinity'", "'294247-01-10 04:00:54.775806'", "'290309-12-22 (BC)'", "'290000-01-01 (BC)'", "'0001-12-31 (BC) 00:00:01'", "'0004-02-29 12:00:00'", "'9999-12-31 23:59:59.999999'", "'0001-01-01'",
		"'2020-01-31 12:00:00'", "'2020-03-31 11:59:59.999999'", "'2019-12-29 23:59:59'"}
)

// nastyEngine has a table of rows that each column fills from its list at random.
func nastyEngine(t *testing.T, rows int) *Engine {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	lists := []struct {
		kind string
		from []string
	}{{"BOOLEAN", []string{"NULL", "true", "false"}}, {"BIGINT", nastyInts}, {"BIGINT", nastyInts}, {"BIGINT", nastyInts}, {"BIGINT", nastyInts},
		{"DOUBLE", nastyFloats}, {"DOUBLE", nastyFloats}, {"DOUBLE", nastyFloats}, {"VARCHAR", nastyTexts}, {"VARCHAR", nastyTexts},
		{"DATE", nastyDates}, {"DATE", nastyDates}, {"TIMESTAMP", nastyTimes}, {"TIMESTAMP", nastyTimes}}
	var b strings.Builder
	b.WriteString("CREATE TABLE t AS SELECT * FROM (VALUES ")
	for i := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "(%d::BIGINT", i)
		for _, l := range lists {
			v := l.from[r.IntN(len(l.from))]
			if i < len(l.from) {
				v = l.from[i] // each value at least once
			}
			fmt.Fprintf(&b, ", CAST(%s AS %s)", v, l.kind)
		}
		b.WriteString(")")
	}
	b.WriteString(") v(id, b, i, j, ib, iw, f, g, fb, s, u, d, db, ts, tb)")
	return engineWith(t, nastyCatalog, b.String())
}

func parse(t testing.TB, yaml string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse([]byte(yaml), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// engineWith opens an engine over a new database that the statements fill.
func engineWith(t testing.TB, yaml string, statements ...string) *Engine {
	t.Helper()
	path := newDatabase(t, statements...)
	e, err := Open(context.Background(), Config{Database: path}, parse(t, yaml), "St. Mary's", testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func newDatabase(t testing.TB, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.duckdb")
	db, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%.200s: %v", s, err)
		}
	}
	return path
}

// reads computes what a column reads, independently of the engine's SQL.
func reads(col *catalog.Column, v driver.Value) value.Value {
	null := value.Null(col.Type)
	if f, ok := v.(float64); ok && col.Lower.Valid() {
		if math.IsNaN(f) {
			return null
		}
		return value.Float(math.Min(math.Max(f, col.Lower.Float64()), col.Upper.Float64()))
	}
	if d, ok := v.(time.Time); ok && col.Lower.Valid() { // also years that a value.Date has not
		n := d.UnixMicro()
		if col.Type == value.TypeDate {
			n = d.Unix() / 86400
		}
		switch {
		case n < col.Lower.Int64():
			return col.Lower
		case n > col.Upper.Int64():
			return col.Upper
		}
	}
	x, err := fromDriver(v, col.Type)
	if err != nil {
		panic(err)
	}
	if x.IsNull() {
		return x
	}
	if col.Lower.Valid() {
		if value.Compare(x, col.Lower) < 0 {
			return col.Lower
		}
		if value.Compare(x, col.Upper) > 0 {
			return col.Upper
		}
		return x
	}
	return x
}

// generator makes random well-typed expressions over the nasty table.
type generator struct{ *rand.Rand }

func pick[T any](g generator, list ...T) T { return list[g.IntN(len(list))] }

var nastyColumns = map[value.Type][]string{
	value.TypeBool: {"b"}, value.TypeInt: {"i", "j", "ib", "iw"}, value.TypeFloat: {"f", "g", "fb"},
	value.TypeText: {"s", "u"}, value.TypeDate: {"d", "db"}, value.TypeTimestamp: {"ts", "tb"}}

var allTypes = []value.Type{value.TypeBool, value.TypeInt, value.TypeFloat, value.TypeText, value.TypeDate, value.TypeTimestamp}

func (g generator) literal(t value.Type) *fragment.Expr {
	if g.IntN(15) == 0 {
		return fragment.Literal(value.Null(t))
	}
	parse := func(list ...string) *fragment.Expr {
		v, err := value.Parse(t, pick(g, list...))
		if err != nil {
			panic(err)
		}
		return fragment.Literal(v)
	}
	switch t {
	case value.TypeBool:
		return parse("true", "false")
	case value.TypeInt:
		return parse("0", "1", "-1", "2", "-5", "7", "100", "50", "2147483647", "9223372036854775807", "-9223372036854775808", "4000000000000000001")
	case value.TypeFloat:
		return parse("0", "1", "-0.5", "0.1", "1e308", "5e-324", "250.25", "100", "-1e-300", "9007199254740993", "9223372036854775808")
	case value.TypeText:
		return parse("", "12", "> 89", "é", "it's", "a\x00b", "\\", "%", "2020-02-29", "A", "St. Mary's")
	case value.TypeDate:
		return parse("1970-01-01", "2020-02-29", "1900-01-01", "2049-12-31", "0001-01-01", "9999-12-31")
	}
	return parse("1970-01-01", "2020-02-29 01:02:03.4", "1900-01-01", "2049-12-31 23:59:59", "0001-01-01", "9999-12-31 23:59:59.999999")
}

func (g generator) leaf(t value.Type) *fragment.Expr {
	if g.IntN(4) == 0 {
		return g.literal(t)
	}
	if t == value.TypeText && g.IntN(8) == 0 {
		return fragment.Hospital()
	}
	return fragment.Column("T", pick(g, nastyColumns[t]...), t)
}

func must(e *fragment.Expr, err error) *fragment.Expr {
	if err != nil {
		panic(err)
	}
	return e
}

func (g generator) number(depth int) *fragment.Expr {
	return g.expr(pick(g, value.TypeInt, value.TypeFloat), depth)
}

func (g generator) expr(t value.Type, depth int) *fragment.Expr {
	if depth == 0 || g.IntN(12) == 0 {
		return g.leaf(t)
	}
	depth--
	sub := func(t value.Type) *fragment.Expr { return g.expr(t, depth) }
	apply := func(op fragment.Op, args ...*fragment.Expr) *fragment.Expr { return must(fragment.New(op, args...)) }
	if g.IntN(5) == 0 && t != value.TypeBool || g.IntN(14) == 0 {
		switch g.IntN(4) {
		case 0:
			return apply(fragment.OpCase, sub(value.TypeBool), sub(t), sub(value.TypeBool), sub(t), sub(t))
		case 1:
			return apply(fragment.OpCoalesce, sub(t), sub(t))
		case 2:
			if t == value.TypeFloat {
				return apply(pick(g, fragment.OpLeast, fragment.OpGreatest), sub(t), g.number(depth))
			}
			return apply(pick(g, fragment.OpLeast, fragment.OpGreatest), sub(t), sub(t), sub(t))
		default:
			if t == value.TypeFloat {
				return apply(fragment.OpCase, sub(value.TypeBool), sub(value.TypeInt), sub(t))
			}
		}
	}
	switch t {
	case value.TypeBool:
		switch g.IntN(9) {
		case 7:
			return apply(fragment.OpRegexp, sub(value.TypeText), fragment.Literal(value.Text(g.pattern())))
		case 8:
			of := pick(g, allTypes...)
			return apply(fragment.OpDistinct, sub(of), sub(of))
		case 0:
			return apply(pick(g, fragment.OpAnd, fragment.OpOr), sub(t), sub(t), sub(t))
		case 1:
			return apply(fragment.OpNot, sub(t))
		case 2:
			return apply(fragment.OpIsNull, sub(pick(g, allTypes...)))
		case 3:
			of := pick(g, allTypes...)
			args := []*fragment.Expr{sub(of)}
			for range 1 + g.IntN(4) {
				other := of
				if of.Numeric() {
					other = pick(g, value.TypeInt, value.TypeFloat)
				}
				args = append(args, g.literal(other))
			}
			return apply(fragment.OpIn, args...)
		case 4:
			return apply(fragment.OpLike, sub(value.TypeText), fragment.Literal(value.Text(pick(g, "%", "_", "a%b", `a\%b`, `a\_b`, `\a_b`, "", "1%", "%2", `\\%`, "a\x00_", "__", "é", "%😀%", `a\\b`, "a_b", "%_%b", `%\%_%`, "%1_%_%"))))
		default:
			op := pick(g, fragment.OpEqual, fragment.OpNotEqual, fragment.OpLess, fragment.OpLessOrEqual, fragment.OpGreater, fragment.OpGreaterOrEqual)
			of := pick(g, allTypes...)
			if of.Numeric() {
				return apply(op, g.number(depth), g.number(depth))
			}
			return apply(op, sub(of), sub(of))
		}
	case value.TypeInt:
		switch g.IntN(9) {
		case 6:
			of := pick(g, value.TypeDate, value.TypeTimestamp)
			return apply(pick(g, fragment.OpSubtract, fragment.OpMonths), sub(of), sub(of))
		case 7:
			return apply(fragment.OpLength, sub(value.TypeText))
		case 8:
			return apply(fragment.OpPosition, sub(value.TypeText), sub(value.TypeText))
		case 0, 1:
			return apply(pick(g, fragment.OpAdd, fragment.OpSubtract, fragment.OpMultiply), sub(t), sub(t))
		case 2:
			return apply(pick(g, fragment.OpIntDivide, fragment.OpModulo), sub(t), sub(t))
		case 3:
			return apply(pick(g, fragment.OpNegate, fragment.OpAbs, fragment.OpFloor), sub(t))
		case 4:
			field := pick(g, "year", "isoyear", "quarter", "month", "week", "day", "doy", "dow", "isodow", "hour", "minute", "second")
			if field == "hour" || field == "minute" || field == "second" {
				return apply(fragment.OpExtract, fragment.Literal(value.Text(field)), sub(value.TypeTimestamp))
			}
			return apply(fragment.OpExtract, fragment.Literal(value.Text(field)), sub(pick(g, value.TypeDate, value.TypeTimestamp)))
		default:
			return must(fragment.Cast(sub(pick(g, value.TypeText, value.TypeFloat, value.TypeBool)), t))
		}
	case value.TypeFloat:
		switch g.IntN(5) {
		case 0, 1:
			return apply(pick(g, fragment.OpAdd, fragment.OpSubtract, fragment.OpMultiply), sub(t), g.number(depth))
		case 2:
			return apply(fragment.OpDivide, g.number(depth), g.number(depth))
		case 3:
			if g.IntN(2) == 0 {
				return apply(fragment.OpRound, sub(t), fragment.Literal(value.Int(int64(g.IntN(16)))))
			}
			return apply(pick(g, fragment.OpNegate, fragment.OpAbs, fragment.OpFloor, fragment.OpCeiling, fragment.OpSqrt), sub(t))
		default:
			return must(fragment.Cast(sub(pick(g, value.TypeText, value.TypeInt)), t))
		}
	case value.TypeText:
		constant := func(list ...string) *fragment.Expr { return fragment.Literal(value.Text(pick(g, list...))) }
		switch x := sub(t); g.IntN(8) {
		case 0:
			return apply(fragment.OpConcat, sub(t), fragment.Column("T", "s", t), g.literal(t))
		case 1:
			return apply(pick(g, fragment.OpLower, fragment.OpUpper), x)
		case 2:
			return apply(pick(g, fragment.OpLeftTrim, fragment.OpRightTrim), x, constant(" ", "1", "é2 ", "a\x00"))
		case 3, 4:
			return apply(fragment.OpSubstring, x, g.near(depth), g.near(depth))
		case 5:
			return apply(fragment.OpReplace, x, constant("a", "1", "é", "aa", "X", "\x00"), constant("", "b", "it's"))
		case 6:
			return apply(fragment.OpSplit, x, constant("X", "-", "a", ", ", "\x00"), fragment.Literal(value.Int(int64(1+g.IntN(3)))))
		}
	case value.TypeDate, value.TypeTimestamp:
		units := []string{"year", "quarter", "month", "week", "day"}
		if t == value.TypeTimestamp {
			units = append(units, "hour", "minute", "second")
		}
		switch g.IntN(6) {
		case 0:
			if g.IntN(3) == 0 {
				return apply(fragment.OpAdd, g.near(depth), sub(t))
			}
			return apply(fragment.OpAdd, sub(t), g.near(depth))
		case 1:
			return apply(fragment.OpSubtract, sub(t), g.near(depth))
		case 2:
			return apply(fragment.OpTruncate, fragment.Literal(value.Text(pick(g, units...))), sub(t))
		case 3:
			return apply(fragment.OpAddMonths, sub(t), g.near(depth))
		case 4:
			if t == value.TypeDate {
				return apply(fragment.OpMakeDate, g.near(depth), g.near(depth), g.near(depth))
			}
		}
	}
	switch t {
	case value.TypeText:
		return must(fragment.Cast(sub(pick(g, value.TypeInt, value.TypeBool, value.TypeDate)), t))
	case value.TypeDate:
		return must(fragment.Cast(sub(pick(g, value.TypeText, value.TypeTimestamp)), t))
	}
	return must(fragment.Cast(sub(pick(g, value.TypeText, value.TypeDate)), t))
}

// near is an int that is often small, as days, months and places are.
func (g generator) near(depth int) *fragment.Expr {
	switch g.IntN(4) {
	case 0:
		return g.expr(value.TypeInt, depth)
	case 1:
		return fragment.Column("T", "ib", value.TypeInt)
	}
	return fragment.Literal(value.Int(pick[int64](g, 0, 1, 2, 3, -1, -2, 12, 13, 28, 29, 30, 31, 60, 1970, 2020, 9999, 1<<31, -1<<31, 1<<40)))
}

// pattern is a regular expression in its portable form.
func (g generator) pattern() string {
	p := pick(g, `a.b`, `^a`, `b$`, `^$`, `\d{2,4}`, `^[0-9]{4}-\d\d-\d\d$`, `[^a-z]`, `é|日`, `(a|b)*X`, `(?i)^[a-e]`, `\.`, `[\]\\^-]`, `\s`, `x?y?$`, `(?:12|)$`, `\$`, `^\S+$`, `[à-ÿ]`, `a{0}b`)
	p, err := fragment.Regexp(p, g.IntN(3) == 0)
	if err != nil {
		panic(err)
	}
	return p
}

// TestTranscendental: exp, ln, log10 and power agree with fragment.Evaluate to a few
// units in the last place, whatever the row holds, and nothing raises.
func TestTranscendental(t *testing.T) {
	e := nastyEngine(t, 300)
	rows := nastyRows(t, e)
	column := func(name string) *fragment.Expr { return fragment.Column("T", name, value.TypeFloat) }
	number := func(x float64) *fragment.Expr { return fragment.Literal(value.Float(x)) }
	whole := fragment.Column("T", "i", value.TypeInt)
	var exprs []*fragment.Expr
	for _, x := range []*fragment.Expr{column("f"), column("fb"), whole} {
		for _, op := range []fragment.Op{fragment.OpExp, fragment.OpLn, fragment.OpLog10, fragment.OpSqrt} {
			exprs = append(exprs, must(fragment.New(op, x)))
		}
		for _, y := range []*fragment.Expr{column("g"), number(2), number(-1), number(0.5), number(0), number(1e9), whole} {
			exprs = append(exprs, must(fragment.New(fragment.OpPower, x, y)), must(fragment.New(fragment.OpPower, y, x)))
		}
	}
	columns, err := e.target().Expressions([]fragment.Relation{{Name: "T", Table: "t"}}, exprs...)
	if err != nil {
		t.Fatal(err)
	}
	for k, x := range exprs {
		i := 0
		q := "SELECT " + columns[k] + ` FROM logical.t AS "T" ORDER BY id`
		err := e.query(context.Background(), q, nil, func(row []driver.Value) error {
			want := fragment.Evaluate(x, func(col *fragment.Expr) value.Value { return rows[i][col.Column] })
			got, err := fromDriver(row[0], x.Type)
			if err != nil || got.IsNull() != want.IsNull() || math.Abs(got.Float64()-want.Float64()) > 1e-12*math.Abs(want.Float64()) {
				return fmt.Errorf("row %d is %v, want %v\n%v", i, got, want, rows[i])
			}
			i++
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v %v\n%s", x, err, errors.Unwrap(err), q)
		}
	}
}

// nastyRows reads the rows of the nasty table, as expressions see them.
func nastyRows(t *testing.T, e *Engine) []map[string]value.Value {
	t.Helper()
	table, _ := e.catalog.Table("t")
	var rows []map[string]value.Value
	if err := e.query(context.Background(), "SELECT * FROM logical.t ORDER BY id", nil, func(row []driver.Value) error {
		m := map[string]value.Value{}
		for i, c := range table.Columns {
			m[c.Name] = reads(c, row[i])
		}
		rows = append(rows, m)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestExpressions compares DuckDB with fragment.Evaluate, value by value and bit
// by bit, on random expressions over nasty rows. Nothing may raise.
func TestExpressions(t *testing.T) {
	e := nastyEngine(t, 300)
	rows := nastyRows(t, e)
	n := 3000
	if testing.Short() {
		n = 500
	}
	if s, err := strconv.Atoi(os.Getenv("DUCKDB_EXPRESSIONS")); err == nil {
		n = s
	}
	g := generator{rand.New(rand.NewPCG(3, uint64(n)))}
	const together = 8
	for done := 0; done < n; done += together {
		var exprs []*fragment.Expr
		for range together {
			exprs = append(exprs, g.expr(pick(g, allTypes...), 1+g.IntN(4)))
		}
		if differ(t, e, rows, exprs...) != nil {
			for _, x := range exprs {
				if err := differ(t, e, rows, x); err != nil {
					x, err = smallest(t, e, rows, x, err)
					t.Fatalf("%s: %v", x, err)
				}
			}
			t.Fatal("expressions fail together, and not each alone")
		}
	}
}

// smallest descends into a failing expression.
func smallest(t *testing.T, e *Engine, rows []map[string]value.Value, x *fragment.Expr, err error) (*fragment.Expr, error) {
	for _, a := range x.Args {
		if err := differ(t, e, rows, a); err != nil {
			return smallest(t, e, rows, a, err)
		}
	}
	return x, err
}

// differ tells how DuckDB's values of expressions differ from Evaluate's.
func differ(t *testing.T, e *Engine, rows []map[string]value.Value, exprs ...*fragment.Expr) error {
	t.Helper()
	columns, err := e.target().Expressions([]fragment.Relation{{Name: "T", Table: "t"}}, exprs...)
	if err != nil {
		return err
	}
	i := 0
	q := "SELECT " + strings.Join(columns, ", ") + ` FROM logical.t AS "T" ORDER BY id`
	err = e.query(context.Background(), q, nil, func(row []driver.Value) error {
		for k, x := range exprs {
			want := fragment.Evaluate(x, func(col *fragment.Expr) value.Value {
				if col.Op == fragment.OpHospital {
					return value.Text(e.hospital)
				}
				return rows[i][col.Column]
			})
			got, err := fromDriver(row[k], x.Type)
			if f, ok := row[k].(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
				return fmt.Errorf("row %d is %v", i, f)
			}
			if err != nil || got != want || got.Type() != x.Type {
				return fmt.Errorf("row %d is %v (%T), want %v\n%v\n%s", i, got, row[k], want, rows[i], columns[k])
			}
		}
		i++
		return nil
	})
	if errors.Is(err, ErrDatabase) {
		return fmt.Errorf("%w\n%s", errors.Unwrap(err), q)
	}
	return err
}

// TestSlowPatterns: LIKE takes linear time, too.
func TestSlowPatterns(t *testing.T) {
	e := engineWith(t, nastyCatalog, `CREATE TABLE t AS SELECT 1::BIGINT AS id, NULL::BOOLEAN AS b, 1::BIGINT AS i, 1::BIGINT AS j, 1::BIGINT AS ib, 1::BIGINT AS iw,
		1::DOUBLE AS f, 1::DOUBLE AS g, 1::DOUBLE AS fb, repeat('a', 100000) AS s, 'x' AS u, DATE '2020-01-01' AS d, DATE '2020-01-01' AS db,
		TIMESTAMP '2020-01-01' AS ts, TIMESTAMP '2020-01-01' AS tb`)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, pattern := range []string{"%a_%a_%a_%a_%a_%b", "%a%a%a%a%a%a%b", "%a%b_", "_%a%a%b"} {
		x := must(fragment.New(fragment.OpLike, fragment.Column("T", "s", value.TypeText), fragment.Literal(value.Text(pattern))))
		sql, err := e.target().Expressions([]fragment.Relation{{Name: "T", Table: "t"}}, x)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.query(ctx, "SELECT "+sql[0]+` FROM logical.t AS "T"`, nil, func([]driver.Value) error { return nil }); err != nil {
			t.Errorf("%s: %v", pattern, errors.Unwrap(err))
		}
	}
}

// TestLargestPatterns: a pattern that is accepted is not too large for DuckDB, which
// would raise once a row reaches it.
func TestLargestPatterns(t *testing.T) {
	e := engineWith(t, nastyCatalog, `CREATE TABLE t AS SELECT 1::BIGINT AS id, NULL::BOOLEAN AS b, 1::BIGINT AS i, 1::BIGINT AS j, 1::BIGINT AS ib, 1::BIGINT AS iw,
		1::DOUBLE AS f, 1::DOUBLE AS g, 1::DOUBLE AS fb, repeat('é日x', 2000) AS s, 'x' AS u, DATE '2020-01-01' AS d, DATE '2020-01-01' AS db,
		TIMESTAMP '2020-01-01' AS ts, TIMESTAMP '2020-01-01' AS tb`)
	accepted := 0
	for _, part := range []string{`.`, `[^à-ÿ]`, `\S`, `[à-ÿ一-龥]`, `x?`, `(?:a|b|[^c]|日)`, `[acegikmoqsuwyACEGIKMOQSUWY]`} {
		for _, times := range []int{100, 90, 70, 50, 30, 20, 10} {
			for _, outer := range []int{10, 9, 7, 5, 3, 2, 1} {
				p, err := fragment.Regexp(fmt.Sprintf("^(?:%s{%d}z?){%d}$", part, times, outer), false)
				if err != nil {
					continue
				}
				accepted++
				x := must(fragment.New(fragment.OpRegexp, fragment.Column("T", "s", value.TypeText), fragment.Literal(value.Text(p))))
				sql, err := e.target().Expressions([]fragment.Relation{{Name: "T", Table: "t"}}, x)
				if err != nil {
					t.Fatal(err)
				}
				if err := e.query(context.Background(), "SELECT "+sql[0]+` FROM logical.t AS "T"`, nil, func([]driver.Value) error { return nil }); err != nil {
					t.Errorf("%s: %v", p, errors.Unwrap(err))
				}
			}
		}
	}
	if accepted < 100 {
		t.Errorf("only %d patterns were tried", accepted)
	}
}
