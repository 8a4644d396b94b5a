package fragment

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/value"
)

// If noise is added at the hospitals and groups are not declared, each hospital first names those of its groups that
// its own noise permits. Then all hospitals add noise to the groups that any of them named (dp/doc.go, "Undeclared
// groups").

// If names are a release of their own, they take namesPart of the noise's epsilon, and the numbers take numbersPart.
// The squares add up to 0.986, so that no rounding makes the sum exceed the whole price.
const (
	namesPart   = 0.44
	numbersPart = 0.89
)

// Parts splits a release's noise if groups are not declared and hospitals rely on each other: the noise that selects
// names, and the noise on the numbers. Otherwise both are n.
func (c Cover) Parts(n dp.Noise) (names, numbers dp.Noise) {
	names, numbers = n, n
	if c.Names && c.Masked() {
		names.Epsilon, numbers.Epsilon = n.Epsilon*namesPart, n.Epsilon*numbersPart
	}
	return names, numbers
}

// Presence bounds how one patient makes undeclared groups appear, if a partial aggregate selects them. Package dp uses
// it.
func (p *Proof) Presence(f *Fragment, sites, partial int) dp.Presence {
	unit := p.Units[partial]
	at := dp.Presence{Sites: int64(sites), Least: max(1, unit/LeastPresence), Most: unit}
	// The catalog may promise one group, but this does not rely on it: the node enforces only the norm.
	limit, weight := p.NormLimit(f), p.NormWeight(f, partial)
	reach := new(big.Int).Mul(big.NewInt(unit), big.NewInt(limit)) // with hostile shares it may need more than 64 bits
	reach.Add(reach, big.NewInt(weight-1)).Quo(reach, big.NewInt(weight))
	if f.Norm == L2 {
		reach.Mul(reach, big.NewInt(unit/at.Least))
	}
	if at.Reach = math.MaxInt64; reach.IsInt64() { // otherwise no threshold suffices
		at.Reach = reach.Int64()
	}
	return at
}

// Naming says how a hospital selects the groups that it names.
type Naming struct {
	// Threshold is the least noisy number of patients, in the unit of the partial aggregate.
	Threshold int64
	share     *dp.Share // for the noise on the compared number
	partial   int       // index of the number of patients
	again     bool      // the released numbers have new noise
}

// Naming returns how groups are named. Coordinator and node each compute it. Errors wrap ErrInvalid or dp's.
func (f *Fragment) Naming(c Cover, n dp.Noise, delta float64, p *Proof) (*Naming, error) {
	names, _ := c.Parts(n)
	for i := range f.Partials {
		if !p.Selects(f, i) {
			continue
		}
		// The share must suffice by itself: a name relies on no other hospital's noise.
		share, err := names.Share(f.Coordinate(p, c.Sites, i), dp.Shares{Sites: c.Sites, Honest: 1})
		if err != nil {
			return nil, err
		}
		t, err := share.Threshold(p.Presence(f, c.Sites, i), delta)
		return &Naming{Threshold: t, share: share, partial: i, again: c.Masked()}, err
	}
	return nil, fmt.Errorf("%w: no number of patients tells which groups to name", ErrInvalid)
}

// Noise is the noise on the number of patients that selects a group, in the unit of the partial aggregate.
func (n *Naming) Noise() dp.Distribution { return n.share.Total(1) }

// ErrTooMany reports that an answer has more groups than a hospital can hold.
var ErrTooMany = errors.New("too many groups to cover")

// mostSparse bounds what a hospital holds of an answer, counted in integers. A group counts as sixteen more, and each
// eight bytes of its keys as one.
const mostSparse = 1 << 25

// Sparse adds up the answer to a fragment whose groups are not all declared.
type Sparse struct {
	fragment *Fragment
	proof    *Proof
	domains  domains
	groups   map[string]*sparse
	held     int
}

