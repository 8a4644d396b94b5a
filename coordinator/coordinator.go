package coordinator

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/notify"
	"github.com/intramuros/intramuros/internal/outward"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/rate"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/telemetry"
)

// Coordinator answers the queries of one federation. Its methods may be called concurrently.
type Coordinator struct {
	config        *Config
	catalog       *catalog.Catalog
	digest        string // of the catalog
	roster        Roster
	ledger        *ledger.Ledger
	nodes         nodes
	door          *outward.Door                // nil if every hospital listens
	tokens        map[string][sha256.Size]byte // of local accounts, by researcher
	book          *identity.Book               // local accounts that prove their token
	people        *identity.Verifier           // verifies tokens of identity providers
	accounts      *identity.Local              // signs tokens of local accounts for the hospitals
	studies       *study.Registry
	custody       *custody
	notifier      *notify.Notifier // nil if nobody is notified
	askers, asked *rate.Limiter    // by researcher and by study
	outlined      *rate.Limiter    // by researcher: queries that are only planned
	refused       *rate.Volume     // by study and researcher: bytes that refusals add to the ledger
	profiles      profiles
	firsts        firsts
	losses        losses // hospitals that were lost while a query was sealed
	public        Copy   // its own public tables; nil: those of the hospitals are read
	found         foundRows
	metrics       *metrics
	tracer        trace.Tracer
	log           *slog.Logger

	now func() time.Time
	// noise prepares the noise of one partial aggregate. It is dp.Noise.Adder, except in this package's own tests.
	noise func(n dp.Noise, c dp.Coordinate) (adder, error)
}

// adder adds noise to a number. Several goroutines may call it.
type adder interface {
	Add(x int64) (int64, error)
}

func drawn(n dp.Noise, c dp.Coordinate) (adder, error) { return n.Adder(c) }

// Open reads what the configuration names: catalog, certificates, tokens and ledger. The caller keeps the roster; it is
// nil if no hospital listens. Close the Coordinator after use.
func Open(ctx context.Context, config *Config, roster Roster, log *slog.Logger) (*Coordinator, error) {
	c := &Coordinator{
		config: config, roster: roster, metrics: newMetrics(), tracer: telemetry.NoTracer(), log: log,
		now: time.Now, noise: drawn, tokens: map[string][sha256.Size]byte{},
	}
	if err := config.AnswerGrid.Validate(); err != nil {
		return nil, fmt.Errorf("`answer_grid`: %w", err)
	}
	var err error
	if c.catalog, err = openCatalog(config.Catalog); err != nil {
		return nil, err
	}
	c.digest = c.catalog.Digest()
	for name, r := range config.Researchers {
		if c.tokens[name], err = r.hash(); err != nil {
			return nil, fmt.Errorf("researcher %s: %w", name, err)
		}
	}
	if c.people, err = identity.Open(config.Issuers, time.Now); err != nil {
		return nil, err
	}
	key, err := pki.OpenSigningKey(config.Ledger)
	if err != nil {
		return nil, err
	}
	c.custody = newCustody(key)
	c.book = identity.NewBook(key.Seed())
	for name, r := range config.Researchers {
		if err := r.enter(c.book, name); err != nil {
			return nil, fmt.Errorf("researcher %s: %w", name, err)
		}
	}
	c.askers = rate.New(config.Limits.PerMinute, config.Limits.AtOnce)
	c.asked = rate.New(config.Limits.StudyPerMinute, config.Limits.StudyAtOnce)
	c.outlined = rate.New(outlines*config.Limits.PerMinute, config.Limits.AtOnce)
	c.refused = rate.NewVolume(refusalBytes, refusalBytesDay)
	if c.accounts, err = identity.NewLocal(identity.Accounts(config.Federation), config.Federation, key, time.Now); err != nil {
		return nil, err
	}
	c.nodes = nodes{links: map[string]link{}, secure: func(name string) (*tls.Config, error) {
		peer := pki.Identity{Federation: config.Federation, Role: pki.RoleNode, Name: name}
		return pki.ClientTLS(config.Nodes.CA, config.Nodes.Certificate, config.Nodes.Key, peer)
	}}
	// otherwise the error would only appear at the first query
	if _, err := c.nodes.secure(config.Hospitals[0]); err != nil {
		return nil, err
	}
	if c.notifier, err = notify.Open(config.Notify, "coordinator "+config.Federation, config.Ledger+".notified.json", log); err != nil {
		return nil, err
	}
	place := study.Place{Federation: config.Federation, Former: config.Former}
	if place.Operators, err = study.LoadKeys(config.Operators); err != nil {
		return nil, fmt.Errorf("`operators`: %w", err)
	}
	if c.ledger, err = ledger.Open(ctx, config.Ledger, "coordinator "+config.Federation, time.Now); err != nil {
		return nil, err
	}
	if c.studies, err = study.Load(ctx, c.ledger, place, log); err == nil {
		err = c.studies.Collect(ctx, study.Inbox(config.Ledger))
	}
	if err == nil {
		err = errors.Join(c.loadProfiles(ctx), c.loadFailedFirsts(ctx))
	}
	if err == nil {
		err = c.openDoor(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.ledger.Close())
	}
	return c, nil
}

