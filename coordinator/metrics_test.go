package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/telemetry/telemetrytest"
)

func TestMetrics(t *testing.T) {
	f := newFederation(t, func(c *Config) { c.Require.atLeast = 2 })
	f.mustAsk(t, bySex)
	f.mustAsk(t, bySex)
	f.hospital("a").refuse[actionPrepare] = status.Error(codes.ResourceExhausted, "NODE_BUDGET: has not enough privacy budget left for this")
	f.mustAsk(t, "SELECT COUNT(*) FROM person WHERE age > 40")
	_, err := f.ask(t.Context(), t, "SELECT COUNT(*) FROM person WHERE nothing = 1")
	if err == nil {
		t.Error("answered")
	}
	if _, err := f.Authenticate(t.Context(), "nobody-s-token-0123456789"); err == nil {
		t.Error("believed")
	}
	f.members = f.members[:2]
	telemetrytest.WantLines(t, telemetrytest.Scrape(t, f.Collector()),
		`intramuros_queries_total{code="OK"} 2`,
		`intramuros_queries_total{code="STORED"} 1`,
		`intramuros_queries_total{code="UNKNOWN_COLUMN"} 1`,
		`intramuros_query_seconds_count{phase="answer"} 4`,
		`intramuros_query_seconds_count{phase="plan"} 3`,
		`intramuros_query_seconds_count{phase="prepare"} 2`,
		`intramuros_query_seconds_count{phase="execute"} 2`,
		`intramuros_queries_running 0`,
		`intramuros_noisy_values_released_total 3`,
		`intramuros_hospital_absences_total{code="NODE_BUDGET",hospital="a"} 1`,
		`intramuros_hospital_up{hospital="a"} 1`,
		`intramuros_hospital_up{hospital="c"} 0`,
		`intramuros_hospitals_required 2`,
		`intramuros_authentication_failures_total{code="UNAUTHORIZED"} 1`,
		`intramuros_study_budget_remaining_ratio{study="s"} 0.5`,
		`intramuros_study_open{study="over"} 0`,
	)
}

// A hospital that invents codes creates a bounded number of series.
func TestMetricsAreBounded(t *testing.T) {
	m := newMetrics()
	for i := range 1000 {
		m.absent([]Absence{{Name: "a", Code: fmt.Sprintf("NODE_%d", i)}})
	}
	series := make(chan prometheus.Metric, 2000)
	m.absences.Collect(series)
	if len(series) > 100 {
		t.Errorf("%d series", len(series))
	}
}

// observeOperations returns what operators see of a query whose hospital computes that long: all metrics, every 5 ms
// for a second, and the spans.
func observeOperations(t *testing.T, took time.Duration) (seen string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newPipedFederation(t, func(c *Config) { c.AnswerGrid = grid.Grid{First: 200 * time.Millisecond, Ratio: 2} })
		f.hospital("a").took = took
		spans := tracetest.NewSpanRecorder()
		f.Trace(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test"))
		started := time.Now()
		done := make(chan struct{})
		telemetrytest.Scrape(t, f.Collector())
		go func() {
			defer close(done)
			f.mustAsk(t, bySex)
		}()
		last := ""
		for time.Since(started) < time.Second {
			time.Sleep(5 * time.Millisecond)
			synctest.Wait()
			now := telemetrytest.Scrape(t, f.Collector())
			for _, s := range spans.Ended() {
				now += fmt.Sprintln(s.Name(), s.Attributes()[:min(1, len(s.Attributes()))], s.StartTime().Sub(started), s.EndTime().Sub(started))
			}
			if now = strings.ReplaceAll(now, queryOf(spans), "QUERY"); now != last {
				seen += fmt.Sprintln(time.Since(started)) + now
			}
			last = now
		}
		<-done
	})
	return seen
}

// queryOf is the random id of the only query.
func queryOf(spans *tracetest.SpanRecorder) string {
	for _, s := range spans.Ended() {
		for _, a := range s.Attributes() {
			if a.Key == attrQuery {
				return a.Value.AsString()
			}
		}
	}
	return "none"
}

func sortedLines(s string) string {
	lines := strings.Split(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// However long a hospital computes between two ticks, operators see the same.
func TestOperatorsSeeTicksOnly(t *testing.T) {
	if short, long := sortedLines(observeOperations(t, 210*time.Millisecond)), sortedLines(observeOperations(t, 390*time.Millisecond)); short != long {
		t.Errorf("after 210 ms\n%s\nafter 390 ms\n%s", short, long)
	}
	if longer := sortedLines(observeOperations(t, 410*time.Millisecond)); longer == sortedLines(observeOperations(t, 210*time.Millisecond)) {
		t.Error("the observation tells nothing of a tick either")
	}
}

func TestSpans(t *testing.T) {
	f := newFederation(t, nil)
	spans := tracetest.NewSpanRecorder()
	f.Trace(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test"))
	a := f.mustAsk(t, "SELECT COUNT(*) FROM person WHERE city = 'a private value' AND age > 40")
	var names []string
	parents := map[string]string{}
	for _, s := range spans.Ended() {
		parents[s.SpanContext().SpanID().String()] = s.Name()
	}
	for _, s := range spans.Ended() {
		names = append(names, s.Name()+" < "+parents[s.Parent().SpanID().String()])
		for _, attribute := range s.Attributes() {
			if text := attribute.Value.String(); !slices.Contains([]string{a.Query, "s", "a", "b", "c", "OK"}, text) {
				t.Errorf("a span says %s = %s", attribute.Key, text)
			}
		}
	}
	slices.Sort(names)
	want := []string{
		"execute < query", "execute at a hospital < execute", "execute at a hospital < execute", "execute at a hospital < execute",
		"prepare < query", "prepare at a hospital < prepare", "prepare at a hospital < prepare", "prepare at a hospital < prepare", "query < ",
	}
	if !slices.Equal(names, want) {
		t.Errorf("spans are %q", names)
	}
	parent := f.hospital("b").traceparent
	if !strings.Contains(parent, spans.Ended()[0].SpanContext().TraceID().String()) {
		t.Errorf("hospital b was told %q", parent)
	}
}

// The documentation has a line for each metric and no other.
func TestMetricsAreDocumented(t *testing.T) {
	telemetrytest.Documented(t, "../docs/observability.md", "Coordinator", collector{&Coordinator{metrics: newMetrics()}})
}
