package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// Skew is the allowed difference between the clocks of two machines.
	Skew = time.Minute
	// MaxLife is how long a token may still be valid when it is shown.
	MaxLife = 24 * time.Hour
	// maxToken bounds a token, in bytes.
	maxToken = 16 << 10
)

// Verifier trusts some providers. Its methods may be called from any goroutine.
type Verifier struct {
	now     func() time.Time
	issuers map[string]*provider
}

type provider struct {
	Issuer
	keys *keys
}

// Open reads the pinned keys. Nothing is fetched before the first token comes, so an unreachable provider does not keep
// a daemon from starting.
func Open(issuers []Issuer, now func() time.Time) (*Verifier, error) {
	if err := Validate(issuers); err != nil {
		return nil, err
	}
	v := &Verifier{now: now, issuers: map[string]*provider{}}
	for _, i := range issuers {
		p := &provider{Issuer: i, keys: &keys{now: now}}
		if i.Keys != "" {
			var err error
			if p.keys.held, err = pinned(i.Keys); err != nil {
				return nil, fmt.Errorf("issuer %s: `keys`: %w", i.Issuer, err)
			}
		} else {
			client, err := Client(i.CA)
			if err != nil {
				return nil, fmt.Errorf("issuer %s: `ca`: %w", i.Issuer, err)
			}
			p.keys.fetch = discovered(i.Issuer, client)
		}
		v.issuers[i.Issuer] = p
	}
	return v, nil
}

// Verify returns the bearer of the token. Errors wrap ErrToken or ErrUnavailable, and quote nothing of a token that no
// provider has signed.
func (v *Verifier) Verify(ctx context.Context, token string) (Person, error) {
	refuse := func(format string, args ...any) (Person, error) {
		return Person{}, fmt.Errorf("%w: %w", ErrToken, fmt.Errorf(format, args...))
	}
	if len(token) > maxToken {
		return refuse("it has more than %d bytes", maxToken)
	}
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		return refuse("it is not a JWT signed with EdDSA, ES256 or RS256")
	}
	var claim struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &claim) != nil {
		return refuse("its claims cannot be read")
	}
	p, ok := v.issuers[claim.Issuer]
	if !ok {
		return refuse("its issuer is not one that is believed here")
	}
	payload, err := p.keys.verify(ctx, signed)
	if err != nil {
		return Person{}, err
	}
	var claims struct {
		jwt.Claims
		Nonce string `json:"nonce"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return refuse("its claims cannot be read")
	}
	now := v.now()
	switch {
	case claims.Issuer != p.Issuer.Issuer:
		return refuse("its issuer is another")
	case !slices.Contains(claims.Audience, p.Audience):
		return refuse("it is not for %s", p.Audience)
	case claims.Expiry == nil:
		return refuse("it never expires")
	case now.After(claims.Expiry.Time().Add(Skew)):
		return refuse("it expired at %s", claims.Expiry.Time().UTC().Format(time.RFC3339))
	case claims.Expiry.Time().After(now.Add(MaxLife + Skew)):
		return refuse("it is good for longer than %v", MaxLife)
	case claims.NotBefore != nil && now.Add(Skew).Before(claims.NotBefore.Time()):
		return refuse("it is not good yet; compare the clocks")
	case claims.IssuedAt != nil && now.Add(Skew).Before(claims.IssuedAt.Time()):
		return refuse("it was issued in the future; compare the clocks")
	}
	person, err := p.person(payload)
	if err != nil {
		return refuse("%w", err)
	}
	for _, other := range v.issuers {
		if other != p && other.Suffix != "" && strings.HasSuffix(person.Name, other.Suffix) {
			return refuse("its bearer's name is one that another provider gives")
		}
	}
	person.Token, person.Nonce, person.Expires = plain(claims.ID), claims.Nonce, claims.Expiry.Time()
	return person, nil
}

// plain returns a token's id if it can be logged safely, otherwise "".
func plain(id string) string {
	if len(id) > 128 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return id
}

// person reads the name and the roles from claims with a verified signature.
func (p *provider) person(payload []byte) (Person, error) {
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		return Person{}, errors.New("its claims cannot be read")
	}
	claim := p.Name
	if claim == "" {
		claim = "sub"
	}
	name, ok := find(claims, claim).(string)
	if !ok {
		return Person{}, fmt.Errorf("it has no claim %s to name its bearer", claim)
	}
	// Case is kept: a provider may distinguish Ada from ada.
	who := Person{Name: name + p.Suffix, Issuer: p.Issuer.Issuer}
	if !ValidName(who.Name) {
		return Person{}, fmt.Errorf("its claim %s is no name: lower-case letters, digits, '.', '_', '-' and '@'", claim)
	}
	if p.Suffix != "" && strings.Contains(name, "@") {
		return Person{}, fmt.Errorf("its claim %s holds an @, and a suffix follows", claim)
	}
	if p.RolesClaim == "" {
		who.Roles = []Role{RoleResearcher}
		return who, nil
	}
	listed, _ := find(claims, p.RolesClaim).([]any)
	for _, r := range listed {
		theirs, _ := r.(string)
		ours := theirs
		if len(p.Roles) > 0 {
			ours = p.Roles[theirs]
		}
		if role, known := ParseRole(ours); known && !who.Has(role) {
			who.Roles = append(who.Roles, role)
		}
	}
	return who, nil
}

// find follows a dotted path into claims. A claim whose own name has dots comes first.
func find(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok {
		return v
	}
	first, rest, dotted := strings.Cut(path, ".")
	inner, ok := claims[first].(map[string]any)
	if !dotted || !ok {
		return nil
	}
	return find(inner, rest)
}
