package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/telemetry"
	"github.com/intramuros/intramuros/node"
	"github.com/intramuros/intramuros/node/engine"
)

// nodeFile is node.yaml: the policy, and the database it guards.
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
	if err := errors.Join(f.Validate(), f.Engine.validate()); err != nil {
		return nil, fmt.Errorf("%s:\n%w", path, err)
	}
	return f, nil
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
	e, err := f.Engine.open(ctx, cat, f.Name, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	n, err := node.Open(ctx, f.Config, cat, node.Database{Kind: f.Engine.kind(), Engine: e, Data: data{e, f.Engine.DuckDB != nil, path, log}}, log)
	if err != nil {
		return err
	}
	operations, err := operate(ctx, f.Operations, operated{
		kind: "node", name: f.Name, trace: n.Trace, metrics: n.Collector(), extent: telemetry.Whole, ready: n.Ready,
	}, log)
	if err != nil {
		return errors.Join(err, n.Close())
	}
	defer func() { err = errors.Join(err, operations.close()) }()
	return n.Serve(ctx)
}

// data is the engine's data as the node sees it. What a finding counts is for
// `catalog check` alone, and appears in no log.
type data struct {
	database
	whole  bool // all findings are looked for, as a database of this size allows
	config string
	log    *slog.Logger
}

// Verify logs where the data differs from the catalog, and names the tables over
// which no proof of privacy would hold.
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
		case !slices.Contains(tables, f.Table):
			tables = append(tables, f.Table)
			d.log.Error("nothing is answered over a table: its data contradicts the catalog", slog.String("table", f.Table), see)
		}
	}
	if warnings > 0 {
		d.log.Warn("the data differs from the catalog", slog.Int("findings", warnings), see)
	}
	return tables, nil
}
