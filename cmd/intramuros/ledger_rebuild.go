package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/coordinator"
)

func newLedgerRebuildCommand() *cobra.Command {
	var path, by, reason string
	var fromNodes bool
	var without []string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "rebuild --from-nodes --config COORDINATOR.YAML --by NAME --reason TEXT",
		Short: "Bring back what a coordinator's ledger lost, from the hospitals' ledgers",
		Long: `Asks every hospital what it has charged, and adds to the coordinator's ledger what it lacks, each
charge under its own study, researcher and query. What the coordinator itself had signed beyond
that (queries that ran nowhere) counts in every study. So no total is below what the hospitals
charged. The coordinator is stopped; its ledger was restored from a backup or a standby, with its
key, or is made anew. Every hospital must be there; --without leaves one out that is gone for
good, and what only it knew then counts in every study.

Stored answers that were made after the backup are lost: the same question costs again.`,
		Example: `  intramuros ledger restore --from /mnt/standby --file /var/lib/intramuros/coordinator.ledger
  intramuros ledger rebuild --from-nodes --config coordinator.yaml --by olga --reason "the disk failed"`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("config", "by", "reason"),
		RunE: func(c *cobra.Command, _ []string) error {
			if !fromNodes {
				return usageError{errors.New("say from where: --from-nodes")}
			}
			log, err := newLog(c.ErrOrStderr(), "text")
			if err != nil {
				return err
			}
			r, err := rebuild(c.Context(), path, without, by, reason, wait, log)
			if err != nil {
				return err
			}
			w := c.OutOrStdout()
			for _, name := range slices.Sorted(maps.Keys(r.Hospitals)) {
				fmt.Fprintf(w, "%s has charged %d queries\n", name, r.Hospitals[name])
			}
			_, err = fmt.Fprintf(w, "added %d charges; epsilon %.9g, rho %.9g were charged for what no hospital knows, and count in every study\n",
				r.Added, float64(r.Rest.Epsilon)*1e-9, float64(r.Rest.Rho)*1e-9)
			return err
		},
	}
	f := c.Flags()
	f.StringVarP(&path, "config", "c", "", "the coordinator's configuration `file`")
	f.BoolVar(&fromNodes, "from-nodes", false, "ask the hospitals")
	f.StringSliceVar(&without, "without", nil, "leave out a `hospital` that is gone for good")
	f.StringVar(&by, "by", "", "your name")
	f.StringVar(&reason, "reason", "", "what happened, in one sentence")
	f.DurationVar(&wait, "wait", time.Minute, "how long to wait until every hospital is there")
	return c
}

// rebuild opens the coordinator without its doors for researchers.
func rebuild(ctx context.Context, path string, without []string, by, reason string, wait time.Duration, log *slog.Logger) (_ *coordinator.Rebuilt, err error) {
	conf, err := coordinator.LoadConfig(path)
	if err != nil {
		return nil, err
	}
	coord, leave, err := openCoordinator(ctx, conf, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, leave()) }()
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return coord.Rebuild(within, without, by, reason)
}
