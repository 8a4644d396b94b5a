package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/intramuros/intramuros/dp"
)

// Rebuild adds charges that others have seen and this ledger lost, each under its own study, researcher and query. A
// query that is already here stays as it is. ahead is a checkpoint of this ledger; the loss that it vouches for beyond
// these charges counts in every scope, as with Recover. nil: there is none. All of it is one write. Rebuild returns the
// number of added charges, and the rest of the loss.
func (l *Ledger) Rebuild(ctx context.Context, found []Entry, ahead *Checkpoint, by, reason string) (added int, rest dp.Loss, err error) {
	if err := l.takeToWrite(ctx); err != nil {
		return 0, rest, err
	}
	defer l.give()
	here := map[string]bool{}
	if err := l.Entries(ctx, 1, func(e Entry) error {
		if e.Kind == KindCharge {
			here[e.Query] = true
		}
		return nil
	}); err != nil {
		return 0, rest, err
	}
	var entries []Entry
	var sum dp.Loss
	for _, f := range found {
		if here[f.Query] {
			continue
		}
		here[f.Query] = true
		id := rand.Text()
		text := fmt.Sprintf("Found at the hospitals and charged anew, for %s. Reason: %s", by, reason)
		charge := Entry{Kind: KindCharge, Study: f.Study, Researcher: f.Researcher, Query: f.Query, Reservation: id, Loss: f.Loss, Text: text, Detail: f.Detail}
		reserve := charge
		reserve.Kind, reserve.Expires = KindReserve, l.now().UTC()
		if err := charge.check(); err != nil {
			return 0, rest, err
		}
		if sum, err = sum.Plus(f.Loss); err != nil {
			return 0, rest, err
		}
		entries = append(entries, reserve, charge)
		added++
	}
	if ahead != nil {
		behind := l.compare(ctx, *ahead, l.head)
		if errors.Is(behind, ErrBehind) || errors.Is(behind, ErrDiverged) {
			var e Entry
			if rest, e, err = l.recovery(ctx, *ahead, sum, by, reason); err != nil {
				return 0, rest, err
			}
			entries = append(entries, e)
		} else if behind != nil {
			return 0, rest, behind
		}
	}
	if len(entries) == 0 {
		return 0, rest, nil
	}
	return added, rest, l.append(ctx, nil, entries...)
}
