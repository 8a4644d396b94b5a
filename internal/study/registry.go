package study

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/intramuros/intramuros/internal/ledger"
)

// The states.
const (
	Proposed  Status = "proposed"
	Approved  Status = "approved"
	Amended   Status = "amended" // approved, with narrower limits than proposed
	Suspended Status = "suspended"
	Ended     Status = "ended"
)

// staysSealed: a sealed study stays sealed in later versions. Otherwise an approval of the next version could drop the
// seal unnoticed.
func staysSealed(before, d *Document) error {
	if before != nil && before.Sealed && !d.Sealed {
		return refuse("version %d of study %s was sealed, and version %d is not; `sealed` is never taken away: seal it (an approval: --sealed), or propose another study", before.Version, d.ID, d.Version)
	}
	return nil
}

// rule applies a policy to all studies: how many must sign, and who has left. The coordinator's proposals need no
// signatures of custodians.
func (r *Registry) rule(required int, former []string) {
	r.place.Required, r.place.Former = required, former
	if r.place.Hospital == "" {
		return
	}
	for _, s := range r.studies {
		s.dropSignatures(r.place)
		s.require(required)
	}
}

// Registry has the studies of one daemon. Its methods may be called from any goroutine.
type Registry struct {
	place  Place
	ledger *ledger.Ledger
	log    *slog.Logger

	mu      sync.Mutex
	studies map[string]*Study
	seen    map[string]bool // records by id

	running map[string]int // number of running queries, by study
	changed chan struct{}  // closed when fewer run
	unended map[string]unended
}

// Load adds up the records in a ledger. If place has no keys at all, as for a reader of somebody else's ledger,
// signatures are not checked, and the ledger's last policy applies. A record that no configured key has signed opens
// nothing, its study stays closed, and the log says so.
func Load(ctx context.Context, l *ledger.Ledger, place Place, log *slog.Logger) (*Registry, error) {
	r := &Registry{place: place, ledger: l, log: log, studies: map[string]*Study{}, seen: map[string]bool{},
		running: map[string]int{}, changed: make(chan struct{}), unended: map[string]unended{}}
	blind := len(place.Operators) == 0 && len(place.Custodians) == 0
	r.place.Required, r.place.Former = 0, nil // at first: earlier records are read with the policy of their time
	broken := map[string]bool{}
	err := l.Entries(ctx, 1, func(e ledger.Entry) error {
		if p, ok := policyOf(e); ok {
			r.rule(p.Required, p.Former)
			return nil
		}
		if e.Kind != ledger.KindStudy {
			r.follow(e)
			return nil
		}
		record, err := Decode(e.Detail)
		if err == nil && !blind {
			err = record.is(place)
		}
		if err == nil {
			err = r.apply(record)
		}
		if err != nil {
			broken[e.Study] = true
			log.Error("a study stays closed: a record of it in the ledger is not believed", slog.String("study", e.Study), slog.Int64("entry", e.Sequence), slog.Any("error", err))
		}
		return nil
	})
	if !blind {
		r.rule(place.Required, place.Former) // the configured policy applies, whatever the file says
	}
	for id := range broken {
		if s := r.studies[id]; s != nil && s.Status != Ended {
			s.Status, s.Pending = Suspended, nil
		}
	}
	return r, err
}

// apply adds a record in memory.
func (r *Registry) apply(record *Record) error {
	s := Study{ID: record.Study}
	if have := r.studies[record.Study]; have != nil {
		s = *have
	}
	if err := s.apply(record, r.place); err != nil {
		return err
	}
	r.studies[record.Study] = &s
	r.seen[record.id()] = true
	return nil
}

// Take checks a record and keeps it if it follows. The record is in the ledger when Take returns nil. A known record
// changes nothing. Errors wrap ErrRecord, or are the ledger's.
func (r *Registry) Take(ctx context.Context, record *Record) error {
	if err := record.is(r.place); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[record.id()] {
		return nil
	}
	if r.place.left(r.place.signer(record)) {
		return refuse("%s has left, and signs nothing more here (`former`)", record.By)
	}
	s := Study{ID: record.Study}
	if have := r.studies[record.Study]; have != nil {
		s = *have
	}
	if err := s.apply(record, r.place); err != nil {
		return err
	}
	detail, err := record.Encode()
	if err != nil {
		return err
	}
	text := record.Sentence()
	if s.Pending != nil {
		text += fmt.Sprintf(" It opens nothing before %d more of the custodians have signed the same.", s.Pending.Missing)
	}
	if err := r.ledger.Record(ctx, ledger.Entry{
		Kind: ledger.KindStudy, Study: record.Study, Text: text, Detail: json.RawMessage(detail),
	}); err != nil {
		return err
	}
	r.log.Info("study", slog.String("study", record.Study), slog.String("act", string(record.Act)), slog.String("by", record.By), slog.String("status", string(s.Status)))
	return r.apply(record)
}

// Study returns the present state of a study.
func (r *Registry) Study(id string) (Study, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.studies[id]
	if !ok {
		return Study{}, false
	}
	return *s, true
}

// All lists the studies by id.
func (r *Registry) All() []Study {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Study
	for _, id := range slices.Sorted(maps.Keys(r.studies)) {
		all = append(all, *r.studies[id])
	}
	return all
}

// Proposals returns the records of the latest proposals that have not ended here, to be sent to others.
func (r *Registry) Proposals() []*Record {
	var all []*Record
	for _, s := range r.All() {
		if s.offer != nil && s.Status != Ended {
			all = append(all, s.offer)
		}
	}
	return all
}

// The files of an inbox.
const (
	newSuffix     = ".json"    // a record to take
	refusedSuffix = ".refused" // why it was not taken
)
