package coordinator

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/notify"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/signin"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/telemetry"
)

// Config is the file coordinator.yaml; docs/coordinator.yaml explains each key.
type Config struct {
	Federation     string        `yaml:"federation"`
	Name           string        `yaml:"name"`
	Listen         string        `yaml:"listen"`
	TLS            KeyPair       `yaml:"tls"`
	FlightSQL      Door          `yaml:"flight_sql"`
	Postgres       PostgresDoor  `yaml:"postgres"`
	Nodes          Identity      `yaml:"nodes"`
	Gossip         Gossip        `yaml:"gossip"`
	Door           HospitalDoor  `yaml:"door"`
	Catalog        string        `yaml:"catalog"`
	Hospitals      []string      `yaml:"hospitals"`
	Require        Require       `yaml:"require"`
	Ledger         string        `yaml:"ledger"`
	Confidence     float64       `yaml:"confidence"`
	QueryTimeout   time.Duration `yaml:"query_timeout"`
	PrepareTimeout time.Duration `yaml:"prepare_timeout"`
	AnswerGrid     grid.Grid     `yaml:"answer_grid"`
	// those who may propose and close studies: files of public keys, by name
	Operators map[string]string `yaml:"operators"`
	Former    []string          `yaml:"former"` // names of operators who left: their keys no longer sign
	Limits    Limits            `yaml:"limits"`
	Sealed    Sealed            `yaml:"sealed"`
	Public    Public            `yaml:"public"`
	// FirstProfiles are, by study, the share of its whole budget that the first profile of a table may cost. It is taken
	// when a question first reads the table. A study that is not named takes no profile by itself.
	FirstProfiles map[string]float64 `yaml:"first_profiles"`
	Researchers   map[string]Access  `yaml:"researchers"`
	Issuers       []identity.Issuer  `yaml:"issuers"`
	SignIn        signin.Config      `yaml:"sign_in"`
	Notify        notify.Config      `yaml:"notify"`
	Operations    telemetry.Config   `yaml:",inline"`
}

// largestFirst is the largest share of a study's budget that a first profile may cost.
const largestFirst = 0.1

// Sealed says how sealed studies are answered.
type Sealed struct {
	// Masks: hospitals mask their numbers as well, so that each may rely on the others' noise. The node.yaml of each must
	// pin the keys of all others.
	Masks bool `yaml:"masks"`
}

// Public says where rows of public tables are read, if the coordinator has a copy of them. Without a copy, hospitals
// are asked.
type Public struct {
	DuckDB *PublicDuckDB `yaml:"duckdb"`
}

// PublicDuckDB is a copy of public tables that DuckDB reads; one of Database and Folder is given.
type PublicDuckDB struct {
	Database    string `yaml:"database"`     // a .duckdb file
	Folder      string `yaml:"folder"`       // Parquet or CSV files of the tables' names
	MemoryLimit string `yaml:"memory_limit"` // such as "2GB"; empty: 80 % of the machine's memory
}

// KeyPair is a certificate chain and its private key, both PEM files.
type KeyPair struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// Door is another address for researchers, with the certificate of the HTTPS API.
type Door struct {
	Listen string `yaml:"listen"` // host:port; empty: closed
}

// HospitalDoor is where hospitals connect that accept no connections themselves.
type HospitalDoor struct {
	Listen    string `yaml:"listen"`    // host:port; empty: no address of its own
	WebSocket bool   `yaml:"websocket"` // the HTTPS API also accepts their connections, at outward.Path
}

func (d HospitalDoor) open() bool { return d.Listen != "" || d.WebSocket }

// PostgresDoor is the door for tools that speak PostgreSQL's protocol.
type PostgresDoor struct {
	Door `yaml:",inline"`
	// ProcessMemory limits the memory of each process that answers questions about the catalog, such as "256MB"; empty:
	// that value.
	ProcessMemory string `yaml:"process_memory"`
}

