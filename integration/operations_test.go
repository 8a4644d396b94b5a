package integration

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	span "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// spans is an OpenTelemetry collector that keeps what it receives, by service and name.
type spans struct {
	collector.UnimplementedTraceServiceServer
	mu  sync.Mutex
	all map[string][]*span.Span
}

func (s *spans) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range r.ResourceSpans {
		service := ""
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.instance.id" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, x := range scope.Spans {
				s.all[service+": "+x.Name] = append(s.all[service+": "+x.Name], x)
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// TestOperations asks once, and checks what operators see of it: metrics and readiness of every daemon, one trace over
// all of them, and no SQL or values in any of these.
func TestOperations(t *testing.T) {
	f := newFederation(t, wards(t))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	traces := &spans{all: map[string][]*span.Span{}}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, traces)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-served })
	metrics := map[string]string{}
	for _, name := range append([]string{"coordinator"}, f.hospitals...) {
		metrics[name] = freeAddress(t)
		file, err := os.OpenFile(f.path(name+".yaml"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(file, "\nmetrics: {listen: "+metrics[name]+"}\ntracing: {endpoint: http://"+l.Addr().String()+"}\n"); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await(f.hospitals...)
	f.expectAnswer()

	scrape := func(name, path string) string {
		r, err := http.Get("http://" + metrics[name] + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Errorf("%s%s: %s %s (%v)", name, path, r.Status, b, err)
		}
		return string(b)
	}
	for _, name := range append([]string{"coordinator"}, f.hospitals...) {
		scrape(name, "/readyz")
		text, want := scrape(name, "/metrics"), "\nintramuros_node_requests_total{action=\"execute\",code=\"OK\"} 1\n"
		if name == "coordinator" {
			want = "\nintramuros_queries_total{code=\"OK\"} 1\n"
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks%s in\n%s", name, want, text)
		}
		if strings.Contains(text, "SELECT") || strings.Contains(text, `"ada"`) {
			t.Errorf("%s shows SQL, or who asked:\n%s", name, text)
		}
	}
	http.DefaultClient.CloseIdleConnections()

	f.stop() // sends the last spans
	f.coordinator = nil
	clear(f.nodes)
	traces.mu.Lock()
	defer traces.mu.Unlock()
	roots := traces.all[coordinatorName+": query"]
	if len(roots) != 1 {
		t.Fatalf("spans are %v", traces.all)
	}
	for _, h := range f.hospitals {
		for _, name := range []string{"node prepare", "node execute"} {
			found := traces.all[h+": "+name]
			if len(found) != 1 || !slices.Equal(found[0].TraceId, roots[0].TraceId) {
				t.Errorf("%s: %s is %v", h, name, found)
				continue
			}
			at := slices.IndexFunc(traces.all[coordinatorName+": "+strings.TrimPrefix(name, "node ")+" at a hospital"], func(s *span.Span) bool {
				return slices.Equal(s.SpanId, found[0].ParentSpanId)
			})
			if at < 0 {
				t.Errorf("%s: %s hangs under no span of the coordinator", h, name)
			}
		}
	}
	for name, all := range traces.all {
		for _, s := range all {
			if text := s.String(); strings.Contains(text, "SELECT") || strings.Contains(text, `"ada"`) {
				t.Errorf("%s shows SQL, or who asked: %s", name, text)
			}
		}
	}
}
