package node

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/study"
)

// often gives the study a budget for many queries.
func often(d *study.Document) { d.Budget.Epsilon, d.MinEpsilon = 100, 0.01 }

func wide(conf Config) {
	propose(conf, "copd", 2, often)
	decide(conf, study.Approve, "copd", 2, 2, often)
}

// reopen approves the study again, as act number.
func reopen(t *testing.T, h *hospital, number int) {
	t.Helper()
	r := &study.Record{
		Act: study.Approve, Study: "copd", Federation: "france", Hospital: "lyon", Number: number, By: "claire", Time: time.Now(),
		Document: document("copd", 2, often), Proposal: document("copd", 2, often).Digest(),
	}
	must(t, r.Sign(claire))
	must(t, h.Take(t.Context(), r))
}

func failures(entries []ledger.Entry) (n int, last study.Failure) {
	for _, e := range entries {
		if e.Kind == ledger.KindFailure {
			n++
			last = study.Failure{}
			_ = json.Unmarshal(e.Detail, &last)
		}
	}
	return n, last
}

// Failures after the charge are counted. Above the allowance the study is suspended, also after a restart, until the
// custodian approves it again.
func TestFailuresSuspend(t *testing.T) {
	conf := testConfig(federation(t))
	wide(conf)
	e := newEngine()
	e.fail = func(context.Context) error { return errors.New("out of memory") }
	h := start(t, conf, e)
	c := h.client(t, "coordinator-paris")
	fail := func() {
		t.Helper()
		ticket, err := prepare(c, request(h.catalog, 0.1))
		must(t, err)
		_, err = execute(t.Context(), c, ticket)
		wantCode(t, err, CodeEngine)
	}
	for range 3 {
		fail()
	}
	held, err := prepare(c, request(h.catalog, 0.1)) // prepared while the study was open
	must(t, err)
	h.stop()
	h = start(t, conf, e)
	c = h.client(t, "coordinator-paris")
	_, err = execute(t.Context(), c, held) // it was in memory, and cost nothing
	wantCode(t, err, CodeTicket)
	fail()
	if st, err := h.Standing(t.Context()); err != nil || st.Studies[0].Failures != 4 || st.Studies[0].Allowed != 5 || st.Studies[0].Failed {
		t.Errorf("%+v, %v", st, err)
	}
	held, err = prepare(c, request(h.catalog, 0.1))
	must(t, err)
	fail()
	spent, _, err := h.Ledger().Spent(t.Context(), "study:copd")
	must(t, err)
	_, err = execute(t.Context(), c, held) // not charged
	wantCode(t, err, CodeFailures)
	_, err = prepare(c, request(h.catalog, 0.1))
	wantCode(t, err, CodeFailures)
	body, err := json.Marshal(request(h.catalog, 0.1))
	must(t, err)
	wantCode(t, act(t.Context(), c, "explain", body, nil), CodeFailures)
	h.stop()

	e.fail = nil
	h = start(t, conf, e)
	c = h.client(t, "coordinator-paris")
	_, err = prepare(c, request(h.catalog, 0.1))
	wantCode(t, err, CodeFailures)
	if now, _, err := h.Ledger().Spent(t.Context(), "study:copd"); err != nil || now != spent {
		t.Errorf("a refusal was charged: %+v, %+v, %v", now, spent, err)
	}
	st, err := h.Standing(t.Context())
	must(t, err)
	if s := st.Studies[0]; s.Status != study.Suspended || !s.Failed || s.Open || s.Failures != 5 {
		t.Errorf("the custodian sees %+v", s)
	}
	reopen(t, h, 3)
	ticket, err := prepare(c, request(h.catalog, 0.1))
	must(t, err)
	_, err = execute(t.Context(), c, ticket)
	must(t, err)
	st, err = h.Standing(t.Context())
	must(t, err)
	if s := st.Studies[0]; s.Failures != 0 || s.Failed || !s.Open {
		t.Errorf("after the approval the custodian sees %+v", s)
	}
	entries := h.entries(t)
	n, last := failures(entries)
	if n != 5 || last != (study.Failure{Approval: 2, Code: "NODE_ENGINE", Count: 5, Allowed: 5, Suspends: true}) {
		t.Errorf("%d failures, the last %+v", n, last)
	}
	for _, e := range entries {
		if e.Kind == ledger.KindFailure && strings.Contains(e.Text, "failure 5 of the 5 that the study copd may have here: the study is suspended here until the custodian resumes it.") {
			return
		}
	}
	t.Error("no entry says in plain words that the study is suspended")
}

