package stream

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
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

// Operator adds up rows. Add may be called from any number of goroutines.
type Operator struct {
	plan  *Plan
	most  int64 // bytes
	words int   // of a row as it is stored
	seed  uint64

	patients *dictionary   // of text ids; else nil
	blocks   *dictionary   // of ids
	keys     []*dictionary // by key: a number for each value
	pairs    []*dictionary // from the second key on: numbers for pairs of the number so far and the key's number

	used      atomic.Int64 // bytes of rows and texts
	from      int          // the first partition of this reading
	limit     atomic.Int64 // the partition after the last one
	rows      atomic.Int64 // of this reading
	tallies   bool         // nothing but the patient distinguishes rows
	begin     sync.Once    // decides how rows are kept
	how       atomic.Int32 // how rows are kept
	mu        sync.Mutex
	free, all []*thread
	totals    totals
}

// thread is the data of one goroutine at a time.
type thread struct {
	op       *Operator
	parts    [partitions]part
	to       int        // the limit that it knows
	spare    [][]uint32 // whole blocks
	patients known
	keys     []known
	pairs    []known
	values   []int64             // of a key
	numbers  []int64             // of patients whose ids are texts
	ids      []uint64            // hashes of the patients
	blocks   known               // of ids
	codes    []uint32            // or numbers of the patients
	columns  [][]int32           // the group where there are keys, and the cells
	skip     []bool              // which rows do not count; empty: all do
	places   []uint16            // the partition of each row
	order    []int32             // the rows, by partition
	ends     [partitions + 1]int // of each partition among them
	people   pages
	at       []int32 // by row: where the record of its patient begins
}

// part has a thread's rows of one partition: the hash of the patient in two words, and the columns.
type part struct {
	now  []uint32
	full [][]uint32
}

// New returns an operator that holds at most that many bytes.
func (p *Plan) New(most int64) (*Operator, error) {
	for i := range p.Cells {
		if !p.Cells[i].Fits() {
			return nil, fmt.Errorf("%w: a number has more than 32 bits", ErrTooMuch)
		}
	}
	var seed [8]byte // the seed only scatters; it decides nothing
	rand.Read(seed[:])
	op := &Operator{plan: p, most: most, seed: binary.LittleEndian.Uint64(seed[:]), tallies: p.tallies(), blocks: newDictionary("", mostBlocks)}
	op.limit.Store(partitions)
	if p.Patient == value.TypeText {
		op.patients = newDictionary(value.TypeText, 1<<31-1)
	}
	for i, k := range p.Keys {
		op.keys = append(op.keys, newDictionary(k.Type, maxCodes))
		if i > 0 {
			op.pairs = append(op.pairs, newDictionary("", maxCodes))
		}
	}
	return op, nil
}

// Add adds rows. The columns are the plan's.
func (op *Operator) Add(rows int, columns []Column) error {
	op.rows.Add(int64(rows))
	t := op.take()
	defer op.give(t)
	return t.add(rows, columns)
}

// Rows is the number of rows since EndPass, or since the beginning.
func (op *Operator) Rows() int64 { return op.rows.Load() }

func (op *Operator) take() *thread {
	op.mu.Lock()
	defer op.mu.Unlock()
	if n := len(op.free); n > 0 {
		t := op.free[n-1]
		op.free = op.free[:n-1]
		return t
	}
	t := &thread{op: op, to: partitions, patients: known{of: op.patients}, blocks: known{of: op.blocks, words: newTable()}, columns: make([][]int32, op.plan.columns())}
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

// room returns an array of n elements.
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
	ids, err := t.identify(rows, &columns[0])
	if err != nil {
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
		p.Cells[i].read(t.columns[p.groupColumns()+i], &columns[1+len(p.Keys)+i])
	}
	return t.keep(ids)
}

// identify returns a number for each row's patient; different patients have different numbers. It notes rows without a
// patient.
func (t *thread) identify(rows int, c *Column) ([]int64, error) {
	t.skip = t.skip[:0]
	for row := c.nextNull(0, rows); row < rows; row = c.nextNull(row+1, rows) {
		t.leave(row, rows)
	}
	if t.op.patients == nil {
		return c.Ints[:rows], nil
	}
	t.numbers = zeros(t.numbers, rows)
	for row := range rows {
		if len(t.skip) > 0 && t.skip[row] {
			continue
		}
		n, bytes, err := t.patients.text(c.Text(row))
		if bytes > 0 && err == nil {
			err = t.hold(bytes)
		}
		if err != nil {
			return nil, err
		}
		t.numbers[row] = int64(n)
	}
	return t.numbers, nil
}