// Close ends the connections to the hospitals and closes the ledger. No query may be in progress.
func (c *Coordinator) Close() error {
	c.nodes.close()
	var err error
	if c.door != nil {
		err = c.door.Close()
	}
	return errors.Join(err, c.ledger.Close())
}

// openDoor opens the door for hospitals that accept no connections, if the configuration has one.
func (c *Coordinator) openDoor(ctx context.Context) error {
	if !c.config.Door.open() {
		return nil
	}
	conf, err := pki.DoorTLS(c.config.Nodes.CA, c.config.Nodes.Certificate, c.config.Nodes.Key)
	if err != nil {
		return err
	}
	if c.door, err = outward.Open(ctx, c.config.Door.Listen, conf, c.config.Hospitals, c.log); err != nil {
		return err
	}
	c.nodes.door = c.door
	address := ""
	if at := c.door.Addr(); at != nil {
		address = at.String()
	}
	c.log.Info("the door for hospitals is open", slog.String("address", address), slog.Bool("websocket", c.config.Door.WebSocket))
	return nil
}

// WebSocket handles hospitals' connections at outward.Path of the HTTPS API. It is nil if the configuration does not
// allow them.
func (c *Coordinator) WebSocket() http.Handler {
	if !c.config.Door.WebSocket {
		return nil
	}
	return c.door
}

// Catalog returns the federation's catalog.
func (c *Coordinator) Catalog() *catalog.Catalog { return c.catalog }

func openCatalog(name string) (*catalog.Catalog, error) {
	builtin, ok := strings.CutPrefix(name, builtinPrefix)
	if !ok {
		return catalog.Load(name)
	}
	c, ok := catalog.Builtin(builtin)
	if !ok {
		return nil, fmt.Errorf("there is no built-in catalog %s", builtin)
	}
	return c, nil
}

// outlines is how many outlines may be asked for in place of one query. Consoles ask for them while somebody types.
const outlines = 10

// How many bytes of the ledger a researcher's refused queries under one study may take.
const (
	refusalBytes    = 64 << 10 // at once
	refusalBytesDay = 1 << 20
)

// outline counts a query that is only planned, or refuses it if there are too many. The caller must call leave.
func (c *Coordinator) outline(who Researcher) (leave func(), err error) {
	if err := c.outlined.Enter(who.Name, c.now()); err != nil {
		return nil, &Error{Code: CodeTooMany, Message: "of your outlines there are " + err.Error(), Hint: "wait a little and ask again", cause: err}
	}
	return func() { c.outlined.Leave(who.Name) }, nil
}

// enter counts a researcher's query under a study, or refuses it if there are too many. The caller must call leave.
func (c *Coordinator) enter(who Researcher, study string) (leave func(), err error) {
	if _, err := c.study(who, study); err != nil {
		return nil, err // nobody can use up the rate of others
	}
	refused := func(whose string, l string, err error) error {
		return &Error{Code: CodeTooMany, Message: fmt.Sprintf("of %s queries there are %s", whose, l), Hint: "wait a little and ask again", cause: err}
	}
	if err := c.askers.Enter(who.Name, c.now()); err != nil {
		return nil, refused("your", err.Error(), err)
	}
	if err := c.asked.Enter(study, c.now()); err != nil {
		c.askers.Leave(who.Name)
		return nil, refused("the study's", err.Error(), err)
	}
	return func() {
		c.asked.Leave(study)
		c.askers.Leave(who.Name)
	}, nil
}
