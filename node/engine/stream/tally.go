package stream

import (
	"context"
	"math"
	"math/bits"
)

// tally has what rows add up to by patient, where nothing else tells them apart: a hash table of records that are words. A record is
// the patient's hash, the counts, and the sum of each cell; the counts are two to a word: of rows, and of each cell's NULLs.
type tally struct {
	words   []uint64 // one record more than there are places: of rows without a patient
	record  int      // words
	shift   uint     // of a hash, to its place
	n, most int      // records that there are, and that there may be
}

const (
	// leastPlaces is how many places a tally begins with: a power of two, at least the partitions.
	leastPlaces = 4 * partitions
	// mostTallied is how many cells a record has at most.
	mostTallied = 16
	// leastRun is how many rows of a patient must come together, on average, for them to be tallied as they come: else each
	// row would wait for the memory. Rows that come in any order are scattered first.
	leastRun = 4
	// someRows is how many rows of a batch tell how they come.
	someRows = 256
)

// tallies reports whether nothing but the patient tells rows apart: there are no keys, and no part needs single values.
func (p *Plan) tallies() bool {
	for i := range p.Parts {
		if p.Parts[i].tree() {
			return false
		}
	}
	return len(p.Keys) == 0 && len(p.Cells) <= mostTallied
}

// recordWords is how many words a record has.
func recordWords(cells int) int { return 1 + (2+cells)/2 + cells }

// tallyOf has so many places, a power of two.
func tallyOf(cells, places int) tally {
	record := recordWords(cells)
	return tally{
		words: make([]uint64, record*(places+1)), record: record, shift: uint(64 - bits.TrailingZeros(uint(places))), most: places / 2, //nolint:gosec // above 0
	}
}

// places is how many there are.
func (t *tally) places() int { return len(t.words)/t.record - 1 }

// bytes is what it takes.
func (t *tally) bytes() int64 { return int64(8 * len(t.words)) }

// count is where a count stands in a record, and what one more adds there: 0 is of rows, 1+i of cell i's NULLs.
func count(i int) (word int, one uint64) { return 1 + i/2, 1 << (i % 2 * 32) }

// sum is where the sum of the first cell stands in a record.
func (t *tally) sum(cells int) int { return t.record - cells }

// place is where the record of a hash stands, or in front of which it stands.
func (t *tally) place(hash uint64) int { return int(hash>>t.shift) * t.record } //nolint:gosec // a place

// find gives the record of a hash, and makes one where there is none; there is room.
func (t *tally) find(hash uint64) int {
	words, record := t.words, t.record
	at, end := t.place(hash), len(words)-record
	for {
		if words[at] == hash && uint32(words[at+1]) != 0 { //nolint:gosec // its lower half
			return at
		}
		if uint32(words[at+1]) == 0 { //nolint:gosec // as above
			words[at] = hash
			t.n++
			return at
		}
		if at += record; at == end {
			at = 0
		}
	}
}

// take copies all records of another, of which it has none; there is room.
func (t *tally) take(from *tally) {
	for at := 0; at < len(from.words)-from.record; at += from.record {
		if uint32(from.words[at+1]) != 0 { //nolint:gosec // its lower half
			copy(t.words[t.find(from.words[at]):], from.words[at:at+from.record])
		}
	}
}

// partitionFirst is a hash with the number of its partition as its first bits.
func partitionFirst(hash uint64) uint64 { return bits.RotateLeft64(hash, -partitionBits) }

// tally adds a batch's rows to those of their patients; false: they are to be scattered.
func (t *thread) tally(rows int) bool {
	op, cells := t.op, len(t.columns)
	if !op.tallies || op.from > 0 || !t.runs(rows) || op.rows.Load() > math.MaxUint32 || !t.enlarge(cells, t.people.n+rows) {
		return false
	}
	t.at = room(t.at, rows)
	people := &t.people
	last, at := uint64(0), -1
	for row, id := range t.ids[:rows] {
		if len(t.skip) > 0 && t.skip[row] {
			t.at[row] = len(people.words) - people.record
			continue
		}
		if at < 0 || id != last {
			last, at = id, people.find(partitionFirst(id))
		}
		people.words[at+1]++
		t.at[row] = at
	}
	for i, column := range t.columns {
		sum := people.sum(cells) + i
		null, one := count(1 + i)
		for row, x := range column[:rows] {
			if x == missing {
				people.words[t.at[row]+null] += one
			} else {
				people.words[t.at[row]+sum] += uint64(int64(x)) //nolint:gosec // as it is
			}
		}
	}
	return true
}

// runs reports whether the rows of a patient come together, as far as the first ones show.
func (t *thread) runs(rows int) bool {
	rows = min(rows, someRows)
	n, last := 0, uint64(0)
	for row, id := range t.ids[:rows] {
		if id != last || row == 0 {
			n++
			last = id
		}
	}
	return n*leastRun <= rows
}

