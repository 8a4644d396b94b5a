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

// Authenticator returns the researcher of a token. A Coordinator is one, for every front door.
type Authenticator interface {
	// Authenticate accepts a local account's token, or one that an identity provider signed. It may wait for the
	// provider's keys. Its error is an *Error of CodeUnauthorized or CodeIdentityUnavailable.
	Authenticate(ctx context.Context, token string) (Researcher, error)
}

var _ Authenticator = (*Coordinator)(nil)

// Researcher is a person who has shown a valid token.
type Researcher struct {
	Name  string // the name in studies and in the ledger
	Roles []identity.Role

	// token is the token for the hospitals, as the provider signed it. It is empty for a local account: this
	// coordinator signs its tokens when they are needed.
	token   string
	expires time.Time // of the token
}

// Has reports whether the researcher has the role.
func (r Researcher) Has(role identity.Role) bool { return slices.Contains(r.Roles, role) }

// Authenticate implements Authenticator. For a local account, its time does not depend on how much of a token is right.
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

// Challenge begins a proof that a client who connects under a name, over TLS with that certificate, has the account's
// token. Then Proved returns the researcher. Challenge is nil if the client must show the token itself: because an
// identity provider may have signed it, or because only a hash of the account's token is stored. A name without an
// account also gets a challenge, unless a provider gives out names without a suffix.
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

// Proved returns the researcher who has passed a challenge. The coordinator identifies the researcher to the hospitals,
// as for all local accounts. Its error is an *Error of CodeUnauthorized.
func (c *Coordinator) Proved(met *identity.Challenge) (Researcher, error) {
	if r, ok := c.config.Researchers[met.Proved()]; ok {
		return Researcher{Name: met.Proved(), Roles: r.roles()}, nil
	}
	c.metrics.unknown.WithLabelValues(string(CodeUnauthorized)).Inc()
	return Researcher{}, &Error{Code: CodeUnauthorized, Message: "the name or the token is not right", Hint: "connect with your own name as the user, and your token as the password"}
}

// assertion returns a signed token that tells the hospitals who asks.
func (c *Coordinator) assertion(who Researcher) (string, error) {
	if who.token == "" {
		return c.accounts.Token(who.Name, who.Roles)
	}
	if c.now().After(who.expires) {
		return "", &Error{Code: CodeUnauthorized, Message: "the token has expired", Hint: "log in again"}
	}
	return who.token, nil
}
