package identity

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"

	"github.com/intramuros/intramuros/internal/identity/identitytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// clock can be set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func claims(p *identitytest.Provider, c *clock, change ...any) map[string]any {
	all := map[string]any{
		"iss": p.Issuer, "aud": "intramuros", "sub": "f2a1", "preferred_username": "ada", "jti": "t-1",
		"iat": c.now().Unix(), "exp": c.now().Add(5 * time.Minute).Unix(),
		"realm_access": map[string]any{"roles": []string{"chercheur", "offline_access"}},
	}
	for i := 0; i < len(change); i += 2 {
		if change[i+1] == nil {
			delete(all, change[i].(string))
		} else {
			all[change[i].(string)] = change[i+1]
		}
	}
	return all
}

func issuer(p *identitytest.Provider) Issuer {
	return Issuer{
		Issuer: p.Issuer, Audience: "intramuros", CA: p.CA, Name: "preferred_username", Suffix: "@chu",
		RolesClaim: "realm_access.roles", Roles: map[string]string{"chercheur": "researcher", "dpo": "custodian"},
	}
}

func verifier(t *testing.T, c *clock, issuers ...Issuer) *Verifier {
	t.Helper()
	v, err := Open(issuers, c.now)
	must(t, err)
	return v
}

func TestProvider(t *testing.T) {
	p, c := identitytest.New(t, "/realms/chu"), &clock{t: time.Now()}
	v := verifier(t, c, issuer(p))
	for _, algorithm := range algorithms {
		key := p.Key(t, "k-"+string(algorithm), algorithm, true)
		c.pass(time.Minute) // the key is new, and nothing was fetched for a while, so it is fetched
		who, err := v.Verify(t.Context(), identitytest.Sign(t, key, claims(p, c)))
		must(t, err)
		if who.Name != "ada@chu" || !who.Has(RoleResearcher) || who.Has(RoleCustodian) || who.Issuer != p.Issuer || who.Token != "t-1" {
			t.Errorf("%s: %+v", algorithm, who)
		}
	}
}

func TestRefusedTokens(t *testing.T) {
	p, c := identitytest.New(t, "/realms/chu"), &clock{t: time.Now()}
	other := identitytest.New(t, "/realms/chu")
	key := p.Key(t, "k", jose.RS256, true)
	strange := other.Key(t, "k", jose.RS256, true)
	v := verifier(t, c, issuer(p))
	good := identitytest.Sign(t, key, claims(p, c))
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	secret, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: []byte(strings.Repeat("k", 32)), KeyID: "k"}}, nil)
	must(t, err)
	symmetric, err := jwt.Signed(secret).Claims(claims(p, c)).Serialize()
	must(t, err)
	in := func(d time.Duration) int64 { return c.now().Add(d).Unix() }
	for name, token := range map[string]string{
		"empty":                   "",
		"no token":                "hello",
		"too long":                good + strings.Repeat("A", maxToken),
		"no signature":            parts[0] + "." + parts[1] + ".",
		"algorithm none":          "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"signature of another":    parts[0] + "." + parts[1] + "." + strings.Split(identitytest.Sign(t, key, claims(p, c, "sub", "x")), ".")[2],
		"claims of another":       parts[0] + "." + strings.Split(identitytest.Sign(t, key, claims(p, c, "preferred_username", "mallory")), ".")[1] + "." + parts[2],
		"another provider's key":  identitytest.Sign(t, strange, claims(p, c)),
		"a symmetric key":         symmetric,
		"an algorithm not listed": identitytest.Sign(t, jose.SigningKey{Algorithm: jose.PS256, Key: key.Key}, claims(p, c)),
		"another issuer":          identitytest.Sign(t, key, claims(p, c, "iss", other.Issuer)),
		"no issuer":               identitytest.Sign(t, key, claims(p, c, "iss", nil)),
		"another audience":        identitytest.Sign(t, key, claims(p, c, "aud", "intranet")),
		"no audience":             identitytest.Sign(t, key, claims(p, c, "aud", nil)),
		"expired":                 identitytest.Sign(t, key, claims(p, c, "exp", in(-Skew-time.Second))),
		"never expires":           identitytest.Sign(t, key, claims(p, c, "exp", nil)),
		"good for too long":       identitytest.Sign(t, key, claims(p, c, "exp", in(48*time.Hour))),
		"not yet":                 identitytest.Sign(t, key, claims(p, c, "nbf", in(Skew+10*time.Second))),
		"issued later":            identitytest.Sign(t, key, claims(p, c, "iat", in(Skew+10*time.Second))),
		"no name":                 identitytest.Sign(t, key, claims(p, c, "preferred_username", nil)),
		"a number for a name":     identitytest.Sign(t, key, claims(p, c, "preferred_username", 7)),
		"a line for a name":       identitytest.Sign(t, key, claims(p, c, "preferred_username", "ada\nroot")),
		"capitals":                identitytest.Sign(t, key, claims(p, c, "preferred_username", "Ada")),
		"a name with a suffix":    identitytest.Sign(t, key, claims(p, c, "preferred_username", "ada@psc")),
	} {
		if who, err := v.Verify(t.Context(), token); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %+v, %v", name, who, err)
		} else if strings.Contains(err.Error(), "mallory") || strings.Contains(err.Error(), "root") {
			t.Errorf("%s: the error quotes the token: %v", name, err)
		}
	}
	// These are within the skew, or for several audiences.
	for name, token := range map[string]string{
		"just expired":   identitytest.Sign(t, key, claims(p, c, "exp", in(-Skew+5*time.Second))),
		"just not yet":   identitytest.Sign(t, key, claims(p, c, "nbf", in(Skew-5*time.Second), "iat", in(Skew-5*time.Second))),
		"two audiences":  identitytest.Sign(t, key, claims(p, c, "aud", []string{"account", "intramuros"})),
		"no roles at us": identitytest.Sign(t, key, claims(p, c, "realm_access", nil)),
	} {
		who, err := v.Verify(t.Context(), token)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "no roles at us" && len(who.Roles) != 0 {
			t.Errorf("%s: %v", name, who.Roles)
		}
	}
}

