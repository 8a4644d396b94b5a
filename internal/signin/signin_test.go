package signin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/identity/identitytest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// idp is an OpenID Connect provider over real HTTP. It signs everybody in at once. It requires PKCE, the client's
// secret, and that codes and refresh tokens are used only once.
type idp struct {
	*identitytest.Provider
	key jose.SigningKey

	mu       sync.Mutex
	codes    map[string]url.Values // the parameters of each request, by code
	refresh  string
	renewals int
	claims   func(map[string]any) // changes the claims of a token
	answer   func(url.Values)     // changes what the browser brings back
}

func newIDP(t *testing.T) *idp {
	p := &idp{Provider: identitytest.New(t, ""), codes: map[string]url.Values{}, claims: func(map[string]any) {}, answer: func(url.Values) {}}
	p.key = p.Key(t, "k", jose.EdDSA, true)
	write := func(w http.ResponseWriter, code int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(body)
	}
	p.Mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		asked := r.URL.Query()
		if asked.Get("response_type") != "code" || asked.Get("client_id") != "intramuros" || asked.Get("code_challenge_method") != "S256" ||
			asked.Get("scope") != "openid profile" || asked.Get("nonce") == "" {
			t.Errorf("asked with %v", asked)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		code := fmt.Sprintf("code-%d", len(p.codes))
		p.codes[code] = asked
		told := url.Values{"code": {code}, "state": {asked.Get("state")}, "iss": {p.URL}}
		p.answer(told)
		http.Redirect(w, r, asked.Get("redirect_uri")+"?"+told.Encode(), http.StatusFound)
	})
	p.Mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		if p.Away() {
			write(w, http.StatusServiceUnavailable, nil)
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		refuse := func() {
			write(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": r.FormValue("code")})
		}
		if client, secret, ok := r.BasicAuth(); !ok || client != "intramuros" || secret != url.QueryEscape("the client's secret") {
			write(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
			return
		}
		nonce := ""
		switch r.FormValue("grant_type") {
		case "authorization_code":
			asked, ok := p.codes[r.FormValue("code")]
			sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
			if !ok || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || asked.Get("redirect_uri") != r.FormValue("redirect_uri") {
				refuse()
				return
			}
			p.codes[r.FormValue("code")] = nil
			nonce = asked.Get("nonce")
		case "refresh_token":
			if p.refresh == "" || r.FormValue("refresh_token") != p.refresh {
				refuse()
				return
			}
			p.renewals++
		}
		p.refresh = fmt.Sprintf("refresh-%d", p.renewals)
		claims := map[string]any{"iss": p.URL, "aud": "intramuros", "sub": "ada", "nonce": nonce, "jti": fmt.Sprint(p.renewals), "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()}
		p.claims(claims)
		write(w, http.StatusOK, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": identitytest.Sign(t, p.key, claims), "refresh_token": p.refresh, "expires_in": 300})
	})
	return p
}

func (p *idp) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// clock runs with the machine's clock, and can be set forward.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// place is a console that answers with the token that it receives.
type place struct {
	*idp
	console *httptest.Server
	clock   *clock
	browser *http.Client // a person's browser, with cookies
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{idp: newIDP(t), clock: &clock{}}
	folder := t.TempDir()
	secretFile := filepath.Join(folder, "secret")
	must(t, os.WriteFile(secretFile, []byte("the client's secret\n"), 0o600))
	var h http.Handler
	p.console = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(p.console.Close)
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Authorization")) })
	var err error
	h, err = NewHandler(api, Config{Address: p.console.URL, Providers: map[string]Provider{
		"chu":   {Issuer: p.idp.URL, Title: "CHU", Secret: config.Secret{File: secretFile}},
		"other": {Issuer: p.idp.URL, Secret: config.Secret{File: secretFile}},
	}}, []identity.Issuer{{Issuer: p.idp.URL, Audience: "intramuros", CA: p.CA}}, p.clock.now, slog.New(slog.DiscardHandler))
	must(t, err)
	p.browser = p.anybody(t)
	return p
}

// anybody is another browser.
func (p *place) anybody(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	transport := p.idp.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.InsecureSkipVerify = true // two servers with a certificate each
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}

// get returns the answer, and the address at which the browser is then.
func get(t *testing.T, c *http.Client, method, to, site string) (body string, at *url.URL, response *http.Response) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, to, nil)
	must(t, err)
	if site != "" {
		r.Header.Set("Sec-Fetch-Site", site)
	}
	response, err = c.Do(r)
	must(t, err)
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	must(t, err)
	return string(b), response.Request.URL, response
}

