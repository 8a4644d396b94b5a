package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
)

// The scopes over which losses add up.
const (
	scopeAll        = "node"
	scopeStudy      = "study:"
	scopeResearcher = "researcher:"
)

// covers tells whether losses of this study and researcher count in a scope.
func covers(scope, study, researcher string) bool {
	return scope == scopeAll || scope == scopeStudy+study || scope == scopeResearcher+researcher
}

// scopeWords names a scope for a reader.
func scopeWords(scope string) string {
	if s, ok := strings.CutPrefix(scope, scopeStudy); ok {
		return "study " + s
	}
	if s, ok := strings.CutPrefix(scope, scopeResearcher); ok {
		return "researcher " + s
	}
	return "all studies together"
}

// balance is what the entries add up to. It is only ever changed by apply, entry by entry, whether
// the entries come from the disk or are being written, so that the two cannot drift.
type balance struct {
	charged map[string]dp.Loss    // by scope
	live    map[string]Entry      // reserve entries that neither a charge nor an abandon follows, by id
	peers   map[string]Checkpoint // of other ledgers, by owner: the latest
	lost    *lost
}

// lost is what the custodian acknowledged to have been lost with a part of this ledger.
type lost struct {
	loss  dp.Loss
	until Checkpoint // the last one acknowledged
}

func newBalance() balance {
	return balance{charged: map[string]dp.Loss{}, live: map[string]Entry{}, peers: map[string]Checkpoint{}, lost: &lost{}}
}

// spent is what was charged in a scope, and what was lost: nobody knows whose that was, so it
// counts in every one.
func (b balance) spent(scope string) (dp.Loss, error) { return b.charged[scope].Plus(b.lost.loss) }

// apply counts the next entry in. An error says why the entry cannot follow the earlier ones.
func (b balance) apply(e Entry) error {
	switch e.Kind {
	case KindReserve:
		if _, ok := b.live[e.Reservation]; ok || e.Reservation == "" {
			return fmt.Errorf("it reserves under an id that is in use")
		}
		b.live[e.Reservation] = Entry{Sequence: e.Sequence, Study: e.Study, Researcher: e.Researcher, Query: e.Query,
			Reservation: e.Reservation, Expires: e.Expires, Loss: e.Loss, Text: e.Text}
	case KindCharge:
		r, ok := b.live[e.Reservation]
		if !ok {
			return fmt.Errorf("it charges what was not reserved")
		}
		if e.Loss != r.Loss || e.Study != r.Study || e.Researcher != r.Researcher || e.Query != r.Query {
			return fmt.Errorf("it charges something else than entry %d reserved", r.Sequence)
		}
		scopes := [...]string{scopeAll, scopeStudy + e.Study, scopeResearcher + e.Researcher}
		var sums [len(scopes)]dp.Loss
		for i, scope := range scopes {
			var err error
			if sums[i], err = b.charged[scope].Plus(e.Loss); err != nil {
				return err
			}
		}
		for i, scope := range scopes {
			b.charged[scope] = sums[i]
		}
		delete(b.live, e.Reservation)
	case KindAbandon:
		if _, ok := b.live[e.Reservation]; !ok {
			return fmt.Errorf("it abandons what was not reserved")
		}
		delete(b.live, e.Reservation)
	case KindCheckpoint:
		c, err := parseCheckpoint(e.Detail)
		if err != nil {
			return err
		}
		b.peers[c.Owner] = c
	case KindRecover:
		c, err := parseCheckpoint(e.Detail)
		if err != nil {
			return err
		}
		sum, err := b.lost.loss.Plus(e.Loss)
		if err != nil {
			return err
		}
		*b.lost = lost{sum, c}
	case KindOpen, KindStudy, KindRefuse, KindAnswer, KindFailure, KindConfig, KindData:
	default:
		return fmt.Errorf("its kind %q is unknown", e.Kind)
	}
	return nil
}

// reservations are those that are open, by id: their reserve entries, which are recorded with their charge.
type reservations map[string]Entry

// sum adds up those of a scope that have not run out.
func (rs reservations) sum(scope string, now time.Time) (dp.Loss, error) {
	var sum dp.Loss
	for _, r := range rs {
		if !covers(scope, r.Study, r.Researcher) || !r.Expires.After(now) {
			continue
		}
		var err error
		if sum, err = sum.Plus(r.Loss); err != nil {
			return dp.Loss{}, err
		}
	}
	return sum, nil
}
