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
	sums, ok := all.(exact)
	if !ok || p.Cover != nil {
		return nil, fmt.Errorf("the hospitals' answer is a %T", all)
	}
	if _, undeclared := all.(*merger); undeclared && p.Selection == nil {
		return nil, errors.New("the plan neither declares its groups nor selects them")
	}
	noise := make([]adder, len(p.Fragment.Partials))
	for j := range noise {
		var err error
		if noise[j], err = c.noise(p.Noise, p.Coordinate(j)); err != nil {
			return nil, err
		}
	}
	cells := sums.list()
	noisy := make([]planner.Cell, len(cells))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	from := 0
	some := func(from int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		to := min(from+coveredAtOnce, len(cells))
		room := make([]int64, 0, (to-from)*p.Fragment.Width()) // for all; a group of more moves
		for i := from; i < to; i++ {
			numbers, err := covers(p, noise, cells[i].partials, room)
			if err != nil {
				return err
			}
			noisy[i] = planner.Cell{Keys: cells[i].keys, Noisy: slices.Clip(numbers)}
			room = numbers[len(numbers):]
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

// covers appends a group's numbers to those given, each with its own noise.
func covers(p *planner.Plan, noise []adder, exact, numbers []int64) ([]int64, error) {
	for j, partial := range p.Fragment.Partials {
		for _, x := range p.Coordinates(j, exact[:partial.Width()]) {
			covered, err := noise[j].Add(x)
			if err != nil {
				return nil, err
			}
			numbers = append(numbers, covered)
		}
		exact = exact[partial.Width():]
	}
	return numbers, nil
}
