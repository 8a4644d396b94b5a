package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"google.golang.org/grpc/metadata"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
)

const actionExecute = "execute" // DoGet and DoExchange, as an action

// line is the stream on which an answer leaves.
type line interface {
	Send(*flight.FlightData) error
	SetTrailer(metadata.MD)
}

// DoGet executes a reservation, once, and sends its partial aggregates.
func (s *service) DoGet(t *flight.Ticket, stream flight.FlightService_DoGetServer) error {
	return s.serve(stream.Context(), string(t.GetTicket()), stream, nil)
}

// DoExchange executes a reservation, once, in a conversation. If groups are not declared, it sends its own and receives
// all. If numbers are masked, it says that it is done and learns who else is. Then it sends the covered vector.
func (s *service) DoExchange(stream flight.FlightService_DoExchangeServer) error {
	first, err := stream.Recv()
	if err != nil {
		return refuse(CodeCanceled, err).GRPCStatus().Err()
	}
	return s.serve(stream.Context(), string(first.GetAppMetadata()), stream, conversation{stream})
}

// serve executes a reservation. with is the conversation while it runs, or nil.
func (s *service) serve(ctx context.Context, reserved string, stream line, with talks) error {
	traced, span := s.begin(ctx, actionExecute)
	defer span.End()
	timed, cancel := context.WithTimeout(traced, s.limits.QueryTimeout)
	defer cancel()
	ctx, done := s.suspension.during(timed)
	defer done()
	id, err := s.caller(ctx)
	if err != nil {
		return s.failed(ctx, actionExecute, id, nil, err)
	}
	r, ok := s.reservations.take(reserved, id)
	if !ok {
		return s.failed(ctx, actionExecute, id, nil, refuse(CodeTicket, nil))
	}
	defer s.rates.Leave(r.request.Researcher)
	ctx, ended := s.reservations.run(ctx, reserved, id)
	defer ended()
	if !r.expires.After(s.now()) || (with != nil) != r.talked() {
		s.giveBack(ctx, reserved)
		return s.failed(ctx, actionExecute, id, r.request, refuse(CodeTicket, nil))
	}
	if err := s.execute(ctx, id, reserved, r, stream, with); err != nil {
		return s.failed(ctx, actionExecute, id, r.request, err)
	}
	s.outcome(ctx, actionExecute, r.request, codeOK)
	return nil
}

// execute waits until it may fail and for a turn, charges, and only then runs.
func (s *service) execute(ctx context.Context, id pki.Identity, reserved string, r reservation, stream line, with talks) error {
	came := s.now()
	ticks := grid.Ticks{Grid: grid.Default, Started: time.Now(), Timeout: s.limits.QueryTimeout}
	s.metrics.waiting.Inc()
	approval, rest, err := s.acquireSlot(ctx, r.request.Study)
	s.metrics.waiting.Dec()
	if err != nil {
		s.giveBack(ctx, reserved)
		return err
	}
	defer s.studies.End(r.request.Study)
	defer rest()
	s.metrics.waited.Observe(s.now().Sub(came).Seconds())
	if err := s.recheck(ctx, r); err != nil {
		s.giveBack(ctx, reserved)
		return err
	}
	detail, err := json.Marshal(struct {
		SQL         string `json:"sql"`
		DataVersion string `json:"data_version"`
		study.Charged
	}{r.sql, r.version, study.Charged{Approval: approval}})
	if err != nil {
		return refuse(CodeRequest, err)
	}
	switch err := s.ledger.Charge(ctx, reserved, detail, s.custody.coordinators(ctx)...); {
	case errors.Is(err, ledger.ErrReservationExpired), errors.Is(err, ledger.ErrAlreadyCharged), errors.Is(err, ledger.ErrUnknownReservation):
		return refuse(CodeTicket, err)
	case err != nil:
		return refuse(CodeLedger, err)
	}
	// From here on, whatever happens is recorded as an answer or as a failure.
	out := newCountingWriter(stream, r, s.alloc)
	own, err := s.ledger.Checkpoint(ctx, s.custody.key)
	if err != nil {
		err = refuse(CodeLedger, err)
	} else {
		stream.SetTrailer(checkpointTrailer(own))
		switch {
		case r.request.Cover == nil:
			err = s.stream(ctx, r, out)
		case with == nil:
			err = s.cover(ctx, r, out, ticks)
		default:
			err = s.talk(ctx, r, out, ticks, with, rest)
		}
	}
	if out.covered && err != nil {
		err = late(ctx, ticks, err)
	}
	s.verifyAtTick(ctx, out, ticks)
	s.metrics.computed.Observe(out.took.Seconds())
	if !out.covered {
		s.metrics.groups.Add(float64(out.rows))
	}
	x := study.Execution{Approval: approval, Study: r.request.Study, Researcher: r.request.Researcher, Query: r.request.Query, Reservation: reserved}
	if err := s.conclude(ctx, id, x, r, out, err); err != nil {
		return err
	}
	s.log.Info("answered", slog.String("query", r.request.Query), slog.String("study", r.request.Study), slog.String("researcher", r.request.Researcher))
	return nil
}

