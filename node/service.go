package node

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/arrow/util"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/rate"
	"github.com/intramuros/intramuros/internal/study"
)

// The actions; internal/fragment defines the bodies of prepare, explain and lookup.
const (
	actionPrepare  = "prepare"
	actionExplain  = "explain"
	actionAbandon  = "abandon"
	actionEnd      = "end"
	actionDescribe = "describe"
	actionPing     = "ping"
	actionLookup   = "lookup"
)

// Description is a node's answer to describe. All of it is public in the
// federation.
type Description struct {
	Name        string                  `json:"name"`
	Engine      string                  `json:"engine"`
	Catalog     string                  `json:"catalog"` // digest
	DataVersion string                  `json:"data_version"`
	Wire        []int                   `json:"w"`       // the lowest and the highest version of requests that it reads
	Budget      dp.Remaining            `json:"budget"`  // left over all studies
	Studies     map[string]StudyBalance `json:"studies"` // those that are open
}

// StudyBalance is what a study may still spend at one node, which no longer
// counts what is reserved.
type StudyBalance struct {
	Budget    dp.Budget    `json:"budget"`
	Remaining dp.Remaining `json:"remaining"`
	Expires   time.Time    `json:"expires"`
}

// service answers coordinators.
type service struct {
	flight.BaseFlightServer
	policy
	kind         string                          // the engine's
	trusted      func(tls.ConnectionState) error // looks again at who a peer is
	custody      custody
	rates        *rate.Limiter // of researchers' queries
	explained    *rate.Limiter // of what they have explained
	looked       *rate.Limiter // of what they look up in public tables
	lookups      refusals      // bounds what lookups add to the ledger
	public       Reader        // nil: no rows of public tables leave
	refusals     refusals
	data         Data
	verified     atomic.Pointer[verified]
	unverified   chan struct{} // asks Serve to verify
	ledger       *ledger.Ledger
	suspension   *suspension
	reservations reservations
	turns        turns
	metrics      *metrics
	tracer       trace.Tracer
	log          *slog.Logger
	now          func() time.Time
	alloc        memory.Allocator
}

// caller gives the peer's identity, which TLS has verified. Each call looks again, so
// that a connection does not outlive its certificate or its revocation.
func (s *service) caller(ctx context.Context) (pki.Identity, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return pki.Identity{}, refuse(CodePeer, errors.New("no peer"))
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return pki.Identity{}, refuse(CodePeer, errors.New("no TLS"))
	}
	id, err := pki.PeerIdentity(info.State)
	if err != nil {
		return id, refuse(CodePeer, err)
	}
	if id.Role != pki.RoleCoordinator {
		return id, refuse(CodePeer, fmt.Errorf("the peer is a %s", id.Role))
	}
	if err := s.trusted(info.State); err != nil {
		return id, refuse(CodePeer, err)
	}
	return id, nil
}

// DoAction runs prepare, explain, lookup, abandon, end, describe, ping or exchange.
func (s *service) DoAction(a *flight.Action, stream flight.FlightService_DoActionServer) error {
	ctx, span := s.begin(stream.Context(), a.Type)
	defer span.End()
	id, err := s.caller(ctx)
	if err != nil {
		return s.failed(ctx, a.Type, id, nil, err)
	}
	var answer any
	var request *fragment.Request
	switch a.Type {
	case actionPrepare:
		if request, err = decode(a.Body); err == nil {
			answer, err = s.prepare(ctx, id, request, len(a.Body))
		}
	case actionExplain:
		if request, err = decode(a.Body); err == nil {
			answer, err = s.explain(ctx, request)
		}
	case actionLookup:
		var l *fragment.Lookup
		if l, request, err = decodeLookup(a.Body); err == nil {
			answer, err = s.lookup(ctx, id, l, request)
		}
	case actionAbandon:
		err = s.abandon(ctx, id, string(a.Body))
	case actionEnd:
		err = s.end(id, string(a.Body))
	case actionDescribe:
		answer, err = s.describe(ctx)
	case actionPing: // who asks is known, and that this node answers is all it says
	case study.ActionCharges:
		answer, err = s.charges(ctx, a.Body)
	case study.ActionExchange:
		answer, err = s.exchange(ctx, a.Body)
	default:
		err = refuse(CodeRequest, errors.New("no such action"))
	}
	if err != nil {
		return s.failed(ctx, a.Type, id, request, err)
	}
	if answer == nil {
		s.outcome(ctx, a.Type, request, codeOK)
		return nil
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return s.failed(ctx, a.Type, id, request, err)
	}
	s.outcome(ctx, a.Type, request, codeOK)
	return stream.Send(&flight.Result{Body: body})
}

