package node

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/notify"
	"github.com/intramuros/intramuros/internal/outward"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/seal"
	"github.com/intramuros/intramuros/internal/signin"
	"github.com/intramuros/intramuros/internal/telemetry"
)

// Config is a hospital's policy and its place in the federation: the file node.yaml without its key `engine`.
// docs/node.yaml explains each key. With the zero value, nobody may propose or approve a study, and no statement about
// who asks is trusted.
type Config struct {
	Name       string  `yaml:"name"`       // the hospital's name, as in its certificate
	Federation string  `yaml:"federation"` // as in its certificate
	Listen     string  `yaml:"listen"`     // host:port for coordinators
	Advertise  string  `yaml:"advertise"`  // host:port at which coordinators reach Listen; empty: Listen
	Catalog    string  `yaml:"catalog"`    // a file or builtin:NAME
	TLS        TLS     `yaml:"tls"`
	Gossip     Gossip  `yaml:"gossip"`
	Outward    Outward `yaml:"outward"` // replaces Listen, Advertise and Gossip
	Ledger     string  `yaml:"ledger"`  // file
	// decides which groups of a patient are kept; unset: a key is made beside the ledger
	GroupKey  config.Secret     `yaml:"group_key"`
	Budget    dp.Budget         `yaml:"budget"`    // limit over all studies together
	Operators map[string]string `yaml:"operators"` // those who may propose studies: files of public keys, by name
	// those who decide about studies here: files of public keys, by name
	Custodians map[string]string `yaml:"custodians"`
	Former     []string          `yaml:"former"` // names of operators and custodians who left: their keys no longer sign
	// SignaturesRequired is how many custodians must sign an act that opens a study. An act that closes one needs one
	// signature. 0 means 1.
	SignaturesRequired int `yaml:"signatures_required"`
	// CoordinatorKey is the file of the coordinator's public key. That key signs its checkpoints and the tokens of its
	// local accounts.
	CoordinatorKey string `yaml:"coordinator_key"`
	// LocalAccounts: the node trusts the coordinator to identify the researchers of its local accounts.
	LocalAccounts bool              `yaml:"local_accounts"`
	Issuers       []identity.Issuer `yaml:"issuers"` // trusted identity providers
	Limits        Limits            `yaml:"limits"`
	Sealed        Sealed            `yaml:"sealed"`
	Console       Console           `yaml:"console"`
	Notify        notify.Config     `yaml:"notify"`
	Operations    telemetry.Config  `yaml:",inline"` // metrics on loopback only, because they are private
}

// Sealed says when this hospital covers its numbers before they leave, in addition to studies that demand it.
type Sealed struct {
	Required bool `yaml:"required"` // in every study
	// Hospitals is how many hospitals the federation has, this one included. A patient may be at all of them, or at the
	// catalog's max_sites if that is less. A sealed study's own list of hospitals takes precedence.
	Hospitals int `yaml:"hospitals"`
	// Peers are the other hospitals with which this one masks its numbers: files of the public keys of their ledgers, by
	// name.
	Peers map[string]string `yaml:"peers"`
}

func (s Sealed) validate() error {
	if s.Hospitals < 0 || s.Hospitals > dp.MaxSites {
		return fmt.Errorf("`sealed.hospitals` must be from 1 to %d", dp.MaxSites)
	}
	if len(s.Peers) >= seal.MaxMembers || s.Hospitals > 0 && len(s.Peers) >= s.Hospitals {
		return fmt.Errorf("`sealed.peers` names %d other hospitals, and `sealed.hospitals` says that there are %d in all", len(s.Peers), s.Hospitals)
	}
	if s.Required && s.Hospitals == 0 {
		return errors.New("`sealed.hospitals` is not set; how many hospitals a patient may be at decides how much noise covers this one")
	}
	return nil
}

