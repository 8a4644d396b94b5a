package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// maxIntegers bounds the memory of a query at the coordinator, for all hospitals together: the number of groups times
// the integers of a group. A quantile takes some hundred integers. Keys that are not declared are stored twice, and
// count as integers of the same size: ten keys may be texts of 512 characters.
const maxIntegers = 64_000_000

var errTooManyGroups = errors.New("too many groups")

// cell is a group with its partial aggregates.
type cell struct {
	keys     []value.Value
	partials []int64
}

// sums adds up the hospitals' answers.
type sums interface {
	addRecord(arrow.Record) error // adds one record of one hospital
	merge(sums) error             // adds all of another hospital's sums, which are not used again
	drop()                        // discards an answer that does not count
}

// exact adds up partial aggregates, exactly.
type exact interface {
	sums
	emptyCopy() exact // an empty one for a single hospital's answer; their memory is bounded together
	list() []cell     // in an order that depends on the keys only
}

// merger adds up partial aggregates by group key, if not all keys have declared domains.
type merger struct {
	fragment *fragment.Fragment
	domains  []map[string]bool // by GroupID of each key; nil for a key without a domain
	cells    map[string]*cell  // by the keys' encoding
	held     *atomic.Int64     // the integers held by all mergers of the query, at most most
	most     int64             // maxIntegers
	id       []byte            // of the group that is being added
}

func newMerger(f *fragment.Fragment) *merger {
	m := &merger{fragment: f, cells: map[string]*cell{}, domains: make([]map[string]bool, len(f.Keys)), held: new(atomic.Int64), most: maxIntegers}
	for i, k := range f.Keys {
		if k.Domain == nil {
			continue
		}
		m.domains[i] = make(map[string]bool, len(k.Domain))
		for _, v := range k.Domain {
			m.domains[i][fragment.GroupID([]value.Value{v})] = true
		}
	}
	return m
}

// emptyCopy returns an empty merger for the same fragment.
func (m *merger) emptyCopy() exact {
	return &merger{fragment: m.fragment, domains: m.domains, held: m.held, most: m.most, cells: map[string]*cell{}}
}

// addRecord adds a record batch of one hospital. It leaves out groups outside the declared domains, which could not be
// released.
func (m *merger) addRecord(record arrow.Record) error {
	return fragment.ReadRecord(m.fragment, record, m.add)
}

// add copies what it keeps.
func (m *merger) add(keys []value.Value, partials []int64) error {
	for i := range keys {
		if m.domains[i] == nil {
			continue
		}
		if m.id = fragment.AppendGroupID(m.id[:0], keys[i:i+1]); !m.domains[i][string(m.id)] {
			return nil
		}
	}
	m.id = fragment.AppendGroupID(m.id[:0], keys)
	c, ok := m.cells[string(m.id)]
	if !ok {
		id := string(m.id)
		if size := m.size(id); m.held.Add(size) > m.most {
			m.held.Add(-size)
			return errTooManyGroups
		}
		c = &cell{keys: slices.Clone(keys), partials: make([]int64, m.fragment.Width())}
		m.cells[id] = c
	}
	addTo(c.partials, partials)
	return nil
}

func addTo(sums, partials []int64) {
	for i, p := range partials {
		sums[i] = dp.SaturatingSum(sums[i], p)
	}
}

// merge adds the answer of another hospital, and empties it.
func (m *merger) merge(other sums) error {
	o, ok := other.(*merger)
	if !ok {
		return fmt.Errorf("%T is added to partial aggregates", other)
	}
	for id, c := range o.cells {
		delete(o.cells, id)
		if have, ok := m.cells[id]; ok {
			addTo(have.partials, c.partials)
			o.held.Add(-o.size(id))
		} else {
			m.cells[id] = c // it is still held
		}
	}
	return nil
}

// drop discards the answer of a hospital that does not count.
func (m *merger) drop() {
	for id := range m.cells {
		m.held.Add(-m.size(id))
	}
	m.cells = nil
}

// size is what a group counts for: its integers and its keys.
func (m *merger) size(id string) int64 { return int64(m.fragment.Width()) + int64(2*len(id)/8) }

// list returns the cells that were reported.
func (m *merger) list() []cell {
	cells := make([]cell, 0, len(m.cells))
	for _, c := range m.cells {
		cells = append(cells, *c)
	}
	slices.SortFunc(cells, func(a, b cell) int { return slices.CompareFunc(a.keys, b.keys, value.Compare) })
	return cells
}
