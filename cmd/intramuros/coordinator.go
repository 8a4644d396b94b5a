package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/console"
	"github.com/intramuros/intramuros/coordinator/flightsql"
	"github.com/intramuros/intramuros/coordinator/httpapi"
	"github.com/intramuros/intramuros/coordinator/postgres"
	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/lobby"
	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/outward"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/signin"
	"github.com/intramuros/intramuros/internal/telemetry"
	"github.com/intramuros/intramuros/internal/worker"
	"github.com/intramuros/intramuros/node/engine/duckdb"
)

// drainTime is how long running queries may continue when a coordinator is told to stop.
const drainTime = 10 * time.Second

func newCoordinatorCommand() *cobra.Command {
	var path, format string
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
			log, err := newLog(c.ErrOrStderr(), format)
			if err != nil {
				return err
			}
			return runCoordinator(c.Context(), path, log)
		},
	}
	c.Flags().StringVarP(&path, "config", "c", "", "the configuration `file`")
	logFlag(c, &format)
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
	coord, leave, err := openCoordinator(ctx, conf, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	var restarts restarts
	shut, err := openCopy(ctx, conf, coord, &restarts, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shut()) }()
	running, stop := context.WithCancel(ctx)
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		coord.Run(running)
	}()
	defer func() { stop(); <-ran }()
	operations, err := operate(ctx, conf.Operations, operated{
		kind: "coordinator", name: conf.Name, trace: coord.Trace, metrics: collectors{coord.Collector(), &restarts}, extent: telemetry.Public,
		ready: func() error {
			if !coord.Federation().Ready {
				return errors.New("too few hospitals are there")
			}
			return nil
		},
	}, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, operations.close()) }()
	doors, err := openDoors(ctx, conf, coord, certificate, &restarts, log)
	if err != nil {
		return err
	}
	log.Info("coordinator is up", slog.String("address", doors[0].listener.Addr().String()), slog.String("federation", conf.Federation),
		slog.String("catalog", coord.Catalog().Name), slog.Int("hospitals", len(conf.Hospitals)))
	return serveResearchers(ctx, doors, log)
}

// openCopy opens the coordinator's own copy of public tables, if it has one. It knows only the catalog's public tables.
func openCopy(ctx context.Context, conf *coordinator.Config, coord *coordinator.Coordinator, restarts *restarts, log *slog.Logger) (shut func() error, err error) {
	own := conf.Public.DuckDB
	if own == nil {
		return func() error { return nil }, nil
	}
	tables := *coord.Catalog()
	tables.Tables = slices.DeleteFunc(slices.Clone(tables.Tables), func(t *catalog.Table) bool { return !t.Public })
	key := make([]byte, 32) // chooses among rows of patients; here there are none
	rand.Read(key)          // never fails
	f := engineFile{DuckDB: &duckdb.Config{Database: own.Database, Folder: own.Folder, MemoryLimit: own.MemoryLimit}}
	e, err := f.start(ctx, &tables, conf.Name, key, copyQueries, restarts, log)
	if err != nil {
		return nil, fmt.Errorf("`public`: %w", err)
	}
	coord.Serve(e)
	return e.Close, nil
}

// copyQueries is the number of queries of the coordinator's own copy that run at once.
const copyQueries = 2

// openCoordinator opens the coordinator and announces it to the hospitals that listen, if any do. leave ends both.
func openCoordinator(ctx context.Context, conf *coordinator.Config, log *slog.Logger) (_ *coordinator.Coordinator, leave func() error, err error) {
	if !conf.Gossip.Given() {
		coord, err := coordinator.Open(ctx, conf, nil, log)
		if err != nil {
			return nil, nil, err
		}
		return coord, coord.Close, nil
	}
	secret, err := conf.Gossip.Key.Read("")
	if err != nil {
		return nil, nil, fmt.Errorf("`gossip.key`: %w", err)
	}
	key, err := membership.ParseKey(secret)
	if err != nil {
		return nil, nil, fmt.Errorf("`gossip.key`: %w", err)
	}
	federation := &roster{}
	coord, err := coordinator.Open(ctx, conf, federation, log)
	if err != nil {
		return nil, nil, err
	}
	federation.Membership, err = membership.Start(ctx, membership.Config{
		Federation: conf.Federation, Bind: conf.Gossip.Listen, Advertise: conf.Gossip.Advertise, Join: conf.Gossip.Join, Key: key, Logger: log,
	}, membership.Member{Role: pki.RoleCoordinator, Name: conf.Name, Catalog: coord.Catalog().Digest()[:32]})
	if err != nil {
		return nil, nil, errors.Join(err, coord.Close())
	}
	return coord, func() error {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		return errors.Join(federation.Close(within), coord.Close())
	}, nil
}

// roster lets the coordinator start before the gossip, whose announcement needs the coordinator's catalog.
type roster struct{ *membership.Membership }

