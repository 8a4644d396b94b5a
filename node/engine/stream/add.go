package stream

import (
	"context"
	"math"
	"math/big"
	"math/bits"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// mostSums is how many sums there are at most.
const mostSums = 1 << 24

// totals are sums over patients, of each group one after another.
type totals struct {
	sums  []int64
	there []bool // the group is answered
}

// adder adds up partitions, one after another.
type adder struct {
	totals
	op      *Operator
	plan    *Plan
	width   int
	divide  []uint64 // 2^64 divided by the size of each part
	scalars []int    // the parts of one integer
	places  []int    // where each part is among a group's integers

	// of a partition
	blocks  [][]uint32
	numbers table
	starts  []int // of each patient's rows among sorted, and their end
	who     []int32
	sorted  []uint32 // the rows by patient: the group where there are keys, and the cells
	words   int      // of such a row

	// of a patient
	slots  []int32 // by group: 1 + the place of the patient's part in it, or 0
	groups []int32 // of each place
	sums_  []int64 // of each place: the rows, and of each cell the sum and how many are not NULL
	parts  []int64 // of each place
	leaves []uint64
}

func (op *Operator) groups() int {
	switch n := len(op.pairs); {
	case n > 0:
		return op.pairs[n-1].size()
	case len(op.keys) > 0:
		return op.keys[0].size()
	}
	return 1
}

// addUp adds up the partitions from op.from to to, and forgets their rows.
func (op *Operator) addUp(ctx context.Context, to, threads int) error {
	groups, width := op.groups(), op.plan.width()
	if groups*width > mostSums || int64(8*groups*width)*int64(threads+1) > op.most {
		return ErrTooMuch
	}
	op.totals.grow(groups, width)
	adders := make([]*adder, threads)
	var next atomic.Int64
	next.Store(int64(op.from))
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
				if err := a.partition(ctx, at); err != nil {
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
		for i := op.from; i < to; i++ {
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

// plus adds, and never wraps around.
func plus(to *int64, x int64) error {
	sum := *to + x
	if (sum > *to) != (x > 0) && x != 0 {
		return ErrTooMuch
	}
	*to = sum
	return nil
}

func (op *Operator) adder(groups, width int) *adder {
	a := &adder{op: op, plan: op.plan, width: width, words: op.words - 2, slots: make([]int32, groups)}
	a.grow(groups, width)
	at := 0
	for i := range op.plan.Parts {
		p := &op.plan.Parts[i]
		a.places = append(a.places, at)
		at += p.width()
		a.divide = append(a.divide, math.MaxUint64/uint64(p.Size)) //nolint:gosec // at least 1
		if !p.tree() {
			a.scalars = append(a.scalars, i)
		}
	}
	return a
}

// partition gathers the rows of each patient of a partition, and adds them up.
func (a *adder) partition(ctx context.Context, at int) error {
	a.gather(at)
	for i := range len(a.starts) - 1 {
		from, to := a.starts[i], a.starts[i+1]
		if err := a.patient(from, to); err != nil {
			return err
		}
		if i%1024 == 1023 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// gather sorts the rows of a partition by patient.
func (a *adder) gather(at int) {
	w := a.op.words
	a.numbers.reset()
	a.who, a.starts, a.blocks = a.who[:0], a.starts[:0], a.blocks[:0]
	for _, t := range a.op.all {
		a.blocks = append(append(a.blocks, t.parts[at].full...), t.parts[at].now)
	}
	last, n := uint64(0), int32(0)
	for _, block := range a.blocks {
		for ; len(block) >= w; block = block[w:] {
			id := uint64(block[0]) | uint64(block[1])<<32
			if n == 0 || id != last { // rows of a patient often come together
				last = id
				slot := a.numbers.slot(id)
				if n = a.numbers.numbers[slot]; n == 0 {
					a.starts = append(a.starts, 0)
					n = int32(len(a.starts)) //nolint:gosec // a partition's patients
					a.numbers.put(slot, id, n)
				}
			}
			a.starts[n-1]++
			a.who = append(a.who, n-1)
		}
	}
	sum := 0
	for i, n := range a.starts {
		a.starts[i] = sum
		sum += n
	}
	a.starts = append(a.starts, sum)
	a.sorted = room(a.sorted, sum*(w-2))
	row := 0
	for _, block := range a.blocks {
		for ; len(block) >= w; block = block[w:] {
			n := a.who[row]
			row++
			to := a.sorted[a.starts[n]*(w-2):]
			copy(to, block[2:w])
			a.starts[n]++
		}
	}
	copy(a.starts[1:], a.starts[:len(a.starts)-1]) // each is now where the next begins
	a.starts[0] = 0
}

// patient adds up one patient: rows from to to.
func (a *adder) patient(from, to int) error {
	keyed, cells := len(a.plan.Keys) > 0, len(a.plan.Cells)
	each := 1 + 2*cells
	a.groups, a.sums_ = a.groups[:0], a.sums_[:0]
	a.leaves = a.leaves[:0]
	var sums []int64 // of the group of the row before
	before := int32(-1)
	for i := from; i < to; i++ {
		row := a.sorted[i*a.words : (i+1)*a.words]
		group := int32(0)
		if keyed {
			group, row = int32(row[0]), row[1:] //nolint:gosec // as it was put there
		}
		if group != before {
			before = group
			place := int(a.slots[group]) - 1
			if place < 0 {
				a.groups = append(a.groups, group)
				place = len(a.groups) - 1
				a.slots[group] = int32(place + 1) //nolint:gosec // a patient's groups
				a.sums_ = slices.Grow(a.sums_, each)[:len(a.sums_)+each]
				clear(a.sums_[place*each:])
			}
			sums = a.sums_[place*each : (place+1)*each]
		}
		sums[0]++
		for c, word := range row[:cells] {
			if v := int32(word); v != missing { //nolint:gosec // its bits
				sums[1+2*c] += int64(v)
				sums[2+2*c]++
			}
		}
	}
	err := a.clip(from, to)
	for _, g := range a.groups {
		a.slots[g] = 0
	}
	return err
}

// clip clips a patient of whom sums_ has what the rows add up to, and adds the parts to the sums over patients.
func (a *adder) clip(from, to int) error {
	p, n := a.plan, len(a.scalars)
	each := 1 + 2*len(p.Cells)
	a.parts = room(a.parts, n*len(a.groups))
	var norm wide
	for place := range a.groups {
		sums := a.sums_[place*each : (place+1)*each]
		within := uint64(0) // of a group, that fits: see fragment.Clip
		for k, i := range a.scalars {
			part := &p.Parts[i]
			x := part.of(sums)
			if !p.Unclipped {
				x = max(-part.Cap, min(x, part.Cap))
			}
			if !p.Unclipped && !part.Beyond {
				u := a.measure(i, x)
				if p.L2 {
					u *= u
				}
				within += u * uint64(part.Weight) //nolint:gosec // at least 1
			}
			a.parts[place*n+k] = x
		}
		norm.add(0, within)
	}
	factor := uint64(fragment.Whole)
	if !p.Unclipped {
		factor = p.Single.factor(p.L2, norm)
	}
	if int64(factor) < p.Least { //nolint:gosec // at most Whole
		return nil
	}
	for place, group := range a.groups {
		if n > 0 {
			a.there[group] = true
		}
		into := a.sums[int(group)*a.width : int(group+1)*a.width]
		for k, i := range a.scalars {
			by := factor
			if part := &p.Parts[i]; part.Beyond {
				by = min(fragment.Whole-factor, part.Most*factor)
			}
			if err := plus(&into[a.places[i]], scaled(a.parts[place*n+k], by)); err != nil {
				return err
			}
		}
	}
	for i := range p.Parts {
		if p.Parts[i].tree() {
			if err := a.tree(i, from, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// of is the part that sums make of a group, before it is clamped.
func (p *Part) of(sums []int64) int64 {
	switch p.Kind {
	case fragment.PartialRows:
		return sums[0] * p.Unit
	case fragment.PartialValues:
		return sums[2+2*p.Cell] * p.Unit
	case fragment.PartialSum:
		return sums[1+2*p.Cell] * p.Unit
	}
	if p.Cell >= 0 && sums[1+2*p.Cell] == 0 { // a condition that is true nowhere
		return 0
	}
	return p.Unit
}

// measure is what a part counts in the norm: |x|*Steps/size, rounded up.
func (a *adder) measure(i int, x int64) uint64 {
	size := uint64(a.plan.Parts[i].Size)               //nolint:gosec // at least 1
	up := uint64(max(x, -x))*fragment.Steps + size - 1 //nolint:gosec // a part is at most a cap
	q, _ := bits.Mul64(up, a.divide[i])                // the quotient, or one less
	if up-q*size >= size {
		q++
	}
	return q
}

// tree counts a patient's values in the buckets of part i.
func (a *adder) tree(i, from, to int) error {
	p, part := a.plan, &a.plan.Parts[i]
	keyed := min(len(p.Keys), 1)
	a.leaves = a.leaves[:0]
	for r := from; r < to; r++ {
		row := a.sorted[r*a.words : (r+1)*a.words]
		leaf := int32(row[keyed+part.Cell]) //nolint:gosec // its bits
		if leaf == missing {
			continue
		}
		place := int32(0)
		if keyed > 0 {
			place = a.slots[row[0]] - 1
		}
		a.leaves = append(a.leaves, uint64(place)<<32|uint64(leaf)) //nolint:gosec // both are from 0
	}
	slices.Sort(a.leaves)
	var norm wide
	in := uint64(0) // the rows that count in one group
	a.counts(func(place, _ int, n uint64, last bool) {
		in += n
		switch {
		case !p.L2:
			norm.add(0, n)
		case part.Levels == 1:
			norm.add(bits.Mul64(n, n))
		case last:
			norm.add(bits.Mul64(in, in))
		}
		if last {
			in = 0
		}
	})
	factor := uint64(fragment.Whole)
	if !p.Unclipped {
		factor = part.Tree.factor(p.L2, norm)
	}
	var err error
	a.counts(func(place, leaf int, n uint64, _ bool) {
		group := int(a.groups[place])
		a.there[group] = a.there[group] || len(a.scalars) == 0
		if e := plus(&a.sums[group*a.width+a.places[i]+leaf], scaled(int64(n)*part.Unit, factor)); e != nil { //nolint:gosec // at most MostCounted
			err = e
		}
	})
	return err
}

// counts calls fn for each bucket in which leaves are, with how many count there; last: no other is of this place.
func (a *adder) counts(fn func(place, leaf int, n uint64, last bool)) {
	for from := 0; from < len(a.leaves); {
		to := from
		for to < len(a.leaves) && a.leaves[to] == a.leaves[from] {
			to++
		}
		at := a.leaves[from]
		last := to == len(a.leaves) || a.leaves[to]>>32 != at>>32
		fn(int(at>>32), int(at&math.MaxUint32), uint64(min(to-from, fragment.MostCounted)), last) //nolint:gosec // as it was put there
		from = to
	}
}

// scaled is x*factor/Whole, toward zero.
func scaled(x int64, factor uint64) int64 {
	if factor == fragment.Whole {
		return x
	}
	high, low := bits.Mul64(uint64(max(x, -x)), factor)
	y := int64(high<<(64-wholeBits) | low>>wholeBits) //nolint:gosec // at most |x|
	if x < 0 {
		return -y
	}
	return y
}

// wholeBits is the logarithm of fragment.Whole.
const wholeBits = 30

// wide is a whole number of 128 bits.
type wide struct{ high, low uint64 }

func (w *wide) add(high, low uint64) {
	var carry uint64
	w.low, carry = bits.Add64(w.low, low, 0)
	w.high, _ = bits.Add64(w.high, high, carry)
}

// factor is fragment.Clip's.
func (c *Clip) factor(l2 bool, norm wide) uint64 {
	limit := uint64(c.Limit) //nolint:gosec // at least 1
	if norm.high == 0 && norm.low <= limit {
		return fragment.Whole
	}
	if !l2 {
		high, low := bits.Mul64(limit, fragment.Whole)
		if norm.high == 0 { // high is less than it, as limit is
			q, _ := bits.Div64(high, low, norm.low)
			return q
		}
		return new(big.Int).Quo(wide{high, low}.big(), norm.big()).Uint64()
	}
	root := c.Root
	if norm.high > 0 || norm.low > fragment.Exact {
		norm = wide{norm.high >> 32, norm.high<<32 | norm.low>>32}
		norm.add(0, 1)
		root /= fragment.CoarserRoot
	}
	if norm.high > 0 || norm.low > fragment.Exact {
		return 0
	}
	return uint64(math.Floor(root / math.Sqrt(float64(norm.low))))
}

func (w wide) big() *big.Int {
	x := new(big.Int).SetUint64(w.high)
	return x.Lsh(x, 64).Or(x, new(big.Int).SetUint64(w.low))
}

// Each calls fn for each group, ordered by its keys, of which NULL is the last; without keys there is one. The slices are fn's
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

// most is what a sum over patients is clamped to, so that sums over nodes do not overflow.
const most = 1 << 62

// of gives the sums of a group.
func (t *totals) of(group, width int) []int64 {
	sums := t.sums[group*width : (group+1)*width]
	for i, x := range sums {
		sums[i] = max(-most, min(x, most))
	}
	return sums
}

// keysOf gives the keys of a group by its number.
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
