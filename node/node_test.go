package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

func TestMain(m *testing.M) {
	// The noise library logs by glog, whose only goroutine lives as long as the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		// one in progress ends with its interval; membership's own tests wait for it
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probe"))
}

const catalogText = `
catalog: test
tables:
  patient:
    key: id
    patient: id
    one_row_per_patient: true
    columns:
      id: {type: int, nullable: false}
      sex: {type: text, nullable: false, domain: [f, m]}
  visit:
    patient: patient_id
    columns:
      patient_id: {type: int, nullable: false, references: patient.id}
      ward: {type: text, nullable: false}
  ward:
    public: true
    columns: {name: {type: text}}
`

func testCatalog(t *testing.T) *catalog.Catalog {
	t.Helper()
	c := testcatalog.Parse(t, catalogText)
	return c
}

// request asks for the number of patients of each sex.
func request(c *catalog.Catalog, epsilon float64) *fragment.Request {
	return &fragment.Request{
		Query: "0123456789abcdef0123456789abcdef", Study: "copd", Researcher: "ada",
		Fragment: fragment.Fragment{
			Version: fragment.Version, Catalog: c.Digest(),
			Relations: []fragment.Relation{{Name: "patient", Table: "patient"}},
			Patient:   expr.Column("patient", "id", value.TypeInt),
			Keys: []fragment.Key{{
				Expr:   expr.Column("patient", "sex", value.TypeText),
				Domain: []value.Value{value.Text("f"), value.Text("m")},
			}},
			Partials: []fragment.Partial{{Kind: fragment.PartialPatients}},
			Norm:     fragment.L1, MaxGroups: 5, MaxRows: 10,
		},
		Noise: dp.Noise{Mechanism: dp.Laplace, Epsilon: epsilon, Limit: 1},
		Token: token("ada"),
	}
}

// engine is a database with two women and three men.
type engine struct {
	version  atomic.Pointer[string]
	running  atomic.Int32
	most     atomic.Int32
	fail     func(ctx context.Context) error // runs before the rows are sent
	compile  error
	wrong    atomic.Bool // table patient contradicts the catalog
	measured atomic.Int32
	many     int64 // men in addition to three
}

func newEngine() *engine {
	e := &engine{}
	e.set("v1")
	return e
}

func (e *engine) set(version string) { e.version.Store(&version) }

func (e *engine) Compile(*fragment.Fragment, *fragment.Proof) (string, []fragment.Caveat, error) {
	return "SELECT sex, count(*) FROM patient GROUP BY sex", engineCaveats, e.compile
}

var engineCaveats = []fragment.Caveat{{Kind: fragment.CaveatAbsent, Table: "patient", Column: "sex"}}

func (e *engine) DataVersion(context.Context) (string, error) { return *e.version.Load(), nil }

func (e *engine) Verify(context.Context) ([]string, error) {
	if e.wrong.Load() {
		return []string{"patient"}, nil
	}
	return nil, nil
}

// Multiplicity says that ten rows of a ward's table agree in any columns, and that a table has more rows than any
// limit.
func (e *engine) Multiplicity(_ context.Context, table string, columns []string) (float64, error) {
	e.measured.Add(1)
	if len(columns) == 0 {
		return 1e6, nil
	}
	return 10, nil
}

func (e *engine) database() Database { return Database{Kind: "fake", Engine: e, Data: e} }