// Identity holds the PEM files with which the coordinator authenticates to the nodes, and that of the authority that it
// trusts.
type Identity struct {
	CA          string `yaml:"ca"`
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// Gossip is how the coordinator finds nodes that listen.
type Gossip struct {
	Listen    string        `yaml:"listen"`    // IP:port, TCP and UDP; empty: no node listens
	Advertise string        `yaml:"advertise"` // IP:port that others reach; empty: Listen
	Join      []string      `yaml:"join"`      // host:port of members; empty: others join the coordinator
	Key       config.Secret `yaml:"key"`       // the federation's key, which encrypts the gossip
}

// Limits bound what one researcher, and one study, may ask.
type Limits struct {
	PerMinute      int `yaml:"per_minute"`       // queries of one researcher in a minute
	AtOnce         int `yaml:"at_once"`          // queries of one researcher in progress
	StudyPerMinute int `yaml:"study_per_minute"` // queries of one study in a minute
	StudyAtOnce    int `yaml:"study_at_once"`    // queries of one study in progress
}

// DefaultLimits are the limits if the file does not set them.
var DefaultLimits = Limits{PerMinute: 120, AtOnce: 16, StudyPerMinute: 1200, StudyAtOnce: 200}

// Access is a local account. It has a bearer token: either its SHA-256 in hexadecimal digits, or where the token itself
// is kept.
type Access struct {
	TokenSHA256 string        `yaml:"token_sha256"`
	Token       config.Secret `yaml:"token"`
	// Scram holds the SCRAM keys with which the token's owner signs in at the PostgreSQL door without sending it
	// (identity.ScramKeys). If it is empty, the token is sent there, over TLS. With Token it is derived and stays empty.
	Scram string `yaml:"scram"`
	// Roles are researcher, custodian, operator. Empty: researcher.
	Roles []string `yaml:"roles"`
	// Budget is the most that the researcher's queries may cost under all studies together; nil: only the studies limit
	// them.
	Budget *dp.Budget `yaml:"budget"`
}

// Require is how many hospitals must answer: `all`, or a number. The zero value
// is all.
type Require struct{ atLeast int }

// UnmarshalYAML reads `all` or a number of at least 1.
func (r *Require) UnmarshalYAML(n *yaml.Node) error {
	if n.Value == "all" {
		*r = Require{}
		return nil
	}
	count, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || count < 1 {
		return errors.New("must be `all` or a number of hospitals from 1 up")
	}
	r.atLeast = count
	return nil
}

func (r Require) of(hospitals int) int {
	if r.atLeast == 0 {
		return hospitals
	}
	return r.atLeast
}

// builtinPrefix begins the name of a built-in catalog. A name without it is a file.
const builtinPrefix = "builtin:"

// LoadConfig reads and checks the file at path. Paths in it become relative to
// its directory. The error lists every problem.
func LoadConfig(path string) (*Config, error) {
	c := &Config{
		Name: "coordinator", Listen: "localhost:8443", Confidence: 0.95,
		QueryTimeout: 5 * time.Minute, PrepareTimeout: 10 * time.Second, AnswerGrid: grid.Default, Limits: DefaultLimits,
	}
	if err := config.Load(path, c); err != nil {
		return nil, err
	}
	for _, p := range []*string{
		&c.TLS.Certificate, &c.TLS.Key, &c.Nodes.CA, &c.Nodes.Certificate, &c.Nodes.Key, &c.Ledger, &c.Gossip.Key.File, &c.Operations.Tracing.CA,
	} {
		*p = config.Resolve(path, *p)
	}
	if own := c.Public.DuckDB; own != nil {
		own.Database, own.Folder = config.Resolve(path, own.Database), config.Resolve(path, own.Folder)
	}
	for name, r := range c.Researchers {
		r.Token.File = config.Resolve(path, r.Token.File)
		c.Researchers[name] = r
	}
	identity.Resolve(path, c.Issuers)
	c.SignIn.Resolve(path)
	c.Notify.Resolve(path)
	for name, file := range c.Operators {
		c.Operators[name] = config.Resolve(path, file)
	}
	if !strings.HasPrefix(c.Catalog, builtinPrefix) {
		c.Catalog = config.Resolve(path, c.Catalog)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// plainName is the form of the names of studies and researchers: they
// appear in ledgers and URLs.
var plainName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

func (c *Config) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	needed := []struct{ key, value string }{
		{"federation", c.Federation}, {"listen", c.Listen}, {"catalog", c.Catalog}, {"ledger", c.Ledger},
		{"tls.certificate", c.TLS.Certificate}, {"tls.key", c.TLS.Key},
		{"nodes.ca", c.Nodes.CA}, {"nodes.certificate", c.Nodes.Certificate}, {"nodes.key", c.Nodes.Key},
	}
	for _, n := range needed {
		if n.value == "" {
			problem("`%s` is not set", n.key)
		}
	}
	if len(c.Hospitals) == 0 {
		problem("`hospitals` is empty; name every hospital of the federation")
	}
	if err := (pki.Identity{Federation: c.Federation, Role: pki.RoleCoordinator, Name: c.Name}).Validate(); err != nil && c.Federation != "" {
		problem("`federation` and `name`: %w", err)
	}
	for i, name := range c.Hospitals {
		if err := (pki.Identity{Federation: c.Federation, Role: pki.RoleNode, Name: name}).Validate(); err != nil && c.Federation != "" {
			problem("`hospitals`: %w", err)
		}
		if slices.Contains(c.Hospitals[:i], name) {
			problem("hospital %q is named twice", name)
		}
	}
	if c.Require.atLeast > len(c.Hospitals) {
		problem("`require` is %d, and there are %d hospitals", c.Require.atLeast, len(c.Hospitals))
	}
	if !(c.Confidence >= 0.5 && c.Confidence <= 0.999999) {
		problem("`confidence` is %v; give a number from 0.5 to 0.999999", c.Confidence)
	}
	problems = append(problems, c.Gossip.validate(c.Door)...)
	if _, _, err := net.SplitHostPort(c.Door.Listen); c.Door.Listen != "" && err != nil {
		problem("`door.listen` must be host:port, such as 0.0.0.0:8444")
	}
	if own := c.Public.DuckDB; own != nil && (own.Database == "") == (own.Folder == "") {
		problem("`public.duckdb` needs either `database`, a .duckdb file, or `folder`, with Parquet or CSV files")
	}
	if c.QueryTimeout <= 0 || c.PrepareTimeout <= 0 {
		problem("`query_timeout` and `prepare_timeout` must be above 0")
	}
	// A worker takes almost 100 MB before it is asked anything.
	if n, ok := config.ParseSize(c.Postgres.ProcessMemory); c.Postgres.ProcessMemory != "" && (!ok || n < 128e6) {
		problem("`postgres.process_memory` is %q; write a size of 128MB or more", c.Postgres.ProcessMemory)
	}
	if err := c.AnswerGrid.Validate(); err != nil {
		problems = append(problems, fmt.Errorf("`answer_grid`: %w", err))
	}
	for _, name := range c.Former {
		if c.Operators[name] == "" {
			problem("`former` names %q, who is not in `operators`; the key of who left stays there", name)
		}
	}
	for name, share := range c.FirstProfiles {
		if !study.ValidID(name) || !(share > 0 && share <= largestFirst) {
			problem("`first_profiles`: %q: %v; give a study's id, and a share above 0 and at most %v", name, share, largestFirst)
		}
	}
	if err := c.Limits.validate(); err != nil {
		problems = append(problems, err)
	}
	if err := identity.Validate(c.Issuers); err != nil {
		problems = append(problems, err)
	}
	if err := c.Notify.Validate(); err != nil {
		problems = append(problems, err)
	}
	if err := c.SignIn.Validate("sign_in", c.Issuers); err != nil {
		problems = append(problems, err)
	}
	if err := c.Operations.Validate(); err != nil {
		problems = append(problems, err)
	}
	for name, r := range c.Researchers {
		if !plainName.MatchString(name) {
			problem("researcher %q: a name has lower-case letters, digits, '.', '_' and '-'", name)
		}
		if (r.TokenSHA256 == "") == (r.Token == config.Secret{}) {
			problem("researcher %s: give one of `token_sha256` and `token`", name)
		}
		if r.Scram != "" && r.TokenSHA256 == "" {
			problem("researcher %s: `scram` stands beside `token_sha256`; of `token` it is derived", name)
		}
		for _, role := range r.Roles {
			if _, ok := identity.ParseRole(role); !ok {
				problem("researcher %s: role %q; give researcher, custodian or operator", name, role)
			}
		}
		if r.Budget != nil {
			if err := r.Budget.Validate(); err != nil {
				problem("researcher %s: `budget`: %w", name, err)
			}
		}
	}
	return errors.Join(problems...)
}

// Given reports whether the coordinator takes part in gossip.
func (g Gossip) Given() bool { return g.Listen != "" }

func (g Gossip) validate(door HospitalDoor) (problems []error) {
	switch {
	case g.Given() && g.Key == (config.Secret{}):
		problems = append(problems, errors.New("`gossip.key` is not set; all daemons of the federation that listen share one"))
	case !g.Given() && (g.Advertise != "" || len(g.Join) > 0 || g.Key != (config.Secret{})):
		problems = append(problems, errors.New("`gossip.listen` is not set; without it leave `gossip` out"))
	case !g.Given() && !door.open():
		problems = append(problems, errors.New("no hospital could be reached: give `door.listen` or `door.websocket`, for nodes that dial out, or `gossip`, for nodes that listen"))
	}
	return problems
}

// validate lists the errors, one per line.
func (l Limits) validate() error {
	for _, n := range []int{l.PerMinute, l.AtOnce, l.StudyPerMinute, l.StudyAtOnce} {
		if n < 1 || n > 1_000_000 {
			return errors.New("each of `limits` must be from 1 to 1000000")
		}
	}
	return nil
}

// terms are the validity periods of the certificates that the coordinator needs, as far as they can be read.
func (c *Config) terms() (all []pki.Term) {
	add := func(what, file string, latest bool) {
		if t, err := pki.ReadTerm(what, file, latest); err == nil {
			all = append(all, t)
		}
	}
	add("https", c.TLS.Certificate, false)
	add("nodes", c.Nodes.Certificate, false)
	add("authority", c.Nodes.CA, true)
	return all
}

// MinToken is the length of the shortest token that is accepted, in bytes, so that it cannot be guessed.
const MinToken = 16

func (c Access) roles() []identity.Role {
	if len(c.Roles) == 0 {
		return []identity.Role{identity.RoleResearcher}
	}
	roles := make([]identity.Role, len(c.Roles))
	for i, r := range c.Roles {
		roles[i] = identity.Role(r)
	}
	return roles
}

func (c Access) hash() ([sha256.Size]byte, error) {
	var sum [sha256.Size]byte
	if c.TokenSHA256 != "" {
		b, err := hex.DecodeString(c.TokenSHA256)
		if err != nil || len(b) != sha256.Size {
			return sum, errors.New("`token_sha256` must be 64 hexadecimal digits; `sha256sum` prints them")
		}
		return [sha256.Size]byte(b), nil
	}
	token, err := c.token()
	return sha256.Sum256(token), err
}

// token reads the token from its file.
func (c Access) token() ([]byte, error) {
	token, err := c.Token.Read("")
	if err == nil && len(token) < MinToken {
		err = fmt.Errorf("the token is shorter than %d characters", MinToken)
	}
	return token, err
}

// enter adds the account to the book of accounts that can sign in by SCRAM, if it can.
func (c Access) enter(book *identity.Book, name string) error {
	if c.Scram != "" {
		keys, err := identity.ParseScramKeys(c.Scram)
		if err != nil {
			return fmt.Errorf("`scram`: %w", err)
		}
		book.Put(name, keys)
		return nil
	}
	if c.TokenSHA256 != "" {
		return nil
	}
	token, err := c.token()
	if err != nil {
		return err
	}
	return book.PutToken(name, string(token))
}
