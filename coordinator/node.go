package coordinator

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/telemetry"
)

// The actions of a node. Package internal/fragment defines their bodies.
const (
	actionPrepare = "prepare"
	actionAbandon = "abandon"
	actionEnd     = "end"
	actionExplain = "explain"
	actionLookup  = "lookup"
	actionPing    = "ping" // an older node refuses it, which also shows that it is there
)

const (
	maxMessage = 64 << 20 // bytes of one record batch
	maxAction  = 4 << 20  // bytes of an action's answer
	// Flow-control windows in bytes. Without fixed values, gRPC pings after every message to find good ones, and a
	// short query would be mostly pings.
	streamWindow = 1 << 20
	lineWindow   = 4 << 20
	abandonTime  = 5 * time.Second
	endTime      = time.Second            // for telling a hospital that a query is ended, and that this is not its failure
	pingTime     = 700 * time.Millisecond // for a hospital to answer a ping
)

// errPeer reports that a hospital's certificate is revoked, expired, not valid yet, or another hospital's.
var errPeer = errors.New("the hospital's certificate is not accepted")

// nodes keeps one connection to each hospital.
type nodes struct {
	secure func(name string) (*tls.Config, error) // accepts only that hospital's certificate
	dial   []grpc.DialOption
	door   interface { // to hospitals that accept no connections; nil: there are none
		Dial(ctx context.Context, hospital string) (net.Conn, error)
	}

	mu    sync.Mutex
	links map[string]link // by hospital
}

type link struct {
	address string
	conn    *grpc.ClientConn
	peer    *watchedPeer
}

// watchedPeer remembers the peer's certificate, so that a connection does not outlive the certificate with which it was
// made.
type watchedPeer struct {
	credentials.TransportCredentials
	again func(tls.ConnectionState) error // verifies a certificate as a new connection does

	mu      sync.Mutex
	met     *tls.ConnectionState // nil: no handshake yet
	refused error                // of the last handshake
}

func watchPeer(conf *tls.Config) *watchedPeer {
	return &watchedPeer{TransportCredentials: credentials.NewTLS(conf), again: conf.VerifyConnection}
}

// ClientHandshake records the peer, or the refusal.
func (w *watchedPeer) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := w.TransportCredentials.ClientHandshake(ctx, authority, raw)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = nil
	if errors.Is(err, pki.ErrIdentity) {
		w.refused = err
	}
	if t, ok := info.(credentials.TLSInfo); ok && err == nil {
		w.met = &t.State
	}
	return conn, info, err
}

// Clone returns the same watchedPeer: a connection has one.
func (w *watchedPeer) Clone() credentials.TransportCredentials { return w }

// check verifies the connection's certificate again. err is the error of a call, or nil. If the certificate is refused,
// that error explains the failure better.
func (w *watchedPeer) check(err error) error {
	w.mu.Lock()
	met, refused := w.met, w.refused
	w.mu.Unlock()
	if refused == nil && met != nil {
		refused = w.again(*met)
	}
	if refused != nil {
		return fmt.Errorf("%w: %w", errPeer, refused)
	}
	return err
}

// client returns the hospital's client and its watched peer. It connects at the first use.
func (n *nodes) client(h Hospital) (flight.Client, *watchedPeer, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l, ok := n.links[h.Name]
	// A connection that has just failed waits before it tries again, and would refuse a hospital that is back. A new
	// connection tries at once.
	if ok && l.address == h.address && l.conn.GetState() != connectivity.TransientFailure && l.peer.check(nil) == nil {
		return flight.NewClientFromConn(l.conn, nil), l.peer, nil
	}
	conf, err := n.secure(h.Name)
	if err != nil {
		return nil, nil, err
	}
	peer := watchPeer(conf)
	address, options := n.dialOptions(h)
	conn, err := grpc.NewClient(address, append(options,
		grpc.WithTransportCredentials(peer),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(lineWindow),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))...)
	if err != nil {
		return nil, nil, err
	}
	if ok {
		l.conn.Close() // the hospital moved or returned, or its certificate is no longer valid
	}
	n.links[h.Name] = link{h.address, conn, peer}
	return flight.NewClientFromConn(conn, nil), peer, nil
}

// ends returns when the certificates that hospitals showed last expire.
func (n *nodes) ends() map[string]time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := map[string]time.Time{}
	for name, l := range n.links {
		l.peer.mu.Lock()
		if met := l.peer.met; met != nil && len(met.PeerCertificates) > 0 {
			all[name] = met.PeerCertificates[0].NotAfter
		}
		l.peer.mu.Unlock()
	}
	return all
}

