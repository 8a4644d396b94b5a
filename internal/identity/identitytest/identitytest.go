// Package identitytest is an OpenID Connect provider for tests: real HTTPS, real keys, real signatures.
package identitytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Provider serves its endpoints and its keys. Tests may add pages to Mux.
type Provider struct {
	*httptest.Server
	Mux    *http.ServeMux
	Issuer string // its address in tokens
	CA     string // file of the authority that signed its certificate

	mu      sync.Mutex
	keys    []jose.JSONWebKey // public
	fetches int
	away    bool
}

// New starts a provider whose issuer is its address and a path, such as "/realms/chu". It ends with the test.
func New(t testing.TB, path string) *Provider {
	t.Helper()
	p := &Provider{Mux: http.NewServeMux()}
	p.Mux.HandleFunc(path+"/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if p.Away() {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		answer(w, map[string]any{"issuer": p.Issuer, "jwks_uri": p.URL + "/certs", "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token"})
	})
	p.Mux.HandleFunc("/certs", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.fetches++
		answer(w, jose.JSONWebKeySet{Keys: p.keys})
	})
	p.Server = httptest.NewTLSServer(p.Mux)
	t.Cleanup(p.Close)
	p.Issuer, p.CA = p.URL+path, filepath.Join(t.TempDir(), "provider.pem")
	if err := os.WriteFile(p.CA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the client may have gone
}

// Fetches is how often its keys were requested.
func (p *Provider) Fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

// Away reports whether it answers that it cannot serve now.
func (p *Provider) Away() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.away
}

// SetAway makes it stop serving, or serve again. It always serves its keys.
func (p *Provider) SetAway(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

// Key makes a signing key, which is published or not.
func (p *Provider) Key(t testing.TB, id string, algorithm jose.SignatureAlgorithm, publish bool) jose.SigningKey {
	t.Helper()
	var private crypto.Signer
	var err error
	switch algorithm {
	case jose.RS256, jose.PS256:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	if publish {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.keys = append(p.keys, jose.JSONWebKey{Key: private.Public(), KeyID: id, Use: "sig"})
	}
	return jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: private, KeyID: id}}
}

// Withdraw stops publishing a key.
func (p *Provider) Withdraw(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = slices.DeleteFunc(slices.Clone(p.keys), func(k jose.JSONWebKey) bool { return k.KeyID == id })
}

// Sign makes a token of claims.
func Sign(t testing.TB, key jose.SigningKey, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
