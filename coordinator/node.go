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

// The actions of a node; internal/fragment defines their bodies.
const (
	actionPrepare = "prepare"
	actionAbandon = "abandon"
	actionEnd     = "end"
	actionExplain = "explain"
	actionLookup  = "lookup"
	actionPing    = "ping" // an older node refuses it, which says as well that it is there
)

const (
	maxMessage  = 64 << 20 // bytes of one record batch
	maxAction   = 4 << 20  // bytes of an action's answer
	abandonTime = 5 * time.Second
	endTime     = time.Second            // for a hospital to hear that a query is ended, and that it is not its failure
	pingTime    = 700 * time.Millisecond // for a hospital to say that it is there
)

// errPeer means that a hospital's certificate is revoked, out of its time, or another's.
var errPeer = errors.New("the hospital's certificate is not accepted")

// nodes keeps one connection to each hospital.
type nodes struct {
	secure func(name string) (*tls.Config, error) // accepts that hospital's certificate and no other
	dial   []grpc.DialOption
	door   interface { // to hospitals that accept no connection; nil: there are none
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

// watchedPeer is TLS that remembers whom it met, so that a connection does not outlive the
// certificate that it was made with.
type watchedPeer struct {
	credentials.TransportCredentials
	again func(tls.ConnectionState) error // looks at a certificate as a new connection does

	mu      sync.Mutex
	met     *tls.ConnectionState // nil: nobody yet
	refused error                // by the last handshake
}

func watchPeer(conf *tls.Config) *watchedPeer {
	return &watchedPeer{TransportCredentials: credentials.NewTLS(conf), again: conf.VerifyConnection}
}

// ClientHandshake notes whom it met, or whom it refused.
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

// Clone gives the same: a connection has one watcher.
func (w *watchedPeer) Clone() credentials.TransportCredentials { return w }

// check looks again at whom the connection was made with. err is what a call ended with, or nil; a certificate that
// is refused explains it better.
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

// client returns the hospital's client, and whom it is connected with. It connects when first used.
func (n *nodes) client(h Hospital) (flight.Client, *watchedPeer, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l, ok := n.links[h.Name]
	// A connection that failed a moment ago waits before it tries again, and would
	// refuse a hospital that is back; a new one tries at once.
	if ok && l.address == h.address && l.conn.GetState() != connectivity.TransientFailure && l.peer.check(nil) == nil {
		return flight.NewClientFromConn(l.conn, nil), l.peer, nil
	}
	conf, err := n.secure(h.Name)
	if err != nil {
		return nil, nil, err
	}
	peer := watchPeer(conf)
	address, options := n.way(h)
	conn, err := grpc.NewClient(address, append(options,
		grpc.WithTransportCredentials(peer),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))...)
	if err != nil {
		return nil, nil, err
	}
	if ok {
		l.conn.Close() // the hospital moved, is back, or its certificate is no longer good
	}
	n.links[h.Name] = link{h.address, conn, peer}
	return flight.NewClientFromConn(conn, nil), peer, nil
}

// ends are the ends of the certificates that hospitals showed last.
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

// way is where a hospital is found, and how it is dialed. Over a line that the hospital made, silence is asked about:
// nothing else would tell that what lies between has forgotten the connection.
func (n *nodes) way(h Hospital) (address string, options []grpc.DialOption) {
	if !h.outward {
		return h.address, slices.Clone(n.dial)
	}
	return "passthrough:///" + h.Name, append(slices.Clone(n.dial),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return n.door.Dial(ctx, h.Name) }),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}))
}