// hash hashes patients. Different patients have different hashes.
func (t *thread) hash(ids []int64) {
	t.ids = room(t.ids, len(ids))
	seed := t.op.seed
	for row, id := range ids {
		t.ids[row] = mix(uint64(id) ^ seed) //nolint:gosec // as it is
	}
}

// group reads key i and gives each row the number of its group.
func (t *thread) group(i, rows int, c *Column) error {
	key, known, groups := &t.op.plan.Keys[i], &t.keys[i], t.columns[0]
	type_ := key.Type
	if key.Bounded || key.Declared {
		c = t.declaredValues(key, rows, c)
	}
	if i == 0 && type_ == value.TypeInt && len(known.small) > 0 && c.nextNull(0, rows) == rows { // the common case
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

// declaredValues returns the values of a key by which rows are grouped. It leaves out rows whose value is not declared.
func (t *thread) declaredValues(key *Key, rows int, c *Column) *Column {
	least, most, first, last := int64(math.MinInt64), int64(math.MaxInt64), int64(math.MinInt64), int64(math.MaxInt64)
	if key.Bounded {
		least, most = key.Least, key.Most
	}
	if key.Declared {
		first, last = key.First, key.Last
	}
	t.values = room(t.values, rows)
	values, other := t.values, int64(0)
	for row, x := range c.Ints[:rows] {
		x = max(least, min(x, most))
		declared := max(first, min(x, last)) // also for the value that stands for NULL
		values[row] = declared
		other |= x ^ declared
	}
	if other != 0 {
		for row, x := range c.Ints[:rows] {
			if max(least, min(x, most)) != values[row] && !c.null(row) {
				t.leave(row, rows)
			}
		}
	}
	if key.Declared {
		for row := c.nextNull(0, rows); row < rows; row = c.nextNull(row+1, rows) {
			t.leave(row, rows)
		}
	}
	return &Column{Valid: c.Valid, Ints: values}
}

// leave leaves out one of rows rows.
func (t *thread) leave(row, rows int) {
	if len(t.skip) == 0 {
		t.skip = zeros(t.skip, rows)
	}
	t.skip[row] = true
}

// ints returns the numbers of ints, once there are small ones.
func (k *known) ints(into []int32, words []int64) error {
	for row, x := range words {
		if uint64(x) < uint64(len(k.small)) { //nolint:gosec // a negative one is large
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

// divide orders the rows by partition, which follows from the patient's number or else the hash. Rows that do not count
// come last.
func (t *thread) divide(rows int, numbered bool) {
	t.places, t.order = room(t.places, rows), room(t.order, rows)
	clear(t.ends[:])
	if numbered {
		for row, code := range t.codes[:rows] {
			t.places[row] = partitionOf(code)
		}
	} else {
		for row, id := range t.ids[:rows] {
			t.places[row] = uint16(id & (partitions - 1))
		}
	}
	for row, skip := range t.skip {
		if skip {
			t.places[row] = partitions
		}
	}
	for _, at := range t.places {
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

// scatter stores the rows, by partition.
func (t *thread) scatter() error {
	w, from := t.op.words, t.op.from
	first := w - len(t.columns)
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
			if at >= t.to { // this partition was dropped
				break
			}
		}
		n := len(p.now)
		p.now = p.now[:n+words]
		into := p.now[n:]
		if first == 1 {
			for i, row := range order {
				into[w*i] = t.codes[row]
			}
		} else {
			for i, row := range order {
				id := t.ids[row]
				into[w*i], into[w*i+1] = uint32(id), uint32(id>>32) //nolint:gosec // its halves
			}
		}
		for i, column := range t.columns {
			word := first + i
			for _, row := range order {
				into[word] = uint32(column[row]) //nolint:gosec // its bits
				word += w
			}
		}
	}
	return nil
}

// begun forgets all rows. They must be given again and are then scattered.
func (op *Operator) begun() {
	for _, t := range op.all {
		t.forget()
		for i := range t.parts {
			t.free(&t.parts[i])
		}
	}
	op.words = op.plan.rowWords(scattered)
	op.totals = totals{}
	op.from = 0
	op.rows.Store(0)
}

// EndPass ends a reading of the rows and adds up those that were kept. If it returns true, the same rows must be given
// once more.
func (op *Operator) EndPass(ctx context.Context, threads int) (bool, error) {
	to := int(op.limit.Load())
	for _, t := range op.all {
		t.look()
	}
	if to < partitions && op.how.Load() == counted { // a thread dropped partitions before there were pages
		op.how.Store(given)
	}
	if op.how.CompareAndSwap(given, scattered) {
		op.begun()
		return true, nil
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
