package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const headerTime = 10 * time.Second

// Doors are the open HTTP servers of one daemon.
type Doors struct {
	servers []*http.Server
	ended   chan struct{}
	log     *slog.Logger
}

// Open serves the configured addresses. At `metrics` there are /metrics, /healthz, which answers 200, and /readyz,
// which answers 503 with the text of ready's error. At `debug` there are the profiles of net/http/pprof. Close must
// follow.
func Open(ctx context.Context, c Config, metrics prometheus.Gatherer, ready func() error, log *slog.Logger) (*Doors, error) {
	d := &Doors{ended: make(chan struct{}), log: log}
	var listeners []net.Listener
	for _, door := range []struct {
		key, what, address string
		handler            http.Handler
	}{
		{"metrics", "metrics", c.Metrics.Listen, operations(metrics, ready, log)},
		{"debug", "profiles", c.Debug.Listen, profiles()},
	} {
		if door.address == "" {
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", door.address)
		if err != nil {
			for _, open := range listeners {
				err = errors.Join(err, open.Close())
			}
			return nil, fmt.Errorf("`%s.listen`: %w", door.key, err)
		}
		listeners = append(listeners, l)
		d.servers = append(d.servers, &http.Server{
			Handler: door.handler, ReadHeaderTimeout: headerTime, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		})
		log.Info(door.what+" are served", slog.String("address", l.Addr().String()))
	}
	served := make(chan error, len(listeners))
	for i, l := range listeners {
		go func() { served <- d.servers[i].Serve(l) }()
	}
	go func() {
		defer close(d.ended)
		for range listeners {
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				log.Error("a server for operators ended", slog.Any("error", err))
			}
		}
	}()
	return d, nil
}

// Close ends the servers at once.
func (d *Doors) Close() error {
	var err error
	for _, s := range d.servers {
		err = errors.Join(err, s.Close())
	}
	<-d.ended
	return err
}

func operations(metrics prometheus.Gatherer, ready func() error, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	return mux
}

func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
