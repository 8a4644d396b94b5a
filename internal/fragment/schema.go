package fragment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/intramuros/intramuros/internal/value"
)

// ErrRecord says that an Arrow record is not an answer to the fragment.
var ErrRecord = errors.New("the record does not answer the fragment")

// Schema is the Arrow schema of the fragment's answer. It has one row per group. The keys k0, k1, ... have their own
// types and may be NULL. The partial aggregates p0, p1, ... are never NULL: an integer, or for buckets a list of one
// integer per bucket.
func (f *Fragment) Schema() *arrow.Schema {
	fields := make([]arrow.Field, 0, len(f.Keys)+len(f.Partials))
	for i, k := range f.Keys {
		fields = append(fields, arrow.Field{Name: "k" + strconv.Itoa(i), Type: ArrowType(k.Expr.Type), Nullable: true})
	}
	for i, p := range f.Partials {
		field := arrow.Field{Name: "p" + strconv.Itoa(i), Type: arrow.PrimitiveTypes.Int64}
		if p.Buckets != nil {
			field.Type = arrow.FixedSizeListOf(int32(p.Buckets.Leaves()), arrow.PrimitiveTypes.Int64) //nolint:gosec // at most maxLeaves
		}
		fields = append(fields, field)
	}
	return arrow.NewSchema(fields, nil)
}

// ArrowType is the Arrow type of a column of values of type t.
func ArrowType(t value.Type) arrow.DataType {
	switch t {
	case value.TypeBool:
		return arrow.FixedWidthTypes.Boolean
	case value.TypeInt:
		return arrow.PrimitiveTypes.Int64
	case value.TypeFloat:
		return arrow.PrimitiveTypes.Float64
	case value.TypeDate:
		return arrow.FixedWidthTypes.Date32
	case value.TypeTimestamp:
		return &arrow.TimestampType{Unit: arrow.Microsecond}
	}
	return arrow.BinaryTypes.String
}

// AppendRow adds one group to a builder of the fragment's Schema. The keys must have the schema's types, and dates must
// fit the 32 bits of an Arrow date. partials are Fragment.Width integers, with those of buckets side by side.
func AppendRow(b *array.RecordBuilder, keys []value.Value, partials []int64) {
	for i, k := range keys {
		AppendValue(b.Field(i), k)
	}
	for i := len(keys); i < len(b.Fields()); i++ {
		switch field := b.Field(i).(type) {
		case *array.Int64Builder:
			field.Append(partials[0])
			partials = partials[1:]
		case *array.FixedSizeListBuilder:
			n := int(field.Type().(*arrow.FixedSizeListType).Len())
			field.Append(true)
			field.ValueBuilder().(*array.Int64Builder).AppendValues(partials[:n], nil)
			partials = partials[n:]
		}
	}
}

// AppendValue adds a value to a builder of its type's ArrowType. An invalid value counts as NULL. A date must fit the
// 32 bits of an Arrow date.
func AppendValue(b array.Builder, v value.Value) {
	if !v.Valid() || v.IsNull() {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(v.True())
	case *array.Int64Builder:
		b.Append(v.Int64())
	case *array.Float64Builder:
		b.Append(v.Float64())
	case *array.StringBuilder:
		b.Append(v.Str())
	case *array.Date32Builder:
		b.Append(arrow.Date32(v.Int64())) //nolint:gosec // within 32 bits, as the doc comment requires
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(v.Int64()))
	}
}

// ReadRecord calls fn for each group of an answer, in order, and stops at its first error. fn may read the slices until
// it returns. These records are refused with ErrRecord before fn is called: a record of another schema, or one with a
// NULL partial aggregate, a real number that is not finite, or a text that is not UTF-8.
func ReadRecord(f *Fragment, r arrow.Record, fn func(keys []value.Value, partials []int64) error) error {
	var keys [][]value.Value
	partials, err := readColumns(f, r, func(i int, column arrow.Array) bool {
		values := make([]value.Value, r.NumRows())
		for row := range values {
			var ok bool
			if values[row], ok = readKey(column, row, f.Keys[i].Expr.Type); !ok {
				return false
			}
		}
		keys = append(keys, values)
		return true
	})
	if err != nil {
		return err
	}
	row := make([]value.Value, len(keys))
	return eachGroup(f, int(r.NumRows()), partials, func(i int, sums []int64) error {
		for k := range keys {
			row[k] = keys[k][i]
		}
		return fn(row, sums)
	})
}

