package stream

import (
	"math"
	"math/big"
	"math/bits"
	"slices"

	"github.com/intramuros/intramuros/internal/fragment"
)

// clip clips the patients of the entries, and adds their contributions to the sums over patients.
func (a *adder) clip() error {
	p, some := a.plan, &a.some
	some.norms, some.counted = zeros(some.norms, len(some.groups)), zeros(some.counted, len(some.groups))
	a.pair()
	a.measure(func(p *Part) bool { return p.Kind != fragment.PartialSum })
	a.measure(func(p *Part) bool { return p.Kind == fragment.PartialSum }) // a sum is at least as long as its count
	a.factors()
	for k, i := range a.scalars {
		parts := some.parts[k]
		if twin := some.same[k]; twin >= 0 && a.twins[k] >= 0 {
			parts = some.parts[twin]
		}
		if err := a.plus(&p.Parts[i], a.places[i], parts); err != nil {
			return err
		}
	}
	for i := range p.Parts {
		if p.Parts[i].tree() {
			if err := a.trees(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// measure computes some of the one-integer parts of each entry and adds up their lengths.
func (a *adder) measure(which func(p *Part) bool) {
	some := &a.some
	for k, i := range a.scalars {
		part := &a.plan.Parts[i]
		if some.same[k] >= 0 && a.twins[k] >= 0 || !which(part) {
			continue
		}
		weight := part.Weight
		if twin := some.same[k]; twin >= 0 {
			weight += a.plan.Parts[a.scalars[twin]].Weight
		}
		some.parts[k] = room(some.parts[k], len(some.groups))
		part.of(some.parts[k], some, a.plan, weight)
	}
}

// values reports whether p counts a cell's values like rows counts rows. Both are the same if no value is NULL.
func (p *Part) values(rows *Part) bool {
	return p.Kind == fragment.PartialValues && rows.Kind == fragment.PartialRows && !p.Beyond && !rows.Beyond && rows.Cell < 0 &&
		p.Unit == rows.Unit && p.Size == rows.Size && p.Cap == rows.Cap
}

// pair finds the parts that are the same in these entries. Each is the same as at most one other.
func (a *adder) pair() {
	same := a.some.same
	for k := range same {
		same[k] = -1
	}
	for k, twin := range a.twins {
		if twin >= 0 && same[twin] < 0 && a.some.cells[a.plan.Parts[a.scalars[k]].Cell].whole {
			same[k], same[twin] = twin, k
		}
	}
}

// factors computes the factor of each entry's patient, and records which groups are answered.
func (a *adder) factors() {
	p, some, first := a.plan, &a.some, 0
	some.factors = room(some.factors, len(some.groups))
	for _, end := range some.ends {
		factor := uint64(fragment.Whole)
		if !p.Unclipped {
			var norm wide
			for _, within := range some.norms[first:end] {
				norm.add(0, within)
			}
			factor = p.Single.factor(p.L2, norm)
		}
		counts := int64(factor) >= p.Least //nolint:gosec // at most Whole
		if !counts {
			factor = 0
		}
		for e := first; e < end; e++ {
			some.factors[e] = factor
			if counts && len(a.scalars) > 0 {
				a.there[some.groups[e]] = true
			}
		}
		first = end
	}
}

// plus adds a part of each entry, times its factor, to the sum of its group.
func (a *adder) plus(part *Part, place int, parts []int64) error {
	sums, width, wrapped := a.sums[place:], a.width, int64(0)
	factors, groups := a.some.factors[:len(parts)], a.some.groups[:len(parts)]
	for e, x := range parts {
		factor := factors[e]
		if part.Beyond {
			factor = min(fragment.Whole-factor, part.Most*factor)
		}
		x = scaled(x, factor)
		to := &sums[int(groups[e])*width]
		before := *to
		*to += x
		wrapped |= (before ^ *to) & (x ^ *to)
	}
	if wrapped < 0 {
		return ErrTooMuch
	}
	return nil
}

// of computes the part of each entry, clamped to its cap, and adds its length to the norms, with a weight.
func (p *Part) of(into []int64, some *entries, plan *Plan, weight int64) {
	from := some.counts
	unit := p.Unit
	switch p.Kind {
	case fragment.PartialRows:
	case fragment.PartialValues:
		from = some.cells[p.Cell].values
	case fragment.PartialSum:
		from = some.cells[p.Cell].sum
	default: // 1 if the condition is true in some row, or if there is no condition
		for e := range into {
			into[e] = 1
			if p.Cell >= 0 && some.cells[p.Cell].sum[e] == 0 {
				into[e] = 0
			}
		}
		from = into
	}
	from = from[:len(into)]
	if plan.Unclipped {
		for e, x := range from {
			into[e] = x * unit
		}
		return
	}
	least, most := -p.Cap, p.Cap
	for e, x := range from {
		into[e] = max(least, min(x*unit, most))
	}
	switch {
	case p.Beyond:
	default:
		p.lengths(some, into, uint64(weight), plan.L2) //nolint:gosec // at least 1
	}
}

// lengths adds the length of each entry's part, or its square, to the norm. The norm cannot overflow within a group:
// see fragment.Clip. It keeps the greatest length of a count, because a sum is at least as long.
func (p *Part) lengths(some *entries, parts []int64, weight uint64, squared bool) {
	size := uint64(p.Size) //nolint:gosec // at least 1
	divide := math.MaxUint64 / size
	norms, counted := some.norms[:len(parts)], some.counted[:len(parts)]
	counts, sum := p.Kind == fragment.PartialRows || p.Kind == fragment.PartialValues, p.Kind == fragment.PartialSum
	for e, x := range parts {
		u := measure(x, size, divide)
		switch {
		case sum:
			u = max(u, counted[e])
		case counts:
			counted[e] = max(u, counted[e])
		}
		length := u
		if squared {
			length *= u
		}
		norms[e] += length * weight
	}
}

// measure returns |x|*Steps/size, rounded up. divide is 2^64 divided by the size.
func measure(x int64, size, divide uint64) uint64 {
	up := uint64(max(x, -x))*fragment.Steps + size - 1 //nolint:gosec // a part is at most a cap
	q, _ := bits.Mul64(up, divide)                     // the quotient, or one less
	return q + 1 - (up-q*size-size)>>63                // less than 2*size is left, which is far below 2^63
}

// trees counts the values of each patient who counts in the buckets of part i.
func (a *adder) trees(i int) error {
	some, first := &a.some, 0
	rows := a.starts[some.from]
	for k, end := range some.ends {
		if int64(some.factors[first]) >= a.plan.Least { //nolint:gosec // at most Whole
			from, to := a.starts[some.from+k], a.starts[some.from+k+1]
			if err := a.tree(i, from, some.rows[from-rows:to-rows]); err != nil {
				return err
			}
		}
		first = end
	}
	return nil
}

// tree counts a patient's values. entries are those of the rows from from on.
func (a *adder) tree(i int, from int32, entries []int32) error {
	p, part := a.plan, &a.plan.Parts[i]
	a.leaves = a.leaves[:0]
	for row, leaf := range a.columns[p.groupColumns()+part.Cell][from:][:len(entries)] {
		if leaf != missing {
			a.leaves = append(a.leaves, uint64(entries[row])<<32|uint64(leaf)) //nolint:gosec // both are from 0
		}
	}
	slices.Sort(a.leaves)
	var norm wide
	in := uint64(0) // the rows that count in one group
	a.counts(func(_, _ int, n uint64, last bool) {
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
	a.counts(func(entry, leaf int, n uint64, _ bool) {
		group := int(a.some.groups[entry])
		a.there[group] = a.there[group] || len(a.scalars) == 0
		if e := plus(&a.sums[group*a.width+a.places[i]+leaf], scaled(int64(n)*part.Unit, factor)); e != nil { //nolint:gosec // at most MostCounted
			err = e
		}
	})
	return err
}

// counts calls fn for each bucket that has leaves, with their number. last: the next bucket belongs to another entry.
func (a *adder) counts(fn func(entry, leaf int, n uint64, last bool)) {
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

// scaled returns x*factor/Whole, rounded toward zero.
func scaled(x int64, factor uint64) int64 {
	sign := x >> 63
	high, low := bits.Mul64(uint64((x^sign)-sign), factor) //nolint:gosec // |x|
	y := int64(high<<(64-wholeBits) | low>>wholeBits)      //nolint:gosec // at most |x|
	return (y ^ sign) - sign
}

// wholeBits is the binary logarithm of fragment.Whole.
const wholeBits = 30

// wide is an integer of 128 bits.
type wide struct{ high, low uint64 }

func (w *wide) add(high, low uint64) {
	var carry uint64
	w.low, carry = bits.Add64(w.low, low, 0)
	w.high, _ = bits.Add64(w.high, high, carry)
}

// factor computes the factor that fragment.Clip defines.
func (c *Clip) factor(l2 bool, norm wide) uint64 {
	limit := uint64(c.Limit) //nolint:gosec // at least 1
	if norm.high == 0 && norm.low <= limit {
		return fragment.Whole
	}
	if !l2 {
		high, low := bits.Mul64(limit, fragment.Whole)
		if norm.high == 0 { // high is smaller, because limit is
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
