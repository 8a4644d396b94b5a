package membership

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/intramuros/intramuros/internal/pki"
)

const (
	// Seeds that are not alive are tried after firstRetry, and then after twice the time each, up to lastRetry. They
	// are tried for ever, not once: gossip forgets a dead member after 30 s, and otherwise a hospital that was cut off
	// for an hour would never come back.
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
	// seedCheck is the interval of checking that all seeds are alive.
	seedCheck = 5 * time.Second

	// spread bounds how long Update and Close wait until their message is sent. It takes well below a second unless the
	// others are unreachable.
	spread = 5 * time.Second
)

// Config says how to take part in the gossip of a federation.
type Config struct {
	// Federation is the federation's name. Members of different federations do not hear each other, even with the same
	// key.
	Federation string
	// Bind is the IP:port to listen on, UDP and TCP. The IP may be 0.0.0.0; port 0 takes a free port.
	Bind string
	// Advertise is the IP:port at which the others reach us, if it is not Bind, for example behind address translation.
	// With Bind 0.0.0.0 and no Advertise, a private address of the machine is used.
	Advertise string
	// Join lists host:port of some initial members. They need not be running, and our own address may be among them, so
	// that all members can have the same list. It may be empty for the first member.
	Join []string
	// Key is the shared key, 32 bytes; see ParseKey.
	Key []byte
	// Logger receives the log; nil means slog.Default.
	Logger *slog.Logger
}

// Membership is our part in the gossip. Its methods may be called from several goroutines.
type Membership struct {
	logger *slog.Logger
	list   *memberlist.Memberlist
	roster *roster
	addr   string

	stop   context.CancelFunc
	joined chan struct{} // closed when no attempt to join is running any more

	mu     sync.Mutex // serializes Update and Close
	self   Member
	closed bool
}

// Start begins to listen, announces self, and tries to join the seeds in the background until ctx ends or Close is
// called. It is not an error if no seed is running. The caller must call Close, even after ctx has ended.
func Start(ctx context.Context, c Config, self Member) (*Membership, error) {
	logger := c.Logger
	if logger == nil {
		logger = slog.Default()
	}
	meta, err := encode(self)
	if err != nil {
		return nil, err
	}
	r := newRoster(logger, self, meta)
	gossip, err := gossipConfig(c, self, r)
	if err != nil {
		return nil, err
	}
	return start(ctx, gossip, c.Join, self, r)
}

// gossipConfig translates c. Otherwise it keeps memberlist's defaults for a LAN. They suit hospitals on leased lines or
// a VPN: an answer is expected within 500 ms, and a member is dead only if a suspicion stays unanswered for seconds.
// They also suit some hundreds of members on one small machine: each sends one probe a second, and gossips only if
// there is news. Measured once with 186 members in one process on 2 cores: they all knew each other 20 s after the
// first start, an update reached all in under 1 s, one death was noticed after 12 s, nobody was dropped wrongly in 20 s
// of rest, and all together used a quarter of a core.
func gossipConfig(c Config, self Member, r *roster) (*memberlist.Config, error) {
	if err := (pki.Identity{Federation: c.Federation, Role: self.Role, Name: self.Name}).Validate(); err != nil {
		return nil, err
	}
	if len(c.Key) != keySize {
		return nil, fmt.Errorf("gossip needs a key of %d bytes, not of %d", keySize, len(c.Key))
	}
	for _, seed := range c.Join {
		if err := checkHostPort(seed); err != nil {
			return nil, fmt.Errorf("the address to join %q must be host:port", seed)
		}
	}
	g := memberlist.DefaultLANConfig()
	g.Name = self.gossipName()
	g.Label = "intramuros:" + c.Federation
	g.SecretKey = c.Key
	g.Delegate, g.Events, g.Conflict = r, r, r
	g.Logger = log.New(&logWriter{logger: r.logger}, "", 0)
	// A higher value helps a very slow line to exchange the full list. A lower value shortens how long Close can wait
	// for a seed that does not answer.
	g.TCPTimeout = 5 * time.Second
	// A daemon that died and comes back at another address gets its name again after the others consider it dead. Zero
	// would keep the name with the dead address until that is forgotten.
	g.DeadNodeReclaimTime = time.Second

	var err error
	if g.BindAddr, g.BindPort, err = splitIPPort("bind", c.Bind); err != nil {
		return nil, err
	}
	if c.Advertise != "" {
		if g.AdvertiseAddr, g.AdvertisePort, err = splitIPPort("advertise", c.Advertise); err != nil {
			return nil, err
		}
		if g.AdvertisePort == 0 || net.ParseIP(g.AdvertiseAddr).IsUnspecified() {
			return nil, fmt.Errorf("advertise %q must be an address that others can reach, with a port", c.Advertise)
		}
	}
	return g, nil
}

