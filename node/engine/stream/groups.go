package stream

import (
	"math"
	"math/bits"
	"strings"
	"sync"

	"github.com/intramuros/intramuros/internal/value"
)

// maxCodes is the largest number of values of a key, or of pairs of keys.
const maxCodes = 1 << 20

// dictionary numbers the values of a key from 1; 0 is NULL. Each key after the first also has a dictionary of pairs: of
// the number so far and the key's number.
type dictionary struct {
	mu     sync.Mutex
	t      value.Type // "": of pairs
	most   int
	words  map[uint64]int32
	texts  map[string]int32
	values []value.Value
	pairs  []uint64
}

func newDictionary(t value.Type, most int) *dictionary {
	return &dictionary{t: t, most: most, words: map[uint64]int32{}, texts: map[string]int32{}}
}

// size returns the number of numbers, with that of NULL.
func (d *dictionary) size() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return 1 + len(d.words) + len(d.texts)
}

// word returns the number of a value that is not a text.
func (d *dictionary) word(x uint64) (int32, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, ok := d.words[x]; ok {
		return n, nil
	}
	n := len(d.words) + 1
	if n > d.most {
		return 0, ErrTooMuch
	}
	d.words[x] = int32(n) //nolint:gosec // at most d.most
	if d.t == "" {
		d.pairs = append(d.pairs, x)
	} else {
		d.values = append(d.values, wordValue(d.t, x))
	}
	return int32(n), nil //nolint:gosec // as above
}

// text returns the number of a text, and the dictionary's own copy of it.
func (d *dictionary) text(s string) (n int32, kept string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, ok := d.texts[s]; ok {
		return n, d.values[n-1].Str(), nil
	}
	next := len(d.texts) + 1
	if next > d.most {
		return 0, "", ErrTooMuch
	}
	kept = strings.Clone(s)
	d.texts[kept] = int32(next) //nolint:gosec // at most d.most
	d.values = append(d.values, value.Text(kept))
	return int32(next), kept, nil //nolint:gosec // as above
}

func (d *dictionary) value(code int32) value.Value {
	if code == 0 {
		return value.Null(d.t)
	}
	return d.values[code-1]
}

// wordOf returns a float as a word. Both zeros are one value.
func wordOf(x float64) uint64 {
	if x == 0 {
		x = 0
	}
	return math.Float64bits(x)
}

func wordValue(t value.Type, x uint64) value.Value {
	switch t {
	case value.TypeBool:
		return value.Bool(x != 0)
	case value.TypeFloat:
		return value.Float(math.Float64frombits(x))
	case value.TypeDate:
		return value.Date(int64(x)) //nolint:gosec // as it came
	case value.TypeTimestamp:
		return value.Timestamp(int64(x)) //nolint:gosec // as it came
	}
	return value.Int(int64(x)) //nolint:gosec // as it came
}

// known is one thread's copy of a dictionary, read without a lock.
type known struct {
	of    *dictionary
	words table
	texts map[string]int32
	small []int32 // numbers of small words, by word; 0 if unknown
	fresh int64   // bytes of new words
}

// smallWords is the largest number of words that have a place of their own.
const smallWords = 1 << 20

func (k *known) word(x uint64) (int32, error) {
	if x < smallWords {
		return k.few(x)
	}
	hash := mix(x)
	at := k.words.at(hash)
	if at.number != 0 {
		return at.number, nil
	}
	n, err := k.of.word(x)
	if err == nil {
		k.words.put(at, hash, n)
		k.fresh += wordBytes
	}
	return n, err
}

// taken returns the bytes that words have taken since the last call.
func (k *known) taken() (bytes int64) {
	bytes, k.fresh = k.fresh, 0
	return bytes
}

// few is word for small words.
func (k *known) few(x uint64) (n int32, err error) {
	if x >= uint64(len(k.small)) {
		more := max(1<<bits.Len64(x), 1<<10) - len(k.small)
		k.small = append(k.small, make([]int32, more)...)
		k.fresh += 4 * int64(more)
	}
	if n = k.small[x]; n == 0 {
		if n, err = k.of.word(x); err == nil {
			k.small[x] = n
			k.fresh += wordBytes
		}
	}
	return n, err
}

// text returns the number of a text, which need not outlive the call. fresh is the memory that it has newly taken, in
// bytes.
func (k *known) text(s string) (n int32, fresh int64, err error) {
	if n, ok := k.texts[s]; ok {
		return n, 0, nil
	}
	n, kept, err := k.of.text(s)
	if err != nil {
		return 0, 0, err
	}
	if k.texts == nil {
		k.texts = map[string]int32{}
	}
	k.texts[kept] = n
	return n, textBytes + int64(len(s)), nil
}

// wordBytes is about the memory of a word in the dictionary, and in a thread's copy.
const wordBytes = 128

// textBytes is about the memory of a text beside its bytes, in the dictionary and in the threads' copies.
const textBytes = 200

// table is a hash table that maps hashes of mix to numbers above 0.
type table struct {
	slots []slot
	n     int
	shift uint
}

// slot is a hash and its number; 0: the slot is free.
type slot struct {
	hash   uint64
	number int32
}

// spread is an odd number that scatters words: 2^64 divided by the golden ratio.
const spread = 0x9E3779B97F4A7C15

// mix hashes a word. No two words have the same hash.
func mix(x uint64) uint64 {
	x *= spread
	x ^= x >> 32
	return x * 0xD6E8FEB86659FD93
}

func newTable() table {
	var t table
	t.grow(8)
	return t
}

// at returns the slot of a hash, or the slot to put it in.
func (t *table) at(hash uint64) *slot {
	slots, i := t.slots, hash>>t.shift
	for {
		s := &slots[i&uint64(len(slots)-1)]
		if s.hash == hash || s.number == 0 {
			return s
		}
		i++
	}
}

// put stores a new hash at the slot that at returned.
func (t *table) put(at *slot, hash uint64, n int32) {
	*at = slot{hash, n}
	if t.n++; 2*t.n > len(t.slots) {
		t.grow(65 - t.shift)
	}
}

// grow makes room for 2^bits hashes.
func (t *table) grow(bits uint) {
	before := t.slots
	t.slots, t.shift = make([]slot, 1<<bits), 64-bits
	for _, s := range before {
		if s.number != 0 {
			*t.at(s.hash) = s
		}
	}
}

// reset removes all hashes, and keeps the memory.
func (t *table) reset() {
	clear(t.slots)
	t.n = 0
}
