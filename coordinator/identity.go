package coordinator

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/internal/identity"
)

// Authenticator tells who bears a token. A Coordinator is one, for every front door.
type Authenticator interface {
	// Authenticate takes a local account's token or one that an identity provider signed. It
	// may wait for the provider's keys. Its error is an *Error of CodeUnauthorized or
	// CodeIdentityUnavailable.
	Authenticate(ctx context.Context, token string) (Researcher, error)
}

var _ Authenticator = (*Coordinator)(nil)

// Researcher is someone who showed a valid token.
type Researcher struct {
	Name  string // as studies and the ledger name them
	Roles []identity.Role

	// token is what the hospitals are shown, as the provider signed it; empty for a local
	// account, whose tokens this coordinator signs as they are needed.
	token   string
	expires time.Time // of token
}

// Has tells whether the researcher has the role.
func (r Researcher) Has(role identity.Role) bool { return slices.Contains(r.Roles, role) }

// Authenticate is Authenticator's. How long it takes for a local account does not
// depend on how much of a token is right.
func (c *Coordinator) Authenticate(ctx context.Context, token string) (Researcher, error) {
	sum := sha256.Sum256([]byte(token))
	found := ""
	for name, hash := range c.tokens {
		if subtle.ConstantTimeCompare(sum[:], hash[:]) == 1 {
			found = name
		}
	}
	if found != "" && len(token) >= MinToken {
		return Researcher{Name: found, Roles: c.config.Researchers[found].roles()}, nil
	}
	person, err := c.people.Verify(ctx, token)
	switch {
	case errors.Is(err, identity.ErrUnavailable):
		c.metrics.unknown.WithLabelValues(string(CodeIdentityUnavailable)).Inc()
		return Researcher{}, &Error{
			Code: CodeIdentityUnavailable, Message: "the identity provider that issued the token cannot be reached",
			Hint: "try again in a while", cause: err,
		}
	case err != nil:
		c.metrics.unknown.WithLabelValues(string(CodeUnauthorized)).Inc()
		return Researcher{}, &Error{
			Code: CodeUnauthorized, Message: "the bearer token is missing, unknown or no longer good",
			Hint: "send the token that the federation gave you, or log in again", cause: err,
		}
	}
	return Researcher{Name: person.Name, Roles: person.Roles, token: token, expires: person.Expires}, nil
}

// Challenge begins to ask whoever connects under a name to prove, over TLS with that certificate, to have the account's
// token; Proved tells who then asks. It is nil where the token itself must be shown: an identity provider may have
// signed it, or the account is of the kind of which only a hash is kept. So a name that nobody has is asked as one that
// has an account, but where a provider gives names without a suffix.
func (c *Coordinator) Challenge(name string, certificate *x509.Certificate) *identity.Challenge {
	if !c.book.Has(name) {
		_, hashed := c.tokens[name]
		foreign := slices.ContainsFunc(c.config.Issuers, func(i identity.Issuer) bool { return strings.HasSuffix(name, i.Suffix) })
		if hashed || foreign {
			return nil
		}
	}
	return c.book.Challenge(name, certificate)
}

// Proved gives the researcher who has met a challenge. To the hospitals the coordinator vouches for them, as for all
// local accounts. Its error is an *Error of CodeUnauthorized.
func (c *Coordinator) Proved(met *identity.Challenge) (Researcher, error) {
	if r, ok := c.config.Researchers[met.Proved()]; ok {
		return Researcher{Name: met.Proved(), Roles: r.roles()}, nil
	}
	c.metrics.unknown.WithLabelValues(string(CodeUnauthorized)).Inc()
	return Researcher{}, &Error{Code: CodeUnauthorized, Message: "the name or the token is not right", Hint: "connect with your own name as the user, and your token as the password"}
}

// assertion is a signed token by which the hospitals know who asks.
func (c *Coordinator) assertion(who Researcher) (string, error) {
	if who.token == "" {
		return c.accounts.Token(who.Name, who.Roles)
	}
	if c.now().After(who.expires) {
		return "", &Error{Code: CodeUnauthorized, Message: "the token has expired", Hint: "log in again"}
	}
	return who.token, nil
}
