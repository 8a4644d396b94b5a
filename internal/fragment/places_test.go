package fragment

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// declaredKeys has keys of all types, with domains in no order.
func declaredKeys() *Fragment {
	f := schemaFragment()
	for i, domain := range [][]value.Value{
		{value.Bool(true), value.Bool(false)},
		{value.Int(7), value.Null(value.TypeInt), value.Int(-7)},
		{value.Float(0.5), value.Float(-1)},
		{value.Text("b"), value.Text(""), value.Null(value.TypeText), value.Text("a")},
		{value.Date(3), value.Date(-3)},
		{value.Timestamp(5)},
	} {
		f.Keys[i].Domain = domain
	}
	return f
}

// TestPlaces: each declared group has its own place, in the order of the keys, and is found there again. A group that
// is not declared is left out.
func TestPlaces(t *testing.T) {
	f := declaredKeys()
	p, want := f.Places(), f.Groups()
	slices.SortFunc(want, func(a, b []value.Value) int { return slices.CompareFunc(a, b, value.Compare) })
	got := p.Keys()
	same := slices.Equal[[]value.Value]
	if p.Groups() != len(want) || !slices.EqualFunc(got, want, same) {
		t.Fatalf("%d groups, not the %d that are declared in their order", p.Groups(), len(want))
	}
	b := array.NewRecordBuilder(memory.NewGoAllocator(), f.Schema())
	defer b.Release()
	others := []value.Value{value.Null(value.TypeBool), value.Int(0), value.Float(0), value.Text("c"), value.Date(0), value.Null(value.TypeTimestamp)}
	var sent []int
	for range 1000 {
		place := rand.IntN(len(want))
		keys := slices.Clone(want[place])
		if i := rand.IntN(3 * len(keys)); i < len(keys) {
			keys[i] = others[i]
		} else {
			sent = append(sent, place)
		}
		AppendRow(b, keys, []int64{int64(place), -int64(place)})
	}
	r := b.NewRecord()
	defer r.Release()
	var read []int
	if err := p.ReadRecord(r, func(place int, partials []int64) error {
		if partials[0] != int64(place) || partials[1] != -int64(place) {
			t.Errorf("group %d has the numbers %v", place, partials)
		}
		read = append(read, place)
		return nil
	}); err != nil || !slices.Equal(read, sent) {
		t.Errorf("%v, %s", err, cmp.Diff(sent, read))
	}
	ours := errors.New("stop")
	if err := p.ReadRecord(r, func(int, []int64) error { return ours }); !errors.Is(err, ours) {
		t.Errorf("the caller's error is %v", err)
	}
	f.Keys[2].Domain = nil
	if f.Places() != nil {
		t.Error("a key is not declared, and yet there are places")
	}
	whole := (&Fragment{Partials: f.Partials}).Places()
	if got := whole.Keys(); whole.Groups() != 1 || len(got) != 1 || len(got[0]) != 0 {
		t.Errorf("without keys there are the groups %v", got)
	}
}

// TestPlacesRefuse: a text that is not UTF-8 is refused, declared or not, as ReadRecord refuses it.
func TestPlacesRefuse(t *testing.T) {
	f := &Fragment{Keys: []Key{{Expr: expr.Column("t", "c", value.TypeText), Domain: []value.Value{value.Text("a")}}}, Partials: []Partial{{Kind: PartialPatients}}}
	b := array.NewRecordBuilder(memory.NewGoAllocator(), f.Schema())
	defer b.Release()
	AppendRow(b, []value.Value{value.Text("a")}, []int64{1})
	AppendRow(b, []value.Value{value.Text("\xff")}, []int64{1})
	r := b.NewRecord()
	defer r.Release()
	if err := f.Places().ReadRecord(r, func(int, []int64) error {
		t.Error("it is handed over")
		return nil
	}); !errors.Is(err, ErrRecord) {
		t.Error(err)
	}
}