// dialOptions returns a hospital's address and dial options. A connection that the hospital opened has keepalive pings,
// because nothing else shows that a firewall in between has forgotten it.
func (n *nodes) dialOptions(h Hospital) (address string, options []grpc.DialOption) {
	if !h.outward {
		return h.address, slices.Clone(n.dial)
	}
	return "passthrough:///" + h.Name, append(slices.Clone(n.dial),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return n.door.Dial(ctx, h.Name) }),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}))
}

// redialIfRenewed makes the next call reconnect if the hospital no longer accepts the certificate with which the
// connection was made. The certificate may have been renewed since.
func (n *nodes) redialIfRenewed(h Hospital, err error) {
	s, ok := grpcStatus(err)
	if !ok || s.Code() != codes.PermissionDenied || !strings.HasPrefix(s.Message(), "NODE_PEER") {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if l, ok := n.links[h.Name]; ok {
		l.conn.Close()
		delete(n.links, h.Name)
	}
}

// ping asks a hospital whether it is there. Any response means yes. Otherwise errNoProgress or errPeer says why not.
func (n *nodes) ping(ctx context.Context, h Hospital) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	_, err := n.act(ctx, h, actionPing, nil)
	s, isStatus := grpcStatus(err)
	switch {
	case err == nil, isStatus && refusal.MatchString(s.Message()):
		return nil
	case errors.Is(err, errPeer):
		return err
	}
	return errNoProgress
}

func (n *nodes) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.links {
		l.conn.Close()
	}
	n.links = nil
}

func (n *nodes) prepare(ctx context.Context, h Hospital, request []byte) (fragment.Prepared, error) {
	var p fragment.Prepared
	b, err := n.act(ctx, h, actionPrepare, request)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, invalidAnswer(err)
	}
	if p.Reservation == "" {
		return p, invalidAnswer(errors.New("no reservation"))
	}
	return p, nil
}

func (n *nodes) explain(ctx context.Context, h Hospital, request []byte) (fragment.Explained, error) {
	var e fragment.Explained
	b, err := n.act(ctx, h, actionExplain, request)
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, invalidAnswer(err)
	}
	if e.Key != "" && !fingerprint.MatchString(e.Key) {
		return e, invalidAnswer(errors.New("a key that is no fingerprint"))
	}
	return e, nil
}

// fingerprint matches the form of pki.Fingerprint.
var fingerprint = regexp.MustCompile(`^[0-9a-f]{4}( [0-9a-f]{4}){7}$`)

// abandon returns a reservation. It continues for a short time after ctx is canceled, because a canceled query abandons
// too. A node that is not told lets the reservation expire.
func (n *nodes) abandon(ctx context.Context, h Hospital, reservation string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTime)
	defer cancel()
	_, err := n.act(ctx, h, actionAbandon, []byte(reservation))
	return err
}

// end tells a hospital to end the execution of a reservation. A hospital that is not told counts a failure.
func (n *nodes) end(ctx context.Context, h Hospital, reservation string) {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	_, _ = n.act(ctx, h, actionEnd, []byte(reservation)) // it may have ended by itself
}

// tries is how often an action is tried at a hospital whose connection breaks.
const tries = 4

// act runs an action and returns its result, or nothing. A connection that the hospital opened may break at any time
// and is then reopened at once, so the action is repeated. Every action may be repeated: an unknown reservation
// expires.
func (n *nodes) act(ctx context.Context, h Hospital, action string, body []byte) ([]byte, error) {
	for try := 1; ; try++ {
		b, err := n.actOnce(ctx, h, action, body)
		if !h.outward || try == tries || !broke(err) {
			return b, err
		}
		select {
		case <-time.After(time.Duration(try) * 50 * time.Millisecond):
		case <-ctx.Done():
			return b, err
		}
	}
}

// broke reports whether a call ended because its connection broke, without a response from the hospital.
func broke(err error) bool {
	s, ok := grpcStatus(err)
	return ok && s.Code() == codes.Unavailable && !refusal.MatchString(s.Message()) && !errors.Is(err, errPeer)
}

// actOnce runs an action over the current connection.
func (n *nodes) actOnce(ctx context.Context, h Hospital, action string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx) // also ends the stream
	defer cancel()
	client, peer, err := n.client(h)
	if err != nil {
		return nil, err
	}
	stream, err := client.DoAction(telemetry.Inject(ctx), &flight.Action{Type: action, Body: body})
	if err != nil {
		return nil, peer.check(err)
	}
	var result []byte
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return result, nil
		}
		if err != nil {
			n.redialIfRenewed(h, err)
			return nil, peer.check(err)
		}
		if result = append(result, r.Body...); len(result) > maxAction {
			return nil, invalidAnswer(fmt.Errorf("more than %d bytes", maxAction))
		}
	}
}

