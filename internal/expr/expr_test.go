package expr_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/value"
)

func constant(*expr.Expr) value.Value { panic("no columns here") }

func TestEvaluate(t *testing.T) {
	null, nullText, truth := expr.Literal(value.Null(value.TypeInt)), expr.Literal(value.Null(value.TypeText)), expr.Literal(value.Bool(true))
	unknownTruth := expr.Literal(value.Null(value.TypeBool))
	most := exprtest.Int(math.MaxInt64)
	for _, c := range []struct {
		e    *expr.Expr
		want string
	}{
		{exprtest.New(t, expr.OpAdd, exprtest.Int(2), exprtest.Int(3)), "5"},
		{exprtest.New(t, expr.OpAdd, most, exprtest.Int(1)), "NULL"},
		{exprtest.New(t, expr.OpSubtract, exprtest.Int(math.MinInt64), exprtest.Int(1)), "NULL"},
		{exprtest.New(t, expr.OpMultiply, exprtest.Int(math.MinInt64), exprtest.Int(1)), "-9223372036854775808"},
		{exprtest.New(t, expr.OpMultiply, exprtest.Int(math.MinInt64), exprtest.Int(-1)), "NULL"},
		{exprtest.New(t, expr.OpMultiply, exprtest.Int(3037000500), exprtest.Int(3037000500)), "NULL"},
		{exprtest.New(t, expr.OpNegate, exprtest.Int(math.MinInt64)), "NULL"},
		{exprtest.New(t, expr.OpDivide, exprtest.Int(7), exprtest.Int(2)), "3.5"},
		{exprtest.New(t, expr.OpDivide, exprtest.Int(7), exprtest.Int(0)), "NULL"},
		{exprtest.New(t, expr.OpDivide, exprtest.Float(1e308), exprtest.Float(1e-10)), "NULL"},
		{exprtest.New(t, expr.OpIntDivide, exprtest.Int(-7), exprtest.Int(2)), "-3"},
		{exprtest.New(t, expr.OpIntDivide, exprtest.Int(math.MinInt64), exprtest.Int(-1)), "NULL"},
		{exprtest.New(t, expr.OpModulo, exprtest.Int(-7), exprtest.Int(2)), "-1"},
		{exprtest.New(t, expr.OpModulo, exprtest.Int(7), exprtest.Int(0)), "NULL"},
		{exprtest.New(t, expr.OpModulo, exprtest.Int(math.MinInt64), exprtest.Int(-1)), "0"},
		{exprtest.New(t, expr.OpRound, exprtest.Float(2.5), exprtest.Int(0)), "3"},
		{exprtest.New(t, expr.OpRound, exprtest.Float(-2.5), exprtest.Int(0)), "-3"},
		{exprtest.New(t, expr.OpRound, exprtest.Float(1.25), exprtest.Int(1)), "1.3"},
		{exprtest.New(t, expr.OpFloor, exprtest.Float(-0.5)), "-1"},
		{exprtest.New(t, expr.OpCeiling, exprtest.Float(0.5)), "1"},
		{exprtest.New(t, expr.OpLeast, exprtest.Int(3), null, exprtest.Int(1)), "1"},
		{exprtest.New(t, expr.OpGreatest, null, null), "NULL"},
		{exprtest.New(t, expr.OpCoalesce, null, exprtest.Int(3), exprtest.Int(1)), "3"},
		{exprtest.New(t, expr.OpEqual, exprtest.Int(1), exprtest.Float(1)), "true"},
		{exprtest.New(t, expr.OpIn, exprtest.Int(1), exprtest.Int(2), null), "NULL"},
		{exprtest.New(t, expr.OpIn, exprtest.Int(2), exprtest.Int(2), null), "true"},
		{exprtest.New(t, expr.OpAnd, truth, unknownTruth), "NULL"},
		{exprtest.New(t, expr.OpAnd, exprtest.New(t, expr.OpNot, truth), unknownTruth), "false"},
		{exprtest.New(t, expr.OpOr, truth, unknownTruth), "true"},
		{exprtest.New(t, expr.OpIsNull, null), "true"},
		{exprtest.New(t, expr.OpLike, exprtest.Text("100%"), exprtest.Text(`100\%`)), "true"},
		{exprtest.New(t, expr.OpLike, exprtest.Text("1000"), exprtest.Text(`100\%`)), "false"},
		{exprtest.New(t, expr.OpLike, exprtest.Text("a\nb"), exprtest.Text(`a_b`)), "true"},
		{exprtest.New(t, expr.OpLike, exprtest.Text("Flu"), exprtest.Text(`%flu%`)), "false"},
		{exprtest.New(t, expr.OpCase, unknownTruth, exprtest.Int(1), truth, exprtest.Int(2), null), "2"},
		{exprtest.New(t, expr.OpExtract, exprtest.Text("year"), expr.Literal(value.Date(-1))), "1969"},
		{exprtest.New(t, expr.OpExtract, exprtest.Text("month"), expr.Literal(value.Timestamp(-1))), "12"},
		{exprtest.New(t, expr.OpDistinct, null, exprtest.Int(1)), "true"},
		{exprtest.New(t, expr.OpDistinct, null, null), "false"},
		{exprtest.New(t, expr.OpDistinct, exprtest.Float(1), exprtest.Int(1)), "false"},
		{exprtest.Cast(t, exprtest.Text("> 89"), value.TypeInt), "NULL"},
		{exprtest.Cast(t, exprtest.Text("-12"), value.TypeInt), "-12"},
		{exprtest.Cast(t, exprtest.Text("1e3"), value.TypeFloat), "1000"},
		{exprtest.Cast(t, exprtest.Text("1e999"), value.TypeFloat), "NULL"},
		{exprtest.Cast(t, exprtest.Text("2020-02-30"), value.TypeDate), "NULL"},
		{exprtest.Cast(t, exprtest.Float(2.5), value.TypeInt), "3"},
		{exprtest.Cast(t, exprtest.Float(1e19), value.TypeInt), "NULL"},
		{exprtest.Cast(t, expr.Literal(value.Timestamp(-1)), value.TypeDate), "1969-12-31"},
		{exprtest.Cast(t, nullText, value.TypeInt), "NULL"},
	} {
		if got := expr.Evaluate(c.e, constant).String(); got != c.want {
			t.Errorf("%s = %s, want %s", c.e, got, c.want)
		}
	}
}

