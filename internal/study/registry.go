package study

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/intramuros/intramuros/internal/ledger"
)

// Status is where a study stands at one place.
type Status string

// The states.
const (
	Proposed  Status = "proposed"
	Approved  Status = "approved"
	Amended   Status = "amended" // approved, with narrower limits than proposed
	Suspended Status = "suspended"
	Ended     Status = "ended"
)

// Study is a study at one place.
type Study struct {
	ID     string
	Status Status
	// Proposal is the latest proposal; nil where none has come.
	Proposal *Document
	// Approved is what was approved last; at the coordinator, the latest proposal unless narrowed.
	Approved *Document
	// Failures is how many queries failed after they were charged since the last approval, and Failed that they
	// were so many that the study is suspended; see Registry.Begin.
	Failures int
	Failed   bool
	Approval int // the number of the last approval or resumption, 0 where there is none
	// Pending is what lacks signatures to hold; nil: nothing does.
	Pending *Pending

	Acts  int     // the number of the last act
	Last  *Record // the last act, or the proposal
	offer *Record // the latest proposal's record

	answers *Document // the proposal that Holds is of, which may be older than Proposal
	opener  Pending   // who has signed what opened it, By and keys
}

// Offer is the record of the latest proposal; nil where none has come.
func (s *Study) Offer() *Record { return s.offer }

// Open tells whether queries may be asked now, and under which terms.
func (s *Study) Open(now time.Time) bool {
	return s.Approved != nil && (s.Status == Approved || s.Status == Amended) && now.Before(s.Approved.Expires)
}

// Pending is an approval or a resumption that more custodians must sign before it holds.
type Pending struct {
	Act      Act       `json:"act"`
	Document *Document `json:"document"`
	By       []string  `json:"by"`      // who has signed, first to last
	Missing  int       `json:"missing"` // how many more must

	proposal string
	keys     []string // of By, or where those are not known their names
}

// signed is how r stands with the signatures that came before it. Whoever signs twice counts once, also under two names
// for one key.
func (p *Pending) signed(r *Record, place Place) *Pending {
	next := &Pending{Act: r.Act, Document: r.Document, proposal: r.Proposal}
	if p != nil && p.Act == r.Act && p.proposal == r.Proposal && p.Document.Digest() == r.Document.Digest() {
		next.By, next.keys = slices.Clone(p.By), slices.Clone(p.keys)
	}
	if key := place.signer(r); !slices.Contains(next.keys, key) {
		next.By, next.keys = append(next.By, r.By), append(next.keys, key)
	}
	next.Missing = max(0, place.Required-len(next.keys))
	return next
}

// forget takes back what somebody signed who has left, where it has opened nothing yet.
func (s *Study) forget(place Place) {
	if s.Pending == nil {
		return
	}
	next := *s.Pending
	next.By, next.keys = nil, nil
	for i, key := range s.Pending.keys {
		if !place.left(key) {
			next.By, next.keys = append(next.By, s.Pending.By[i]), append(next.keys, key)
		}
	}
	if s.Pending = &next; len(next.keys) == 0 {
		s.Pending = nil
	}
}

// require has the study stand as it does where so many must sign what opens one: what fewer have opened is suspended, until
// others sign that it is resumed.
func (s *Study) require(n int) {
	switch {
	case s.Pending != nil:
		next := *s.Pending
		next.Missing = max(1, n-len(next.keys)) // no change of a policy opens anything
		s.Pending = &next
	case (s.Status == Approved || s.Status == Amended) && len(s.opener.keys) < n:
		s.Status = Suspended
		s.Pending = &Pending{Act: Resume, Document: s.Approved, By: s.opener.By, keys: s.opener.keys, Missing: n - len(s.opener.keys)}
	}
}

// apply adds the next record at a place. An error says why it cannot follow.
func (s *Study) apply(r *Record, place Place) error {
	if s.Status == Ended {
		return refuse("the study %s has ended; propose another one", s.ID)
	}
	if r.Act == Propose {
		return s.propose(r, place.Hospital == "")
	}
	if s.Proposal == nil {
		return refuse("no study %s is proposed here", s.ID)
	}
	if r.Number != s.Acts+1 {
		return refuse("it is act %d on study %s, and the next one is %d: it was used before, or another came first", r.Number, s.ID, s.Acts+1)
	}
	if err := s.allows(r); err != nil {
		return err
	}
	pending := s.Pending
	s.Pending = nil
	switch r.Act {
	case Approve, Resume:
		p := pending.signed(r, place)
		if p.Missing > 0 {
			s.Pending = p
			break
		}
		s.opener = *p
		s.open(r)
	case Narrow:
		s.Approved = r.Document
		if s.Status != Suspended {
			s.Status = s.opened()
		}
	case Suspend:
		s.Status = Suspended
	case End:
		s.Status = Ended
	}
	s.Acts, s.Last = r.Number, r
	return nil
}

