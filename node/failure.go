package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
)

// A failure is an output. What a query does after its charge may depend on one patient: whether it runs out of memory,
// disk or time, for example. No noise covers that. So each failed execution is counted in the ledger before the
// coordinator is told. If more executions of a study fail than Limits.FailuresAllowed, it is suspended here until its
// custodian resumes it.

// codeStopped is the ledger's code for a query that ran when the node died. Nobody received it.
const codeStopped = "NODE_STOPPED"

// onTime is how long before its deadline a query that the coordinator ends counts as too slow. The coordinator keeps
// the same deadline and may look at its clock first. It also ends the wait for a late hospital up to a second before,
// if the others are enough.
const onTime = 2 * time.Second

// conclude records how a charged execution ended, before the coordinator is told: it answered, the caller ended it, or
// it failed. It returns the error to tell, or nil if it answered.
func (s *service) conclude(ctx context.Context, id pki.Identity, x study.Execution, r reservation, out *countingWriter, err error) error {
	var told *refusal
	if err != nil {
		told = s.classify(ctx, err)
		told.recorded = true
	}
	if err == nil || s.excused(ctx, told.Code) {
		e := answer(id, r.request, out, err == nil)
		e.Reservation = x.Reservation
		s.record(ctx, e)
	} else {
		what := fmt.Sprintf("The query failed after it was charged: this hospital %s (%s); %s had left for %s",
			answers[told.Code].text, told.Code, out.what(), id)
		f := study.Failure{Code: string(told.Code), Rows: out.rows, Bytes: out.bytes}
		if err := s.studies.Fail(ctx, x, f, what, s.limits.FailuresAllowed); err != nil { // it counts even if this fails
			s.log.Error("the ledger did not take a failure", slog.Any("error", err))
		}
	}
	if told == nil {
		return nil
	}
	return told
}

// classify gives an error the code under which the coordinator hears of it.
func (s *service) classify(ctx context.Context, err error) *refusal {
	var refused *refusal
	if !errors.As(err, &refused) {
		refused = refuse(CodeEngine, errors.New(class(err)))
	}
	if s.suspension.state().On && stopped(ctx) == CodeCanceled {
		return refuse(CodeSuspended, refused.cause)
	}
	if c := stopped(ctx); c != "" && (refused.Code == CodeEngine || refused.Code == CodeLedger) {
		return refuse(c, refused.cause) // it failed because it was stopped
	}
	return refused
}

// errEnded is the cause of an execution that the coordinator ends by the action end.
var errEnded = errors.New("the coordinator ended the query")

// end ends an execution of the peer's. A coordinator asks for it only if the researcher cancels or another hospital has
// failed. It does not ask for it if this hospital is late or silent, for example because a query takes all of its
// machine.
func (s *service) end(id pki.Identity, reserved string) error {
	if !s.reservations.end(reserved, id) {
		return refuse(CodeTicket, nil)
	}
	return nil
}

// excused reports whether an execution that ended early, with the code, is no failure: the custodian stopped the
// hospital, or the coordinator has said that it ends the query. The person who ends a query learns that it had not
// ended by then; the times of answers tell that as well. A call that is broken off without that word is a failure,
// whether its connection was lost, the coordinator died or it took this hospital for silent. An execution whose time is
// up is a failure, too.
func (s *service) excused(ctx context.Context, told Code) bool {
	switch told {
	case CodeSuspended:
		return true
	case CodeCanceled:
		deadline, ok := ctx.Deadline()
		return errors.Is(context.Cause(ctx), errEnded) && !(ok && s.now().Add(onTime).After(deadline))
	}
	return false
}
