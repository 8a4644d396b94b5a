package coordinator

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/seal"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

func TestMain(m *testing.M) {
	// The noise library's logger flushes for as long as the process lives.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

var testCatalog = testcatalog.YAML(`catalog: test
max_groups: 2`,
	testcatalog.Person(
		"sex: {type: text, nullable: false, domain: [F, M]}",
		"city: {type: text, nullable: false}",
		"age: {type: int, nullable: false, bounds: [0, 100]}",
	),
)

const alice = "alice-token-0123456789"

// hospital is a fake node with the real protocol over Flight and TLS. Its answer is prepared.
type hospital struct {
	flight.BaseFlightServer
	name   string
	groups []group // all partial aggregates of a group are equal
	server *grpc.Server

	mu        sync.Mutex
	refuse    map[string]error // by action, and "execute"
	hang      chan struct{}    // execute signals here that it waits, and waits
	after     <-chan struct{}  // execute waits for this before it begins
	silent    map[string]bool  // these actions, and "execute", get no answer
	half      bool             // execute fails after its groups
	real      *catalog.Catalog // if not nil, it draws noise and keeps to ticks, as a node does
	short     bool             // the last number of a covered vector is missing
	told      int              // the number of hospitals for which it last drew its share
	sent      []int64          // the last vector that left, if it is real
	once      bool             // prepare is refused after one execution
	took      time.Duration    // how long execute computes
	price     dp.Loss          // added to the right price
	caveats   []fragment.Caveat
	key       string // shown by explain
	version   string
	held      map[string]*fragment.Request
	abandoned int
	executed  int
	canceled  int
	ended     int    // executions that the coordinator ended
	vouches   []byte // a checkpoint, which execute shows; empty: none

	traceparent string // of the last execute
}

type group struct {
	keys []value.Value
	n    int64
}

func (h *hospital) refusal(what string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refuse[what]
}

// silence waits until the caller gives up, if the hospital is silent.
func (h *hospital) silence(ctx context.Context, what string) error {
	h.mu.Lock()
	silent := h.silent[what]
	h.mu.Unlock()
	if !silent {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (h *hospital) DoAction(a *flight.Action, stream flight.FlightService_DoActionServer) error {
	if err := h.silence(stream.Context(), a.Type); err != nil {
		return err
	}
	if err := h.refusal(a.Type); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var answer any
	switch a.Type {
	case actionAbandon:
		if _, ok := h.held[string(a.Body)]; !ok {
			return status.Error(codes.NotFound, "NODE_TICKET: holds no such reservation")
		}
		delete(h.held, string(a.Body))
		h.abandoned++
		return nil
	case actionPrepare:
		if h.once && h.executed > 0 {
			return status.Error(codes.ResourceExhausted, "NODE_BUDGET: has not enough privacy budget left for this")
		}
		r, err := fragment.DecodeRequest(a.Body)
		if err != nil {
			return err
		}
		loss, err := r.Price()
		if err != nil {
			return err
		}
		if loss, err = loss.Plus(h.price); err != nil {
			return err
		}
		id := rand.Text()
		h.held[id] = r
		answer = fragment.Prepared{Reservation: id, DataVersion: h.version, Loss: loss, Caveats: h.caveats}
	case actionEnd:
		h.ended++
		return nil
	case actionPing:
		return nil
	case actionExplain:
		answer = fragment.Explained{Engine: "fake", DataVersion: h.version, SQL: "SELECT 1", Caveats: h.caveats, Key: h.key}
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return stream.Send(&flight.Result{Body: b})
}

func (h *hospital) DoGet(ticket *flight.Ticket, stream flight.FlightService_DoGetServer) error {
	h.mu.Lock()
	r, ok := h.held[string(ticket.Ticket)]
	delete(h.held, string(ticket.Ticket))
	h.executed++
	hang, after, half, took := h.hang, h.after, h.half, h.took
	if len(h.vouches) > 0 {
		stream.SetTrailer(metadata.Pairs(study.MetadataCheckpoint, string(h.vouches)))
	}
	if md, ok := metadata.FromIncomingContext(stream.Context()); ok {
		h.traceparent = strings.Join(md.Get("traceparent"), " ")
	}
	h.mu.Unlock()
	if !ok {
		return status.Error(codes.NotFound, "NODE_TICKET: holds no such reservation")
	}
	if after != nil {
		<-after
	}
	if err := h.refusal("execute"); err != nil {
		return err
	}
	if err := h.silence(stream.Context(), "execute"); err != nil {
		return err
	}
	if hang != nil {
		hang <- struct{}{}
		<-stream.Context().Done()
		h.mu.Lock()
		h.canceled++
		h.mu.Unlock()
		hang <- struct{}{}
		return stream.Context().Err()
	}
	time.Sleep(took)
	switch {
	case r.Cover != nil && h.real != nil:
		return h.coverReally(r, stream)
	case r.Cover != nil:
		return h.sendCovered(r, stream)
	case h.real != nil:
		return h.sendExact(r, stream)
	}
	w := flight.NewRecordWriter(stream, ipc.WithSchema(r.Fragment.Schema()))
	defer w.Close()
	b := array.NewRecordBuilder(memory.NewGoAllocator(), r.Fragment.Schema())
	defer b.Release()
	for _, g := range h.present() { // one batch each: a group may come in several
		keys := g.keys
		if len(r.Fragment.Keys) == 0 {
			keys = nil
		}
		partials := make([]int64, len(r.Fragment.Partials))
		for i := range partials {
			partials[i] = g.n
		}
		fragment.AppendRow(b, keys, partials)
		record := b.NewRecord()
		err := w.Write(record)
		record.Release()
		if err != nil {
			return err
		}
	}
	if half {
		return status.Error(codes.Internal, "secret row 42 is at fault")
	}
	return nil
}

// sendCovered sends what covered returns.
func (h *hospital) sendCovered(r *fragment.Request, stream flight.DataStreamWriter) error {
	vector, err := h.covered(r, 3, r.Fragment.Groups())
	if err != nil {
		return err
	}
	if h.short {
		vector = vector[:len(vector)-1]
	}
	return sendVector(vector, stream)
}

func sendVector(vector []int64, stream flight.DataStreamWriter) error {
	w := flight.NewRecordWriter(stream, ipc.WithSchema(fragment.CoveredSchema()))
	defer w.Close()
	return fragment.WriteCovered(vector, memory.NewGoAllocator(), w.Write)
}

// DoExchange names all its groups if they are not declared, and masks for the hospitals that it is told.
func (h *hospital) DoExchange(stream flight.FlightService_DoExchangeServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	h.mu.Lock()
	r, ok := h.held[string(first.AppMetadata)]
	delete(h.held, string(first.AppMetadata))
	h.executed++
	h.mu.Unlock()
	if !ok || !r.Cover.Masked() && !r.Cover.Names {
		return status.Error(codes.NotFound, "NODE_TICKET: holds no such reservation")
	}
	if err := h.refusal("execute"); err != nil {
		return err
	}
	if err := h.silence(stream.Context(), "execute"); err != nil {
		return err
	}
	if h.real != nil {
		return h.sealReally(r, stream)
	}
	groups, digest := r.Fragment.Groups(), r.Digest()
	if r.Cover.Names {
		if groups, err = h.named(r, stream); err != nil {
			return err
		}
		digest = fragment.DigestOf(digest, groups)
	}
	if !r.Cover.Masked() {
		if err := h.refusal("seal"); err != nil {
			return err
		}
		vector, err := h.covered(r, 3, groups)
		if err != nil {
			return err
		}
		return sendVector(vector, stream)
	}
	key, err := seal.NewKey()
	if err != nil {
		return err
	}
	_, signer, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	request := seal.Request{Federation: "test", Study: r.Study, Query: r.Query, Digest: digest}
	own, err := json.Marshal(request.Member(h.name, key, signer))
	if err != nil {
		return err
	}
	if err := stream.Send(&flight.FlightData{AppMetadata: own}); err != nil {
		return err
	}
	told, err := stream.Recv()
	if err != nil {
		return err
	}
	if err := h.refusal("seal"); err != nil {
		return err
	}
	members, err := seal.ParseMembers(told.AppMetadata)
	if err != nil {
		return err
	}
	vector, err := h.covered(r, len(members), groups)
	if err != nil {
		return err
	}
	if err := request.Mask(vector, h.name, key, members); err != nil {
		return err
	}
	h.mu.Lock()
	h.told = len(members)
	if h.short {
		vector = vector[:len(vector)-1]
	}
	h.mu.Unlock()
	return sendVector(vector, stream)
}

// present returns the hospital's groups. An abandoned query may read them while a test changes them.
func (h *hospital) present() []group {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.groups
}

// become changes the hospital's groups and failures.
func (h *hospital) become(groups []group, refuse map[string]error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.groups, h.refuse = groups, refuse
}

// named sends the names of the hospital's groups, and receives those of all.
func (h *hospital) named(r *fragment.Request, stream flight.FlightService_DoExchangeServer) ([][]value.Value, error) {
	own := map[string][]value.Value{}
	for _, g := range h.present() {
		own[fragment.GroupID(g.keys)] = g.keys
	}
	names := slices.Collect(maps.Values(own))
	fragment.SortGroups(names)
	if err := fragment.WriteNames(names, func(b []byte) error { return stream.Send(&flight.FlightData{AppMetadata: b}) }); err != nil {
		return nil, err
	}
	if err := h.refusal("names"); err != nil {
		return nil, err
	}
	return r.Fragment.ReadNames(func() ([]byte, error) {
		d, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return d.AppMetadata, nil
	})
}

// covered adds 1/64 instead of noise, so that the result is not mistaken for a whole number.
func (h *hospital) covered(r *fragment.Request, hospitals int, groups [][]value.Value) ([]int64, error) {
	cat, err := catalog.Parse([]byte(testCatalog), "test.yaml")
	if err != nil {
		return nil, err
	}
	proof, err := fragment.Check(&r.Fragment, cat)
	if err != nil {
		return nil, err
	}
	shares, err := r.Fragment.Shares(*r.Cover, hospitals, r.Noise, proof)
	if err != nil {
		return nil, err
	}
	var vector []int64
	for _, keys := range groups {
		sum := int64(0)
		for _, g := range h.present() {
			if len(keys) == 0 || keys[0] == g.keys[0] {
				sum += g.n
			}
		}
		for j, p := range r.Fragment.Partials {
			exact := make([]int64, p.Width())
			exact[0] = sum
			for _, x := range p.Coordinates(exact) {
				vector = append(vector, x<<shares[j].Shift()+1<<(shares[j].Shift()-6))
			}
		}
	}
	return vector, nil
}

// federation is a coordinator among fake hospitals.
type federation struct {
	*Coordinator
	authority *pki.Authority
	hospitals map[string]*hospital
	members   []membership.Member
	config    *Config
	log       *strings.Builder
	pipes     map[string]*bufconn.Listener // by address; nil: real sockets
	operator  ed25519.PrivateKey
	maxSites  int    // of the catalog; 0: not set
	columns   string // further columns of person
	travelled traffic

	mu    sync.Mutex
	draws []draw
}

type draw struct {
	noise dp.Noise
	of    dp.Coordinate
	x     int64
}

// silent draws no noise, and records what it should have been drawn for.
type silent struct {
	f     *federation
	noise dp.Noise
	of    dp.Coordinate
}

func (s silent) Add(x int64) (int64, error) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.draws = append(s.f.draws, draw{s.noise, s.of, x})
	return x, nil
}

func (f *federation) Members() []membership.Member { return f.members }

func (f *federation) hospital(name string) *hospital { return f.hospitals[name] }

// newFederation starts hospitals a, b and c, each with 10 women and 5 men. The coordinator draws no noise, but records
// what it should have drawn.
func newFederation(t *testing.T, change func(*Config)) *federation {
	t.Helper()
	return openFederation(t, &federation{hospitals: map[string]*hospital{}, log: &strings.Builder{}}, change)
}

// lasting is how long certificates are valid: longer than tests advance the clock.
const lasting = 7 * 24 * time.Hour

// newPipedFederation uses pipes in memory as its network, so that time can be faked.
func newPipedFederation(t *testing.T, change func(*Config)) *federation {
	t.Helper()
	f := &federation{hospitals: map[string]*hospital{}, log: &strings.Builder{}, pipes: map[string]*bufconn.Listener{}}
	openFederation(t, f, change)
	f.nodes.dial = []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		return f.pipes[address].DialContext(ctx)
	})}
	return f
}