// enlarge makes room for so many records, if there is any.
func (t *thread) enlarge(cells, records int) bool {
	if records <= t.people.most {
		return true
	}
	places, before := leastPlaces, t.people.bytes()
	if before > 0 {
		places = t.people.places()
	}
	for places/2 < records {
		places *= 2
	}
	bytes := 8 * int64(recordWords(cells)) * int64(places+1)
	if t.op.used.Add(bytes) > t.op.most {
		t.op.used.Add(-bytes)
		return false
	}
	larger := tallyOf(cells, places)
	larger.take(&t.people)
	t.people = larger
	t.op.used.Add(-before)
	return true
}

// untally forgets what was tallied.
func (op *Operator) untally() {
	for _, t := range op.all {
		op.used.Add(-t.people.bytes())
		t.people = tally{}
	}
}

// tallied adds up the patients of a partition where nothing else tells rows apart: those that were tallied, and the rows that were
// scattered.
func (a *adder) tallied(ctx context.Context, at int) error {
	if a.people.words == nil {
		a.people = tallyOf(len(a.plan.Cells), leastPlaces)
	}
	clear(a.people.words)
	a.people.n = 0
	rows := 0
	for _, t := range a.op.all {
		if t.people.words != nil {
			rows += a.collect(&t.people, at)
		}
		for _, block := range append(t.parts[at].full, t.parts[at].now) {
			rows += len(block) / a.op.words
			if rows > math.MaxUint32 { // a patient may have them all, whose count would become another's
				return ErrTooMuch
			}
			a.count(block)
		}
	}
	some, words := &a.some, a.people.words
	for from, end := 0, len(words)-a.people.record; from < end; {
		some.ends, some.groups, some.counts = some.ends[:0], some.groups[:0], some.counts[:0]
		for i := range some.cells {
			some.cells[i].sum, some.cells[i].values = some.cells[i].sum[:0], some.cells[i].values[:0]
		}
		for ; from < end && len(some.groups) < mostEntries; from += a.people.record {
			if rows := int64(uint32(words[from+1])); rows != 0 { //nolint:gosec // its lower half
				a.entry(words[from:from+a.people.record], rows)
			}
		}
		if err := a.clip(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// entry makes an entry of a record of so many rows.
func (a *adder) entry(record []uint64, rows int64) {
	some, cells := &a.some, len(a.plan.Cells)
	some.groups, some.counts = append(some.groups, 0), append(some.counts, rows)
	some.ends = append(some.ends, len(some.groups))
	for i := range some.cells {
		null, one := count(1 + i)
		nulls := int64(record[null] / one & math.MaxUint32) //nolint:gosec // half a word
		sum := int64(record[len(record)-cells+i])           //nolint:gosec // as it was put there
		some.cells[i].sum = append(some.cells[i].sum, sum)
		some.cells[i].values = append(some.cells[i].values, rows-nulls)
	}
}

// patient gives the record of a patient of the partition, by a hash whose first bits are the partition's number.
func (a *adder) patient(hash uint64) int {
	if 2*a.people.n >= a.people.most { // three quarters are empty, so that most are found where they are looked for first
		larger := tallyOf(len(a.plan.Cells), 2*a.people.places())
		larger.take(&a.people)
		a.people = larger
	}
	return a.people.find(hash << partitionBits)
}

// collect adds the records of a partition to a.people, and gives how many rows they are of. They stand from the
// partition's first place on, until a place is empty after the last: each is at its hash's place, or after it with no
// empty one between.
func (a *adder) collect(from *tally, partition int) (rows int) {
	each := from.places() / partitions
	end := len(from.words) - from.record
	for place, at := 0, partition*each*from.record; ; place++ {
		n := uint32(from.words[at+1]) //nolint:gosec // its lower half
		there := n != 0
		if !there && place >= each {
			return rows
		}
		if hash := from.words[at]; there && int(hash>>(64-partitionBits)) == partition { //nolint:gosec // eight bits
			rows += int(n)
			to := a.patient(hash)
			for word := 1; word < from.record; word++ {
				a.people.words[to+word] += from.words[at+word]
			}
		}
		if at += from.record; at == end {
			at = 0
		}
	}
}

// count adds the rows of a block, as they were scattered, to a.people.
func (a *adder) count(block []uint32) {
	w, cells := a.op.words, len(a.plan.Cells)
	for from := 0; from+w <= len(block); from += w {
		row := block[from : from+w]
		hash := partitionFirst(uint64(row[0]) | uint64(row[1])<<32)
		people := &a.people
		to := people.place(hash << partitionBits)
		if people.words[to] != hash<<partitionBits || people.words[to+1] == 0 {
			to = a.patient(hash)
		}
		record := a.people.words[to : to+a.people.record]
		record[1]++
		for i, x := range row[2:] {
			if x := int32(x); x != missing { //nolint:gosec // its bits
				record[len(record)-cells+i] += uint64(int64(x)) //nolint:gosec // as it is
			} else {
				null, one := count(1 + i)
				record[null] += one
			}
		}
	}
}
