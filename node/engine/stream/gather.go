package stream

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/intramuros/intramuros/internal/value"
)

// ErrTooMuch means that rows, groups or sums are more than an Operator holds.
var ErrTooMuch = errors.New("the rows are more than the operator holds")

const (
	partitionBits = 8
	partitions    = 1 << partitionBits
	leastBlock    = 64      // rows
	mostBlock     = 1 << 14 // words
)

// Column is a column of a batch. The list of its type has a value for each row.
type Column struct {
	Valid  []uint64 // a bit for each row: it is not NULL; nil: none is
	Ints   []int64  // int and timestamp
	Days   []int32  // date
	Floats []float64
	Bools  []uint8
	Text   func(row int) string // whose text lasts as long as the batch
}

// null reports whether a row is NULL.
func (c *Column) null(row int) bool { return len(c.Valid) > 0 && c.Valid[row>>6]>>(row&63)&1 == 0 }

// Operator adds up rows. Add may be called from any number of goroutines.
type Operator struct {
	plan  *Plan
	most  int64 // bytes
	words int   // of a row as it is kept
	seed  uint64

	patients *dictionary   // of texts; else nil
	keys     []*dictionary // a number for each value
	pairs    []*dictionary // from the second key on: of the number so far and the key's

	used      atomic.Int64 // bytes of rows and texts
	from      int          // the first partition of this reading
	limit     atomic.Int64 // and the one after the last
	rows      atomic.Int64 // of this reading
	tallies   bool         // nothing but the patient tells rows apart
	mu        sync.Mutex
	free, all []*thread
	totals    totals
}

// thread is what one goroutine at a time has.
type thread struct {
	op       *Operator
	parts    [partitions]part
	to       int        // the limit that it has seen
	spare    [][]uint32 // whole blocks
	patients known
	keys     []known
	pairs    []known
	ids      []uint64            // hashes of the patients
	columns  [][]int32           // the group where there are keys, and the cells
	skip     []bool              // of rows without a patient; empty: none is
	places   []uint16            // the partition of each row
	order    []int32             // the rows, by partition
	ends     [partitions + 1]int // of each partition among them
	people   tally               // of rows that came patient by patient
	at       []int               // of each row, where the record of its patient begins
}

// part has a thread's rows of one partition: the hash of the patient in two words, and the columns.
type part struct {
	now  []uint32
	full [][]uint32
}

// New begins an operator that holds at most so many bytes.
func (p *Plan) New(most int64) (*Operator, error) {
	for i := range p.Cells {
		if !p.Cells[i].Fits() {
			return nil, fmt.Errorf("%w: a number has more than 32 bits", ErrTooMuch)
		}
	}
	var seed [8]byte // it scatters, and decides nothing
	rand.Read(seed[:])
	op := &Operator{plan: p, most: most, words: 2 + p.columns(), seed: binary.LittleEndian.Uint64(seed[:]), tallies: p.tallies()}
	op.limit.Store(partitions)
	if p.Patient == value.TypeText {
		op.patients = newDictionary(value.TypeText, 1<<31-1)
	}
	for i, k := range p.Keys {
		op.keys = append(op.keys, newDictionary(k, maxCodes))
		if i > 0 {
			op.pairs = append(op.pairs, newDictionary("", maxCodes))
		}
	}
	return op, nil
}

// Add takes rows, of which the columns are the plan's.
func (op *Operator) Add(rows int, columns []Column) error {
	op.rows.Add(int64(rows))
	t := op.take()
	defer op.give(t)
	return t.add(rows, columns)
}

// Rows is how many rows it was given since Again, or the beginning.
func (op *Operator) Rows() int64 { return op.rows.Load() }

func (op *Operator) take() *thread {
	op.mu.Lock()
	defer op.mu.Unlock()
	if n := len(op.free); n > 0 {
		t := op.free[n-1]
		op.free = op.free[:n-1]
		return t
	}
	t := &thread{op: op, to: partitions, patients: known{of: op.patients}, columns: make([][]int32, op.plan.columns())}
	for _, d := range op.keys {
		t.keys = append(t.keys, known{of: d, words: newTable()})
	}
	for _, d := range op.pairs {
		t.pairs = append(t.pairs, known{of: d, words: newTable()})
	}
	op.all = append(op.all, t)
	return t
}

