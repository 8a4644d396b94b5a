package trino

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/csv"
)

// Config is the key `engine.trino` of a node's file.
type Config struct {
	// URL is the coordinator's URL, such as https://trino.example:8443. A password or token is refused without TLS.
	URL string `yaml:"url"`
	// Catalog is Trino's catalog of the tables. A `select` may read tables of other catalogs.
	Catalog string `yaml:"catalog"`
	// Schema is the schema of tables that are named without one.
	Schema string `yaml:"schema"`
	User   string `yaml:"user"`
	// Password is the user's password. Without Password and Token, the server asks for none.
	Password config.Secret `yaml:"password,omitempty"`
	// Token is a JWT. Its file is read at each request, so it may be renewed while the node runs.
	Token config.Secret `yaml:"token,omitempty"`
	// CA is a PEM file of the trusted authorities; empty: the system's.
	CA string `yaml:"ca,omitempty"`
	// Certificate and Key are PEM files that authenticate the node to the server; empty: none.
	Certificate string `yaml:"certificate,omitempty"`
	Key         string `yaml:"key,omitempty"`
	// Tables says where the local source of a catalog's table differs from it in its name or columns. A table that is
	// neither here nor found in Schema is not offered.
	Tables map[string]engine.Source `yaml:"tables,omitempty"`
	// Timezone is the hospital's time zone, such as Europe/Paris. A timestamp with a zone is read as the time of day
	// there. Empty: UTC.
	Timezone string `yaml:"timezone,omitempty"`
	// Timeout limits one query at the server, in case the node itself is gone; 0: 1 hour.
	Timeout time.Duration `yaml:"timeout,omitempty"`
	// DataVersion names the state of the data. The custodian changes it after each load.
	DataVersion string `yaml:"data_version"`
}

// Resolve makes paths relative to the directory of the file at path.
func (c *Config) Resolve(path string) {
	for _, p := range []*string{&c.Password.File, &c.Token.File, &c.CA, &c.Certificate, &c.Key} {
		*p = config.Resolve(path, *p)
	}
}

// Validate returns an error that lists every problem, one per line.
func (c *Config) Validate() error {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%w: "+format, append([]any{engine.ErrConfig}, args...)...))
	}
	for _, n := range []struct{ key, value string }{{"catalog", c.Catalog}, {"schema", c.Schema}, {"user", c.User}} {
		if n.value == "" {
			problem("`%s` is not set", n.key)
		}
	}
	if err := csv.Zone(c.Timezone); err != nil {
		problem("`timezone`: %w", err)
	}
	if c.DataVersion == "" {
		problem("`data_version` is not set: Trino cannot tell when its data changes, so name it, such as 2027-01-31, and change the name with each load")
	}
	u, err := url.Parse(c.URL)
	switch secret := c.Password != (config.Secret{}) || c.Token != (config.Secret{}); {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		problem("`url` must be such as https://trino.example:8443")
	case u.User != nil:
		problem("`url` names a user or a password; use `user` and `password`")
	case secret && u.Scheme != "https":
		problem("a password or a token needs https in `url`")
	}
	if c.Password != (config.Secret{}) && c.Token != (config.Secret{}) {
		problem("give `password` or `token`, not both")
	}
	if (c.Certificate == "") != (c.Key == "") {
		problem("`certificate` and `key` go together")
	}
	if c.Timeout < 0 {
		problem("`timeout` must not be below 0")
	}
	for name, s := range c.Tables {
		if s.File != "" {
			problem("table %s names a file; Trino has `table` and `select`", name)
		}
		if s.CSV != nil {
			problem("table %s has `csv`, and there is no file here", name)
		}
	}
	return errors.Join(problems...)
}

// client returns the HTTP client of the connections.
func (c *Config) client() (*http.Client, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("%w: ca: %w", engine.ErrConfig, err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: ca: %s holds no certificate", engine.ErrConfig, c.CA)
		}
	}
	if c.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate: %w", engine.ErrConfig, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	transport := patient{&http.Transport{TLSClientConfig: t, Proxy: nil, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute}}
	if c.Token == (config.Secret{}) {
		return &http.Client{Transport: transport}, nil
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: `url`: %w", engine.ErrConfig, err)
	}
	if _, err := c.Token.Read(""); err != nil {
		return nil, fmt.Errorf("%w: token: %w", engine.ErrConfig, err)
	}
	return &http.Client{Transport: &bearer{transport, c.Token, u.Host}}, nil
}

// bearer sends a token with each request to one host. It reads the token each time, because tokens expire and the file
// is rewritten while the node runs.
type bearer struct {
	patient
	token config.Secret
	host  string
}

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != b.host {
		return b.patient.RoundTrip(r)
	}
	token, err := b.token.Read("")
	if err != nil {
		return nil, fmt.Errorf("%w: token: %w", engine.ErrConfig, err)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(token))
	return b.patient.RoundTrip(r)
}

// farewell limits the time to tell the server that a query is cancelled; Trino's client waits for that. If it fails,
// query_max_run_time ends the query, or the server does earlier because the client no longer polls.
const farewell = time.Second

// patient is a transport that stops waiting where nothing depends on an answer.
type patient struct{ *http.Transport }

func (p patient) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodDelete {
		return p.Transport.RoundTrip(r)
	}
	ctx, cancel := context.WithTimeout(r.Context(), farewell)
	defer cancel() // no body of an answer is read
	return p.Transport.RoundTrip(r.WithContext(ctx))
}
