package outward

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/intramuros/intramuros/internal/membership"
)

const (
	spare     = 2 // lines that a node keeps parked
	firstWait = 50 * time.Millisecond
	lastWait  = 2 * time.Second
	// tellAgain is the interval at which the log repeats that the door cannot be reached.
	tellAgain = 10 * time.Minute
)

// Config says how a node reaches the door.
type Config struct {
	Door   string      // in the form of ParseDoor
	Proxy  string      // in the form of ParseProxy
	CA     []string    // PEM files of authorities that are trusted for the HTTPS of a WebSocket, beside the system's
	TLS    *tls.Config // pki.CallerTLS
	Logger *slog.Logger
}

// Listener is a net.Listener whose connections are dialed out, and parked at the door until the coordinator takes them.
type Listener struct {
	config  Config
	address string      // host:port of the door
	socket  *url.URL    // nil: no WebSocket
	web     *tls.Config // of the WebSocket's HTTPS
	proxy   func() (*url.URL, error)

	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	begin   sync.Once
	keepers sync.WaitGroup
	taken   chan net.Conn
	lines   atomic.Int64 // number of lines made; gives each its own address

	mu     sync.Mutex
	hello  []byte
	parked map[*line]bool
	told   string // the logged reason why the door cannot be reached; empty: it can
	when   time.Time
}

// line is a connection of the node to the door.
type line struct {
	net.Conn
	address lineAddress
	mu      sync.Mutex // protects writes while the line is parked
	taken   bool
}

// RemoteAddr is different for each line.
func (p *line) RemoteAddr() net.Addr { return p.address }

type lineAddress string

// Network implements net.Addr.
func (lineAddress) Network() string { return "outward" }

// String implements net.Addr.
func (a lineAddress) String() string { return string(a) }

// Listen prepares a listener that announces self; Accept begins to dial.
func Listen(c Config, self membership.Member) (*Listener, error) {
	greet, err := hello(self)
	if err != nil {
		return nil, err
	}
	l := &Listener{taken: make(chan net.Conn), hello: greet, parked: map[*line]bool{}}
	if l.address, l.socket, err = ParseDoor(c.Door); err != nil {
		return nil, err
	}
	if l.socket != nil {
		if l.web, err = webTLS(l.socket.Hostname(), c.CA); err != nil {
			return nil, err
		}
	}
	if l.proxy, err = ParseProxy(c.Proxy, l.address); err != nil {
		return nil, err
	}
	c.TLS = c.TLS.Clone()
	c.TLS.NextProtos = []string{ALPN}
	l.config = c
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l, nil
}

// Addr is the door's address. Nobody can reach the node at it.
func (l *Listener) Addr() net.Addr { return lineAddress(l.config.Door) }

// Accept waits until the coordinator takes a line.
func (l *Listener) Accept() (net.Conn, error) {
	l.begin.Do(func() {
		for range spare {
			l.keepers.Go(l.keep)
		}
	})
	select {
	case c := <-l.taken:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Update announces self again, on the parked lines and on all later ones.
func (l *Listener) Update(_ context.Context, self membership.Member) error {
	greet, err := hello(self)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.hello = greet
	l.mu.Unlock()
	for _, p := range l.all() {
		_ = l.greet(p) // a broken line is made again, and then announces it
	}
	return nil
}

// all lists the parked lines. A line's lock must be taken before the listener's.
func (l *Listener) all() []*line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.parked))
}

// Connected reports whether a line is parked.
func (l *Listener) Connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.parked) > 0
}

// Close announces that the node stops, and ends the parked lines. Taken lines continue.
func (l *Listener) Close() error {
	for _, p := range l.all() {
		_ = p.say([]byte{msgQuit})
	}
	l.stop()
	l.keepers.Wait()
	return nil
}

// keep keeps one line parked, for ever.
func (l *Listener) keep() {
	wait := firstWait
	for l.ctx.Err() == nil {
		parked, conn, err := l.park()
		if parked {
			wait = firstWait
		}
		if err == nil {
			select {
			case l.taken <- conn:
			case <-l.ctx.Done():
				conn.Close()
			}
			continue
		}
		l.tell(parked, err)
		select {
		case <-time.After(wait/2 + rand.N(wait)):
		case <-l.ctx.Done():
		}
		wait = min(2*wait, lastWait)
	}
}