func TestMistyped(t *testing.T) {
	for _, c := range []struct {
		op   expr.Op
		args []*expr.Expr
	}{
		{expr.OpAdd, []*expr.Expr{exprtest.Int(1), exprtest.Text("a")}}, {expr.OpAdd, []*expr.Expr{exprtest.Int(1)}}, {expr.OpAnd, []*expr.Expr{exprtest.Int(1), exprtest.Int(1)}}, {expr.OpLike, []*expr.Expr{exprtest.Text("a"), exprtest.Text(`a\`)}},
		{expr.OpRound, []*expr.Expr{exprtest.Float(1), exprtest.Int(16)}}, {expr.OpRound, []*expr.Expr{exprtest.Float(1), exprtest.Float(1)}}, {expr.OpCase, []*expr.Expr{exprtest.Int(1), exprtest.Int(1), exprtest.Int(1)}},
		{expr.OpCoalesce, []*expr.Expr{exprtest.Int(1), exprtest.Text("a")}}, {expr.OpExtract, []*expr.Expr{exprtest.Text("year"), exprtest.Int(1)}}, {"sleep", nil},
		{expr.OpExtract, []*expr.Expr{exprtest.Text("century"), expr.Literal(value.Date(1))}}, {expr.OpExtract, []*expr.Expr{exprtest.Text("hour"), expr.Literal(value.Date(1))}},
		{expr.OpExtract, []*expr.Expr{exprtest.Int(1), expr.Literal(value.Date(1))}}, {expr.OpTruncate, []*expr.Expr{exprtest.Text("second"), expr.Literal(value.Date(1))}}, {expr.OpTruncate, []*expr.Expr{exprtest.Text("dow"), expr.Literal(value.Date(1))}},
		{expr.OpAdd, []*expr.Expr{expr.Literal(value.Date(1)), expr.Literal(value.Date(1))}}, {expr.OpAdd, []*expr.Expr{expr.Literal(value.Date(1)), exprtest.Float(1)}}, {expr.OpSubtract, []*expr.Expr{exprtest.Int(1), expr.Literal(value.Date(1))}},
		{expr.OpSubtract, []*expr.Expr{expr.Literal(value.Date(1)), expr.Literal(value.Timestamp(1))}}, {expr.OpMonths, []*expr.Expr{expr.Literal(value.Date(1)), expr.Literal(value.Timestamp(1))}},
		{expr.OpAddMonths, []*expr.Expr{exprtest.Int(1), exprtest.Int(1)}}, {expr.OpMakeDate, []*expr.Expr{exprtest.Int(1), exprtest.Int(1), exprtest.Float(1)}}, {expr.OpConcat, []*expr.Expr{exprtest.Text("a"), exprtest.Int(1)}},
		{expr.OpReplace, []*expr.Expr{exprtest.Text("a"), exprtest.Text(""), exprtest.Text("b")}}, {expr.OpReplace, []*expr.Expr{exprtest.Text("a"), expr.Column("t", "s", value.TypeText), exprtest.Text("b")}},
		{expr.OpReplace, []*expr.Expr{exprtest.Text("a"), exprtest.Text("a"), exprtest.Text(strings.Repeat("b", 65))}}, {expr.OpSplit, []*expr.Expr{exprtest.Text("a"), exprtest.Text(","), exprtest.Int(0)}},
		{expr.OpLeftTrim, []*expr.Expr{exprtest.Text("a"), exprtest.Text("")}}, {expr.OpSubstring, []*expr.Expr{exprtest.Text("a"), exprtest.Int(1), exprtest.Float(1)}}, {expr.OpRegexp, []*expr.Expr{exprtest.Text("a"), exprtest.Text(`\d`)}},
		{expr.OpRegexp, []*expr.Expr{exprtest.Text("a"), exprtest.Text("(")}}, {expr.OpLn, []*expr.Expr{exprtest.Text("1")}}, {expr.OpDistinct, []*expr.Expr{exprtest.Text("1"), exprtest.Int(1)}},
		{expr.OpIn, []*expr.Expr{exprtest.Int(1), exprtest.New(t, expr.OpNegate, exprtest.Int(1))}},
		{expr.OpEqual, []*expr.Expr{exprtest.Int(1), nil}}, {expr.OpIntDivide, []*expr.Expr{exprtest.Float(1), exprtest.Int(1)}},
	} {
		if e, err := expr.New(c.op, c.args...); !errors.Is(err, expr.ErrExpression) {
			t.Errorf("New(%s) = %v, %v, want ErrExpression", c.op, e, err)
		}
	}
	if _, err := expr.Cast(exprtest.Float(1), value.TypeText); !errors.Is(err, expr.ErrExpression) {
		t.Errorf("a float casts to text: %v", err)
	}
}

// One day in microseconds, as timestamps count.
const day = 86_400_000_000

// random builds expressions over columns with known ranges.
type random struct {
	*rand.Rand
	t testing.TB
}

var columns = map[string]expr.Range{
	"i": {Nullable: true, Lower: -7, Upper: 12},
	"f": {Nullable: true, Lower: -2.5, Upper: 100},
	"u": {Nullable: true, Lower: math.Inf(-1), Upper: math.Inf(1)}, // any int
	"b": {Nullable: true, Lower: 0, Upper: 1, Domain: []value.Value{value.Bool(false), value.Bool(true), value.Null(value.TypeBool)}},
	"d": {Nullable: false, Lower: 18000, Upper: 19000},
	"e": {Nullable: true, Lower: math.Inf(-1), Upper: math.Inf(1)},       // any date
	"m": {Nullable: false, Lower: 18000 * day, Upper: 18003*day + 12345}, // a timestamp
	"n": {Nullable: true, Lower: math.Inf(-1), Upper: math.Inf(1)},       // any timestamp
	"w": {Nullable: true, Lower: math.Inf(-1), Upper: math.Inf(1)},       // any text
	"s": {Nullable: true, Lower: math.Inf(-1), Upper: math.Inf(1), Domain: []value.Value{value.Text("1"), value.Text("x"), value.Null(value.TypeText)}},
}

func (r random) number(depth int) *expr.Expr {
	if depth == 0 || r.IntN(6) == 0 {
		switch r.IntN(6) {
		case 0:
			return exprtest.Int(int64(r.IntN(9) - 4))
		case 1:
			return exprtest.Float(float64(r.IntN(9)-4) / 2)
		case 2:
			return expr.Column("t", "i", value.TypeInt)
		case 3:
			return expr.Column("t", "u", value.TypeInt)
		case 4:
			return exprtest.Cast(r.t, expr.Column("t", "s", value.TypeText), value.TypeInt)
		}
		return expr.Column("t", "f", value.TypeFloat)
	}
	x, y := r.number(depth-1), r.number(depth-1)
	ops := []expr.Op{expr.OpAdd, expr.OpSubtract, expr.OpMultiply, expr.OpDivide, expr.OpIntDivide, expr.OpModulo, expr.OpNegate, expr.OpAbs, expr.OpFloor, expr.OpCeiling, expr.OpRound, expr.OpLeast, expr.OpGreatest, expr.OpCoalesce, expr.OpCase, expr.OpCast,
		expr.OpExtract, expr.OpMonths, expr.OpSubtract, expr.OpLength, expr.OpPosition, expr.OpSqrt, expr.OpExp, expr.OpLn, expr.OpLog10, expr.OpPower}
	switch op := ops[r.IntN(len(ops))]; op {
	case expr.OpSubtract:
		if r.IntN(2) == 0 {
			t := r.dayType()
			return exprtest.New(r.t, op, r.day(t, depth-1), r.day(t, depth-1))
		}
		return exprtest.New(r.t, op, x, y)
	case expr.OpSqrt, expr.OpExp, expr.OpLn, expr.OpLog10:
		return exprtest.New(r.t, op, x)
	case expr.OpPower:
		return exprtest.New(r.t, op, x, []*expr.Expr{y, exprtest.Int(int64(r.IntN(5)))}[r.IntN(2)])
	case expr.OpExtract:
		if t := r.dayType(); t == value.TypeTimestamp {
			return exprtest.New(r.t, op, exprtest.Text([]string{"year", "quarter", "hour", "minute", "second", "dow", "week"}[r.IntN(7)]), r.day(t, depth-1))
		}
		return exprtest.New(r.t, op, exprtest.Text([]string{"year", "isoyear", "quarter", "month", "week", "day", "doy", "dow", "isodow"}[r.IntN(9)]), r.day(value.TypeDate, depth-1))
	case expr.OpMonths:
		t := r.dayType()
		return exprtest.New(r.t, op, r.day(t, depth-1), r.day(t, depth-1))
	case expr.OpLength:
		return exprtest.New(r.t, op, r.text(depth-1))
	case expr.OpPosition:
		return exprtest.New(r.t, op, r.text(depth-1), r.text(depth-1))
	case expr.OpNegate, expr.OpAbs, expr.OpFloor, expr.OpCeiling:
		return exprtest.New(r.t, op, x)
	case expr.OpRound:
		return exprtest.New(r.t, op, x, exprtest.Int(int64(r.IntN(3))))
	case expr.OpIntDivide, expr.OpModulo:
		return exprtest.New(r.t, op, exprtest.Cast(r.t, x, value.TypeInt), exprtest.Cast(r.t, y, value.TypeInt))
	case expr.OpCase:
		return exprtest.New(r.t, op, r.condition(depth-1), x, y)
	case expr.OpCast:
		return exprtest.Cast(r.t, x, []value.Type{value.TypeInt, value.TypeFloat}[r.IntN(2)])
	default:
		return exprtest.New(r.t, op, x, y)
	}
}

func (r random) dayType() value.Type {
	return []value.Type{value.TypeDate, value.TypeTimestamp}[r.IntN(2)]
}

func (r random) whole(depth int) *expr.Expr {
	return exprtest.Cast(r.t, r.number(depth), value.TypeInt)
}

func (r random) day(t value.Type, depth int) *expr.Expr {
	if depth <= 0 || r.IntN(4) == 0 {
		if t == value.TypeDate {
			return []*expr.Expr{expr.Column("t", "d", t), expr.Column("t", "e", t), expr.Literal(value.Date(18262)), expr.Literal(value.Null(t))}[r.IntN(4)]
		}
		return []*expr.Expr{expr.Column("t", "m", t), expr.Column("t", "n", t), expr.Literal(value.Timestamp(18262 * day))}[r.IntN(3)]
	}
	other := map[value.Type]value.Type{value.TypeDate: value.TypeTimestamp, value.TypeTimestamp: value.TypeDate}[t]
	switch x := r.day(t, depth-1); r.IntN(6) {
	case 0:
		return exprtest.New(r.t, expr.OpAdd, x, r.whole(depth-1))
	case 1:
		return exprtest.New(r.t, expr.OpSubtract, x, r.whole(depth-1))
	case 2:
		return exprtest.New(r.t, expr.OpTruncate, exprtest.Text([]string{"year", "quarter", "month", "week", "day"}[r.IntN(5)]), x)
	case 3:
		return exprtest.New(r.t, expr.OpAddMonths, x, r.whole(depth-1))
	case 4:
		return exprtest.Cast(r.t, r.day(other, depth-1), t)
	default:
		if t == value.TypeTimestamp {
			return exprtest.New(r.t, expr.OpTruncate, exprtest.Text([]string{"hour", "minute", "second"}[r.IntN(3)]), x)
		}
		return exprtest.New(r.t, expr.OpMakeDate, r.whole(depth-1), r.whole(depth-1), r.whole(depth-1))
	}
}

func (r random) text(depth int) *expr.Expr {
	if depth <= 0 || r.IntN(4) == 0 {
		return []*expr.Expr{expr.Column("t", "s", value.TypeText), expr.Column("t", "w", value.TypeText), exprtest.Text("É1"), expr.Literal(value.Null(value.TypeText))}[r.IntN(4)]
	}
	switch x := r.text(depth - 1); r.IntN(8) {
	case 0:
		return exprtest.New(r.t, expr.OpConcat, x, r.text(depth-1))
	case 1:
		return exprtest.New(r.t, []expr.Op{expr.OpLower, expr.OpUpper}[r.IntN(2)], x)
	case 2:
		return exprtest.New(r.t, []expr.Op{expr.OpLeftTrim, expr.OpRightTrim}[r.IntN(2)], x, exprtest.Text([]string{" ", "1", "x1"}[r.IntN(3)]))
	case 3:
		return exprtest.New(r.t, expr.OpSubstring, x, r.whole(depth-1), r.whole(depth-1))
	case 4:
		return exprtest.New(r.t, expr.OpReplace, x, exprtest.Text("1"), exprtest.Text([]string{"", "12"}[r.IntN(2)]))
	case 5:
		return exprtest.New(r.t, expr.OpSplit, x, exprtest.Text("1"), exprtest.Int(int64(1+r.IntN(3))))
	case 6:
		return exprtest.Cast(r.t, r.day(value.TypeDate, depth-1), value.TypeText)
	default:
		return exprtest.New(r.t, expr.OpCoalesce, x, r.text(depth-1))
	}
}

func (r random) condition(depth int) *expr.Expr {
	switch r.IntN(9) {
	case 6:
		return exprtest.New(r.t, expr.OpRegexp, r.text(depth), exprtest.Text([]string{"1", "^x", "[^\n]$"}[r.IntN(3)]))
	case 7:
		return exprtest.New(r.t, expr.OpDistinct, r.number(depth), r.number(depth))
	case 8:
		t := r.dayType()
		return exprtest.New(r.t, expr.OpLess, r.day(t, depth), r.day(t, depth))
	case 0:
		return expr.Column("t", "b", value.TypeBool)
	case 1:
		return exprtest.New(r.t, expr.OpIsNull, r.number(depth))
	case 2:
		return exprtest.New(r.t, expr.OpNot, expr.Column("t", "b", value.TypeBool))
	case 3:
		return exprtest.New(r.t, expr.OpIn, expr.Column("t", "s", value.TypeText), exprtest.Text("1"), exprtest.Text("y"))
	}
	return exprtest.New(r.t, []expr.Op{expr.OpLess, expr.OpEqual, expr.OpGreaterOrEqual}[r.IntN(3)], r.number(depth), r.number(depth))
}

// row draws values within the columns' ranges, often extreme ones.
func (r random) row() map[string]value.Value {
	f := columns["f"]
	row := map[string]value.Value{
		"i": value.Int(int64(r.IntN(20) - 7)), "f": value.Float(f.Lower + r.Float64()*(f.Upper-f.Lower)),
		"u": value.Int(int64(r.Uint64())), "b": value.Bool(r.IntN(2) == 0), "d": value.Date(18000 + int64(r.IntN(1001))),
		"s": value.Text([]string{"1", "x"}[r.IntN(2)]), "w": value.Text([]string{"", "x1é", " 1 1"}[r.IntN(3)]),
		"e": value.Date(value.MinDate + r.Int64N(value.MaxDate-value.MinDate+1)),
		"m": value.Timestamp(18000*day + r.Int64N(3*day+12346)),
		"n": value.Timestamp(value.MinTimestamp + r.Int64N(value.MaxTimestamp-value.MinTimestamp+1)),
	}
	for name := range row {
		if columns[name].Nullable && r.IntN(6) == 0 {
			row[name] = value.Null(row[name].Type())
		}
	}
	if r.IntN(3) == 0 {
		row["i"], row["f"] = value.Int([]int64{-7, 0, 12}[r.IntN(3)]), value.Float([]float64{-2.5, 0, 100}[r.IntN(3)])
		row["d"], row["e"] = value.Date([]int64{18000, 18262, 19000}[r.IntN(3)]), value.Date([]int64{value.MinDate, 0, value.MaxDate}[r.IntN(3)])
		row["m"] = value.Timestamp([]int64{18000 * day, 18003*day + 12345}[r.IntN(2)])
		row["n"] = value.Timestamp([]int64{value.MinTimestamp, -1, value.MaxTimestamp}[r.IntN(3)])
		row["u"] = value.Int([]int64{math.MinInt64, -1, 0, 1, math.MaxInt64}[r.IntN(5)])
	}
	return row
}

// TestRangesHold evaluates random expressions on random rows. The value must lie within the inferred bounds and in the
// inferred domain, and may be NULL only if the range says so. Ranges decide where SQL needs no guard, so a wrong range
// would let a query fail on its data.
func TestRangesHold(t *testing.T) {
	seed := rand.Uint64()
	r := random{rand.New(rand.NewPCG(seed, 1)), t}
	for range 20_000 {
		e := r.number(3)
		switch r.IntN(6) {
		case 0:
			e = r.condition(2)
		case 1:
			e = r.day(r.dayType(), 3)
		case 2:
			e = r.text(3)
		}
		r.holds(seed, e)
	}
}

// TestEveryOperation does the same for each operation that takes no constants, so that new operations are tested.
func TestEveryOperation(t *testing.T) {
	seed := rand.Uint64()
	r := random{rand.New(rand.NewPCG(seed, 3)), t}
	seen := map[expr.Op]bool{}
	for _, s := range exprtest.Signatures() {
		seen[s.Op] = true
		for range 60 {
			var args []*expr.Expr
			for _, a := range s.Args {
				args = append(args, r.of(a, r.IntN(2)))
			}
			r.holds(seed, exprtest.New(t, s.Op, args...))
		}
	}
	constants := []expr.Op{expr.OpColumn, expr.OpLiteral, expr.OpHospital, expr.OpCast, expr.OpExtract, expr.OpTruncate, expr.OpIn, expr.OpRound,
		expr.OpLeftTrim, expr.OpRightTrim, expr.OpReplace, expr.OpSplit, expr.OpLike, expr.OpRegexp}
	for _, op := range expr.Ops() {
		if seen[op] == slices.Contains(constants, op) {
			t.Errorf("%s: tested here is %t; what takes constants is listed, and TestRangesHold must have it", op, seen[op])
		}
	}
}

func (r random) of(t value.Type, depth int) *expr.Expr {
	switch t {
	case value.TypeBool:
		return r.condition(depth)
	case value.TypeInt:
		return r.whole(depth)
	case value.TypeFloat:
		return exprtest.Cast(r.t, r.number(depth), t)
	case value.TypeText:
		return r.text(depth)
	}
	return r.day(t, depth)
}

// holds compares an expression's range with its values on some rows.
func (r random) holds(seed uint64, e *expr.Expr) {
	r.t.Helper()
	f := expr.RangeOf(e, func(c *expr.Expr) expr.Range { return columns[c.Column] })
	for range 5 {
		row := r.row()
		v := expr.Evaluate(e, func(c *expr.Expr) value.Value { return row[c.Column] })
		if v.Type() != e.Type {
			r.t.Fatalf("seed %d: %s = %s is a %s, not a %s", seed, e, v, v.Type(), e.Type)
		}
		switch {
		case v.IsNull() && !f.Nullable:
			r.t.Fatalf("seed %d: %s is NULL over %v, which was ruled out", seed, e, row)
		case !v.IsNull() && (v.Float64() < f.Lower || v.Float64() > f.Upper):
			r.t.Fatalf("seed %d: %s = %s over %v, outside [%v, %v]", seed, e, v, row, f.Lower, f.Upper)
		case f.Domain != nil && !slices.Contains(f.Domain, v):
			r.t.Fatalf("seed %d: %s = %s over %v, outside its domain %v", seed, e, v, row, f.Domain)
		}
	}
}

func TestWireRoundTrip(t *testing.T) {
	r := random{rand.New(rand.NewPCG(rand.Uint64(), 2)), t}
	for range 2000 {
		e := r.number(3)
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back expr.Expr
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(&back)
		if err != nil || string(again) != string(b) {
			t.Fatalf("%s comes back as %s (%v)", b, again, err)
		}
	}
}

// TestBoundsOfHugeInts: float64 does not distinguish neighbouring ints beyond 2^53. Bounds must still hold there, and
// no domain may be listed one by one.
func TestBoundsOfHugeInts(t *testing.T) {
	for _, i := range []int64{1<<59 + 1, 1<<53 + 1, -(1<<53 + 1), math.MaxInt64, math.MinInt64} {
		f := expr.RangeOf(exprtest.New(t, expr.OpCase, expr.Column("t", "b", value.TypeBool), exprtest.Int(i), exprtest.Int(i)), func(*expr.Expr) expr.Range { return columns["b"] })
		if exact := float64(i); f.Lower >= exact || f.Upper <= exact {
			t.Errorf("%d is bounded by [%v, %v]", i, f.Lower, f.Upper)
		}
		if f.Domain = f.Values(value.TypeInt, nil).Domain; f.Domain != nil {
			t.Errorf("%d has the domain %v", i, f.Domain)
		}
	}
}