// whose is the name in the token that the API received; empty if there was none.
func whose(t *testing.T, shown string) string {
	t.Helper()
	token, ok := strings.CutPrefix(shown, "Bearer ")
	if !ok {
		return ""
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	must(t, err)
	var claims struct{ Sub string }
	must(t, json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &claims))
	return claims.Sub
}

func (p *place) me(t *testing.T) string {
	t.Helper()
	shown, _, _ := get(t, p.browser, "GET", p.console.URL+"/v1/me", "same-origin")
	return whose(t, shown)
}

func (p *place) signIn(t *testing.T) *url.URL {
	t.Helper()
	_, at, response := get(t, p.browser, "GET", p.console.URL+"/signin/chu", "")
	if at.RawQuery != "" {
		t.Errorf("a code stays in the address: %s", at)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s", response.Status)
	}
	return at
}

func TestSignIn(t *testing.T) {
	p := newPlace(t)
	body, _, _ := get(t, p.browser, "GET", p.console.URL+"/signin", "same-origin")
	want := fmt.Sprintf(`{"signed_in":false,"providers":[{"name":"chu","title":"CHU","address":"%[1]s/signin/chu"},{"name":"other","title":"other","address":"%[1]s/signin/other"}]}`, p.console.URL)
	if strings.TrimSpace(body) != want {
		t.Errorf("%s", body)
	}
	if got := p.me(t); got != "" {
		t.Fatalf("%s before a sign-in", got)
	}
	if at := p.signIn(t); at.Path != "/" || at.Fragment != "" {
		t.Fatalf("at %s", at)
	}
	if got := p.me(t); got != "ada" {
		t.Errorf("signed in as %q", got)
	}
	body, _, _ = get(t, p.browser, "GET", p.console.URL+"/signin", "same-origin")
	if !strings.Contains(body, `"signed_in":true`) {
		t.Errorf("%s", body)
	}
	// A page of another site, or a link on one, does not act for the person.
	for _, site := range []string{"cross-site", "same-site", "none", ""} {
		if shown, _, _ := get(t, p.browser, "GET", p.console.URL+"/v1/me", site); shown != "" {
			t.Errorf("a request that comes from %q is ada's", site)
		}
	}
	if _, _, response := get(t, p.browser, "DELETE", p.console.URL+"/signin", "cross-site"); response.StatusCode != http.StatusForbidden || p.me(t) != "ada" {
		t.Errorf("another site signs out: %s", response.Status)
	}
	if _, _, response := get(t, p.browser, "DELETE", p.console.URL+"/signin", "same-origin"); response.StatusCode != http.StatusNoContent || p.me(t) != "" {
		t.Errorf("still signed in: %s", response.Status)
	}
	// A request that brings a token does not get another one.
	p.signIn(t)
	r, err := http.NewRequestWithContext(t.Context(), "GET", p.console.URL+"/v1/me", nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer mine")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	response, err := p.browser.Do(r)
	must(t, err)
	defer response.Body.Close()
	if b, err := io.ReadAll(response.Body); err != nil || string(b) != "Bearer mine" {
		t.Errorf("%q, %v", b, err)
	}
}

// No script and no other host can read or set the browser's cookie, and it is not a token.
func TestCookies(t *testing.T) {
	p := newPlace(t)
	var set []*http.Cookie
	p.browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		set = append(set, r.Response.Cookies()...)
		return nil
	}
	p.signIn(t)
	modes := map[string]http.SameSite{}
	for _, c := range set {
		if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("%v", c)
		}
		if strings.Contains(c.Value, ".") || len(c.Value) > 43 {
			t.Errorf("a cookie that may hold a token: %v", c)
		}
		modes[c.Name] = c.SameSite
	}
	if modes[sessionCookie] != http.SameSiteStrictMode || modes[loginCookie] != http.SameSiteLaxMode || len(set) != 3 {
		t.Errorf("%v", set)
	}
}