func openFederation(t *testing.T, f *federation, change func(*Config)) *federation {
	t.Helper()
	dir := t.TempDir()
	ca, err := pki.CreateAuthority(dir, "test", lasting)
	must(t, err)
	f.authority = ca
	must(t, ca.Issue(dir, pki.Identity{Federation: "test", Role: pki.RoleCoordinator, Name: "coordinator"}, nil, lasting))
	catalog := testCatalog
	if f.maxSites > 0 {
		catalog = strings.Replace(catalog, "max_groups", fmt.Sprintf("max_sites: %d\nmax_groups", f.maxSites), 1)
	}
	catalog += f.columns
	must(t, os.WriteFile(filepath.Join(dir, "catalog.yaml"), []byte(catalog), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "alice"), []byte(alice+"\n"), 0o600))
	file := func(name string) string { return filepath.Join(dir, name) }
	f.config = &Config{
		Federation: "test", Name: "coordinator", Catalog: file("catalog.yaml"), Ledger: file("ledger"), Confidence: 0.95,
		Nodes:        Identity{CA: file("ca.pem"), Certificate: file("coordinator-coordinator.pem"), Key: file("coordinator-coordinator.key")},
		QueryTimeout: 20 * time.Second, PrepareTimeout: 5 * time.Second, AnswerGrid: grid.Grid{First: time.Millisecond, Ratio: 1.01}, Hospitals: []string{"a", "b", "c"},
		Researchers: map[string]Access{"alice": {Token: config.Secret{File: file("alice")}}},
		Operators:   map[string]string{"olga": file("olga.pub")}, Limits: Limits{PerMinute: 1e6, AtOnce: 1e6, StudyPerMinute: 1e6, StudyAtOnce: 1e6},
	}
	f.operator, err = pki.CreateSigningKey(file("olga"))
	must(t, err)
	if change != nil {
		change(f.config)
	}
	logger := slog.New(slog.NewTextHandler(f.log, nil))
	f.Coordinator, err = Open(t.Context(), f.config, f, logger)
	must(t, err)
	f.Coordinator.noise = func(n dp.Noise, c dp.Coordinate) (adder, error) { return silent{f, n, c}, nil }
	t.Cleanup(func() { must(t, f.Close()) })
	f.propose(t, "s", nil)
	f.propose(t, "over", func(d *study.Document) { d.Expires = time.Now().Add(-time.Hour) })
	f.propose(t, "others", func(d *study.Document) { d.Investigators = []string{"bob"} })
	for _, name := range f.config.Hospitals {
		f.start(t, ca, dir, name)
	}
	return f
}

