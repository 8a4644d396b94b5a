package value

import (
	"encoding/json"
	"math"
	"testing"
)

func samples() []Value {
	return []Value{
		Null(TypeInt), Null(TypeText), Bool(true), Bool(false), Int(0), Int(-7), Int(math.MaxInt64), Int(math.MinInt64),
		Float(0.1), Float(-1e300), Float(math.Copysign(0, -1)), Text(""), Text("it's \"quoted\""), Date(0), Date(-1), Date(18262),
		Timestamp(0), Timestamp(1577836800123456), Timestamp(-1),
	}
}

func TestTextAndJSONRoundTrip(t *testing.T) {
	for _, v := range samples() {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var w Value
		if err := json.Unmarshal(b, &w); err != nil || w != v {
			t.Errorf("%s: JSON %s gives %v, %v", v, b, w, err)
		}
		if v.IsNull() {
			continue
		}
		if w, err = Parse(v.Type(), v.String()); err != nil || w != v {
			t.Errorf("%s: text gives %v, %v", v, w, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		t Type
		s string
	}{{TypeInt, "1.5"}, {TypeInt, "9223372036854775808"}, {TypeFloat, "NaN"}, {TypeFloat, "Inf"}, {TypeFloat, "1e999"},
		{TypeBool, "1"}, {TypeDate, "2020-02-30"}, {TypeTimestamp, "yesterday"}, {"decimal", "1"}} {
		if v, err := Parse(c.t, c.s); err == nil {
			t.Errorf("Parse(%s, %q) = %v, want an error", c.t, c.s, v)
		}
	}
}

func TestFloatIsFinite(t *testing.T) {
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if v := Float(f); !v.IsNull() {
			t.Errorf("Float(%v) = %v, want NULL", f, v)
		}
	}
	if Float(math.Copysign(0, -1)) != Float(0) {
		t.Error("-0 and 0 differ")
	}
}

func TestCompareIsAnOrder(t *testing.T) {
	ordered := []Value{Int(-3), Float(-2.5), Int(0), Float(0.5), Int(1), Null(TypeInt)}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := Compare(a, b); got != want {
				t.Errorf("Compare(%s, %s) = %d, want %d", a, b, got, want)
			}
		}
	}
	if Compare(Text("a"), Text("b")) != -1 || Compare(Date(1), Date(0)) != 1 {
		t.Error("texts or dates out of order")
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, v := range samples() {
		b, _ := json.Marshal(v)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v Value
		if json.Unmarshal(b, &v) != nil {
			return
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var w Value
		if err := json.Unmarshal(again, &w); err != nil || w != v {
			t.Fatalf("%s -> %v -> %s -> %v (%v)", b, v, again, w, err)
		}
	})
}
