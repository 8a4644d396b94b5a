package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
)

// What a custodian sees of the node and does with it; package console is the page.

// Standing is how the node stands.
type Standing struct {
	Hospital    string          `json:"hospital"`
	Federation  string          `json:"federation"`
	Engine      string          `json:"engine"`
	DataVersion string          `json:"data_version"`
	Budget      dp.Budget       `json:"budget"` // over all studies
	Remaining   dp.Remaining    `json:"remaining"`
	Hold        Hold            `json:"hold"`
	Custodians  []string        `json:"custodians"` // whose keys are configured
	Studies     []StudyStanding `json:"studies"`
	// Certificates are those whose time ends within pki.Notice, or is over.
	Certificates []pki.Term `json:"certificates"`
}

// StudyStanding is a study here, and what it may still spend.
type StudyStanding struct {
	ID       string          `json:"id"`
	Status   study.Status    `json:"status"`
	Open     bool            `json:"open"`     // queries may be asked now, but for the hold
	Waits    bool            `json:"waits"`    // the proposal, or its latest version, is not decided
	Proposal *study.Document `json:"proposal"` // the latest; null where none has come
	Holds    *study.Document `json:"holds"`    // what was approved last; null: nothing
	Last     string          `json:"last"`     // the last act, in plain words
	// Failures is how many queries failed after they were charged since the last approval, of Allowed; Failed: the
	// study is suspended for it, until it is approved again.
	Failures int  `json:"failures"`
	Allowed  int  `json:"failures_allowed"`
	Failed   bool `json:"failed"`
	// Remaining of what holds; null where nothing does.
	Remaining *dp.Remaining `json:"remaining"`
}

// Standing tells how the node stands, for its custodian.
func (n *Node) Standing(ctx context.Context) (*Standing, error) {
	s := n.service
	st := &Standing{
		Hospital: n.config.Name, Federation: n.config.Federation, Engine: s.kind, DataVersion: s.verified.Load().version,
		Budget: s.budget, Hold: s.brake.state(), Custodians: slices.Sorted(maps.Keys(n.config.Custodians)), Studies: []StudyStanding{},
		Certificates: []pki.Term{},
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
		one := StudyStanding{ID: x.ID, Status: x.Status, Open: x.Open(s.now()), Proposal: x.Proposal, Holds: x.Holds,
			Failures: x.Failures, Allowed: s.limits.FailuresAllowed, Failed: x.Failed}
		one.Waits = x.Proposal != nil && x.Status != study.Ended && (x.Holds == nil || x.Proposal.Version > x.Holds.Version)
		if x.Last != nil {
			one.Last = x.Last.Sentence()
		}
		if x.Holds != nil {
			left, err := s.left(ctx, scopeStudy(x.ID), x.Holds.Budget)
			if err != nil {
				return nil, err
			}
			one.Remaining = &left
		}
		st.Studies = append(st.Studies, one)
	}
	return st, nil
}

// Ledger is the node's, to read.
func (n *Node) Ledger() *ledger.Ledger { return n.service.ledger }

// SetHold stops the hospital, at once and with the queries that run, or lets it answer again.
// Stopping needs no signature, since it opens nothing; nor does its end, since studies then
// allow what signed approvals allow. Errors are the ledger's; after an error a stop holds
// nonetheless until the node ends.
func (n *Node) SetHold(ctx context.Context, on bool, reason string) error {
	err := n.service.brake.set(ctx, n.service.ledger, on, reason, n.service.now())
	n.log.Warn("the custodian's stop", "on", on, "recorded", err == nil)
	return err
}

// Decision is what a custodian wants to do about a study.
type Decision struct {
	Act    study.Act `json:"act"` // approve, suspend, end
	Study  string    `json:"study"`
	By     string    `json:"by"` // one of Standing.Custodians
	Reason string    `json:"reason"`
	// What an approval narrows; zero: as proposed.
	Epsilon    float64   `json:"epsilon"` // of the whole budget
	MaxEpsilon float64   `json:"max_epsilon"`
	MinEpsilon float64   `json:"min_epsilon"` // the least price of a release, raised
	Expires    time.Time `json:"expires"`
	Sealed     bool      `json:"sealed"` // this hospital covers its numbers, though the proposal does not ask for it
}

// Draft makes the record of a decision, for the custodian to sign. Errors wrap study.ErrRecord.
func (n *Node) Draft(d Decision) (*study.Record, error) {
	refused := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", study.ErrRecord, fmt.Sprintf(format, args...))
	}
	s, ok := n.service.studies.Study(d.Study)
	if !ok {
		return nil, refused("there is no study %q here", d.Study)
	}
	if _, ok := n.config.Custodians[d.By]; !ok {
		return nil, refused("%q is no custodian here", d.By)
	}
	r := &study.Record{
		Act: d.Act, Study: d.Study, Federation: n.config.Federation, Hospital: n.config.Name, Number: s.Acts + 1,
		By: d.By, Time: n.service.now(), Reason: strings.TrimSpace(d.Reason),
	}
	if d.Act == study.Approve {
		if s.Proposal == nil {
			return nil, refused("no proposal of study %s has come", d.Study)
		}
		document := *s.Proposal
		if d.Epsilon > 0 {
			document.Budget.Epsilon = d.Epsilon
		}
		if d.MaxEpsilon > 0 {
			document.MaxEpsilon = d.MaxEpsilon
			document.DefaultEpsilon = min(document.DefaultEpsilon, d.MaxEpsilon)
		}
		if d.MinEpsilon > 0 {
			document.MinEpsilon = d.MinEpsilon
			document.DefaultEpsilon = max(document.DefaultEpsilon, d.MinEpsilon)
		}
		if !d.Expires.IsZero() {
			document.Expires = d.Expires
		}
		document.Sealed = document.Sealed || d.Sealed || s.Holds != nil && s.Holds.Sealed
		if err := document.Narrows(s.Proposal); err != nil {
			return nil, refused("%v", err)
		}
		r.Document, r.Proposal = &document, s.Proposal.Digest()
	}
	return r, nil
}

// Take keeps a signed record. Errors wrap study.ErrRecord, or are the ledger's.
func (n *Node) Take(ctx context.Context, r *study.Record) error {
	if r.Act == study.Propose {
		return fmt.Errorf("%w: proposals come from the operator", study.ErrRecord)
	}
	return n.service.studies.Take(ctx, r)
}
