package outward

import (
	"cmp"
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/pki"
)

const (
	perHospital = 4 // parked lines of one hospital
	// minCallers is the least limit on open connections that have not identified themselves.
	minCallers = 256
)

// errNoLine says that the hospital has no line, and had none for a while.
var errNoLine = errors.New("the hospital has no line at the door")

// Door is where nodes park their lines. Its methods may be called at the same time.
type Door struct {
	listener net.Listener // nil: lines come only as WebSockets
	tls      *tls.Config
	expected []string
	log      *slog.Logger
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	all      sync.WaitGroup // call Add with the lock held, except in its own goroutines

	mu        sync.Mutex
	closed    bool
	callers   *list.List // of net.Conn, the oldest first
	hospitals map[string]*hospital
}

// hospital is what the door knows of one hospital.
type hospital struct {
	member membership.Member
	parked []*parked     // the oldest first
	used   int           // lines that are taken and still open
	left   bool          // the node said that it stops
	quit   time.Time     // when it last said so
	gone   time.Time     // when its last line ended
	there  bool          // present according to the log
	more   chan struct{} // closed when a line is parked
}

// parked is a line at the door that nobody has taken.
type parked struct {
	net.Conn
	mu     sync.Mutex    // protects writes and wanted
	wanted chan struct{} // closed when the node hands the line over; nil: nobody wants the line
}

// Open listens at the address. If it is empty, lines only come by ServeHTTP, which an HTTPS server must call at Path.
// conf is from pki.DoorTLS. Nodes of hospitals that are not expected are refused. Close the Door after use.
func Open(ctx context.Context, address string, conf *tls.Config, expected []string, log *slog.Logger) (*Door, error) {
	conf = conf.Clone()
	conf.NextProtos = []string{ALPN}
	d := &Door{tls: conf, expected: expected, log: log, callers: list.New(), hospitals: map[string]*hospital{}}
	if address != "" {
		var err error
		if d.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", address); err != nil {
			return nil, fmt.Errorf("the address of the door cannot be used: %w", err)
		}
	}
	d.ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	if d.listener != nil {
		d.all.Go(func() { d.accept(d.ctx) })
	}
	d.all.Go(func() { d.watch(d.ctx) })
	return d, nil
}

// Addr is the door's address; nil if it has no address of its own.
func (d *Door) Addr() net.Addr {
	if d.listener == nil {
		return nil
	}
	return d.listener.Addr()
}

// Close ends every line that nobody has taken, and waits.
func (d *Door) Close() error {
	d.stop()
	var err error
	if d.listener != nil {
		err = d.listener.Close()
	}
	d.mu.Lock()
	d.closed = true
	for e := d.callers.Front(); e != nil; e = e.Next() {
		d.closeLine(e.Value.(net.Conn))
	}
	for _, h := range d.hospitals {
		for _, p := range h.parked {
			d.closeLine(p)
		}
	}
	d.mu.Unlock()
	d.all.Wait()
	return err
}

// closeLine closes a connection in a goroutine, since it is called with the door's lock held. Closing TLS may take
// seconds if the peer does not read, and nobody else may wait for that.
func (d *Door) closeLine(c net.Conn) { d.all.Go(func() { c.Close() }) }

