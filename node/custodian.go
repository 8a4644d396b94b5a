package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
)

// This file implements what a custodian can see and do. Package console is the page.

// Standing is the state of the node, for its custodian.
type Standing struct {
	Hospital    string       `json:"hospital"`
	Federation  string       `json:"federation"`
	Engine      string       `json:"engine"`
	DataVersion string       `json:"data_version"`
	Budget      dp.Budget    `json:"budget"` // over all studies
	Remaining   dp.Remaining `json:"remaining"`
	Hold        Hold         `json:"hold"`
	Custodians  []string     `json:"custodians"` // those with a configured key who have not left
	// Required is how many custodians must sign an act that opens a study; at least 1.
	Required int             `json:"signatures_required"`
	Studies  []StudyStanding `json:"studies"`
	// Certificates are those that have expired or expire within pki.Notice.
	Certificates []pki.Term `json:"certificates"`
}

// StudyStanding is a study here, with its remaining budget.
type StudyStanding struct {
	ID       string          `json:"id"`
	Status   study.Status    `json:"status"`
	Open     bool            `json:"open"`     // queries may be asked now, unless all are suspended
	Waits    bool            `json:"waits"`    // the proposal or its latest version is undecided
	Proposal *study.Document `json:"proposal"` // the latest; null if there is none
	Holds    *study.Document `json:"holds"`    // what was last approved; null if nothing was
	Last     string          `json:"last"`     // the last act, in plain words
	LastAct  *study.Record   `json:"last_act"` // the same; null if there was none
	// Pending is the act that still needs other signatures; null if there is none.
	Pending *study.Pending `json:"pending"`
	// Failures is how many queries failed after their charge since the last approval, of Allowed. Failed: the study is
	// suspended for them until it is resumed.
	Failures int  `json:"failures"`
	Allowed  int  `json:"failures_allowed"`
	Failed   bool `json:"failed"`
	// Remaining is the budget left of what was approved; null if nothing was.
	Remaining *dp.Remaining `json:"remaining"`
}

// Standing returns the state of the node, for its custodian.
func (n *Node) Standing(ctx context.Context) (*Standing, error) {
	s := n.service
	st := &Standing{
		Hospital: n.config.Name, Federation: n.config.Federation, Engine: s.kind, DataVersion: s.verified.Load().version,
		Budget: s.budget, Hold: s.suspension.state(), Custodians: n.config.present(n.config.Custodians), Studies: []StudyStanding{},
		Required: max(1, n.config.SignaturesRequired), Certificates: []pki.Term{},
	}
	for _, t := range n.config.terms() {
		if t.Soon(s.now()) {
			st.Certificates = append(st.Certificates, t)
		}
	}
	var err error
	if st.Remaining, err = s.left(ctx, scopeNode, s.budget); err != nil {
		return nil, err
	}
	for _, x := range s.studies.All() {
		one := StudyStanding{ID: x.ID, Status: x.Status, Open: x.Open(s.now()), Proposal: x.Proposal, Holds: x.Approved,
			Failures: x.Failures, Allowed: s.limits.FailuresAllowed, Failed: x.Failed, Pending: x.Pending}
		one.Waits = x.Proposal != nil && x.Status != study.Ended && (x.Approved == nil || x.Proposal.Version > x.Approved.Version)
		if x.Last != nil {
			one.Last = x.Last.Sentence()
			one.LastAct = x.Last
		}
		if x.Approved != nil {
			left, err := s.left(ctx, scopeStudy(x.ID), x.Approved.Budget)
			if err != nil {
				return nil, err
			}
			one.Remaining = &left
		}
		st.Studies = append(st.Studies, one)
	}
	return st, nil
}

// Ledger returns the node's ledger, to read.
func (n *Node) Ledger() *ledger.Ledger { return n.service.ledger }

// SetHold stops the hospital (h.On) or lets it answer again. Stopping takes effect at once, also for running queries,
// and needs no signature, since it opens nothing. Ending a stop needs no signature if one custodian is enough to open a
// study. If more must sign, they also sign the end (TakeRelease), and the error here wraps study.ErrRecord. Other
// errors are the ledger's. Even after an error, a stop holds until the node ends.
func (n *Node) SetHold(ctx context.Context, h Hold) error {
	err := n.service.suspension.set(ctx, n.service.ledger, h, n.service.now())
	n.log.Warn("the custodian's stop", "on", h.On, "by", h.By, "recorded", err == nil)
	return err
}

