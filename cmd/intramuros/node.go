package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/telemetry"
	"github.com/intramuros/intramuros/node"
	"github.com/intramuros/intramuros/node/console"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/postgres"
)

// nodeFile is node.yaml: the policy and the database.
type nodeFile struct {
	node.Config `yaml:",inline"`
	Engine      engineFile `yaml:"engine"`
}

func newNodeCommand() *cobra.Command {
	var path, format string
	c := &cobra.Command{
		Use:   "node --config FILE",
		Short: "Run a hospital's node",
		Long: `Runs a hospital's daemon, beside its own database and inside its walls.

It first compares the data with the catalog, and again whenever the data changes. Over a
table whose data contradicts what the proofs of privacy rest on, a key or one row a patient,
it answers nothing (intramuros catalog check tells more). It then verifies its ledger, joins the federation, logs "ready"
to standard error, and answers the coordinator until it gets SIGINT or SIGTERM; queries
that run then have 10 seconds to finish.

The configuration decides who may ask what and at which cost; what it does not mention is
refused. Without studies nothing is answered. docs/node.yaml explains every key.`,
		Example: `  intramuros catalog check --config node.yaml
  intramuros node --config node.yaml`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("config"),
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := newLog(c.ErrOrStderr(), format)
			if err != nil {
				return err
			}
			return runNode(c.Context(), path, log)
		},
	}
	c.Flags().StringVarP(&path, "config", "c", "", "the node's configuration `file`")
	logFlag(c, &format)
	return c
}

func loadNode(path string) (*nodeFile, error) {
	f := &nodeFile{Config: node.DefaultConfig()}
	if err := config.Load(path, f); err != nil {
		return nil, err
	}
	f.Resolve(path)
	f.Engine.resolve(path)
	if err := errors.Join(f.Validate(), f.Engine.validate(), f.connections()); err != nil {
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	return f, nil
}

// connections refuses a PostgreSQL connection limit so low that reading the data version would wait for a connection of
// a running query. Whoever reads the version would see when that query ends, and a sealed query reveals its end only at
// ticks.
func (f *nodeFile) connections() error {
	p, s := f.Engine.Postgres, f.Sealed
	if p == nil || !s.Required && s.Hospitals == 0 && len(s.Peers) == 0 {
		return nil
	}
	if have := cmp.Or(p.Connections, postgres.DefaultConnections); have <= f.Limits.Concurrent {
		return fmt.Errorf("`engine.postgres.connections` is %d and `limits.concurrent` %d; under `sealed` a connection must be left while queries run: give at least %d", have, f.Limits.Concurrent, f.Limits.Concurrent+1)
	}
	return nil
}

func runNode(ctx context.Context, path string, log *slog.Logger) (err error) {
	f, err := loadNode(path)
	if err != nil {
		return err
	}
	cat, err := loadCatalog(f.Catalog)
	if err != nil {
		return err
	}
	key, err := f.ReadGroupKey()
	if err != nil {
		return err
	}
	var restarts restarts
	e, err := f.Engine.start(ctx, cat, f.Name, key, f.Limits.Concurrent, &restarts, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	page, err := openConsole(f.Console)
	if err != nil {
		return err
	}
	n, err := node.Open(ctx, f.Config, cat, node.Database{Kind: f.Engine.kind(), Engine: e, Data: data{e, f.Engine.DuckDB != nil, path, log}, Public: e, Keyless: engine.Keyless(f.Engine.tables())}, log)
	if err != nil {
		if page != nil {
			err = errors.Join(err, page.listener.Close())
		}
		return err
	}
	operations, err := operate(ctx, f.Operations, operated{
		kind: "node", name: f.Name, trace: n.Trace, metrics: collectors{n.Collector(), &restarts}, extent: telemetry.Whole, ready: n.Ready,
	}, log)
	if err != nil {
		err = errors.Join(err, n.Close())
		if page != nil {
			err = errors.Join(err, page.listener.Close())
		}
		return err
	}
	defer func() { err = errors.Join(err, operations.close()) }()
	if page == nil {
		return n.Serve(ctx)
	}
	return page.serve(ctx, n, log)
}

// custodianPage is the listener of the custodian's console, with what its server needs.
type custodianPage struct {
	listener net.Listener
	who      console.Admission
	tls      *tls.Config // nil: plain HTTP, on this machine alone
}

// openConsole listens for the custodian's console, or returns nil if the configuration has none.
func openConsole(c node.Console) (*custodianPage, error) {
	if c.Closed() {
		return nil, nil
	}
	p := &custodianPage{who: console.Admission{People: map[string][]byte{}, Issuers: c.Issuers, SignIn: c.SignIn}}
	var err error
	if c.Token != (config.Secret{}) {
		if p.who.Token, err = c.Token.Read(""); err != nil {
			return nil, fmt.Errorf("`console.token`: %w", err)
		}
	}
	for name, token := range c.People {
		p.who.People[name] = nil
		if token == (config.Secret{}) {
			continue
		}
		if p.who.People[name], err = token.Read(""); err != nil {
			return nil, fmt.Errorf("`console.people`: %s: %w", name, err)
		}
	}
	if c.Certificate != "" {
		if p.tls, err = pki.HTTPServerTLS(c.Certificate, c.Key); err != nil {
			return nil, err
		}
	}
	if p.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return nil, fmt.Errorf("`console.listen`: %w", err)
	}
	return p, nil
}

// serve serves the console for as long as the node serves.
func (p *custodianPage) serve(ctx context.Context, n *node.Node, log *slog.Logger) error {
	server, err := console.NewServer(n, n.Ledger(), p.who, p.tls, log)
	if err != nil {
		return errors.Join(err, p.listener.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		defer cancel() // the node stops without its console, because a custodian may rely on it
		log.Info("the custodian's console is up", slog.String("address", p.listener.Addr().String()))
		if p.tls != nil {
			served <- server.ServeTLS(p.listener, "", "")
		} else {
			served <- server.Serve(p.listener)
		}
	}()
	err = n.Serve(ctx)
	if closed := server.Close(); closed != nil {
		err = errors.Join(err, closed)
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("the custodian's console ended: %w", ended))
	}
	return err
}

// data is the engine's data as the node sees it. The counts in warnings are for `catalog check` only, and appear in no
// log.
type data struct {
	database
	whole  bool // everything is checked, which is possible if the database is small enough
	config string
	log    *slog.Logger
}

// Verify logs where the data differs from the catalog. It returns the tables for which a proof of privacy would not
// hold.
func (d data) Verify(ctx context.Context) (tables []string, err error) {
	look := d.Contradictions
	if d.whole {
		look = d.database.Verify
	}
	findings, err := look(ctx)
	if err != nil {
		return nil, err
	}
	see := slog.String("see", "intramuros catalog check --config "+d.config)
	warnings := 0
	for _, f := range findings {
		switch {
		case f.Severity != engine.SeverityError:
			warnings++
		default:
			if !slices.Contains(tables, f.Table) {
				tables = append(tables, f.Table)
			}
			why := f.Text
			if !f.Plain {
				why = "see there"
			}
			d.log.Error("nothing is answered over a table: its data contradicts the catalog, or cannot be read", slog.String("table", f.Table), slog.String("column", f.Column), slog.String("why", why), see)
		}
	}
	if warnings > 0 {
		d.log.Warn("the data differs from the catalog", slog.Int("findings", warnings), see)
	}
	return tables, nil
}
