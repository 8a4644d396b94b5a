package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// tokenLife is how long a token of a local account is valid: for one query and its wait.
const tokenLife = 10 * time.Minute

// Local issues the tokens of local accounts, whose provider is the coordinator.
type Local struct {
	issuer, audience string
	signer           jose.Signer
	now              func() time.Time
}

// Accounts is the issuer of the local accounts of a federation's coordinator.
func Accounts(federation string) string { return "intramuros://" + federation + "/accounts" }

// NewLocal makes a provider whose tokens name this issuer and audience and are signed with the key.
func NewLocal(issuer, audience string, key ed25519.PrivateKey, now func() time.Time) (*Local, error) {
	public := jose.JSONWebKey{Key: key.Public()}
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key, KeyID: base64.RawURLEncoding.EncodeToString(sum)}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	return &Local{issuer, audience, signer, now}, nil
}

// Token signs a token that is valid for ten minutes.
func (l *Local) Token(name string, roles []Role) (string, error) {
	now := l.now()
	return jwt.Signed(l.signer).Claims(jwt.Claims{
		Issuer: l.issuer, Subject: name, Audience: jwt.Audience{l.audience}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(tokenLife)),
	}).Claims(map[string]any{"roles": roles}).Serialize()
}
