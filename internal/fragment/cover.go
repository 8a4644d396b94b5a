package fragment

import (
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/value"
)

// Cover asks that a hospital covers its numbers with noise of its own before they leave.
type Cover struct {
	// Sites is at how many hospitals one patient may be. A node refuses fewer than it knows of.
	Sites int `json:"sites"`
}

// MaxCovered is the largest number of integers of a vector that hospitals cover.
const MaxCovered = 1 << 22

// Coordinate is what the noise on a partial aggregate's numbers depends on, where a patient may be at that many hospitals.
func (f *Fragment) Coordinate(p *Proof, sites, partial int) dp.Coordinate {
	return dp.Coordinate{LInf: int64(sites) * p.LInf[partial], Weight: int64(max(1, f.Partials[partial].Share))}
}

// Shares are a hospital's shares of the noise, by partial aggregate: each covers the hospital by itself. Coordinator and
// node each compute them; errors wrap ErrInvalid or dp's.
func (f *Fragment) Shares(c Cover, n dp.Noise, p *Proof) ([]*dp.Share, error) {
	if p.Cells == 0 {
		return nil, fmt.Errorf("%w: groups that are not declared cannot be covered", ErrInvalid)
	}
	if size := int64(p.Cells) * int64(f.Released()); size > MaxCovered {
		return nil, fmt.Errorf("%w: a vector of %d numbers, more than %d, is to be covered", ErrInvalid, size, MaxCovered)
	}
	shares := make([]*dp.Share, len(f.Partials))
	for i := range shares {
		var err error
		if shares[i], err = n.Share(f.Coordinate(p, c.Sites, i), dp.Shares{Sites: c.Sites, Honest: 1}); err != nil {
			return nil, err
		}
	}
	return shares, nil
}

// Groups lists every group where all keys are declared, in the order of the keys
// (one empty group without keys), and nil where they are not.
func (f *Fragment) Groups() [][]value.Value {
	groups := [][]value.Value{{}}
	for _, k := range f.Keys {
		var next [][]value.Value
		for _, g := range groups {
			for _, v := range k.Domain {
				next = append(next, append(slices.Clone(g), v))
			}
		}
		groups = next
	}
	return groups
}

// Coordinates is what is released of a partial aggregate: its one integer, or the
// counts of a tree's nodes, level by level from the coarsest. Each gets noise of its own.
func (p Partial) Coordinates(exact []int64) []int64 {
	if p.Buckets == nil {
		return exact
	}
	levels := [][]int64{exact}
	for len(levels[0]) > p.Buckets.Branching {
		finer := levels[0]
		coarser := make([]int64, len(finer)/p.Buckets.Branching)
		for i, n := range finer {
			coarser[i/p.Buckets.Branching] += n
		}
		levels = append([][]int64{coarser}, levels...)
	}
	var all []int64
	for _, level := range levels {
		all = append(all, level...)
	}
	return all
}

// Released is how many integers are released of the partial aggregate: the length of its Coordinates.
func (p Partial) Released() int {
	if p.Buckets == nil {
		return 1
	}
	n, level := 0, 1
	for range p.Buckets.Levels {
		level *= p.Buckets.Branching
		n += level
	}
	return n
}

// Released is how many integers are released of a group.
func (f *Fragment) Released() int {
	n := 0
	for _, p := range f.Partials {
		n += p.Released()
	}
	return n
}

// Dense adds up the answer to a fragment whose groups are all declared, zeros where there is no patient. So neither its
// length nor its order tells of the data.
type Dense struct {
	fragment *Fragment
	groups   map[string]int
	sums     []int64
}

// NewDense gives zeros for every group.
func NewDense(f *Fragment) *Dense {
	d := &Dense{fragment: f, groups: map[string]int{}}
	for i, keys := range f.Groups() {
		d.groups[GroupID(keys)] = i
	}
	d.sums = make([]int64, len(d.groups)*f.Width())
	return d
}

// Add adds a record of an answer. A group that is not declared is left out: it could not be released.
func (d *Dense) Add(r arrow.Record) error {
	return ReadRecord(d.fragment, r, func(keys []value.Value, partials []int64) error {
		if i, ok := d.groups[GroupID(keys)]; ok {
			for j, x := range partials {
				at := &d.sums[i*len(partials)+j]
				*at = dp.SaturatingSum(*at, x)
			}
		}
		return nil
	})
}

// Covered gives the vector that leaves: of each group, in the order of Groups, of each partial aggregate its Coordinates,
// each covered. Of equal fragments it is as long, whatever the data.
func (d *Dense) Covered(shares []*dp.Share) []int64 {
	covered := make([]int64, 0, len(d.groups)*d.fragment.Released())
	for rest := d.sums; len(rest) > 0; {
		for j, p := range d.fragment.Partials {
			for _, x := range p.Coordinates(rest[:p.Width()]) {
				covered = append(covered, shares[j].Cover(x))
			}
			rest = rest[p.Width():]
		}
	}
	return covered
}

var coveredSchema = arrow.NewSchema([]arrow.Field{{Name: "covered", Type: arrow.PrimitiveTypes.Int64}}, nil)

// CoveredSchema is the form in which a covered vector travels.
func CoveredSchema() *arrow.Schema { return coveredSchema }

// coveredBatch is how many numbers travel in a record.
const coveredBatch = 1 << 16

// WriteCovered gives a vector to send in records of the CoveredSchema, which send does not keep.
func WriteCovered(vector []int64, alloc memory.Allocator, send func(arrow.Record) error) error {
	b := array.NewRecordBuilder(alloc, coveredSchema)
	defer b.Release()
	for part := range slices.Chunk(vector, coveredBatch) {
		b.Field(0).(*array.Int64Builder).AppendValues(part, nil)
		r := b.NewRecord()
		err := send(r)
		r.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadCovered appends a record's numbers to a vector, of which there are most in all. A record of another form, or of too
// many, is refused with ErrRecord.
func ReadCovered(r arrow.Record, vector []int64, most int) (_ []int64, err error) {
	defer func() {
		if recover() != nil { // buffers shorter than they claim
			err = fmt.Errorf("%w: its buffers are broken", ErrRecord)
		}
	}()
	if !r.Schema().Equal(coveredSchema) || r.NumRows() > int64(most-len(vector)) {
		return nil, fmt.Errorf("%w: it is no covered vector of %d numbers", ErrRecord, most)
	}
	numbers, err := readSums(r.Column(0), int(r.NumRows()), "covered")
	return append(vector, numbers...), err
}
