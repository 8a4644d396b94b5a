package node

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/intramuros/intramuros/internal/ledger"
)

// Hold is a custodian's stop: while it is on, nothing is answered, whatever studies allow.
type Hold struct {
	On     bool      `json:"on"`
	Reason string    `json:"reason"`
	By     string    `json:"by"`    // who did it, as the console knows them; empty: not known by name
	Since  time.Time `json:"since"` // UTC; zero where it was never on
}

// holdEntry is a hold as the ledger keeps it, in an entry of kind config.
type holdEntry struct {
	Suspended *bool  `json:"suspended"`
	Reason    string `json:"reason"`
	By        string `json:"by,omitempty"`
}

// holdOf reads an entry of the ledger; ok is false for any but that of a hold.
func holdOf(e ledger.Entry) (h Hold, ok bool) {
	var x holdEntry
	if e.Kind != ledger.KindConfig || json.Unmarshal(e.Detail, &x) != nil || x.Suspended == nil {
		return Hold{}, false
	}
	return Hold{On: *x.Suspended, Reason: x.Reason, By: x.By, Since: e.Time}, true
}

// suspension holds all queries, and ends those that run when it is pulled. The ledger keeps it, so
// that a restart does not release it.
type suspension struct {
	mu      sync.Mutex
	hold    Hold
	running context.Context // ends when all queries are held
	pull    context.CancelFunc
}

func openBrake(ctx context.Context, book *ledger.Ledger) (*suspension, error) {
	b := &suspension{}
	b.running, b.pull = context.WithCancel(context.WithoutCancel(ctx))
	if err := book.Entries(ctx, 1, func(e ledger.Entry) error {
		if h, ok := holdOf(e); ok {
			b.hold = h
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if b.hold.On {
		b.pull()
	}
	return b, nil
}

// released refuses while all queries are held.
func (b *suspension) released() error {
	if b.state().On {
		return refuse(CodeSuspended, nil)
	}
	return nil
}

func (b *suspension) state() Hold {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hold
}

// during gives a context that ends with ctx, or when all queries are held.
func (b *suspension) during(ctx context.Context) (context.Context, context.CancelFunc) {
	b.mu.Lock()
	running := b.running
	b.mu.Unlock()
	within, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(running, cancel)
	return within, func() { stop(); cancel() }
}

// set holds or releases them. Holding works at once, and stays even where the ledger cannot
// be written; releasing comes after the ledger has it.
func (b *suspension) set(ctx context.Context, book *ledger.Ledger, h Hold, now time.Time) error {
	on, reason := h.On, h.Reason
	detail, err := json.Marshal(holdEntry{&on, reason, h.By})
	if err != nil {
		return err
	}
	h.Since = now.UTC()
	who := "The custodian"
	if h.By != "" {
		who = h.By
	}
	text := who + " lets this hospital answer again, as its studies allow."
	if on {
		text = who + " stopped this hospital: no query is answered."
	}
	if reason != "" {
		text += " Reason: " + reason
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hold.On == on {
		return nil
	}
	if on {
		b.hold = h
		b.pull()
	}
	if err := book.Record(context.WithoutCancel(ctx), ledger.Entry{Kind: ledger.KindConfig, Text: text, Detail: detail}); err != nil {
		return err
	}
	if !on {
		b.hold = h
		b.running, b.pull = context.WithCancel(context.WithoutCancel(ctx))
	}
	return nil
}