// failed logs an error, records it as a refusal where it is one of a query, and
// gives what crosses to the coordinator.
func (s *service) failed(ctx context.Context, what string, id pki.Identity, r *fragment.Request, err error) error {
	refused := s.told(ctx, err)
	s.outcome(ctx, what, r, string(refused.Code))
	attrs := []any{slog.String("action", what), slog.String("code", string(refused.Code)), slog.String("peer", id.String())}
	if r != nil {
		attrs = append(attrs, slog.String("query", r.Query), slog.String("study", r.Study), slog.String("researcher", r.Researcher))
	}
	if refused.cause != nil {
		attrs = append(attrs, slog.String("cause", refused.cause.Error()))
	}
	level := slog.LevelWarn
	if (what == actionAbandon || what == actionEnd) && refused.Code == CodeTicket {
		level = slog.LevelDebug // a coordinator gives back whatever it cannot know to be used, and ends what may have ended
	}
	s.log.Log(ctx, level, "refused", attrs...)
	if what != actionPrepare && what != actionExecute || refused.recorded {
		return refused.GRPCStatus().Err()
	}
	e := ledger.Entry{Kind: ledger.KindRefuse, Text: fmt.Sprintf("Refused to %s for %s: this hospital %s (%s).", what, id, answers[refused.Code].text, refused.Code)}
	who := "" // those whose token was not looked at, or not believed, share an allowance: names cost nothing
	if r != nil {
		e.Study, e.Researcher, e.Query = r.Study, r.Researcher, r.Query
		e.Text += " " + sentence(r)
		if !refused.Code.beforeToken() {
			who = r.Study + " " + r.Researcher
		}
	}
	if ok, left := s.refusals.allow(who, e.Bytes(), s.now()); ok {
		if left > 0 {
			e.Text = fmt.Sprintf("%d refusals before this one are not recorded: there were too many. %s", left, e.Text)
		}
		s.record(ctx, e)
	}
	return refused.GRPCStatus().Err()
}

// record adds to the ledger what does not change what is spent. It outlasts the
// caller.
func (s *service) record(ctx context.Context, e ledger.Entry) {
	if err := s.ledger.Record(context.WithoutCancel(ctx), e); err != nil {
		s.log.Error("the ledger did not take an entry", slog.String("kind", string(e.Kind)), slog.Any("error", err))
	}
}

// stopped tells why a context has ended, "" if it has not.
func stopped(ctx context.Context) Code {
	switch err := ctx.Err(); {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return CodeTimeout
	default:
		return CodeCanceled
	}
}

// class is all that may be logged of an error that may quote data.
func class(err error) string {
	var named interface{ Class() string } // an engine's error that knows a safe name for what happened
	if errors.As(err, &named) {
		return named.Class()
	}
	for {
		switch e := err.(type) { //nolint:errorlint // it takes the layers off one by one
		case interface{ Unwrap() error }:
			if inner := e.Unwrap(); inner != nil {
				err = inner
				continue
			}
		case interface{ Unwrap() []error }:
			if inner := e.Unwrap(); len(inner) > 0 {
				err = inner[0]
				continue
			}
		}
		return fmt.Sprintf("an error of type %T", err)
	}
}

