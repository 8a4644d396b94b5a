package fragment

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/intramuros/intramuros/internal/value"
)

// clipped makes a fragment of rows, patients, a sum and two trees, by a key that is not declared, and its proof.
func clipped(t *testing.T, r *rand.Rand) (*Fragment, *Proof) {
	t.Helper()
	days := col("stay", "days", value.TypeInt)
	f := base(Relation{Name: "stay", Table: "stay"})
	f.Norm, f.MaxGroups, f.MaxRows = []Norm{L1, L2}[r.IntN(2)], 1+r.IntN(6), 1+r.IntN(12)
	f.Keys = []Key{{Expr: days}}
	f.Partials = []Partial{{Kind: PartialRows, Share: r.IntN(4)}, {Kind: PartialPatients, Share: r.IntN(3)},
		{Kind: PartialSum, Expr: days, Grid: &Grid{Lower: -50, Upper: 7000}, Share: r.IntN(3)},
		{Kind: PartialBuckets, Expr: days, Buckets: &Buckets{Upper: 16, Branching: 4, Levels: 2}, Share: r.IntN(3)},
		{Kind: PartialBuckets, Expr: days, Buckets: &Buckets{Upper: 5, Branching: 5, Levels: 1}}}
	for _, i := range r.Perm(3)[:r.IntN(3)] {
		beyond := f.Partials[i]
		beyond.Kind, beyond.Of, beyond.Most, beyond.Share = PartialBeyond, beyond.Kind, 1+r.IntN(5), r.IntN(4)
		f.Partials = append(f.Partials, beyond)
	}
	p, err := Check(&f, testCatalog(t))
	if err != nil {
		t.Fatal(err)
	}
	return &f, p
}

// TestClip: whatever a patient's rows add up to, the counted part is exactly within the norm that the noise is for, on
// each level of a tree too. A patient within the norm counts as a whole, and a patient beyond it is clipped to just
// below it.
func TestClip(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 2))
	whole, far := 0, 0
	for range 1000 {
		f, p := clipped(t, r)
		var groups [][]*big.Int
		largest := int64(1) << (r.IntN(2) * r.IntN(34))
		for range 1 + r.IntN(1+r.IntN(30)) {
			n := 1 + r.Int64N(largest)
			g := []*big.Int{big.NewInt(n), big.NewInt(1), big.NewInt(r.Int64N(7000*n+1) - 50*n)}
			for _, leaves := range []int{16, 5} {
				counts := make([]*big.Int, leaves)
				for i := range counts {
					counts[i] = new(big.Int)
				}
				for range 3 {
					counts[r.IntN(leaves)].SetInt64(r.Int64N(n/3 + 1))
				}
				g = append(g, counts...)
			}
			for _, beyond := range f.Partials[5:] { // computed from the same rows
				i := slices.IndexFunc(f.Partials, func(p Partial) bool { return p.Kind == beyond.Of })
				g = append(g, new(big.Int).Set(g[i]))
			}
			groups = append(groups, g)
		}
		parts := p.Clip(f, groups)
		length, limit := lengthOf(f, p, parts), new(big.Rat).SetInt64(p.NormLimit(f))
		if length.Cmp(limit) > 0 {
			t.Fatalf("%s of %s, at most %s: %+v\n%v\n%v", f.Norm, length.FloatString(6), limit.FloatString(6), *f, groups, parts)
		}
		wide := *p
		wide.Unclipped = true
		raw := lengthOf(f, p, wide.Clip(f, groups))
		switch share, _ := new(big.Rat).Quo(length, limit).Float64(); {
		case raw.Cmp(big.NewRat(9*int64(p.Groups), 10)) < 0: // each block has its own limit
			whole++
			for g, part := range wide.Clip(f, groups) {
				for i := range part {
					if part[i] != parts[g][i] {
						t.Fatalf("a patient of length %s of %s counts as %v, not %v", raw.FloatString(3), limit.FloatString(3), parts[g], part)
					}
				}
			}
		case len(groups) == 1 && raw.Cmp(new(big.Rat).Mul(limit, big.NewRat(100, 1))) > 0 && share < 0.2 && (share > 0 || p.Cells > 0): // share 0: the patient makes no group appear
			far++
		}
	}
	if whole < 30 || far > 20 {
		t.Errorf("%d patients are within the norm, %d of those beyond it lose far more than they must", whole, far)
	}
}

