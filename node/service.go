package node

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/rate"
	"github.com/intramuros/intramuros/internal/study"
)

// The actions. internal/fragment defines the bodies of prepare, explain and lookup.
const (
	actionPrepare  = "prepare"
	actionExplain  = "explain"
	actionAbandon  = "abandon"
	actionEnd      = "end"
	actionDescribe = "describe"
	actionPing     = "ping"
	actionLookup   = "lookup"
)

// service answers coordinators.
type service struct {
	flight.BaseFlightServer
	policy
	kind         string                          // the engine's name
	trusted      func(tls.ConnectionState) error // verifies a peer's certificate again
	custody      custody
	rates        *rate.Limiter // limits researchers' queries
	explained    *rate.Limiter // limits explain
	looked       *rate.Limiter // limits lookups in public tables
	lookups      refusals      // bounds what lookups add to the ledger
	public       Reader        // nil if no rows of public tables may leave
	refusals     refusals
	data         Data
	verified     atomic.Pointer[verified]
	unverified   chan struct{} // asks Serve to verify the data
	ledger       *ledger.Ledger
	suspension   *suspension
	reservations reservations
	slots        slots
	metrics      *metrics
	tracer       trace.Tracer
	log          *slog.Logger
	now          func() time.Time
	alloc        memory.Allocator
}

// caller returns the peer's identity, which TLS has verified. Each call checks again, so that a connection does not
// outlive its certificate or its revocation.
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
	case actionPing: // TLS shows who asks, and the answer shows only that the node answers
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

// failed logs an error and records it if it refuses a query. It returns what the coordinator gets.
func (s *service) failed(ctx context.Context, what string, id pki.Identity, r *fragment.Request, err error) error {
	refused := s.classify(ctx, err)
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
		level = slog.LevelDebug // coordinators often give back or end what no longer exists
	}
	s.log.Log(ctx, level, "refused", attrs...)
	if what != actionPrepare && what != actionExecute || refused.recorded {
		return refused.GRPCStatus().Err()
	}
	e := ledger.Entry{Kind: ledger.KindRefuse, Text: fmt.Sprintf("Refused to %s for %s: this hospital %s (%s).", what, id, answers[refused.Code].text, refused.Code)}
	who := "" // callers without a verified token share one allowance, because names cost nothing
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

// record adds an entry that does not change what is spent. It completes even if the caller's context ends.
func (s *service) record(ctx context.Context, e ledger.Entry) {
	if err := s.ledger.Record(context.WithoutCancel(ctx), e); err != nil {
		s.log.Error("the ledger did not take an entry", slog.String("kind", string(e.Kind)), slog.Any("error", err))
	}
}

// stopped is the code for why a context ended, or "" if it has not.
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

// class is the kind of an error that may quote data. Nothing else of the error may be logged.
func class(err error) string {
	var named interface{ Class() string } // an engine's error with a name that is safe to log
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