func TestRefusals(t *testing.T) {
	const other = "https://other.example"
	claims := func(name string, v any) func(*idp) {
		return func(p *idp) { p.claims = func(c map[string]any) { c[name] = v } }
	}
	told := func(name, v string) func(*idp) {
		return func(p *idp) { p.answer = func(values url.Values) { values.Set(name, v) } }
	}
	for name, c := range map[string]struct {
		change func(*idp)
		want   failure
	}{
		"another state":    {told("state", "x"), failedState},
		"no state":         {func(p *idp) { p.answer = func(v url.Values) { v.Del("state") } }, failedState},
		"another provider": {told("iss", other), failedRefused},
		"another code":     {told("code", "code-99"), failedRefused},
		"no code":          {told("code", ""), failedRefused},
		"not let in":       {func(p *idp) { p.answer = func(v url.Values) { v.Del("code"); v.Set("error", "access_denied") } }, failedCanceled},
		"another nonce":    {claims("nonce", "x"), failedRefused},
		"no nonce":         {func(p *idp) { p.claims = func(c map[string]any) { delete(c, "nonce") } }, failedRefused},
		"another audience": {claims("aud", "somebody"), failedRefused},
		"another issuer":   {claims("iss", other), failedRefused},
		"expired":          {claims("exp", time.Now().Add(-2*time.Minute).Unix()), failedRefused},
		"never expires":    {func(p *idp) { p.claims = func(c map[string]any) { delete(c, "exp") } }, failedRefused},
		"no name":          {claims("sub", "Not A Name"), failedRefused},
		"signed by another key": {func(p *idp) {
			p.claims = func(map[string]any) { p.key = p.Key(t, "k", jose.EdDSA, false) }
		}, failedRefused},
		"the provider is away": {func(p *idp) { p.answer = func(url.Values) { p.SetAway(true) } }, failedUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			if name == "signed by another key" {
				p.signIn(t) // now the provider's keys are known
				get(t, p.browser, "DELETE", p.console.URL+"/signin", "same-origin")
			}
			p.set(func() { c.change(p.idp) })
			if at := p.signIn(t); at.Fragment != "signin="+string(c.want) {
				t.Errorf("at %s", at)
			}
			if got := p.me(t); got != "" {
				t.Errorf("signed in as %q", got)
			}
		})
	}
}

