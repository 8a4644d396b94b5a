package coordinator

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/seal"
	"github.com/intramuros/intramuros/internal/telemetry"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// In a sealed study hospitals send vectors that they have covered with noise themselves. This side adds them up and reads
// the sum; it draws nothing, and holds no exact number.

// sums adds up what hospitals answer.
type sums interface {
	take(arrow.Record) error // one record of one hospital
	merge(sums) error        // all of another hospital's, which is not used again
	drop()                   // forgets what does not count
}

// covered adds up covered vectors, modulo 2^64.
type covered struct {
	size      int
	vector    []int64
	hospitals int // whose vectors are in it
}

func newCovered(p *planner.Plan) *covered {
	return &covered{size: p.Proof.Cells * p.Fragment.Released()}
}

func (c *covered) take(r arrow.Record) (err error) {
	c.vector, err = fragment.ReadCovered(r, c.vector, c.size)
	return err
}

// whole refuses an answer that ended before its vector did.
func (c *covered) whole() error {
	if len(c.vector) != c.size {
		return invalidAnswer(fmt.Errorf("a vector of %d numbers, not of %d", len(c.vector), c.size))
	}
	return nil
}

func (c *covered) merge(other sums) error {
	o, ok := other.(*covered)
	if !ok {
		return fmt.Errorf("%T is added to a covered vector", other)
	}
	if err := o.whole(); err != nil {
		return err
	}
	if c.vector == nil {
		c.vector = make([]int64, c.size)
	}
	c.hospitals++
	for i, x := range o.vector {
		c.vector[i] += x // wraps
	}
	return nil
}

func (c *covered) drop() { c.vector = nil }

// read turns the sum into the cells that are released. The noise is in it.
func (c *covered) read(p *planner.Plan) ([]planner.Cell, error) {
	if err := c.whole(); err != nil {
		return nil, err
	}
	shares, err := p.Shares(c.hospitals)
	if err != nil {
		return nil, err
	}
	var cells []planner.Cell
	rest := c.vector
	for _, keys := range p.Fragment.Groups() {
		cell := planner.Cell{Keys: keys}
		for j, partial := range p.Fragment.Partials {
			for _, x := range rest[:partial.Released()] {
				cell.Noisy = append(cell.Noisy, shares[j].Read(x))
			}
			rest = rest[partial.Released():]
		}
		cells = append(cells, cell)
	}
	slices.SortFunc(cells, func(a, b planner.Cell) int { return slices.CompareFunc(a.Keys, b.Keys, value.Compare) })
	return cells, nil
}

// errUnsealed means that a hospital has masked its numbers for one whose numbers have not come: nobody can read the sum.
var errUnsealed = errors.New("a hospital was lost while the query was sealed")

// seal has the hospitals compute, names those that are done to each other, and adds up what they have masked for exactly
// these. A hospital that is lost before it is done is left out, as `require` allows; after that the query fails, and what
// was charged stays charged.
func (q *query) seal(ctx context.Context, stop context.CancelFunc) (sums, error) {
	failed, spare := 0, len(q.parts)-q.required
	var mu sync.Mutex // of failed
	late := q.lateness()
	each(q.parts, func(p *part) {
		within, end := q.course.step(ctx, phaseExecute+" at a hospital", attrHospital.String(p.hospital.Name))
		defer func() { end(p.absent.code()) }()
		err := ctx.Err()
		if err == nil {
			q.progress.report(p, StateRunning)
			err = late.do(within, p, func(step context.Context) (err error) {
				p.line, err = q.c.nodes.seal(ctx, step, p.hospital, p.reservation)
				return err
			})
		}
		if err == nil {
			return
		}
		mu.Lock()
		if failed++; failed > spare {
			stop()
		}
		mu.Unlock()
		q.out(p, err)
		q.progress.report(p, StateFailed)
	})
	defer func() {
		for _, p := range q.parts {
			if p.line != nil {
				p.line.close()
			}
		}
	}()
	done := slices.DeleteFunc(slices.Clone(q.parts), func(p *part) bool { return p.absent != nil })
	total := newCovered(q.plan)
	if len(done) < q.required {
		stop()
		for _, p := range done {
			q.out(p, context.Canceled)
		}
		return total, nil
	}
	return total, q.sealed(done, total, stop)
}

// sealed tells the hospitals that are done of each other, and adds up their vectors.
func (q *query) sealed(done []*part, total *covered, stop context.CancelFunc) error {
	var members []seal.Member
	for _, p := range done {
		members = append(members, p.line.member)
	}
	slices.SortFunc(members, func(a, b seal.Member) int { return cmp.Compare(a.Name, b.Name) })
	ticket, err := json.Marshal(members)
	if err != nil {
		return err
	}
	var mu sync.Mutex // of total and broken
	var broken error
	each(done, func(p *part) {
		vector := newCovered(q.plan)
		var err error
		p.shown, err = p.line.finish(ticket, vector.take)
		if err == nil {
			err = vector.whole()
		}
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			err = total.merge(vector)
		}
		if p.answered = err == nil; p.answered {
			q.progress.report(p, StateAnswered)
			return
		}
		broken = errUnsealed
		stop()
		q.out(p, err)
		q.progress.report(p, StateFailed)
	})
	return broken
}

// sealing is a hospital that is done, and waits to be told for whom to mask.
type sealing struct {
	member seal.Member
	stream flight.FlightService_DoExchangeClient
	peer   *watchedPeer
	close  func()
}

// seal runs a reservation until the hospital is done, or step ends. The line ends with query, or when it is closed.
func (n *nodes) seal(query, step context.Context, h Hospital, reservation string) (_ *sealing, err error) {
	ctx, cancel := detached(query)
	defer func() {
		if err != nil {
			cancel()
		}
	}()
	client, peer, err := n.client(h)
	if err != nil {
		return nil, err
	}
	defer n.telling(ctx, step, cancel, h, reservation)()
	stream, err := client.DoExchange(telemetry.Inject(ctx))
	if err != nil {
		return nil, peer.check(err)
	}
	if err := stream.Send(&flight.FlightData{AppMetadata: []byte(reservation)}); err != nil && !errors.Is(err, io.EOF) {
		return nil, peer.check(err)
	}
	d, err := stream.Recv() // tells as well why nothing was sent
	if err != nil {
		return nil, peer.check(err)
	}
	s := &sealing{stream: stream, peer: peer}
	if err := json.Unmarshal(d.GetAppMetadata(), &s.member); err != nil || s.member.Name != h.Name {
		return nil, invalidAnswer(errors.New("it does not say that it is done"))
	}
	quiet := n.telling(ctx, query, cancel, h, reservation)
	s.close = func() { quiet(); cancel() }
	return s, nil
}

// finish tells the hospital for whom to mask, and takes its vector. It tells how far the node's ledger is.
func (s *sealing) finish(members []byte, take func(arrow.Record) error) (*ledger.Checkpoint, error) {
	if err := s.stream.Send(&flight.FlightData{AppMetadata: members}); err != nil && !errors.Is(err, io.EOF) {
		return nil, s.peer.check(err)
	}
	if err := s.stream.CloseSend(); err != nil {
		return nil, s.peer.check(err)
	}
	if err := receive(s.stream, take); err != nil {
		return nil, s.peer.check(err)
	}
	return trailing(s.stream.Trailer()), s.peer.check(nil)
}
