package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/notify"
	"github.com/intramuros/intramuros/internal/outward"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/rate"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/telemetry"
)

const (
	pollData   = 30 * time.Second // how often the data version is read
	readMail   = time.Second      // how often new records of studies are looked for
	sweepEvery = 5 * time.Second  // how often expired reservations are given back
	grace      = 10 * time.Second // time for running queries when the node stops
	digestShow = 32               // hexadecimal digits of the catalog's digest in gossip
	// Flow-control windows of a request and of a connection, in bytes. They are fixed because gRPC pings after every
	// message to find good sizes.
	streamWindow = 1 << 20
	lineWindow   = 4 << 20
)

// speaks are the versions of requests that this release reads.
var speaks = membership.Wire{Least: fragment.Oldest, Most: fragment.Version}

// Node is a running node.
type Node struct {
	service  *service
	config   Config
	server   *grpc.Server
	listener net.Listener
	outward  *outward.Listener // nil if the node listens
	member   membership.Member
	notifier *notify.Notifier // nil if nobody is notified
	ready    atomic.Bool
	log      *slog.Logger
}

// Open verifies the data and the ledger and starts to listen; Serve answers. The catalog is the federation's. The
// caller still owns the database and closes it after Serve.
func Open(ctx context.Context, c Config, cat *catalog.Catalog, d Database, log *slog.Logger) (_ *Node, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	tls, err := pki.ServerTLS(c.TLS.CA, c.TLS.Certificate, c.TLS.Key, pki.RoleCoordinator)
	if err != nil {
		return nil, err
	}
	certificate, err := tls.GetCertificate(nil)
	if err != nil {
		return nil, err
	}
	if uris := certificate.Leaf.URIs; len(uris) != 1 || uris[0].String() != c.self().String() {
		return nil, fmt.Errorf("the certificate %s is not for %s; ask for it with: intramuros pki request --role node --name %s", c.TLS.Certificate, c.self(), c.Name)
	}
	over, err := verify(ctx, d.Data)
	if err != nil {
		return nil, fmt.Errorf("the data cannot be compared with the catalog: %w: %s", err, class(err))
	}
	book, err := ledger.Open(ctx, c.Ledger, "node "+c.Name, time.Now)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, book.Close())
		}
	}()
	digest := cat.Digest()
	custody, err := openCustody(c, log)
	if err != nil {
		return nil, err
	}
	own := custody.key.Public().(ed25519.PublicKey)
	peers, err := loadPeers(c, own)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(recordPolicy(ctx, book, c, digest, own, peers), recordData(ctx, book, over.version)); err != nil {
		return nil, err
	}
	place, err := openPlace(c)
	if err != nil {
		return nil, err
	}
	studies, err := openStudies(ctx, c, place, book, log)
	if err != nil {
		return nil, err
	}
	if err := studies.Settle(ctx, codeStopped, c.Limits.FailuresAllowed); err != nil {
		return nil, err
	}
	people, err := openIdentity(c)
	if err != nil {
		return nil, err
	}
	stop, err := openSuspension(ctx, book, place)
	if err != nil {
		return nil, err
	}
	notifier, err := notify.Open(c.Notify, "node "+c.Name, c.Ledger+".notified.json", log)
	if err != nil {
		return nil, err
	}
	member := membership.Member{Role: pki.RoleNode, Name: c.Name, Catalog: digest[:digestShow], DataVersion: over.version, Wire: speaks}
	var listener net.Listener
	var out *outward.Listener
	if c.Outward.Door != "" {
		member.Outward = true
		out, err = dialOut(c, member, log)
		listener = out
	} else {
		if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen); err != nil {
			err = fmt.Errorf("the address `listen` cannot be used: %w", err)
		}
	}
	if err != nil {
		return nil, err
	}
	if member.Flight = c.Advertise; member.Flight == "" && !member.Outward {
		member.Flight = listener.Addr().String()
	}
	slots := make(slots, c.Limits.Concurrent)
	s := &service{
		policy: policy{
			name: c.Name, federation: c.Federation, catalog: cat, keyless: withoutKeys(cat, d.Keyless), digest: digest, engine: d.Engine, budget: c.Budget, people: people, studies: studies, limits: c.Limits, sealed: c.Sealed, peers: peers, spreads: &spreads{data: d.Data, turn: slots.take},
		},
		trusted: tls.VerifyConnection, custody: custody,
		rates: rate.New(c.Limits.PerMinute, c.Limits.AtOnce), explained: rate.New(c.Limits.PerMinute, c.Limits.AtOnce), refusals: newRefusals(),
		looked: rate.New(c.Limits.PerMinute, c.Limits.AtOnce), lookups: newRefusals(), public: d.Public,
		metrics: newMetrics(), tracer: telemetry.NoTracer(),
		kind: d.Kind, data: d.Data, unverified: make(chan struct{}, 1), ledger: book, suspension: stop, log: log, now: time.Now, alloc: memory.DefaultAllocator,
		reservations: reservations{held: map[string]reservation{}, running: map[string]execution{}},
		slots:        slots,
	}
	s.verified.Store(over)
	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(tls)),
		grpc.MaxRecvMsgSize(fragment.MaxWireBytes+1<<10),
		grpc.MaxConcurrentStreams(maxReservations),
		grpc.StaticStreamWindowSize(streamWindow), grpc.StaticConnWindowSize(lineWindow),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	flight.RegisterFlightServiceServer(server, s)
	return &Node{service: s, config: c, server: server, listener: listener, outward: out, log: log, member: member, notifier: notifier}, nil
}

