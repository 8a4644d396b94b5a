package stream

import (
	"context"
	"math"
	"math/bits"
)

// tally adds up a partition's rows by patient, if nothing else distinguishes them. It is a hash table: each patient's
// hash is followed by a record. A record consists of words: the counts of rows and of each cell's NULLs, two to a word;
// and the sum of each cell.
type tally struct {
	words   []uint64
	record  int  // words, with the hash
	shift   uint // shifts a hash to its place
	n, most int  // the number of records, and its limit
}

const (
	// leastPlaces is the initial number of places of a tally: a power of two, at least the number of partitions.
	leastPlaces = 4 * partitions
	// mostTallied is the largest number of cells of a record.
	mostTallied = 16
)

// tallies reports whether nothing but the patient distinguishes rows: there are no keys, and no part needs single
// values.
func (p *Plan) tallies() bool {
	for i := range p.Parts {
		if p.Parts[i].tree() {
			return false
		}
	}
	return len(p.Keys) == 0 && len(p.Cells) <= mostTallied
}

// recordWords returns the number of words of a record.
func recordWords(cells int) int { return (2+cells)/2 + cells }

// tallyOf returns a tally with that many places, a power of two.
func tallyOf(cells, places int) tally {
	record := 1 + recordWords(cells)
	return tally{
		words: make([]uint64, record*places), record: record, shift: uint(64 - bits.TrailingZeros(uint(places))), most: places / 2, //nolint:gosec // above 0
	}
}

// places is the number of places.
func (t *tally) places() int { return len(t.words) / t.record }

// count is the position of a count in a record, and the increment for one. Count 0 counts rows; 1+i counts NULLs of
// cell i.
func count(i int) (word int, one uint64) { return i / 2, 1 << (i % 2 * 32) }

// place is where the record of a hash is, or the first position to search for it.
func (t *tally) place(hash uint64) int { return int(hash>>t.shift) * t.record } //nolint:gosec // a place

// find returns the record of a hash, and makes one if there is none. There must be room.
func (t *tally) find(hash uint64) int {
	words, record := t.words, t.record
	at := t.place(hash)
	for {
		if words[at] == hash && uint32(words[at+1]) != 0 { //nolint:gosec // its lower half
			return at
		}
		if uint32(words[at+1]) == 0 { //nolint:gosec // as above
			words[at] = hash
			t.n++
			return at
		}
		if at += record; at == len(words) {
			at = 0
		}
	}
}

// take copies all records of another tally. This one must have none of them, and there must be room.
func (t *tally) take(from *tally) {
	for at := 0; at < len(from.words); at += from.record {
		if uint32(from.words[at+1]) != 0 { //nolint:gosec // its lower half
			copy(t.words[t.find(from.words[at]):], from.words[at:at+from.record])
		}
	}
}

// partitionFirst is a hash with the number of its partition as its first bits.
func partitionFirst(hash uint64) uint64 { return bits.RotateLeft64(hash, -partitionBits) }

// tallied adds up the patients of a partition if nothing else distinguishes rows.
func (a *adder) tallied(ctx context.Context, at int) error {
	if a.people.words == nil {
		a.people = tallyOf(len(a.plan.Cells), leastPlaces)
	}
	clear(a.people.words)
	a.people.n = 0
	rows := 0
	for _, t := range a.op.all {
		for _, block := range append(t.parts[at].full, t.parts[at].now) {
			rows += len(block) / a.op.words
			if rows > math.MaxUint32 { // a patient may have them all, and the count would overflow into another
				return ErrTooMuch
			}
			a.count(block)
		}
	}
	return a.records(ctx, a.people.words, 1, a.people.record)
}

// records adds up patients from records of that many words. before is the number of words before each record.
func (a *adder) records(ctx context.Context, words []uint64, before, length int) error {
	some := &a.some
	for len(words) > 0 {
		some.ends, some.groups, some.counts = some.ends[:0], some.groups[:0], some.counts[:0]
		for i := range some.cells {
			some.cells[i].sum, some.cells[i].values, some.cells[i].whole = some.cells[i].sum[:0], some.cells[i].values[:0], true
		}
		for ; len(words) > 0 && len(some.groups) < mostEntries; words = words[length:] {
			if rows := int64(uint32(words[before])); rows != 0 { //nolint:gosec // its lower half
				a.entry(words[before:length], rows)
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

// entry makes an entry from a record with that many rows.
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
		some.cells[i].whole = some.cells[i].whole && nulls == 0
	}
}

// patient returns the record of a patient of the partition, by a hash whose first bits are the partition's number.
func (a *adder) patient(hash uint64) int {
	if 2*a.people.n >= a.people.most { // three quarters stay empty, so most searches succeed at once
		larger := tallyOf(len(a.plan.Cells), 2*a.people.places())
		larger.take(&a.people)
		a.people = larger
	}
	return a.people.find(hash << partitionBits)
}

// count adds the scattered rows of a block to a.people.
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
		record := a.people.words[to+1 : to+a.people.record]
		record[0]++
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