// prepare checks, prices and reserves a request of that many bytes.
func (s *service) prepare(ctx context.Context, id pki.Identity, r *fragment.Request, bytes int) (*fragment.Prepared, error) {
	now := s.now()
	over := s.verified.Load()
	if err := s.suspension.released(); err != nil {
		return nil, err
	}
	if err := s.custody.whole(ctx, s.ledger, known(ctx)); err != nil {
		return nil, err
	}
	// Of a researcher who may ask here at all: nobody else can use up the allowance.
	if _, err := s.permit(ctx, r, now); err != nil {
		return nil, err
	}
	s.sweep(ctx)
	if err := s.rates.Enter(r.Researcher, now); err != nil {
		return nil, refuse(CodeRate, err)
	}
	kept := false
	defer func() {
		if !kept {
			s.rates.Leave(r.Researcher)
		}
	}()
	a, err := s.admit(ctx, r, over, now)
	if err != nil {
		return nil, err
	}
	if !s.reservations.promise(bytes) {
		return nil, refuse(CodeBusy, errors.New("too many reservations are held"))
	}
	defer func() {
		if !kept {
			s.reservations.withdraw(bytes)
		}
	}()
	version, err := s.version(ctx)
	if err != nil {
		return nil, err
	}
	if version != over.version {
		s.verifyAnew()
		return nil, refuse(CodeData, nil)
	}
	shown := *r
	shown.Token = "" // a secret
	detail, err := json.Marshal(struct {
		Coordinator string            `json:"coordinator"`
		Request     *fragment.Request `json:"request"`
	}{id.String(), &shown})
	if err != nil {
		return nil, refuse(CodeRequest, err)
	}
	// The ledger holds the loss for longer than we hold the fragment, so that a
	// query that waits for its turn does not lapse. It writes nothing before the charge.
	reserved, err := s.ledger.Reserve(ctx, ledger.Reservation{
		Study: r.Study, Researcher: r.Researcher, Query: r.Query, Loss: a.loss, Caps: a.caps,
		Text: sentence(r), Detail: detail, Expires: now.Add(s.limits.Reservation + s.limits.QueryTimeout),
	})
	switch {
	case errors.Is(err, dp.ErrBudgetExhausted):
		return nil, refuse(CodeBudget, err)
	case errors.Is(err, dp.ErrLossOverflow), errors.Is(err, dp.ErrBudget):
		return nil, refuse(CodeFragment, err)
	case err != nil:
		return nil, refuse(CodeLedger, err)
	}
	kept = true
	s.reservations.put(reserved, reservation{
		admitted: a, peer: id, version: version, expires: now.Add(s.limits.Reservation), bytes: bytes,
	})
	s.log.Info("prepared", slog.String("query", r.Query), slog.String("study", r.Study), slog.String("researcher", r.Researcher))
	return &fragment.Prepared{Reservation: reserved, DataVersion: version, Loss: a.loss, Caveats: a.caveats}, nil
}

func (s *service) version(ctx context.Context) (string, error) {
	v, err := s.data.DataVersion(ctx)
	if err != nil {
		return "", refuse(CodeEngine, errors.New(class(err)))
	}
	return v, nil
}

// sweep gives back what ran out.
func (s *service) sweep(ctx context.Context) {
	for id, r := range s.reservations.expired(s.now()) {
		s.rates.Leave(r.request.Researcher)
		s.giveBack(ctx, id)
	}
}

func (s *service) giveBack(ctx context.Context, id string) {
	err := s.ledger.Abandon(context.WithoutCancel(ctx), id)
	if err != nil && !errors.Is(err, ledger.ErrUnknownReservation) {
		s.log.Error("a reservation was not given back; it will lapse", slog.Any("error", err))
	}
}

func (s *service) explain(ctx context.Context, r *fragment.Request) (*fragment.Explained, error) {
	if err := s.suspension.released(); err != nil {
		return nil, err
	}
	now := s.now()
	if _, err := s.permit(ctx, r, now); err != nil {
		return nil, err
	}
	if err := s.explained.Enter(r.Researcher, now); err != nil {
		return nil, refuse(CodeRate, err)
	}
	defer s.explained.Leave(r.Researcher)
	c, err := s.check(ctx, r, s.verified.Load(), now)
	if err != nil {
		return nil, err
	}
	version, err := s.version(ctx)
	if err != nil {
		return nil, err
	}
	explained := &fragment.Explained{Engine: s.kind, DataVersion: version, SQL: c.sql, Caveats: c.caveats}
	if r.Cover != nil && r.Cover.Masked() {
		explained.Key = pki.Fingerprint(s.custody.key.Public().(ed25519.PublicKey))
	}
	return explained, nil
}

func (s *service) abandon(ctx context.Context, id pki.Identity, reserved string) error {
	r, ok := s.reservations.take(reserved, id)
	if !ok {
		return refuse(CodeTicket, nil)
	}
	s.rates.Leave(r.request.Researcher)
	s.giveBack(ctx, reserved)
	return nil
}

