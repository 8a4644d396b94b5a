package coordinator

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/intramuros/intramuros/internal/grid"
)

// timeline is what operators see of a query, in traces and metrics. Its steps begin and end at ticks of the query's
// grid, and nothing is published before the query's end. Researchers are told the hospitals' steps in the same way, so
// this reveals nothing more.
type timeline struct {
	c     *Coordinator
	ticks grid.Ticks
	root  trace.Span
	tick  time.Duration // when the answer leaves; 0: before any hospital was asked
	leave func()        // from metrics.enter; nil: not planned

	mu     sync.Mutex
	over   []step
	phases []phase
}

// step is a span that ended at a tick.
type step struct {
	span trace.Span
	at   time.Time
}

type phase struct {
	name string
	took time.Duration
}

// Attributes of spans, in addition to trace.Span's own. None holds SQL or a value.
const (
	attrQuery    = attribute.Key("intramuros.query")
	attrStudy    = attribute.Key("intramuros.study")
	attrHospital = attribute.Key("intramuros.hospital")
	attrCode     = attribute.Key("intramuros.code")
)

// ticks is the grid of a query that begins now.
func (c *Coordinator) ticks() grid.Ticks {
	return grid.Ticks{Grid: c.config.AnswerGrid, Started: time.Now(), Timeout: c.config.QueryTimeout}
}

// begin starts a query's timeline. The caller must call end.
func (c *Coordinator) begin(ctx context.Context, ticks grid.Ticks) (context.Context, *timeline) {
	c.metrics.now.Add(1)
	t := &timeline{c: c, ticks: ticks}
	ctx, t.root = c.tracer.Start(ctx, "query", trace.WithNewRoot(), trace.WithTimestamp(ticks.Started))
	return ctx, t
}

// step begins a span within that of ctx, and ends it with the code of a hospital that failed,
// or "".
func (t *timeline) step(ctx context.Context, name string, attributes ...attribute.KeyValue) (within context.Context, end func(code string)) {
	begin := t.ticks.Last()
	ctx, span := t.c.tracer.Start(ctx, name, trace.WithTimestamp(t.ticks.Started.Add(begin)), trace.WithAttributes(attributes...))
	return ctx, func(code string) {
		if code != "" {
			span.SetAttributes(attrCode.String(code))
			span.SetStatus(codes.Error, "")
		}
		tick := t.ticks.Next(0)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.over = append(t.over, step{span, t.ticks.Started.Add(tick)})
		if len(attributes) == 0 {
			t.phases = append(t.phases, phase{name, tick - begin})
		}
	}
}

// planned records how long admission and planning took, exactly, since they read no data.
func (t *timeline) planned(q *query) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phases = append(t.phases, phase{phasePlan, time.Since(t.ticks.Started)})
	t.leave = t.c.metrics.enter(q.name)
	t.root.SetAttributes(attrQuery.String(q.id), attrStudy.String(q.name))
}

// end publishes the steps. The query's answer or error is about to leave.
func (t *timeline) end(a *Answer, err error) {
	code := t.c.metrics.ended(a, err)
	t.mu.Lock()
	defer t.mu.Unlock()
	tick := t.tick
	if tick == 0 {
		tick = t.ticks.Next(0)
	}
	for _, p := range append(t.phases, phase{phaseAnswer, tick}) {
		t.c.metrics.seconds.WithLabelValues(p.name).Observe(p.took.Seconds())
	}
	for _, s := range t.over {
		s.span.End(trace.WithTimestamp(s.at))
	}
	t.root.SetAttributes(attrCode.String(code))
	if err != nil {
		t.root.SetStatus(codes.Error, "")
	}
	t.root.End(trace.WithTimestamp(t.ticks.Started.Add(tick)))
	t.c.metrics.now.Add(-1)
	if t.leave != nil {
		t.leave()
	}
}

// Trace sets the tracer for later queries. Call it before the first.
func (c *Coordinator) Trace(tracer trace.Tracer) { c.tracer = tracer }
