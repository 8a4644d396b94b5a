package duckdb

import (
	"fmt"
	"time"
)

const (
	batchRows  = 2048
	batchBytes = 1 << 20 // of texts
)

// kind is the type of a column's values, in the types of engine.Driver.
type kind uint8

const (
	kindNone kind = iota // every value is NULL
	kindBool
	kindInt
	kindFloat
	kindText
	kindTime
)

// rows are rows of an answer, sent by a worker column by column. So gob transfers them without reflection on each
// value.
type rows struct {
	N       int
	Columns []column
	bytes   int
}

// column is one column of rows. The list of its kind has a value for each row.
type column struct {
	Kind   kind
	Null   []byte // 1 for each NULL
	Ints   []int64
	Nanos  []int64 // for times; the seconds are in Ints
	Floats []float64
	Texts  []string
}

// full reports whether the rows should be sent now.
func (r *rows) full() bool { return r.N >= batchRows || r.bytes >= batchBytes }

// add appends a row of a driver's values.
func (r *rows) add(row []any) error {
	if r.Columns == nil {
		r.Columns = make([]column, len(row))
	}
	for i, v := range row {
		if err := r.Columns[i].add(v, r.N); err != nil {
			return err
		}
		if s, ok := v.(string); ok {
			r.bytes += len(s)
		}
	}
	r.N++
	return nil
}

// add appends the value of row n.
func (c *column) add(v any, n int) error {
	k := kindNone
	switch v.(type) {
	case nil:
	case bool:
		k = kindBool
	case int64:
		k = kindInt
	case float64:
		k = kindFloat
	case string:
		k = kindText
	case time.Time:
		k = kindTime
	default:
		return fmt.Errorf("a column of type %T", v)
	}
	if c.Kind == kindNone && k != kindNone { // the earlier rows are NULL
		c.Kind = k
		switch k {
		case kindFloat:
			c.Floats = make([]float64, n)
		case kindText:
			c.Texts = make([]string, n)
		case kindTime:
			c.Ints, c.Nanos = make([]int64, n), make([]int64, n)
		default:
			c.Ints = make([]int64, n)
		}
	}
	if k == kindNone {
		c.Null = append(c.Null, 1)
		switch c.Kind {
		case kindNone:
		case kindFloat:
			c.Floats = append(c.Floats, 0)
		case kindText:
			c.Texts = append(c.Texts, "")
		case kindTime:
			c.Ints, c.Nanos = append(c.Ints, 0), append(c.Nanos, 0)
		default:
			c.Ints = append(c.Ints, 0)
		}
		return nil
	}
	if k != c.Kind {
		return fmt.Errorf("a column of two types, one of them %T", v)
	}
	c.Null = append(c.Null, 0)
	switch v := v.(type) {
	case bool:
		if v {
			c.Ints = append(c.Ints, 1)
		} else {
			c.Ints = append(c.Ints, 0)
		}
	case int64:
		c.Ints = append(c.Ints, v)
	case float64:
		c.Floats = append(c.Floats, v)
	case string:
		c.Texts = append(c.Texts, v)
	case time.Time:
		c.Ints, c.Nanos = append(c.Ints, v.Unix()), append(c.Nanos, int64(v.Nanosecond()))
	}
	return nil
}

// each calls fn for each row. The slice is reused. It is an error if the columns have different lengths.
func (r *rows) each(fn func(row []any) error) error {
	for _, c := range r.Columns {
		if len(c.Null) != r.N || c.Kind != kindNone && r.N != map[kind]int{
			kindBool: len(c.Ints), kindInt: len(c.Ints), kindFloat: len(c.Floats), kindText: len(c.Texts), kindTime: min(len(c.Ints), len(c.Nanos)),
		}[c.Kind] {
			return fmt.Errorf("a worker sent rows that do not fit together")
		}
	}
	row := make([]any, len(r.Columns))
	for n := range r.N {
		for i := range r.Columns {
			row[i] = r.Columns[i].value(n)
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	return nil
}

func (c *column) value(n int) any {
	if c.Null[n] != 0 {
		return nil
	}
	switch c.Kind {
	case kindBool:
		return c.Ints[n] != 0
	case kindInt:
		return c.Ints[n]
	case kindFloat:
		return c.Floats[n]
	case kindText:
		return c.Texts[n]
	case kindTime:
		return time.Unix(c.Ints[n], c.Nanos[n]).UTC()
	}
	return nil
}