func (e *engine) Run(ctx context.Context, f *fragment.Fragment, _ *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error {
	n := e.running.Add(1)
	defer e.running.Add(-1)
	for most := e.most.Load(); n > most && !e.most.CompareAndSwap(most, n); most = e.most.Load() {
	}
	if e.fail != nil {
		if err := e.fail(ctx); err != nil {
			return err
		}
	}
	b := array.NewRecordBuilder(alloc, f.Schema())
	defer b.Release()
	b.Field(0).(*array.StringBuilder).AppendValues([]string{"f", "m"}, nil)
	b.Field(1).(*array.Int64Builder).AppendValues([]int64{2, 3 + e.many}, nil)
	r := b.NewRecord()
	defer r.Release()
	return send(r)
}

// hospital is a node that runs on loopback, with what a test needs.
type hospital struct {
	*Node
	engine  *engine
	catalog *catalog.Catalog
	folder  string
	log     *lockedBuffer
	stop    func()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// federation creates an authority and certificates for node lyon, two coordinators and another hospital.
func federation(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	authority, err := pki.CreateAuthority(folder, "france", time.Hour)
	must(t, err)
	for _, id := range []pki.Identity{
		{Role: pki.RoleNode, Name: "lyon"}, {Role: pki.RoleNode, Name: "rennes"},
		{Role: pki.RoleCoordinator, Name: "paris"}, {Role: pki.RoleCoordinator, Name: "lille"},
		{Role: pki.RoleClient, Name: "ada"},
	} {
		id.Federation = "france"
		must(t, authority.Issue(folder, id, nil, time.Hour))
	}
	must(t, os.WriteFile(filepath.Join(folder, "gossip.key"), []byte(membership.NewKey()), 0o600))
	return folder
}

var inAnHour, anHourAgo = time.Now().Add(time.Hour), time.Now().Add(-time.Hour)

// The keys of the operator, the custodian and the coordinator.
var olga, claire, coordinatorKey = newKey(), newKey(), newKey()

func newKey() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	return key
}

// token is the coordinator's token for somebody with a local account.
func token(name string, roles ...identity.Role) string {
	local, err := identity.NewLocal(identity.Accounts("france"), "france", coordinatorKey, time.Now)
	if err != nil {
		panic(err)
	}
	if roles == nil {
		roles = []identity.Role{identity.RoleResearcher}
	}
	t, err := local.Token(name, roles)
	if err != nil {
		panic(err)
	}
	return t
}

func document(id string, version int, change func(*study.Document)) *study.Document {
	d := &study.Document{
		ID: id, Version: version, Title: "A study", Purpose: "To test.", LegalBasis: "None.", Investigators: []string{"ada"},
		Tables: map[string][]string{"patient": {"*"}, "visit": {"*"}}, Aggregates: []study.Aggregate{study.Count, study.Sum, study.Distribution},
		Budget: dp.Budget{Accounting: dp.Pure, Epsilon: 1, Delta: 1e-6}, MaxEpsilon: 0.5, DefaultEpsilon: 0.5, Expires: inAnHour,
	}
	if change != nil {
		change(d)
	}
	return d
}

// propose and decide put signed records into the node's inbox.
func propose(c Config, id string, version int, change func(*study.Document)) {
	post(c, &study.Record{Act: study.Propose, Study: id, Document: document(id, version, change), By: "olga"}, olga)
}

func decide(c Config, act study.Act, id string, number, version int, change func(*study.Document)) {
	r := &study.Record{Act: act, Study: id, Hospital: c.Name, Number: number, By: "claire"}
	if act == study.Approve {
		r.Document = document(id, version, change)
		r.Proposal = r.Document.Digest()
	}
	post(c, r, claire)
}

func post(c Config, r *study.Record, key ed25519.PrivateKey) {
	r.Federation, r.Time = "france", time.Now()
	if err := r.Sign(key); err != nil {
		panic(err)
	}
	if _, err := study.Post(study.Inbox(c.Ledger), r); err != nil {
		panic(err)
	}
}

func publicPEM(private ed25519.PrivateKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func testConfig(folder string) Config {
	c := DefaultConfig()
	c.Name, c.Federation, c.Listen, c.Catalog = "lyon", "france", "127.0.0.1:0", "builtin:omop-5.4"
	c.TLS = TLS{CA: filepath.Join(folder, "ca.pem"), Certificate: filepath.Join(folder, "node-lyon.pem"), Key: filepath.Join(folder, "node-lyon.key")}
	c.Gossip = Gossip{Listen: "127.0.0.1:0", Key: config.Secret{File: filepath.Join(folder, "gossip.key")}}
	c.Ledger = filepath.Join(folder, "lyon.ledger")
	c.Budget = dp.Budget{Accounting: dp.ZCDP, Epsilon: 10, Delta: 1e-6}
	c.Limits.PerMinute, c.Limits.AtOnce = 1e6, 1e6
	key := func(name string, private ed25519.PrivateKey) string {
		file := filepath.Join(folder, name+".pub")
		if err := os.WriteFile(file, publicPEM(private), 0o600); err != nil {
			panic(err)
		}
		return file
	}
	c.Operators, c.Custodians = map[string]string{"olga": key("olga", olga)}, map[string]string{"claire": key("claire", claire)}
	c.CoordinatorKey, c.LocalAccounts = key("coordinator", coordinatorKey), true
	if _, err := os.Stat(c.Ledger); err == nil {
		return c
	}
	for id, change := range map[string]func(*study.Document){
		"copd":   nil,
		"over":   func(d *study.Document) { d.Expires = anHourAgo },
		"nobody": func(d *study.Document) { d.Investigators = []string{"ben"} },
	} {
		propose(c, id, 1, change)
		decide(c, study.Approve, id, 1, 1, change)
	}
	return c
}

func start(t *testing.T, c Config, e *engine, before ...func(*Node)) *hospital {
	t.Helper()
	h := &hospital{engine: e, catalog: testCatalog(t), folder: filepath.Dir(c.Ledger), log: &lockedBuffer{}}
	ctx, cancel := context.WithCancel(context.Background())
	n, err := Open(ctx, c, h.catalog, e.database(), slog.New(slog.NewTextHandler(h.log, nil)))
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	n.service.alloc = alloc
	for _, change := range before {
		change(n)
	}
	h.Node = n
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		alloc.AssertSize(t, 0)
	})
	t.Cleanup(h.stop)
	return h
}

