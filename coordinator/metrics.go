package coordinator

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are this coordinator's counters for its operators. They reveal no more than researchers are told, and nothing
// earlier: a query is counted when its answer or error is sent, and durations are on the answer grid. Releases are
// counted, and not draws of noise, because there is a draw for each group before the selection.
type metrics struct {
	queries  *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	running  prometheus.GaugeFunc
	now      *atomic.Int64 // queries whose answer has not left
	absences *prometheus.CounterVec
	released prometheus.Counter
	unknown  *prometheus.CounterVec

	mu    sync.Mutex
	codes map[string]bool      // of nodes, as labels
	books map[string]*bookmark // by study; "" is the whole ledger
}

// bookmark is what the ledger said when no query of the study was running. The ledger's growth during a query would
// reveal, to the millisecond, when the hospitals were done.
type bookmark struct {
	running int
	begun   int      // the number of queries begun
	shown   *float64 // nil: it has not been read yet
}

// The phases of a query, as labels.
const (
	phasePlan    = "plan"
	phasePrepare = "prepare"
	phaseExecute = "execute"
	phaseLookup  = "lookup"
	phaseAnswer  = "answer"
)

// The outcomes of a query, beside the codes of errors.
const (
	outcomeAnswered = "OK"
	outcomeStored   = "STORED"
)

func newMetrics() *metrics {
	now := &atomic.Int64{}
	return &metrics{
		now: now,
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "intramuros_queries_total",
			Help: "Queries that ended, by outcome: OK, STORED for an answer that was there already, or the error's code.",
		}, []string{"code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "intramuros_query_seconds",
			Help: "Time of a query's phases. plan is exact and depends on the SQL alone; prepare, execute and lookup (of public tables) begin and end at ticks of the answer grid; " +
				"answer is the tick at which the query ended.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"phase"}),
		running: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "intramuros_queries_running", Help: "Queries whose answer has not left.",
		}, func() float64 { return float64(now.Load()) }),
		absences: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "intramuros_hospital_absences_total",
			Help: "Queries in which a hospital took no part, or which ended for its sake, by why: what answers and errors say of hospitals.",
		}, []string{"hospital", "code"}),
		released: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "intramuros_noisy_values_released_total", Help: "Numbers that were covered with noise and released, those of stored answers once.",
		}),
		unknown: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "intramuros_authentication_failures_total", Help: "Tokens that were not believed, by code.",
		}, []string{"code"}),
		codes: map[string]bool{}, books: map[string]*bookmark{},
	}
}

// enter records that a query of a study may change the ledger from now on. The caller must call leave.
func (m *metrics) enter(study string) (leave func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	marks := []*bookmark{m.book(study), m.book("")}
	for _, b := range marks {
		b.running++
		b.begun++
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, b := range marks {
			b.running--
		}
	}
}

// book must be called with the lock held.
func (m *metrics) book(study string) *bookmark {
	b, ok := m.books[study]
	if !ok {
		b = &bookmark{}
		m.books[study] = b
	}
	return b
}

// quiet returns what read says of the ledger, or what it said last while a query of the study runs. It returns nil if
// read has not said anything yet.
func (m *metrics) quiet(study string, read func() (float64, error)) (*float64, error) {
	m.mu.Lock()
	b := m.book(study)
	running, begun, shown := b.running, b.begun, b.shown
	m.mu.Unlock()
	if running > 0 {
		return shown, nil
	}
	x, err := read()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if b.begun == begun { // none began in the meantime
		b.shown = &x
	}
	return b.shown, nil
}

// absent counts the hospitals that a caller is told are absent. Codes come from nodes. A node that invents codes
// creates a bounded number of series.
func (m *metrics) absent(all []Absence) {
	const most = 64
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range all {
		code := a.Code
		if m.codes[code] = m.codes[code] || len(m.codes) < most; !m.codes[code] {
			delete(m.codes, code)
			code = "OTHER"
		}
		m.absences.WithLabelValues(a.Name, code).Inc()
	}
}