// Console is the custodian's page.
type Console struct {
	Listen string        `yaml:"listen"` // host:port; empty: no page
	Token  config.Secret `yaml:"token"`  // admits whoever has it, without a name
	// People are let in by name: each with a personal token or, if none is set, as an identity provider names them.
	// Providers also let in everybody who has the role custodian.
	People map[string]config.Secret `yaml:"people"`
	// Issuers are the providers that are trusted about custodians. They are not those of researchers, whose tokens the
	// coordinator sees.
	Issuers []identity.Issuer `yaml:"issuers"`
	SignIn  signin.Config     `yaml:"sign_in"`
	// PEM files of the page's HTTPS. Without them Listen must be an address of the machine itself.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// MinToken is the shortest token of a Console, in bytes.
const MinToken = 16

// Closed reports whether there is no page.
func (c Console) Closed() bool { return reflect.DeepEqual(c, Console{}) }

func (c Console) validate() error {
	if c.Closed() {
		return nil
	}
	host, _, err := net.SplitHostPort(c.Listen)
	switch ip := net.ParseIP(host); {
	case err != nil:
		return errors.New("`console.listen` must be host:port, such as 127.0.0.1:8816")
	case c.Token == (config.Secret{}) && len(c.People) == 0 && len(c.Issuers) == 0:
		return errors.New("`console.token` is not set, nor `console.people`; make a token with: openssl rand -hex 32")
	case (c.Certificate == "") != (c.Key == ""):
		return errors.New("`console.certificate` and `console.key` go together")
	case c.Certificate == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()):
		return errors.New("`console.certificate` is not set; without HTTPS, `console.listen` must be an address of this machine alone, such as 127.0.0.1:8816")
	case c.Certificate == "" && len(c.SignIn.Providers) > 0:
		return errors.New("`console.sign_in` needs `console.certificate`: browsers keep its cookie for HTTPS alone")
	}
	return c.people()
}

// people lists the errors in People and Issuers.
func (c Console) people() error {
	problems := []error{c.SignIn.Validate("console.sign_in", c.Issuers)}
	if err := identity.Validate(c.Issuers); err != nil {
		problems = append(problems, fmt.Errorf("`console.issuers`: %w", err))
	}
	for name, token := range c.People {
		if !identity.ValidName(name) {
			problems = append(problems, fmt.Errorf("`console.people`: %q: a name has lower-case letters, digits, '.', '_', '-' and '@'", name))
		}
		if token == (config.Secret{}) && len(c.Issuers) == 0 {
			problems = append(problems, fmt.Errorf("`console.people`: %s has no token, and `console.issuers` names no provider", name))
		}
	}
	return errors.Join(problems...)
}

// resolve makes paths relative to the directory of the file at path.
func (c *Console) resolve(path string) {
	for _, p := range []*string{&c.Token.File, &c.Certificate, &c.Key} {
		*p = config.Resolve(path, *p)
	}
	for name, token := range c.People {
		token.File = config.Resolve(path, token.File)
		c.People[name] = token
	}
	identity.Resolve(path, c.Issuers)
	c.SignIn.Resolve(path)
}

// TLS names the PEM files of the federation's authority and of the node.
type TLS struct {
	CA          string `yaml:"ca"`
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// Gossip is how the federation's daemons find each other.
type Gossip struct {
	Listen    string        `yaml:"listen"`    // host:port, TCP and UDP
	Advertise string        `yaml:"advertise"` // host:port that others reach; empty: Listen
	Join      []string      `yaml:"join"`      // host:port of members; empty: others join this node
	Key       config.Secret `yaml:"key"`       // the federation's key, which encrypts the gossip
}

// Outward configures a node that accepts no connections: it connects to the coordinator's door.
type Outward struct {
	Door string `yaml:"door"` // host:port, or wss://host of a WebSocket; empty: the node listens
	// Proxy is the HTTP proxy for this connection: env (or empty), none, or its address.
	Proxy string `yaml:"proxy"`
	// CA is a PEM file of authorities that may sign the certificate of a WebSocket's HTTPS, beside the system's and the
	// federation's. A proxy that inspects TLS needs one. Empty: none.
	CA string `yaml:"ca"`
}

func (o Outward) validate() (problems []error) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if o.Door == "" {
		problem("`outward.door` is not set; ask the federation for the address of its coordinator's door")
		return problems
	}
	address, socket, err := outward.ParseDoor(o.Door)
	if err != nil {
		problem("`outward.door`: %w", err)
		return problems
	}
	if _, err := outward.ParseProxy(o.Proxy, address); err != nil {
		problem("`outward.proxy`: %w", err)
	}
	if o.CA != "" && socket == nil {
		problem("`outward.ca` is about the HTTPS of a door that is wss://…; over %s the federation's own certificates are shown", o.Door)
	}
	return problems
}