func (op *Operator) give(t *thread) {
	op.mu.Lock()
	defer op.mu.Unlock()
	op.free = append(op.free, t)
}

// room gives an array of n elements.
func room[T any](have []T, n int) []T {
	if cap(have) < n {
		return make([]T, n)
	}
	return have[:n]
}

func (t *thread) add(rows int, columns []Column) error {
	p := t.op.plan
	t.look()
	for i := range t.columns {
		t.columns[i] = room(t.columns[i], rows)
	}
	if err := t.identify(rows, &columns[0]); err != nil {
		return err
	}
	for i := range p.Keys {
		if err := t.group(i, rows, &columns[1+i]); err != nil {
			return err
		}
	}
	taken := int64(0)
	for i := range t.keys {
		taken += t.keys[i].taken()
	}
	for i := range t.pairs {
		taken += t.pairs[i].taken()
	}
	if taken > 0 {
		if err := t.hold(taken); err != nil {
			return err
		}
	}
	for i := range p.Cells {
		p.Cells[i].read(t.columns[p.keyed()+i], &columns[1+len(p.Keys)+i])
	}
	if t.tally(rows) {
		return nil
	}
	t.divide(rows)
	return t.scatter()
}

// identify reads the patients: two have two hashes.
func (t *thread) identify(rows int, c *Column) error {
	t.ids, t.skip = room(t.ids, rows), t.skip[:0]
	seed := t.op.seed
	if len(c.Valid) > 0 {
		t.skip = room(t.skip, rows)
		for row := range t.skip {
			t.skip[row] = c.null(row)
		}
	}
	if t.op.patients == nil {
		for row, id := range c.Ints[:rows] {
			t.ids[row] = mix(uint64(id) ^ seed) //nolint:gosec // as it is
		}
		return nil
	}
	for row := range rows {
		if len(t.skip) > 0 && t.skip[row] {
			continue
		}
		n, bytes, err := t.patients.text(c.Text(row))
		if bytes > 0 && err == nil {
			err = t.hold(bytes)
		}
		if err != nil {
			return err
		}
		t.ids[row] = mix(uint64(n) ^ seed) //nolint:gosec // above 0
	}
	return nil
}

// group reads key i, and gives each row the number of its group.
func (t *thread) group(i, rows int, c *Column) error {
	type_, known, groups := t.op.plan.Keys[i], &t.keys[i], t.columns[0]
	if i == 0 && type_ == value.TypeInt && c.Valid == nil && len(known.small) > 0 { // as most are
		return known.ints(groups, c.Ints[:rows])
	}
	for row := range rows {
		code := int32(0)
		if !c.null(row) {
			var err error
			if type_ == value.TypeText {
				var bytes int64
				if code, bytes, err = t.keys[i].text(c.Text(row)); bytes > 0 && err == nil {
					err = t.hold(bytes)
				}
			} else {
				code, err = t.keys[i].word(c.word(type_, row))
			}
			if err != nil {
				return err
			}
		}
		if i > 0 {
			var err error
			if code, err = t.pairs[i-1].word(uint64(groups[row])<<32 | uint64(code)); err != nil { //nolint:gosec // both are numbers from 0
				return err
			}
		}
		groups[row] = code
	}
	return nil
}

// ints gives the numbers of ints, once there are small ones.
func (k *known) ints(into []int32, words []int64) error {
	for row, x := range words {
		if uint64(x) < smallWords { //nolint:gosec // a negative one is large
			if n := k.small[x]; n != 0 {
				into[row] = n
				continue
			}
		}
		n, err := k.word(uint64(x)) //nolint:gosec // as it is
		if err != nil {
			return err
		}
		into[row] = n
	}
	return nil
}

// word is a value that is no text, as a word.
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

