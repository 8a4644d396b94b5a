package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/study"
)

// Hold is a custodian's stop. While it is on, the hospital answers nothing, whatever studies allow.
type Hold struct {
	On     bool      `json:"on"`
	Reason string    `json:"reason"`
	By     string    `json:"by"`    // who did it, as the console knows them; empty if not known by name
	Since  time.Time `json:"since"` // UTC; zero if there never was a stop
	// Signed are the custodians who have signed the end of the stop, if more than one must.
	Signed []string `json:"signed,omitempty"`
}

// Release is a custodian's signature for the end of a stop, after which the hospital answers again. It takes as many
// signatures as opening a study, if that is more than one.
type Release struct {
	Federation string    `json:"federation"`
	Hospital   string    `json:"hospital"`
	Since      time.Time `json:"since"` // the beginning of the stop: it ends no other
	By         string    `json:"by"`
	Time       time.Time `json:"time"`
	Reason     string    `json:"reason"`
	Signature  []byte    `json:"signature"` // Ed25519, over Message
}

// releasePrefix separates signatures of releases from all other signatures.
const releasePrefix = "intramuros/hold/1\n"

// Message is the text that is signed.
func (r Release) Message() ([]byte, error) {
	r.Signature = nil
	r.Since, r.Time = r.Since.UTC(), r.Time.UTC().Truncate(time.Second)
	b, err := json.Marshal(r)
	return append([]byte(releasePrefix), b...), err
}

// holdEntry is a hold in the ledger, in an entry of kind config. With a Release, the hold continues until others have
// signed too.
type holdEntry struct {
	Suspended *bool    `json:"suspended"`
	Reason    string   `json:"reason"`
	By        string   `json:"by,omitempty"`
	Release   *Release `json:"release,omitempty"`
}

// holdOf reads an entry of the ledger. ok is false if the entry is not about a hold. r is a signature for its end, or
// nil.
func holdOf(e ledger.Entry) (h Hold, r *Release, ok bool) {
	var x holdEntry
	if e.Kind != ledger.KindConfig || json.Unmarshal(e.Detail, &x) != nil || x.Suspended == nil {
		return Hold{}, nil, false
	}
	return Hold{On: *x.Suspended, Reason: x.Reason, By: x.By, Since: e.Time}, x.Release, true
}

// suspension suspends all queries, and ends the running ones when it begins. It is stored in the ledger, so that a
// restart does not end it.
type suspension struct {
	place study.Place // whose signatures end it, and how many

	mu      sync.Mutex
	hold    Hold
	signed  map[string]bool // by key: who has signed the end of hold
	running context.Context // ends when all queries are suspended
	stop    context.CancelFunc
}

func openSuspension(ctx context.Context, book *ledger.Ledger, place study.Place) (*suspension, error) {
	b := &suspension{place: place, signed: map[string]bool{}}
	b.running, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := book.Entries(ctx, 1, func(e ledger.Entry) error {
		switch h, r, ok := holdOf(e); {
		case ok && r != nil:
			b.sign(r)
		case ok:
			b.hold, b.signed = h, map[string]bool{}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if b.hold.On {
		b.stop()
	}
	return b, nil
}

// keyOf is the key of a custodian who has not left; ok is false for anybody else.
func (b *suspension) keyOf(name string) (key ed25519.PublicKey, ok bool) {
	key, ok = b.place.Custodians[name]
	return key, ok && !b.place.Left(name)
}

// sign counts a signature if its custodian may still sign.
func (b *suspension) sign(r *Release) {
	if key, ok := b.keyOf(r.By); ok && !b.signed[string(key)] {
		b.signed[string(key)] = true
		b.hold.Signed = append(slices.Clone(b.hold.Signed), r.By)
	}
}

// check refuses a signature that does not end the present hold.
func (b *suspension) check(r *Release) error {
	refused := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", study.ErrRecord, fmt.Errorf(format, args...))
	}
	key, ok := b.keyOf(r.By)
	switch {
	case r.Federation != b.place.Federation || r.Hospital != b.place.Hospital:
		return refused("it is for %s of %s", r.Hospital, r.Federation)
	case !b.hold.On || !r.Since.Equal(b.hold.Since):
		return refused("the stop that it ends has ended; another may have come")
	case !ok:
		return refused("%q is no custodian here", r.By)
	case len(r.Reason) > maxReleaseReason || strings.ContainsRune(r.Reason, 0):
		return refused("the reason is too long")
	}
	m, err := r.Message()
	if err != nil {
		return refused("%w", err)
	}
	return study.VerifySignature(key, m, r.Signature, r.By)
}

const maxReleaseReason = 1000 // bytes

// release accepts a custodian's signature, and ends the hold with the last one that is needed.
func (b *suspension) release(ctx context.Context, book *ledger.Ledger, r *Release) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.check(r); err != nil {
		return err
	}
	names, missing := b.hold.Signed, b.place.Required-len(b.signed)
	again := b.signed[string(b.place.Custodians[r.By])] // a repeated signature ends the hold if fewer must sign by now
	if !again {
		names, missing = append(slices.Clone(names), r.By), missing-1
	}
	on := missing > 0
	if again && on {
		return nil
	}
	by := strings.Join(names, ", ")
	entry, text := holdEntry{Suspended: &on, Reason: r.Reason, By: by}, by+" signed that this hospital answers again, as its studies allow."
	if on {
		entry.By, entry.Release = r.By, r
		text = fmt.Sprintf("%s signed that this hospital answers again. It does not before %d more of the custodians have signed.", r.By, missing)
	}
	if r.Reason != "" {
		text += " Reason: " + r.Reason
	}
	detail, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	if err := book.Record(context.WithoutCancel(ctx), ledger.Entry{Kind: ledger.KindConfig, Text: text, Detail: detail}); err != nil {
		return err
	}
	if on {
		b.sign(r)
		return nil
	}
	b.hold, b.signed = Hold{Reason: r.Reason, By: by, Since: r.Time.UTC()}, map[string]bool{}
	b.running, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	return nil
}

// released refuses if all queries are suspended.
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

// during returns a context that ends with ctx, or when all queries are suspended.
func (b *suspension) during(ctx context.Context) (context.Context, context.CancelFunc) {
	b.mu.Lock()
	running := b.running
	b.mu.Unlock()
	within, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(running, cancel)
	return within, func() { stop(); cancel() }
}

// set begins or ends the suspension. It begins at once, even if the ledger cannot be written. It ends only after the
// ledger has recorded the end.
func (b *suspension) set(ctx context.Context, book *ledger.Ledger, h Hold, now time.Time) error {
	on, reason := h.On, h.Reason
	if !on && b.place.Required > 1 {
		return fmt.Errorf("%w: %d custodians must sign that this hospital answers again", study.ErrRecord, b.place.Required)
	}
	detail, err := json.Marshal(holdEntry{Suspended: &on, Reason: reason, By: h.By})
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
		b.hold, b.signed = h, map[string]bool{}
		b.stop()
	}
	if err := book.Record(context.WithoutCancel(ctx), ledger.Entry{Kind: ledger.KindConfig, Text: text, Detail: detail}); err != nil {
		return err
	}
	if !on {
		b.hold = h
		b.running, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	}
	return nil
}
