package ledger

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/intramuros/intramuros/dp"
)

// Cap is the most that a scope may spend: "node" is everything in this ledger, "study:x" what was
// spent under study x, "researcher:y" what researcher y spent under all studies.
type Cap struct {
	Scope  string
	Budget dp.Budget
}

// Reservation asks to set a loss aside. All fields except Detail are required.
type Reservation struct {
	Study      string
	Researcher string
	Query      string // the query's id, hexadecimal
	Loss       dp.Loss
	Caps       []Cap  // at least one, each for a scope of this study and researcher
	Text       string // one sentence for a custodian, in plain words
	Detail     json.RawMessage
	Expires    time.Time // a time after now; Charge is refused later
}

// Reserve sets a loss aside if it fits every cap: in the cap's scope, what was charged, what is reserved and this loss
// together must fit. The returned id is random, and Charge needs it. The reservation holds until it is charged,
// abandoned or expires, or the ledger is opened again. Until then it is only in memory: what costs nothing must not
// fill the disk.
//
// If a cap refuses, the error wraps dp.ErrBudgetExhausted and names the scope. Other errors: ErrEntry, dp.ErrBudget,
// dp.ErrLossOverflow, ErrReadOnly, ErrStopped, ErrClosed.
func (l *Ledger) Reserve(ctx context.Context, r Reservation) (id string, err error) {
	e := Entry{Kind: KindReserve, Study: r.Study, Researcher: r.Researcher, Query: r.Query, Loss: r.Loss,
		Text: r.Text, Detail: r.Detail, Expires: r.Expires.UTC()}
	if err := r.check(e); err != nil {
		return "", err
	}
	if err := l.takeToWrite(ctx); err != nil {
		return "", err
	}
	defer l.give()
	now := l.now()
	if !r.Expires.After(now) {
		return "", fmt.Errorf("%w: the reservation expires before it begins", ErrEntry)
	}
	l.lapse(now)
	if scope, err := l.checkCaps(r, now); err != nil {
		return "", fmt.Errorf("%s: %w", scopeWords(scope), err)
	}
	e.Reservation = rand.Text()
	l.held[e.Reservation] = e
	return e.Reservation, nil
}

// check refuses an incomplete reservation.
func (r Reservation) check(e Entry) error {
	for _, f := range [...]struct{ name, value string }{{"study", r.Study}, {"researcher", r.Researcher}, {"query id", r.Query}} {
		if f.value == "" {
			return fmt.Errorf("%w: the reservation has no %s", ErrEntry, f.name)
		}
	}
	if r.Loss == (dp.Loss{}) {
		return fmt.Errorf("%w: the reservation has no loss; every release costs", ErrEntry)
	}
	if len(r.Caps) == 0 {
		return fmt.Errorf("%w: the reservation has no cap", ErrEntry)
	}
	for _, c := range r.Caps {
		if !covers(c.Scope, r.Study, r.Researcher) {
			return fmt.Errorf("%w: the reservation is not in the scope %q of its cap", ErrEntry, c.Scope)
		}
	}
	return e.check()
}

// checkCaps returns an error, and the scope where it arose, if the loss does not fit. Scopes without a cap must still
// be able to count the loss, since a charge must never fail because of its size.
func (l *Ledger) checkCaps(r Reservation, now time.Time) (scope string, err error) {
	spent := func(scope string) (dp.Loss, error) {
		reserved, err := l.held.sum(scope, now)
		if err != nil {
			return dp.Loss{}, err
		}
		charged, err := l.balance.spent(scope)
		if err != nil {
			return dp.Loss{}, err
		}
		return charged.Plus(reserved)
	}
	for _, c := range r.Caps {
		sum, err := spent(c.Scope)
		if err == nil {
			err = c.Budget.Check(sum, r.Loss)
		}
		if err != nil {
			return c.Scope, err
		}
	}
	for _, scope := range [...]string{scopeAll, scopeStudy + r.Study, scopeResearcher + r.Researcher} {
		sum, err := spent(scope)
		if err == nil {
			_, err = sum.Plus(r.Loss)
		}
		if err != nil {
			return scope, err
		}
	}
	return "", nil
}

