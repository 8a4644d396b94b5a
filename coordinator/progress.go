package coordinator

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/intramuros/intramuros/internal/grid"
)

// State is how far a hospital is with a query.
type State string

// The states, in order. A hospital that failed reports no more.
const (
	StatePrepared State = "prepared" // it has reserved the loss
	StateRunning  State = "running"
	StateAnswered State = "answered"
	StateFailed   State = "failed"
)

// Progress is a step of one hospital.
type Progress struct {
	Hospital string
	State    State
	// Seconds is the time from the query's start to the tick at which the step is told. The exact time, and which hospital
	// was first, are not told.
	Seconds float64
	Absent  *Absence // why a hospital failed
}

// reporter passes on progress. Steps are held until the next tick of the query's grid and told in the order of the
// hospitals' names.
type reporter struct {
	tell  func(Progress) // nil if nobody listens
	ticks grid.Ticks
	stop  chan struct{}
	ended chan struct{}
	once  sync.Once // closes stop

	mu   sync.Mutex
	held []Progress
}

// newReporter starts a reporter. The caller must call drop; tell is not called after that.
func newReporter(ticks grid.Ticks, tell func(Progress)) *reporter {
	r := &reporter{tell: tell, ticks: ticks, stop: make(chan struct{}), ended: make(chan struct{})}
	if tell == nil {
		close(r.ended)
		return r
	}
	go r.run()
	return r
}

func (r *reporter) report(p *part, state State) {
	if r.tell == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = append(r.held, Progress{Hospital: p.hospital.Name, State: state, Absent: p.absent})
}

// run tells at each tick what was held.
func (r *reporter) run() {
	defer close(r.ended)
	for tick := r.ticks.Next(0); ; tick = r.ticks.Next(tick + 1) {
		timer := time.NewTimer(time.Until(r.ticks.Started.Add(tick)))
		select {
		case <-timer.C:
			r.flush(tick)
		case <-r.stop:
			timer.Stop()
			return
		}
	}
}

func (r *reporter) flush(tick time.Duration) {
	r.mu.Lock()
	held := r.held
	r.held = nil
	r.mu.Unlock()
	slices.SortStableFunc(held, func(a, b Progress) int { return cmp.Compare(a.Hospital, b.Hospital) })
	for _, p := range held {
		p.Seconds = tick.Round(time.Millisecond).Seconds()
		r.tell(p)
	}
}

// end tells what is still held, at the tick when the query ends.
func (r *reporter) end(tick time.Duration) {
	r.drop()
	if r.tell != nil {
		r.flush(tick)
	}
}

// drop stops the reporter at once without telling more.
func (r *reporter) drop() {
	r.once.Do(func() { close(r.stop) })
	<-r.ended
}
