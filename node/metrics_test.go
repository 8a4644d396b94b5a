package node

import (
	"slices"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/metadata"

	"github.com/intramuros/intramuros/internal/telemetry/telemetrytest"
)

func TestMetrics(t *testing.T) {
	h := start(t, testConfig(federation(t)), newEngine())
	c := h.client(t, "coordinator-paris")
	ticket, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	if held := telemetrytest.Scrape(t, h.Collector()); !strings.Contains(held, "\nintramuros_node_reservations 1\n") {
		t.Errorf("no reservation in\n%s", held)
	}
	_, err = execute(t.Context(), c, ticket)
	must(t, err)
	_, err = prepare(c, request(h.catalog, 0.75))
	wantCode(t, err, CodeLimit)
	if err := act(t.Context(), c, "invented by a peer", nil, nil); err == nil {
		t.Error("it was taken")
	}
	telemetrytest.WantLines(t, telemetrytest.Scrape(t, h.Collector()),
		`intramuros_node_requests_total{action="prepare",code="OK"} 1`,
		`intramuros_node_requests_total{action="execute",code="OK"} 1`,
		`intramuros_node_requests_total{action="prepare",code="NODE_LIMIT"} 1`,
		`intramuros_node_requests_total{action="other",code="NODE_REQUEST"} 1`,
		`intramuros_node_wait_seconds_count 1`,
		`intramuros_node_computation_seconds_count 1`,
		`intramuros_node_groups_sent_total 2`,
		`intramuros_node_queries_waiting 0`,
		`intramuros_node_queries_running 0`,
		`intramuros_node_reservations 0`,
		`intramuros_node_tables_withheld 0`,
		`intramuros_node_studies{status="approved"} 3`,
		`intramuros_node_budget_remaining_ratio{study="copd"} 0.75`,
	)
}

// A call with a trace gets spans in it, without SQL or names of people. A call without a trace gets none.
func TestSpans(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	h := start(t, testConfig(federation(t)), newEngine(), func(n *Node) {
		n.Trace(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test"))
	})
	c := h.client(t, "coordinator-paris")
	ticket, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	if n := len(spans.Started()); n != 0 {
		t.Errorf("%d spans of a call without a trace", n)
	}
	const trace = "0af7651916cd43dd8448eb211c80319c"
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-"+trace+"-b7ad6b7169203331-01", "tracestate", "x=y")
	_, err = execute(ctx, c, ticket)
	must(t, err)
	h.stop()
	all := spans.Ended()
	if len(all) != 1 || all[0].Name() != "node execute" || all[0].SpanContext().TraceID().String() != trace || all[0].SpanContext().TraceState().Len() != 0 {
		t.Fatalf("spans are %v", all)
	}
	var said []string
	for _, a := range all[0].Attributes() {
		said = append(said, string(a.Key)+"="+a.Value.String())
	}
	want := []string{"intramuros.hospital=lyon", "intramuros.code=OK", "intramuros.query=0123456789abcdef0123456789abcdef", "intramuros.study=copd"}
	if !slices.Equal(said, want) {
		t.Errorf("the span says %q", said)
	}
}

// The documentation has a line for each metric and no other.
func TestMetricsAreDocumented(t *testing.T) {
	telemetrytest.Documented(t, "../docs/observability.md", "Node", collector{service: &service{metrics: newMetrics()}})
}
