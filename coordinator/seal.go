package coordinator

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/seal"
	"github.com/intramuros/intramuros/internal/telemetry"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// In a sealed study, hospitals send vectors that they have covered with their own noise. The coordinator adds the
// vectors and reads the sum. It draws no noise and has no exact number.

// covered adds up covered vectors, modulo 2^64.
type covered struct {
	groups    [][]value.Value // in the order of the vectors
	size      int
	vector    []int64
	hospitals int // the number of vectors added
}

func newCovered(p *planner.Plan, groups [][]value.Value) *covered {
	return &covered{groups: groups, size: len(groups) * p.Fragment.Released()}
}

func (c *covered) addRecord(r arrow.Record) (err error) {
	c.vector, err = fragment.ReadCovered(r, c.vector, c.size)
	return err
}

// whole refuses an answer that ended before its vector was complete.
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
		c.vector[i] += x // modulo 2^64
	}
	return nil
}

func (c *covered) drop() { c.vector = nil }

// read turns the sum into the released cells. The noise is already in it.
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
	for _, keys := range c.groups {
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

var (
	// errUnsealed means that a hospital has masked its numbers for another one whose numbers have not come. Then nobody
	// can read the sum.
	errUnsealed = errors.New("a hospital was lost while the query was sealed")
	// errTooManyNames means that the hospitals together name more groups than can be covered.
	errTooManyNames = errors.New("too many groups are named")
)

// conversation is a query whose hospitals exchange messages before they answer: the names of groups, or who is done. A
// hospital that is lost before it is done is left out, as `require` allows. With masked numbers, a hospital that is
// lost after that makes the query fail, and the charge stays.
type conversation struct {
	*query
	stop   context.CancelFunc
	mu     sync.Mutex // guards failed
	failed int
}

// talk is execute for a query with a conversation.
func (q *query) talk(ctx context.Context, stop context.CancelFunc) (sums, error) {
	c := &conversation{query: q, stop: stop}
	defer func() {
		for _, p := range q.parts {
			if p.line != nil {
				p.line.close()
			}
		}
	}()
	cover, groups := q.plan.Cover, q.plan.Fragment.Groups()
	ok := c.forEach(ctx, func(step context.Context, p *part) (err error) {
		q.progress.report(p, StateRunning)
		p.line, err = q.c.nodes.converse(ctx, step, p.hospital, p.reservation, func(l *nodeStream) (err error) {
			if !cover.Names {
				return l.receiveMember(p.hospital.Name)
			}
			if l.names, err = q.plan.Fragment.ReadNames(l.receive); errors.Is(err, fragment.ErrRecord) {
				return invalidAnswer(err)
			}
			return err
		})
		return err
	})
	if ok && cover.Names {
		if groups = c.union(); q.plan.Fragment.TooMany(len(groups)) {
			c.stop()
			return nil, errTooManyNames
		}
		ok = c.forEach(ctx, func(step context.Context, p *part) error {
			return p.line.within(step, func() error {
				if err := fragment.WriteNames(groups, p.line.send); err != nil || !cover.Masked() {
					return err
				}
				return p.line.receiveMember(p.hospital.Name)
			})
		})
	}
	total := newCovered(q.plan, groups)
	if !ok {
		return total, nil
	}
	if cover.Masked() {
		return total, c.sealed(ctx, total)
	}
	return total, c.answered(ctx, total)
}

// in lists the hospitals that still take part.
func (c *conversation) in() []*part {
	return slices.DeleteFunc(slices.Clone(c.parts), func(p *part) bool { return p.absent != nil })
}

// forEach makes each hospital that still takes part do something, and reports whether enough are left. If not, the
// others are told to stop.
func (c *conversation) forEach(ctx context.Context, do func(step context.Context, p *part) error) bool {
	late := c.lateness()
	each(c.in(), func(p *part) {
		within, end := c.timeline.step(ctx, phaseExecute+" at a hospital", attrHospital.String(p.hospital.Name))
		defer func() { end(p.absent.code()) }()
		err := ctx.Err()
		if err == nil {
			err = late.do(within, p, func(step context.Context) error { return do(step, p) })
		}
		if err != nil {
			c.lost(p, err)
		}
	})
	in := c.in()
	if len(in) >= c.required {
		return true
	}
	c.stop()
	for _, p := range in {
		c.fail(p, context.Canceled)
	}
	return false
}

// lost removes a hospital, and all others if too few are left.
func (c *conversation) lost(p *part, err error) {
	c.mu.Lock()
	if c.failed++; c.failed > len(c.parts)-c.required {
		c.stop()
	}
	c.mu.Unlock()
	c.fail(p, err)
	c.progress.report(p, StateFailed)
}

// union lists the groups that any hospital named, in order.
func (c *conversation) union() [][]value.Value {
	all := map[string][]value.Value{}
	for _, p := range c.in() {
		for _, keys := range p.line.names {
			all[fragment.GroupID(keys)] = keys
		}
		p.line.names = nil
	}
	var groups [][]value.Value
	for _, id := range slices.Sorted(maps.Keys(all)) {
		groups = append(groups, all[id])
	}
	return groups
}

// answered receives the vectors of hospitals that cover without masks.
func (c *conversation) answered(ctx context.Context, total *covered) error {
	var mu sync.Mutex // guards total
	c.forEach(ctx, func(step context.Context, p *part) error {
		vector := newCovered(c.plan, total.groups)
		if err := p.line.within(step, func() (err error) {
			p.checkpoint, err = p.line.finish(func(r arrow.Record) error {
				p.batches.Add(1)
				return vector.addRecord(r)
			})
			return err
		}); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if err := total.merge(vector); err != nil {
			return err
		}
		p.answered = true
		c.progress.report(p, StateAnswered)
		return nil
	})
	return nil
}

// sealed sends the hospitals that are done the list of all that are, and adds up their vectors.
func (c *conversation) sealed(ctx context.Context, total *covered) error {
	done := c.in()
	var members []seal.Member
	for _, p := range done {
		members = append(members, p.line.member)
	}
	slices.SortFunc(members, func(a, b seal.Member) int { return cmp.Compare(a.Name, b.Name) })
	ticket, err := json.Marshal(members)
	if err != nil {
		return err
	}
	var mu sync.Mutex // guards total and broken
	var broken error
	each(done, func(p *part) {
		vector := newCovered(c.plan, total.groups)
		err := p.line.send(ticket)
		if err == nil {
			p.checkpoint, err = p.line.finish(vector.addRecord)
		}
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			err = total.merge(vector)
		}
		if p.answered = err == nil; p.answered {
			c.c.losses.forget(p.hospital.Name)
			c.progress.report(p, StateAnswered)
			return
		}
		if broken == nil && ctx.Err() == nil { // the others are told to stop
			c.c.losses.note(p.hospital.Name, c.c.now())
		}
		broken = errUnsealed
		c.stop()
		c.fail(p, err)
		c.progress.report(p, StateFailed)
	})
	return broken
}