// door is one server for researchers.
type door struct {
	listener net.Listener
	serve    func(net.Listener) error // until shutdown; closes the listener
	// shutdown lets running calls finish until ctx ends. Then it cancels them, also at the hospitals.
	shutdown func(ctx context.Context) error
}

// openDictionary opens the dictionary that answers questions about the catalog, in processes of its own if this program
// has them.
func openDictionary(ctx context.Context, c *catalog.Catalog, memory string, restarts *restarts, log *slog.Logger) (*dictionary.Dictionary, error) {
	if !worker.Known() {
		return dictionary.Open(ctx, c)
	}
	ceiling := int64(dictionary.Memory)
	if memory != "" {
		ceiling, _ = config.ParseSize(memory) // the configuration was checked
	}
	d, err := dictionary.Start(ctx, c, ceiling, log)
	if err != nil {
		return nil, err
	}
	restarts.add(d.Restarts)
	return d, nil
}

// openDoors listens at every door of the configuration; the HTTPS API is the first.
func openDoors(ctx context.Context, conf *coordinator.Config, coord *coordinator.Coordinator, certificate *tls.Config, restarts *restarts, log *slog.Logger) (doors []door, err error) {
	defer func() {
		if err != nil {
			for _, d := range doors {
				d.listener.Close()
			}
		}
	}()
	open := func(address string, d door) error {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		d.listener = l
		doors = append(doors, d)
		return nil
	}
	api := httpapi.NewServer(coord, coord, certificate.Clone(), conf.QueryTimeout, log)
	if api.Handler, err = signin.NewHandler(api.Handler, conf.SignIn, conf.Issuers, time.Now, log); err != nil {
		return doors, err
	}
	if api.Handler, err = console.NewHandler(api.Handler); err != nil {
		return doors, err
	}
	api.Handler = withHospitals(api.Handler, coord.WebSocket())
	// Requests end with this context, so that a query that outlasts the drain is canceled at the hospitals.
	requests, cancel := context.WithCancel(context.Background())
	api.BaseContext = func(net.Listener) context.Context { return requests }
	if err := open(conf.Listen, door{
		serve: func(l net.Listener) error {
			defer cancel()
			return api.ServeTLS(lobby.New(0).Listen(l), "", "")
		},
		shutdown: func(ctx context.Context) error {
			err := api.Shutdown(ctx)
			if errors.Is(err, context.DeadlineExceeded) {
				cancel()
				again, done := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
				defer done()
				err = api.Shutdown(again)
			}
			return err
		},
	}); err != nil {
		cancel()
		return doors, err
	}
	if conf.FlightSQL.Listen != "" {
		server, err := flightsql.NewServer(coord, coord, coord, certificate.Clone(), log)
		if err != nil {
			return doors, err
		}
		if err := open(conf.FlightSQL.Listen, door{serve: server.Serve, shutdown: server.Shutdown}); err != nil {
			return doors, err
		}
		log.Info("Flight SQL is up", slog.String("address", doors[len(doors)-1].listener.Addr().String()))
	}
	if conf.Postgres.Listen != "" {
		known, err := openDictionary(ctx, coord.Catalog(), conf.Postgres.ProcessMemory, restarts, log)
		if err != nil {
			return doors, err
		}
		server := postgres.NewServer(coord, coord, known, certificate, log)
		if err := open(conf.Postgres.Listen, door{
			serve: server.Serve,
			shutdown: func(ctx context.Context) error {
				return errors.Join(server.Shutdown(ctx), known.Close())
			},
		}); err != nil {
			return doors, errors.Join(err, known.Close())
		}
		log.Info("the PostgreSQL protocol is up", slog.String("address", doors[len(doors)-1].listener.Addr().String()))
	}
	return doors, nil
}

// withHospitals also serves hospitals' connections, at a path of their own, if there is a door for them.
func withHospitals(researchers, hospitals http.Handler) http.Handler {
	if hospitals == nil {
		return researchers
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == outward.Path {
			hospitals.ServeHTTP(w, r)
			return
		}
		researchers.ServeHTTP(w, r)
	})
}

// serveResearchers serves all doors until ctx ends or one fails.
func serveResearchers(ctx context.Context, doors []door, log *slog.Logger) error {
	failed := make(chan error, len(doors))
	for _, d := range doors {
		go func() { failed <- d.serve(d.listener) }()
	}
	var first error
	ended := 0
	select {
	case first = <-failed:
		ended = 1
	case <-ctx.Done():
	}
	log.Info("coordinator is stopping")
	within, done := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer done()
	closed := make(chan error, len(doors))
	for _, d := range doors {
		go func() { closed <- d.shutdown(within) }()
	}
	for range doors {
		first = errors.Join(first, <-closed)
	}
	for ; ended < len(doors); ended++ {
		<-failed // wait for its end
	}
	return first
}
