package enginetest

import (
	"math"
	"math/rand/v2"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/value"
)

const nastyCatalog = `
catalog: nasty
hospital_column: true
tables:
  t:
    key: id
    patient: id
    one_row_per_patient: true
    columns:` + nastyTypes + `
  visit:
    patient: id
    columns:` + nastyTypes

const nastyTypes = `
      id: {type: int, nullable: false}
      b: {type: bool}
      i: {type: int}
      j: {type: int}
      ib: {type: int, bounds: [-5, 100]}
      iw: {type: int, bounds: [-4000000000000000000, 5000000000000000000]}
      f: {type: float}
      g: {type: float}
      fb: {type: float, bounds: [-1.5, 250.25]}
      fn: {type: float, bounds: [1e-160, 1.0001e-160]}
      s: {type: text}
      u: {type: text}
      d: {type: date}
      db: {type: date, bounds: [1900-01-01, 2049-12-31]}
      ts: {type: timestamp}
      tb: {type: timestamp, bounds: [1900-01-01, 2049-12-31T23:59:59]}
`

func days(dates ...string) []any {
	out := []any{nil, PastDay, FutureDay, Day(2147483646), Day(-2147483646), Day(firstDay), Day(lastDay), Day(-720000), Day(3789342), Day(-719163), Day(-719162), Day(2932897)}
	for _, s := range dates {
		v, err := value.Parse(value.TypeDate, s)
		if err != nil {
			panic(err)
		}
		out = append(out, Day(v.Int64()))
	}
	return out
}

func instants(times ...string) []any {
	out := []any{nil, PastInstant, FutureInstant, Instant(9223371244800000000), Instant(-9223372022400000000), Instant(firstDay * 86_400e6), Instant(-62135596799999999), Instant(-62041291200000000)}
	for _, s := range times {
		v, err := value.Parse(value.TypeTimestamp, s)
		if err != nil {
			panic(err)
		}
		out = append(out, Instant(v.Int64()))
	}
	return out
}

// nasty lists, for each type, cells that engines often handle wrongly.
var nasty = map[value.Type][]any{
	value.TypeBool: {nil, true, false},
	value.TypeInt: {nil, int64(0), int64(1), int64(-1), int64(2), int64(7), int64(-5), int64(100), int64(101), int64(42), int64(math.MaxInt64), int64(math.MinInt64), int64(math.MinInt64 + 1),
		int64(4611686018427387904), int64(3037000500), int64(-3037000500), int64(9007199254740993), int64(4000000000000000001)},
	value.TypeFloat: {nil, 0.0, math.Copysign(0, -1), 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, math.NaN(), math.Inf(1), math.Inf(-1), 1e308, -math.MaxFloat64, 5e-324, 0.49999999999999994, 4503599627370497.5,
		9007199254740993.0, 9223372036854775807.0, -9223372036854775808.0, 9223372036854774784.0, 0.1, 2.675, 1e-300, 123456.789, 250.25, 250.26, -1.5, 1e19, 1e-150, 1e150, -1e200},
	value.TypeText: {nil, "", "12", " 12", "12 ", "> 89", "+7", "-0", "0x10", "1_000", "1e5", "1e400", "-1e400", "1e-400", ".5", "5.", ".", "1.5", "999999999999999999", "9999999999999999999", "nan", "Infinity",
		"2023-02-28", "2023-02-30", "0000-01-01", "0000-02-29", "9999-12-31", "2023-13-01", "2023-00-10", "2023-04-31", "1900-02-29", "2000-02-29", "2023-1-1", "2020-02-29 12:34:56.789", "2020-02-29T23:59:59",
		"2020-02-29 24:00:00", "2020-02-29 23:59:60", "infinity", "epoch", "é", "e\u0301", "日本語", "😀", "\uffff", "a%b", "a_b", "aXb", `a\b`, "A", "a", "B", "b", "a-b", "ab", "a\nb", "12\n", "a\x00b",
		"0.1234567890123456789012345678901234567890", "true", "1.7976931348623159e308", "1.7976931348623157e308", "4.9e-324", "2.4e-324", strings.Repeat("1", 301), "0." + strings.Repeat("0", 299) + "1",
		"  a ", "aXbXc", "ÀÉŒŸß", "àéœÿẞ", "İıſK", "I21.9", "\tx ", "a, b", "aaa", "2020-02-30T00:00:00", "0000-00-00", "0001-01-01", "\\", "a$b", "x^"},
	value.TypeDate:      days("1970-01-01", "1969-12-31", "2020-02-29", "1900-01-01", "1899-12-31", "2049-12-31", "2050-01-01", "0001-01-01", "9999-12-31", "2021-01-03", "2019-12-30", "2020-01-31", "2019-02-28", "2000-12-31"),
	value.TypeTimestamp: instants("1970-01-01", "1969-12-31 23:59:59.999999", "2020-02-29 01:02:03.4", "1899-12-31 23:59:59.999999", "2050-01-01", "9999-12-31 23:59:59.999999", "0001-01-01", "2020-01-31 12:00:00", "2020-03-31 11:59:59.999999", "2019-12-29 23:59:59", "1969-12-31 23:59:58.5"),
}

