package coordinator

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

func TestSaturatingSum(t *testing.T) {
	const s = dp.Saturation
	for _, test := range []struct{ a, b, want int64 }{
		{1, 2, 3}, {s, 1, s}, {-s, -1, -s}, {math.MaxInt64, math.MaxInt64, s}, {math.MinInt64, math.MinInt64, -s},
		{s, -s, 0}, {s - 1, 1, s}, {math.MinInt64, math.MaxInt64, 0},
	} {
		if got := dp.SaturatingSum(test.a, test.b); got != test.want {
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
		id := fragment.GroupID(keys)
		if j, twice := seen[id]; twice {
			t.Errorf("keys %d and %d have one id", i, j)
		}
		seen[id] = i
	}
	if fragment.GroupID([]value.Value{value.Float(math.Copysign(0, -1))}) != fragment.GroupID([]value.Value{value.Float(0)}) {
		t.Error("0 and -0 differ")
	}
}

// TestMergersShareOneLimit checks that the answers of many hospitals have one limit together, and that what no longer
// counts is freed.
func TestMergersShareOneLimit(t *testing.T) {
	total := newMerger(&fragment.Fragment{Keys: []fragment.Key{{Expr: expr.Column("p", "a", value.TypeInt)}}, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}}})
	total.most = 1000
	fill := func(m *merger, first, n int) error {
		for i := range n {
			if err := m.add([]value.Value{value.Int(int64(first + i))}, []int64{1}); err != nil {
				return err
			}
		}
		return nil
	}
	one, two := total.emptyCopy().(*merger), total.emptyCopy().(*merger)
	if err := errors.Join(fill(one, 0, 150), fill(two, 0, 150)); err != nil {
		t.Fatal(err)
	}
	if err := fill(total.emptyCopy().(*merger), 0, 150); !errors.Is(err, errTooManyGroups) {
		t.Errorf("a third hospital's groups: %v", err)
	}
	if err := total.merge(one); err != nil || len(total.cells) != 150 || len(one.cells) != 0 {
		t.Errorf("%v, %d cells", err, len(total.cells))
	}
	before := total.held.Load()
	two.drop()
	if got := before - total.held.Load(); got != 150*total.size(fragment.GroupID([]value.Value{value.Int(0)})) {
		t.Errorf("%d given back", got)
	}
}

// TestLongKeys adds groups until there are too many. Long keys count, because they are stored too.
func TestLongKeys(t *testing.T) {
	key := fragment.Key{Expr: expr.Column("p", "a", value.TypeText)}
	groups := func(length int, keys ...fragment.Key) (n int) {
		m := newMerger(&fragment.Fragment{Keys: keys, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}}})
		m.most = 1000
		m = m.emptyCopy().(*merger)
		for n = range 2000 {
			var values []value.Value
			for range keys {
				values = append(values, value.Text(strconv.Itoa(n)+strings.Repeat("x", length)))
			}
			if err := m.add(values, []int64{1}); err != nil {
				if !errors.Is(err, errTooManyGroups) {
					t.Error(err)
				}
				break
			}
		}
		return n
	}
	if n := groups(0, key); n < 400 {
		t.Errorf("%d groups of short keys", n)
	}
	if n := groups(512, key, key); n > 4 {
		t.Errorf("%d groups of keys of 1024 bytes, in the room of 8000 bytes", n)
	}
}