// dialOut prepares the connections of a node that accepts none.
func dialOut(c Config, self membership.Member, log *slog.Logger) (*outward.Listener, error) {
	conf, err := pki.CallerTLS(c.TLS.CA, c.TLS.Certificate, c.TLS.Key)
	if err != nil {
		return nil, err
	}
	believed := []string{c.TLS.CA}
	if c.Outward.CA != "" {
		believed = append(believed, c.Outward.CA)
	}
	return outward.Listen(outward.Config{Door: c.Outward.Door, Proxy: c.Outward.Proxy, CA: believed, TLS: conf, Logger: log}, self)
}

// withoutKeys is the catalog without the keys of some tables and without the keys' columns, so that a query that reads
// one is refused. It is nil if there are no such tables.
func withoutKeys(c *catalog.Catalog, tables []string) *catalog.Catalog {
	if len(tables) == 0 {
		return nil
	}
	w := *c
	w.Tables = nil
	for _, t := range c.Tables {
		if slices.Contains(tables, t.Source()) {
			own := *t
			own.Key, own.Columns = nil, slices.DeleteFunc(slices.Clone(t.Columns), func(c *catalog.Column) bool { return slices.Contains(t.Key, c.Name) })
			t = &own
		}
		w.Tables = append(w.Tables, t)
	}
	return &w
}

// Addr is the host:port at which coordinators reach the node; empty if it dials out.
func (n *Node) Addr() string { return n.member.Flight }

// Close ends a node that will not be served.
func (n *Node) Close() error { return errors.Join(n.listener.Close(), n.service.ledger.Close()) }

var (
	errNotReady = errors.New("the node is starting or stopping")
	errNoDoor   = errors.New("the node has no line at the coordinator's door")
)

// Ready reports whether the node is in the federation's network, where coordinators can reach it.
func (n *Node) Ready() error {
	if !n.ready.Load() {
		return errNotReady
	}
	if n.outward != nil && !n.outward.Connected() {
		return errNoDoor
	}
	return nil
}

// presence makes the node known to the federation.
type presence interface {
	Update(context.Context, membership.Member) error
	Close(context.Context) error
}

// lined is the presence of a node that dials out: its connections make it known.
type lined struct{ *outward.Listener }

// Close does nothing: the connections end with their server.
func (lined) Close(context.Context) error { return nil }

