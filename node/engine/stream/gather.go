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
	partitions = 256
	leastBlock = 64      // rows
	mostBlock  = 1 << 14 // words
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
	ids      []uint64
	groups   []int32
	cells    [][]int32
	skip     []bool
}

// part has a thread's rows of one partition: the patient in two words, the group where there are keys, and the cells.
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
	op := &Operator{plan: p, most: most, words: 2 + len(p.Cells), seed: binary.LittleEndian.Uint64(seed[:])}
	op.limit.Store(partitions)
	if len(p.Keys) > 0 {
		op.words++
	}
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
	t := &thread{op: op, to: partitions, patients: known{of: op.patients}, cells: make([][]int32, len(op.plan.Cells))}
	for _, d := range op.keys {
		t.keys = append(t.keys, known{of: d})
	}
	for _, d := range op.pairs {
		t.pairs = append(t.pairs, known{of: d})
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
	t.ids, t.groups, t.skip = room(t.ids, rows), room(t.groups, rows), room(t.skip, rows)
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
		t.cells[i] = room(t.cells[i], rows)
		p.Cells[i].read(t.cells[i], &columns[1+len(p.Keys)+i])
	}
	return t.scatter(rows)
}

// identify reads the patients.
func (t *thread) identify(rows int, c *Column) error {
	for row := range rows {
		if t.skip[row] = c.null(row); t.skip[row] {
			continue
		}
		if t.op.patients == nil {
			t.ids[row] = uint64(c.Ints[row]) //nolint:gosec // as it is
			continue
		}
		n, bytes, err := t.patients.text(c.Text(row))
		if bytes > 0 && err == nil {
			err = t.hold(bytes)
		}
		if err != nil {
			return err
		}
		t.ids[row] = uint64(n) //nolint:gosec // above 0
	}
	return nil
}

// group reads key i, and gives each row the number of its group.
func (t *thread) group(i, rows int, c *Column) error {
	type_, known := t.op.plan.Keys[i], &t.keys[i]
	if i == 0 && type_ == value.TypeInt && c.Valid == nil && len(known.small) > 0 { // as most are
		return t.ints(known, c.Ints[:rows])
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
			if code, err = t.pairs[i-1].word(uint64(t.groups[row])<<32 | uint64(code)); err != nil { //nolint:gosec // both are numbers from 0
				return err
			}
		}
		t.groups[row] = code
	}
	return nil
}

// ints is group for a first key of ints without a NULL.
func (t *thread) ints(known *known, keys []int64) error {
	for row, x := range keys {
		if uint64(x) < smallWords { //nolint:gosec // a negative one is large
			if n := known.small[x]; n != 0 {
				t.groups[row] = n
				continue
			}
		}
		n, err := known.word(uint64(x)) //nolint:gosec // as it is
		if err != nil {
			return err
		}
		t.groups[row] = n
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

// read gives what the values of a column count as.
func (c *Cell) read(into []int32, from *Column) {
	switch c.Type {
	case value.TypeBool:
		for row := range into {
			into[row] = int32(from.Bools[row])
		}
	case value.TypeInt:
		for row := range into {
			into[row] = c.whole(from.Ints[row])
		}
	default:
		for row := range into {
			into[row] = c.real(from.Floats[row])
		}
	}
	if from.Valid != nil {
		for row := range into {
			if from.null(row) {
				into[row] = missing
			}
		}
	}
}

// scatter keeps the rows, by partition.
func (t *thread) scatter(rows int) error {
	op, w, keyed := t.op, t.op.words, len(t.op.plan.Keys) > 0
	from := op.from
	last, at := uint64(0), -1
	for row := range rows {
		id := t.ids[row]
		if at < 0 || id != last { // rows of a patient often come together
			last, at = id, int(mix(id^op.seed)&(partitions-1)) //nolint:gosec // below partitions
		}
		if t.skip[row] || at < from || at >= t.to {
			continue
		}
		p := &t.parts[at]
		n := len(p.now)
		if n+w > cap(p.now) {
			if err := t.next(p); err != nil {
				return err
			}
			if t.look(); at >= t.to {
				continue
			}
			n = len(p.now)
		}
		p.now = p.now[:n+w]
		into := p.now[n:]
		into[0], into[1] = uint32(id), uint32(id>>32) //nolint:gosec // its halves
		into = into[2:]
		if keyed {
			into[0] = uint32(t.groups[row]) //nolint:gosec // from 0
			into = into[1:]
		}
		for i, c := range t.cells {
			into[i] = uint32(c[row]) //nolint:gosec // its bits
		}
	}
	return nil
}

// next gives a partition another block: each is larger than the one before.
func (t *thread) next(p *part) error {
	words := leastBlock * t.op.words
	if p.now != nil {
		p.full = append(p.full, p.now)
		words = min(4*cap(p.now), mostBlock)
	}
	if n := len(t.spare); n > 0 {
		p.now = t.spare[n-1][:0]
		t.spare = t.spare[:n-1]
		return nil
	}
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