// execute runs a reservation and passes each record batch to take, which must not keep it. It returns the checkpoint of
// the node's ledger after its charge, or nil if the node sent none.
//
// If ctx is canceled, by the researcher or because of another hospital, the hospital is told first. An execution that
// breaks off without notice counts as the hospital's failure. A late or silent hospital gets no notice.
func (n *nodes) execute(ctx context.Context, h Hospital, reservation string, take func(arrow.Record) error) (*ledger.Checkpoint, error) {
	asked := ctx
	ctx, cancel := detached(asked)
	defer cancel() // also ends the stream
	defer n.propagateCancel(ctx, asked, cancel, h, reservation)()
	client, peer, err := n.client(h)
	if err != nil {
		return nil, err
	}
	stream, err := client.DoGet(telemetry.Inject(ctx), &flight.Ticket{Ticket: []byte(reservation)})
	if err != nil {
		return nil, peer.check(err)
	}
	err = receive(stream, take)
	if err != nil {
		cancel()
		for { // the trailer comes last
			if _, last := stream.Recv(); last != nil {
				break
			}
		}
	}
	// a hospital whose certificate was revoked meanwhile does not count
	return trailing(stream.Trailer()), peer.check(err)
}

// detached returns a context with the values and the deadline of asked that does not end when asked is canceled.
func detached(asked context.Context) (context.Context, context.CancelFunc) {
	ctx := context.WithoutCancel(asked)
	if deadline, ok := asked.Deadline(); ok {
		return context.WithDeadline(ctx, deadline)
	}
	return context.WithCancel(ctx)
}

// propagateCancel ends an execution with asked. If asked is canceled, it tells the hospital first. stop ends the watch.
func (n *nodes) propagateCancel(ctx, asked context.Context, cancel context.CancelFunc, h Hospital, reservation string) (stop func()) {
	told := make(chan struct{})
	stopTelling := context.AfterFunc(asked, func() {
		defer close(told)
		if errors.Is(context.Cause(asked), context.Canceled) {
			n.end(ctx, h, reservation)
		}
		cancel()
	})
	return func() {
		if !stopTelling() {
			<-told
		}
	}
}

func receive(stream flight.DataStreamReader, take func(arrow.Record) error) error {
	reader, err := flight.NewRecordReader(stream)
	if errors.Is(err, io.EOF) {
		return invalidAnswer(errors.New("no schema"))
	}
	if err != nil {
		return err
	}
	defer reader.Release()
	for reader.Next() {
		if err := take(reader.Record()); err != nil {
			return invalidAnswer(err)
		}
	}
	if err := reader.Err(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

var errAnswer = errors.New("the hospital's answer is not understood")

func invalidAnswer(err error) error { return fmt.Errorf("%w: %w", errAnswer, err) }

// refusal matches a node's refusal: a code, and a text that holds nothing private.
var refusal = regexp.MustCompile(`^([A-Z][A-Z0-9_]{1,40}): ([^\n]{1,1000})`)

// absence puts a hospital's error into words for researchers. It passes on only a node's coded refusals, which by the
// node's contract are made of public facts. Any other text might quote data, and stays here.
func absence(name string, err error) Absence {
	a := Absence{Name: name}
	s, isStatus := grpcStatus(err)
	switch {
	case errors.Is(err, errAnswer):
		a.Code, a.Why = absentAnswer, "gave an answer that this coordinator does not understand; the versions may differ"
	case errors.Is(err, pki.ErrExpired):
		a.Code, a.Why = absentCertificate, "shows a certificate that has expired; its operator issues a new one, which is taken without a restart"
	case errors.Is(err, errPeer):
		a.Code, a.Why = absentCertificate, "shows a certificate that is revoked, out of its time, or another's"
	case errors.Is(err, errNoProgress):
		a.Code, a.Why = absentUnreachable, "cannot be reached: it has fallen silent"
	case errors.Is(err, errPriceTooHigh):
		a.Code, a.Why = absentPrice, "prices the query differently; the versions may differ"
	case errors.Is(err, context.DeadlineExceeded), isStatus && s.Code() == codes.DeadlineExceeded:
		a.Code, a.Why = absentTimeout, "did not answer in time"
	case errors.Is(err, context.Canceled), isStatus && s.Code() == codes.Canceled:
		a.Code, a.Why = absentCanceled, "was told to stop"
	case isStatus && refusal.MatchString(s.Message()):
		m := refusal.FindStringSubmatch(s.Message())
		a.Code, a.Why = m[1], m[2]
	case isStatus && s.Code() == codes.Unavailable:
		a.Code, a.Why = absentUnreachable, "cannot be reached"
	default:
		a.Code, a.Why = absentFault, "met a fault of its own; its log tells more to its custodian"
	}
	return a
}

func grpcStatus(err error) (*status.Status, bool) {
	var s interface{ GRPCStatus() *status.Status }
	if errors.As(err, &s) {
		return s.GRPCStatus(), true
	}
	return nil, false
}