// Serve answers coordinators until ctx ends. It takes part in the federation's gossip, or keeps connections to the
// coordinator's door. When ctx ends, running queries get some time to finish. Serve closes the ledger and may be called
// only once.
func (n *Node) Serve(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, n.service.ledger.Close()) }()
	served := make(chan error, 1)
	go func() { served <- n.server.Serve(n.listener) }()
	defer n.stop()
	gossip, where, err := n.join(ctx)
	if err != nil {
		return err
	}
	defer func() {
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		err = errors.Join(err, gossip.Close(leaving))
	}()
	n.ready.Store(true)
	defer n.ready.Store(false)
	n.log.Info("ready", slog.String("node", n.config.Name), slog.String("flight", n.member.Flight), where,
		slog.String("catalog", n.member.Catalog), slog.String("data", n.member.DataVersion), slog.Int("studies", len(n.service.studies.All())))
	watching, unwatch := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { pki.WatchTerms(watching, n.config.terms, n.log) })
	if n.notifier != nil {
		watch.Go(func() { n.notifier.Watch(watching, n.notices) })
	}
	defer func() { unwatch(); watch.Wait() }()
	poll, sweep, mail := time.NewTicker(pollData), time.NewTicker(sweepEvery), time.NewTicker(readMail)
	defer poll.Stop()
	defer mail.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			n.log.Info("stopping", slog.String("node", n.config.Name))
			return nil
		case err := <-served:
			return fmt.Errorf("the Flight server ended: %w", err)
		case <-poll.C:
			n.renew(ctx, gossip)
		case <-n.service.unverified:
			n.renew(ctx, gossip)
		case <-sweep.C:
			n.service.sweep(ctx)
		case <-mail.C:
			if err := n.service.studies.Collect(ctx, study.Inbox(n.config.Ledger)); err != nil {
				n.log.Error("records of studies cannot be taken", slog.Any("error", err))
			}
		}
	}
}

// stop lets running queries finish, for a while.
func (n *Node) stop() {
	late := time.AfterFunc(grace, n.server.Stop)
	defer late.Stop()
	n.server.GracefulStop()
}

// join makes the node known and returns where, for the log.
func (n *Node) join(ctx context.Context) (_ presence, where slog.Attr, err error) {
	if n.outward != nil {
		return lined{n.outward}, slog.String("door", n.config.Outward.Door), nil
	}
	g := n.config.Gossip
	secret, err := g.Key.Read("")
	if err != nil {
		return nil, where, fmt.Errorf("`gossip.key`: %w", err)
	}
	key, err := membership.ParseKey(secret)
	if err != nil {
		return nil, where, fmt.Errorf("`gossip.key`: %w", err)
	}
	gossip, err := membership.Start(ctx, membership.Config{
		Federation: n.config.Federation, Bind: g.Listen, Advertise: g.Advertise, Join: g.Join, Key: key, Logger: n.log,
	}, n.member)
	if err != nil {
		return nil, where, err
	}
	return gossip, slog.String("gossip", gossip.Addr()), nil
}

// renew verifies and announces the data if it changed. Until then nothing is prepared.
func (n *Node) renew(ctx context.Context, gossip presence) {
	version, err := n.service.data.DataVersion(ctx)
	if err != nil {
		n.log.Error("the state of the data cannot be read", slog.String("error", class(err)))
		return
	}
	if version == n.service.verified.Load().version {
		return
	}
	over, err := verify(ctx, n.service.data)
	if err != nil {
		n.log.Error("the new data cannot be compared with the catalog; nothing is answered", slog.String("error", class(err)))
		return
	}
	if err := recordData(ctx, n.service.ledger, over.version); err != nil {
		n.log.Error("the ledger did not take the new state of the data; nothing is answered", slog.Any("error", err))
		return
	}
	n.service.verified.Store(over)
	n.member.DataVersion = over.version
	if err := gossip.Update(ctx, n.member); err != nil {
		n.log.Error("the new state of the data was not announced", slog.Any("error", err))
		return
	}
	n.log.Info("new data", slog.String("data", over.version))
}
