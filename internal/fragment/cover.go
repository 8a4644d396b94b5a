package fragment

import (
	"context"
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
	// Colluders, if above 0: each hospital draws less noise, since it relies on the shares of all but so many of the
	// hospitals that answer, and masks its numbers so that their sum alone is seen (package seal). 0: it relies on
	// nobody, and masks nothing.
	Colluders int `json:"colluders,omitempty"`
	// Among are the hospitals that are asked, by name, where numbers are masked: each must know all others' keys.
	Among []string `json:"among,omitempty"`
	// Names: groups are not declared, and each hospital names its own before it covers those that any named.
	Names bool `json:"names,omitempty"`
}

// Masked tells whether numbers are masked as well.
func (c Cover) Masked() bool { return c.Colluders > 0 }

// Honest is on how many shares of noise each of so many hospitals relies, its own included.
func (c Cover) Honest(hospitals int) int {
	if !c.Masked() {
		return 1
	}
	return max(1, hospitals-c.Colluders)
}

// Exposure is by how much more than its price a query costs a patient at most, if so many hospitals answer and all
// masks are broken.
func (c Cover) Exposure(hospitals int) float64 {
	return max(1, float64(c.Honest(hospitals))/float64(c.Sites))
}

// LeastColluders is with how many colluders a federation of so many hospitals reckons at least: three in ten, and one.
// They are of all hospitals, not of those that answer: a coordinator names who answers, and might name its own.
func LeastColluders(hospitals int) int { return max(1, 3*hospitals/10) }

// MaxCovered is the largest number of integers of a vector that hospitals cover.
const MaxCovered = 1 << 22

// Coordinate is what the noise on a partial aggregate's numbers depends on, where a patient may be at that many
// hospitals.
func (f *Fragment) Coordinate(p *Proof, sites, partial int) dp.Coordinate {
	return dp.Coordinate{Size: int64(sites) * p.Sizes[partial], Weight: p.NormWeight(f, partial)}
}

// Shares are a hospital's shares of the noise, by partial aggregate, where so many hospitals answer. Coordinator and
// node each compute them; errors wrap ErrInvalid or dp's.
func (f *Fragment) Shares(c Cover, hospitals int, n dp.Noise, p *Proof) ([]*dp.Share, error) {
	if c.Colluders < 0 {
		return nil, fmt.Errorf("%w: %d colluders", ErrInvalid, c.Colluders)
	}
	if c.Names != (p.Cells == 0) {
		return nil, fmt.Errorf("%w: groups that are not declared, and they alone, are named before they are covered", ErrInvalid)
	}
	_, n = c.Parts(n)
	if size := int64(max(1, p.Cells)) * int64(f.Released()); size > MaxCovered {
		return nil, fmt.Errorf("%w: a vector of %d numbers, more than %d, is to be covered", ErrInvalid, size, MaxCovered)
	}
	shares := make([]*dp.Share, len(f.Partials))
	for i := range shares {
		var err error
		if shares[i], err = n.Share(f.Coordinate(p, c.Sites, i), dp.Shares{Sites: c.Sites, Honest: c.Honest(hospitals)}); err != nil {
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

// Covered gives the vector that leaves: of each group, in the order of Groups, of each partial aggregate its
// Coordinates, each covered. Of equal fragments it is as long, whatever the data. It ends with ctx.
func (d *Dense) Covered(ctx context.Context, shares []*dp.Share) ([]int64, error) {
	covered := make([]int64, 0, len(d.groups)*d.fragment.Released())
	for rest := d.sums; len(rest) > 0; {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for j, p := range d.fragment.Partials {
			for _, x := range p.Coordinates(rest[:p.Width()]) {
				covered = append(covered, shares[j].Cover(x))
			}
			rest = rest[p.Width():]
		}
	}
	return covered, nil
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

// ReadCovered appends a record's numbers to a vector, of which there are most in all. A record of another form, or of
// too many, is refused with ErrRecord.
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
