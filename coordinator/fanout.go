package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/study"
)

// fanOut is the number of hospitals that are called at once. It exceeds the size of federations, because a silent
// hospital keeps its place until enough others have answered.
const fanOut = 1024

var (
	errPriceTooHigh = errors.New("the hospital's price differs")
	errNoProgress   = errors.New("the hospital has fallen silent")
	errDeadline     = fmt.Errorf("the query's time is nearly up: %w", context.DeadlineExceeded)
)

// lookAfter is how long a late hospital may be silent before it is pinged.
const lookAfter = 300 * time.Millisecond

// part is one hospital's part in a query.
type part struct {
	hospital    Hospital
	version     int                // the version of the wire in which it is asked
	request     []byte             // the encoded request
	reservation string             // the node's; empty until it has prepared
	caveats     []fragment.Caveat  // what it reports about how it reads the tables
	answered    bool               // it executed to the end: nothing can be given back
	checkpoint  *ledger.Checkpoint // of the hospital's ledger, after its charge
	batches     atomic.Int64       // the number of batches received
	sums        sums
	line        *nodeStream // the stream of a conversation
	absent      *Absence    // why the hospital is out; nil: it takes part
}

// each runs do for all parts, many at once, and waits for all.
func each(parts []*part, do func(*part)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, fanOut)
	for _, p := range parts {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			do(p)
		})
	}
	all.Wait()
}

// deadlines watches the hospitals that are late with a step of a query, so that a silent hospital does not delay an
// answer for which the others suffice.
type deadlines struct {
	nodes  *nodes
	enough chan struct{} // closed when the required number have done the step
	needed atomic.Int64  // how many of these are missing
}

func (q *query) lateness() *deadlines {
	l := &deadlines{nodes: &q.c.nodes, enough: make(chan struct{})}
	l.needed.Store(int64(q.required))
	return l
}

// do runs one hospital's step. Once enough others have finished theirs, the hospital is pinged from time to time. If it
// does not respond, the step ends with errNoProgress. A step that would leave too little of ctx's time to release the
// others' answers ends with errDeadline.
func (l *deadlines) do(ctx context.Context, p *part, step func(context.Context) error) error {
	within, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	asking, done := context.WithCancel(within)
	defer done()
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-asking.Done():
		case <-l.enough:
			cut(l.watch(asking, p))
		}
	})
	err := step(within)
	done()
	watch.Wait()
	if err == nil {
		if l.needed.Add(-1) == 0 {
			close(l.enough)
		}
		return nil
	}
	if why := context.Cause(within); errors.Is(why, errNoProgress) || errors.Is(why, errPeer) || errors.Is(why, errDeadline) {
		return why
	}
	return err
}

// watch pings a hospital until asking ends. It returns why the hospital's step must end, or nil if the step has ended.
func (l *deadlines) watch(asking context.Context, p *part) error {
	late := make(<-chan time.Time)
	if deadline, ok := asking.Deadline(); ok {
		left := time.Until(deadline)
		late = time.After(left - min(time.Second, left/10)) // the remaining time is needed for the release
	}
	heard := p.batches.Load()
	for {
		select {
		case <-asking.Done():
			return nil
		case <-late:
			return errDeadline
		case <-time.After(lookAfter):
		}
		silent := l.nodes.ping(asking, p.hospital)
		now := p.batches.Load() // a batch also shows that it is there
		switch {
		case asking.Err() != nil:
			return nil
		case silent != nil && now == heard:
			return silent
		}
		heard = now
	}
}

// prepare asks every hospital to check, price and reserve. A reservation at a hospital that is cut off expires there.
func (q *query) prepare(ctx context.Context, loss dp.Loss) {
	ctx, end := q.timeline.step(ctx, phasePrepare)
	defer end("")
	late := q.lateness()
	each(q.parts, func(p *part) {
		within, cancel := context.WithTimeout(ctx, q.c.config.PrepareTimeout)
		defer cancel()
		within, end := q.timeline.step(within, phasePrepare+" at a hospital", attrHospital.String(p.hospital.Name))
		defer func() { end(p.absent.code()) }()
		err := late.do(within, p, func(ctx context.Context) error {
			prepared, err := q.c.nodes.prepare(withCheckpoint(ctx, study.MetadataKnown, q.c.keptCheckpoint(ctx, p.hospital.Name)), p.hospital, p.request)
			if err != nil {
				return err
			}
			p.reservation, p.hospital.DataVersion, p.caveats = prepared.Reservation, prepared.DataVersion, prepared.Caveats
			if prepared.Loss != loss {
				return errPriceTooHigh
			}
			return nil
		})
		if err != nil {
			q.fail(p, err)
			q.progress.report(p, StateFailed)
			return
		}
		q.progress.report(p, StatePrepared)
	})
}

