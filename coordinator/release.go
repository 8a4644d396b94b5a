package coordinator

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/intramuros/intramuros/planner"
)

// release adds noise to every partial aggregate of every group, each with its own draw, and selects groups if keys are
// undeclared. The exact sums are used nowhere else. Numbers to which hospitals have added the noise themselves are read
// as they are.
func (c *Coordinator) release(ctx context.Context, p *planner.Plan, all sums) ([]planner.Cell, error) {
	if covered, ok := all.(*covered); ok {
		return covered.read(p)
	}
	sums, ok := all.(*merger)
	if !ok || p.Cover != nil {
		return nil, fmt.Errorf("the hospitals' answer is a %T", all)
	}
	groups := p.Fragment.Groups()
	if groups == nil && p.Selection == nil {
		return nil, errors.New("the plan neither declares its groups nor selects them")
	}
	noise := make([]adder, len(p.Fragment.Partials))
	for j := range noise {
		var err error
		if noise[j], err = c.noise(p.Noise, p.Coordinate(j)); err != nil {
			return nil, err
		}
	}
	cells := sums.list(groups)
	noisy := make([]planner.Cell, len(cells))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	from := 0
	some := func(from int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := from; i < min(from+coveredAtOnce, len(cells)); i++ {
			var err error
			if noisy[i], err = covers(p, noise, cells[i]); err != nil {
				return err
			}
		}
		return nil
	}
	for ; from+coveredAtOnce < len(cells); from += coveredAtOnce {
		start := from
		work.Go(func() error { return some(start) })
	}
	last := some(from) // here: few groups wait for no other thread
	if err := errors.Join(work.Wait(), last); err != nil {
		return nil, err
	}
	if p.Selection != nil {
		least := p.Selection.Threshold * p.Proof.Units[p.Selection.Partial]
		noisy = slices.DeleteFunc(noisy, func(n planner.Cell) bool { return n.Noisy[p.Selection.Place] < least })
	}
	return noisy, nil
}

// coveredAtOnce is the number of groups that a goroutine takes at a time.
const coveredAtOnce = 512

// covers returns a group's numbers, each with its own noise.
func covers(p *planner.Plan, noise []adder, s cell) (planner.Cell, error) {
	n, exact := planner.Cell{Keys: s.keys}, s.partials
	for j, partial := range p.Fragment.Partials {
		for _, x := range p.Coordinates(j, exact[:partial.Width()]) {
			covered, err := noise[j].Add(x)
			if err != nil {
				return planner.Cell{}, err
			}
			n.Noisy = append(n.Noisy, covered)
		}
		exact = exact[partial.Width():]
	}
	return n, nil
}