type sparse struct {
	keys    []value.Value
	sums    []int64
	covered int64 // its noisy number of patients, after Names has drawn the noise
}

// NewSparse returns an empty Sparse.
func NewSparse(f *Fragment, p *Proof) *Sparse {
	return &Sparse{fragment: f, proof: p, domains: f.domains(), groups: map[string]*sparse{}}
}

// Add adds a record of an answer. It leaves out groups outside the declared domains, and groups in which nobody counts.
func (s *Sparse) Add(r arrow.Record) error {
	return ReadRecord(s.fragment, r, func(keys []value.Value, partials []int64) error {
		if !s.domains.have(keys) || !s.appears(partials) {
			return nil
		}
		id := GroupID(keys)
		g, ok := s.groups[id]
		if !ok {
			if s.held += s.fragment.Width() + 16 + len(id)/8; s.held > mostSparse {
				return ErrTooMany
			}
			g = &sparse{keys: slices.Clone(keys), sums: make([]int64, len(partials))}
			s.groups[id] = g
		}
		for i, x := range partials {
			g.sums[i] = dp.SaturatingSum(g.sums[i], x)
		}
		return nil
	})
}

// appears reports whether anybody counts in a group.
func (s *Sparse) appears(partials []int64) bool {
	for i, p := range s.fragment.Partials {
		if s.proof.Selects(s.fragment, i) && partials[0] == 0 {
			return false
		}
		partials = partials[p.Width():]
	}
	return true
}

// domains has, for each key of a group, its type and its declared values.
type domains []struct {
	of     value.Type
	values map[string]bool // by GroupID; nil: any
}

func (f *Fragment) domains() domains {
	all := make(domains, len(f.Keys))
	for i, k := range f.Keys {
		all[i].of = k.Expr.Type
		if k.Domain != nil {
			all[i].values = map[string]bool{}
		}
		for _, v := range k.Domain {
			all[i].values[GroupID([]value.Value{v})] = true
		}
	}
	return all
}

func (d domains) have(keys []value.Value) bool {
	if len(keys) != len(d) {
		return false
	}
	for i, v := range keys {
		if v.Type() != d[i].of || d[i].values != nil && !d[i].values[GroupID(keys[i:i+1])] {
			return false
		}
	}
	return true
}

// isWireSafe reports whether the wire keeps a group's keys. It does not keep a date before the year 1.
func isWireSafe(keys []value.Value) bool {
	return !slices.ContainsFunc(keys, func(v value.Value) bool {
		again, err := value.Parse(v.Type(), v.String())
		return !v.IsNull() && (err != nil || value.Compare(again, v) != 0 || !utf8.ValidString(v.Str()))
	})
}

// TooMany reports whether there are more groups than a vector may have.
func (f *Fragment) TooMany(groups int) bool {
	return groups > MaxNamed || groups*f.Released() > MaxCovered
}

// Names adds noise to the number of patients of each group and returns the groups to name, sorted by GroupID. It must
// be called once.
func (s *Sparse) Names(n *Naming) [][]value.Value {
	at := 0
	for _, p := range s.fragment.Partials[:n.partial] {
		at += p.Width()
	}
	var names [][]value.Value
	for _, g := range s.groups {
		g.covered = n.share.Cover(g.sums[at])
		if n.share.Read(g.covered) >= n.Threshold && isWireSafe(g.keys) {
			names = append(names, g.keys)
		}
	}
	SortGroups(names)
	return names
}