// client connects as the owner of a certificate.
func (h *hospital) client(t *testing.T, as string) flight.Client {
	t.Helper()
	_, c := h.connection(t, as)
	return c
}

func (h *hospital) connection(t *testing.T, as string) (*grpc.ClientConn, flight.Client) {
	t.Helper()
	conf, err := pki.ClientTLS(filepath.Join(h.folder, "ca.pem"), filepath.Join(h.folder, as+".pem"), filepath.Join(h.folder, as+".key"),
		pki.Identity{Federation: "france", Role: pki.RoleNode, Name: "lyon"})
	must(t, err)
	conn, err := grpc.NewClient(h.Addr(), grpc.WithTransportCredentials(credentials.NewTLS(conf)))
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn, flight.NewClientFromConn(conn, nil)
}

func act(ctx context.Context, c flight.Client, action string, body []byte, into any) error {
	stream, err := c.DoAction(ctx, &flight.Action{Type: action, Body: body})
	if err != nil {
		return err
	}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := json.Unmarshal(r.Body, into); err != nil {
			return err
		}
	}
}

func prepare(c flight.Client, r *fragment.Request) (string, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	var p fragment.Prepared
	err = act(context.Background(), c, "prepare", body, &p)
	if err == nil && !slices.Equal(p.Caveats, engineCaveats) {
		err = fmt.Errorf("the engine's caveats are %v, prepare's %v", engineCaveats, p.Caveats)
	}
	return p.Reservation, err
}

// execute returns the answer's groups and counts.
func execute(ctx context.Context, c flight.Client, ticket string) (map[string]int64, error) {
	stream, err := c.DoGet(ctx, &flight.Ticket{Ticket: []byte(ticket)})
	if err != nil {
		return nil, err
	}
	r, err := flight.NewRecordReader(stream)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	got := map[string]int64{}
	for r.Next() {
		for i := range int(r.Record().NumRows()) {
			got[r.Record().Column(0).(*array.String).Value(i)] += r.Record().Column(1).(*array.Int64).Value(i)
		}
	}
	return got, r.Err()
}

// wantCode checks that exactly the code and its fixed text were sent, and for a scope also the cause.
func wantCode(t *testing.T, err error, want Code) {
	t.Helper()
	s, _ := status.FromError(err)
	if text := want.GRPCStatus().Message(); want == CodeScope && strings.HasPrefix(s.Message(), text+": ") && s.Code() == want.GRPCStatus().Code() {
		return
	}
	if s.Message() != want.GRPCStatus().Message() || s.Code() != want.GRPCStatus().Code() {
		t.Fatalf("want %q, got %v", want.GRPCStatus().Message(), err)
	}
}

// entries stops the node and reads its ledger, which must verify.
func (h *hospital) entries(t *testing.T) []ledger.Entry {
	t.Helper()
	h.stop()
	l, err := ledger.OpenReadOnly(context.Background(), h.config.Ledger)
	must(t, err)
	defer l.Close()
	_, err = l.Verify(context.Background())
	must(t, err)
	var all []ledger.Entry
	must(t, l.Entries(context.Background(), 1, func(e ledger.Entry) error { all = append(all, e); return nil }))
	return all
}

func kinds(entries []ledger.Entry) string {
	var k []string
	for _, e := range entries {
		if e.Kind != ledger.KindStudy && e.Kind != ledger.KindData { // every node has these
			k = append(k, string(e.Kind))
		}
	}
	return strings.Join(k, " ")
}

func TestAnswer(t *testing.T) {
	h := start(t, testConfig(federation(t)), newEngine())
	c := h.client(t, "coordinator-paris")
	ticket, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	got, err := execute(context.Background(), c, ticket)
	must(t, err)
	if diff := cmp.Diff(map[string]int64{"f": 2, "m": 3}, got); diff != "" {
		t.Error(diff)
	}
	_, err = execute(context.Background(), c, ticket)
	wantCode(t, err, CodeTicket) // a replay

	var d Description
	must(t, act(context.Background(), c, "describe", nil, &d))
	if d.Name != "lyon" || d.DataVersion != "v1" || d.Catalog != h.catalog.Digest() || len(d.Studies) != 2 || d.Studies["copd"].Remaining.Epsilon != 0.75 {
		t.Errorf("described as %+v", d)
	}
	all := h.entries(t)
	if got, want := kinds(all), "open config reserve charge answer refuse"; got != want {
		t.Fatalf("ledger: %s, want %s", got, want)
	}
	all = slices.DeleteFunc(all, func(e ledger.Entry) bool { return kinds([]ledger.Entry{e}) == "" })
	if charge := all[3]; charge.Loss.Epsilon != 250_000_000 || !strings.Contains(string(charge.Detail), "SELECT sex") {
		t.Errorf("charge: %+v %s", charge.Loss, charge.Detail)
	}
	if want := "Asks for the number of patients, from patient, for each patient.sex; laplace noise of epsilon 0.25."; all[2].Text != want {
		t.Errorf("text: %s", all[2].Text)
	}
}