// DraftRelease makes the text that a custodian signs to end a stop. Errors wrap study.ErrRecord.
func (n *Node) DraftRelease(by, reason string) (*Release, error) {
	h := n.service.suspension.state()
	if !h.On {
		return nil, fmt.Errorf("%w: the hospital is not stopped", study.ErrRecord)
	}
	return &Release{Federation: n.config.Federation, Hospital: n.config.Name, Since: h.Since, By: by,
		Time: n.service.now().UTC().Truncate(time.Second), Reason: strings.TrimSpace(reason)}, nil
}

// TakeRelease accepts a custodian's signature for the end of a stop. The last signature that is needed ends it. Errors
// wrap study.ErrRecord or are the ledger's.
func (n *Node) TakeRelease(ctx context.Context, r *Release) error {
	err := n.service.suspension.release(ctx, n.service.ledger, r)
	n.log.Warn("a signature under the end of the custodian's stop", "by", r.By, "taken", err == nil)
	return err
}

// Decision is what a custodian wants to decide about a study.
type Decision struct {
	Act    study.Act `json:"act"` // approve, narrow, suspend, resume, end
	Study  string    `json:"study"`
	By     string    `json:"by"` // one of Standing.Custodians
	Reason string    `json:"reason"`
	// Join adds a signature to the pending act, unchanged (StudyStanding.Pending).
	Join bool `json:"join"`
	// Narrowing restricts the proposal if the act approves it, or the terms in force if the act narrows them.
	study.Narrowing
}

// Draft makes the record of a decision, for the custodian to sign. Errors wrap study.ErrRecord.
func (n *Node) Draft(d Decision) (*study.Record, error) {
	refused := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", study.ErrRecord, fmt.Errorf(format, args...))
	}
	s, ok := n.service.studies.Study(d.Study)
	if !ok {
		return nil, refused("there is no study %q here", d.Study)
	}
	if !slices.Contains(n.config.present(n.config.Custodians), d.By) {
		return nil, refused("%q is no custodian here", d.By)
	}
	r := &study.Record{
		Act: d.Act, Study: d.Study, Federation: n.config.Federation, Hospital: n.config.Name, Number: s.Acts + 1,
		By: d.By, Time: n.service.now(), Reason: strings.TrimSpace(d.Reason),
	}
	if d.Join && (s.Pending == nil || s.Pending.Act != d.Act) {
		return nil, refused("nothing of study %s waits for a signature to %s it", d.Study, d.Act)
	}
	if d.Act == study.Approve {
		if s.Proposal == nil {
			return nil, refused("no proposal of study %s has come", d.Study)
		}
		r.Proposal = s.Proposal.Digest()
	}
	of, err := d.of(&s)
	switch {
	case err != nil:
		return nil, refused("%w", err)
	case of == nil:
		return r, nil
	case d.Join:
		r.Document = s.Pending.Document
		return r, nil
	case d.Act == study.Resume:
		r.Document = of
		return r, nil
	}
	document := d.Apply(*of)
	document.Sealed = document.Sealed || s.Approved != nil && s.Approved.Sealed
	if err := document.Narrows(of); err != nil {
		return nil, refused("%w", err)
	}
	r.Document = &document
	return r, nil
}

// of returns the document that a decision is about; nil if it needs none.
func (d *Decision) of(s *study.Study) (*study.Document, error) {
	switch d.Act {
	case study.Approve:
		return s.Proposal, nil
	case study.Resume, study.Narrow:
		if s.Approved == nil {
			return nil, fmt.Errorf("nothing of study %s was approved here", d.Study)
		}
		return s.Approved, nil
	}
	return nil, nil
}

// Take stores a signed record. Errors wrap study.ErrRecord or are the ledger's.
func (n *Node) Take(ctx context.Context, r *study.Record) error {
	if r.Act == study.Propose {
		return fmt.Errorf("%w: proposals come from the operator", study.ErrRecord)
	}
	return n.service.studies.Take(ctx, r)
}
