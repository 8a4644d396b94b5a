package notify

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"

	"github.com/intramuros/intramuros/internal/config"
)

// Config is the part `notify` of a daemon's file; docs/node.yaml explains each key. The zero value names nobody.
type Config struct {
	Language Language `yaml:"language"` // empty: English
	Mail     *Mail    `yaml:"mail"`
	Webhook  *Webhook `yaml:"webhook"`
}

// Mail is a mail server, and the people who get mail.
type Mail struct {
	Server   string        `yaml:"server"` // host:port
	TLS      string        `yaml:"tls"`    // starttls, or tls from the first byte; empty: starttls
	CA       string        `yaml:"ca"`     // PEM file of trusted authorities; empty: the system's
	User     string        `yaml:"user"`   // empty: without a login
	Password config.Secret `yaml:"password"`
	From     string        `yaml:"from"`
	To       []string      `yaml:"to"`
}

// Webhook is an address that receives messages.
type Webhook struct {
	URL    string        `yaml:"url"` // https://, or http:// on this machine
	CA     string        `yaml:"ca"`  // as in Mail
	Secret config.Secret `yaml:"secret"`
}

// minSecret is the shortest secret of a webhook, in bytes.
const minSecret = 16

// How mail is sent over TLS.
const (
	startTLS  = "starttls"
	alwaysTLS = "tls"
)

// Resolve makes paths relative to the directory of the file at path.
func (c *Config) Resolve(path string) {
	if m := c.Mail; m != nil {
		m.CA, m.Password.File = config.Resolve(path, m.CA), config.Resolve(path, m.Password.File)
	}
	if w := c.Webhook; w != nil {
		w.CA, w.Secret.File = config.Resolve(path, w.CA), config.Resolve(path, w.Secret.File)
	}
}

// Validate lists the faults, one per line.
func (c *Config) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Language != "" && c.Language != English && c.Language != French {
		problem("`notify.language` is %q; give en or fr", c.Language)
	}
	if m := c.Mail; m != nil {
		if _, _, err := net.SplitHostPort(m.Server); err != nil {
			problem("`notify.mail.server` must be host:port, such as smtp.example.org:587")
		}
		if m.TLS != "" && m.TLS != startTLS && m.TLS != alwaysTLS {
			problem("`notify.mail.tls` is %q; give starttls or tls", m.TLS)
		}
		if (m.User == "") != (m.Password == config.Secret{}) {
			problem("`notify.mail.user` and `notify.mail.password` go together")
		}
		if len(m.To) == 0 {
			problem("`notify.mail.to` is empty; name who gets the mail")
		}
		for _, address := range append([]string{m.From}, m.To...) {
			if _, err := mail.ParseAddress(address); err != nil {
				problem("`notify.mail`: %q is no address of mail; `from` and `to` are such as dpo@chu-lyon.example", address)
			}
		}
	}
	if w := c.Webhook; w != nil {
		u, err := url.Parse(w.URL)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil:
			problem("`notify.webhook.url` must be an https:// address, without a password in it")
		case u.Scheme == "http" && !local(u.Hostname()):
			problem("`notify.webhook.url` must be https://; http:// is for this machine alone, such as http://127.0.0.1:8080/")
		}
		if w.Secret == (config.Secret{}) {
			problem("`notify.webhook.secret` is not set: whoever takes the message could not tell it from a forged one")
		}
	}
	return errors.Join(problems...)
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