// TestValuesDoNotWeigh: beside a count, how much of a patient counts depends on how many rows there are, and not on
// what their values add up to; and a sum alone counts in full as long as it is short.
func TestValuesDoNotWeigh(t *testing.T) {
	days := col("stay", "days", value.TypeInt)
	for _, norm := range []Norm{L1, L2} {
		f := base(Relation{Name: "stay", Table: "stay"})
		f.Norm, f.MaxGroups, f.MaxRows = norm, 1, 4
		sum := Partial{Kind: PartialSum, Expr: days, Grid: &Grid{Lower: 0, Upper: 100, Center: 50}, Share: 2}
		f.Partials = []Partial{{Kind: PartialRows, Share: 1}, sum}
		p, err := Check(&f, testCatalog(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, add := range []int64{0, 50, -170, 500} { // of ten rows
			got := p.Clip(&f, [][]*big.Int{{big.NewInt(10), big.NewInt(add)}})[0]
			rows, of := float64(got[0])/float64(p.Units[0]), float64(got[1])/float64(p.Units[1])
			if math.Abs(rows-4) > 0.01 || math.Abs(of-0.4*float64(add)) > 0.01*math.Abs(float64(add)) {
				t.Errorf("%s: ten rows that add up to %d count as %.3f rows that add up to %.3f", norm, add, rows, of)
			}
		}
		f.Partials = []Partial{sum}
		if p, err = Check(&f, testCatalog(t)); err != nil {
			t.Fatal(err)
		}
		if got := p.Clip(&f, [][]*big.Int{{big.NewInt(150)}})[0][0]; got != 150*p.Units[0] {
			t.Errorf("%s: a sum of 150, where 4 rows of 50 count in full, counts as %d of %d", norm, got, 150*p.Units[0])
		}
	}
}

// lengthOf computes the norm of clipped parts in rational numbers, level by level, as in the lemma of package dp.
func lengthOf(f *Fragment, p *Proof, parts [][]int64) *big.Rat {
	sum := new(big.Rat)
	add := func(weight, x, size int64) {
		v := new(big.Rat).SetFrac(new(big.Int).Abs(big.NewInt(x)), big.NewInt(size))
		if f.Norm == L2 {
			v.Mul(v, v)
		}
		sum.Add(sum, v.Mul(v, new(big.Rat).SetInt64(weight)))
	}
	for _, part := range parts {
		for i, partial := range f.Partials {
			level := part[:partial.Width()]
			part = part[partial.Width():]
			for {
				for _, x := range level {
					add(p.NormWeight(f, i), x, p.Sizes[i])
				}
				if partial.Buckets == nil || len(level) == partial.Buckets.Branching {
					break
				}
				coarser := make([]int64, len(level)/partial.Buckets.Branching)
				for k, x := range level {
					coarser[k/partial.Buckets.Branching] += x
				}
				level = coarser
			}
		}
	}
	return sum
}

// TestFactor: the factor never leaves a vector longer than its limit, at any norm. It is at most one step of float64
// below the best factor.
func TestFactor(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200_000 {
		c := Clip{Norm: []Norm{L1, L2}[r.IntN(2)], Limit: 1 + r.Int64N(1<<r.IntN(57))}
		n := new(big.Int).SetUint64(r.Uint64() >> r.IntN(63))
		if r.IntN(3) == 0 {
			n.Lsh(n, uint(r.IntN(25)))
		}
		if r.IntN(3) == 0 { // just beyond the limit
			n.SetInt64(c.Limit + r.Int64N(3))
		}
		if n.Sign() == 0 {
			continue
		}
		f := big.NewInt(c.Factor(n))
		most := big.NewInt(Whole) // f^p * n <= Whole^p * limit
		left, right := new(big.Int).Set(f), new(big.Int).Set(most)
		if c.Norm == L2 {
			left.Mul(left, left)
			right.Mul(right, right)
		}
		left.Mul(left, n)
		right.Mul(right, big.NewInt(c.Limit))
		if f.Cmp(most) < 0 || n.Cmp(big.NewInt(c.Limit)) > 0 {
			if left.Cmp(right) > 0 {
				t.Fatalf("%s: N %s of %d times %s is too long", c.Norm, n, c.Limit, f)
			}
		}
		if n.Cmp(big.NewInt(c.Limit)) <= 0 && f.Cmp(most) != 0 {
			t.Fatalf("%s: N %s is within %d and has factor %s", c.Norm, n, c.Limit, f)
		}
		f.Add(f, big.NewInt(2))
		more := new(big.Int).Set(f)
		if c.Norm == L2 {
			more.Mul(more, f)
		}
		if more.Mul(more, n).Cmp(right) <= 0 && n.BitLen() < 50 && f.Cmp(most) < 0 {
			t.Fatalf("%s: N %s of %d: factor %s is too small", c.Norm, n, c.Limit, f)
		}
	}
}
