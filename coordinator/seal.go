package coordinator

import (
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// In a sealed study hospitals send vectors that they have covered with noise themselves. This side adds them up and reads
// the sum; it draws nothing, and holds no exact number.

// sums adds up what hospitals answer.
type sums interface {
	take(arrow.Record) error // one record of one hospital
	merge(sums) error        // all of another hospital's, which is not used again
	drop()                   // forgets what does not count
}

// covered adds up covered vectors, modulo 2^64.
type covered struct {
	size   int
	vector []int64
}

func newCovered(p *planner.Plan) *covered {
	return &covered{size: p.Proof.Cells * p.Fragment.Released()}
}

func (c *covered) take(r arrow.Record) (err error) {
	c.vector, err = fragment.ReadCovered(r, c.vector, c.size)
	return err
}

// whole refuses an answer that ended before its vector did.
func (c *covered) whole() error {
	if len(c.vector) != c.size {
		return invalidAnswer(fmt.Errorf("a vector of %d numbers, not of %d", len(c.vector), c.size))
	}
	return nil
}

func (c *covered) merge(other sums) error {
	o, ok := other.(*covered)
	if !ok {
		return fmt.Errorf("%T is added to a covered vector", other)
	}
	if err := o.whole(); err != nil {
		return err
	}
	if c.vector == nil {
		c.vector = make([]int64, c.size)
	}
	for i, x := range o.vector {
		c.vector[i] += x // wraps
	}
	return nil
}

func (c *covered) drop() { c.vector = nil }

// read turns the sum into the cells that are released. The noise is in it.
func (c *covered) read(p *planner.Plan) ([]planner.Cell, error) {
	if err := c.whole(); err != nil {
		return nil, err
	}
	shares, err := p.Shares()
	if err != nil {
		return nil, err
	}
	var cells []planner.Cell
	rest := c.vector
	for _, keys := range p.Fragment.Groups() {
		cell := planner.Cell{Keys: keys}
		for j, partial := range p.Fragment.Partials {
			for _, x := range rest[:partial.Released()] {
				cell.Noisy = append(cell.Noisy, shares[j].Read(x))
			}
			rest = rest[partial.Released():]
		}
		cells = append(cells, cell)
	}
	slices.SortFunc(cells, func(a, b planner.Cell) int { return slices.CompareFunc(a.Keys, b.Keys, value.Compare) })
	return cells, nil
}
