package signin

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/identity"
)

// Config says how people sign in to a console with a browser at an identity provider.
type Config struct {
	// Address is the console's address for browsers, https://host[:port].
	Address   string              `yaml:"address"`
	Providers map[string]Provider `yaml:"providers"` // by a name that is part of the redirect URI
}

// Provider is one button of a console.
type Provider struct {
	Issuer string        `yaml:"issuer"` // one of the issuers; its audience is the client's id
	Title  string        `yaml:"title"`  // on the button; empty: the provider's name here
	Secret config.Secret `yaml:"secret"` // the client's secret; not set: a public client, which also uses PKCE
	Scopes []string      `yaml:"scopes"` // beside openid; empty: profile
}

// Resolve makes paths relative to the directory of the file at path.
func (c Config) Resolve(path string) {
	for name, p := range c.Providers {
		p.Secret.File = config.Resolve(path, p.Secret.File)
		c.Providers[name] = p
	}
}

var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

// Validate lists the faults of the configuration below key, one per line. An empty configuration is valid: nobody signs
// in.
func (c Config) Validate(key string, issuers []identity.Issuer) error {
	if c.Address == "" && len(c.Providers) == 0 {
		return nil
	}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if u, err := url.Parse(c.Address); err != nil || u.Scheme != "https" || u.Host == "" || c.Address != "https://"+u.Host {
		problem("`%s.address` must be https://host or https://host:port, as browsers reach the console", key)
	}
	for name, p := range c.Providers {
		if !namePattern.MatchString(name) {
			problem("`%s.providers`: %q: a name has lower-case letters, digits, '.', '_' and '-'", key, name)
		}
		i := slices.IndexFunc(issuers, func(i identity.Issuer) bool { return i.Issuer == p.Issuer })
		if i < 0 {
			problem("`%s.providers`: %s: `issuer` %q is none of `issuers`", key, name, p.Issuer)
			continue
		}
		if !strings.HasPrefix(p.Issuer, "https://") {
			problem("`%s.providers`: %s: `issuer` must be the https:// address of the provider", key, name)
		}
	}
	return errors.Join(problems...)
}