// divide orders the rows by partition; those without a patient are last.
func (t *thread) divide(rows int) {
	t.places, t.order = room(t.places, rows), room(t.order, rows)
	clear(t.ends[:])
	for row, id := range t.ids {
		at := uint16(id & (partitions - 1))
		if len(t.skip) > 0 && t.skip[row] {
			at = partitions
		}
		t.places[row] = at
		t.ends[at]++
	}
	sum := 0
	for at, n := range t.ends {
		t.ends[at] = sum
		sum += n
	}
	for row, at := range t.places {
		t.order[t.ends[at]] = int32(row) //nolint:gosec // of a batch
		t.ends[at]++
	}
}

// scatter keeps the rows, by partition.
func (t *thread) scatter() error {
	w, from := t.op.words, t.op.from
	begin := 0
	if from > 0 {
		begin = t.ends[from-1]
	}
	for at := from; at < t.to; at++ {
		order := t.order[begin:t.ends[at]]
		begin = t.ends[at]
		p, words := &t.parts[at], w*len(order)
		if len(p.now)+words > cap(p.now) {
			if err := t.next(p, words); err != nil {
				return err
			}
			if at >= t.to { // it was let go of
				break
			}
		}
		n := len(p.now)
		p.now = p.now[:n+words]
		into := p.now[n:]
		for i, row := range order {
			id := t.ids[row]
			into[w*i], into[w*i+1] = uint32(id), uint32(id>>32) //nolint:gosec // its halves
		}
		for i, column := range t.columns {
			word := 2 + i
			for _, row := range order {
				into[word] = uint32(column[row]) //nolint:gosec // its bits
				word += w
			}
		}
	}
	return nil
}

// next gives a partition another block, of so many words or more: each is larger than the one before.
func (t *thread) next(p *part, least int) error {
	words := leastBlock * t.op.words
	if p.now != nil {
		p.full = append(p.full, p.now)
		words = min(4*cap(p.now), mostBlock)
	}
	if n := len(t.spare); n > 0 && least <= mostBlock {
		p.now = t.spare[n-1][:0]
		t.spare = t.spare[:n-1]
		return nil
	}
	words = max(words, least)
	p.now = nil
	if err := t.hold(int64(4 * words)); err != nil {
		return err
	}
	p.now = make([]uint32, 0, words)
	return nil
}

// hold counts memory, and lets go of the later half of the partitions where it is too much. So do the other threads once they look.
func (t *thread) hold(bytes int64) error {
	op := t.op
	if op.used.Add(bytes) <= op.most {
		return nil
	}
	if t.look() { // others may have to give back theirs, too
		return nil
	}
	if t.to-op.from < 2 {
		return ErrTooMuch
	}
	op.limit.CompareAndSwap(int64(t.to), int64(op.from+(t.to-op.from)/2))
	t.look()
	return nil
}

// look gives back the blocks of partitions that this reading has let go of; true: there were some since it looked last.
func (t *thread) look() bool {
	to := int(t.op.limit.Load())
	less := to < t.to
	for i := to; i < t.to; i++ {
		t.free(&t.parts[i])
	}
	t.to = to
	return less
}

// free gives back the blocks of a partition.
func (t *thread) free(p *part) {
	bytes := int64(0)
	for _, b := range append(p.full, p.now) {
		bytes += int64(4 * cap(b))
		if cap(b) == mostBlock && len(t.spare) < partitions {
			t.spare, bytes = append(t.spare, b), bytes-4*mostBlock
		}
	}
	t.op.used.Add(-bytes)
	*p = part{}
}

// Again ends a reading of the rows: it adds up those that were kept. Where it returns true the same rows are to be given once more.
func (op *Operator) Again(ctx context.Context, threads int) (bool, error) {
	to := int(op.limit.Load())
	for _, t := range op.all {
		t.look()
	}
	if err := op.addUp(ctx, to, threads); err != nil {
		return false, err
	}
	before := to - op.from
	op.from = to
	op.limit.Store(int64(min(partitions, to+before)))
	op.rows.Store(0)
	for _, t := range op.all {
		t.look()
	}
	return to < partitions, nil
}
