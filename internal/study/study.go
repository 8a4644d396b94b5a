package study

import (
	"errors"
	"slices"
	"time"
)

// Status is the state of a study at one place.
type Status string

// Study is a study at one place.
type Study struct {
	ID     string
	Status Status
	// Proposal is the latest proposal; nil if there is none.
	Proposal *Document
	// Approved is the document in effect; at the coordinator, the latest proposal unless narrowed.
	Approved *Document
	// Failures is the number of queries that failed after their charge since the last approval. Failed says that there
	// were so many that the study is suspended; see Registry.Begin.
	Failures int
	Failed   bool
	Approval int // the number of the last approval or resumption; 0 if there is none
	// Pending lacks signatures before it takes effect; nil: there is none.
	Pending *Pending

	Acts  int     // the number of the last act
	Last  *Record // the last act, or the proposal
	offer *Record // the latest proposal's record

	answers *Document // the proposal that Approved answers; it may be older than Proposal
	opener  Pending   // the signers of the act that opened it: By and keys
}

// Offer is the record of the latest proposal; nil if there is none.
func (s *Study) Offer() *Record { return s.offer }

// Open reports whether queries may be asked now.
func (s *Study) Open(now time.Time) bool {
	return s.Approved != nil && (s.Status == Approved || s.Status == Amended) && now.Before(s.Approved.Expires)
}

// Pending is an approval or a resumption that more custodians must sign before it takes effect.
type Pending struct {
	Act      Act       `json:"act"`
	Document *Document `json:"document"`
	By       []string  `json:"by"`      // the signers, in order
	Missing  int       `json:"missing"` // how many more must sign

	proposal string
	keys     []string // of By; their names if the keys are not known
}

// signed adds the signature of r to the earlier ones. A person who signs twice counts once, also under two names for
// one key.
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

// dropSignatures removes the signatures of people who left from an act that has opened nothing yet.
func (s *Study) dropSignatures(place Place) {
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

// require applies the rule that n custodians must sign an act that opens a study. A study that fewer have opened is
// suspended, until others sign that it is resumed.
func (s *Study) require(n int) {
	switch {
	case s.Pending != nil:
		next := *s.Pending
		next.Missing = max(1, n-len(next.keys)) // a change of the policy never opens a study
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

// propose adds a proposal. At the coordinator (central) it takes effect at once.
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

// allows reports whether a custodian's act may follow in the present state of the study.
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
		if err := r.Document.Narrows(s.answers); err != nil { // a sealed study has exactly the hospitals of the proposal
			return refuse("%w", err)
		}
	}
	return nil
}

// open puts the terms of a record into effect, and resets the count of failures.
func (s *Study) open(r *Record) {
	if r.Act == Approve {
		s.Approved, s.answers = r.Document, s.Proposal
	}
	s.Status = s.opened()
	s.Approval, s.Failures, s.Failed = r.Number, 0, false
}

// opened is the status of an open study. It depends on whether the terms are narrower than the proposal.
func (s *Study) opened() Status {
	if s.Approved.Digest() != s.answers.Digest() {
		return Amended
	}
	return Approved
}

// sameAccounting refuses another accounting: all charges of a study are made under one.
func (s *Study) sameAccounting(d *Document) error {
	if s.Approved != nil && s.Approved.Budget.Accounting != d.Budget.Accounting {
		return refuse("the accounting of study %s is %s and cannot change", s.ID, s.Approved.Budget.Accounting)
	}
	return nil
}
