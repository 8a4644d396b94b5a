package study

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/intramuros/intramuros/internal/ledger"
)

// ErrFailures says that a study is suspended at a hospital because too many of its queries failed there.
var ErrFailures = errors.New("so many of the study's queries failed here that it is suspended until its custodian resumes it")

// Failure is the detail of a ledger entry about a query that failed after its charge.
type Failure struct {
	Approval int    `json:"approval"` // the number of the approval under which it was charged
	Code     string `json:"code"`     // the error code that was sent
	Count    int    `json:"count"`    // number of the study's failures since that approval, with this one; 0: another approval is in effect
	Allowed  int    `json:"allowed"`
	Suspends bool   `json:"suspends"` // the study is suspended from now until it is approved again
	Rows     int64  `json:"rows"`     // groups that were already sent
	Bytes    int64  `json:"bytes"`
}

// Charged is the part of a charge's detail that concerns the study.
type Charged struct {
	Approval int `json:"approval"` // the number of the approval in effect; 0: an earlier version's charge, whose end is not recorded
}

// Execution is a running query, which may still fail.
type Execution struct {
	Approval    int // the number of the approval under which it runs
	Study       string
	Researcher  string
	Query       string // id
	Reservation string
}

// Begin lets a query run if it may fail. For one study, no more queries run at the same time than may fail before the
// study is suspended. Others wait, and are refused with ErrFailures if it is suspended. So between two approvals there
// are never more failures than allowed, which is at least 1. Each Begin without an error must be followed by one End.
func (r *Registry) Begin(ctx context.Context, id string, allowed int) (approval int, err error) {
	for {
		r.mu.Lock()
		s := r.studies[id]
		switch {
		case s == nil || s.Failed || s.Failures >= allowed:
			r.mu.Unlock()
			return 0, ErrFailures
		case s.Failures+r.running[id] < allowed:
			r.running[id]++
			r.mu.Unlock()
			return s.Approval, nil
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// End says that a query of the study no longer runs.
func (r *Registry) End(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running[id]--; r.running[id] == 0 {
		delete(r.running, id)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// Fail counts an execution that failed after its charge. It must be called before anybody is told. The failure is in
// the ledger when Fail returns nil. It counts even if the ledger cannot record it, and also after a restart, because
// then its charge has no end. what is a plain sentence about what happened, without the full stop; f has Code, Rows and
// Bytes.
func (r *Registry) Fail(ctx context.Context, x Execution, f Failure, what string, allowed int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Study{ID: x.Study}
	if have := r.studies[x.Study]; have != nil {
		s = *have
	}
	f.Approval, f.Allowed = x.Approval, allowed
	text := what + ". It counts no longer, since the study was opened again after it had begun"
	if s.Approval == x.Approval {
		f.Count = s.Failures + 1
		f.Suspends = f.Count >= allowed
		text = fmt.Sprintf("%s. It is failure %d of the %d that the study %s may have here", what, f.Count, allowed, x.Study)
	}
	if f.Suspends {
		text += ": the study is suspended here until the custodian resumes it"
	}
	s.fail(f)
	r.studies[x.Study] = &s
	detail, err := json.Marshal(f)
	if err != nil {
		return err
	}
	r.log.Warn("a query failed after it was charged", slog.String("study", x.Study), slog.String("query", x.Query), slog.String("code", f.Code),
		slog.Int("failures", f.Count), slog.Int("allowed", allowed), slog.Bool("suspended", f.Suspends))
	return r.ledger.Record(context.WithoutCancel(ctx), ledger.Entry{
		Kind: ledger.KindFailure, Study: x.Study, Researcher: x.Researcher, Query: x.Query, Reservation: x.Reservation, Text: text + ".", Detail: detail,
	})
}

// fail counts a failure.
func (s *Study) fail(f Failure) {
	if s.Approval != f.Approval {
		return // it was approved again in the meantime
	}
	s.Failures++
	if f.Suspends {
		s.Failed = true
		if s.Status != Ended {
			s.Status = Suspended
		}
	}
}

// Settle counts the charges that have no end in the ledger: the daemon stopped while they ran. It is called once,
// before anything runs.
func (r *Registry) Settle(ctx context.Context, code string, allowed int) error {
	all := slices.SortedFunc(maps.Values(r.unended), func(a, b unended) int { return int(a.sequence - b.sequence) })
	for _, u := range all {
		if err := r.Fail(ctx, u.Execution, Failure{Code: code}, fmt.Sprintf("The query of entry %d was charged, and the node stopped while it ran", u.sequence), allowed); err != nil {
			return err
		}
	}
	r.unended = nil
	return nil
}

// unended is a charge without an entry about its end.
type unended struct {
	Execution
	sequence int64
}

// follow reads what an entry says about the end of a query.
func (r *Registry) follow(e ledger.Entry) {
	switch e.Kind {
	case ledger.KindCharge:
		var c Charged
		if err := json.Unmarshal(e.Detail, &c); err == nil && c.Approval > 0 {
			r.unended[e.Reservation] = unended{Execution{c.Approval, e.Study, e.Researcher, e.Query, e.Reservation}, e.Sequence}
		}
	case ledger.KindAnswer:
		delete(r.unended, e.Reservation)
	case ledger.KindFailure:
		delete(r.unended, e.Reservation)
		var f Failure
		if s := r.studies[e.Study]; s != nil && json.Unmarshal(e.Detail, &f) == nil {
			s.fail(f)
		}
	}
}