func TestNoGroup(t *testing.T) {
	e := newEngine()
	h := start(t, testConfig(federation(t)), e)
	h.service.engine = silent{e}
	c := h.client(t, "coordinator-paris")
	ticket, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	got, err := execute(context.Background(), c, ticket)
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

// silent has no patients.
type silent struct{ *engine }

func (silent) Run(context.Context, *fragment.Fragment, *fragment.Proof, memory.Allocator, func(arrow.Record) error) error {
	return nil
}

func TestRefuse(t *testing.T) {
	conf := testConfig(federation(t))
	conf.Limits.MaxGroups, conf.Limits.MaxRows = 5, 10
	for _, id := range []string{"suspended", "proposed"} {
		propose(conf, id, 1, nil)
	}
	decide(conf, study.Approve, "suspended", 1, 1, nil)
	decide(conf, study.Suspend, "suspended", 2, 0, nil)
	elsewhere := func(d *study.Document) { d.Hospitals = []string{"rennes"} }
	propose(conf, "elsewhere", 1, elsewhere)
	decide(conf, study.Approve, "elsewhere", 1, 1, elsewhere)
	zcdp := func(d *study.Document) { d.Budget.Accounting = dp.ZCDP }
	propose(conf, "rho", 1, zcdp)
	decide(conf, study.Approve, "rho", 1, 1, zcdp)
	for id, narrow := range map[string]func(*study.Document){
		"dear":   func(d *study.Document) { d.MinEpsilon = 0.2 },
		"sums":   func(d *study.Document) { d.Aggregates = []study.Aggregate{study.Sum} },
		"visits": func(d *study.Document) { d.Tables = map[string][]string{"visit": {"*"}} },
	} {
		propose(conf, id, 1, nil)
		r := &study.Record{Act: study.Approve, Study: id, Hospital: conf.Name, Number: 1, By: "claire"}
		r.Document, r.Proposal = document(id, 1, narrow), document(id, 1, nil).Digest()
		post(conf, r, claire)
	}
	h := start(t, conf, newEngine())
	c := h.client(t, "coordinator-paris")
	for _, tc := range []struct {
		name   string
		change func(*fragment.Request)
		want   Code
	}{
		{"an aggregate that the study may not ask for here", func(r *fragment.Request) { r.Study = "sums" }, CodeScope},
		{"a table that the study may not read here", func(r *fragment.Request) { r.Study = "visits" }, CodeScope},
		{"one patient by the identifier", func(r *fragment.Request) {
			equal, err := expr.New(expr.OpEqual, expr.Column("patient", "id", value.TypeInt), expr.Literal(value.Int(42)))
			must(t, err)
			r.Fragment.Filter = equal
		}, CodeScope},
		{"other catalog", func(r *fragment.Request) { r.Fragment.Catalog = catalog.OMOP().Digest() }, CodeCatalog},
		{"unknown table", func(r *fragment.Request) { r.Fragment.Relations[0].Table = "secrets" }, CodeFragment},
		{"too little noise", func(r *fragment.Request) { r.Fragment.Partials = append(r.Fragment.Partials, r.Fragment.Partials[0]) }, CodeFragment},
		{"no epsilon", func(r *fragment.Request) { r.Noise.Epsilon = 0 }, CodeFragment},
		{"undeclared groups without threshold", func(r *fragment.Request) { r.Fragment.Keys[0].Domain = nil }, CodeFragment},
		{"wide groups", func(r *fragment.Request) { r.Fragment.MaxGroups = 6 }, CodeLimit},
		{"wide rows", func(r *fragment.Request) { r.Fragment.MaxRows = 11 }, CodeLimit},
		{"epsilon above the cap", func(r *fragment.Request) { r.Noise.Epsilon = 0.51 }, CodeLimit},
		{"epsilon above its part of the cap", func(r *fragment.Request) { r.Releases, r.Noise.Epsilon = 3, 0.17 }, CodeLimit},
		{"epsilon below the least price", func(r *fragment.Request) { r.Noise.Epsilon = 1e-9 }, CodePrice},
		{"epsilon below the least price, as one of many releases", func(r *fragment.Request) { r.Releases, r.Noise.Epsilon = 64, 0.5/64 }, CodePrice},
		{"less rho than the least price", func(r *fragment.Request) {
			r.Study = "rho"
			r.Noise, r.Fragment.Norm = dp.Noise{Mechanism: dp.Gaussian, Epsilon: 0.0099, Limit: 1}, fragment.L2
		}, CodePrice},
		{"epsilon below the least price that the custodian raised", func(r *fragment.Request) { r.Study, r.Noise.Epsilon = "dear", 0.19 }, CodePrice},
		{"more releases than there are", func(r *fragment.Request) { r.Releases, r.Noise.Epsilon = 65, 0.001 }, CodeFragment},
		{"less than one release", func(r *fragment.Request) { r.Releases = -1 }, CodeFragment},
		{"rho above the cap", func(r *fragment.Request) {
			r.Study = "rho"
			r.Noise, r.Fragment.Norm = dp.Noise{Mechanism: dp.Gaussian, Epsilon: 0.51, Limit: 1}, fragment.L2
		}, CodeLimit},
		{"Gaussian noise in a study of pure accounting", func(r *fragment.Request) { r.Noise.Mechanism, r.Fragment.Norm = dp.Gaussian, fragment.L2 }, CodeBudget},
		{"noise of another norm", func(r *fragment.Request) { r.Noise.Mechanism = dp.Gaussian }, CodeFragment},
		{"unknown study", func(r *fragment.Request) { r.Study = "diabetes" }, CodeStudy},
		{"study over", func(r *fragment.Request) { r.Study = "over" }, CodeStudy},
		{"study for nobody", func(r *fragment.Request) { r.Study = "nobody" }, CodeResearcher},
		{"study suspended", func(r *fragment.Request) { r.Study = "suspended" }, CodeStudy},
		{"study only proposed", func(r *fragment.Request) { r.Study = "proposed" }, CodeStudy},
		{"study of other hospitals", func(r *fragment.Request) { r.Study = "elsewhere" }, CodeStudy},
		{"researcher", func(r *fragment.Request) { r.Researcher, r.Token = "eve", token("eve") }, CodeResearcher},
		{"no researcher by role", func(r *fragment.Request) { r.Token = token("ada", identity.RoleOperator) }, CodeResearcher},
		{"no token", func(r *fragment.Request) { r.Token = "" }, CodeToken},
		{"somebody else's token", func(r *fragment.Request) { r.Token = token("eve") }, CodeToken},
		{"a token altered", func(r *fragment.Request) { r.Token = r.Token[:len(r.Token)-4] + "AAAA" }, CodeToken},
		{"query id", func(r *fragment.Request) { r.Query = "1" }, CodeRequest},
		{"version", func(r *fragment.Request) { r.Fragment.Version = 99 }, CodeRequest},
		{"name", func(r *fragment.Request) { r.Researcher = "ada\nlevel=ERROR" }, CodeRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := request(h.catalog, 0.25)
			tc.change(r)
			_, err := prepare(c, r)
			wantCode(t, err, tc.want)
		})
	}
	for _, body := range []string{"", "{", `{"sql": "SELECT 1"}`} {
		wantCode(t, act(context.Background(), c, "prepare", []byte(body), nil), CodeRequest)
	}
	wantCode(t, act(context.Background(), c, "shutdown", nil, nil), CodeRequest)
	_, err := execute(context.Background(), c, "guess")
	wantCode(t, err, CodeTicket)
	for _, e := range h.entries(t)[2:] {
		if e.Kind != ledger.KindRefuse && e.Kind != ledger.KindStudy && e.Kind != ledger.KindData {
			t.Errorf("the ledger has a %s: %s", e.Kind, e.Text)
		}
	}
}

