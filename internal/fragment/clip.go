package fragment

import (
	"fmt"
	"math"
	"math/big"
)

// The constants of clipping, which the package comment defines.
const (
	// Steps is the length of a part of exactly its size in the norm: parts are measured in units of size/Steps, rounded
	// up.
	Steps = 1 << 10
	// Whole is the factor of a patient who is not clipped, in units of 1/Whole.
	Whole = 1 << 30
	// MostCounted is the largest number of a patient's rows that count in one bucket of a group, before the patient is
	// clipped.
	MostCounted = 1 << 30
	// LeastPresence: a patient of whom at least 1/LeastPresence counts makes an undeclared group appear.
	LeastPresence = 8
	// Exact is the norm beyond which the norm is divided by Coarser before its root is taken. If it still exceeds
	// Exact, the factor is 0.
	Exact = 1 << 52
	// Coarser is the divisor of such a norm.
	Coarser = 1 << 32
	// CoarserRoot is the square root of Coarser.
	CoarserRoot = 1 << 16

	mostUnit = 1 << 10
	normBits = 62 // of a group's part in a norm
)

// unit returns the largest power of two, up to mostUnit, by which a part of that size may be multiplied.
func unit(size int64) int64 {
	u := int64(mostUnit)
	for u > 1 && size*u > 1<<sizeBits {
		u /= 2
	}
	return u
}

// size returns the largest contribution of a row, or of a patient, to the partial aggregate, times rows if it counts
// rows.
func (p Partial) size(rows int) int64 {
	switch p.Kind {
	case PartialBeyond:
		of := p
		of.Kind = p.Of
		return int64(p.Most) * of.size(rows)
	case PartialPatients:
		return 1
	case PartialSum:
		return int64(rows) * p.Grid.Bound()
	}
	return int64(rows)
}

// Beyond returns the factor of the part that clipping cuts off, for a patient with that factor. Both are in units of
// 1/Whole.
func (p Partial) Beyond(factor int64) int64 { return min(Whole-factor, p.MostOrOne()*factor) }

// MostOrOne returns Most, or 1 if it is 0.
func (p Partial) MostOrOne() int64 { return int64(max(1, p.Most)) }

// Counts reports whether the partial aggregate counts rows: a sum of the same patient and group is at least as long.
func (p Partial) Counts() bool { return p.Kind == PartialRows || p.Kind == PartialValues }

// ShareOrOne returns Share, or 1 if it is 0.
func (p Partial) ShareOrOne() int64 { return int64(max(1, p.Share)) }

// NormWeight returns the weight of a part of partial aggregate i, of its size, in the norm (its square under L2). A
// tree's part counts on each of its levels.
func (p *Proof) NormWeight(f *Fragment, i int) int64 {
	if of := f.Partials[i]; of.Kind == PartialPatients || of.Kind == PartialBeyond && of.Of == PartialPatients {
		return of.ShareOrOne()
	}
	return int64(p.Groups) * f.Partials[i].ShareOrOne()
}

// NormLimit bounds the norm (its square under L2) of a patient's whole vector: the sum over the blocks, each of which
// is clipped by itself.
func (p *Proof) NormLimit(f *Fragment) int64 { return int64(p.Groups) * f.Weight() }

// Clip says how one block of partial aggregates is clipped.
type Clip struct {
	Norm  Norm
	Limit int64 // bound of N
	// most is the bound of u: a power of two such that the N of one group fits into 64 bits
	most int64
}

// Single returns how all partial aggregates of one integer are clipped, as one vector. N adds up Weight*u^p over them,
// u as in the package comment, with p = 1 under L1 and p = 2 under L2.
func (p *Proof) Single(f *Fragment) Clip {
	limit := int64(p.Groups) * f.singleWeight() // at most 10^6 groups of 100 partials of share 20,000, times 2^20
	c := Clip{Norm: f.Norm, Limit: limit * Steps, most: Steps}
	if c.Norm == L2 {
		c.Limit *= Steps
	}
	for c.within(limit, 2*c.most) {
		c.most *= 2
	}
	return c
}

// within reports whether weights with that sum fit, if all parts are u.
func (c Clip) within(weight, u int64) bool {
	return u <= 1<<31 && weight <= (1<<normBits)/c.Norm.power(u)
}

// Cap returns the bound to which a part of that size is clamped before it is measured.
func (c Clip) Cap(size int64) int64 { return size * (c.most / Steps) }

// Tree returns how a partial aggregate of buckets is clipped. N adds up, over groups, the number of rows counted there,
// its square under L2, or for a single level the squares of the buckets.
func (p *Proof) Tree(f *Fragment) Clip {
	return Clip{Norm: f.Norm, Limit: f.Norm.power(int64(p.Rows))}
}

// power returns x under L1, x² under L2.
func (n Norm) power(x int64) int64 {
	if n == L1 {
		return x
	}
	return x * x
}

// Root is slightly less than Whole*sqrt(Limit), by more than the rounding errors of a root and a quotient. Divided by
// sqrt(N) in float64 and rounded down, it is the factor of a patient with N > Limit under L2.
func (c Clip) Root() float64 {
	root := new(big.Float).SetPrec(200).SetInt64(c.Limit)
	root.Sqrt(root)
	root.Mul(root, big.NewFloat(Whole*(1-0x1p-48)))
	x, accuracy := root.Float64()
	if accuracy == big.Above {
		x = math.Nextafter(x, 0)
	}
	return x
}

