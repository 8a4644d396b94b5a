package fragment

import (
	"errors"
	"math"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

func schemaFragment() *Fragment {
	f := &Fragment{Partials: []Partial{{Kind: PartialPatients}, {Kind: PartialRows}}}
	for _, t := range []value.Type{value.TypeBool, value.TypeInt, value.TypeFloat, value.TypeText, value.TypeDate, value.TypeTimestamp} {
		f.Keys = append(f.Keys, Key{Expr: expr.Column("t", "c", t)})
	}
	return f
}

func FuzzRecordRoundTrip(f *testing.F) {
	f.Add(true, int64(-1), 0.5, "é", int32(-719162), int64(math.MaxInt64), int64(1)<<62, uint8(0))
	f.Add(false, int64(math.MinInt64), math.Copysign(0, -1), "", int32(0), int64(-1), int64(-5), uint8(63))
	f.Fuzz(func(t *testing.T, b bool, i int64, x float64, s string, d int32, ts, p int64, nulls uint8) {
		if !utf8.ValidString(s) {
			t.Skip()
		}
		fragment := schemaFragment()
		keys := []value.Value{value.Bool(b), value.Int(i), value.Float(x), value.Text(s), value.Date(int64(d)), value.Timestamp(ts)}
		for k := range keys {
			if nulls>>k&1 == 1 {
				keys[k] = value.Null(keys[k].Type())
			}
		}
		alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer alloc.AssertSize(t, 0)
		builder := array.NewRecordBuilder(alloc, fragment.Schema())
		defer builder.Release()
		AppendRow(builder, keys, []int64{p, -p})
		AppendRow(builder, keys, []int64{0, 1})
		r := builder.NewRecord()
		defer r.Release()
		n := 0
		err := ReadRecord(fragment, r, func(got []value.Value, partials []int64) error {
			for k := range keys {
				if got[k] != keys[k] {
					t.Errorf("key %d is %v, want %v", k, got[k], keys[k])
				}
			}
			if want := [][]int64{{p, -p}, {0, 1}}[n]; !cmp.Equal(want, partials) {
				t.Errorf("partials are %v, want %v", partials, want)
			}
			n++
			return nil
		})
		if err != nil || n != 2 {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}

func TestReadRecordRefuses(t *testing.T) {
	f := &Fragment{Keys: []Key{{Expr: expr.Column("t", "c", value.TypeFloat)}, {Expr: expr.Column("t", "s", value.TypeText)}}, Partials: []Partial{{Kind: PartialRows}}}
	declared := &Fragment{Keys: slices.Clone(f.Keys), Partials: f.Partials}
	declared.Keys[0].Domain, declared.Keys[1].Domain = []value.Value{value.Float(1)}, []value.Value{value.Text("a")}
	good := f.Schema()
	build := func(schema *arrow.Schema, fill func(*array.RecordBuilder)) arrow.Record {
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer b.Release()
		fill(b)
		return b.NewRecord()
	}
	row := func(x float64, s string, partial bool) func(*array.RecordBuilder) {
		return func(b *array.RecordBuilder) {
			b.Field(0).(*array.Float64Builder).Append(x)
			b.Field(1).(*array.StringBuilder).Append(s)
			if partial {
				b.Field(2).(*array.Int64Builder).Append(1)
			} else {
				b.Field(2).AppendNull()
			}
		}
	}
	fields := good.Fields()
	renamed := append([]arrow.Field(nil), fields...)
	renamed[0].Name = "k1"
	retyped := append([]arrow.Field(nil), fields...)
	retyped[0].Type = arrow.PrimitiveTypes.Float32
	two := build(good, func(b *array.RecordBuilder) { row(1, "a", true)(b); row(1, "a", true)(b) })
	offsets := memory.NewBufferBytes([]byte{0, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0}) // Arrow itself checks only the last one
	wild := array.NewStringData(array.NewData(arrow.BinaryTypes.String, 2, []*memory.Buffer{nil, offsets, memory.NewBufferBytes([]byte("ab"))}, nil, 0, 0))
	short := array.NewRecord(good, []arrow.Array{two.Column(0), wild, two.Column(2)}, 2)
	for name, r := range map[string]arrow.Record{
		"a NULL partial":    build(good, row(1, "a", false)),
		"NaN":               build(good, row(math.NaN(), "a", true)),
		"an infinity":       build(good, row(math.Inf(-1), "a", true)),
		"a text not UTF-8":  build(good, row(1, "\xff", true)),
		"another name":      build(arrow.NewSchema(renamed, nil), row(1, "a", true)),
		"a column too many": build(arrow.NewSchema(append(fields[:3:3], arrow.Field{Name: "p1", Type: arrow.PrimitiveTypes.Int64}), nil), func(b *array.RecordBuilder) { row(1, "a", true)(b); b.Field(3).AppendNull() }),
		"a column too few":  build(arrow.NewSchema(fields[:1], nil), func(b *array.RecordBuilder) { b.Field(0).AppendNull() }),
		"another type": build(arrow.NewSchema(retyped, nil), func(b *array.RecordBuilder) {
			b.Field(0).AppendNull()
			b.Field(1).AppendNull()
			b.Field(2).AppendNull()
		}),
		"offsets out of range": short,
	} {
		err := ReadRecord(f, r, func([]value.Value, []int64) error {
			t.Errorf("%s is handed over", name)
			return nil
		})
		if !errors.Is(err, ErrRecord) {
			t.Errorf("%s gives %v", name, err)
		}
		if err := declared.Places().ReadRecord(r, func(int, []int64) error {
			t.Errorf("%s has a place", name)
			return nil
		}); !errors.Is(err, ErrRecord) {
			t.Errorf("%s gives %v by places", name, err)
		}
	}
	ours := errors.New("stop")
	if err := ReadRecord(f, build(good, row(1, "a", true)), func([]value.Value, []int64) error { return ours }); !errors.Is(err, ours) {
		t.Errorf("the caller's error is %v", err)
	}
}
