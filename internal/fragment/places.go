package fragment

import (
	"math"
	"slices"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/intramuros/intramuros/internal/value"
)

// Places numbers the groups of a fragment whose keys all declare their domains, in the order of the keys: the first key
// is the most significant. So a group is found without keeping or comparing its keys.
type Places struct {
	fragment *Fragment
	keys     []placesOfKey
	groups   int
}

// placesOfKey has the places of one key's values in their order.
type placesOfKey struct {
	values []value.Value
	texts  map[string]int
	bits   map[uint64]int // values that are not texts
	null   int            // outside if NULL is not declared
}

// outside is the place of a value that is not declared.
const outside = -1

// Places returns nil if a key does not declare its domain. Check must accept the fragment.
func (f *Fragment) Places() *Places {
	p := &Places{fragment: f, groups: 1}
	for _, k := range f.Keys {
		if len(k.Domain) == 0 {
			return nil
		}
		of := placesOfKey{values: slices.SortedFunc(slices.Values(k.Domain), value.Compare), texts: map[string]int{}, bits: map[uint64]int{}, null: outside}
		for i, v := range of.values {
			switch {
			case v.IsNull():
				of.null = i
			case v.Type() == value.TypeText:
				of.texts[v.Str()] = i
			default:
				of.bits[bitsOf(v)] = i
			}
		}
		p.keys = append(p.keys, of)
		p.groups *= len(of.values)
	}
	return p
}

// bitsOf is equal for equal values of one type, other than texts and NULL, and different for different values.
func bitsOf(v value.Value) uint64 {
	if v.Type() == value.TypeFloat {
		return math.Float64bits(v.Float64())
	}
	return uint64(v.Int64())
}

// Groups is the number of declared groups.
func (p *Places) Groups() int { return p.groups }

// Keys returns the keys of every group, by its place.
func (p *Places) Keys() [][]value.Value {
	groups, all := make([][]value.Value, p.groups), make([]value.Value, p.groups*len(p.keys))
	for place := range groups {
		groups[place], all = all[:len(p.keys):len(p.keys)], all[len(p.keys):]
		for i, rest := len(p.keys)-1, place; i >= 0; i-- {
			values := p.keys[i].values
			groups[place][i], rest = values[rest%len(values)], rest/len(values)
		}
	}
	return groups
}

// ReadRecord is like the package's ReadRecord, but gives fn the places of groups and leaves out groups that are not
// declared.
func (p *Places) ReadRecord(r arrow.Record, fn func(place int, partials []int64) error) error {
	var places []int
	partials, err := readColumns(p.fragment, r, func(i int, column arrow.Array) bool {
		k := &p.keys[i]
		if i == 0 {
			places = make([]int, column.Len())
		}
		for row := range places {
			at, ok := k.of(column, row, p.fragment.Keys[i].Expr.Type)
			switch {
			case !ok:
				return false
			case at == outside || places[row] == outside:
				places[row] = outside
			default:
				places[row] = places[row]*len(k.values) + at
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	return eachGroup(p.fragment, int(r.NumRows()), partials, func(row int, sums []int64) error {
		place := 0 // the place of all rows, if there are no keys
		if len(p.keys) > 0 {
			place = places[row]
		}
		if place == outside {
			return nil
		}
		return fn(place, sums)
	})
}

// of finds the place of the value in a row. ok is false if ReadRecord would refuse the value.
func (k *placesOfKey) of(column arrow.Array, row int, t value.Type) (place int, ok bool) {
	if texts, is := column.(*array.String); is && !texts.IsNull(row) {
		s := texts.Value(row) // only looked up, because the record's memory belongs to the caller
		if place, ok = k.texts[s]; ok {
			return place, true
		}
		return outside, utf8.ValidString(s)
	}
	v, ok := readKey(column, row, t)
	if v.IsNull() {
		return k.null, ok
	}
	place, declared := k.bits[bitsOf(v)]
	if !declared {
		place = outside
	}
	return place, ok
}

// eachGroup calls fn with the partial aggregates of each row, side by side.
func eachGroup(f *Fragment, rows int, partials [][]int64, fn func(row int, partials []int64) error) error {
	sums := make([]int64, f.Width())
	for row := range rows {
		into := sums
		for _, column := range partials {
			width := len(column) / rows
			into = into[copy(into, column[row*width:(row+1)*width]):]
		}
		if err := fn(row, sums); err != nil {
			return err
		}
	}
	return nil
}