// propose adds a proposal; at the coordinator (central) it holds at once.
func (s *Study) propose(r *Record, central bool) error {
	if s.Proposal != nil && r.Document.Version <= s.Proposal.Version {
		return refuse("version %d of study %s is known, and this is version %d", s.Proposal.Version, s.ID, r.Document.Version)
	}
	if err := errors.Join(s.sameAccounting(r.Document), staysSealed(s.Proposal, r.Document)); err != nil {
		return err
	}
	s.Proposal, s.offer, s.Pending = r.Document, r, nil
	switch {
	case central:
		s.Approved, s.answers = r.Document, r.Document
		if s.Status != Suspended {
			s.Status = Approved
		}
	case s.Status == "":
		s.Status = Proposed
	}
	if s.Last == nil {
		s.Last = r
	}
	return nil
}

// allows tells whether a custodian's act may follow on how the study stands.
func (s *Study) allows(r *Record) error {
	switch r.Act {
	case Approve:
		if r.Proposal != s.Proposal.Digest() {
			return refuse("it approves another version of study %s than the one proposed last", s.ID)
		}
		if err := r.Document.Narrows(s.Proposal); err != nil {
			return refuse("%w", err)
		}
		return errors.Join(s.sameAccounting(r.Document), staysSealed(s.Approved, r.Document))
	case Resume:
		if s.Status != Suspended || s.Approved == nil {
			return refuse("the study %s is %s here, and only what was approved and is suspended can be resumed", s.ID, s.Status)
		}
		if r.Document.Digest() != s.Approved.Digest() {
			return refuse("it resumes other terms of study %s than held here last", s.ID)
		}
	case Narrow:
		if s.Approved == nil {
			return refuse("nothing of the study %s holds here; approve it, as narrow as you like", s.ID)
		}
		if err := r.Document.Narrows(s.Approved); err != nil {
			return refuse("compared with what holds here, %w", err)
		}
		if err := r.Document.Narrows(s.answers); err != nil { // a sealed study has all of the proposal's hospitals
			return refuse("%w", err)
		}
	}
	return nil
}

// open lets what a record says hold, and counts failures anew.
func (s *Study) open(r *Record) {
	if r.Act == Approve {
		s.Approved, s.answers = r.Document, s.Proposal
	}
	s.Status = s.opened()
	s.Approval, s.Failures, s.Failed = r.Number, 0, false
}

// opened is the status of a study that is open, by whether what holds is narrower than what was proposed.
func (s *Study) opened() Status {
	if s.Approved.Digest() != s.answers.Digest() {
		return Amended
	}
	return Approved
}

// sameAccounting: what was charged is charged under one accounting.
func (s *Study) sameAccounting(d *Document) error {
	if s.Approved != nil && s.Approved.Budget.Accounting != d.Budget.Accounting {
		return refuse("the accounting of study %s is %s and cannot change", s.ID, s.Approved.Budget.Accounting)
	}
	return nil
}

// staysSealed: what was sealed stays so in later versions, or an approval of the next one would drop it unseen.
func staysSealed(before, d *Document) error {
	if before != nil && before.Sealed && !d.Sealed {
		return refuse("version %d of study %s was sealed, and version %d is not; `sealed` is never taken away: seal it (an approval: --sealed), or propose another study", before.Version, d.ID, d.Version)
	}
	return nil
}

// Place is where a registry decides, and who may.
type Place struct {
	Federation string
	Hospital   string // empty: the coordinator, where proposals hold at once
	Operators  Keys   // may propose; at the coordinator, also approve, suspend and end
	Custodians Keys   // may approve, narrow, suspend, resume and end, at a hospital
	Required   int    // how many custodians must sign what opens a study; 0: one
	// Former are those of them who left: their keys are believed about what is recorded, and sign nothing new, under
	// whatever name.
	Former []string
}

// Left tells whether who decides under a name has left, by its key.
func (p Place) Left(custodian string) bool { return p.left(string(p.Custodians[custodian])) }

// left tells whether a key, as signer gives it, is of somebody who left.
func (p Place) left(key string) bool {
	return slices.ContainsFunc(p.Former, func(name string) bool {
		return name == key || key != "" && (string(p.Custodians[name]) == key || string(p.Operators[name]) == key)
	})
}

// signer is whose signature a record bears: the key, so that two names for one key are one custodian; the name for a
// reader without keys.
func (p Place) signer(r *Record) string {
	if key, ok := p.keys(r.Act)[r.By]; ok {
		return string(key)
	}
	return r.By
}

func (p Place) keys(a Act) Keys {
	if a == Propose || p.Hospital == "" {
		return p.Operators
	}
	return p.Custodians
}