func start(ctx context.Context, g *memberlist.Config, seeds []string, self Member, r *roster) (*Membership, error) {
	list, err := memberlist.Create(g)
	if err != nil {
		return nil, fmt.Errorf("cannot take part in gossip at %s: %w", net.JoinHostPort(g.BindAddr, strconv.Itoa(g.BindPort)), err)
	}
	ctx, stop := context.WithCancel(ctx)
	m := &Membership{logger: r.logger, list: list, roster: r, addr: list.LocalNode().Address(),
		stop: stop, joined: make(chan struct{}), self: self}
	go func() {
		defer close(m.joined)
		m.join(ctx, seeds)
	}()
	return m, nil
}

// splitIPPort requires an IP: memberlist would treat a name as "all interfaces".
func splitIPPort(what, address string) (ip string, port int, err error) {
	ip, portText, err := net.SplitHostPort(address)
	if err == nil && net.ParseIP(ip) != nil {
		if n, err := strconv.ParseUint(portText, 10, 16); err == nil {
			return ip, int(n), nil
		}
	}
	return "", 0, fmt.Errorf("%s %q must be an IP address and a port, such as 10.1.2.3:7946", what, address)
}

// join tries the seeds that are not alive until ctx ends.
func (m *Membership) join(ctx context.Context, seeds []string) {
	if len(seeds) == 0 {
		return
	}
	wait, warned := firstRetry, false
	for {
		pause := seedCheck
		missing, err := m.missing(ctx, seeds)
		if len(missing) == 0 && err == nil {
			wait, warned = firstRetry, false
			// A seed that restarted before anybody missed it believes that it is alone, and we believe that it never
			// left. So some member joins it again about every ten seconds. More often would burden a large federation.
			if rand.IntN(2*max(1, m.list.NumMembers())) == 0 {
				_, _ = m.list.Join(seeds)
			}
		} else {
			if len(missing) > 0 {
				if _, failed := m.list.Join(missing); failed != nil {
					err = errors.Join(err, failed)
				}
			}
			if err != nil && ctx.Err() == nil {
				level := slog.LevelDebug
				if !warned {
					level, warned = slog.LevelWarn, true
				}
				m.logger.Log(ctx, level, "some seeds cannot be joined yet; trying again until they can", "cause", err)
			}
			pause, wait = wait, min(2*wait, lastRetry)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// missing returns the addresses, as IP:port, of the seeds that are not alive, and an error about the seeds whose names
// do not resolve.
func (m *Membership) missing(ctx context.Context, seeds []string) (list []string, err error) {
	alive := m.roster.addresses()
	for _, seed := range seeds {
		host, port, _ := net.SplitHostPort(seed) // gossipConfig has checked it
		hosts := []string{host}
		if net.ParseIP(host) == nil {
			var failed error
			if hosts, failed = net.DefaultResolver.LookupHost(ctx, host); failed != nil {
				err = errors.Join(err, failed)
				continue
			}
		}
		var candidates []string
		for _, h := range hosts {
			candidates = append(candidates, net.JoinHostPort(h, port))
		}
		if !slices.ContainsFunc(candidates, func(a string) bool { return alive[a] }) {
			list = append(list, candidates...)
		}
	}
	return list, err
}

// Addr is the IP:port at which the others reach our gossip.
func (m *Membership) Addr() string { return m.addr }

// Members lists the living members, without ourselves, sorted by name and then by role. It is what we know at this
// moment; another member may know more or less.
func (m *Membership) Members() []Member { return m.roster.members() }

// ErrClosed is returned by Update after Close.
var ErrClosed = errors.New("membership is closed")

// Update announces self again, with another data version, catalog or address. Role and name cannot change. It returns
// when the message is sent, after 5 s at the latest. The news then spreads by itself, even if ctx has ended.
func (m *Membership) Update(ctx context.Context, self Member) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	meta, err := encode(self)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return ErrClosed
	case self.gossipName() != m.self.gossipName():
		return fmt.Errorf("a member cannot change its name from %s to %s; start anew", m.self.gossipName(), self.gossipName())
	case self == m.self:
		return nil
	}
	m.roster.announce(meta)
	m.self = self
	if err := m.list.UpdateNode(within(ctx)); err != nil {
		m.logger.Debug("an update is not yet confirmed; it will spread with the next exchange", "cause", err)
	}
	return ctx.Err()
}

// Close tells the others that we leave, for up to 5 s or until ctx ends. It then stops listening, and waits for the
// attempts to join. An error means that ctx ended first: then the others will notice by themselves. Closing again does
// nothing.
func (m *Membership) Close(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.stop()
	if err := m.list.Leave(within(ctx)); err != nil {
		m.logger.Debug("the others may not know that we leave", "cause", err)
	}
	return m.shutdown(ctx)
}

// shutdown ends our part without telling the others.
func (m *Membership) shutdown(ctx context.Context) error {
	m.closed = true
	m.stop()
	err := m.list.Shutdown()
	select {
	case <-m.joined:
		return err
	case <-ctx.Done():
		return errors.Join(err, ctx.Err())
	}
}

// within is the time that ctx leaves, at most spread. It is positive, because memberlist treats zero as no limit.
func within(ctx context.Context) time.Duration {
	limit := spread
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	if ctx.Err() != nil {
		limit = 0
	}
	return max(limit, time.Millisecond)
}
