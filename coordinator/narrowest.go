package coordinator

import (
	"context"

	"github.com/intramuros/intramuros/internal/study"
)

// limit is a budget that a query must fit into, with its owner.
type limit struct {
	Balance
	hospital string // empty for this coordinator
	whole    bool   // the hospital's own budget over all studies
}

// heldAt returns the terms of a study at a hospital, as the hospital last told them. It returns nil if the hospital has
// not been met, or does not hold the study.
func (c *Coordinator) heldAt(hospital, id string) *study.Terms {
	c.custody.mu.Lock()
	defer c.custody.mu.Unlock()
	t, ok := c.custody.held[hospital][id]
	if !ok {
		return nil
	}
	return &t
}

// limits returns the study's budgets here and at the hospitals that have narrowed it, and the hospitals' own budgets
// over all studies. The spending is what this coordinator has charged, which is at least what each hospital was asked
// for. So it does not reveal when a hospital computed.
func (c *Coordinator) limits(ctx context.Context, name string, own Balance, hospitals []string) ([]limit, error) {
	all := []limit{{Balance: own}}
	charged, reserved, err := c.ledger.Spent(ctx, "node")
	if err != nil {
		return nil, err
	}
	whole, err := charged.Plus(reserved)
	if err != nil {
		return nil, err
	}
	for _, h := range hospitals {
		t := c.heldAt(h, name)
		if t == nil {
			continue
		}
		all = append(all,
			limit{Balance{t.Budget, t.Budget.Remaining(own.spent), own.spent}, h, false},
			limit{Balance{t.Whole, t.Whole.Remaining(whole), whole}, h, true})
	}
	return all, nil
}

// narrowest returns the limit with the least left.
func narrowest(all []limit) limit {
	least := all[0]
	for _, l := range all[1:] {
		if l.Remaining.Epsilon < least.Remaining.Epsilon {
			least = l
		}
	}
	return least
}
