package signin

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/intramuros/intramuros/internal/identity"
)

const (
	path = "/signin"
	// With this prefix a browser refuses the cookie unless it is Secure, for this host alone and for all its paths. So
	// another host, or somebody on plain HTTP, cannot set one.
	sessionCookie = "__Host-intramuros"
	loginCookie   = "__Host-intramuros-login"
	loginTime     = 10 * time.Minute // to sign in at the provider
	maxCode       = 4 << 10          // bytes of a provider's code
)

type handler struct {
	api       http.Handler
	address   string
	providers map[string]*provider
	sessions  *sessions
	log       *slog.Logger
}

// NewHandler serves /signin, and passes all other requests to the API, with the token of a signed-in browser. issuers
// are those that the API trusts.
func NewHandler(api http.Handler, conf Config, issuers []identity.Issuer, now func() time.Time, log *slog.Logger) (http.Handler, error) {
	h := &handler{
		api: api, address: conf.Address, providers: map[string]*provider{}, log: log,
		sessions: &sessions{now: now, held: map[[32]byte]*session{}},
	}
	for name, p := range conf.Providers {
		var err error
		if h.providers[name], err = newProvider(name, conf.Address, p, issuers, now); err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, h.list)
	mux.HandleFunc("DELETE "+path, h.signOut)
	mux.HandleFunc("GET "+path+"/{provider}", h.begin)
	mux.HandleFunc("GET "+path+"/{provider}/back", h.back)
	mux.HandleFunc("/", h.ask)
	return mux, nil
}

// ours reports whether the console's own page sent the request: browsers set this header, and scripts of other sites
// cannot.
func ours(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Site") == "same-origin" }

// cookie returns the value of a cookie; empty if there is none.
func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// put sets a cookie for some seconds; a negative number removes it.
func put(w http.ResponseWriter, name, value string, seconds int, mode http.SameSite) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: seconds, Secure: true, HttpOnly: true, SameSite: mode})
}

// securityHeaders sets the headers of every answer of this package.
func securityHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // an answer's address has a code
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
}

// state is the answer of GET /signin.
type state struct {
	SignedIn  bool     `json:"signed_in"`
	Providers []choice `json:"providers"`
}

type choice struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Address string `json:"address"` // absolute, so that the login's cookie is at the address that the provider returns to
}

func (h *handler) list(w http.ResponseWriter, r *http.Request) {
	securityHeaders(w)
	s := state{Providers: []choice{}, SignedIn: ours(r) && h.sessions.find(cookie(r, sessionCookie)) != nil}
	for _, name := range slices.Sorted(maps.Keys(h.providers)) {
		s.Providers = append(s.Providers, choice{Name: name, Title: h.providers[name].title, Address: h.address + path + "/" + name})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s) // the browser may have gone
}

func (h *handler) signOut(w http.ResponseWriter, r *http.Request) {
	securityHeaders(w)
	if !ours(r) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	h.sessions.end(cookie(r, sessionCookie))
	put(w, sessionCookie, "", -1, http.SameSiteStrictMode)
	w.WriteHeader(http.StatusNoContent)
}

func (h *handler) begin(w http.ResponseWriter, r *http.Request) {
	securityHeaders(w)
	p := h.providers[r.PathValue("provider")]
	if p == nil {
		h.home(w, r, failedUnknown)
		return
	}
	l := login(secret())
	to, err := p.ask(r.Context(), l)
	if err != nil {
		h.log.Warn("sign-in", slog.String("provider", p.name), slog.Any("error", err))
		h.home(w, r, failedUnavailable)
		return
	}
	// Lax: the provider's answer comes from another site.
	put(w, loginCookie, string(l), int(loginTime/time.Second), http.SameSiteLaxMode)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (h *handler) back(w http.ResponseWriter, r *http.Request) {
	securityHeaders(w)
	p := h.providers[r.PathValue("provider")]
	if p == nil {
		h.home(w, r, failedUnknown)
		return
	}
	told := r.URL.Query()
	l := login(cookie(r, loginCookie))
	put(w, loginCookie, "", -1, http.SameSiteLaxMode) // a login has only one answer
	code := told.Get("code")
	switch {
	case l == "" || told.Get("state") != l.state(p):
		h.home(w, r, failedState)
		return
	case told.Has("iss") && told.Get("iss") != p.issuer:
		h.log.Warn("sign-in: another provider's answer", slog.String("provider", p.name))
		h.home(w, r, failedRefused)
		return
	case told.Has("error"):
		h.log.Info("sign-in: not granted", slog.String("provider", p.name), slog.String("code", plain(told.Get("error"))))
		h.home(w, r, failedCanceled)
		return
	case code == "" || len(code) > maxCode:
		h.home(w, r, failedRefused)
		return
	}
	g, err := p.redeem(r.Context(), l, code)
	if err != nil {
		h.log.Warn("sign-in", slog.String("provider", p.name), slog.Any("error", err))
		if errors.Is(err, errUnavailable) {
			h.home(w, r, failedUnavailable)
			return
		}
		h.home(w, r, failedRefused)
		return
	}
	h.sessions.end(cookie(r, sessionCookie)) // ends the session of the person who was signed in here before
	// Strict: only the console's own page sends it. Without an age, it ends with the browser.
	put(w, sessionCookie, h.sessions.begin(p, g), 0, http.SameSiteStrictMode)
	h.log.Info("signed in", slog.String("provider", p.name), slog.String("person", g.person.Name))
	h.home(w, r, "")
}

// failure says in the page's address why the sign-in failed; the page has the words for people.
type failure string

const (
	failedState       failure = "state"       // no login was begun in this browser, or it was another one
	failedCanceled    failure = "canceled"    // the provider did not let the person in
	failedRefused     failure = "refused"     // the provider's answer is not accepted
	failedUnavailable failure = "unavailable" // the provider cannot be reached
	failedUnknown     failure = "unknown"     // there is no such provider
)

func (h *handler) home(w http.ResponseWriter, r *http.Request, f failure) {
	to := "/"
	if f != "" {
		to += "#signin=" + string(f)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// ask passes a request on with the token that its cookie stands for.
func (h *handler) ask(w http.ResponseWriter, r *http.Request) {
	session := cookie(r, sessionCookie)
	if session == "" || r.Header.Get("Authorization") != "" || !ours(r) {
		h.api.ServeHTTP(w, r)
		return
	}
	token, err := h.sessions.token(r.Context(), session)
	switch {
	case errors.Is(err, errUnavailable):
		h.log.Warn("sign-in: not renewed", slog.Any("error", err))
	case err != nil:
		put(w, sessionCookie, "", -1, http.SameSiteStrictMode)
	default:
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
	}
	h.api.ServeHTTP(w, r) // the API refuses it if there is no token
}