func TestBudget(t *testing.T) {
	h := start(t, testConfig(federation(t)), newEngine())
	c := h.client(t, "coordinator-paris")
	r := request(h.catalog, 0.5)
	_, err := prepare(c, r)
	must(t, err)
	second, err := prepare(c, r)
	must(t, err)
	_, err = prepare(c, r) // a reservation counts before it is charged
	wantCode(t, err, CodeBudget)
	must(t, act(context.Background(), c, "abandon", []byte(second), nil))
	wantCode(t, act(context.Background(), c, "abandon", []byte(second), nil), CodeTicket)
	_, err = prepare(c, r)
	must(t, err)
	if got, want := kinds(h.entries(t)), "open config refuse"; got != want {
		t.Errorf("ledger: %s, want %s", got, want)
	}
}

func TestNodeBudget(t *testing.T) {
	conf := testConfig(federation(t))
	conf.Budget = dp.Budget{Accounting: dp.Pure, Epsilon: 0.3, Delta: 0}
	h := start(t, conf, newEngine())
	c := h.client(t, "coordinator-paris")
	_, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	_, err = prepare(c, request(h.catalog, 0.25))
	wantCode(t, err, CodeBudget)
}

func TestExplainSpendsNothing(t *testing.T) {
	h := start(t, testConfig(federation(t)), newEngine())
	c := h.client(t, "coordinator-paris")
	body, err := json.Marshal(request(h.catalog, 5)) // above the study's limit: explaining is free
	must(t, err)
	var got fragment.Explained
	must(t, act(context.Background(), c, "explain", body, &got))
	want := fragment.Explained{Engine: "fake", DataVersion: "v1", SQL: "SELECT sex, count(*) FROM patient GROUP BY sex", Caveats: engineCaveats}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := kinds(h.entries(t)); got != "open config" {
		t.Errorf("ledger: %s", got)
	}
}

