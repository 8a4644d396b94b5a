package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
)

// ErrUnknown says that this program cannot be its own worker: it has not called Main.
var ErrUnknown = errors.New("this program has no workers")

// Config describes the processes of a pool.
type Config struct {
	Role string // a role given to Main
	Most int    // number of processes, and so of requests at the same time; others wait
	// Memory is the ceiling of one process's private memory, in bytes. 0: none.
	Memory int64
	// Gone is called after a process has ended, with its number, to remove what it left. nil: nothing is removed.
	Gone func(pid int)
	Log  *slog.Logger
}

// Pool is a set of processes that do one job. S is the setup of each process, Q a request, and R a reply; gob must be
// able to encode them. Its methods may be called from any goroutine.
type Pool[S, Q, R any] struct {
	config Config
	setup  S
	seats  chan struct{} // one for each allowed process, taken while the process works or is replaced

	mu     sync.Mutex
	idle   []*process[S, Q, R]
	closed bool

	ctx    context.Context //nolint:containedctx // of the replacements, until Close
	cancel context.CancelFunc
	busy   sync.WaitGroup // replacements, and processes that have not been reaped yet
	ended  map[Reason]*atomic.Uint64
}

// Open starts the first process with the setup, and returns when it is ready. Errors are ErrUnknown, *Refused, *Ended,
// and the system's.
func Open[S, Q, R any](ctx context.Context, c Config, setup S) (*Pool[S, Q, R], error) {
	if !Known() {
		return nil, ErrUnknown
	}
	p := &Pool[S, Q, R]{config: c, setup: setup, seats: make(chan struct{}, max(1, c.Most)), ended: map[Reason]*atomic.Uint64{}}
	for _, why := range Reasons {
		p.ended[why] = &atomic.Uint64{}
	}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	first, err := p.start(ctx)
	if err != nil {
		p.cancel()
		p.busy.Wait()
		return nil, err
	}
	p.idle = append(p.idle, first)
	return p, nil
}

// Restarts returns how many processes ended for a reason and were replaced.
func (p *Pool[S, Q, R]) Restarts(why Reason) uint64 { return p.ended[why].Load() }

// Do lets a process answer the request, and calls each for every reply, one after another. It waits for a free process.
// An error of each cancels the request and is returned as it is. If ctx ends, the process is told, and killed if it is
// not done within a second. If it is done by then, Do returns nil, and the replies show how far it came. Other errors
// are *Ended, those of Open, and ctx's own while it waits.
func (p *Pool[S, Q, R]) Do(ctx context.Context, request Q, each func(R) error) error {
	heard := false
	once := func() error {
		w, err := p.acquire(ctx)
		if err != nil {
			return err
		}
		over, err := w.ask(ctx, request, func(r R) error {
			heard = true
			return each(r)
		})
		p.release(w, over)
		return err
	}
	err := once()
	var ended *Ended
	if errors.As(err, &ended) && ended.Reason == Lost && !heard && ctx.Err() == nil {
		err = once() // the package's comment says why this is safe
	}
	return err
}

// acquire waits for a seat, and returns an open process.
func (p *Pool[S, Q, R]) acquire(ctx context.Context) (*process[S, Q, R], error) {
	select {
	case p.seats <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			break
		}
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if w.alive() {
			return w, nil
		}
		p.discard(w)
	}
	w, err := p.start(ctx)
	if err != nil {
		<-p.seats
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return w, nil
}

// release takes a process back, or replaces it.
func (p *Pool[S, Q, R]) release(w *process[S, Q, R], over bool) {
	if !over && w.alive() {
		p.keep(w)
		<-p.seats
		return
	}
	p.discard(w)
	p.busy.Go(func() {
		defer func() { <-p.seats }()
		fresh, err := p.start(p.ctx)
		if err != nil {
			if p.ctx.Err() == nil {
				p.config.Log.Error("a worker was not replaced; the next request tries again", slog.String("worker", p.config.Role))
			}
			return
		}
		p.keep(fresh)
	})
}

// keep leaves a process for the next request.
func (p *Pool[S, Q, R]) keep(w *process[S, Q, R]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		w.kill(Cancelled)
		return
	}
	p.idle = append(p.idle, w)
}

// discard ends a process that is no longer usable, and counts the reason.
func (p *Pool[S, Q, R]) discard(w *process[S, Q, R]) {
	select {
	case <-w.ended:
		w.kill(Lost)
	default:
		w.kill(Broken)
	}
	why := *w.why.Load()
	p.ended[why].Add(1)
	p.config.Log.Warn("a worker ended and is replaced", slog.String("worker", p.config.Role), slog.String("reason", string(why)), slog.Int("pid", w.command.Process.Pid))
}

// start starts and opens a process, and waits for its end in the background.
func (p *Pool[S, Q, R]) start(ctx context.Context) (*process[S, Q, R], error) {
	w, err := launch[S, Q, R](p.config)
	if err != nil {
		return nil, err
	}
	p.busy.Go(func() {
		<-w.ended // its last message may still be unread, so the caller of the request hangs up
		w.usage.close()
		if p.config.Gone != nil {
			p.config.Gone(w.command.Process.Pid)
		}
	})
	return w, w.open(ctx, &p.setup)
}

// Close kills the processes, and returns when they are gone. No Do may be running.
func (p *Pool[S, Q, R]) Close() {
	p.cancel()
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, w := range idle {
		w.kill(Cancelled)
	}
	p.busy.Wait()
}