// asker is somebody who showed a local account's token.
func asker(name string) Researcher {
	return Researcher{Name: name, Roles: []identity.Role{identity.RoleResearcher}}
}

// propose proposes a study, or its next version, as the operator.
func (f *federation) propose(t *testing.T, id string, change func(*study.Document)) {
	t.Helper()
	d := study.Document{
		ID: id, Version: 1, Title: "A study", Purpose: "To test.", LegalBasis: "None.", Investigators: []string{"alice"},
		Tables: map[string][]string{"*": {"*"}}, Aggregates: []study.Aggregate{study.Count, study.Sum, study.Distribution},
		Budget:     dp.Budget{Accounting: dp.Pure, Epsilon: 2, Delta: 1e-6},
		MaxEpsilon: 1, DefaultEpsilon: 0.5, DefaultDelta: 1e-8, Expires: time.Now().Add(time.Hour),
	}
	if have, ok := f.studies.Study(id); ok {
		d = *have.Approved
		d.Version++
	}
	if change != nil {
		change(&d)
	}
	r := &study.Record{Act: study.Propose, Study: id, Federation: "test", Document: &d, By: "olga", Time: time.Now()}
	must(t, r.Sign(f.operator))
	must(t, f.studies.Take(t.Context(), r))
}

func (f *federation) start(t *testing.T, ca *pki.Authority, dir, name string) {
	t.Helper()
	must(t, ca.Issue(dir, pki.Identity{Federation: "test", Role: pki.RoleNode, Name: name}, nil, lasting))
	base := filepath.Join(dir, "node-"+name)
	conf, err := pki.ServerTLS(filepath.Join(dir, "ca.pem"), base+".pem", base+".key", pki.RoleCoordinator)
	must(t, err)
	lis, address := f.listen(t)
	h := &hospital{
		name: name, version: "v1", held: map[string]*fragment.Request{}, refuse: map[string]error{},
		groups: []group{{[]value.Value{value.Text("F")}, 4}, {[]value.Value{value.Text("M")}, 5}, {[]value.Value{value.Text("F")}, 6}},
		server: grpc.NewServer(grpc.Creds(credentials.NewTLS(conf))),
	}
	flight.RegisterFlightServiceServer(h.server, h)
	done := make(chan error, 1)
	go func() { done <- h.server.Serve(lis) }()
	t.Cleanup(func() { h.server.Stop(); <-done })
	f.hospitals[name] = h
	f.members = append(f.members, membership.Member{
		Role: pki.RoleNode, Name: name, Flight: address, Catalog: f.Catalog().Digest()[:32], DataVersion: "v1",
		Wire: membership.Wire{Least: fragment.Oldest, Most: fragment.Version},
	})
}

