package node

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/pki"
)

// Config is a hospital's policy and its place in the federation: the file
// node.yaml but for its part `engine`. docs/node.yaml explains each key. The zero
// value opens no study and lets nobody ask.
type Config struct {
	Name       string           `yaml:"name"`       // the hospital's, as in its certificate
	Federation string           `yaml:"federation"` // as in its certificate
	Listen     string           `yaml:"listen"`     // host:port for coordinators
	Advertise  string           `yaml:"advertise"`  // host:port at which coordinators reach Listen; empty: Listen
	Catalog    string           `yaml:"catalog"`    // a file, or builtin:NAME
	TLS        TLS              `yaml:"tls"`
	Gossip     Gossip           `yaml:"gossip"`
	Ledger     string           `yaml:"ledger"`    // file
	GroupKey   config.Secret    `yaml:"group_key"` // decides which groups of a patient are kept; unset: made beside the ledger
	Budget     dp.Budget        `yaml:"budget"`    // cap over all studies together
	Studies    map[string]Study `yaml:"studies"`
	Limits     Limits           `yaml:"limits"`
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
	Join      []string      `yaml:"join"`      // host:port of members; empty: they join us
	Key       config.Secret `yaml:"key"`       // encrypts the gossip; the federation's
}

// Study is what the custodian allows one approved project.
type Study struct {
	Budget      dp.Budget `yaml:"budget"`
	MaxEpsilon  float64   `yaml:"max_epsilon"` // no single query may cost more than Laplace noise of this epsilon
	Researchers []string  `yaml:"researchers"` // empty: nobody; "*": whomever the coordinator knows
	Expires     time.Time `yaml:"expires"`     // from this instant on, no query
}

// Limits bound what one query, and all of them together, may take.
type Limits struct {
	MaxGroups    int           `yaml:"max_groups"`    // of one patient, in one query
	MaxRows      int           `yaml:"max_rows"`      // of one patient in a group
	Concurrent   int           `yaml:"concurrent"`    // queries that run at once; others wait their turn
	QueryTimeout time.Duration `yaml:"query_timeout"` // of one query, its wait included
	Reservation  time.Duration `yaml:"reservation"`   // how long a prepared query is held
}

// DefaultConfig is what holds where the file says nothing.
func DefaultConfig() Config {
	return Config{Limits: Limits{MaxGroups: 100, MaxRows: 1000, Concurrent: 2, QueryTimeout: 5 * time.Minute, Reservation: time.Minute}}
}

const (
	builtinPrefix = "builtin:"
	everyone      = "*"
)

// Resolve makes paths relative to the directory of the file at path.
func (c *Config) Resolve(path string) {
	for _, p := range []*string{
		&c.TLS.CA, &c.TLS.Certificate, &c.TLS.Key, &c.Ledger, &c.Gossip.Key.File, &c.GroupKey.File,
	} {
		*p = config.Resolve(path, *p)
	}
	if !strings.HasPrefix(c.Catalog, builtinPrefix) {
		c.Catalog = config.Resolve(path, c.Catalog)
	}
}

// plainName is the form of the names of studies and researchers.
var plainName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

// Validate lists every problem, one a line.
func (c *Config) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, n := range []struct{ key, value string }{
		{"name", c.Name}, {"federation", c.Federation}, {"listen", c.Listen}, {"catalog", c.Catalog}, {"ledger", c.Ledger},
		{"tls.ca", c.TLS.CA}, {"tls.certificate", c.TLS.Certificate}, {"tls.key", c.TLS.Key}, {"gossip.listen", c.Gossip.Listen},
	} {
		if n.value == "" {
			problem("`%s` is not set", n.key)
		}
	}
	for _, n := range []struct{ key, value string }{
		{"listen", c.Listen}, {"advertise", c.Advertise}, {"gossip.listen", c.Gossip.Listen}, {"gossip.advertise", c.Gossip.Advertise},
	} {
		if _, _, err := net.SplitHostPort(n.value); n.value != "" && err != nil {
			problem("`%s` must be host:port, such as 0.0.0.0:8815", n.key)
		}
	}
	if host, _, err := net.SplitHostPort(c.Listen); c.Advertise == "" && err == nil {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			problem("`advertise` is not set; `listen` takes any address, so say at which one coordinators reach it")
		}
	}
	if c.Name != "" && c.Federation != "" {
		if err := c.identity().Validate(); err != nil {
			problem("`name` and `federation`: %w", err)
		}
	}
	if c.Gossip.Key == (config.Secret{}) {
		problem("`gossip.key` is not set; all daemons of the federation share one")
	}
	if err := c.Budget.Validate(); err != nil {
		problem("`budget`, the cap over all studies: %w", err)
	}
	for name, s := range c.Studies {
		if err := s.validate(name); err != nil {
			problems = append(problems, err)
		}
	}
	if err := c.Limits.validate(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func (c *Config) identity() pki.Identity {
	return pki.Identity{Federation: c.Federation, Role: pki.RoleNode, Name: c.Name}
}

func (s Study) validate(name string) error {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("study %s: %w", name, fmt.Errorf(format, args...)))
	}
	if !plainName.MatchString(name) {
		problem("a name has lower-case letters, digits, '.', '_' and '-'")
	}
	if err := s.Budget.Validate(); err != nil {
		problem("`budget`: %w", err)
	}
	if _, err := s.dearest(); err != nil {
		problem("`max_epsilon`, the most that one query may cost, is not set or out of range: %w", err)
	}
	if s.Expires.IsZero() {
		problem("`expires` is not set; write a date such as 2027-12-31")
	}
	for _, r := range s.Researchers {
		if r != everyone && !plainName.MatchString(r) {
			problem("`researchers`: %q is no name; a name has lower-case letters, digits, '.', '_' and '-'", r)
		}
	}
	return errors.Join(problems...)
}

// dearest is the price of the dearest query that is allowed, its thresholds
// aside: under either accounting, Laplace noise of MaxEpsilon.
func (s Study) dearest() (dp.Loss, error) {
	return dp.Noise{Mechanism: dp.Laplace, Epsilon: s.MaxEpsilon, L0: 1}.Loss(0)
}

func (s Study) admits(researcher string) bool {
	return slices.Contains(s.Researchers, everyone) || slices.Contains(s.Researchers, researcher)
}

func (l Limits) validate() error {
	var problems []error
	for _, n := range []struct {
		key   string
		value int
	}{{"max_groups", l.MaxGroups}, {"max_rows", l.MaxRows}, {"concurrent", l.Concurrent}} {
		if n.value < 1 || n.value > 1_000_000 {
			problems = append(problems, fmt.Errorf("`limits.%s` must be from 1 to 1000000", n.key))
		}
	}
	if l.QueryTimeout <= 0 || l.Reservation <= 0 {
		problems = append(problems, errors.New("`limits.query_timeout` and `limits.reservation` must be above 0"))
	}
	return errors.Join(problems...)
}