// ended counts a query whose caller is about to get this answer or error.
func (m *metrics) ended(a *Answer, err error) (code string) {
	code = outcomeAnswered
	var refused *Error
	switch {
	case errors.As(err, &refused):
		code = string(refused.Code)
		m.absent(refused.Hospitals)
	case err != nil:
		code = string(CodeInternal)
	default:
		if a.Stored {
			code = outcomeStored
		}
		m.absent(a.Missing)
	}
	m.queries.WithLabelValues(code).Inc()
	return code
}

// collector collects a coordinator's metrics: counters, and values that are read at each collection.
type collector struct{ *Coordinator }

var (
	descUp = prometheus.NewDesc("intramuros_hospital_up",
		"1 where the hospital is in the federation's network with the same catalog, else 0.", []string{"hospital"}, nil)
	descRequired = prometheus.NewDesc("intramuros_hospitals_required", "Hospitals that must answer.", nil, nil)
	descLeft     = prometheus.NewDesc("intramuros_study_budget_remaining_ratio",
		"What is left of a study's budget, from 1 down to 0; while a query of the study runs, what was left before.", []string{"study"}, nil)
	descExpires = prometheus.NewDesc("intramuros_study_expiry_timestamp_seconds", "When a study ends, in Unix time.", []string{"study"}, nil)
	descOpen    = prometheus.NewDesc("intramuros_study_open", "1 where the study may ask here now, else 0.", []string{"study"}, nil)
	descEnds    = prometheus.NewDesc("intramuros_certificate_expiry_timestamp_seconds", "When a certificate ends, in Unix time: https, nodes (shown to the hospitals), authority.", []string{"certificate"}, nil)
	descEntries = prometheus.NewDesc("intramuros_ledger_entries", "Entries of the coordinator's ledger; while a query runs, those that were there before.", nil, nil)
)

// Collector returns this coordinator's metrics. docs/observability.md explains each.
func (c *Coordinator) Collector() prometheus.Collector { return collector{c} }

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, own := range c.counted() {
		own.Describe(to)
	}
	for _, d := range []*prometheus.Desc{descUp, descRequired, descLeft, descExpires, descOpen, descEntries, descEnds} {
		to <- d
	}
}

func (c collector) counted() []prometheus.Collector {
	m := c.metrics
	return []prometheus.Collector{m.queries, m.seconds, m.running, m.absences, m.released, m.unknown}
}

// collectTime is the time limit of reading the remaining budgets from the ledger.
const collectTime = 5 * time.Second

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	for _, own := range c.counted() {
		own.Collect(to)
	}
	gauge := func(d *prometheus.Desc, x float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, x, labels...)
	}
	read := func(d *prometheus.Desc, study string, from func() (float64, error), labels ...string) {
		x, err := c.metrics.quiet(study, from)
		if err != nil {
			to <- prometheus.NewInvalidMetric(d, err)
			return
		}
		if x != nil {
			gauge(d, *x, labels...)
		}
	}
	f := c.Federation()
	for _, h := range f.Hospitals {
		gauge(descUp, truth(h.Absent == nil), h.Name)
	}
	gauge(descRequired, float64(f.Required))
	for _, t := range c.terms() {
		gauge(descEnds, float64(t.Ends.Unix()), t.What)
	}
	ctx, cancel := context.WithTimeout(context.Background(), collectTime)
	defer cancel()
	for _, s := range c.studies.All() {
		if s.Approved == nil {
			continue
		}
		gauge(descOpen, truth(s.Open(c.now())), s.ID)
		gauge(descExpires, float64(s.Approved.Expires.Unix()), s.ID)
		read(descLeft, s.ID, func() (float64, error) {
			left, err := c.balances(ctx, c.caps(Researcher{}, s.ID, s.Approved))
			if err != nil {
				return 0, err
			}
			return 1 - left[0].Remaining.Spent, nil
		}, s.ID)
	}
	read(descEntries, "", func() (float64, error) {
		entries, _, err := c.ledger.Head(ctx)
		return float64(entries), err
	})
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