// policy is what an entry about its daemon's policy tells of studies.
type policy struct {
	Custodians []string `json:"custodians"`
	Required   int      `json:"signatures_required"` // Place.Required; 0 where it is 1
	Former     []string `json:"former"`              // Place.Former
}

// policyOf is the policy from an entry of the ledger on; ok is false for one that is of something else.
func policyOf(e ledger.Entry) (p policy, ok bool) {
	if e.Kind != ledger.KindConfig || json.Unmarshal(e.Detail, &p) != nil || p.Custodians == nil {
		return policy{}, false
	}
	return p, true
}

// rule has all studies stand as they do where so many must sign, and some have left. The coordinator's proposals hold without.
func (r *Registry) rule(required int, former []string) {
	r.place.Required, r.place.Former = required, former
	if r.place.Hospital == "" {
		return
	}
	for _, s := range r.studies {
		s.forget(r.place)
		s.require(required)
	}
}

// is checks that the record is of this place, and signed by one who may do so here.
func (r *Record) is(p Place) error {
	if r.Federation != p.Federation {
		return refuse("it is of federation %s", r.Federation)
	}
	if r.Act != Propose && r.Hospital != p.Hospital {
		return refuse("it is for %q", r.Hospital)
	}
	return r.verify(p.keys(r.Act))
}

// Registry is the studies of one daemon. Its methods may be called from any goroutine.
type Registry struct {
	place  Place
	ledger *ledger.Ledger
	log    *slog.Logger

	mu      sync.Mutex
	studies map[string]*Study
	seen    map[string]bool // records by id

	running map[string]int // queries, by study
	changed chan struct{}  // closed when fewer run
	unended map[string]unended
}

// Load adds up the records in a ledger. Where place has no keys at all, as for a reader of
// somebody's ledger, signatures are not checked, and the ledger's last policy holds. A record that no configured key has signed
// opens nothing, and its study stays closed: the log says so.
func Load(ctx context.Context, l *ledger.Ledger, place Place, log *slog.Logger) (*Registry, error) {
	r := &Registry{place: place, ledger: l, log: log, studies: map[string]*Study{}, seen: map[string]bool{},
		running: map[string]int{}, changed: make(chan struct{}), unended: map[string]unended{}}
	blind := len(place.Operators) == 0 && len(place.Custodians) == 0
	r.place.Required, r.place.Former = 0, nil // at first: what was signed is read by the policy of its time
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
		r.rule(place.Required, place.Former) // whatever the file says
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

// Take checks a record and, where it follows, keeps it: it is in the ledger when Take
// returns nil. One that is known already changes nothing. Errors wrap ErrRecord, or are the ledger's.
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

// Study gives a study as it stands.
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

// Proposals are the records of the latest proposals that have not ended here, for others to take.
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

// Inbox is the folder in which a daemon with this ledger looks for records.
func Inbox(ledgerPath string) string { return ledgerPath + ".inbox" }

// Post puts a record into an inbox, whole or not at all. Records are taken in the order in which they were posted.
func Post(inbox string, record *Record) (path string, err error) {
	b, err := record.Encode()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(inbox, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(inbox, ".new-*") // mode 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name()) // fails once renamed
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", err
	}
	path = filepath.Join(inbox, fmt.Sprintf("%020d-%s-%s-%.16s%s", time.Now().UnixNano(), record.Study, record.Act, record.id(), newSuffix))
	return path, os.Rename(f.Name(), path)
}

// Refused gives the reason for which the record at path was refused, "" if it was not.
func Refused(path string) string {
	b, _ := os.ReadFile(strings.TrimSuffix(path, newSuffix) + refusedSuffix)
	return strings.TrimSpace(string(b))
}

// Collect takes the records of an inbox and removes them. Those that are refused leave a
// file with the reason; those that the ledger could not take stay for the next time.
func (r *Registry) Collect(ctx context.Context, inbox string) error {
	if err := os.MkdirAll(inbox, 0o700); err != nil {
		return err
	}
	files, err := os.ReadDir(inbox) // sorted by name
	if err != nil {
		return err
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), newSuffix) || strings.HasPrefix(f.Name(), ".") || !f.Type().IsRegular() {
			continue
		}
		path := filepath.Join(inbox, f.Name())
		if err := r.collect(ctx, path); errors.Is(err, ErrRecord) {
			r.log.Warn("a record of a study is refused", slog.String("file", path), slog.Any("error", err))
			if err := os.WriteFile(strings.TrimSuffix(path, newSuffix)+refusedSuffix, []byte(err.Error()+"\n"), 0o600); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) collect(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() > maxRecord {
		return refuse("more than %d bytes", maxRecord)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	record, err := Decode(b)
	if err != nil {
		return err
	}
	return r.Take(ctx, record)
}
