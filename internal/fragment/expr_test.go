package fragment

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
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
		{must(t, OpYear, lit(value.Date(-1))), "1969"},
		{must(t, OpMonth, lit(value.Timestamp(-1))), "12"},
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
		{OpCoalesce, []*Expr{num(1), str("a")}}, {OpYear, []*Expr{num(1)}}, {"sleep", nil}, {OpIn, []*Expr{num(1), must(t, OpNegate, num(1))}},
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

var columns = map[string]Facts{
	"i": {Nullable: true, Lower: -7, Upper: 12},
	"f": {Nullable: true, Lower: -2.5, Upper: 100},
	"u": {Nullable: true, Lower: math.Inf(-1), Upper: math.Inf(1)}, // any int
	"b": {Nullable: true, Lower: 0, Upper: 1, Domain: []value.Value{value.Bool(false), value.Bool(true), value.Null(value.TypeBool)}},
	"d": {Nullable: false, Lower: 18000, Upper: 19000},
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
	ops := []Op{OpAdd, OpSubtract, OpMultiply, OpDivide, OpIntDivide, OpModulo, OpNegate, OpAbs, OpFloor, OpCeiling, OpRound, OpLeast, OpGreatest, OpCoalesce, OpCase, OpYear, OpCast}
	switch op := ops[r.IntN(len(ops))]; op {
	case OpNegate, OpAbs, OpFloor, OpCeiling:
		return must(r.t, op, x)
	case OpRound:
		return must(r.t, op, x, num(int64(r.IntN(3))))
	case OpIntDivide, OpModulo:
		return must(r.t, op, cast(r.t, x, value.TypeInt), cast(r.t, y, value.TypeInt))
	case OpCase:
		return must(r.t, op, r.condition(depth-1), x, y)
	case OpYear:
		return must(r.t, op, Column("t", "d", value.TypeDate))
	case OpCast:
		return cast(r.t, x, []value.Type{value.TypeInt, value.TypeFloat}[r.IntN(2)])
	default:
		return must(r.t, op, x, y)
	}
}

func (r random) condition(depth int) *Expr {
	switch r.IntN(6) {
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
		"s": value.Text([]string{"1", "x"}[r.IntN(2)]),
	}
	for name := range row {
		if columns[name].Nullable && r.IntN(6) == 0 {
			row[name] = value.Null(row[name].Type())
		}
	}
	if r.IntN(3) == 0 {
		row["i"], row["f"] = value.Int([]int64{-7, 0, 12}[r.IntN(3)]), value.Float([]float64{-2.5, 0, 100}[r.IntN(3)])
		row["u"] = value.Int([]int64{math.MinInt64, -1, 0, 1, math.MaxInt64}[r.IntN(5)])
	}
	return row
}

// TestFactsHold: over random expressions and rows, the value lies within the
// inferred bounds, is in the inferred domain, and is NULL only where that was
// foreseen. Bounds decide sensitivities, so this is a privacy property.
func TestFactsHold(t *testing.T) {
	seed := rand.Uint64()
	r := random{rand.New(rand.NewPCG(seed, 1)), t}
	for range 20_000 {
		e := r.number(3)
		if r.IntN(4) == 0 {
			e = r.condition(2)
		}
		f := Infer(e, func(c *Expr) Facts { return columns[c.Column] })
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

func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(`{"fragment":{"version":1,"relations":[{"name":"p","table":"person"}],"patient":{"op":"column"},"partials":[{"kind":"rows"}]}}`))
	f.Add([]byte(`{"fragment":{"version":1,"filter":{"op":"and","args":[null]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRequest(b)
		if err != nil {
			return
		}
		if p, err := Check(&r.Fragment, testCatalog(t)); err == nil {
			_ = r.Verify(p)
		}
	})
}

// TestBoundsOfHugeInts: float64 confuses neighbours beyond 2^53, and bounds must
// not; nor may a domain be counted out one by one there.
func TestBoundsOfHugeInts(t *testing.T) {
	for _, i := range []int64{1<<59 + 1, 1<<53 + 1, -(1<<53 + 1), math.MaxInt64, math.MinInt64} {
		f := Infer(must(t, OpCase, Column("t", "b", value.TypeBool), num(i), num(i)), func(*Expr) Facts { return columns["b"] })
		if exact := float64(i); f.Lower >= exact || f.Upper <= exact {
			t.Errorf("%d is bounded by [%v, %v]", i, f.Lower, f.Upper)
		}
		if f.Domain = wholeDomain(value.TypeInt, f); f.Domain != nil {
			t.Errorf("%d has the domain %v", i, f.Domain)
		}
	}
}
