package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/intramuros/intramuros/internal/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	must(t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	must(t, err)
	return r.StatusCode, string(b)
}

func TestDoors(t *testing.T) {
	c := Config{Metrics: Listener{free(t)}, Debug: Listener{free(t)}}
	queries := prometheus.NewCounter(prometheus.CounterOpts{Name: "queries_total", Help: "Queries."})
	var absent error
	d, err := Open(t.Context(), c, Gatherer(queries, Build{Version: "v1"}, Public), func() error { return absent }, slog.New(slog.DiscardHandler))
	must(t, err)
	defer func() { must(t, d.Close()) }()
	operators, profiles := "http://"+c.Metrics.Listen, "http://"+c.Debug.Listen
	code, text := get(t, operators+"/metrics")
	for _, want := range []string{"queries_total 0", `intramuros_build_info{commit="",version="v1"} 1`, "process_start_time_seconds ", "process_open_fds "} {
		if code != 200 || !strings.Contains(text, "\n"+want) {
			t.Errorf("%d, and there is no %s in\n%s", code, want, text)
		}
	}
	// These depend on a coordinator's data.
	for _, private := range []string{"cpu", "memory", "bytes", "goroutines", "network", "gc"} {
		if strings.Contains(text, private) {
			t.Errorf("the public metrics tell of %s:\n%s", private, text)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, text := get(t, operators+path); code != 200 || text != "ok\n" {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	absent = errors.New("too few")
	if code, text := get(t, operators+"/readyz"); code != 503 || text != "too few\n" {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := get(t, operators+"/debug/pprof/"); code != 404 {
		t.Errorf("profiles stand beside the metrics: %d", code)
	}
	if code, _ := get(t, profiles+"/metrics"); code != 404 {
		t.Errorf("metrics stand beside the profiles: %d", code)
	}
	if code, text := get(t, profiles+"/debug/pprof/goroutine?debug=1"); code != 200 || !strings.Contains(text, "goroutine profile") {
		t.Errorf("%d %s", code, text)
	}
}

func TestWholeProcess(t *testing.T) {
	all, err := Gatherer(prometheus.NewGauge(prometheus.GaugeOpts{Name: "x", Help: "X."}), Build{}, Whole).Gather()
	must(t, err)
	found := map[string]bool{}
	for _, f := range all {
		found[f.GetName()] = true
	}
	if !found["go_goroutines"] || !found["process_cpu_seconds_total"] || !found["x"] {
		t.Errorf("%v", found)
	}
}

func TestNothingIsOpenByDefault(t *testing.T) {
	must(t, Config{}.Validate())
	d, err := Open(t.Context(), Config{}, nil, nil, slog.New(slog.DiscardHandler))
	must(t, err)
	if len(d.servers) != 0 {
		t.Errorf("%d servers", len(d.servers))
	}
	must(t, d.Close())
	tracer, flush, err := StartTracing(t.Context(), Tracing{}, "s", "i", Build{}, nil)
	must(t, err)
	_, span := tracer.Start(t.Context(), "x")
	if span.IsRecording() || span.SpanContext().IsValid() {
		t.Error("it traces")
	}
	must(t, flush(t.Context()))
}

func TestTheAddressIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	c := Config{Metrics: Listener{free(t)}, Debug: Listener{l.Addr().String()}}
	if _, err := Open(t.Context(), c, nil, nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "`debug.listen`") {
		t.Errorf("%v", err)
	}
	again, err := net.Listen("tcp", c.Metrics.Listen)
	must(t, err)
	again.Close()
}

func TestValidate(t *testing.T) {
	for _, c := range []Config{
		{Metrics: Listener{"9464"}}, {Debug: Listener{"0.0.0.0:6060"}}, {Debug: Listener{":6060"}}, {Debug: Listener{"192.0.2.1:6060"}},
		{Tracing: Tracing{Endpoint: "otel.example.org:4317"}}, {Tracing: Tracing{Endpoint: "http://otel.example.org:4317"}},
		{Tracing: Tracing{Endpoint: "https://otel.example.org"}}, {Tracing: Tracing{CA: "ca.pem"}},
	} {
		if c.Validate() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	must(t, Config{
		Metrics: Listener{"0.0.0.0:9464"}, Debug: Listener{"[::1]:6060"}, Tracing: Tracing{Endpoint: "http://localhost:4317"},
	}.Validate())
}

// sink is an OpenTelemetry collector.
type sink struct {
	collector.UnimplementedTraceServiceServer
	got chan *collector.ExportTraceServiceRequest
}

func (s sink) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.got <- r
	return &collector.ExportTraceServiceResponse{}, nil
}

// Spans reach a collector over TLS, verified with the configured authority.
func TestTracing(t *testing.T) {
	dir := t.TempDir()
	ca, err := pki.CreateAuthority(dir, "test", time.Hour)
	must(t, err)
	must(t, ca.Issue(dir, pki.Identity{Federation: "test", Role: pki.RoleCoordinator, Name: "otel"}, []string{"127.0.0.1"}, time.Hour))
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "coordinator-otel.pem"), filepath.Join(dir, "coordinator-otel.key"))
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s, server := sink{got: make(chan *collector.ExportTraceServiceRequest, 1)}, grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
	collector.RegisterTraceServiceServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() { server.Stop(); <-served }()
	c := Tracing{Endpoint: "https://" + l.Addr().String(), CA: filepath.Join(dir, "ca.pem")}
	tracer, flush, err := StartTracing(t.Context(), c, "intramuros-node", "lyon", Build{Version: "v1"}, slog.New(slog.DiscardHandler))
	must(t, err)
	_, span := tracer.Start(t.Context(), "query")
	span.End()
	must(t, flush(t.Context()))
	spans := (<-s.got).ResourceSpans[0]
	if spans.ScopeSpans[0].Spans[0].Name != "query" || len(spans.Resource.Attributes) != 3 || spans.Resource.Attributes[0].Value.GetStringValue() != "lyon" {
		t.Errorf("%v", spans)
	}
	must(t, os.WriteFile(filepath.Join(dir, "ca.pem"), nil, 0o600))
	if _, _, err := StartTracing(t.Context(), c, "s", "i", Build{}, nil); err == nil {
		t.Error("an authority without a certificate")
	}
}

// A span passes from one daemon to the other, and nothing else with it.
func TestTraceContext(t *testing.T) {
	if md, _ := metadata.FromOutgoingContext(Inject(t.Context())); len(md) != 0 {
		t.Errorf("without a span: %v", md)
	}
	state, err := trace.ParseTraceState("vendor=text")
	must(t, err)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, TraceState: state})
	md, _ := metadata.FromOutgoingContext(Inject(trace.ContextWithSpanContext(t.Context(), span)))
	if len(md) != 1 {
		t.Errorf("%v crosses", md)
	}
	md.Set("tracestate", "vendor=text")
	got := trace.SpanContextFromContext(Extract(metadata.NewIncomingContext(t.Context(), md)))
	if got.TraceID() != span.TraceID() || got.SpanID() != span.SpanID() || !got.IsRemote() || got.TraceState().Len() != 0 {
		t.Errorf("%v arrived", got)
	}
	for _, text := range [][]string{{"nonsense"}, {"00-1-2-3", "again"}, nil} {
		if got := trace.SpanContextFromContext(Extract(metadata.NewIncomingContext(t.Context(), metadata.MD{"traceparent": text}))); got.IsValid() {
			t.Errorf("%q is taken", text)
		}
	}
}
