package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/coordinator"
	httpapi "github.com/intramuros/intramuros/coordinator/http"
	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/pki"
)

// drainTime is how long a coordinator that is told to stop lets queries go on.
const drainTime = 10 * time.Second

func newCoordinatorCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "coordinator --config FILE",
		Short: "Run the coordinator of a federation",
		Long: `Run the coordinator of a federation: it takes SQL from researchers over HTTPS,
plans it, asks every hospital for partial aggregates, adds them up, covers them
with noise, and answers. It holds no patient's data.

What an answer costs is charged to the study in the coordinator's ledger before a
hospital runs anything, and by every hospital in its own.

The configuration is a YAML file; docs/coordinator.yaml explains every key. An
unknown key is refused. SIGTERM or Ctrl-C stops it: no new query is taken, those
under way get 10 seconds.`,
		Example: `  intramuros coordinator --config coordinator.yaml`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("config"),
		RunE: func(c *cobra.Command, _ []string) error {
			log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
			return runCoordinator(c.Context(), path, log)
		},
	}
	c.Flags().StringVarP(&path, "config", "c", "", "the configuration `file`")
	return c
}

func runCoordinator(ctx context.Context, path string, log *slog.Logger) (err error) {
	conf, err := coordinator.LoadConfig(path)
	if err != nil {
		return err
	}
	certificate, err := pki.HTTPServerTLS(conf.TLS.Certificate, conf.TLS.Key)
	if err != nil {
		return err
	}
	secret, err := conf.Gossip.Key.Read("")
	if err != nil {
		return fmt.Errorf("`gossip.key`: %w", err)
	}
	key, err := membership.ParseKey(secret)
	if err != nil {
		return fmt.Errorf("`gossip.key`: %w", err)
	}
	federation := &roster{}
	desk, err := coordinator.Open(ctx, conf, federation, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, desk.Close()) }()
	federation.Membership, err = membership.Start(ctx, membership.Config{
		Federation: conf.Federation, Bind: conf.Gossip.Listen, Advertise: conf.Gossip.Advertise, Join: conf.Gossip.Join, Key: key, Logger: log,
	}, membership.Member{Role: pki.RoleCoordinator, Name: conf.Name, Catalog: desk.Catalog().Digest()[:32]})
	if err != nil {
		return err
	}
	defer func() {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		err = errors.Join(err, federation.Close(within))
	}()
	return serveResearchers(ctx, conf, desk, httpapi.NewServer(desk, desk, certificate, conf.QueryTimeout, log), log)
}

// roster lets the coordinator begin before the gossip, whose announcement needs
// the coordinator's catalog.
type roster struct{ *membership.Membership }

func serveResearchers(ctx context.Context, conf *coordinator.Config, desk *coordinator.Coordinator, server *http.Server, log *slog.Logger) error {
	listener, err := net.Listen("tcp", conf.Listen)
	if err != nil {
		return err
	}
	// Requests end with this context, so that a query that outlives the drain is canceled at the hospitals.
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server.BaseContext = func(net.Listener) context.Context { return requests }
	log.Info("coordinator is up", slog.String("address", listener.Addr().String()), slog.String("federation", conf.Federation),
		slog.String("catalog", desk.Catalog().Name), slog.Int("hospitals", len(conf.Hospitals)))
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(listener, "", "") }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("coordinator is stopping")
	within, done := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer done()
	err = server.Shutdown(within)
	if errors.Is(err, context.DeadlineExceeded) {
		cancel()
		again, done := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer done()
		err = server.Shutdown(again)
	}
	<-failed
	return err
}