// A hospital that is lost while a query is sealed makes the query fail. So that it cannot waste budgets repeatedly, it
// is not asked for masked numbers for a while: a minute, and twice as long each time it is lost again, up to a day.
const (
	waitAtFirst = time.Minute
	waitAtMost  = 24 * time.Hour
)

// losses are the hospitals that were lost while a query was sealed and have not answered one since.
type losses struct {
	mu sync.Mutex
	of map[string]loss
}

type loss struct {
	times int
	until time.Time
}

func (l *losses) note(hospital string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]loss{}
	}
	x := l.of[hospital]
	wait := min(waitAtFirst<<min(x.times, 20), waitAtMost)
	l.of[hospital] = loss{x.times + 1, now.Add(wait)}
}

func (l *losses) forget(hospital string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, hospital)
}

// wait is how long the hospital will not be asked; 0 if it may be asked.
func (l *losses) wait(hospital string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, l.of[hospital].until.Sub(now))
}

// lostAtSeal says why a hospital is not asked for masked numbers, or nil if it is asked.
func (q *query) lostAtSeal(hospital string) *Absence {
	if !slices.ContainsFunc(q.program.Releases, func(p *planner.Plan) bool { return p.Cover != nil && p.Cover.Masked() }) {
		return nil
	}
	wait := q.c.losses.wait(hospital, q.c.now())
	if wait == 0 {
		return nil
	}
	return &Absence{Name: hospital, Code: absentLost, Why: fmt.Sprintf("was lost while a query was sealed, which cost the query; it is asked again in %d minutes", int(wait/time.Minute)+1)}
}

// nodeStream is a hospital that computes for a query and waits for a message.
type nodeStream struct {
	member seal.Member     // its message that it is done
	names  [][]value.Value // of its groups
	stream flight.FlightService_DoExchangeClient
	peer   *watchedPeer
	within func(step context.Context, do func() error) error // limits a wait for the hospital to the step
	close  func()
}

// converse runs a reservation until first has received its message or step ends. The stream ends with query, or when it
// is closed.
func (n *nodes) converse(query, step context.Context, h Hospital, reservation string, first func(*nodeStream) error) (*nodeStream, error) {
	ctx, cancel := detached(query)
	client, peer, err := n.client(h)
	if err != nil {
		cancel()
		return nil, err
	}
	l := &nodeStream{peer: peer}
	l.within = func(step context.Context, do func() error) error {
		defer n.propagateCancel(ctx, step, cancel, h, reservation)()
		return do()
	}
	if err := l.within(step, func() error {
		if l.stream, err = client.DoExchange(telemetry.Inject(ctx)); err != nil {
			return peer.check(err)
		}
		if err := l.send([]byte(reservation)); err != nil {
			return err
		}
		return first(l)
	}); err != nil {
		cancel()
		return nil, err
	}
	quiet := n.propagateCancel(ctx, query, cancel, h, reservation)
	l.close = func() { quiet(); cancel() }
	return l, nil
}

// send sends the hospital a message. If that fails, hear returns why.
func (l *nodeStream) send(b []byte) error {
	if err := l.stream.Send(&flight.FlightData{AppMetadata: b}); err != nil && !errors.Is(err, io.EOF) {
		return l.peer.check(err)
	}
	return nil
}

func (l *nodeStream) receive() ([]byte, error) {
	d, err := l.stream.Recv()
	if err != nil {
		return nil, l.peer.check(err)
	}
	return d.GetAppMetadata(), nil
}

func (l *nodeStream) receiveMember(name string) error {
	b, err := l.receive()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &l.member); err != nil || l.member.Name != name {
		return invalidAnswer(errors.New("it does not say that it is done"))
	}
	return nil
}

// finish receives the hospital's vector at the end of the conversation, with the checkpoint of the node's ledger.
func (l *nodeStream) finish(take func(arrow.Record) error) (*ledger.Checkpoint, error) {
	if err := l.stream.CloseSend(); err != nil {
		return nil, l.peer.check(err)
	}
	if err := receive(l.stream, take); err != nil {
		return nil, l.peer.check(err)
	}
	return trailing(l.stream.Trailer()), l.peer.check(nil)
}