// anew makes the next call connect again, where the hospital no longer takes the certificate that the
// connection was made with: it may have been renewed since.
func (n *nodes) anew(h Hospital, err error) {
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

// ping asks a hospital whether it is there. Any word from it is a yes; else errSilent or errPeer says why not.
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
	return errSilent
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

// fingerprint is the form of pki.Fingerprint.
var fingerprint = regexp.MustCompile(`^[0-9a-f]{4}( [0-9a-f]{4}){7}$`)

// abandon gives a reservation back. It goes on when ctx is canceled, for a short
// time: a canceled query abandons too. A node that does not hear of it lets the
// reservation lapse.
func (n *nodes) abandon(ctx context.Context, h Hospital, reservation string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTime)
	defer cancel()
	_, err := n.act(ctx, h, actionAbandon, []byte(reservation))
	return err
}

// end tells a hospital to end the execution of a reservation. One that does not hear of it counts a failure.
func (n *nodes) end(ctx context.Context, h Hospital, reservation string) {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	_, _ = n.act(ctx, h, actionEnd, []byte(reservation)) // it may have ended by itself
}

// tries is how often an action is asked of a hospital whose lines break.
const tries = 4

// act runs an action and returns its one result, or nothing. A line that the hospital made may break at any time and is
// made anew at once, so the action is asked again: each may be. A reservation that nobody heard of lapses.
func (n *nodes) act(ctx context.Context, h Hospital, action string, body []byte) ([]byte, error) {
	for try := 1; ; try++ {
		b, err := n.once(ctx, h, action, body)
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

// broke tells whether a call ended because its connection did, without a word from the hospital.
func broke(err error) bool {
	s, ok := grpcStatus(err)
	return ok && s.Code() == codes.Unavailable && !refusal.MatchString(s.Message()) && !errors.Is(err, errPeer)
}

// once runs an action over the connection as it is.
func (n *nodes) once(ctx context.Context, h Hospital, action string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx) // ends the stream on every way out
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
			n.anew(h, err)
			return nil, peer.check(err)
		}
		if result = append(result, r.Body...); len(result) > maxAction {
			return nil, invalidAnswer(fmt.Errorf("more than %d bytes", maxAction))
		}
	}
}

// execute runs a reservation and gives each record batch to take, which must not
// keep it. It tells how far the node's ledger is after its charge; nil: the node did not say.
//
// Where ctx is canceled, as by the researcher or because of another hospital, the hospital is told so first: what is
// broken off without that word counts as the hospital's failure. Where it is late or silent, there is no such word.
func (n *nodes) execute(ctx context.Context, h Hospital, reservation string, take func(arrow.Record) error) (*ledger.Checkpoint, error) {
	asked := ctx
	ctx, cancel := detached(asked)
	defer cancel() // ends the stream on every way out
	defer n.telling(ctx, asked, cancel, h, reservation)()
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
		for { // the trailer comes after all else
			if _, last := stream.Recv(); last != nil {
				break
			}
		}
	}
	return trailing(stream.Trailer()), peer.check(err) // revoked while it computed: its answer does not count
}

// detached is a context with the values and the deadline of asked, which does not end when asked is canceled.
func detached(asked context.Context) (context.Context, context.CancelFunc) {
	ctx := context.WithoutCancel(asked)
	if deadline, ok := asked.Deadline(); ok {
		return context.WithDeadline(ctx, deadline)
	}
	return context.WithCancel(ctx)
}

// telling ends an execution with asked, and tells the hospital first where that is canceled; until stop.
func (n *nodes) telling(ctx, asked context.Context, cancel context.CancelFunc, h Hospital, reservation string) (stop func()) {
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

// refusal is how a node says no: a code and a text that holds nothing private.
var refusal = regexp.MustCompile(`^([A-Z][A-Z0-9_]{1,40}): ([^\n]{1,1000})`)

// absence puts a hospital's error into words for researchers. Only a node's coded
// refusals are passed on: they are made of public facts, by the node's contract.
// Any other text might quote data, and stays here.
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
	case errors.Is(err, errSilent):
		a.Code, a.Why = absentUnreachable, "cannot be reached: it has fallen silent"
	case errors.Is(err, errPrice):
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
