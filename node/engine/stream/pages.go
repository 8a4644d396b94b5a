package stream

import (
	"context"
	"math"
)

// pages holds a thread's sums of each patient, if nothing else distinguishes rows and patients have close numbers. A
// record's place follows from the number, so there is no search, and no row is kept. Records are allocated by pages of
// consecutive numbers, in the order in which these are first met. A record is that of a tally, without the hash. The
// first record is of rows without a patient.
type pages struct {
	words  []uint64
	record int    // words
	first  uint64 // the page of from[0]
	from   []int32
	n      int
}

const (
	pageBits = 10
	onPage   = 1 << pageBits // patients
	// fewPages are always allocated. More are allocated if there are pageRows rows for each: memory that is new to the
	// process costs as much time as rows do.
	fewPages = 1 << 10
	pageRows = 1 << 8
	// mostSpan is the largest distance between the numbers of pages.
	mostSpan = 1 << 16
)

// How an operator keeps rows. The first batch decides. If later ids of patients are less close together than it showed,
// all rows are read again, and scattered.
const (
	undecided = iota
	counted   // in pages
	numbered  // scattered by numbers of patients
	scattered // scattered by hashes of patients
	given     // not at all: they are to be given again
)

// bytes returns the memory of the pages.
func (p *pages) bytes() int64 { return int64(8*cap(p.words) + 4*cap(p.from)) }

// of returns the records of a page, or nil if it has none.
func (p *pages) of(page uint64) []uint64 {
	if n := page - p.first; n < uint64(len(p.from)) && p.from[n] > 0 {
		from := int(p.from[n]) * p.record
		return p.words[from : from+onPage*p.record]
	}
	return nil
}

// keep keeps a batch's rows.
func (t *thread) keep(ids []int64) error {
	op, done := t.op, false
	op.begin.Do(func() {
		how := int32(scattered)
		switch {
		case op.tallies && t.count(ids):
			how, done = counted, true
		case !op.tallies && t.number(ids):
			how = numbered
		}
		if how != counted {
			t.forget()
		}
		op.words = op.plan.rowWords(how)
		op.how.Store(how)
	})
	if done {
		return nil
	}
	how := op.how.Load() // another thread may change it
	switch how {
	case counted:
		if !t.count(ids) {
			op.how.Store(given)
			t.forget()
		}
		return nil
	case numbered:
		if !t.number(ids) {
			op.how.Store(given)
			return nil
		}
		if bytes := t.blocks.taken(); bytes > 0 {
			if err := t.hold(bytes); err != nil {
				return err
			}
		}
	case scattered:
		t.hash(ids)
	default:
		t.forget()
		return nil
	}
	t.divide(len(ids), how == numbered)
	return t.scatter()
}

// rowWords returns the number of words of a scattered row: of the patient, and of each column.
func (p *Plan) rowWords(how int32) int {
	if how == numbered {
		return 1 + p.columns()
	}
	return 2 + p.columns()
}

// A patient's number consists of the number of a block of ids, and the id within it.
const (
	blockBits  = 16
	mostBlocks = 1 << 8
)

// number numbers patients, each differently. It returns false if their ids are in too many blocks.
func (t *thread) number(ids []int64) bool {
	t.codes = room(t.codes, len(ids))
	known := &t.blocks
	for row, id := range ids {
		block, n := uint64(id)>>blockBits, int32(0) //nolint:gosec // as it is
		if block < uint64(len(known.small)) {
			n = known.small[block]
		}
		if n == 0 {
			if len(t.skip) > 0 && t.skip[row] { // whatever NULL stands for
				t.codes[row] = 0
				continue
			}
			var err error
			if n, err = known.word(block); err != nil {
				return false
			}
		}
		t.codes[row] = uint32(n-1)<<blockBits | uint32(id&(1<<blockBits-1)) //nolint:gosec // n is from 1 to mostBlocks
	}
	return true
}

// partitionOf returns the partition of a patient's number. The number's last bits follow from the partition and the
// other bits.
func partitionOf(code uint32) uint16 { return uint16((code ^ code>>8 ^ code>>16) & (partitions - 1)) }