func (s *service) describe(ctx context.Context) (*Description, error) {
	version, err := s.version(ctx)
	if err != nil {
		return nil, err
	}
	d := &Description{Name: s.name, Engine: s.kind, Catalog: s.digest, DataVersion: version, Wire: speaks.Numbers(), Studies: map[string]StudyBalance{}}
	if d.Budget, err = s.left(ctx, scopeNode, s.budget); err != nil {
		return nil, err
	}
	for _, open := range s.studies.All() {
		if !open.Open(s.now()) {
			continue
		}
		left, err := s.left(ctx, scopeStudy(open.ID), open.Approved.Budget)
		if err != nil {
			return nil, err
		}
		d.Studies[open.ID] = StudyBalance{Budget: open.Approved.Budget, Remaining: left, Expires: open.Approved.Expires}
	}
	return d, nil
}

func (s *service) left(ctx context.Context, scope string, b dp.Budget) (dp.Remaining, error) {
	charged, reserved, err := s.ledger.Spent(ctx, scope)
	if err != nil {
		return dp.Remaining{}, refuse(CodeLedger, err)
	}
	spent, err := charged.Plus(reserved)
	if err != nil {
		return dp.Remaining{}, refuse(CodeLedger, err)
	}
	return b.Remaining(spent), nil
}

const actionExecute = "execute" // what DoGet and DoExchange do

// line is how an answer leaves.
type line interface {
	Send(*flight.FlightData) error
	SetTrailer(metadata.MD)
}

// DoGet executes a reservation, once, and sends its partial aggregates.
func (s *service) DoGet(t *flight.Ticket, stream flight.FlightService_DoGetServer) error {
	return s.serve(stream.Context(), string(t.GetTicket()), stream, nil)
}

// DoExchange executes a reservation, once, names groups where they are not declared, tells that it is done where numbers are
// masked, and sends what it covers for what it is then told of.
func (s *service) DoExchange(stream flight.FlightService_DoExchangeServer) error {
	first, err := stream.Recv()
	if err != nil {
		return refuse(CodeCanceled, err).GRPCStatus().Err()
	}
	return s.serve(stream.Context(), string(first.GetAppMetadata()), stream, conversation{stream})
}

// serve executes a reservation; with is who answers what it asks meanwhile, nil: nobody.
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
	approval, rest, err := s.turn(ctx, r.request.Study)
	s.metrics.waiting.Dec()
	if err != nil {
		s.giveBack(ctx, reserved)
		return err
	}
	defer s.studies.End(r.request.Study)
	defer rest()
	s.metrics.waited.Observe(s.now().Sub(came).Seconds())
	if err := s.still(ctx, r); err != nil {
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
	out := newOutlet(stream, r, s.alloc)
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
	s.ask(ctx, out, ticks)
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

// turn waits until a query of the study may fail, and then for its turn to run. Who gets one ends both.
func (s *service) turn(ctx context.Context, id string) (approval int, rest func(), err error) {
	if approval, err = s.studies.Begin(ctx, id, s.limits.FailuresAllowed); errors.Is(err, study.ErrFailures) {
		return 0, nil, refuse(CodeFailures, err)
	}
	if err != nil {
		return 0, nil, refuse(stopped(ctx), errors.New("while it waited for its turn"))
	}
	if rest, err = s.turns.take(ctx); err != nil {
		s.studies.End(id)
	}
	return approval, rest, err
}

// turns holds one for each query that runs.
type turns chan struct{}

// take waits for a turn, and tells how to give it back, once.
func (t turns) take(ctx context.Context) (rest func(), err error) {
	select {
	case t <- struct{}{}:
		return sync.OnceFunc(func() { <-t }), nil
	case <-ctx.Done():
		return nil, refuse(stopped(ctx), errors.New("while it waited for its turn"))
	}
}

// still refuses what may no longer run since it was prepared: what was open may have been closed, or hold on other terms.
func (s *service) still(ctx context.Context, r reservation) error {
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

// same refuses where the data has changed while it was computed: what left may be of data that was never compared
// with the catalog, on which the proofs rest. Of a hospital that ends with an error, a coordinator releases nothing.
func (s *service) same(ctx context.Context, version string, out *countingWriter) error {
	now, err := s.version(ctx)
	if err == nil && now != version {
		out.then = s.verifyAnew
		err = refuse(CodeData, errors.New("the data changed while it was computed"))
	}
	return err
}

// verifyAnew asks Serve to compare the data with the catalog.
func (s *service) verifyAnew() {
	select {
	case s.unverified <- struct{}{}:
	default: // asked already
	}
}

// distrust asks Serve to compare the data with the catalog though its version is the one that was, as that of a label
// that nobody changed. Until then nothing is prepared.
func (s *service) distrust() {
	old := s.verified.Load()
	s.verified.CompareAndSwap(old, &verified{wrong: old.wrong}) // else somebody has just done either
	s.verifyAnew()
}

// ask does what an execution found to be done about the data. Others see it at once, as what they prepare is refused: so where
// answers are covered it is done at a tick, also when nobody waits for the answer any more.
func (s *service) ask(ctx context.Context, out *countingWriter, ticks grid.Ticks) {
	if out.then == nil {
		return
	}
	if out.covered && ctx.Err() != nil { // else it is a tick
		if err := tick(context.WithoutCancel(ctx), ticks); err != nil {
			s.log.Error("no tick came", slog.Any("error", err)) // never
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
		err = s.same(ctx, r.version, out)
	}
	return err
}

// run lets the engine compute, and tells out how long it took. Of its errors and panics only the class is kept.
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
			out.then = s.distrust
			return refuse(CodeData, errors.New(class(err)))
		}
		return refuse(CodeEngine, errors.New(class(err)))
	}
	return nil
}