func TestReservationOfAnother(t *testing.T) {
	h := start(t, testConfig(federation(t)), newEngine())
	paris, lille := h.client(t, "coordinator-paris"), h.client(t, "coordinator-lille")
	ticket, err := prepare(paris, request(h.catalog, 0.25))
	must(t, err)
	_, err = execute(context.Background(), lille, ticket)
	wantCode(t, err, CodeTicket)
	wantCode(t, act(context.Background(), lille, "abandon", []byte(ticket), nil), CodeTicket)
	_, err = execute(context.Background(), paris, ticket)
	must(t, err)
}

func TestWrongRole(t *testing.T) {
	h := start(t, testConfig(federation(t)), newEngine())
	for _, as := range []string{"client-ada"} { // TLS refuses, so there is no code
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err := act(ctx, h.client(t, as), "describe", nil, nil)
		cancel()
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", as, err)
		}
	}
}

func TestLapse(t *testing.T) {
	h := start(t, testConfig(federation(t)), newEngine())
	var late atomic.Int64
	h.service.now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	c := h.client(t, "coordinator-paris")
	ticket, err := prepare(c, request(h.catalog, 0.5))
	must(t, err)
	swept, err := prepare(c, request(h.catalog, 0.5))
	must(t, err)
	late.Store(int64(2 * time.Minute))
	_, err = execute(context.Background(), c, ticket)
	wantCode(t, err, CodeTicket)
	_, err = prepare(c, request(h.catalog, 0.5)) // there is room again
	must(t, err)
	_, err = execute(context.Background(), c, swept)
	wantCode(t, err, CodeTicket)
}

func TestRestart(t *testing.T) {
	conf := testConfig(federation(t))
	h := start(t, conf, newEngine())
	c := h.client(t, "coordinator-paris")
	charged, err := prepare(c, request(h.catalog, 0.5))
	must(t, err)
	_, err = execute(context.Background(), c, charged)
	must(t, err)
	open, err := prepare(c, request(h.catalog, 0.5))
	must(t, err)
	h.stop()

	h = start(t, conf, newEngine())
	c = h.client(t, "coordinator-paris")
	for _, ticket := range []string{charged, open} {
		_, err = execute(context.Background(), c, ticket)
		wantCode(t, err, CodeTicket)
	}
	_, err = prepare(c, request(h.catalog, 0.5)) // the reservation was given back
	must(t, err)
	_, err = prepare(c, request(h.catalog, 0.5)) // the charge was not
	wantCode(t, err, CodeBudget)
}

func TestNewData(t *testing.T) {
	h := start(t, testConfig(federation(t)), newEngine())
	c := h.client(t, "coordinator-paris")
	ticket, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	h.engine.set("v2")
	_, err = execute(context.Background(), c, ticket)
	wantCode(t, err, CodeStale)
	if got, want := kinds(h.entries(t)), "open config refuse"; got != want {
		t.Errorf("ledger: %s, want %s", got, want)
	}
}

// If the data changes during a computation, the answer may come from data that nobody has verified. It ends with an
// error, and the coordinator uses no part of it. The charge stays.
func TestNewDataWhileComputing(t *testing.T) {
	e := newEngine()
	h := start(t, testConfig(federation(t)), e)
	c := h.client(t, "coordinator-paris")
	e.fail = func(context.Context) error { e.set("v2"); return nil }
	ticket, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	_, err = execute(context.Background(), c, ticket)
	wantCode(t, err, CodeData)
	if got := kinds(h.entries(t)); !strings.HasPrefix(got, "open config reserve charge failure") {
		t.Errorf("ledger: %s", got)
	}
}

