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

// Cover asks a hospital to add noise to its numbers itself before they leave.
type Cover struct {
	// Sites is the largest number of hospitals at which one patient may be. A node refuses a smaller number than the
	// one it knows.
	Sites int `json:"sites"`
	// Colluders, if above 0, is the number of answering hospitals that may collude. Each hospital relies on the noise
	// of the others, so it draws less, and masks its numbers so that only their sum is seen (package seal). 0: a
	// hospital relies on nobody, and masks nothing.
	Colluders int `json:"colluders,omitempty"`
	// Among are the names of the asked hospitals if numbers are masked: each must know all others' keys.
	Among []string `json:"among,omitempty"`
	// Names: groups are not declared. Each hospital first names its own groups, and then adds noise to those that any
	// hospital named.
	Names bool `json:"names,omitempty"`
}

// Masked reports whether numbers are masked as well.
func (c Cover) Masked() bool { return c.Colluders > 0 }

// Honest returns the number of noise shares, its own included, on which each of so many hospitals relies.
func (c Cover) Honest(hospitals int) int {
	if !c.Masked() {
		return 1
	}
	return max(1, hospitals-c.Colluders)
}

// Exposure returns the factor by which a query may cost a patient more than its price, if so many hospitals answer and
// all masks are broken.
func (c Cover) Exposure(hospitals int) float64 {
	return max(1, float64(c.Honest(hospitals))/float64(c.Sites))
}

// LeastColluders is the smallest number of colluders that a federation of so many hospitals must assume: three in ten,
// and at least one. It counts all hospitals, not those that answer: a coordinator chooses who answers, and might choose
// its own.
func LeastColluders(hospitals int) int { return max(1, 3*hospitals/10) }

// MaxCovered is the largest number of integers of a vector to which hospitals add noise.
const MaxCovered = 1 << 22

// Coordinate returns what determines the noise on a partial aggregate's numbers, if a patient may be at that many
// hospitals.
func (f *Fragment) Coordinate(p *Proof, sites, partial int) dp.Coordinate {
	return dp.Coordinate{Size: int64(sites) * p.Sizes[partial], Weight: p.NormWeight(f, partial)}
}

// Shares returns a hospital's shares of the noise, for each partial aggregate, if so many hospitals answer. Coordinator
// and node each compute them. Errors wrap ErrInvalid or dp's.
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

// Groups lists every group in the order of the keys if all keys are declared (one empty group without keys), and is nil
// otherwise.
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

// Coordinates returns the released integers of a partial aggregate: its one integer, or the counts of a tree's nodes,
// level by level from the coarsest. Each gets its own noise.
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

// Released is the number of released integers of the partial aggregate: the length of its Coordinates.
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

// Released is the number of released integers of a group.
func (f *Fragment) Released() int {
	n := 0
	for _, p := range f.Partials {
		n += p.Released()
	}
	return n
}

// Dense adds up the answer to a fragment whose groups are all declared, with zeros where there is no patient. So
// neither its length nor its order depends on the data.
type Dense struct {
	fragment *Fragment
	groups   map[string]int
	sums     []int64
}

// NewDense returns zeros for every group.
func NewDense(f *Fragment) *Dense {
	d := &Dense{fragment: f, groups: map[string]int{}}
	for i, keys := range f.Groups() {
		d.groups[GroupID(keys)] = i
	}
	d.sums = make([]int64, len(d.groups)*f.Width())
	return d
}

// Add adds a record of an answer. It leaves out a group that is not declared, which could not be released.
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

// Covered returns the vector that leaves: the Coordinates of each partial aggregate of each group, in the order of
// Groups, each with noise. Its length depends on the fragment alone. It ends with ctx.
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

// CoveredSchema is the Arrow schema of a vector with noise.
func CoveredSchema() *arrow.Schema { return coveredSchema }

// coveredBatch is the number of integers in a record.
const coveredBatch = 1 << 16

// WriteCovered passes a vector to send in records of the CoveredSchema. send must not keep them.
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

// ReadCovered appends a record's integers to a vector of at most most integers. It refuses a record of another form, or
// with too many integers, with ErrRecord.
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
