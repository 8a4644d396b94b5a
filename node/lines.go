package node

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/stats"
)

// lines are the connections of coordinators. They tell a call that its caller ended from one whose connection was lost,
// which gRPC does not: it closes a lost connection before it ends the calls, and that order is what is seen here.
type lines struct {
	net.Listener

	mu   sync.Mutex
	open map[string]*line // by remote address
}

type line struct {
	net.Conn
	closed atomic.Bool
	forget func()
}

func newLines(l net.Listener) *lines { return &lines{Listener: l, open: map[string]*line{}} }

// Accept waits for the next connection.
func (ls *lines) Accept() (net.Conn, error) {
	c, err := ls.Listener.Accept()
	if err != nil {
		return nil, err
	}
	address := c.RemoteAddr().String()
	l := &line{Conn: c}
	l.forget = func() {
		ls.mu.Lock()
		defer ls.mu.Unlock()
		if ls.open[address] == l {
			delete(ls.open, address)
		}
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.open[address] = l
	return l, nil
}

// Close ends the connection.
func (l *line) Close() error {
	l.closed.Store(true)
	l.forget()
	return l.Conn.Close()
}

type lineKey struct{}

// TagConn gives the context of a connection, from which those of its calls descend.
func (ls *lines) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return context.WithValue(ctx, lineKey{}, ls.open[info.RemoteAddr.String()])
}

// ending is how a call ended.
type ending struct {
	call context.Context
	over chan struct{}
	lost bool // its connection was closed then; read it once over is closed
}

type endingKey struct{}

// TagRPC notes of each call, when it ends, whether its connection was closed by then.
func (ls *lines) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	e := &ending{call: ctx, over: make(chan struct{})}
	l, _ := ctx.Value(lineKey{}).(*line)
	context.AfterFunc(ctx, func() {
		e.lost = l == nil || l.closed.Load()
		close(e.over)
	})
	return context.WithValue(ctx, endingKey{}, e)
}

// HandleConn does nothing.
func (*lines) HandleConn(context.Context, stats.ConnStats) {}

// HandleRPC does nothing.
func (*lines) HandleRPC(context.Context, stats.RPCStats) {}

// lost tells whether what ended a context within a call was that the call lost its connection.
func lost(ctx context.Context) bool {
	e, ok := ctx.Value(endingKey{}).(*ending)
	if !ok {
		return true
	}
	if e.call.Err() == nil {
		return false // it was ended from within
	}
	<-e.over
	return e.lost
}
