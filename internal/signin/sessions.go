package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"sync"
	"time"
)

const (
	sessionTime = 12 * time.Hour   // how long a person stays signed in
	renewBefore = 30 * time.Second // how long before its end a token is renewed
	maxSessions = 10_000           // in all; beyond it, the session that ends first is ended
	maxOwn      = 20               // of one person; beyond it, the session that ends first is ended
)

// sessions are the signed-in browsers, by the hash of their cookie.
type sessions struct {
	now func() time.Time

	mu   sync.Mutex
	held map[[sha256.Size]byte]*session
}

// session is the session of one browser.
type session struct {
	provider *provider
	ends     time.Time
	person   string

	mu    sync.Mutex // one renewal at a time, because a refresh token may be valid only once
	grant grant
}

// secret is 256 random bits in a form that a cookie can hold.
func secret() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// begin returns the cookie of a new session.
func (s *sessions) begin(p *provider, g grant) string {
	cookie := secret()
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	own := 0
	var first, firstOwn [sha256.Size]byte
	for key, other := range s.held {
		if now.After(other.ends) {
			delete(s.held, key)
			continue
		}
		if s.held[first] == nil || other.ends.Before(s.held[first].ends) {
			first = key
		}
		if other.person == g.person.Name {
			own++
			if s.held[firstOwn] == nil || other.ends.Before(s.held[firstOwn].ends) {
				firstOwn = key
			}
		}
	}
	if own >= maxOwn {
		delete(s.held, firstOwn)
	}
	if len(s.held) >= maxSessions {
		delete(s.held, first)
	}
	s.held[sha256.Sum256([]byte(cookie))] = &session{provider: p, person: g.person.Name, ends: now.Add(sessionTime), grant: g}
	return cookie
}

// end forgets a session and its tokens.
func (s *sessions) end(cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, sha256.Sum256([]byte(cookie)))
}

// find returns the session of a cookie, or nil.
func (s *sessions) find(cookie string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := sha256.Sum256([]byte(cookie))
	found := s.held[key]
	if found != nil && s.now().After(found.ends) {
		delete(s.held, key)
		return nil
	}
	return found
}

// token returns the token that a cookie stands for. It renews the token shortly before its end, if the provider allows
// that. Errors wrap errToken, and then the session is over, or errUnavailable.
func (s *sessions) token(ctx context.Context, cookie string) (string, error) {
	found := s.find(cookie)
	if found == nil {
		return "", errToken
	}
	found.mu.Lock()
	defer found.mu.Unlock()
	now := s.now()
	if now.Add(renewBefore).Before(found.grant.person.Expires) {
		return found.grant.token, nil
	}
	over := !now.Before(found.grant.person.Expires)
	if found.grant.refresh == "" {
		if over {
			s.end(cookie)
			return "", errToken
		}
		return found.grant.token, nil
	}
	next, err := found.provider.renew(ctx, found.grant)
	switch {
	case err == nil:
		found.grant = next
		return next.token, nil
	case errors.Is(err, errToken):
		s.end(cookie)
		return "", err
	case over:
		return "", err
	}
	return found.grant.token, nil // the old token is still valid for at most half a minute
}