func (f *federation) listen(t *testing.T) (net.Listener, string) {
	t.Helper()
	if f.pipes != nil {
		lis, address := bufconn.Listen(1<<20), fmt.Sprintf("192.0.2.%d:1", len(f.pipes)+1)
		f.pipes[address] = lis
		return lis, address
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return countedListener{lis, &f.travelled}, lis.Addr().String()
}

func (f *federation) ask(ctx context.Context, t *testing.T, sql string) (*Answer, error) {
	t.Helper()
	who, err := f.Authenticate(ctx, alice)
	must(t, err)
	return f.Query(ctx, who, Request{SQL: sql, Settings: Settings{Study: "s"}}, nil)
}

func (f *federation) mustAsk(t *testing.T, sql string) *Answer {
	t.Helper()
	a, err := f.ask(t.Context(), t, sql)
	if err != nil {
		t.Fatalf("%v (log: %s)", err, f.log)
	}
	return a
}

// losses returns what study s has charged and reserved in the ledger.
func (f *federation) losses(t *testing.T) (charged, reserved float64) {
	t.Helper()
	c, r, err := f.ledger.Spent(context.Background(), "study:s")
	must(t, err)
	return float64(c.Epsilon) / 1e9, float64(r.Epsilon) / 1e9
}

// settled checks that nothing is reserved any more, here or at a hospital, and what was charged here.
func (f *federation) settled(t *testing.T, epsilon float64) {
	t.Helper()
	charged, reserved := f.losses(t)
	if charged != epsilon || reserved != 0 {
		t.Errorf("charged %v and reserved %v, not %v and 0", charged, reserved, epsilon)
	}
	for _, h := range f.hospitals {
		h.mu.Lock()
		if len(h.held) > 0 {
			t.Errorf("hospital %s still holds %d reservations", h.name, len(h.held))
		}
		h.mu.Unlock()
	}
}

func rows(a *Answer) []string {
	var all []string
	for _, row := range a.Rows {
		var line []string
		for _, e := range row {
			line = append(line, e.Value.String())
		}
		all = append(all, strings.Join(line, " "))
	}
	return all
}

func wantRows(t *testing.T, a *Answer, want ...string) {
	t.Helper()
	if got := rows(a); !slices.Equal(got, want) {
		t.Errorf("rows are %q, not %q", got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