// acquireSlot waits until the study's allowance has room for a failure, and then for its turn to run. The caller must
// end both.
func (s *service) acquireSlot(ctx context.Context, id string) (approval int, rest func(), err error) {
	if approval, err = s.studies.Begin(ctx, id, s.limits.FailuresAllowed); errors.Is(err, study.ErrFailures) {
		return 0, nil, refuse(CodeFailures, err)
	}
	if err != nil {
		return 0, nil, refuse(stopped(ctx), errors.New("while it waited for its turn"))
	}
	if rest, err = s.slots.take(ctx); err != nil {
		s.studies.End(id)
	}
	return approval, rest, err
}

// slots holds one element for each query that runs.
type slots chan struct{}

// take waits for a turn. rest gives it back, once.
func (t slots) take(ctx context.Context) (rest func(), err error) {
	select {
	case t <- struct{}{}:
		return sync.OnceFunc(func() { <-t }), nil
	case <-ctx.Done():
		return nil, refuse(stopped(ctx), errors.New("while it waited for its turn"))
	}
}

// recheck refuses a prepared query that may no longer run: its study may have been closed, or its terms may have
// changed.
func (s *service) recheck(ctx context.Context, r reservation) error {
	version, err := s.version(ctx)
	if err != nil {
		return err
	}
	if version != r.version {
		return refuse(CodeStale, nil)
	}
	if err := s.suspension.released(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return refuse(stopped(ctx), errors.New("before it began"))
	}
	holds, err := s.open(r.request.Study, s.now())
	if err == nil && holds.Digest() != r.study.Digest() {
		err = refuse(CodeStudy, errors.New("the study's terms have changed since it was prepared"))
	}
	return err
}

// checkUnchanged refuses if the data changed during the computation. What left may then come from data that was never
// compared with the catalog, which the proofs use. A coordinator releases nothing from a hospital that ends with an
// error.
func (s *service) checkUnchanged(ctx context.Context, version string, out *countingWriter) error {
	now, err := s.version(ctx)
	if err == nil && now != version {
		out.then = s.requestVerification
		err = refuse(CodeData, errors.New("the data changed while it was computed"))
	}
	return err
}

// requestVerification asks Serve to compare the data with the catalog.
func (s *service) requestVerification() {
	select {
	case s.unverified <- struct{}{}:
	default: // it was asked already
	}
}

// requireVerification asks Serve to compare the data with the catalog although its version is the same. The version may
// be a label that nobody changed. Until then nothing is prepared.
func (s *service) requireVerification() {
	old := s.verified.Load()
	// if this fails, somebody else has just verified or distrusted
	s.verified.CompareAndSwap(old, &verified{wrong: old.wrong})
	s.requestVerification()
}

// verifyAtTick requests a new verification of the data if an execution found it necessary. Others notice at once,
// because their requests are refused. So for covered answers it is done at a tick, even if nobody waits for the answer
// any more.
func (s *service) verifyAtTick(ctx context.Context, out *countingWriter, ticks grid.Ticks) {
	if out.then == nil {
		return
	}
	if out.covered && ctx.Err() != nil { // otherwise it is a tick already
		if err := tick(context.WithoutCancel(ctx), ticks); err != nil {
			s.log.Error("no tick came", slog.Any("error", err)) // does not happen
		}
	}
	out.then()
}

// stream sends what the engine computes, as it comes.
func (s *service) stream(ctx context.Context, r reservation, out *countingWriter) error {
	err := s.run(ctx, r, out, out.send)
	if err == nil {
		err = out.close()
	}
	if err == nil {
		err = s.checkUnchanged(ctx, r.version, out)
	}
	return err
}

// run lets the engine compute, and records in out how long it took. Of its errors and panics only the class is kept.
func (s *service) run(ctx context.Context, r reservation, out *countingWriter, take func(arrow.Record) error) (err error) {
	started := s.now()
	defer func() { out.took = s.now().Sub(started) }()
	defer func() {
		if p := recover(); p != nil {
			err = refuse(CodeEngine, fmt.Errorf("a panic of type %T", p))
		}
	}()
	if err := s.engine.Run(ctx, &r.request.Fragment, r.proof, s.alloc, take); err != nil {
		if errors.Is(err, fragment.ErrTooMany) {
			return refuse(CodeTooLarge, err)
		}
		var contradiction interface{ Contradiction() bool }
		if errors.As(err, &contradiction) && contradiction.Contradiction() {
			out.then = s.requireVerification
			return refuse(CodeData, errors.New(class(err)))
		}
		return refuse(CodeEngine, errors.New(class(err)))
	}
	return nil
}