// However many fail at once, no more failures are reported than allowed, and no more are charged.
func TestFailuresAtOnce(t *testing.T) {
	conf := testConfig(federation(t))
	wide(conf)
	conf.Limits.Concurrent = 50
	e := newEngine()
	e.fail = func(context.Context) error { time.Sleep(time.Millisecond); return errors.New("out of memory") }
	h := start(t, conf, e)
	c := h.client(t, "coordinator-paris")
	var failed, refused, others atomic.Int32
	var all sync.WaitGroup
	var tickets []string
	for range 100 {
		ticket, err := prepare(c, request(h.catalog, 0.02))
		must(t, err)
		tickets = append(tickets, ticket)
	}
	for _, ticket := range tickets {
		all.Go(func() {
			_, err := execute(context.Background(), c, ticket)
			switch {
			case strings.Contains(err.Error(), string(CodeEngine)):
				failed.Add(1)
			case strings.Contains(err.Error(), string(CodeFailures)):
				refused.Add(1)
			default:
				others.Add(1)
			}
		})
	}
	all.Wait()
	if failed.Load() != 5 || refused.Load() != 95 {
		t.Errorf("%d failed, %d were refused, %d else", failed.Load(), refused.Load(), others.Load())
	}
	if most := e.most.Load(); most > 5 {
		t.Errorf("%d ran at once that might all have failed", most)
	}
	entries := h.entries(t)
	if n, _ := failures(entries); n != 5 || strings.Count(kinds(entries), "charge") != 5 {
		t.Errorf("%s", kinds(entries))
	}
}

// Queries that succeed wait for each other if few may fail, and all are answered.
func TestSuccessesUseUpNothing(t *testing.T) {
	conf := testConfig(federation(t))
	wide(conf)
	conf.Limits.Concurrent, conf.Limits.FailuresAllowed = 8, 2
	e := newEngine()
	e.fail = func(context.Context) error { time.Sleep(2 * time.Millisecond); return nil }
	h := start(t, conf, e)
	c := h.client(t, "coordinator-paris")
	var all sync.WaitGroup
	for range 30 {
		ticket, err := prepare(c, request(h.catalog, 0.1))
		must(t, err)
		all.Go(func() {
			if _, err := execute(context.Background(), c, ticket); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most := e.most.Load(); most > 2 {
		t.Errorf("%d ran at once", most)
	}
	if n, _ := failures(h.entries(t)); n != 0 {
		t.Errorf("%d failures", n)
	}
}

// If a node dies while it runs a query, or the ledger cannot record a failure, a charge has no end. The next start
// finds it, and it counts once.
func TestDeathCounts(t *testing.T) {
	conf := testConfig(federation(t))
	wide(conf)
	h := start(t, conf, newEngine())
	c := h.client(t, "coordinator-paris")
	ticket, err := prepare(c, request(h.catalog, 0.1))
	must(t, err)
	h.engine.fail = func(context.Context) error { h.service.ledger.Close(); return errors.New("the disk is gone") }
	_, err = execute(t.Context(), c, ticket)
	wantCode(t, err, CodeEngine)
	h.stop()
	for range 2 {
		h = start(t, conf, newEngine())
		n, last := failures(h.entries(t))
		if n != 1 || last != (study.Failure{Approval: 2, Code: codeStopped, Count: 1, Allowed: 5}) {
			t.Errorf("%d failures, the last %+v", n, last)
		}
	}
	h = start(t, conf, newEngine())
	if st, err := h.Standing(t.Context()); err != nil || st.Studies[0].Failures != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

// A query that the coordinator ends is not a failure, unless its time is up. A query whose connection is lost is one.
func TestWhatIsNoFailure(t *testing.T) {
	conf := testConfig(federation(t))
	wide(conf)
	conf.Limits.QueryTimeout = 20 * time.Second
	begun := make(chan struct{})
	e := newEngine()
	e.fail = func(ctx context.Context) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	h := start(t, conf, e)
	left := time.Minute // until the coordinator's own deadline
	end := func() {}    // says that the query is ended
	running := func() (cancel, hangUp func(), done chan error) {
		conn, c := h.connection(t, "coordinator-paris")
		ticket, err := prepare(c, request(h.catalog, 0.1))
		must(t, err)
		end = func() { must(t, act(context.Background(), c, "end", []byte(ticket), nil)) }
		ctx, stop := context.WithTimeout(context.Background(), left)
		done = make(chan error, 1)
		go func() {
			_, err := execute(ctx, c, ticket)
			done <- err
		}()
		<-begun
		return stop, func() { conn.Close() }, done
	}
	count := func() int {
		st, err := h.Standing(t.Context())
		must(t, err)
		return st.Studies[0].Failures
	}
	settled := func(want int) {
		t.Helper()
		for range 200 {
			if h.engine.running.Load() == 0 && len(h.service.slots) == 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if got := count(); got != want {
			t.Errorf("%d failures, not %d", got, want)
		}
	}
	cancel, _, done := running()
	end()
	<-done
	cancel()
	settled(0)
	cancel, hangUp, done := running()
	hangUp()
	<-done
	cancel()
	settled(1)
	cancel, _, done = running() // like a coordinator that took this hospital for silent
	cancel()
	<-done
	settled(2)
	left = 1500 * time.Millisecond // like a coordinator that ends the wait for one late hospital of several
	cancel, _, done = running()
	end()
	<-done
	cancel()
	settled(3)
	left = time.Minute
	cancel, _, done = running()
	must(t, h.SetHold(t.Context(), Hold{On: true, Reason: "lunch"}))
	<-done
	cancel()
	settled(3)
}
