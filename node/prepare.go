package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
)

// prepare checks, prices and reserves a request of that many bytes.
func (s *service) prepare(ctx context.Context, id pki.Identity, r *fragment.Request, bytes int) (*fragment.Prepared, error) {
	now := s.now()
	over := s.verified.Load()
	if err := s.suspension.released(); err != nil {
		return nil, err
	}
	if err := s.custody.checkComplete(ctx, s.ledger, known(ctx)); err != nil {
		return nil, err
	}
	// The researcher must be allowed to ask here, so that nobody else can use up their rate.
	document, err := s.permit(ctx, r, now)
	if err != nil {
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
	a, err := s.admit(ctx, r, document, over)
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
	version, err := s.verifiedVersion(ctx, over)
	if err != nil {
		return nil, err
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
	// The ledger reserves the loss for longer than the node keeps the fragment, so that the reservation of a waiting query
	// does not expire. The ledger writes nothing before the charge.
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

// verifiedVersion returns the version of the data if that version was compared with the catalog. Otherwise it starts a
// new comparison and refuses the request.
func (s *service) verifiedVersion(ctx context.Context, over *verified) (string, error) {
	v, err := s.version(ctx)
	if err == nil && v != over.version {
		s.requestVerification()
		err = refuse(CodeData, nil)
	}
	return v, err
}

// sweep gives back expired reservations.
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
	document, err := s.permit(ctx, r, now)
	if err != nil {
		return nil, err
	}
	if err := s.explained.Enter(r.Researcher, now); err != nil {
		return nil, refuse(CodeRate, err)
	}
	defer s.explained.Leave(r.Researcher)
	c, err := s.check(ctx, r, document, s.verified.Load())
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
