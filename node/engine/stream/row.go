package stream

import (
	"fmt"
	"strings"
	"time"

	"github.com/intramuros/intramuros/internal/value"
)

// Row returns a group as a row of the fragment's SQL, in the values of engine.Driver. Buckets are a text of the counts
// above 0.
func (p *Plan) Row(keys []value.Value, partials []int64) []any {
	row := make([]any, 0, len(keys)+len(p.Parts))
	for _, k := range keys {
		row = append(row, native(k))
	}
	for i := range p.Parts {
		leaves := p.Parts[i].Leaves
		if leaves == 0 {
			row, partials = append(row, partials[0]), partials[1:]
			continue
		}
		var packed strings.Builder
		for leaf, n := range partials[:leaves] {
			if n != 0 {
				fmt.Fprintf(&packed, "%d:%d ", leaf, n)
			}
		}
		row, partials = append(row, packed.String()), partials[leaves:]
	}
	return row
}

// native converts a value to that of engine.Driver.
func native(v value.Value) any {
	switch {
	case v.IsNull():
		return nil
	case v.Type() == value.TypeBool:
		return v.True()
	case v.Type() == value.TypeFloat:
		return v.Float64()
	case v.Type() == value.TypeText:
		return v.Str()
	case v.Type() == value.TypeDate:
		return time.Unix(v.Int64()*86400, 0).UTC()
	case v.Type() == value.TypeTimestamp:
		return time.UnixMicro(v.Int64()).UTC()
	}
	return v.Int64()
}
