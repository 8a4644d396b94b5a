package stream

import (
	"context"
	"math"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/intramuros/intramuros/internal/value"
)

// mostSums is the largest number of sums.
const mostSums = 1 << 24

// totals are sums over patients, group by group.
type totals struct {
	sums  []int64
	there []bool // the group is answered
}

// adder adds up partitions one after another: a few patients at a time, and for these one column after another.
type adder struct {
	totals
	op      *Operator
	plan    *Plan
	width   int
	scalars []int // the parts of one integer
	places  []int // where each part is among a group's integers
	twins   []int // by scalar: the part that is equal if no value is NULL; -1 if there is none

	// of a partition
	blocks  [][]uint32
	numbers table     // of patients, by their hashes
	local   []int32   // of patients, by all but the last bits of their numbers
	starts  []int32   // of each patient's rows, and their end
	at      []int32   // of each row as it was kept: its patient, and then where it is among the patients' rows
	columns [][]int32 // of rows by patient
	some    entries
	people  tally   // of a partition's, where nothing else tells rows apart
	slots   []int32 // by group: 1 + the patient's entry, or 0
	leaves  []uint64
}

// entries are pairs of a patient and a group, in the order of the patients.
type entries struct {
	from, to int     // the patients
	ends     []int   // where each patient's entries end
	groups   []int32 // the group of each entry
	rows     []int32 // the entry of each row
	counts   []int64 // the number of rows of each entry
	cells    []sums
	parts    [][]int64 // for each part of one integer: its value in each entry; unused for parts with a twin now
	same     []int     // for each part of one integer: an equal part now; -1 if there is none
	norms    []uint64  // of each entry
	counted  []uint64  // the greatest length of a count, in each entry
	factors  []uint64  // the factor of each entry's patient; 0 if the patient does not count
}

// sums are the sums of a cell in each entry, with the number of values that are not NULL. whole: no value is NULL.
type sums struct {
	sum, values []int64
	whole       bool
}

// mostEntries is the number of entries that are added up at once, apart from those of the last patient. They fit into
// the nearest cache.
const mostEntries = 256

func (op *Operator) groups() int {
	switch n := len(op.pairs); {
	case n > 0:
		return op.pairs[n-1].size()
	case len(op.keys) > 0:
		return op.keys[0].size()
	}
	return 1
}

