package signin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/identity"
)

const (
	endpointsFor  = time.Hour        // a provider's document is used for this time without a new request
	endpointsRest = 10 * time.Second // between two requests to a provider that cannot be reached
)

// provider is an identity provider at which people sign in.
type provider struct {
	name, title string
	issuer      string
	client      *http.Client
	oauth       oauth2.Config      // without its endpoint
	tokens      *identity.Verifier // trusts this provider only, so that no other one can speak for it
	now         func() time.Time

	mu     sync.Mutex
	known  oauth2.Endpoint
	looked time.Time // when it was found, or when the last request failed
	found  bool
}

func newProvider(name, address string, conf Provider, issuers []identity.Issuer, now func() time.Time) (*provider, error) {
	i := slices.IndexFunc(issuers, func(i identity.Issuer) bool { return i.Issuer == conf.Issuer })
	if i < 0 {
		return nil, fmt.Errorf("`sign_in.providers`: %s: `issuer` %q is none of `issuers`", name, conf.Issuer)
	}
	p := &provider{name: name, title: conf.Title, issuer: conf.Issuer, now: now}
	if p.title == "" {
		p.title = name
	}
	var err error
	if p.tokens, err = identity.Open(issuers[i:i+1], now); err != nil {
		return nil, err
	}
	if p.client, err = identity.Client(issuers[i].CA); err != nil {
		return nil, fmt.Errorf("issuer %s: `ca`: %w", conf.Issuer, err)
	}
	scopes := conf.Scopes
	if len(scopes) == 0 {
		scopes = []string{"profile"}
	}
	p.oauth = oauth2.Config{
		ClientID: issuers[i].Audience, Scopes: append([]string{oidc.ScopeOpenID}, scopes...), RedirectURL: address + path + "/" + name + "/back",
	}
	if conf.Secret != (config.Secret{}) {
		secret, err := conf.Secret.Read("")
		if err != nil {
			return nil, fmt.Errorf("`sign_in.providers`: %s: `secret`: %w", name, err)
		}
		p.oauth.ClientSecret = string(secret)
	}
	return p, nil
}

// endpoint asks the provider for its endpoint. Errors are errUnavailable.
func (p *provider) endpoint(ctx context.Context) (oauth2.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := p.now().Sub(p.looked)
	if (!p.found || since > endpointsFor) && (p.looked.IsZero() || since > endpointsRest) {
		p.looked = p.now()
		// If one browser gives up, the request must not fail for the others that wait; the client has a time limit of
		// its own.
		told, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.issuer)
		if err == nil {
			err = safe(told.Endpoint())
		}
		switch {
		case err == nil:
			p.known, p.found = told.Endpoint(), true
		case !p.found: // otherwise the earlier document is used
			return oauth2.Config{}, fmt.Errorf("%w: %w", errUnavailable, err)
		}
	}
	if !p.found {
		return oauth2.Config{}, errUnavailable
	}
	conf := p.oauth
	conf.Endpoint = p.known
	return conf, nil
}

func safe(e oauth2.Endpoint) error {
	for _, at := range []string{e.AuthURL, e.TokenURL} {
		if u, err := url.Parse(at); err != nil || u.Scheme != "https" || u.Host == "" {
			return errors.New("the provider's endpoints are not behind HTTPS")
		}
	}
	return nil
}

// login is the state of a running login: a random secret, in the browser that began it.
type login string

// of derives a value from the login. One derived value reveals neither the secret nor another one.
func (l login) of(what string, p *provider) string {
	m := hmac.New(sha256.New, []byte(l))
	m.Write([]byte(what + "\x00" + p.name))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (l login) state(p *provider) string    { return l.of("state", p) }
func (l login) nonce(p *provider) string    { return l.of("nonce", p) }
func (l login) verifier(p *provider) string { return l.of("verifier", p) }

// ask is the address at which the provider identifies the person.
func (p *provider) ask(ctx context.Context, l login) (string, error) {
	conf, err := p.endpoint(ctx)
	if err != nil {
		return "", err
	}
	return conf.AuthCodeURL(l.state(p), oidc.Nonce(l.nonce(p)), oauth2.S256ChallengeOption(l.verifier(p))), nil
}

// grant is what a provider gave: a token that identifies a person, and what renews it.
type grant struct {
	token, refresh string
	person         identity.Person
}

// redeem exchanges the code of an answer for a grant. Errors wrap errToken or errUnavailable.
func (p *provider) redeem(ctx context.Context, l login, code string) (grant, error) {
	g, err := p.fetch(ctx, func(ctx context.Context, conf *oauth2.Config) (*oauth2.Token, error) {
		return conf.Exchange(ctx, code, oauth2.VerifierOption(l.verifier(p)))
	})
	if err == nil && g.person.Nonce != l.nonce(p) {
		return grant{}, fmt.Errorf("%w: it answers another login", errToken)
	}
	return g, err
}

// renew returns a grant that follows g, of the same person.
func (p *provider) renew(ctx context.Context, g grant) (grant, error) {
	next, err := p.fetch(ctx, func(ctx context.Context, conf *oauth2.Config) (*oauth2.Token, error) {
		return conf.TokenSource(ctx, &oauth2.Token{RefreshToken: g.refresh}).Token()
	})
	if err != nil {
		return grant{}, err
	}
	if next.person.Name != g.person.Name {
		return grant{}, fmt.Errorf("%w: it was renewed for somebody else", errToken)
	}
	if next.refresh == "" {
		next.refresh = g.refresh
	}
	return next, nil
}

func (p *provider) fetch(ctx context.Context, get func(context.Context, *oauth2.Config) (*oauth2.Token, error)) (grant, error) {
	conf, err := p.endpoint(ctx)
	if err != nil {
		return grant{}, err
	}
	// A code or a refresh token is valid once, so the exchange must finish even if the browser goes away.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), p.client)
	t, err := get(ctx, &conf)
	if err != nil {
		// The provider's message may quote what it received; its error code does not.
		if told := new(oauth2.RetrieveError); errors.As(err, &told) && told.Response.StatusCode < http.StatusInternalServerError {
			return grant{}, fmt.Errorf("%w: the provider answers %s %s", errToken, told.Response.Status, plain(told.ErrorCode))
		}
		return grant{}, errUnavailable
	}
	token, ok := t.Extra("id_token").(string)
	if !ok {
		return grant{}, fmt.Errorf("%w: the provider gave no ID token", errToken)
	}
	person, err := p.tokens.Verify(ctx, token)
	switch {
	case errors.Is(err, identity.ErrUnavailable):
		return grant{}, fmt.Errorf("%w: %w", errUnavailable, err)
	case err != nil:
		return grant{}, fmt.Errorf("%w: %w", errToken, err)
	}
	return grant{token: token, refresh: t.RefreshToken, person: person}, nil
}

// plain returns an error code if RFC 6749 allows it and it can be logged, otherwise "".
func plain(code string) string {
	if len(code) > 64 || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return ""
	}
	return code
}

var (
	// errToken says that a provider's answer is not accepted.
	errToken = errors.New("the sign-in is not accepted")
	// errUnavailable says that a provider could not be asked.
	errUnavailable = errors.New("the identity provider cannot be reached")
)
