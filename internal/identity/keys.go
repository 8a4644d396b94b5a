package identity

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	freshFor  = time.Hour        // fetched keys are used for this time without a new fetch
	staleFor  = 24 * time.Hour   // they are used for this time while the provider cannot be reached
	fetchRest = 10 * time.Second // between two fetches
	fetchTime = 10 * time.Second // limit of one fetch
	maxKeys   = 1 << 20          // bytes of a key set
)

// algorithms are the accepted signature algorithms.
var algorithms = []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256, jose.RS256}

// keys are the keys of one provider.
type keys struct {
	fetch func(ctx context.Context) ([]jose.JSONWebKey, error) // nil: pinned
	now   func() time.Time

	mu       sync.Mutex
	held     []jose.JSONWebKey
	fetched  time.Time
	tried    time.Time     // when the last fetch ended
	fetching chan struct{} // closed when the running fetch ends; nil: none is running
}

// verify returns the payload of a token that one of the provider's keys has signed.
func (k *keys) verify(ctx context.Context, token *jose.JSONWebSignature) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age := func() time.Duration { return k.now().Sub(k.fetched) }
	if k.fetch != nil && age() > freshFor && (k.fetching == nil || age() > staleFor) {
		k.refresh(ctx)
	}
	if k.fetch != nil && age() > staleFor {
		return nil, ErrUnavailable
	}
	payload, known := k.tryKeys(token)
	if payload == nil && !known && k.fetch != nil && k.refresh(ctx) {
		payload, _ = k.tryKeys(token) // the keys may have been rotated
	}
	if payload == nil {
		return nil, fmt.Errorf("%w: no key of its issuer has signed it", ErrToken)
	}
	return payload, nil
}

// tryKeys tries the keys that the token may mean. known reports whether there is one.
func (k *keys) tryKeys(token *jose.JSONWebSignature) (payload []byte, known bool) {
	id := token.Signatures[0].Header.KeyID
	for i := range k.held {
		key := &k.held[i]
		if id != "" && key.KeyID != "" && id != key.KeyID {
			continue
		}
		known = known || id != "" && key.KeyID == id
		if payload, err := token.Verify(key); err == nil {
			return payload, true
		}
	}
	return nil, known
}

// refresh fetches the keys, unless that was just tried. If a fetch is running, it waits for it, at most until ctx ends.
// It reports whether new keys came. It is called with the lock held, and releases it in between, so that a silent
// provider does not delay tokens that the present keys can verify.
func (k *keys) refresh(ctx context.Context) bool {
	before := k.fetched
	if under := k.fetching; under != nil {
		k.mu.Unlock()
		select {
		case <-under:
		case <-ctx.Done():
		}
		k.mu.Lock()
		return k.fetched.After(before)
	}
	if k.now().Sub(k.tried) < fetchRest {
		return false
	}
	ended := make(chan struct{})
	k.fetching = ended
	k.mu.Unlock()
	// If one caller gives up, the fetch must not fail for the others that wait for it.
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime)
	defer cancel()
	held, err := k.fetch(within)
	k.mu.Lock()
	k.fetching, k.tried = nil, k.now()
	close(ended)
	if err != nil {
		return false
	}
	k.held, k.fetched = usable(held), k.tried
	return true
}

// usable leaves out keys that do not sign tokens.
func usable(all []jose.JSONWebKey) []jose.JSONWebKey {
	var out []jose.JSONWebKey
	for _, k := range all {
		if k.Valid() && k.IsPublic() && (k.Use == "" || k.Use == "sig") {
			out = append(out, k)
		}
	}
	return out
}

// pinned reads a file of public keys: a JSON Web Key Set, or PEM.
func pinned(path string) ([]jose.JSONWebKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []jose.JSONWebKey
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		if all, err = parseKeys(b); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "PUBLIC KEY" {
			return nil, fmt.Errorf("%s holds a %s; only public keys belong there", path, block.Type)
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, jose.JSONWebKey{Key: key})
	}
	if all = usable(all); len(all) == 0 {
		return nil, fmt.Errorf("%s holds no public key that signs tokens", path)
	}
	return all, nil
}

// parseKeys reads a JSON Web Key Set. It leaves out keys of unknown kinds.
func parseKeys(b []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return nil, errors.New("it is not a JSON Web Key Set")
	}
	var all []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if json.Unmarshal(raw, &k) == nil {
			all = append(all, k)
		}
	}
	return all, nil
}

// Client returns an HTTP client that verifies HTTPS against the authorities of a PEM file, or the system's if caFile is
// empty.
func Client(caFile string) (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.DisableKeepAlives = true // one request an hour
	if caFile != "" {
		b, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("%s holds no certificate", caFile)
		}
	}
	return &http.Client{Transport: t, Timeout: fetchTime}, nil
}

// discovered fetches the keys from the address in the provider's own document.
func discovered(issuer string, client *http.Client) func(context.Context) ([]jose.JSONWebKey, error) {
	return func(ctx context.Context) ([]jose.JSONWebKey, error) {
		provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), issuer)
		if err != nil {
			return nil, err
		}
		var at struct {
			Keys string `json:"jwks_uri"`
		}
		if err := provider.Claims(&at); err != nil {
			return nil, err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.Keys, nil)
		if err != nil {
			return nil, err
		}
		if request.URL.Scheme != "https" {
			return nil, errors.New("the provider's keys are not behind HTTPS")
		}
		response, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		b, err := io.ReadAll(io.LimitReader(response.Body, maxKeys))
		if err != nil {
			return nil, err
		}
		if response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("the provider's keys: %s", response.Status)
		}
		all, err := parseKeys(b)
		if err == nil && len(usable(all)) == 0 {
			err = errors.New("the provider gives no key")
		}
		return all, err
	}
}