// execute asks every hospital for its partial aggregates and adds them up. Once too few hospitals can still answer, the
// others are told to stop.
func (q *query) execute(ctx context.Context) (sums, error) {
	own, err := q.c.ledger.Checkpoint(ctx, q.c.custody.key)
	if err != nil {
		return nil, err
	}
	ctx, end := q.timeline.step(ctx, phaseExecute)
	defer end("")
	ctx, stop := context.WithCancel(withCheckpoint(ctx, study.MetadataCheckpoint, &own))
	defer stop()
	if c := q.plan.Cover; c != nil && (c.Masked() || c.Names) {
		return q.talk(ctx, stop)
	}
	total, anew := q.collectors()
	var mu sync.Mutex // guards total, failed and broken
	var broken error
	failed, spare := 0, len(q.parts)-q.required
	late := q.lateness()
	each(q.parts, func(p *part) {
		// A hospital that fails half-way does not count at all: half an answer would look like a whole one.
		ctx, end := q.timeline.step(ctx, phaseExecute+" at a hospital", attrHospital.String(p.hospital.Name))
		defer func() { end(p.absent.code()) }()
		p.sums = anew()
		err := ctx.Err()
		if err == nil {
			q.progress.report(p, StateRunning)
			err = late.do(ctx, p, func(ctx context.Context) (err error) {
				p.checkpoint, err = q.c.nodes.execute(ctx, p.hospital, p.reservation, func(r arrow.Record) error {
					p.batches.Add(1)
					return p.sums.addRecord(r)
				})
				if c, ok := p.sums.(*covered); ok && err == nil {
					err = c.whole()
				}
				return err
			})
		}
		mu.Lock()
		if p.answered = err == nil; p.answered {
			if broken = total.merge(p.sums); broken != nil {
				stop()
			}
		} else if errors.Is(err, errTooManyGroups) {
			broken = err
			stop()
		} else if failed++; failed > spare {
			stop()
		}
		p.sums.drop() // discards what is not in the total
		p.sums = nil
		mu.Unlock()
		if err != nil {
			q.fail(p, err)
			q.progress.report(p, StateFailed)
			return
		}
		q.progress.report(p, StateAnswered)
	})
	return total, broken
}

// collectors returns what adds up all answers, and a function that makes a collector for one hospital's answer.
func (q *query) collectors() (total sums, one func() sums) {
	if q.plan.Cover != nil {
		groups := q.plan.Fragment.Groups()
		return newCovered(q.plan, groups), func() sums { return newCovered(q.plan, groups) }
	}
	m := newExact(q.plan.Fragment)
	return m, func() sums { return m.emptyCopy() }
}

// newExact returns the collector for a fragment's answers. Declared groups are all listed.
func newExact(f *fragment.Fragment) exact {
	if places := f.Places(); places != nil {
		return newDeclared(f, places)
	}
	return newMerger(f)
}

// fail takes a hospital out of the query.
func (q *query) fail(p *part, err error) {
	a := absence(p.hospital.Name, err)
	p.absent = &a
	attrs := []any{slog.String("query", q.id), slog.String("hospital", a.Name), slog.String("code", a.Code)}
	if a.Code == absentUnreachable || errors.Is(err, errAnswer) {
		attrs = append(attrs, slog.Any("error", err)) // an error of this side, which quotes no row
	}
	q.c.log.Warn("hospital is out of a query", attrs...)
}

// abandon returns the reservations of the parts that have not run, as far as this coordinator knows. A node that has
// already run one refuses, which is harmless.
func (q *query) abandon(ctx context.Context, parts []*part) {
	each(parts, func(p *part) {
		if p.reservation == "" || p.answered || p.absent != nil && (p.absent.Code == absentUnreachable || p.absent.Code == absentCertificate) {
			return
		}
		if err := q.c.nodes.abandon(ctx, p.hospital, p.reservation); err != nil {
			q.c.log.Debug("reservation not given back; if it was not used, it will lapse", slog.String("query", q.id), slog.String("hospital", p.hospital.Name))
		}
	})
}

// dropFailed moves the parts that are out to missing.
func (q *query) dropFailed() {
	var in []*part
	for _, p := range q.parts {
		if p.absent == nil {
			in = append(in, p)
		} else {
			q.missing = append(q.missing, *p.absent)
		}
	}
	q.parts = in
}

// tooFew is the error of a query that lacks required hospitals.
func (q *query) tooFew(code Code, why []Absence) *Error {
	e := &Error{Code: code, Hospitals: why}
	if len(why) == 1 {
		e.Message = fmt.Sprintf("hospital %s %s", why[0].Name, why[0].Why)
	} else {
		e.Message = fmt.Sprintf("%d of %d hospitals do not answer", len(why), len(q.c.config.Hospitals))
	}
	if q.required < len(q.c.config.Hospitals) {
		e.Message += fmt.Sprintf(" (%d of %d must answer)", q.required, len(q.c.config.Hospitals))
	}
	away := func(a Absence) bool {
		return slices.Contains([]string{absentNotJoined, absentUnreachable, absentTimeout, absentLost}, a.Code)
	}
	closed := func(a Absence) bool { return a.Code == absentStudy || a.Code == absentFailures }
	if code != CodeHospitalFailed && !slices.ContainsFunc(why, func(a Absence) bool { return !away(a) }) {
		e.Hint = "nothing was charged; ask again later, or ask the federation's operator when they are back"
	} else if (code == CodeHospitalRefused || code == CodeHospitalMissing) && slices.ContainsFunc(why, closed) {
		e.Hint = "nothing was charged; ask the custodian of the hospital to open the study there"
	}
	return e
}
