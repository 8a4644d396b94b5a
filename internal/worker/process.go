package worker

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	grace      = time.Second           // between a polite cancel and the kill
	watchEvery = 10 * time.Millisecond // interval of checking memory
	maxMessage = 128 << 20             // bytes of one reply; a child that sends more is killed
)

// Reason says why a process ended unexpectedly.
type Reason string

// The reasons.
const (
	Memory    Reason = "memory"    // it took more than its ceiling, and was killed
	Deadline  Reason = "deadline"  // the request's time was over; the process did not end within the grace, and was killed
	Cancelled Reason = "cancelled" // the request was cancelled; the process did not end within the grace, and was killed
	Lost      Reason = "lost"      // it ended by itself, or somebody killed it
	Broken    Reason = "broken"    // it said itself that it is unusable; no request failed because of this
)

// Reasons lists all of them.
var Reasons = []Reason{Memory, Deadline, Cancelled, Lost, Broken}

// Ended says that the process of a request ended before its answer was complete.
type Ended struct {
	Reason Reason
	cause  error // of the context, if it ended
}

func (e *Ended) Error() string { return "the worker's process ended: " + string(e.Reason) }

// Unwrap returns the context's error, if the context ended the request.
func (e *Ended) Unwrap() error { return e.cause }

// process is one child. Its methods must be called by one goroutine at a time, except kill.
type process[S, Q, R any] struct {
	command *exec.Cmd
	orders  *os.File
	news    *os.File
	limit   *io.LimitedReader
	out     *gob.Encoder
	in      *gob.Decoder
	memory  int64
	usage   *usage
	number  uint64
	writing sync.Mutex    // of out
	ended   chan struct{} // closed when the process has ended
	why     atomic.Pointer[Reason]
	closed  sync.Once
}

// Refused says that a worker could not be opened with the setup. Its text is the error of the role's open.
type Refused struct{ text string }

func (r *Refused) Error() string { return r.text }

// launch starts a child; open must follow.
func launch[S, Q, R any](c Config) (*process[S, Q, R], error) {
	program, err := program()
	if err != nil {
		return nil, err
	}
	ordersIn, orders, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ordersIn.Close()
	in, newsOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, orders.Close())
	}
	defer newsOut.Close()
	p := &process[S, Q, R]{
		command: &exec.Cmd{
			Path: program, Args: []string{os.Args[0], argument, c.Role}, Env: []string{}, ExtraFiles: []*os.File{ordersIn, newsOut}, SysProcAttr: dieWithParent(),
		},
		orders: orders, news: in, limit: &io.LimitedReader{R: in}, out: gob.NewEncoder(orders), memory: c.Memory, ended: make(chan struct{}),
	}
	p.in = gob.NewDecoder(p.limit)
	started := make(chan error, 1)
	go func() {
		defer close(p.ended)
		// Linux ends a tied process together with the thread that started it, so this thread must stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.command.Start()
		started <- err
		if err == nil {
			_ = p.command.Wait() // the reason is known from why we ended it
		}
	}()
	if err := <-started; err != nil {
		p.closePipes()
		return nil, fmt.Errorf("a worker cannot be started: %w", err)
	}
	p.usage = openUsage(p.command.Process.Pid)
	return p, nil
}

// open lets the child set itself up.
func (p *process[S, Q, R]) open(ctx context.Context, setup *S) error {
	last, err := p.exchange(ctx, order[S, Q]{Setup: setup}, nil)
	if err == nil && last.Refused != "" {
		err = &Refused{last.Refused}
	}
	if err != nil {
		p.kill(Broken)
	}
	return err
}

// kill ends the process at once. Only the first reason counts.
func (p *process[S, Q, R]) kill(why Reason) {
	p.why.CompareAndSwap(nil, &why)
	_ = p.command.Process.Kill() // it may be gone already
	p.closePipes()
}

// closePipes closes the pipes, so that neither end waits.
func (p *process[S, Q, R]) closePipes() {
	p.closed.Do(func() {
		p.orders.Close()
		p.news.Close()
	})
}

// alive reports whether an idle process can work and has some free memory.
func (p *process[S, Q, R]) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return p.why.Load() == nil && (p.memory == 0 || p.usage.bytes() < p.memory*9/10)
	}
}

// ask runs one request, and calls each for every reply. An error of each cancels the request and is returned as it is;
// later replies are ignored. over: the process is no longer usable.
func (p *process[S, Q, R]) ask(ctx context.Context, request Q, each func(R) error) (over bool, err error) {
	p.number++
	last, err := p.exchange(ctx, order[S, Q]{Request: &request, Number: p.number}, each)
	return last.Over, err
}

// exchange sends an order, and reads until it is done or the process has ended.
func (p *process[S, Q, R]) exchange(ctx context.Context, o order[S, Q], each func(R) error) (news[R], error) {
	asked, abandon := context.WithCancel(ctx)
	defer abandon()
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { p.watch(asked, o.Number, done) })
	defer watching.Wait()
	defer close(done)
	var ours error
	for err := p.send(o); err == nil; {
		var n news[R]
		p.limit.N = maxMessage
		if err = p.in.Decode(&n); err != nil {
			break
		}
		if n.Done {
			return n, ours
		}
		if ours == nil && n.Reply != nil {
			if ours = each(*n.Reply); ours != nil {
				abandon()
			}
		}
	}
	p.kill(Lost) // it is gone already, or its messages make no sense
	if ours != nil {
		return news[R]{}, ours
	}
	e := &Ended{Reason: *p.why.Load()}
	if e.Reason == Deadline || e.Reason == Cancelled {
		e.cause = ctx.Err()
	}
	return news[R]{}, e
}

func (p *process[S, Q, R]) send(o order[S, Q]) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	return p.out.Encode(o)
}

// watch kills the process if it uses too much memory, or if it is not done within the grace after asked ended.
func (p *process[S, Q, R]) watch(asked context.Context, number uint64, done <-chan struct{}) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	patience := time.NewTimer(0)
	patience.Stop()
	defer patience.Stop()
	told := asked.Done()
	for {
		select {
		case <-done:
			return
		case <-told:
			told = nil
			patience.Reset(grace)
			p.tell(number)
		case <-patience.C:
			if errors.Is(asked.Err(), context.DeadlineExceeded) {
				p.kill(Deadline)
			} else {
				p.kill(Cancelled)
			}
			return
		case <-tick.C:
			if p.memory > 0 && p.usage.bytes() > p.memory {
				p.kill(Memory)
				return
			}
		}
	}
}

// tell cancels a request politely. It never waits long for a child that does not read.
func (p *process[S, Q, R]) tell(number uint64) {
	if number == 0 || !p.writing.TryLock() {
		return
	}
	defer p.writing.Unlock()
	_ = p.orders.SetWriteDeadline(time.Now().Add(grace / 2)) // this fails on a closed pipe, and so does the next line
	_ = p.out.Encode(order[S, Q]{Number: number, Cancel: true})
	_ = p.orders.SetWriteDeadline(time.Time{})
}
