package postgres

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/lobby"
	"github.com/intramuros/intramuros/internal/rate"
	"github.com/intramuros/intramuros/internal/sqltoken"
)

// Asker is the part of a coordinator that a query needs. Its errors are of type *coordinator.Error.
type Asker interface {
	Outline(ctx context.Context, who coordinator.Researcher, req coordinator.Request) (*coordinator.Outline, error)
	Forewarned(ctx context.Context, who coordinator.Researcher, req coordinator.Request, before func(*coordinator.Outline)) (*coordinator.Answer, error)
}

// Admitter authenticates a client, by a proof (Challenge, if it is not nil, then Proved) or by a token that is shown
// (Authenticate), and says whether the researcher takes part in a study. Its errors are of type *coordinator.Error.
type Admitter interface {
	Challenge(name string, certificate *x509.Certificate) *identity.Challenge
	Proved(met *identity.Challenge) (coordinator.Researcher, error)
	Authenticate(ctx context.Context, token string) (coordinator.Researcher, error)
	Budget(ctx context.Context, who coordinator.Researcher, study string) (*coordinator.Account, error)
}

// pause is how long Serve waits after an error of accepting a connection.
const pause = 100 * time.Millisecond

// Server is a front door.
type Server struct {
	asker      Asker
	admitter   Admitter
	dictionary *dictionary.Dictionary
	tls        *tls.Config
	log        *slog.Logger

	lobby    *lobby.Lobby
	holdings holdings
	failed   *rate.Limiter // attempts to sign in, by address and name

	mu      sync.Mutex
	closing bool
	conns   map[uint32]*conn // by process id, as PostgreSQL calls it
	idle    sync.WaitGroup   // of conns
	close   func()           // the listener
}

// NewServer creates the door. conf is the TLS configuration, which gives its certificate by GetCertificate. The caller
// closes the dictionary.
func NewServer(asker Asker, admitter Admitter, d *dictionary.Dictionary, conf *tls.Config, log *slog.Logger) *Server {
	conf = conf.Clone()
	conf.NextProtos = []string{"postgresql"}
	conf.SessionTicketsDisabled = true // each connection is shown the certificate, to which a proof is bound
	return &Server{
		asker: asker, admitter: admitter, dictionary: d, tls: conf, log: log, failed: rate.New(maxFailed, lobby.MaxWaiting),
		lobby: lobby.New(0), holdings: holdings{bytes: map[string]int{}}, conns: map[uint32]*conn{},
	}
}

// Serve answers clients until Shutdown. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	l = s.lobby.Listen(l)
	defer l.Close()
	s.mu.Lock()
	s.close = func() { l.Close() }
	closing := s.closing
	s.mu.Unlock()
	if closing {
		return nil
	}
	for {
		c, err := l.Accept()
		if err != nil {
			s.mu.Lock()
			closing = s.closing
			s.mu.Unlock()
			switch {
			case closing && errors.Is(err, net.ErrClosed):
				return nil
			case errors.Is(err, net.ErrClosed):
				return err
			}
			// The client disconnected, or no file descriptor is free. The door stays open, as net/http's does.
			s.log.Warn("a connection was not accepted", "cause", err)
			time.Sleep(pause)
			continue
		}
		if !s.start(c) {
			c.Close()
		}
	}
}

// start serves one client in a goroutine of its own.
func (s *Server) start(client net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	c := &conn{server: s, id: s.freeID()}
	rand.Read(c.secret[:]) // never fails
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.client, c.guest = client, lobby.Of(client)
	s.conns[c.id] = c
	s.idle.Go(func() {
		defer func() {
			s.holdings.leave(c)
			s.mu.Lock()
			delete(s.conns, c.id)
			s.mu.Unlock()
		}()
		c.serve()
	})
	return true
}

// freeID returns a random unused id for a connection.
func (s *Server) freeID() uint32 {
	for {
		var b [4]byte
		rand.Read(b[:]) // never fails
		id := binary.BigEndian.Uint32(b[:]) >> 1
		if _, taken := s.conns[id]; !taken && id != 0 {
			return id
		}
	}
}

// cancel cancels the query of the connection with that id and secret.
func (s *Server) cancel(id uint32, secret []byte) {
	s.mu.Lock()
	c := s.conns[id]
	s.mu.Unlock()
	if c != nil && subtle.ConstantTimeCompare(c.secret[:], secret) == 1 {
		c.stop()
	}
}

// stop cancels the query of the connection whose id is in the statement, if it belongs to the same person. Tools that
// cannot send a cancel request do this.
func (s *Server) stop(name string, tokens []sqltoken.Token) bool {
	for _, t := range tokens {
		text := t.Text
		if t.Kind == sqltoken.String {
			text = t.Value()
		}
		id, err := strconv.ParseUint(text, 10, 32)
		if err != nil || t.Kind != sqltoken.Number && t.Kind != sqltoken.String {
			continue
		}
		s.mu.Lock()
		c := s.conns[uint32(id)]
		s.mu.Unlock()
		return c != nil && c.stopOwned(name)
	}
	return false
}

// Shutdown accepts no more clients, closes idle connections, and waits for running queries. When ctx ends it cancels
// these, at the hospitals as well.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	if s.close != nil {
		s.close()
	}
	for _, c := range s.conns {
		c.closeWhenIdle()
	}
	s.mu.Unlock()
	drained := make(chan struct{})
	go func() {
		s.idle.Wait()
		close(drained)
	}()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for _, c := range s.conns {
		c.cancel()
		c.hangUp()
	}
	s.mu.Unlock()
	<-drained
	return nil
}
