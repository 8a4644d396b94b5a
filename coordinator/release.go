package coordinator

import (
	"context"
	"errors"
	"fmt"

	"github.com/intramuros/intramuros/planner"
)

// release covers every partial aggregate of every group with noise of its own,
// and selects among groups whose keys are undeclared. The sums are used nowhere
// else. What hospitals have covered themselves, it reads.
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
	var noisy []planner.Cell
	for i, s := range sums.list(groups) {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		n := planner.Cell{Keys: s.keys}
		exact := s.partials
		for j, partial := range p.Fragment.Partials {
			for _, x := range p.Fragment.Partials[j].Coordinates(exact[:partial.Width()]) {
				covered, err := noise[j].Add(x)
				if err != nil {
					return nil, err
				}
				n.Noisy = append(n.Noisy, covered)
			}
			exact = exact[partial.Width():]
		}
		if p.Selection != nil && n.Noisy[p.Selection.Place] < p.Selection.Threshold*p.Proof.Units[p.Selection.Partial] {
			continue
		}
		noisy = append(noisy, n)
	}
	return noisy, nil
}