// A provider's answer is valid only in the browser that asked, at the provider that was asked, and once.
func TestAnswerElsewhere(t *testing.T) {
	p := newPlace(t)
	var answers []string
	stop := func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/back") {
			answers = append(answers, r.URL.String())
			return http.ErrUseLastResponse
		}
		return nil
	}
	p.browser.CheckRedirect = stop
	get(t, p.browser, "GET", p.console.URL+"/signin/chu", "")
	p.browser.CheckRedirect = nil
	failed := func(c *http.Client, to, what string) {
		t.Helper()
		if _, at, _ := get(t, c, "GET", to, ""); at.Fragment != "signin="+string(failedState) {
			t.Errorf("%s: at %s", what, at)
		}
	}
	failed(p.anybody(t), answers[0], "in another browser")
	if _, at, _ := get(t, p.browser, "GET", answers[0], ""); at.Fragment != "" || p.me(t) != "ada" {
		t.Errorf("in the browser that asked: at %s", at)
	}
	failed(p.browser, answers[0], "once more")

	p.browser.CheckRedirect = stop
	get(t, p.browser, "GET", p.console.URL+"/signin/chu", "")
	p.browser.CheckRedirect = nil
	failed(p.browser, strings.Replace(answers[1], "/signin/chu/", "/signin/other/", 1), "of another provider")

	if _, at, _ := get(t, p.browser, "GET", p.console.URL+"/signin/none", ""); at.Fragment != "signin="+string(failedUnknown) {
		t.Errorf("no such provider: at %s", at)
	}
	p.SetAway(true)
	p.clock.pass(2 * time.Hour) // the provider's document is old, and is used on
	if _, at, _ := get(t, p.browser, "GET", p.console.URL+"/signin/chu", ""); at.Fragment != "signin="+string(failedUnavailable) {
		t.Errorf("away: at %s", at)
	}
}

// Tokens are renewed while a person works, by one request at a time.
func TestRenewal(t *testing.T) {
	p := newPlace(t)
	p.signIn(t)
	p.me(t)
	p.clock.pass(5*time.Minute - 20*time.Second)
	p.set(func() { p.claims = func(c map[string]any) { c["exp"] = time.Now().Add(10 * time.Minute).Unix() } })
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), "GET", p.console.URL+"/v1/me", nil)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			response, err := p.browser.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
		})
	}
	all.Wait()
	if got := p.me(t); got != "ada" || p.renewals != 1 {
		t.Errorf("%q, renewed %d times", got, p.renewals)
	}
	// A provider that is away for a moment ends no session.
	p.clock.pass(5 * time.Minute)
	p.SetAway(true)
	if got := p.me(t); got != "ada" {
		t.Errorf("%q while the provider is away and the token is good", got)
	}
	p.clock.pass(time.Minute)
	if got := p.me(t); got != "" {
		t.Errorf("%q with a token that has run out", got)
	}
	p.SetAway(false)
	p.set(func() { p.claims = func(c map[string]any) { c["exp"] = time.Now().Add(time.Hour).Unix() } })
	if got := p.me(t); got != "ada" {
		t.Errorf("%q once the provider is back", got)
	}
	// A renewal for somebody else ends the session.
	p.clock.pass(time.Hour)
	p.set(func() {
		p.claims = func(c map[string]any) { c["sub"], c["exp"] = "eve", time.Now().Add(2*time.Hour).Unix() }
	})
	for range 2 {
		if got := p.me(t); got != "" {
			t.Errorf("%q after a renewal for somebody else", got)
		}
	}
}

func TestSessionEnds(t *testing.T) {
	p := newPlace(t)
	p.set(func() { p.claims = func(c map[string]any) { c["exp"] = time.Now().Add(20 * time.Hour).Unix() } })
	p.signIn(t)
	p.clock.pass(sessionTime - time.Minute)
	if got := p.me(t); got != "ada" {
		t.Errorf("%q before the end", got)
	}
	p.clock.pass(2 * time.Minute)
	if got := p.me(t); got != "" {
		t.Errorf("%q after the end", got)
	}
	// The oldest of one person's sessions are ended.
	s := &sessions{now: p.clock.now, held: map[[32]byte]*session{}}
	first := s.begin(nil, grant{person: identity.Person{Name: "ada"}})
	p.clock.pass(time.Second)
	bob := s.begin(nil, grant{person: identity.Person{Name: "bob"}})
	for range maxOwn {
		p.clock.pass(time.Second)
		s.begin(nil, grant{person: identity.Person{Name: "ada"}})
	}
	if s.find(first) != nil || s.find(bob) == nil || len(s.held) != maxOwn+1 {
		t.Errorf("%d sessions", len(s.held))
	}
}