// Members lists the hospitals that are present, by name.
func (d *Door) Members() []membership.Member {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []membership.Member
	for _, h := range d.hospitals {
		if h.present() {
			all = append(all, h.member)
		}
	}
	slices.SortFunc(all, func(a, b membership.Member) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// present must be called with the door's lock held.
func (h *hospital) present() bool {
	return len(h.parked) > 0 || !h.left && (h.used > 0 || time.Since(h.gone) < Linger)
}

// Dial takes a line of the hospital. If there is none, it waits for one until ctx ends. The node serves TLS over the
// line; the caller must verify that it is the hospital, as with any other connection.
func (d *Door) Dial(ctx context.Context, name string) (net.Conn, error) {
	for {
		d.mu.Lock()
		h := d.hospitals[name]
		if h == nil || d.closed {
			d.mu.Unlock()
			return nil, errNoLine
		}
		more := h.more
		var p *parked
		if n := len(h.parked); n > 0 {
			p = h.parked[n-1]
			h.parked = h.parked[:n-1]
			h.used++
		}
		d.mu.Unlock()
		if p == nil {
			select {
			case <-more:
				continue
			case <-ctx.Done():
				return nil, fmt.Errorf("%w: %w", errNoLine, ctx.Err())
			}
		}
		if err := p.take(ctx); err == nil {
			return &taken{Conn: p.Conn, end: sync.OnceFunc(func() { d.given(h) })}, nil
		}
		p.Close()
		d.given(h)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// given records that a taken line has ended.
func (d *Door) given(h *hospital) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h.used--
	h.lost()
}

// lost must be called with the door's lock held, after a line has ended.
func (h *hospital) lost() {
	if len(h.parked) == 0 && h.used == 0 {
		h.gone = time.Now()
	}
}

// taken is a line in use.
type taken struct {
	net.Conn
	end func()
}

// Close ends the line.
func (t *taken) Close() error {
	t.end()
	return t.Conn.Close()
}

// take asks the node for the line, and waits until the node has handed it over.
func (p *parked) take(ctx context.Context) error {
	handed := make(chan struct{})
	p.mu.Lock()
	p.wanted = handed
	err := send(p.Conn, []byte{msgTake})
	p.mu.Unlock()
	if err != nil {
		return err
	}
	late := time.NewTimer(ackTime)
	defer late.Stop()
	select {
	case <-handed:
		return nil
	case <-late.C:
		return errors.New("the line is silent")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// beat asks whether the line is alive.
func (p *parked) beat() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted != nil {
		return nil
	}
	return send(p.Conn, []byte{msgHere})
}

func (d *Door) accept(ctx context.Context) {
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			d.log.Warn("the door cannot accept a connection", slog.Any("error", err))
			select {
			case <-time.After(100 * time.Millisecond): // an error such as too many open files may pass
			case <-ctx.Done():
				return
			}
			continue
		}
		if e := d.addCaller(conn); e != nil {
			go d.receive(ctx, conn, e)
		}
	}
}

// maxCallers limits open connections that have not identified themselves. It allows all lines of all hospitals, which
// come at the same time when the door opens again. With fewer places, connections would end each other's handshakes.
func (d *Door) maxCallers() int { return max(minCallers, perHospital*len(d.expected)) }

// addCaller records a connection that has not identified itself; receive must follow. If there are too many, the oldest
// is closed.
func (d *Door) addCaller(conn net.Conn) *list.Element {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		conn.Close()
		return nil
	}
	if d.callers.Len() >= d.maxCallers() {
		d.closeLine(d.callers.Remove(d.callers.Front()).(net.Conn))
	}
	d.all.Add(1)
	return d.callers.PushBack(conn)
}

// receive finds out who calls, and keeps the line while it is parked.
func (d *Door) receive(ctx context.Context, raw net.Conn, caller *list.Element) {
	defer d.all.Done()
	member, conn, err := d.identify(ctx, raw)
	d.mu.Lock()
	d.callers.Remove(caller) // removing twice does nothing
	d.mu.Unlock()
	if err != nil {
		raw.Close()
		if ctx.Err() == nil {
			d.log.Debug("a caller is not let in", slog.String("from", raw.RemoteAddr().String()), slog.Any("cause", err))
		}
		return
	}
	p := &parked{Conn: conn}
	if err := d.park(p, member); err != nil {
		conn.Close()
		return
	}
	if !d.hold(p, member.Name) {
		conn.Close()
	}
}

// identify authenticates the caller.
func (d *Door) identify(ctx context.Context, raw net.Conn) (member membership.Member, _ *tls.Conn, err error) {
	_ = raw.SetDeadline(time.Now().Add(callTime)) // if this fails, so does the handshake
	conn := tls.Server(raw, d.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		return member, nil, err
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != ALPN {
		return member, nil, errors.New("it is no node's line")
	}
	id, err := pki.PeerIdentity(state)
	if err != nil {
		return member, nil, err
	}
	if _, err := conn.Write([]byte{msgHere}); err != nil {
		return member, nil, err
	}
	kind, err := readKind(conn)
	if err == nil && kind != msgHello {
		err = errors.New("it does not say hello")
	}
	if err == nil {
		member, err = readHello(conn, id.Name)
	}
	if err != nil {
		return member, nil, err
	}
	if !slices.Contains(d.expected, id.Name) {
		why := "it knows no hospital " + id.Name + "; its operator adds it to `hospitals`"
		if b, err := text(msgRefuse, []byte(why)); err == nil {
			_, _ = conn.Write(b)
		}
		return member, nil, errors.New("no hospital " + id.Name + " is expected")
	}
	return member, conn, conn.SetDeadline(time.Time{})
}

// park adds a line. If the hospital has too many, the oldest is closed.
func (d *Door) park(p *parked, member membership.Member) error {
	if err := p.beat(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return net.ErrClosed
	}
	h := d.hospitals[member.Name]
	if h == nil {
		h = &hospital{more: make(chan struct{})}
		d.hospitals[member.Name] = h
	}
	if !h.there {
		h.there = true
		d.log.Info("a hospital is at the door", slog.String("hospital", member.Name), slog.String("from", p.RemoteAddr().String()))
	}
	h.member, h.left = member, false
	if len(h.parked) >= perHospital {
		d.closeLine(h.parked[0])
		h.parked = h.parked[1:]
	}
	h.parked = append(h.parked, p)
	close(h.more)
	h.more = make(chan struct{})
	return nil
}

// hold listens to a parked line until it ends or is handed over. It reports whether it was handed over.
func (d *Door) hold(p *parked, name string) (handed bool) {
	defer func() {
		if !handed {
			d.drop(p, name)
		}
	}()
	for {
		kind, err := next(p)
		if err != nil {
			return false
		}
		switch kind {
		case msgHere:
		case msgHello:
			member, err := readHello(p, name)
			if err != nil {
				return false
			}
			d.mu.Lock()
			d.hospitals[name].member = member
			d.mu.Unlock()
		case msgQuit:
			d.quit(p, name)
			return false
		case msgTake:
			p.mu.Lock()
			wanted := p.wanted
			p.mu.Unlock()
			if wanted == nil {
				return false
			}
			_ = p.SetReadDeadline(time.Time{}) // if this fails, so does the next reader
			close(wanted)
			return true
		default:
			return false
		}
	}
}

// quit records that a node stops. A node that has already replaced it stays.
func (d *Door) quit(p *parked, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.hospitals[name]
	h.parked = slices.DeleteFunc(h.parked, func(o *parked) bool { return o == p })
	h.left, h.quit = len(h.parked) == 0, time.Now()
}

// drop forgets a parked line that has ended.
func (d *Door) drop(p *parked, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.hospitals[name]
	before := len(h.parked)
	h.parked = slices.DeleteFunc(h.parked, func(o *parked) bool { return o == p })
	if len(h.parked) < before {
		h.lost()
	}
	if len(h.parked) == 0 && time.Since(h.quit) < callTime {
		h.left = true // the line arrived while the node said that it stops
	}
}

// watch checks whether the parked lines are alive, and logs which hospitals have gone, until ctx ends.
func (d *Door) watch(ctx context.Context) {
	tick := time.NewTicker(Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var all []*parked
		d.mu.Lock()
		for name, h := range d.hospitals {
			all = append(all, h.parked...)
			if h.there && !h.present() {
				h.there = false
				d.log.Info("a hospital is gone from the door", slog.String("hospital", name))
			}
		}
		d.mu.Unlock()
		for _, p := range all {
			if p.beat() != nil {
				p.Close()
			}
		}
	}
}
