package coordinator

import (
	"math"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/value"
)

func TestSaturatingSum(t *testing.T) {
	const s = dp.Saturation
	for _, test := range []struct{ a, b, want int64 }{
		{1, 2, 3}, {s, 1, s}, {-s, -1, -s}, {math.MaxInt64, math.MaxInt64, s}, {math.MinInt64, math.MinInt64, -s},
		{s, -s, 0}, {s - 1, 1, s}, {math.MinInt64, math.MaxInt64, 0},
	} {
		if got := saturatingSum(test.a, test.b); got != test.want {
			t.Errorf("%d + %d = %d, not %d", test.a, test.b, got, test.want)
		}
	}
}

func TestGroupIDsDiffer(t *testing.T) {
	text := func(all ...string) (keys []value.Value) {
		for _, s := range all {
			keys = append(keys, value.Text(s))
		}
		return keys
	}
	seen := map[string]int{}
	for i, keys := range [][]value.Value{
		text("ab", "c"), text("a", "bc"), text("", "abc"), text("abc", ""), text("\x00", ""), text("", "\x00"),
		{value.Null(value.TypeText), value.Text("")}, {value.Text(""), value.Null(value.TypeText)},
		{value.Int(0)}, {value.Null(value.TypeInt)}, {value.Int(1)}, {value.Int(-1)}, {value.Float(0.5)}, {value.Bool(true), value.Bool(false)},
	} {
		id := groupID(keys)
		if j, twice := seen[id]; twice {
			t.Errorf("keys %d and %d have one id", i, j)
		}
		seen[id] = i
	}
	if groupID([]value.Value{value.Float(math.Copysign(0, -1))}) != groupID([]value.Value{value.Float(0)}) {
		t.Error("0 and -0 differ")
	}
}