// Limits bound the resources of one query and of all queries.
type Limits struct {
	MaxGroups  int `yaml:"max_groups"` // of one patient, in one query
	MaxRows    int `yaml:"max_rows"`   // of one patient in total, before clipping
	Concurrent int `yaml:"concurrent"` // queries that run at once; others wait
	PerMinute  int `yaml:"per_minute"` // queries that one researcher may prepare in a minute
	AtOnce     int `yaml:"at_once"`    // queries of one researcher that may be reserved or running
	// PublicRows is the number of rows of public tables that may leave at once, at most fragment.MaxLookupRows; 0: none.
	PublicRows int `yaml:"public_rows"`
	// FailuresAllowed is how many queries of a study may fail after their charge. Then the study is suspended until it is
	// resumed.
	FailuresAllowed int `yaml:"failures_allowed"`

	QueryTimeout time.Duration `yaml:"query_timeout"` // of one query, including its wait
	Reservation  time.Duration `yaml:"reservation"`   // how long a prepared query is reserved
}

// DefaultConfig has the values of keys that the file does not set.
func DefaultConfig() Config {
	return Config{Limits: Limits{MaxGroups: 100, MaxRows: 1000, Concurrent: 2, PerMinute: 120, AtOnce: 16, PublicRows: fragment.MaxLookupRows, FailuresAllowed: 5, QueryTimeout: 5 * time.Minute, Reservation: time.Minute}}
}

const (
	builtinPrefix = "builtin:"
)

// Resolve makes paths relative to the directory of the file at path.
func (c *Config) Resolve(path string) {
	for _, p := range []*string{
		&c.TLS.CA, &c.TLS.Certificate, &c.TLS.Key, &c.Ledger, &c.Gossip.Key.File, &c.GroupKey.File, &c.CoordinatorKey,
		&c.Outward.CA, &c.Operations.Tracing.CA,
	} {
		*p = config.Resolve(path, *p)
	}
	c.Console.resolve(path)
	c.Notify.Resolve(path)
	for _, keys := range []map[string]string{c.Operators, c.Custodians, c.Sealed.Peers} {
		for name, file := range keys {
			keys[name] = config.Resolve(path, file)
		}
	}
	identity.Resolve(path, c.Issuers)
	if !strings.HasPrefix(c.Catalog, builtinPrefix) {
		c.Catalog = config.Resolve(path, c.Catalog)
	}
}

// present lists the names of the people who have not left.
func (c *Config) present(keys map[string]string) []string {
	names := slices.Sorted(maps.Keys(keys))
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(c.Former, name) })
}

// Validate lists every problem, one a line.
func (c *Config) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, n := range []struct{ key, value string }{
		{"name", c.Name}, {"federation", c.Federation}, {"catalog", c.Catalog}, {"ledger", c.Ledger},
		{"tls.ca", c.TLS.CA}, {"tls.certificate", c.TLS.Certificate}, {"tls.key", c.TLS.Key},
	} {
		if n.value == "" {
			problem("`%s` is not set", n.key)
		}
	}
	problems = append(problems, c.reached()...)
	if c.Name != "" && c.Federation != "" {
		if err := c.self().Validate(); err != nil {
			problem("`name` and `federation`: %w", err)
		}
	}
	if err := c.Budget.Validate(); err != nil {
		problem("`budget`, the cap over all studies: %w", err)
	}
	if n, have := c.SignaturesRequired, len(c.present(c.Custodians)); n < 0 || n > 1 && n > have {
		problem("`signatures_required` is %d and `custodians` names %d who have not left: no study could open; name more, or require fewer", n, have)
	}
	for _, name := range c.Former {
		if c.Operators[name] == "" && c.Custodians[name] == "" {
			problem("`former` names %q, who is neither in `operators` nor in `custodians`; the key of who left stays there", name)
		}
	}
	if c.CoordinatorKey == "" {
		problem("`coordinator_key` is not set; ask the federation for the coordinator's public key")
	}
	if err := identity.Validate(c.Issuers); err != nil {
		problems = append(problems, err)
	}
	if err := c.Console.validate(); err != nil {
		problems = append(problems, err)
	}
	if err := errors.Join(c.Limits.validate(), c.Sealed.validate(), c.Notify.Validate()); err != nil {
		problems = append(problems, err)
	}
	if err := c.Operations.Validate(); err != nil {
		problems = append(problems, err)
	}
	if m := c.Operations.Metrics.Listen; m != "" && !telemetry.Loopback(m) {
		problem("`metrics.listen` is %q; a node's metrics tell how long it computes, which is private: give loopback, such as 127.0.0.1:9464", m)
	}
	return errors.Join(problems...)
}