// Factor returns the factor of a patient of norm N, in units of 1/Whole.
func (c Clip) Factor(norm *big.Int) int64 {
	if norm.Cmp(big.NewInt(c.Limit)) <= 0 {
		return Whole
	}
	if c.Norm == L1 {
		f := new(big.Int).Mul(big.NewInt(c.Limit), big.NewInt(Whole))
		return f.Quo(f, norm).Int64()
	}
	root, exact := c.Root(), big.NewInt(Exact)
	if norm.Cmp(exact) > 0 {
		norm = new(big.Int).Quo(norm, big.NewInt(Coarser))
		norm.Add(norm, big.NewInt(1))
		root /= CoarserRoot
	}
	if norm.Cmp(exact) > 0 {
		return 0
	}
	return int64(math.Floor(root / math.Sqrt(float64(norm.Int64()))))
}

// Clip is the reference implementation of clipping. groups has the sums of one patient's rows in each group, before
// units, f.Width() integers each. The result is what a node adds up for the patient.
func (p *Proof) Clip(f *Fragment, groups [][]*big.Int) [][]int64 {
	single := p.Single(f)
	parts := make([][]*big.Int, len(groups))
	norm := new(big.Int)
	for g, raw := range groups {
		at := 0
		lengths := make([]*big.Int, len(f.Partials)) // u; nil: in no norm
		for i, partial := range f.Partials {
			if partial.Buckets != nil {
				parts[g] = append(parts[g], make([]*big.Int, partial.Width())...)
				at += partial.Width()
				continue
			}
			x := new(big.Int).Mul(raw[at], big.NewInt(p.Units[i]))
			most := big.NewInt(single.Cap(p.Sizes[i] / partial.MostOrOne()))
			if x.CmpAbs(most) > 0 && !p.Unclipped {
				x.Set(most.Mul(most, big.NewInt(int64(x.Sign()))))
			}
			parts[g] = append(parts[g], x)
			at++
			if partial.Kind == PartialBeyond {
				continue
			}
			u := new(big.Int).Abs(x)
			lengths[i] = u.Mul(u, big.NewInt(Steps)).Add(u, big.NewInt(p.Sizes[i]-1)).Quo(u, big.NewInt(p.Sizes[i]))
		}
		p.add(norm, f, lengths)
	}
	whole := int64(Whole)
	if !p.Unclipped {
		whole = single.Factor(norm)
	}
	present := p.present(f, whole)
	at := 0
	for i, partial := range f.Partials {
		factor := whole
		switch {
		case partial.Buckets != nil:
			factor = p.tree(f, i, at, groups, parts)
		case partial.Kind == PartialBeyond:
			factor = partial.Beyond(whole)
		}
		if !present {
			factor = 0
		}
		for g := range groups {
			for k := at; k < at+partial.Width(); k++ {
				x := parts[g][k]
				x.Mul(x, big.NewInt(factor)).Quo(x, big.NewInt(Whole))
			}
		}
		at += partial.Width()
	}
	out := make([][]int64, len(groups))
	for g := range groups {
		for _, x := range parts[g] {
			out[g] = append(out[g], x.Int64())
		}
	}
	return out
}

// add adds a group's part to a norm, with the lengths of its parts. A sum is at least as long as what is counted.
func (p *Proof) add(norm *big.Int, f *Fragment, lengths []*big.Int) {
	counted := new(big.Int)
	for i, u := range lengths {
		if f.Partials[i].Counts() && u.Cmp(counted) > 0 {
			counted = u
		}
	}
	for i, u := range lengths {
		if u == nil {
			continue
		}
		if f.Partials[i].Kind == PartialSum && u.Cmp(counted) < 0 {
			u = counted
		}
		part := new(big.Int).Set(u)
		if f.Norm == L2 {
			part.Mul(u, u)
		}
		norm.Add(norm, part.Mul(part, big.NewInt(p.NormWeight(f, i))))
	}
}

// tree returns the factor of a patient's buckets, and their counts before clipping.
func (p *Proof) tree(f *Fragment, i, at int, groups, parts [][]*big.Int) int64 {
	norm, b := new(big.Int), f.Partials[i].Buckets
	for g, raw := range groups {
		rows := new(big.Int)
		for k := at; k < at+b.Leaves(); k++ {
			n := new(big.Int).Set(raw[k])
			if most := big.NewInt(MostCounted); n.Cmp(most) > 0 && !p.Unclipped {
				n.Set(most)
			}
			rows.Add(rows, n)
			if f.Norm == L2 && b.Levels == 1 {
				norm.Add(norm, new(big.Int).Mul(n, n))
			}
			parts[g][k] = n.Mul(n, big.NewInt(p.Units[i]))
		}
		switch {
		case f.Norm == L1:
			norm.Add(norm, rows)
		case b.Levels > 1:
			norm.Add(norm, rows.Mul(rows, rows))
		}
	}
	if p.Unclipped {
		return Whole
	}
	return p.Tree(f).Factor(norm)
}

// present reports whether a patient with that factor counts. A patient who makes no undeclared group appear does not
// count in groups that others make appear.
func (p *Proof) present(f *Fragment, factor int64) bool {
	for i := range f.Partials {
		if p.Selects(f, i) && p.Units[i]*factor/Whole*LeastPresence < p.Units[i] {
			return false
		}
	}
	return true
}

// Selects reports whether undeclared groups appear exactly where partial aggregate i is not 0.
func (p *Proof) Selects(f *Fragment, i int) bool {
	return p.Cells == 0 && f.Partials[i].Kind == PartialPatients && f.Partials[i].Expr == nil
}

// checkNorm refuses an unknown norm.
func (f *Fragment) checkNorm() error {
	if f.Norm != L1 && f.Norm != L2 {
		return fmt.Errorf("%w: it clips a patient to no norm that this node knows: give %q or %q", ErrInvalid, L1, L2)
	}
	return nil
}