// count adds a batch's rows to the sums of their patients. It returns false if there are too many pages, or more rows
// than a record counts.
func (t *thread) count(ids []int64) bool {
	if t.op.rows.Load() > math.MaxUint32 {
		return false
	}
	p, cells := &t.people, len(t.columns)
	if p.words == nil {
		p.record = recordWords(cells)
		p.words = make([]uint64, p.record, p.record*(onPage+1))
		t.op.used.Add(p.bytes())
	}
	if !t.locate(ids) {
		return false
	}
	words, at := p.words, t.at[:len(ids)]
	for _, at := range at { // with nothing else in between, so that many wait for their memory at a time
		words[at]++
	}
	for i, column := range t.columns {
		sum := int32(p.record - cells + i) //nolint:gosec // of a few
		null, one := count(1 + i)
		for row, x := range column[:len(at)] {
			if x == missing {
				words[int(at[row])+null] += one
			} else {
				words[at[row]+sum] += uint64(int64(x)) //nolint:gosec // as it is
			}
		}
	}
	return true
}

// locate finds the record of each row's patient. It returns false if there are too many pages.
func (t *thread) locate(ids []int64) bool {
	p := &t.people
	t.at = room(t.at, len(ids))
	at, from, first, record := t.at[:len(ids)], p.from, p.first, p.record
	for row, id := range ids {
		if len(t.skip) > 0 && t.skip[row] {
			at[row] = 0
			continue
		}
		page := uint64(id) >> pageBits //nolint:gosec // as it is
		n := page - first
		if n >= uint64(len(from)) || from[n] == 0 {
			if !t.page(page) {
				return false
			}
			from, first = p.from, p.first
			n = page - first
		}
		at[row] = (from[n] + int32(id&(onPage-1))) * int32(record) //nolint:gosec // as in make
	}
	return true
}

// page allocates a page if there is room.
func (t *thread) page(page uint64) bool {
	p, op := &t.people, t.op
	before, most := p.bytes(), max(fewPages, op.rows.Load()/pageRows)
	made := int64(p.n) < most && p.reach(page) && p.make(page, op.most-op.used.Load())
	return op.used.Add(p.bytes()-before) <= op.most && made
}

// make allocates a page that is within reach, within most bytes.
func (p *pages) make(page uint64, most int64) bool {
	from, to := len(p.words), len(p.words)+p.record*onPage
	if to > cap(p.words) {
		if int64(16*cap(p.words)) > most || 2*cap(p.words) > math.MaxInt32 {
			return false
		}
		p.words = append(make([]uint64, 0, 2*cap(p.words)), p.words...)
	}
	p.words = p.words[:to]
	p.from[page-p.first] = int32(from / p.record) //nolint:gosec // memory ends before
	p.n++
	return true
}

// reach extends the range of page numbers to a page.
func (p *pages) reach(page uint64) bool {
	if p.from == nil {
		p.first = page
	}
	n, have := int64(page-p.first), int64(len(p.from)) //nolint:gosec // the distance, whose sign is right as pages have fewer bits
	switch {
	case n >= have && n < mostSpan:
		p.from = append(p.from, make([]int32, n+1-have)...)
	case n < 0 && have-n <= mostSpan:
		more := min(max(-n, have), mostSpan-have, int64(min(p.first, mostSpan))) //nolint:gosec // at most mostSpan
		more = max(more, -n)
		p.from = append(make([]int32, more, more+have), p.from...)
		p.first -= uint64(more) //nolint:gosec // above 0
	default:
		return n >= 0 && n < have
	}
	return true
}

// forget discards what was counted.
func (t *thread) forget() {
	t.op.used.Add(-t.people.bytes())
	t.people = pages{}
}

// numbered returns the pages that some thread has.
func (op *Operator) numbered() []uint64 {
	var all []uint64
	seen := map[uint64]bool{}
	for _, t := range op.all {
		for i, from := range t.people.from {
			page := t.people.first + uint64(i) //nolint:gosec // from 0
			if from > 0 && !seen[page] {
				seen[page] = true
				all = append(all, page)
			}
		}
	}
	return all
}

// page adds up the patients of a page over all threads.
func (a *adder) page(ctx context.Context, page uint64) error {
	var sum []uint64
	for _, t := range a.op.all {
		switch records := t.people.of(page); {
		case sum == nil:
			sum = records
		case records != nil:
			for i, x := range records[:len(sum)] {
				sum[i] += x
			}
		}
	}
	return a.records(ctx, sum, 0, len(sum)/onPage)
}
