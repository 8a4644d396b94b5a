package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
)

// The scopes for which losses are added up.
const (
	scopeAll        = "node"
	scopeStudy      = "study:"
	scopeResearcher = "researcher:"
)

// covers reports whether losses of this study and researcher count in a scope.
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

// balance is the sum of the entries. Only apply changes it, entry by entry, both for entries read from the disk and for
// new ones, so that the two cannot differ.
type balance struct {
	charged map[string]dp.Loss    // by scope
	live    map[string]Entry      // reserve entries without a charge or an abandon after them, by id
	peers   map[string]Checkpoint // the latest checkpoint of each other ledger, by owner
	lost    *lost
}

// lost is the loss that was acknowledged when a part of this ledger was lost.
type lost struct {
	loss  dp.Loss
	until Checkpoint // the last acknowledged checkpoint
}

func newBalance() balance {
	return balance{charged: map[string]dp.Loss{}, live: map[string]Entry{}, peers: map[string]Checkpoint{}, lost: &lost{}}
}

// spent is the charged loss in a scope plus the lost one. Nobody knows whose the lost one was, so it counts in every
// scope.
func (b balance) spent(scope string) (dp.Loss, error) { return b.charged[scope].Plus(b.lost.loss) }

// apply adds the next entry to the balance. An error says why the entry cannot follow the earlier ones.
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

// reservations are the open reservations, by id: their reserve entries, which are recorded with their charge.
type reservations map[string]Entry

// sum adds up the reservations of a scope that have not expired.
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