// lapse forgets the expired reservations, so that a clock that is set back does not revive them.
func (l *Ledger) lapse(now time.Time) {
	maps.DeleteFunc(l.held, func(_ string, r Entry) bool { return !r.Expires.After(now) })
}

// abandonment is the entry that gives back a reservation recorded by an earlier version.
func abandonment(r Entry, why string) Entry {
	return Entry{Kind: KindAbandon, Study: r.Study, Researcher: r.Researcher, Query: r.Query, Reservation: r.Reservation,
		Text: fmt.Sprintf("The reservation of entry %d %s; it costs nothing.", r.Sequence, why)}
}

// Charge spends a reservation for good. Both are recorded in one write. The charge is on the disk when Charge returns
// nil, and only then may the query be executed. Once it has begun to write, it does not end with ctx.
//
// Errors: ErrUnknownReservation, ErrReservationExpired, ErrAlreadyCharged (a replay), ErrEntry, ErrReadOnly,
// ErrStopped, ErrClosed. After any error the query must not be executed.
//
// The checkpoints of other ledgers are kept in the same write.
func (l *Ledger) Charge(ctx context.Context, id string, detail json.RawMessage, peers ...Checkpoint) error {
	if err := (Entry{Text: "-", Detail: detail}).check(); err != nil {
		return err
	}
	if err := l.takeToWrite(ctx); err != nil {
		return err
	}
	defer l.give()
	r, ok := l.held[id]
	if !ok {
		return l.past(ctx, id)
	}
	if now := l.now(); !r.Expires.After(now) {
		l.lapse(now)
		return ErrReservationExpired
	}
	entries := []Entry{r, {Kind: KindCharge, Study: r.Study, Researcher: r.Researcher, Query: r.Query,
		Reservation: id, Loss: r.Loss, Text: r.Text, Detail: detail}}
	kept, err := l.later(peers)
	if err != nil {
		return err
	}
	entries = append(entries, kept...)
	if err := l.append(ctx, nil, entries...); err != nil {
		return err
	}
	delete(l.held, id)
	return nil
}

// Abandon gives back a reservation that was not charged; it writes nothing. Errors: ErrUnknownReservation,
// ErrAlreadyCharged, ErrReadOnly, ErrClosed.
func (l *Ledger) Abandon(ctx context.Context, id string) error {
	if l.write == nil {
		return ErrReadOnly
	}
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.give()
	if _, ok := l.held[id]; !ok {
		return l.past(ctx, id)
	}
	delete(l.held, id)
	return nil
}

// past says what happened to a reservation that is not held: it was charged, or nothing is known of it.
func (l *Ledger) past(ctx context.Context, id string) error {
	var charged bool
	err := l.write.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM entries WHERE reservation = ? AND reservation <> '' AND kind = ?)`,
		id, string(KindCharge)).Scan(&charged)
	switch {
	case err != nil:
		return err
	case charged:
		return ErrAlreadyCharged
	default:
		return ErrUnknownReservation
	}
}

// Spent returns what was charged in a scope (see Cap), with what was lost (see Recover), and what is now reserved
// there. A scope that nobody used has spent nothing. On a ledger of OpenReadOnly it reads the whole file, and reports
// nothing as reserved: only the writer knows.
func (l *Ledger) Spent(ctx context.Context, scope string) (charged, reserved dp.Loss, err error) {
	if err := l.take(ctx); err != nil {
		return dp.Loss{}, dp.Loss{}, err
	}
	defer l.give()
	b := l.balance
	if l.write == nil {
		if _, b, err = walk(ctx, l.read); err != nil {
			return dp.Loss{}, dp.Loss{}, err
		}
	}
	if charged, err = b.spent(scope); err != nil {
		return dp.Loss{}, dp.Loss{}, err
	}
	reserved, err = l.held.sum(scope, l.now())
	return charged, reserved, err
}
