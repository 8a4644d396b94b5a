package coordinator

import (
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/intramuros/intramuros/internal/fragment"
)

// declared adds up partial aggregates of declared groups, each at its index. At first it lists only the groups that
// came, so a hospital with few of many declared groups needs little memory. When the list would need more memory than
// all groups, it switches to all groups.
type declared struct {
	places *fragment.Places
	width  int           // integers of one group
	all    bool          // sums has all groups by index, and not those in noted
	noted  []uint32      // indexes of the groups that came, below fragment.MaxCells
	sums   []int64       // width integers for each group
	size   int64         // the integers that this counts for in held
	held   *atomic.Int64 // the integers held for all hospitals of the query, at most maxIntegers
	most   int64         // maxIntegers
}

func newDeclared(f *fragment.Fragment, places *fragment.Places) *declared {
	return &declared{places: places, width: f.Width(), held: new(atomic.Int64), most: maxIntegers}
}

func (d *declared) emptyCopy() exact {
	return &declared{places: d.places, width: d.width, held: d.held, most: d.most}
}

// addRecord adds a record batch of one hospital. It leaves out groups outside the declared domains, which could not be
// released.
func (d *declared) addRecord(record arrow.Record) error {
	return d.places.ReadRecord(record, func(place int, partials []int64) error {
		if !d.all && len(d.noted) == cap(d.noted) {
			if err := d.grow(max(64, len(d.noted))); err != nil {
				return err
			}
		}
		d.add(place, partials)
		return nil
	})
}

// add adds a group; there must be room.
func (d *declared) add(place int, partials []int64) {
	if d.all {
		addTo(d.sums[place*d.width:(place+1)*d.width], partials)
		return
	}
	d.noted = append(d.noted, uint32(place)) //nolint:gosec // below fragment.MaxCells
	d.sums = append(d.sums, partials...)
}

// grow makes room for that many more groups.
func (d *declared) grow(more int) error {
	whole, size := int64(d.places.Groups()*d.width), int64((len(d.noted)+more)*(d.width+1))
	all := size >= whole
	if err := d.count(min(size, whole)); err != nil {
		return err
	}
	noted, sums := d.noted, d.sums
	if d.all = all; all {
		d.noted, d.sums = nil, make([]int64, whole)
		for i, place := range noted {
			d.add(int(place), sums[i*d.width:(i+1)*d.width])
		}
		return nil
	}
	d.noted = append(make([]uint32, 0, len(noted)+more), noted...)
	d.sums = append(make([]int64, 0, (len(noted)+more)*d.width), sums...)
	return nil
}

// count records that this takes size integers.
func (d *declared) count(size int64) error {
	more := size - d.size
	if held := d.held.Add(more); more > 0 && held > d.most {
		d.held.Add(-more)
		return errTooManyGroups
	}
	d.size = size
	return nil
}

// merge adds the answer of another hospital, and empties it.
func (d *declared) merge(other sums) error {
	o, ok := other.(*declared)
	if !ok {
		return fmt.Errorf("%T is added to partial aggregates of declared groups", other)
	}
	if o.all && !d.all || len(d.noted)+len(d.sums) == 0 {
		d.all, d.noted, d.sums, d.size, o.all, o.noted, o.sums, o.size = o.all, o.noted, o.sums, o.size, d.all, d.noted, d.sums, d.size
	}
	if !d.all && len(o.noted) > cap(d.noted)-len(d.noted) {
		if err := d.grow(max(len(o.noted), len(d.noted))); err != nil {
			return err
		}
	}
	if o.all {
		addTo(d.sums, o.sums)
	}
	for i, place := range o.noted {
		d.add(int(place), o.sums[i*o.width:(i+1)*o.width])
	}
	o.drop()
	return nil
}

// drop discards the answer of a hospital that does not count.
func (d *declared) drop() {
	d.held.Add(-d.size)
	d.all, d.noted, d.sums, d.size = false, nil, nil, 0
}

// list returns the cells of all declared groups, with zeros for those that no hospital reported.
func (d *declared) list() []cell {
	sums := d.sums
	if !d.all {
		sums = make([]int64, d.places.Groups()*d.width)
		for i, place := range d.noted {
			addTo(sums[int(place)*d.width:], d.sums[i*d.width:(i+1)*d.width])
		}
	}
	cells := make([]cell, d.places.Groups())
	for place, keys := range d.places.Keys() {
		cells[place] = cell{keys, sums[place*d.width : (place+1)*d.width : (place+1)*d.width]}
	}
	return cells
}
