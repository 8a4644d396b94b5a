package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/study"
)

// fanOut is how many hospitals are spoken to at once.
const fanOut = 256

var errPrice = errors.New("the hospital's price differs")

// part is one hospital's part in a query.
type part struct {
	hospital    Hospital
	reservation string             // the node's; empty until it has prepared
	answered    bool               // executed to the end: nothing can be given back
	shown       *ledger.Checkpoint // of the hospital's ledger, after its charge
	sums        *merger
	absent      *Absence // why the hospital is out
}

// each runs do for all parts, many at once, and waits.
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

// prepare asks every hospital to check, price and reserve. It waits for all of
// them, since one that is cut off might hold a reservation that nobody can give
// back.
func (q *query) prepare(ctx context.Context, request []byte, loss dp.Loss) {
	ctx, end := q.course.step(ctx, phasePrepare)
	defer end("")
	each(q.parts, func(p *part) {
		within, cancel := context.WithTimeout(ctx, q.c.config.PrepareTimeout)
		defer cancel()
		within, end := q.course.step(within, phasePrepare+" at a hospital", attrHospital.String(p.hospital.Name))
		defer func() { end(p.absent.code()) }()
		prepared, err := q.c.nodes.prepare(withCheckpoint(within, study.MetadataKnown, q.c.known(within, p.hospital.Name)), p.hospital, request)
		if err == nil {
			p.reservation, p.hospital.DataVersion = prepared.Reservation, prepared.DataVersion
			if prepared.Loss != loss {
				err = errPrice
			}
		}
		if err != nil {
			q.out(p, err)
			q.progress.report(p, StateFailed)
			return
		}
		q.progress.report(p, StatePrepared)
	})
}

// execute asks every hospital for its partial aggregates and adds them up. Once
// too few can still answer, the rest is told to stop.
func (q *query) execute(ctx context.Context) (*merger, error) {
	own, err := q.c.ledger.Checkpoint(ctx, q.c.custody.key)
	if err != nil {
		return nil, err
	}
	ctx, end := q.course.step(ctx, phaseExecute)
	defer end("")
	ctx, stop := context.WithCancel(withCheckpoint(ctx, study.MetadataCheckpoint, &own))
	defer stop()
	total := newMerger(q.plan.Fragment)
	var mu sync.Mutex // of total, failed and broken
	var broken error
	failed, spare := 0, len(q.parts)-q.required
	each(q.parts, func(p *part) {
		// Of a hospital that fails half-way nothing counts: half an answer would
		// look like a whole one.
		ctx, end := q.course.step(ctx, phaseExecute+" at a hospital", attrHospital.String(p.hospital.Name))
		defer func() { end(p.absent.code()) }()
		p.sums = total.sibling()
		err := ctx.Err()
		if err == nil {
			q.progress.report(p, StateRunning)
			p.shown, err = q.c.nodes.execute(ctx, p.hospital, p.reservation, p.sums.take)
		}
		mu.Lock()
		if p.answered = err == nil; p.answered {
			if broken = total.merge(p.sums); broken != nil {
				stop()
			}
		} else if failed++; failed > spare {
			stop()
		}
		p.sums = nil
		mu.Unlock()
		if err != nil {
			q.out(p, err)
			q.progress.report(p, StateFailed)
			return
		}
		q.progress.report(p, StateAnswered)
	})
	return total, broken
}

// out takes a hospital out of the query.
func (q *query) out(p *part, err error) {
	a := absence(p.hospital.Name, err)
	p.absent = &a
	attrs := []any{slog.String("query", q.id), slog.String("hospital", a.Name), slog.String("code", a.Code)}
	if a.Code == absentUnreachable || errors.Is(err, errAnswer) {
		attrs = append(attrs, slog.Any("error", err)) // made by this side: it quotes no row
	}
	q.c.log.Warn("hospital is out of a query", attrs...)
}

// abandon gives back the reservations of the parts that have not run, as far as
// can be known here: a node that has run one refuses, and that is well.
func (q *query) abandon(ctx context.Context, parts []*part) {
	each(parts, func(p *part) {
		if p.reservation == "" || p.answered || p.absent != nil && p.absent.Code == absentUnreachable {
			return
		}
		if err := q.c.nodes.abandon(ctx, p.hospital, p.reservation); err != nil {
			q.c.log.Debug("reservation not given back; if it was not used, it will lapse", slog.String("query", q.id), slog.String("hospital", p.hospital.Name))
		}
	})
}

// sift moves the parts that are out to missing.
func (q *query) sift() {
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

// tooFew is the error for a query that misses the hospitals it needs.
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
		return slices.Contains([]string{absentNotJoined, absentUnreachable, absentTimeout}, a.Code)
	}
	if code != CodeHospitalFailed && !slices.ContainsFunc(why, func(a Absence) bool { return !away(a) }) {
		e.Hint = "nothing was charged; ask again later, or ask the federation's operator when they are back"
	}
	return e
}