// terms are the validity periods of the certificates that the node needs, as far as they can be read.
func (c *Config) terms() (all []pki.Term) {
	add := func(what, file string, latest bool) {
		if t, err := pki.ReadTerm(what, file, latest); file != "" && err == nil {
			all = append(all, t)
		}
	}
	add("own", c.TLS.Certificate, false)
	add("authority", c.TLS.CA, true)
	add("console", c.Console.Certificate, false)
	return all
}

// reached lists the errors in the settings by which coordinators reach the node.
func (c *Config) reached() (problems []error) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, n := range []struct{ key, value string }{
		{"listen", c.Listen}, {"advertise", c.Advertise}, {"gossip.listen", c.Gossip.Listen}, {"gossip.advertise", c.Gossip.Advertise},
	} {
		if _, _, err := net.SplitHostPort(n.value); n.value != "" && err != nil {
			problem("`%s` must be host:port, such as 0.0.0.0:8815", n.key)
		}
	}
	if c.Outward != (Outward{}) {
		problems = append(problems, c.Outward.validate()...)
		if c.Listen != "" || c.Advertise != "" || c.Gossip.Listen != "" || c.Gossip.Key != (config.Secret{}) {
			problem("`outward` stands in place of `listen`, `advertise` and `gossip`: such a node opens no port; leave them out")
		}
		return problems
	}
	if c.Listen == "" || c.Gossip.Listen == "" {
		problem("give `outward.door`, and no port is open; or `listen` and `gossip.listen`")
	}
	if host, _, err := net.SplitHostPort(c.Listen); c.Advertise == "" && err == nil {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			problem("`advertise` is not set; `listen` takes any address, so say at which one coordinators reach it")
		}
	}
	if c.Gossip.Key == (config.Secret{}) {
		problem("`gossip.key` is not set; all daemons of the federation share one")
	}
	return problems
}

func (c *Config) self() pki.Identity {
	return pki.Identity{Federation: c.Federation, Role: pki.RoleNode, Name: c.Name}
}

func (l Limits) validate() error {
	var problems []error
	for _, n := range []struct {
		key   string
		value int
	}{{"max_groups", l.MaxGroups}, {"max_rows", l.MaxRows}, {"concurrent", l.Concurrent}, {"per_minute", l.PerMinute}, {"at_once", l.AtOnce}} {
		if n.value < 1 || n.value > 1_000_000 {
			problems = append(problems, fmt.Errorf("`limits.%s` must be from 1 to 1000000", n.key))
		}
	}
	if l.PublicRows < 0 || l.PublicRows > fragment.MaxLookupRows {
		problems = append(problems, fmt.Errorf("`limits.public_rows` must be from 0, for none, to %d", fragment.MaxLookupRows))
	}
	if l.FailuresAllowed < 1 || l.FailuresAllowed > 100 {
		problems = append(problems, errors.New("`limits.failures_allowed` must be from 1 to 100: each failure tells of the data what no noise covers"))
	}
	if l.QueryTimeout <= 0 || l.Reservation <= 0 {
		problems = append(problems, errors.New("`limits.query_timeout` and `limits.reservation` must be above 0"))
	}
	return errors.Join(problems...)
}