// A new key is found without a restart, and a withdrawn one is forgotten within the hour. Forged tokens do not cause a
// loop of fetches.
func TestRotation(t *testing.T) {
	p, c := identitytest.New(t, "/realms/chu"), &clock{t: time.Now()}
	first := p.Key(t, "first", jose.ES256, true)
	v := verifier(t, c, issuer(p))
	accepted := func(key jose.SigningKey) bool {
		_, err := v.Verify(t.Context(), identitytest.Sign(t, key, claims(p, c)))
		return err == nil
	}
	if !accepted(first) || p.Fetches() != 1 {
		t.Fatalf("the first key is not accepted; %d fetches", p.Fetches())
	}
	second := p.Key(t, "second", jose.ES256, true)
	c.pass(fetchRest)
	if !accepted(second) || !accepted(first) || p.Fetches() != 2 {
		t.Errorf("after rotation; %d fetches", p.Fetches())
	}
	forged := p.Key(t, "forged", jose.ES256, false)
	for range 100 {
		if accepted(forged) {
			t.Fatal("forged")
		}
	}
	if p.Fetches() != 2 {
		t.Errorf("%d fetches for forged tokens", p.Fetches()-2)
	}
	p.Withdraw("first")
	c.pass(freshFor + time.Second)
	if accepted(first) || !accepted(second) {
		t.Error("a withdrawn key is still good after an hour")
	}
	// Without the provider, the known keys are used for a day.
	p.SetAway(true)
	c.pass(2 * time.Hour)
	if !accepted(second) {
		t.Error("the provider is away for two hours, and nobody gets in")
	}
	c.pass(staleFor)
	if _, err := v.Verify(t.Context(), identitytest.Sign(t, second, claims(p, c))); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after a day: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	p, c := identitytest.New(t, "/realms/chu"), &clock{t: time.Now()}
	key := p.Key(t, "k", jose.RS256, true)
	conf := issuer(p)
	conf.CA = "" // the system does not trust its certificate
	v := verifier(t, c, conf)
	if _, err := v.Verify(t.Context(), identitytest.Sign(t, key, claims(p, c))); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if p.Fetches() > 0 {
		t.Error("fetched over HTTPS that nobody vouches for")
	}
}

// Pinned keys are never fetched, and the coordinator's own tokens are accepted with them.
func TestPinned(t *testing.T) {
	c := &clock{t: time.Now()}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	local, err := NewLocal(Accounts("france"), "france", private, c.now)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(public)
	must(t, err)
	folder := t.TempDir()
	inPEM, inJWKS := filepath.Join(folder, "k.pub"), filepath.Join(folder, "k.json")
	must(t, os.WriteFile(inPEM, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "x"}}})
	must(t, err)
	must(t, os.WriteFile(inJWKS, set, 0o600))
	token, err := local.Token("ada", []Role{RoleResearcher, RoleOperator})
	must(t, err)
	v := verifier(t, c, Issuer{Issuer: Accounts("france"), Audience: "france", Keys: inPEM, RolesClaim: "roles"})
	who, err := v.Verify(t.Context(), token)
	must(t, err)
	if who.Name != "ada" || !who.Has(RoleOperator) || who.Has(RoleCustodian) {
		t.Errorf("%+v", who)
	}
	c.pass(tokenLife + Skew + time.Second)
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, ErrToken) {
		t.Errorf("an old token: %v", err)
	}
	// A key with another id is another key.
	if _, err := verifier(t, c, Issuer{Issuer: Accounts("france"), Audience: "france", Keys: inJWKS}).Verify(t.Context(), token); !errors.Is(err, ErrToken) {
		t.Errorf("%v", err)
	}
	for name, text := range map[string]string{
		"private": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "nothing": "", "no keys": `{"keys": []}`,
	} {
		bad := filepath.Join(folder, "bad")
		must(t, os.WriteFile(bad, []byte(text), 0o600))
		if _, err := Open([]Issuer{{Issuer: "x", Audience: "y", Keys: bad}}, c.now); err == nil {
			t.Errorf("%s is a public key", name)
		}
	}
}

