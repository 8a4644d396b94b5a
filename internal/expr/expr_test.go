package expr

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/value"
)

func lit(v value.Value) *Expr { return Literal(v) }
func num(i int64) *Expr       { return lit(value.Int(i)) }
func flt(f float64) *Expr     { return lit(value.Float(f)) }
func str(s string) *Expr      { return lit(value.Text(s)) }

func must(t testing.TB, op Op, args ...*Expr) *Expr {
	t.Helper()
	e, err := New(op, args...)
	if err != nil {
		t.Fatalf("%s: %v", op, err)
	}
	return e
}

func cast(t testing.TB, e *Expr, to value.Type) *Expr {
	t.Helper()
	c, err := Cast(e, to)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func constant(*Expr) value.Value { panic("no columns here") }

func TestEvaluate(t *testing.T) {
	null, nullText, truth := lit(value.Null(value.TypeInt)), lit(value.Null(value.TypeText)), lit(value.Bool(true))
	unknownTruth := lit(value.Null(value.TypeBool))
	most := num(math.MaxInt64)
	for _, c := range []struct {
		e    *Expr
		want string
	}{
		{must(t, OpAdd, num(2), num(3)), "5"},
		{must(t, OpAdd, most, num(1)), "NULL"},
		{must(t, OpSubtract, num(math.MinInt64), num(1)), "NULL"},
		{must(t, OpMultiply, num(math.MinInt64), num(1)), "-9223372036854775808"},
		{must(t, OpMultiply, num(math.MinInt64), num(-1)), "NULL"},
		{must(t, OpMultiply, num(3037000500), num(3037000500)), "NULL"},
		{must(t, OpNegate, num(math.MinInt64)), "NULL"},
		{must(t, OpDivide, num(7), num(2)), "3.5"},
		{must(t, OpDivide, num(7), num(0)), "NULL"},
		{must(t, OpDivide, flt(1e308), flt(1e-10)), "NULL"},
		{must(t, OpIntDivide, num(-7), num(2)), "-3"},
		{must(t, OpIntDivide, num(math.MinInt64), num(-1)), "NULL"},
		{must(t, OpModulo, num(-7), num(2)), "-1"},
		{must(t, OpModulo, num(7), num(0)), "NULL"},
		{must(t, OpModulo, num(math.MinInt64), num(-1)), "0"},
		{must(t, OpRound, flt(2.5), num(0)), "3"},
		{must(t, OpRound, flt(-2.5), num(0)), "-3"},
		{must(t, OpRound, flt(1.25), num(1)), "1.3"},
		{must(t, OpFloor, flt(-0.5)), "-1"},
		{must(t, OpCeiling, flt(0.5)), "1"},
		{must(t, OpLeast, num(3), null, num(1)), "1"},
		{must(t, OpGreatest, null, null), "NULL"},
		{must(t, OpCoalesce, null, num(3), num(1)), "3"},
		{must(t, OpEqual, num(1), flt(1)), "true"},
		{must(t, OpIn, num(1), num(2), null), "NULL"},
		{must(t, OpIn, num(2), num(2), null), "true"},
		{must(t, OpAnd, truth, unknownTruth), "NULL"},
		{must(t, OpAnd, must(t, OpNot, truth), unknownTruth), "false"},
		{must(t, OpOr, truth, unknownTruth), "true"},
		{must(t, OpIsNull, null), "true"},
		{must(t, OpLike, str("100%"), str(`100\%`)), "true"},
		{must(t, OpLike, str("1000"), str(`100\%`)), "false"},
		{must(t, OpLike, str("a\nb"), str(`a_b`)), "true"},
		{must(t, OpLike, str("Flu"), str(`%flu%`)), "false"},
		{must(t, OpCase, unknownTruth, num(1), truth, num(2), null), "2"},
		{must(t, OpExtract, str("year"), lit(value.Date(-1))), "1969"},
		{must(t, OpExtract, str("month"), lit(value.Timestamp(-1))), "12"},
		{must(t, OpDistinct, null, num(1)), "true"},
		{must(t, OpDistinct, null, null), "false"},
		{must(t, OpDistinct, flt(1), num(1)), "false"},
		{cast(t, str("> 89"), value.TypeInt), "NULL"},
		{cast(t, str("-12"), value.TypeInt), "-12"},
		{cast(t, str("1e3"), value.TypeFloat), "1000"},
		{cast(t, str("1e999"), value.TypeFloat), "NULL"},
		{cast(t, str("2020-02-30"), value.TypeDate), "NULL"},
		{cast(t, flt(2.5), value.TypeInt), "3"},
		{cast(t, flt(1e19), value.TypeInt), "NULL"},
		{cast(t, lit(value.Timestamp(-1)), value.TypeDate), "1969-12-31"},
		{cast(t, nullText, value.TypeInt), "NULL"},
	} {
		if got := Evaluate(c.e, constant).String(); got != c.want {
			t.Errorf("%s = %s, want %s", c.e, got, c.want)
		}
	}
}

func TestMistyped(t *testing.T) {
	for _, c := range []struct {
		op   Op
		args []*Expr
	}{
		{OpAdd, []*Expr{num(1), str("a")}}, {OpAdd, []*Expr{num(1)}}, {OpAnd, []*Expr{num(1), num(1)}}, {OpLike, []*Expr{str("a"), str(`a\`)}},
		{OpRound, []*Expr{flt(1), num(16)}}, {OpRound, []*Expr{flt(1), flt(1)}}, {OpCase, []*Expr{num(1), num(1), num(1)}},
		{OpCoalesce, []*Expr{num(1), str("a")}}, {OpExtract, []*Expr{str("year"), num(1)}}, {"sleep", nil},
		{OpExtract, []*Expr{str("century"), lit(value.Date(1))}}, {OpExtract, []*Expr{str("hour"), lit(value.Date(1))}},
		{OpExtract, []*Expr{num(1), lit(value.Date(1))}}, {OpTruncate, []*Expr{str("second"), lit(value.Date(1))}}, {OpTruncate, []*Expr{str("dow"), lit(value.Date(1))}},
		{OpAdd, []*Expr{lit(value.Date(1)), lit(value.Date(1))}}, {OpAdd, []*Expr{lit(value.Date(1)), flt(1)}}, {OpSubtract, []*Expr{num(1), lit(value.Date(1))}},
		{OpSubtract, []*Expr{lit(value.Date(1)), lit(value.Timestamp(1))}}, {OpMonths, []*Expr{lit(value.Date(1)), lit(value.Timestamp(1))}},
		{OpAddMonths, []*Expr{num(1), num(1)}}, {OpMakeDate, []*Expr{num(1), num(1), flt(1)}}, {OpConcat, []*Expr{str("a"), num(1)}},
		{OpReplace, []*Expr{str("a"), str(""), str("b")}}, {OpReplace, []*Expr{str("a"), Column("t", "s", value.TypeText), str("b")}},
		{OpReplace, []*Expr{str("a"), str("a"), str(strings.Repeat("b", 65))}}, {OpSplit, []*Expr{str("a"), str(","), num(0)}},
		{OpLeftTrim, []*Expr{str("a"), str("")}}, {OpSubstring, []*Expr{str("a"), num(1), flt(1)}}, {OpRegexp, []*Expr{str("a"), str(`\d`)}},
		{OpRegexp, []*Expr{str("a"), str("(")}}, {OpLn, []*Expr{str("1")}}, {OpDistinct, []*Expr{str("1"), num(1)}},
		{OpIn, []*Expr{num(1), must(t, OpNegate, num(1))}},
		{OpEqual, []*Expr{num(1), nil}}, {OpIntDivide, []*Expr{flt(1), num(1)}},
	} {
		if e, err := New(c.op, c.args...); !errors.Is(err, ErrExpression) {
			t.Errorf("New(%s) = %v, %v, want ErrExpression", c.op, e, err)
		}
	}
	if _, err := Cast(flt(1), value.TypeText); !errors.Is(err, ErrExpression) {
		t.Errorf("a float casts to text: %v", err)
	}
}

// random builds expressions over three columns with known facts.
type random struct {
	*rand.Rand
	t testing.TB
}

var columns = map[string]Range{
	"i": {Nullable: true, Lower: -7, Upper: 12},
	"f": {Nullable: true, Lower: -2.5, Upper: 100},
	"u": {Nullable: true, Lower: math.Inf(-1), Upper: math.Inf(1)}, // any int
	"b": {Nullable: true, Lower: 0, Upper: 1, Domain: []value.Value{value.Bool(false), value.Bool(true), value.Null(value.TypeBool)}},
	"d": {Nullable: false, Lower: 18000, Upper: 19000},
	"e": {Nullable: true, Lower: math.Inf(-1), Upper: math.Inf(1)},                                     // any date
	"m": {Nullable: false, Lower: 18000 * microsecondsPerDay, Upper: 18003*microsecondsPerDay + 12345}, // a timestamp
	"n": {Nullable: true, Lower: math.Inf(-1), Upper: math.Inf(1)},                                     // any timestamp
	"w": {Nullable: true, Lower: math.Inf(-1), Upper: math.Inf(1)},                                     // any text
	"s": {Nullable: true, Lower: math.Inf(-1), Upper: math.Inf(1), Domain: []value.Value{value.Text("1"), value.Text("x"), value.Null(value.TypeText)}},
}

func (r random) number(depth int) *Expr {
	if depth == 0 || r.IntN(6) == 0 {
		switch r.IntN(6) {
		case 0:
			return num(int64(r.IntN(9) - 4))
		case 1:
			return flt(float64(r.IntN(9)-4) / 2)
		case 2:
			return Column("t", "i", value.TypeInt)
		case 3:
			return Column("t", "u", value.TypeInt)
		case 4:
			return cast(r.t, Column("t", "s", value.TypeText), value.TypeInt)
		}
		return Column("t", "f", value.TypeFloat)
	}
	x, y := r.number(depth-1), r.number(depth-1)
	ops := []Op{OpAdd, OpSubtract, OpMultiply, OpDivide, OpIntDivide, OpModulo, OpNegate, OpAbs, OpFloor, OpCeiling, OpRound, OpLeast, OpGreatest, OpCoalesce, OpCase, OpCast,
		OpExtract, OpMonths, OpSubtract, OpLength, OpPosition, OpSqrt, OpExp, OpLn, OpLog10, OpPower}
	switch op := ops[r.IntN(len(ops))]; op {
	case OpSubtract:
		if r.IntN(2) == 0 {
			t := r.dayType()
			return must(r.t, op, r.day(t, depth-1), r.day(t, depth-1))
		}
		return must(r.t, op, x, y)
	case OpSqrt, OpExp, OpLn, OpLog10:
		return must(r.t, op, x)
	case OpPower:
		return must(r.t, op, x, []*Expr{y, num(int64(r.IntN(5)))}[r.IntN(2)])
	case OpExtract:
		if t := r.dayType(); t == value.TypeTimestamp {
			return must(r.t, op, str([]string{"year", "quarter", "hour", "minute", "second", "dow", "week"}[r.IntN(7)]), r.day(t, depth-1))
		}
		return must(r.t, op, str([]string{"year", "isoyear", "quarter", "month", "week", "day", "doy", "dow", "isodow"}[r.IntN(9)]), r.day(value.TypeDate, depth-1))
	case OpMonths:
		t := r.dayType()
		return must(r.t, op, r.day(t, depth-1), r.day(t, depth-1))
	case OpLength:
		return must(r.t, op, r.text(depth-1))
	case OpPosition:
		return must(r.t, op, r.text(depth-1), r.text(depth-1))
	case OpNegate, OpAbs, OpFloor, OpCeiling:
		return must(r.t, op, x)
	case OpRound:
		return must(r.t, op, x, num(int64(r.IntN(3))))
	case OpIntDivide, OpModulo:
		return must(r.t, op, cast(r.t, x, value.TypeInt), cast(r.t, y, value.TypeInt))
	case OpCase:
		return must(r.t, op, r.condition(depth-1), x, y)
	case OpCast:
		return cast(r.t, x, []value.Type{value.TypeInt, value.TypeFloat}[r.IntN(2)])
	default:
		return must(r.t, op, x, y)
	}
}

func (r random) dayType() value.Type {
	return []value.Type{value.TypeDate, value.TypeTimestamp}[r.IntN(2)]
}

func (r random) whole(depth int) *Expr { return cast(r.t, r.number(depth), value.TypeInt) }

func (r random) day(t value.Type, depth int) *Expr {
	if depth <= 0 || r.IntN(4) == 0 {
		if t == value.TypeDate {
			return []*Expr{Column("t", "d", t), Column("t", "e", t), lit(value.Date(18262)), lit(value.Null(t))}[r.IntN(4)]
		}
		return []*Expr{Column("t", "m", t), Column("t", "n", t), lit(value.Timestamp(18262 * microsecondsPerDay))}[r.IntN(3)]
	}
	other := map[value.Type]value.Type{value.TypeDate: value.TypeTimestamp, value.TypeTimestamp: value.TypeDate}[t]
	switch x := r.day(t, depth-1); r.IntN(6) {
	case 0:
		return must(r.t, OpAdd, x, r.whole(depth-1))
	case 1:
		return must(r.t, OpSubtract, x, r.whole(depth-1))
	case 2:
		return must(r.t, OpTruncate, str([]string{"year", "quarter", "month", "week", "day"}[r.IntN(5)]), x)
	case 3:
		return must(r.t, OpAddMonths, x, r.whole(depth-1))
	case 4:
		return cast(r.t, r.day(other, depth-1), t)
	default:
		if t == value.TypeTimestamp {
			return must(r.t, OpTruncate, str([]string{"hour", "minute", "second"}[r.IntN(3)]), x)
		}
		return must(r.t, OpMakeDate, r.whole(depth-1), r.whole(depth-1), r.whole(depth-1))
	}
}

func (r random) text(depth int) *Expr {
	if depth <= 0 || r.IntN(4) == 0 {
		return []*Expr{Column("t", "s", value.TypeText), Column("t", "w", value.TypeText), str("É1"), lit(value.Null(value.TypeText))}[r.IntN(4)]
	}
	switch x := r.text(depth - 1); r.IntN(8) {
	case 0:
		return must(r.t, OpConcat, x, r.text(depth-1))
	case 1:
		return must(r.t, []Op{OpLower, OpUpper}[r.IntN(2)], x)
	case 2:
		return must(r.t, []Op{OpLeftTrim, OpRightTrim}[r.IntN(2)], x, str([]string{" ", "1", "x1"}[r.IntN(3)]))
	case 3:
		return must(r.t, OpSubstring, x, r.whole(depth-1), r.whole(depth-1))
	case 4:
		return must(r.t, OpReplace, x, str("1"), str([]string{"", "12"}[r.IntN(2)]))
	case 5:
		return must(r.t, OpSplit, x, str("1"), num(int64(1+r.IntN(3))))
	case 6:
		return cast(r.t, r.day(value.TypeDate, depth-1), value.TypeText)
	default:
		return must(r.t, OpCoalesce, x, r.text(depth-1))
	}
}

func (r random) condition(depth int) *Expr {
	switch r.IntN(9) {
	case 6:
		return must(r.t, OpRegexp, r.text(depth), str([]string{"1", "^x", "[^\n]$"}[r.IntN(3)]))
	case 7:
		return must(r.t, OpDistinct, r.number(depth), r.number(depth))
	case 8:
		t := r.dayType()
		return must(r.t, OpLess, r.day(t, depth), r.day(t, depth))
	case 0:
		return Column("t", "b", value.TypeBool)
	case 1:
		return must(r.t, OpIsNull, r.number(depth))
	case 2:
		return must(r.t, OpNot, Column("t", "b", value.TypeBool))
	case 3:
		return must(r.t, OpIn, Column("t", "s", value.TypeText), str("1"), str("y"))
	}
	return must(r.t, []Op{OpLess, OpEqual, OpGreaterOrEqual}[r.IntN(3)], r.number(depth), r.number(depth))
}

// row draws values within the columns' facts, extremes often.
func (r random) row() map[string]value.Value {
	f := columns["f"]
	row := map[string]value.Value{
		"i": value.Int(int64(r.IntN(20) - 7)), "f": value.Float(f.Lower + r.Float64()*(f.Upper-f.Lower)),
		"u": value.Int(int64(r.Uint64())), "b": value.Bool(r.IntN(2) == 0), "d": value.Date(18000 + int64(r.IntN(1001))),
		"s": value.Text([]string{"1", "x"}[r.IntN(2)]), "w": value.Text([]string{"", "x1é", " 1 1"}[r.IntN(3)]),
		"e": value.Date(value.MinDate + r.Int64N(value.MaxDate-value.MinDate+1)),
		"m": value.Timestamp(18000*microsecondsPerDay + r.Int64N(3*microsecondsPerDay+12346)),
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
		row["m"] = value.Timestamp([]int64{18000 * microsecondsPerDay, 18003*microsecondsPerDay + 12345}[r.IntN(2)])
		row["n"] = value.Timestamp([]int64{value.MinTimestamp, -1, value.MaxTimestamp}[r.IntN(3)])
		row["u"] = value.Int([]int64{math.MinInt64, -1, 0, 1, math.MaxInt64}[r.IntN(5)])
	}
	return row
}

// TestRangesHold: over random expressions and rows, the value lies within the
// inferred bounds, is in the inferred domain, and is NULL only where that was
// foreseen. Bounds decide sensitivities, so this is a privacy property.
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
		f := RangeOf(e, func(c *Expr) Range { return columns[c.Column] })
		for range 5 {
			row := r.row()
			v := Evaluate(e, func(c *Expr) value.Value { return row[c.Column] })
			if v.Type() != e.Type {
				t.Fatalf("seed %d: %s = %s is a %s, not a %s", seed, e, v, v.Type(), e.Type)
			}
			inDomain := f.Domain == nil
			for _, d := range f.Domain {
				inDomain = inDomain || d == v
			}
			switch {
			case v.IsNull() && !f.Nullable:
				t.Fatalf("seed %d: %s is NULL over %v, which was ruled out", seed, e, row)
			case !v.IsNull() && (v.Float64() < f.Lower || v.Float64() > f.Upper):
				t.Fatalf("seed %d: %s = %s over %v, outside [%v, %v]", seed, e, v, row, f.Lower, f.Upper)
			case !inDomain:
				t.Fatalf("seed %d: %s = %s over %v, outside its domain %v", seed, e, v, row, f.Domain)
			}
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
		var back Expr
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(&back)
		if err != nil || string(again) != string(b) {
			t.Fatalf("%s comes back as %s (%v)", b, again, err)
		}
	}
}

// TestBoundsOfHugeInts: float64 confuses neighbours beyond 2^53, and bounds must
// not; nor may a domain be counted out one by one there.
func TestBoundsOfHugeInts(t *testing.T) {
	for _, i := range []int64{1<<59 + 1, 1<<53 + 1, -(1<<53 + 1), math.MaxInt64, math.MinInt64} {
		f := RangeOf(must(t, OpCase, Column("t", "b", value.TypeBool), num(i), num(i)), func(*Expr) Range { return columns["b"] })
		if exact := float64(i); f.Lower >= exact || f.Upper <= exact {
			t.Errorf("%d is bounded by [%v, %v]", i, f.Lower, f.Upper)
		}
		if f.Domain = wholeDomain(value.TypeInt, f); f.Domain != nil {
			t.Errorf("%d has the domain %v", i, f.Domain)
		}
	}
}