// readColumns copies the partial aggregates of a record that may come from anybody, and lets key read each column of
// keys. key returns false for a value that does not have the key's type. Arrow's accessors panic on buffers shorter
// than they claim; such a record is refused too.
func readColumns(f *Fragment, r arrow.Record, key func(i int, column arrow.Array) bool) (partials [][]int64, err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%w: its buffers are broken", ErrRecord)
		}
	}()
	want, rows := f.Schema(), int(r.NumRows())
	if got := r.Schema().Fields(); len(got) != len(want.Fields()) || int(r.NumCols()) != len(got) {
		return nil, fmt.Errorf("%w: %d columns, not %d", ErrRecord, len(got), len(want.Fields()))
	}
	for i, field := range want.Fields() {
		got, column := r.Schema().Field(i), r.Column(i)
		if got.Name != field.Name || !arrow.TypeEqual(got.Type, field.Type) || !arrow.TypeEqual(column.DataType(), field.Type) || column.Len() != rows {
			return nil, fmt.Errorf("%w: column %d is %s %s, not %s %s", ErrRecord, i, got.Name, got.Type, field.Name, field.Type)
		}
		if i >= len(f.Keys) {
			sums, err := readSums(column, rows*f.Partials[i-len(f.Keys)].Width(), field.Name)
			if err != nil {
				return nil, err
			}
			partials = append(partials, sums)
			continue
		}
		if !key(i, column) {
			return nil, fmt.Errorf("%w: column %s holds a value that is no %s", ErrRecord, field.Name, f.Keys[i].Expr.Type)
		}
	}
	return partials, nil
}

// readSums copies a column of partial aggregates of want integers per row.
func readSums(column arrow.Array, want int, name string) ([]int64, error) {
	offset := 0
	if list, ok := column.(*array.FixedSizeList); ok {
		if list.NullN() > 0 {
			return nil, fmt.Errorf("%w: column %s holds a NULL", ErrRecord, name)
		}
		offset = list.Offset() * int(list.DataType().(*arrow.FixedSizeListType).Len())
		column = list.ListValues()
	}
	sums, ok := column.(*array.Int64)
	if !ok || sums.NullN() > 0 {
		return nil, fmt.Errorf("%w: column %s holds a NULL", ErrRecord, name)
	}
	values := sums.Int64Values()
	if len(values) < offset+want || offset == 0 && len(values) != want {
		return nil, fmt.Errorf("%w: column %s holds %d values, not %d", ErrRecord, name, len(values)-offset, want)
	}
	return append([]int64(nil), values[offset:offset+want]...), nil
}

func readKey(column arrow.Array, row int, t value.Type) (value.Value, bool) {
	if column.IsNull(row) {
		return value.Null(t), true
	}
	switch column := column.(type) {
	case *array.Boolean:
		return value.Bool(column.Value(row)), true
	case *array.Int64:
		return value.Int(column.Value(row)), true
	case *array.Float64:
		x := column.Value(row)
		return value.Float(x), !math.IsNaN(x) && !math.IsInf(x, 0)
	case *array.String:
		s := column.Value(row)
		return value.Text(string([]byte(s))), utf8.ValidString(s) // a copy, because the record's memory belongs to the caller
	case *array.Date32:
		return value.Date(int64(column.Value(row))), true
	case *array.Timestamp:
		return value.Timestamp(int64(column.Value(row))), true
	}
	return value.Value{}, false
}

// GroupID encodes keys such that two encodings are equal exactly if the keys are.
func GroupID(keys []value.Value) string { return string(AppendGroupID(nil, keys)) }

// AppendGroupID appends GroupID to b.
func AppendGroupID(b []byte, keys []value.Value) []byte {
	for _, k := range keys {
		if k.IsNull() {
			b = append(b, 0)
			continue
		}
		b = append(b, 1)
		switch k.Type() {
		case value.TypeText:
			b = binary.AppendUvarint(b, uint64(len(k.Str())))
			b = append(b, k.Str()...)
		case value.TypeFloat:
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(k.Float64()))
		default:
			b = binary.BigEndian.AppendUint64(b, uint64(k.Int64()))
		}
	}
	return b
}
