package worker

import (
	"context"
	"encoding/gob"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
)

// argument is the hidden first argument of the program as a worker. The role's name follows.
const argument = "__worker"

// The files of a child beside standard input, output and error.
const (
	ordersFile = 3
	newsFile   = 4
)

// known is set when Main has run. A program that never calls Main, such as most tests, must not be started as a worker:
// it would start its own work again, without end.
var known atomic.Bool

// Known reports whether this program can be its own worker: it has called Main, on a system that supports workers.
func Known() bool { return known.Load() }

// Role is a job of a worker; Serve makes it. It returns when the process should end.
type Role func(orders io.Reader, news io.Writer)

// Main must be called first by a program that has workers. In a worker it does the job and does not return.
func Main(roles map[string]Role) {
	known.Store(runtime.GOOS != "windows") // a child inherits no pipes there
	if len(os.Args) != 3 || os.Args[1] != argument {
		return
	}
	role, ok := roles[os.Args[2]]
	if !ok {
		os.Exit(2)
	}
	// These signals are for the daemon, which lets requests end and then closes the pipe.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	restrict()
	role(os.NewFile(ordersFile, "orders"), os.NewFile(newsFile, "news"))
	os.Exit(0)
}

// order is a message of the parent.
type order[S, Q any] struct {
	Setup   *S // only in the first order
	Request *Q
	Number  uint64 // of the request, from 1
	Cancel  bool   // cancels the request of that number
}

// news is a message of the child.
type news[R any] struct {
	Reply   *R
	Done    bool   // the request, or the setup, has ended
	Over    bool   // with Done: the process is no longer usable
	Refused string // with Done: why the setup failed
}

// Server answers requests, one at a time.
type Server[Q, R any] interface {
	// Answer answers with any number of replies. A fault of the request belongs in a reply: an error means that the
	// process is no longer usable. Answer should end soon after ctx does.
	Answer(ctx context.Context, request Q, reply func(R) error) error
}

// Serve makes a role. open is called once, with the setup of the pool; its error reaches the parent as text.
func Serve[S, Q, R any](open func(ctx context.Context, setup S) (Server[Q, R], error)) Role {
	return func(orders io.Reader, to io.Writer) {
		c := &child[S, Q, R]{out: gob.NewEncoder(to), requests: make(chan order[S, Q], 1)}
		go c.read(gob.NewDecoder(orders))
		first, ok := <-c.requests
		if !ok || first.Setup == nil {
			return
		}
		server, err := open(context.Background(), *first.Setup)
		if err != nil {
			_ = c.out.Encode(news[R]{Done: true, Over: true, Refused: err.Error()}) // if this fails, the parent has gone
			return
		}
		if c.out.Encode(news[R]{Done: true}) != nil {
			return
		}
		for o := range c.requests {
			err := server.Answer(c.begin(o.Number), *o.Request, func(r R) error { return c.out.Encode(news[R]{Reply: &r}) })
			c.end()
			if c.out.Encode(news[R]{Done: true, Over: err != nil}) != nil || err != nil {
				return
			}
		}
	}
}

// child is the state of a worker.
type child[S, Q, R any] struct {
	out      *gob.Encoder
	requests chan order[S, Q]

	mu        sync.Mutex
	number    uint64 // of the running request
	cancelled uint64 // the last cancelled request
	cancel    context.CancelFunc
}

// read takes orders until the parent closes the pipe or is gone. Then the process ends at once, whatever it does.
func (c *child[S, Q, R]) read(orders *gob.Decoder) {
	for {
		var o order[S, Q]
		if err := orders.Decode(&o); err != nil {
			os.Exit(0)
		}
		if !o.Cancel {
			c.requests <- o
			continue
		}
		c.mu.Lock()
		c.cancelled = o.Number
		if c.cancel != nil && c.number == o.Number {
			c.cancel()
		}
		c.mu.Unlock()
	}
}

// begin returns the context of a request, which may have been cancelled before it began.
func (c *child[S, Q, R]) begin(number uint64) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	c.number, c.cancel = number, cancel
	if c.cancelled == number {
		cancel()
	}
	return ctx
}

func (c *child[S, Q, R]) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel()
	c.cancel = nil
}