// addUp adds up the partitions from op.from to to, and then discards their rows.
func (op *Operator) addUp(ctx context.Context, to, threads int) error {
	groups, width := op.groups(), op.plan.width()
	if groups*width > mostSums || int64(8*groups*width)*int64(threads+1) > op.most {
		return ErrTooMuch
	}
	op.totals.grow(groups, width)
	adders := make([]*adder, threads)
	var next atomic.Int64
	next.Store(int64(op.from))
	add := (*adder).partition
	if op.how.Load() == counted {
		pages := op.numbered()
		next.Store(0)
		to, add = len(pages), func(a *adder, ctx context.Context, at int) error { return a.page(ctx, pages[at]) }
	}
	work, ctx := errgroup.WithContext(ctx)
	for i := range adders {
		a := op.adder(groups, width)
		adders[i] = a
		work.Go(func() error {
			for {
				at := int(next.Add(1)) - 1
				if at >= to {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := add(a, ctx, at); err != nil {
					return err
				}
			}
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for _, a := range adders {
		if err := op.totals.add(&a.totals); err != nil {
			return err
		}
	}
	for _, t := range op.all {
		t.forget()
		for i := op.from; i < partitions && i < to; i++ {
			t.free(&t.parts[i])
		}
	}
	return nil
}

func (t *totals) grow(groups, width int) {
	t.sums = append(t.sums, make([]int64, groups*width-len(t.sums))...)
	t.there = append(t.there, make([]bool, groups-len(t.there))...)
}

func (t *totals) add(o *totals) error {
	for i, x := range o.sums {
		if err := plus(&t.sums[i], x); err != nil {
			return err
		}
	}
	for i, there := range o.there {
		t.there[i] = t.there[i] || there
	}
	return nil
}

// plus adds x, and returns an error in place of an overflow.
func plus(to *int64, x int64) error {
	sum := *to + x
	if (sum > *to) != (x > 0) && x != 0 {
		return ErrTooMuch
	}
	*to = sum
	return nil
}

func (op *Operator) adder(groups, width int) *adder {
	a := &adder{op: op, plan: op.plan, width: width, numbers: newTable(), columns: make([][]int32, op.plan.columns()), slots: make([]int32, groups)}
	a.grow(groups, width)
	at := 0
	for i := range op.plan.Parts {
		p := &op.plan.Parts[i]
		a.places = append(a.places, at)
		at += p.width()
		if !p.tree() {
			a.scalars = append(a.scalars, i)
		}
	}
	for _, i := range a.scalars {
		a.twins = append(a.twins, slices.IndexFunc(a.scalars, func(k int) bool { return op.plan.Parts[i].values(&op.plan.Parts[k]) }))
	}
	a.some.cells, a.some.parts, a.some.same = make([]sums, len(op.plan.Cells)), make([][]int64, len(a.scalars)), make([]int, len(a.scalars))
	return a
}

// partition gathers the rows of each patient of a partition, and adds them up.
func (a *adder) partition(ctx context.Context, at int) error {
	if a.op.tallies {
		return a.tallied(ctx, at)
	}
	if err := a.gather(at); err != nil {
		return err
	}
	for a.some.to = 0; a.some.to < len(a.starts)-1; {
		a.enter(a.some.to)
		if err := a.clip(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// gather sorts the rows of a partition by patient.
func (a *adder) gather(at int) error {
	w, rows := a.op.words, 0
	a.blocks = a.blocks[:0]
	for _, t := range a.op.all {
		a.blocks = append(append(a.blocks, t.parts[at].full...), t.parts[at].now)
	}
	for _, block := range a.blocks {
		rows += len(block) / w
	}
	if rows > math.MaxInt32 {
		return ErrTooMuch
	}
	a.at = room(a.at, rows)
	if a.op.how.Load() == numbered {
		a.codes()
	} else {
		a.number()
	}
	sum := int32(0)
	for i, n := range a.starts {
		a.starts[i] = sum
		sum += n
	}
	for row, n := range a.at {
		a.at[row] = a.starts[n]
		a.starts[n]++
	}
	a.starts = append(a.starts, 0)
	copy(a.starts[1:], a.starts) // each is now where the next begins
	a.starts[0] = 0
	for i := range a.columns {
		a.columns[i] = room(a.columns[i], rows)
		column, row := a.columns[i], 0
		for _, block := range a.blocks {
			for word := w - len(a.columns) + i; word < len(block); word += w {
				column[a.at[row]] = int32(block[word]) //nolint:gosec // its bits
				row++
			}
		}
	}
	return nil
}

// number numbers the patients of a partition, and counts the rows of each.
func (a *adder) number() {
	w, row := a.op.words, 0
	last, n := uint64(0), int32(0)
	a.numbers.reset()
	a.starts = a.starts[:0]
	for _, block := range a.blocks {
		for word := 0; word+1 < len(block); word += w {
			id := uint64(block[word]) | uint64(block[word+1])<<32
			if n == 0 || id != last { // rows of a patient often come together
				last = id
				at := a.numbers.at(id)
				if n = at.number; n == 0 {
					a.starts = append(a.starts, 0)
					n = int32(len(a.starts)) //nolint:gosec // a partition's patients
					a.numbers.put(at, id, n)
				}
			}
			a.starts[n-1]++
			a.at[row] = n - 1
			row++
		}
	}
}

// codes is number for patients that have numbers.
func (a *adder) codes() {
	const bits = partitionBits
	w, row := a.op.words, 0
	a.local = zeros(a.local, a.op.blocks.size()<<(blockBits-bits))
	a.starts = a.starts[:0]
	for _, block := range a.blocks {
		for word := 0; word < len(block); word += w {
			n := a.local[block[word]>>bits]
			if n == 0 {
				a.starts = append(a.starts, 0)
				n = int32(len(a.starts)) //nolint:gosec // a partition's patients
				a.local[block[word]>>bits] = n
			}
			a.starts[n-1]++
			a.at[row] = n - 1
			row++
		}
	}
}

// enter makes the entries of some patients, beginning with one.
func (a *adder) enter(from int) {
	some := &a.some
	some.from, some.to = from, from
	some.ends, some.groups, some.rows = some.ends[:0], some.groups[:0], some.rows[:0]
	first := a.starts[from]
	for len(some.groups) < mostEntries && some.to < len(a.starts)-1 {
		begin, end := a.starts[some.to], a.starts[some.to+1]
		some.rows = slices.Grow(some.rows, int(end-begin))[:end-first]
		a.divide(begin, end, some.rows[begin-first:])
		some.ends = append(some.ends, len(some.groups))
		some.to++
	}
	some.counts = zeros(some.counts, len(some.groups))
	for _, e := range some.rows {
		some.counts[e]++
	}
	for i := range some.cells {
		some.cells[i].add(a.columns[a.plan.groupColumns()+i][first:], some.rows, some.counts)
	}
}

// divide assigns each of a patient's rows to its entry.
func (a *adder) divide(begin, end int32, into []int32) {
	some := &a.some
	before := len(some.groups)
	if a.plan.groupColumns() == 0 {
		for i := range into {
			into[i] = int32(before) //nolint:gosec // at most the rows
		}
		some.groups = append(some.groups, 0)
		return
	}
	for i, g := range a.columns[0][begin:end] {
		e := a.slots[g]
		if e == 0 {
			some.groups = append(some.groups, g)
			e = int32(len(some.groups)) //nolint:gosec // at most the rows
			a.slots[g] = e
		}
		into[i] = e - 1
	}
	for _, g := range some.groups[before:] {
		a.slots[g] = 0
	}
}

// add adds up a column by entry. counts has the rows of each entry.
func (s *sums) add(column, entries []int32, counts []int64) {
	s.sum, s.values = zeros(s.sum, len(counts)), append(s.values[:0], counts...)
	sum, values := s.sum, s.values
	column = column[:len(entries)]
	s.whole = true
	for i, e := range entries {
		if v := column[i]; v != missing {
			sum[e] += int64(v)
			continue
		}
		values[e]--
		s.whole = false
	}
}

// zeros returns an array of n zeros.
func zeros[T any](have []T, n int) []T {
	have = room(have, n)
	clear(have)
	return have
}

// Each calls fn for each group, sorted by keys, with NULL last. Without keys there is one group. The slices are fn's
// until it returns.
func (op *Operator) Each(fn func(keys []value.Value, partials []int64) error) error {
	width := op.plan.width()
	if len(op.keys) == 0 {
		op.totals.grow(1, width)
		return fn(nil, op.totals.of(0, width))
	}
	type group struct {
		keys []value.Value
		at   int
	}
	var groups []group
	for at, there := range op.totals.there {
		if there {
			groups = append(groups, group{op.keysOf(int32(at)), at}) //nolint:gosec // at most maxCodes
		}
	}
	slices.SortFunc(groups, func(a, b group) int { return slices.CompareFunc(a.keys, b.keys, value.Compare) })
	for _, g := range groups {
		if err := fn(g.keys, op.totals.of(g.at, width)); err != nil {
			return err
		}
	}
	return nil
}

// most is the bound to which a sum over patients is clamped, so that sums over nodes do not overflow.
const most = 1 << 62

// of returns the sums of a group.
func (t *totals) of(group, width int) []int64 {
	sums := t.sums[group*width : (group+1)*width]
	for i, x := range sums {
		sums[i] = max(-most, min(x, most))
	}
	return sums
}

// keysOf returns the keys of a group by its number.
func (op *Operator) keysOf(code int32) []value.Value {
	keys := make([]value.Value, len(op.keys))
	for i := len(keys) - 1; i > 0; i-- {
		pair := op.pairs[i-1].pairs[code-1]
		keys[i] = op.keys[i].value(int32(pair & math.MaxUint32)) //nolint:gosec // as it was put there
		code = int32(pair >> 32)                                 //nolint:gosec // as above
	}
	keys[0] = op.keys[0].value(code)
	return keys
}