// countingWriter is the only way for data to leave, and measures it.
type countingWriter struct {
	writer      *flight.Writer
	rows, bytes int64
	covered     bool          // rows are numbers, each with this hospital's noise
	named       int           // groups that this hospital named
	members     int           // hospitals for which they are masked; 0: they are not
	exposure    float64       // by how much more than its price the query costs if the masks break
	took        time.Duration // to compute it
	then        func()        // what is to be done about the data; nil: nothing
}

func newOutlet(stream line, r reservation, alloc memory.Allocator) *countingWriter {
	schema := r.request.Fragment.Schema()
	if r.request.Cover != nil {
		schema = fragment.CoveredSchema()
	}
	return &countingWriter{writer: flight.NewRecordWriter(stream, ipc.WithSchema(schema), ipc.WithAllocator(alloc)), covered: r.request.Cover != nil}
}

// close writes the schema if nothing else was.
func (o *countingWriter) close() error {
	if err := o.writer.Close(); err != nil {
		return refuse(CodeCanceled, errors.New("the stream broke"))
	}
	return nil
}

// what is what has left, for the ledger.
func (o *countingWriter) what() string {
	if o.named > 0 {
		named := *o
		named.named = 0
		return fmt.Sprintf("the names of %d groups that this hospital's own noise let it name, and %s", o.named, named.what())
	}
	if o.members > 0 {
		return fmt.Sprintf("a vector of %d numbers, covered by this hospital's own noise and masked with those of %d others (exposure %.3g),", o.rows, o.members-1, o.exposure)
	}
	if o.covered {
		return fmt.Sprintf("a vector of %d numbers, each covered by this hospital's own noise,", o.rows)
	}
	return fmt.Sprintf("%d groups of partial aggregates", o.rows)
}

func (o *countingWriter) send(r arrow.Record) error {
	if err := o.writer.Write(r); err != nil {
		return err
	}
	o.rows += r.NumRows()
	o.bytes += util.TotalRecordSize(r)
	return nil
}

// answer is the ledger's entry on what left.
func answer(id pki.Identity, r *fragment.Request, out *countingWriter, whole bool) ledger.Entry {
	text := fmt.Sprintf("%s left for %s.", out.what(), id)
	text = strings.ToUpper(text[:1]) + text[1:]
	if !whole {
		text = fmt.Sprintf("Broke off; %s had left for %s.", out.what(), id)
	}
	// Numbers and a bool always encode.
	detail, _ := json.Marshal(struct {
		Rows    int64   `json:"rows"`
		Bytes   int64   `json:"bytes"`
		Seconds float64 `json:"seconds"`
		Whole   bool    `json:"whole"`
		Covered bool    `json:"covered,omitempty"`
		Named   int     `json:"named,omitempty"`
		// Members are the hospitals of a masked answer.
		Members  int     `json:"members,omitempty"`
		Exposure float64 `json:"exposure,omitempty"`
	}{out.rows, out.bytes, out.took.Seconds(), whole, out.covered, out.named, out.members, out.exposure})
	return ledger.Entry{Kind: ledger.KindAnswer, Study: r.Study, Researcher: r.Researcher, Query: r.Query, Text: text, Detail: detail}
}
