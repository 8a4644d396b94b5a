package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"github.com/intramuros/intramuros/internal/telemetry"
)

// operated is a daemon as its operators see it.
type operated struct {
	kind, name string
	trace      func(trace.Tracer)
	metrics    prometheus.Collector
	extent     telemetry.Extent
	ready      func() error
}

// operations are the listeners and exporters for operators.
type operations struct {
	doors *telemetry.Doors
	flush func(context.Context) error
}

// operate opens what the configuration names, and nothing else.
func operate(ctx context.Context, c telemetry.Config, d operated, log *slog.Logger) (*operations, error) {
	tracer, flush, err := telemetry.StartTracing(ctx, c.Tracing, "intramuros-"+d.kind, d.name, telemetry.Running(), log)
	if err != nil {
		return nil, err
	}
	d.trace(tracer)
	doors, err := telemetry.Open(ctx, c, telemetry.Gatherer(d.metrics, telemetry.Running(), d.extent), d.ready, log)
	if err != nil {
		return nil, errors.Join(err, flush(ctx))
	}
	return &operations{doors, flush}, nil
}

// close sends the last spans, within the time in which a daemon may stop.
func (o *operations) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	err := o.doors.Close()
	if lost := o.flush(ctx); lost != nil && !errors.Is(lost, context.DeadlineExceeded) {
		err = errors.Join(err, lost)
	}
	return err
}

func logFlag(c *cobra.Command, format *string) {
	c.Flags().StringVar(format, "log-format", "text", "`form` of the log's lines: text (key=value) or json")
	complete(c, "log-format", "text", "json")
}

// newLog returns a log that writes one line per record to w.
func newLog(w io.Writer, format string) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, nil)), nil
	}
	return nil, usageError{fmt.Errorf("there is no log format %q; give text or json", format)}
}