// A provider cannot name another provider's people.
func TestNamesNeverMeet(t *testing.T) {
	p, q, c := identitytest.New(t, "/realms/chu"), identitytest.New(t, "/realms/chu"), &clock{t: time.Now()}
	conf, plainConf := issuer(p), issuer(q)
	plainConf.Suffix = ""
	v := verifier(t, c, conf, plainConf)
	key := q.Key(t, "k", jose.RS256, true)
	if who, err := v.Verify(t.Context(), identitytest.Sign(t, key, claims(q, c, "preferred_username", "ada@chu"))); !errors.Is(err, ErrToken) {
		t.Errorf("%+v, %v", who, err)
	}
	who, err := v.Verify(t.Context(), identitytest.Sign(t, key, claims(q, c, "preferred_username", "ada@elsewhere.fr")))
	if err != nil || who.Name != "ada@elsewhere.fr" {
		t.Errorf("%+v, %v", who, err)
	}
	plainConf.Suffix = "@chu"
	if err := Validate([]Issuer{conf, plainConf}); err == nil {
		t.Error("two providers share a suffix")
	}
}

func TestValidateIssuers(t *testing.T) {
	for _, bad := range []Issuer{
		{}, {Issuer: "http://idp", Audience: "x"}, {Issuer: "https://idp"}, {Issuer: "https://idp", Audience: "x", Suffix: "chu"},
		{Issuer: "https://idp", Audience: "x", Roles: map[string]string{"a": "researcher"}},
		{Issuer: "https://idp", Audience: "x", RolesClaim: "r", Roles: map[string]string{"a": "root"}},
	} {
		if Validate([]Issuer{bad}) == nil {
			t.Errorf("%+v", bad)
		}
	}
	good := Issuer{Issuer: "https://idp", Audience: "x"}
	if Validate([]Issuer{good, good}) == nil {
		t.Error("twice the same")
	}
	must(t, Validate([]Issuer{good}))
}

func FuzzVerify(f *testing.F) {
	f.Add("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJ4In0.AAAA")
	v, err := Open(nil, time.Now)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := v.Verify(context.Background(), token); !errors.Is(err, ErrToken) {
			t.Errorf("%v", err)
		}
	})
}

// While a provider does not answer, tokens signed with known keys are accepted without a wait. A caller with an unknown
// key waits no longer than its context allows.
func TestSilentProvider(t *testing.T) {
	p, c := identitytest.New(t, "/realms/chu"), &clock{t: time.Now()}
	key := p.Key(t, "k", jose.RS256, true)
	v := verifier(t, c, issuer(p))
	_, err := v.Verify(t.Context(), identitytest.Sign(t, key, claims(p, c)))
	must(t, err)
	asked, answer := make(chan struct{}), make(chan struct{})
	v.issuers[p.Issuer].keys.fetch = func(context.Context) ([]jose.JSONWebKey, error) {
		asked <- struct{}{}
		<-answer
		return nil, errors.New("no answer")
	}
	c.pass(freshFor + time.Second)
	first := make(chan error, 1)
	go func() {
		_, err := v.Verify(context.Background(), identitytest.Sign(t, key, claims(p, c)))
		first <- err
	}()
	<-asked // somebody waits for the provider
	_, err = v.Verify(t.Context(), identitytest.Sign(t, key, claims(p, c)))
	must(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Verify(gone, identitytest.Sign(t, p.Key(t, "new", jose.RS256, false), claims(p, c))); !errors.Is(err, ErrToken) {
		t.Errorf("a key that is not known: %v", err)
	}
	close(answer)
	must(t, <-first)
	// The pause begins at the end of the fetch, not at its beginning.
	_, err = v.Verify(t.Context(), identitytest.Sign(t, key, claims(p, c)))
	must(t, err)
}