// New data is verified before anything is answered over it.
func TestVerify(t *testing.T) {
	e := newEngine()
	h := start(t, testConfig(federation(t)), e)
	c := h.client(t, "coordinator-paris")
	eventually := func(log string) {
		t.Helper()
		for range 500 {
			if strings.Contains(h.log.String(), log) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("the log lacks %q:\n%s", log, h.log)
	}
	e.wrong.Store(true)
	e.set("v2")
	_, err := prepare(c, request(h.catalog, 0.25))
	wantCode(t, err, CodeData)
	eventually("data=v2")
	_, err = prepare(c, request(h.catalog, 0.25))
	wantCode(t, err, CodeSource)

	e.wrong.Store(false)
	e.set("v3")
	_, err = prepare(c, request(h.catalog, 0.25))
	wantCode(t, err, CodeSource) // not forgotten before the data is verified again
	for range 500 {
		if h.service.verified.Load().version == "v3" {
			break
		}
		select {
		case h.service.unverified <- struct{}{}: // as the poll would
		default:
		}
		time.Sleep(10 * time.Millisecond)
	}
	ticket, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	_, err = execute(context.Background(), c, ticket)
	must(t, err)
}

// contradiction is the error of an engine that finds data that contradicts the catalog.
type contradiction struct{}

func (contradiction) Error() string { return "a fault" }

func (contradiction) Contradiction() bool { return true }

// If a statement finds the data wrong, the data is verified again, although its version is the same.
func TestContradiction(t *testing.T) {
	e := newEngine()
	e.fail = func(context.Context) error { return contradiction{} }
	h := start(t, testConfig(federation(t)), e)
	c := h.client(t, "coordinator-paris")
	ticket, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	e.wrong.Store(true)
	_, err = execute(context.Background(), c, ticket)
	wantCode(t, err, CodeData)
	for range 500 {
		if h.service.verified.Load().version != "" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	_, err = prepare(c, request(h.catalog, 0.25))
	wantCode(t, err, CodeSource)
}

// A query is charged if the engine fails. The engine's message appears neither in the answer nor in the log.
func TestEngineFails(t *testing.T) {
	const secret = "could not cast 'Mme Dupont' to INT32"
	for name, fail := range map[string]func(context.Context) error{
		"error": func(context.Context) error { return errors.New(secret) },
		"panic": func(context.Context) error { panic(secret) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine()
			e.fail = fail
			h := start(t, testConfig(federation(t)), e)
			c := h.client(t, "coordinator-paris")
			ticket, err := prepare(c, request(h.catalog, 0.25))
			must(t, err)
			_, err = execute(context.Background(), c, ticket)
			wantCode(t, err, CodeEngine)
			all := h.entries(t)
			if got, want := kinds(all), "open config reserve charge failure"; got != want {
				t.Errorf("ledger: %s, want %s", got, want)
			}
			for _, entry := range all {
				if strings.Contains(entry.Text+string(entry.Detail), "Dupont") {
					t.Errorf("the ledger quotes the engine: %s", entry.Text)
				}
			}
			if strings.Contains(h.log.String(), "Dupont") {
				t.Errorf("the log quotes the engine:\n%s", h.log)
			}
		})
	}
}

func TestSource(t *testing.T) {
	e := newEngine()
	e.compile = errors.New("table patient is not mapped")
	h := start(t, testConfig(federation(t)), e)
	_, err := prepare(h.client(t, "coordinator-paris"), request(h.catalog, 0.25))
	wantCode(t, err, CodeSource)
	e.compile = fmt.Errorf("%w: abs(abs(patient.age))", &fragment.Limit{Message: "too long", Hint: "say less"})
	_, err = prepare(h.client(t, "coordinator-paris"), request(h.catalog, 0.25))
	if text := status.Convert(err).Message(); !strings.HasPrefix(text, "NODE_TOO_LARGE") || !strings.Contains(text, "abs(abs(patient.age))") {
		t.Errorf("of an expression that is too large it is told: %s", text)
	}
}

func TestChargeBeforeRun(t *testing.T) {
	e := newEngine()
	var h *hospital
	e.fail = func(ctx context.Context) error {
		l, err := ledger.OpenReadOnly(ctx, h.config.Ledger)
		if err != nil {
			return err
		}
		defer l.Close()
		charged, _, err := l.Spent(ctx, "study:copd")
		if err == nil && charged.Epsilon != 250_000_000 {
			t.Errorf("when the engine began, %+v was charged", charged)
		}
		return err
	}
	h = start(t, testConfig(federation(t)), e)
	c := h.client(t, "coordinator-paris")
	ticket, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	_, err = execute(context.Background(), c, ticket)
	must(t, err)
}

// If the coordinator disconnects, or its deadline or the node's passes, the engine's context ends.
func TestCancel(t *testing.T) {
	for name, tc := range map[string]struct {
		timeout time.Duration // of the node
		caller  func() (context.Context, context.CancelFunc)
		want    codes.Code
	}{
		"caller leaves": {time.Minute, func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) }, codes.Canceled},
		"caller's deadline": {time.Minute, func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), 200*time.Millisecond)
		}, codes.DeadlineExceeded},
		"node's timeout": {200 * time.Millisecond, func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) }, codes.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine()
			begun, ended := make(chan struct{}), make(chan struct{})
			e.fail = func(ctx context.Context) error {
				close(begun)
				<-ctx.Done()
				close(ended)
				return ctx.Err()
			}
			conf := testConfig(federation(t))
			conf.Limits.QueryTimeout = tc.timeout
			h := start(t, conf, e)
			c := h.client(t, "coordinator-paris")
			ticket, err := prepare(c, request(h.catalog, 0.25))
			must(t, err)
			ctx, cancel := tc.caller()
			defer cancel()
			if name == "caller leaves" {
				go func() { <-begun; cancel() }()
			}
			if _, err = execute(ctx, c, ticket); status.Code(err) != tc.want {
				t.Errorf("got %v", err)
			}
			select {
			case <-ended:
			case <-time.After(5 * time.Second):
				t.Fatal("the engine still runs")
			}
			if got, want := kinds(h.entries(t)), "open config reserve charge failure"; got != want {
				t.Errorf("ledger: %s, want %s", got, want)
			}
		})
	}
}