// tell logs that the door cannot be reached, once for each cause.
func (l *Listener) tell(parked bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if parked || l.ctx.Err() != nil || len(l.parked) > 0 {
		return // a broken line is made again, which is not worth a message
	}
	if cause := err.Error(); cause != l.told || time.Since(l.when) > tellAgain {
		l.told, l.when = cause, time.Now()
		l.config.Logger.Warn("the coordinator's door cannot be reached; trying again until it can",
			slog.String("door", l.config.Door), slog.Any("cause", err))
	}
}

// park makes a line and waits until it is taken. parked reports whether the door accepted it.
func (l *Listener) park() (parked bool, _ net.Conn, err error) {
	p, err := l.call()
	if err != nil {
		return false, nil, err
	}
	// Closing the line ends the read below.
	ended := context.AfterFunc(l.ctx, func() { p.Close() })
	defer func() {
		ended()
		l.mu.Lock()
		delete(l.parked, p)
		l.mu.Unlock()
		if err != nil {
			p.Close()
		}
	}()
	greeted := false
	for {
		kind, err := next(p)
		if err != nil {
			return parked, nil, l.broken(greeted, err)
		}
		switch kind {
		case msgHere:
			switch {
			case !greeted:
				greeted, err = true, l.greet(p)
			case !parked:
				parked, err = true, l.settled(p)
			default:
				err = p.say([]byte{msgHere})
			}
			if err != nil {
				return parked, nil, err
			}
		case msgTake:
			_ = p.SetReadDeadline(time.Time{}) // if this fails, so does the next reader
			return true, p, p.hand()
		case msgRefuse:
			why, err := readText(p)
			return parked, nil, errors.Join(fmt.Errorf("the coordinator refuses: %s", why), err)
		default:
			return parked, nil, errors.New("the door speaks another language; the versions may differ")
		}
	}
}

// broken explains why a line ended.
func (l *Listener) broken(greeted bool, err error) error {
	var alert *net.OpError
	if !greeted && errors.As(err, &alert) && alert.Op == "remote error" {
		return fmt.Errorf("the coordinator does not accept this node's certificate (%w): it may be revoked, expired, or another federation's", err)
	}
	return err
}

// call connects to the door.
func (l *Listener) call() (*line, error) {
	through, err := l.proxy()
	if err != nil {
		return nil, fmt.Errorf("the proxy of the environment: %w", err)
	}
	raw, err := l.reach(through)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(l.ctx, callTime)
	defer cancel()
	conn := tls.Client(raw, l.config.TLS)
	if err := conn.HandshakeContext(within); err != nil {
		raw.Close()
		return nil, fmt.Errorf("the door's TLS: %w", err)
	}
	return &line{Conn: conn, address: lineAddress(fmt.Sprintf("%s line %d", l.config.Door, l.lines.Add(1)))}, nil
}

// reach makes the connection that carries the line's TLS.
func (l *Listener) reach(proxy *url.URL) (net.Conn, error) {
	raw, err := connect(l.ctx, l.address, proxy)
	if err != nil || l.socket == nil {
		return raw, err
	}
	through, err := upgrade(l.ctx, raw, l.socket, l.web)
	if err != nil {
		raw.Close()
	}
	return through, err
}

// greet sends the latest hello on a line.
func (l *Listener) greet(p *line) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.mu.Lock()
	greet := l.hello
	l.mu.Unlock()
	return p.write(greet)
}

// settled records that a line is parked. If the hello has changed in between, it is sent again.
func (l *Listener) settled(p *line) error {
	l.mu.Lock()
	l.parked[p] = true
	again := l.told != ""
	l.told = ""
	l.mu.Unlock()
	if again {
		l.config.Logger.Info("the coordinator's door is reached", slog.String("door", l.config.Door))
	}
	return l.greet(p)
}

func (p *line) say(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.write(b)
}

// write must be called with the lock held.
func (p *line) write(b []byte) error {
	if p.taken {
		return nil
	}
	return send(p.Conn, b)
}

// hand answers that the line belongs to the coordinator from now on.
func (p *line) hand() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.write([]byte{msgTake})
	p.taken = true
	return err
}
