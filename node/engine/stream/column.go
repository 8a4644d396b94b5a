package stream

import (
	"math/bits"

	"github.com/intramuros/intramuros/internal/value"
)

// Column is a column of a batch. Its type decides which list has its values, one for each row.
type Column struct {
	Valid  []uint64 // a bit for each row, set if the value is not NULL; nil: no value is NULL
	Ints   []int64  // int and timestamp
	Days   []int32  // date
	Floats []float64
	Bools  []uint8
	Text   func(row int) string // the text is valid as long as the batch
}

// null reports whether a row is NULL.
func (c *Column) null(row int) bool { return len(c.Valid) > 0 && c.Valid[row>>6]>>(row&63)&1 == 0 }

// nextNull is the index of the first NULL among n rows, from row on; n if there is none.
func (c *Column) nextNull(row, n int) int {
	for ; row < n && len(c.Valid) > 0; row = row&^63 + 64 {
		if nulls := ^c.Valid[row>>6] >> (row & 63); nulls != 0 {
			return min(n, row+bits.TrailingZeros64(nulls))
		}
	}
	return n
}

// word returns a value other than a text as a word.
func (c *Column) word(t value.Type, row int) uint64 {
	switch t {
	case value.TypeBool:
		return uint64(c.Bools[row])
	case value.TypeFloat:
		return wordOf(c.Floats[row])
	case value.TypeDate:
		return uint64(int64(c.Days[row])) //nolint:gosec // as it is
	}
	return uint64(c.Ints[row]) //nolint:gosec // as it is
}
