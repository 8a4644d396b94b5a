package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/url"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

// Scope names the spans of this module.
const Scope = "github.com/intramuros/intramuros"

// NoTracer makes no spans.
func NoTracer() trace.Tracer { return noop.NewTracerProvider().Tracer(Scope) }

// StartTracing returns a tracer whose spans are sent to the configured collector. Without a collector it makes no
// spans. service is the daemon's kind, and instance its name. closed sends the remaining spans, until its context ends.
// A collector that does not answer loses spans and delays nothing.
func StartTracing(ctx context.Context, c Tracing, service, instance string, build Build, log *slog.Logger) (tracer trace.Tracer, closed func(context.Context) error, err error) {
	if c.Endpoint == "" {
		return NoTracer(), func(context.Context) error { return nil }, nil
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, nil, fmt.Errorf("`tracing.endpoint`: %w", err)
	}
	options := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(u.Host), otlptracegrpc.WithInsecure()}
	if u.Scheme == "https" {
		conf := &tls.Config{MinVersion: tls.VersionTLS12}
		if c.CA != "" {
			b, err := os.ReadFile(c.CA)
			if err != nil {
				return nil, nil, fmt.Errorf("`tracing.ca`: %w", err)
			}
			if conf.RootCAs = x509.NewCertPool(); !conf.RootCAs.AppendCertsFromPEM(b) {
				return nil, nil, fmt.Errorf("`tracing.ca`: there is no certificate in %s", c.CA)
			}
		}
		options[1] = otlptracegrpc.WithTLSCredentials(credentials.NewTLS(conf))
	}
	exporter, err := otlptracegrpc.New(ctx, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("`tracing`: %w", err)
	}
	// The library has one error handler per process.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("spans were lost", slog.Any("error", err)) }))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(resource.NewSchemaless(
		attribute.String("service.name", service), attribute.String("service.instance.id", instance), attribute.String("service.version", build.Version))))
	return provider.Tracer(Scope), provider.Shutdown, nil
}

// carrier is W3C trace context in gRPC metadata: only the trace and the span. Nobody can write text into them.
type carrier metadata.MD

const traceparent = "traceparent"

// Get gives a header.
func (c carrier) Get(key string) string {
	if v := metadata.MD(c).Get(key); key == traceparent && len(v) == 1 {
		return v[0]
	}
	return ""
}

// Set sets a header.
func (c carrier) Set(key, value string) {
	if key == traceparent {
		metadata.MD(c).Set(key, value)
	}
}

// Keys lists the headers.
func (carrier) Keys() []string { return []string{traceparent} }

// Inject adds the span of ctx to the metadata of calls with the returned context.
func Inject(ctx context.Context) context.Context {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	c := carrier{}
	propagation.TraceContext{}.Inject(ctx, c)
	return metadata.AppendToOutgoingContext(ctx, traceparent, c.Get(traceparent))
}

// Extract reads the caller's span from the metadata of a call. It becomes the parent of later spans.
func Extract(ctx context.Context) context.Context {
	md, ok := metadata.FromIncomingContext(ctx)
	if !ok {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, carrier(md))
}
