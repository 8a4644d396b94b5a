package node

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/telemetry"
)

// metrics are a node's counts for its custodian. Unlike a coordinator's they are exact, and so private: how long a
// query ran depends on the data. They stay in the hospital.
type metrics struct {
	requests *prometheus.CounterVec
	waited   prometheus.Histogram
	computed prometheus.Histogram
	waiting  prometheus.Gauge
	groups   prometheus.Counter
}

const codeOK = "OK"

func newMetrics() *metrics {
	seconds := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	return &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "intramuros_node_requests_total", Help: "Calls by coordinators, by what they asked for and by outcome: OK, or the refusal's code.",
		}, []string{"action", "code"}),
		waited: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "intramuros_node_wait_seconds", Help: "How long queries waited for their turn at the database.", Buckets: seconds,
		}),
		computed: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "intramuros_node_computation_seconds", Help: "How long the database computed a query and its partial aggregates left. Private: it depends on the data.",
			Buckets: seconds,
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{Name: "intramuros_node_queries_waiting", Help: "Queries that wait for their turn."}),
		groups: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "intramuros_node_groups_sent_total", Help: "Groups of partial aggregates that left. Private: how many there are depends on the data.",
		}),
	}
}

var (
	descRunning    = prometheus.NewDesc("intramuros_node_queries_running", "Queries that the database computes now.", nil, nil)
	descConcurrent = prometheus.NewDesc("intramuros_node_queries_concurrent_limit", "Queries that may be computed at once: limits.concurrent.", nil, nil)
	descHeld       = prometheus.NewDesc("intramuros_node_reservations", "Queries that are prepared and not executed.", nil, nil)
	descLeft       = prometheus.NewDesc("intramuros_node_budget_remaining_ratio",
		"What is left of a budget, from 1 down to 0, less what is reserved: of a study, and with study=\"\" of all together.", []string{"study"}, nil)
	descStudies = prometheus.NewDesc("intramuros_node_studies", "Studies known here, by status.", []string{"status"}, nil)
	descWrong   = prometheus.NewDesc("intramuros_node_tables_withheld", "Tables that contradict the catalog, over which nothing is answered.", nil, nil)
	descEnds    = prometheus.NewDesc("intramuros_certificate_expiry_timestamp_seconds", "When a certificate ends, in Unix time: own, authority, console.", []string{"certificate"}, nil)
	descEntries = prometheus.NewDesc("intramuros_ledger_entries", "Entries of the node's ledger.", nil, nil)
)

// collector returns a node's metrics: those that it counts, and those that are read when they are collected.
type collector struct {
	*service
	terms func() []pki.Term
}

// Collector gives the node's metrics, which are private. docs/observability.md explains each.
func (n *Node) Collector() prometheus.Collector { return collector{n.service, n.config.terms} }

func (c collector) counted() []prometheus.Collector {
	m := c.metrics
	return []prometheus.Collector{m.requests, m.waited, m.computed, m.waiting, m.groups}
}

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, own := range c.counted() {
		own.Describe(to)
	}
	for _, d := range []*prometheus.Desc{descRunning, descConcurrent, descHeld, descLeft, descStudies, descWrong, descEntries, descEnds} {
		to <- d
	}
}

// collectTime is how long reading the remaining budgets from the ledger may take.
const collectTime = 5 * time.Second

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	for _, own := range c.counted() {
		own.Collect(to)
	}
	gauge := func(d *prometheus.Desc, x float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, x, labels...)
	}
	gauge(descRunning, float64(len(c.slots)))
	gauge(descConcurrent, float64(cap(c.slots)))
	gauge(descHeld, float64(c.reservations.number()))
	for _, t := range c.terms() {
		gauge(descEnds, float64(t.Ends.Unix()), t.What)
	}
	gauge(descWrong, float64(len(c.verified.Load().wrong)))
	ctx, cancel := context.WithTimeout(context.Background(), collectTime)
	defer cancel()
	whole, err := c.left(ctx, scopeNode, c.budget)
	if err != nil {
		to <- prometheus.NewInvalidMetric(descLeft, err)
	} else {
		gauge(descLeft, 1-whole.Spent, "")
	}
	number := map[study.Status]int{}
	for _, s := range c.studies.All() {
		number[s.Status]++
		if s.Approved == nil {
			continue
		}
		left, err := c.left(ctx, scopeStudy(s.ID), s.Approved.Budget)
		if err != nil {
			to <- prometheus.NewInvalidMetric(descLeft, err)
			continue
		}
		gauge(descLeft, 1-left.Spent, s.ID)
	}
	for status, n := range number {
		gauge(descStudies, float64(n), string(status))
	}
	entries, _, err := c.ledger.Head(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(descEntries, err)
		return
	}
	gauge(descEntries, float64(entries))
}

// begin starts the span of a call within the coordinator's trace, if it has one. The node's spans
// go to the hospital's own collector, and are exact.
func (s *service) begin(ctx context.Context, action string) (context.Context, trace.Span) {
	ctx = telemetry.Extract(ctx)
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, trace.SpanFromContext(ctx)
	}
	return s.tracer.Start(ctx, "node "+plainAction(action), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("intramuros.hospital", s.name)))
}

// outcome counts a call of ctx and notes on its span how it ended.
func (s *service) outcome(ctx context.Context, action string, r *fragment.Request, code string) {
	s.metrics.requests.WithLabelValues(plainAction(action), code).Inc()
	span := trace.SpanFromContext(ctx)
	span.SetAttributes(attribute.String("intramuros.code", code))
	if code != codeOK {
		span.SetStatus(codes.Error, "")
	}
	if r != nil {
		span.SetAttributes(attribute.String("intramuros.query", r.Query), attribute.String("intramuros.study", r.Study))
	}
}

// plainAction is the action that a peer names if it is known, else "other".
func plainAction(action string) string {
	switch action {
	case actionPrepare, actionExplain, actionLookup, actionAbandon, actionEnd, actionDescribe, actionExecute, study.ActionExchange, study.ActionCharges:
		return action
	}
	return "other"
}

// Trace sets the tracer of later calls. Call it before Serve.
func (n *Node) Trace(tracer trace.Tracer) { n.service.tracer = tracer }
