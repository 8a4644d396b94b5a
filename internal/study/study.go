package study

import (
	"errors"
	"slices"
	"time"
)

// Status is where a study stands at one place.
type Status string

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

// require has the study stand as it does where so many must sign what opens one: what fewer have opened is suspended,
// until others sign that it is resumed.
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