// nastyTable fills rows from the lists: each value at least once, and then at random.
func (k Kind) nastyTable(rows int) Table {
	r := rand.New(rand.NewPCG(1, 2))
	table := Table{Name: "t", Columns: []Column{{"id", value.TypeInt}}}
	for _, c := range []struct {
		t     value.Type
		names string
	}{{value.TypeBool, "b"}, {value.TypeInt, "i j ib iw"}, {value.TypeFloat, "f g fb fn"}, {value.TypeText, "s u"}, {value.TypeDate, "d db"}, {value.TypeTimestamp, "ts tb"}} {
		for _, name := range strings.Fields(c.names) {
			table.Columns = append(table.Columns, Column{name, c.t})
		}
	}
	for i := range rows {
		row := []any{int64(i)}
		for _, c := range table.Columns[1:] {
			list := nasty[c.Type]
			cell := list[r.IntN(len(list))]
			if i < len(list) {
				cell = list[i]
			}
			if !k.holds(cell) {
				cell = nil
			}
			row = append(row, cell)
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

// generator makes random well-typed expressions over the nasty table.
type generator struct{ *rand.Rand }

func pick[T any](g generator, list ...T) T { return list[g.IntN(len(list))] }

var nastyColumns = map[value.Type][]string{
	value.TypeBool: {"b"}, value.TypeInt: {"i", "j", "ib", "iw"}, value.TypeFloat: {"f", "g", "fb", "fn"},
	value.TypeText: {"s", "u"}, value.TypeDate: {"d", "db"}, value.TypeTimestamp: {"ts", "tb"}}

var allTypes = []value.Type{value.TypeBool, value.TypeInt, value.TypeFloat, value.TypeText, value.TypeDate, value.TypeTimestamp}

func (g generator) literal(t value.Type) *expr.Expr {
	if g.IntN(15) == 0 {
		return expr.Literal(value.Null(t))
	}
	parse := func(list ...string) *expr.Expr {
		v, err := value.Parse(t, pick(g, list...))
		if err != nil {
			panic(err)
		}
		return expr.Literal(v)
	}
	switch t {
	case value.TypeBool:
		return parse("true", "false")
	case value.TypeInt:
		return parse("0", "1", "-1", "2", "-5", "7", "100", "50", "2147483647", "9223372036854775807", "-9223372036854775808", "4000000000000000001")
	case value.TypeFloat:
		return parse("0", "1", "-0.5", "0.1", "1e308", "5e-324", "250.25", "100", "-1e-300", "9007199254740993", "9223372036854775808")
	case value.TypeText:
		return parse("", "12", "> 89", "é", "it's", "\\", "%", "2020-02-29", "A", "St. Mary's")
	case value.TypeDate:
		return parse("1970-01-01", "2020-02-29", "1900-01-01", "2049-12-31", "0001-01-01", "9999-12-31")
	}
	return parse("1970-01-01", "2020-02-29 01:02:03.4", "1900-01-01", "2049-12-31 23:59:59", "0001-01-01", "9999-12-31 23:59:59.999999")
}

func (g generator) leaf(t value.Type) *expr.Expr {
	if g.IntN(4) == 0 {
		return g.literal(t)
	}
	if t == value.TypeText && g.IntN(8) == 0 {
		return expr.Hospital()
	}
	return expr.Column("T", pick(g, nastyColumns[t]...), t)
}

func must(e *expr.Expr, err error) *expr.Expr {
	if err != nil {
		panic(err)
	}
	return e
}

func (g generator) number(depth int) *expr.Expr {
	return g.expr(pick(g, value.TypeInt, value.TypeFloat), depth)
}

func (g generator) expr(t value.Type, depth int) *expr.Expr {
	if depth == 0 || g.IntN(12) == 0 {
		return g.leaf(t)
	}
	depth--
	sub := func(t value.Type) *expr.Expr { return g.expr(t, depth) }
	apply := func(op expr.Op, args ...*expr.Expr) *expr.Expr { return must(expr.New(op, args...)) }
	if g.IntN(6) == 0 {
		if s, ok := g.signature(t); ok {
			var args []*expr.Expr
			for _, a := range s.Args {
				args = append(args, sub(a))
			}
			return apply(s.Op, args...)
		}
	}
	if g.IntN(5) == 0 && t != value.TypeBool || g.IntN(14) == 0 {
		switch g.IntN(4) {
		case 0:
			return apply(expr.OpCase, sub(value.TypeBool), sub(t), sub(value.TypeBool), sub(t), sub(t))
		case 1:
			return apply(expr.OpCoalesce, sub(t), sub(t))
		case 2:
			if t == value.TypeFloat {
				return apply(pick(g, expr.OpLeast, expr.OpGreatest), sub(t), g.number(depth))
			}
			return apply(pick(g, expr.OpLeast, expr.OpGreatest), sub(t), sub(t), sub(t))
		default:
			if t == value.TypeFloat {
				return apply(expr.OpCase, sub(value.TypeBool), sub(value.TypeInt), sub(t))
			}
		}
	}
	switch t {
	case value.TypeBool:
		switch g.IntN(9) {
		case 7:
			return apply(expr.OpRegexp, sub(value.TypeText), expr.Literal(value.Text(g.pattern())))
		case 8:
			of := pick(g, allTypes...)
			return apply(expr.OpDistinct, sub(of), sub(of))
		case 0:
			return apply(pick(g, expr.OpAnd, expr.OpOr), sub(t), sub(t), sub(t))
		case 1:
			return apply(expr.OpNot, sub(t))
		case 2:
			return apply(expr.OpIsNull, sub(pick(g, allTypes...)))
		case 3:
			of := pick(g, allTypes...)
			args := []*expr.Expr{sub(of)}
			for range 1 + g.IntN(4) {
				other := of
				if of.Numeric() {
					other = pick(g, value.TypeInt, value.TypeFloat)
				}
				args = append(args, g.literal(other))
			}
			return apply(expr.OpIn, args...)
		case 4:
			return apply(expr.OpLike, sub(value.TypeText), expr.Literal(value.Text(pick(g, "%", "_", "a%b", `a\%b`, `a\_b`, `\a_b`, "", "1%", "%2", `\\%`, "__", "é", "%😀%", `a\\b`, "a_b"))))
		default:
			op := pick(g, expr.OpEqual, expr.OpNotEqual, expr.OpLess, expr.OpLessOrEqual, expr.OpGreater, expr.OpGreaterOrEqual)
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
			return apply(pick(g, expr.OpSubtract, expr.OpMonths), sub(of), sub(of))
		case 7:
			return apply(expr.OpLength, sub(value.TypeText))
		case 8:
			return apply(expr.OpPosition, sub(value.TypeText), sub(value.TypeText))
		case 0, 1:
			return apply(pick(g, expr.OpAdd, expr.OpSubtract, expr.OpMultiply), sub(t), sub(t))
		case 2:
			return apply(pick(g, expr.OpIntDivide, expr.OpModulo), sub(t), sub(t))
		case 3:
			return apply(pick(g, expr.OpNegate, expr.OpAbs, expr.OpFloor), sub(t))
		case 4:
			field := pick(g, "year", "isoyear", "quarter", "month", "week", "day", "doy", "dow", "isodow", "hour", "minute", "second")
			if field == "hour" || field == "minute" || field == "second" {
				return apply(expr.OpExtract, expr.Literal(value.Text(field)), sub(value.TypeTimestamp))
			}
			return apply(expr.OpExtract, expr.Literal(value.Text(field)), sub(pick(g, value.TypeDate, value.TypeTimestamp)))
		default:
			return must(expr.Cast(sub(pick(g, value.TypeText, value.TypeFloat, value.TypeBool)), t))
		}
	case value.TypeFloat:
		switch g.IntN(5) {
		case 0, 1:
			return apply(pick(g, expr.OpAdd, expr.OpSubtract, expr.OpMultiply), sub(t), g.number(depth))
		case 2:
			return apply(expr.OpDivide, g.number(depth), g.number(depth))
		case 3:
			if g.IntN(2) == 0 {
				return apply(expr.OpRound, sub(t), expr.Literal(value.Int(int64(g.IntN(16)))))
			}
			return apply(pick(g, expr.OpNegate, expr.OpAbs, expr.OpFloor, expr.OpCeiling, expr.OpSqrt), sub(t))
		default:
			return must(expr.Cast(sub(pick(g, value.TypeText, value.TypeInt)), t))
		}
	case value.TypeText:
		constant := func(list ...string) *expr.Expr { return expr.Literal(value.Text(pick(g, list...))) }
		switch x := sub(t); g.IntN(8) {
		case 0:
			return apply(expr.OpConcat, sub(t), expr.Column("T", "s", t), g.literal(t))
		case 1:
			return apply(pick(g, expr.OpLower, expr.OpUpper), x)
		case 2:
			return apply(pick(g, expr.OpLeftTrim, expr.OpRightTrim), x, constant(" ", "1", "é2 "))
		case 3, 4:
			return apply(expr.OpSubstring, x, g.near(depth), g.near(depth))
		case 5:
			return apply(expr.OpReplace, x, constant("a", "1", "é", "aa", "X"), constant("", "b", "it's"))
		case 6:
			return apply(expr.OpSplit, x, constant("X", "-", "a", ", "), expr.Literal(value.Int(int64(1+g.IntN(3)))))
		}
	case value.TypeDate, value.TypeTimestamp:
		units := []string{"year", "quarter", "month", "week", "day"}
		if t == value.TypeTimestamp {
			units = append(units, "hour", "minute", "second")
		}
		switch g.IntN(6) {
		case 0:
			if g.IntN(3) == 0 {
				return apply(expr.OpAdd, g.near(depth), sub(t))
			}
			return apply(expr.OpAdd, sub(t), g.near(depth))
		case 1:
			return apply(expr.OpSubtract, sub(t), g.near(depth))
		case 2:
			return apply(expr.OpTruncate, expr.Literal(value.Text(pick(g, units...))), sub(t))
		case 3:
			return apply(expr.OpAddMonths, sub(t), g.near(depth))
		case 4:
			if t == value.TypeDate {
				return apply(expr.OpMakeDate, g.near(depth), g.near(depth), g.near(depth))
			}
		}
	}
	switch t {
	case value.TypeText:
		return must(expr.Cast(sub(pick(g, value.TypeInt, value.TypeBool, value.TypeDate)), t))
	case value.TypeDate:
		return must(expr.Cast(sub(pick(g, value.TypeText, value.TypeTimestamp)), t))
	}
	return must(expr.Cast(sub(pick(g, value.TypeText, value.TypeDate)), t))
}

// signature picks an operation that gives a type exactly and takes no constants, and types of its arguments. So new
// operations of package expr are tested. Operations with a case of their own in expr get more suitable arguments there.
func (g generator) signature(t value.Type) (exprtest.Signature, bool) {
	of := map[expr.Op][]exprtest.Signature{}
	var ops []expr.Op
	for _, s := range signatures {
		if s.Type == t && s.Op.Exact() {
			if of[s.Op] == nil {
				ops = append(ops, s.Op)
			}
			of[s.Op] = append(of[s.Op], s)
		}
	}
	if len(ops) == 0 {
		return exprtest.Signature{}, false
	}
	return pick(g, of[pick(g, ops...)]...), true
}

var signatures = exprtest.Signatures()

// near is an int that is often small, like days, months and positions.
func (g generator) near(depth int) *expr.Expr {
	switch g.IntN(4) {
	case 0:
		return g.expr(value.TypeInt, depth)
	case 1:
		return expr.Column("T", "ib", value.TypeInt)
	}
	return expr.Literal(value.Int(pick[int64](g, 0, 1, 2, 3, -1, -2, 12, 13, 28, 29, 30, 31, 60, 1970, 2020, 9999, 1<<31, -1<<31, 1<<40)))
}

// pattern is a regular expression in its portable form.
func (g generator) pattern() string {
	p := pick(g, `a.b`, `^a`, `b$`, `^$`, `\d{2,4}`, `^[0-9]{4}-\d\d-\d\d$`, `[^a-z]`, `é|日`, `(a|b)*X`, `(?i)^[a-e]`, `\.`, `[\]\\^-]`, `\s`, `x?y?$`, `(?:12|)$`, `\$`, `^\S+$`, `[à-ÿ]`, `a{0}b`)
	p, err := expr.Regexp(p, g.IntN(3) == 0)
	if err != nil {
		panic(err)
	}
	return p
}
