package coordinator

import (
	"context"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/ledger"
)

// Spent is one charge of a study.
type Spent struct {
	Time       time.Time // UTC
	Query      string
	Researcher string
	Epsilon    float64      // of this release alone
	Remaining  dp.Remaining // of the study, after the charge
}

// Spending lists what a study was charged, oldest first. Everybody in a study may see who spent how much of the shared
// budget. Nobody may see what was asked.
func (c *Coordinator) Spending(ctx context.Context, who Researcher, study string) ([]Spent, error) {
	account, err := c.Budget(ctx, who, study) // also checks that the researcher belongs to the study
	if err != nil {
		return nil, err
	}
	var all []Spent
	var total dp.Loss
	if err := c.ledger.Entries(ctx, 1, func(e ledger.Entry) error {
		// A loss that was acknowledged with a missing part of the ledger counts in every study, but is nobody's charge.
		charge := e.Kind == ledger.KindCharge && e.Study == study
		if !charge && e.Kind != ledger.KindRecover {
			return nil
		}
		var err error
		if total, err = total.Plus(e.Loss); err != nil {
			return err
		}
		if !charge {
			return nil
		}
		all = append(all, Spent{e.Time, e.Query, e.Researcher, float64(e.Loss.Epsilon) / 1e9, account.own.Remaining(total)})
		return nil
	}); err != nil {
		return nil, internalError(err)
	}
	return all, nil
}

// StudiesOf lists the studies under which a researcher may ask.
func (c *Coordinator) StudiesOf(who Researcher) []string { return c.studiesOf(who) }