// Covered returns the vector to send for the sorted groups, as Dense.Covered does. In a group that the hospital does
// not have, nobody counts. The number of patients keeps the noise that decided whether the group was named, unless
// names are a release of their own; then it has new noise. The time depends on the list and on how many of its groups
// are here, and seldom on more. It ends with ctx.
func (s *Sparse) Covered(ctx context.Context, n *Naming, shares []*dp.Share, groups [][]value.Value) ([]int64, error) {
	covered := make([]int64, 0, len(groups)*s.fragment.Released())
	zeros := make([]int64, s.fragment.Width())
	for _, keys := range groups {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		rest, g := zeros, s.groups[GroupID(keys)]
		if g != nil {
			rest = g.sums
		}
		for j, p := range s.fragment.Partials {
			for _, x := range p.Coordinates(rest[:p.Width()]) {
				covered = append(covered, shares[j].Cover(x))
			}
			if g != nil && j == n.partial && !n.again {
				covered[len(covered)-1] = g.covered // replaces the draw just made, which is made so that all groups take the same time
			}
			rest = rest[p.Width():]
		}
	}
	return covered, nil
}

// SortGroups sorts groups by GroupID.
func SortGroups(groups [][]value.Value) {
	slices.SortFunc(groups, func(a, b []value.Value) int { return cmp.Compare(GroupID(a), GroupID(b)) })
}

const (
	// MaxNamed is the largest number of groups that all hospitals together name for one answer.
	MaxNamed = MaxCells
	// namesBatch is roughly the size of a message of names in bytes, and namesMost the largest size of a list.
	namesBatch = 1 << 19
	namesMost  = 64 << 20
)

// named is a part of a list of groups on the wire.
type named struct {
	Groups [][]value.Value `json:"groups"`
	More   bool            `json:"more,omitempty"`
}

// WriteNames passes a sorted list of groups to send, in messages of some hundred kilobytes each.
func WriteNames(groups [][]value.Value, send func([]byte) error) error {
	for {
		size, n := 0, 0
		for n < len(groups) && size < namesBatch {
			for _, v := range groups[n] {
				size += 48 + len(v.Str())
			}
			n++
		}
		b, err := json.Marshal(named{append([][]value.Value{}, groups[:n]...), n < len(groups)})
		if err != nil {
			return err
		}
		if err := send(b); err != nil || n == len(groups) {
			return err
		}
		groups = groups[n:]
	}
}

// ReadNames reads what WriteNames wrote, message by message: a list of groups of the fragment, sorted by GroupID and
// without duplicates. There are few enough groups for one covered vector. Errors of its own wrap ErrRecord.
func (f *Fragment) ReadNames(receive func() ([]byte, error)) ([][]value.Value, error) {
	var groups [][]value.Value
	last, size, domains := "", 0, f.domains()
	for {
		b, err := receive()
		if err != nil {
			return nil, err
		}
		if size += len(b); size > namesMost {
			return nil, fmt.Errorf("%w: more than %d bytes of names", ErrRecord, namesMost)
		}
		var part named
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(&part); err != nil || d.More() || part.More && len(part.Groups) == 0 {
			return nil, fmt.Errorf("%w: no list of groups", ErrRecord)
		}
		for _, keys := range part.Groups {
			if !domains.have(keys) || !isWireSafe(keys) {
				return nil, fmt.Errorf("%w: a name is of no group that there can be", ErrRecord)
			}
			id := GroupID(keys)
			if len(groups) > 0 && id <= last {
				return nil, fmt.Errorf("%w: names are not in order, each once", ErrRecord)
			}
			groups, last = append(groups, keys), id
			if f.TooMany(len(groups)) {
				return nil, fmt.Errorf("%w: more groups than can be covered", ErrRecord)
			}
		}
		if !part.More {
			return groups, nil
		}
	}
}

// DigestOf is the SHA-256 of a request's digest and of the groups that are covered for it. So hospitals that were told
// different groups do not seal together.
func DigestOf(request [sha256.Size]byte, groups [][]value.Value) [sha256.Size]byte {
	d := sha256.New()
	d.Write(request[:])
	for _, keys := range groups {
		id := GroupID(keys)
		d.Write(binary.BigEndian.AppendUint64(nil, uint64(len(id))))
		d.Write([]byte(id))
	}
	return [sha256.Size]byte(d.Sum(nil))
}