func TestConcurrency(t *testing.T) {
	e := newEngine()
	e.fail = func(context.Context) error { time.Sleep(30 * time.Millisecond); return nil }
	conf := testConfig(federation(t))
	wide := func(d *study.Document) { d.Budget.Epsilon = 100 }
	propose(conf, "copd", 2, wide)
	decide(conf, study.Approve, "copd", 2, 2, wide)
	conf.Limits.Concurrent = 2
	h := start(t, conf, e)
	c := h.client(t, "coordinator-paris")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			ticket, err := prepare(c, request(h.catalog, 0.25))
			if err != nil {
				t.Error(err)
				return
			}
			got, err := execute(context.Background(), c, ticket)
			if err != nil || got["m"] != 3 {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	// A query that leaves the queue is not charged.
	ticket, err := prepare(c, request(h.catalog, 0.25))
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := execute(ctx, c, ticket); err == nil {
		t.Error("an ended context got an answer")
	}
	all.Wait()
	if most := e.most.Load(); most > 2 {
		t.Errorf("%d queries ran at once, and 2 are allowed", most)
	}
	charges := strings.Count(kinds(h.entries(t)), "charge")
	if charges != 8 {
		t.Errorf("%d charges, want 8", charges)
	}
}

func TestTooManyReservations(t *testing.T) {
	rs := reservations{held: map[string]reservation{}}
	for range maxReservations {
		if !rs.promise(1) {
			t.Fatal("no room")
		}
	}
	if rs.promise(1) {
		t.Error("one too many")
	}
	rs.withdraw(1)
	if !rs.promise(1) || rs.promise(1) {
		t.Error("one withdrawn makes room for one")
	}
	if (&reservations{}).promise(maxReservationBytes + 1) {
		t.Error("too large")
	}
}

func TestFoundByGossip(t *testing.T) {
	conf := testConfig(federation(t))
	h := start(t, conf, newEngine())
	for range 100 {
		if strings.Contains(h.log.String(), "msg=ready") {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	_, rest, _ := strings.Cut(h.log.String(), "gossip=")
	address, _, _ := strings.Cut(rest, " ")
	secret, err := conf.Gossip.Key.Read("")
	must(t, err)
	key, err := membership.ParseKey(secret)
	must(t, err)
	m, err := membership.Start(t.Context(), membership.Config{Federation: "france", Bind: "127.0.0.1:0", Join: []string{address}, Key: key,
		Logger: slog.New(slog.DiscardHandler)}, membership.Member{Role: pki.RoleCoordinator, Name: "paris", Catalog: h.catalog.Digest()[:32]})
	must(t, err)
	defer m.Close(context.Background())
	want := []membership.Member{{Role: pki.RoleNode, Name: "lyon", Flight: h.Addr(), Catalog: h.catalog.Digest()[:32], DataVersion: "v1", Wire: membership.Wire{Least: fragment.Oldest, Most: fragment.Version}}}
	var got []membership.Member
	for range 100 {
		if got = m.Members(); len(got) > 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOpenRefusesAnotherCertificate(t *testing.T) {
	folder := federation(t)
	c := testConfig(folder)
	c.TLS.Certificate, c.TLS.Key = filepath.Join(folder, "node-rennes.pem"), filepath.Join(folder, "node-rennes.key")
	_, err := Open(t.Context(), c, testCatalog(t), newEngine().database(), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "is not for intramuros://france/node/lyon") {
		t.Errorf("got %v", err)
	}
}

func TestGroupKey(t *testing.T) {
	c := Config{Ledger: filepath.Join(t.TempDir(), "l")}
	first, err := c.ReadGroupKey()
	must(t, err)
	second, err := c.ReadGroupKey()
	must(t, err)
	if len(first) != 64 || !bytes.Equal(first, second) {
		t.Errorf("got %q, then %q", first, second)
	}
}

func TestValidate(t *testing.T) {
	var c Config
	err := c.Validate()
	if err == nil {
		t.Fatal("the zero value is valid")
	}
	for _, want := range []string{"`name` is not set", "`gossip.key` is not set", "`budget`", "`limits.max_groups`"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s:\n%v", want, err)
		}
	}
	c = testConfig(t.TempDir())
	must(t, c.Validate())
	c.Listen = "0.0.0.0:8815"
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "`advertise` is not set") {
		t.Errorf("got %v", err)
	}
}

func TestEveryCodeHasAText(t *testing.T) {
	for c, a := range answers {
		if a.text == "" || a.grpc == codes.OK || !strings.HasPrefix(string(c), "NODE_") {
			t.Errorf("%s: %+v", c, a)
		}
	}
}
