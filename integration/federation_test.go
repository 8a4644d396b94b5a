package integration

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
)

const (
	federationName  = "test"
	coordinatorName = "hub"
	studyID         = "trial"
	token           = "a-token-for-tests-only"
)

// shape is the federation that a test needs.
type shape struct {
	catalog string            // a file or builtin:NAME
	folders map[string]string // of Parquet files, by hospital
	require string            // the number of hospitals that must answer; empty: all
	// other gives hospitals a catalog of their own.
	other   map[string]string
	threads int // of each engine; 0: 1
	// engine is the key `engine` of a hospital's file, if it is not DuckDB over its folder.
	engine map[string]string
	// study changes what is proposed, what the coordinator holds, and what each hospital approves.
	study func(proposed, coordinator, hospital *study.Document)
	// unapproved are hospitals where nobody has decided about the study.
	unapproved []string
	memory     string
	rows       int           // the max_rows of each node; 0: 1000
	failures   int           // the failures that each node allows a study; 0: 100, more than a test makes
	timeout    time.Duration // of a query at each node; 0: 5m
	// outward are hospitals that open no port. For each, the function gets the address of the coordinator's door, and
	// returns how the node reaches it.
	outward map[string]func(door string) (address, proxy string)
}

// federation is a running one.
type federation struct {
	t           testing.TB
	shape       shape
	dir         string
	hospitals   []string
	address     string            // of the coordinator's HTTP API
	door        string            // for hospitals that open no port
	programs    map[string]string // of a hospital or of "coordinator", if not the one under test
	coordinator *process
	nodes       map[string]*process
	client      *http.Client
	bearer      string // whose token is sent; empty: the local account\'s
}

// startFederation starts a federation, waits until every hospital is present, and stops it with the test. Every daemon
// must then stop in an orderly way, except those that the test killed.
func startFederation(t testing.TB, s shape) *federation {
	t.Helper()
	f := newFederation(t, s)
	f.startCoordinator()
	// This is done in batches: each start reads a program, a catalog and Parquet footers.
	for batch := range slices.Chunk(f.hospitals, 24) {
		for _, name := range batch {
			f.startNode(name)
		}
		f.await(batch...)
	}
	return f
}

// newFederation prepares folders, certificates and configurations, and starts nothing.
func newFederation(t testing.TB, s shape) *federation {
	t.Helper()
	f := &federation{t: t, shape: s, dir: t.TempDir(), nodes: map[string]*process{}, address: freeAddress(t), door: freeAddress(t)}
	for name := range s.folders {
		f.hospitals = append(f.hospitals, name)
	}
	slices.Sort(f.hospitals)
	t.Cleanup(f.stop)

	authority := f.path("pki")
	f.must("pki", "init", "--dir", authority, "--federation", federationName)
	f.must("pki", "issue", "--dir", authority, "--role", "coordinator", "--name", coordinatorName, "--host", "localhost", "--host", "127.0.0.1")
	// All join the coordinator, which joins the first node. So each finds the others again after any restart.
	gossip, first := freeAddress(t), freeAddress(t)
	f.write("token", token)
	f.write("coordinator.yaml", f.coordinatorYAML(gossip, first))
	for i, name := range f.hospitals {
		f.must("pki", "issue", "--dir", authority, "--role", "node", "--name", name)
		own := first
		if i > 0 {
			own = freeAddress(t)
		}
		f.write(name+".yaml", f.nodeYAML(name, own, gossip))
	}

	f.openStudy()

	pem, err := os.ReadFile(f.path("pki/ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, ForceAttemptHTTP2: true}
	f.client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	return f
}

// openStudy proposes the tests' study as the operator and approves it as every custodian, with records that wait for
// the daemons. It lists every column, also identifiers.
func (f *federation) openStudy() {
	f.t.Helper()
	must := func(err error) {
		f.t.Helper()
		if err != nil {
			f.t.Fatal(err)
		}
	}
	olga, err := pki.CreateSigningKey(f.path("olga"))
	must(err)
	claire, err := pki.CreateSigningKey(f.path("claire"))
	must(err)
	_, err = pki.CreateSigningKey(f.path("coordinator.ledger"))
	must(err)
	cat := f.catalog()
	d := study.Document{
		ID: studyID, Version: 1, Title: "A trial", Purpose: "To test.", LegalBasis: "None: nobody here is real.", Investigators: []string{study.Any},
		Tables: map[string][]string{}, Aggregates: []study.Aggregate{study.Count, study.Sum, study.Distribution},
		Budget: dp.Budget{Accounting: dp.Pure, Epsilon: 9e9, Delta: 0.5}, MaxEpsilon: 9e9, DefaultEpsilon: 1, DefaultDelta: 1e-6,
		Expires: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	for _, t := range cat.Tables {
		for _, c := range t.Columns {
			d.Tables[t.Name] = append(d.Tables[t.Name], c.Name)
		}
	}
	central, local := d, d
	if f.shape.study != nil {
		f.shape.study(&d, &central, &local)
	}
	post := func(owner string, key ed25519.PrivateKey, r study.Record) {
		f.t.Helper()
		r.Study, r.Federation, r.Time = studyID, federationName, time.Now()
		must(r.Sign(key))
		_, err := study.Post(study.Inbox(f.path(owner+".ledger")), &r)
		must(err)
	}
	proposal := study.Record{Act: study.Propose, Document: &d, By: "olga"}
	post("coordinator", olga, proposal)
	post("coordinator", olga, study.Record{Act: study.Approve, Number: 1, Document: &central, Proposal: d.Digest(), By: "olga"})
	for _, name := range f.hospitals {
		post(name, olga, proposal)
		if slices.Contains(f.shape.unapproved, name) {
			continue
		}
		post(name, claire, study.Record{Act: study.Approve, Hospital: name, Number: 1, Document: &local, Proposal: d.Digest(), By: "claire"})
	}
}

// catalog is the federation's.
func (f *federation) catalog() *catalog.Catalog {
	f.t.Helper()
	if c, ok := catalog.Builtin(strings.TrimPrefix(f.shape.catalog, "builtin:")); ok {
		return c
	}
	c, err := catalog.Load(f.shape.catalog)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (f *federation) path(name string) string { return filepath.Join(f.dir, name) }

func (f *federation) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// The budget of tests. Under pure accounting epsilons add up. At 1e8 for each query, of which 90 fit, the noise on a
// count is zero.
const (
	budget       = `{accounting: pure, epsilon: 9e9, delta: 0.5}`
	exactEpsilon = 1e8
)

func (f *federation) coordinatorYAML(gossip, node string) string {
	require := f.shape.require
	if require == "" {
		require = "all"
	}
	door := ""
	if len(f.shape.outward) > 0 {
		door = fmt.Sprintf("door: {listen: %q}", f.door)
	}
	return fmt.Sprintf(`
federation: %[1]s
name: %[2]s
listen: %[3]s
tls: {certificate: pki/coordinator-%[2]s.pem, key: pki/coordinator-%[2]s.key}
nodes: {ca: pki/ca.pem, certificate: pki/coordinator-%[2]s.pem, key: pki/coordinator-%[2]s.key}
gossip: {listen: "%[4]s", join: ["%[8]s"], key: {file: pki/gossip.key}}
%[9]s
catalog: %[5]s
hospitals: [%[6]s]
require: %[7]s
ledger: coordinator.ledger
query_timeout: 5m
prepare_timeout: 1m
operators: {olga: olga.pub}
limits: {per_minute: 1000000, at_once: 1000, study_per_minute: 1000000, study_at_once: 1000}
researchers:
  ada: {token: {file: token}}
`, federationName, coordinatorName, f.address, gossip, f.shape.catalog, strings.Join(f.hospitals, ", "), require, node, door)
}

func (f *federation) nodeYAML(name, gossip, coordinator string) string {
	catalog := f.shape.catalog
	if other, ok := f.shape.other[name]; ok {
		catalog = other
	}
	memory := f.shape.memory
	if memory == "" {
		memory = "256MB"
	}
	engine, ok := f.shape.engine[name]
	if !ok {
		engine = fmt.Sprintf("{duckdb: {folder: %s, threads: %d, memory_limit: %s}}", f.shape.folders[name], max(1, f.shape.threads), memory)
	}
	reached := fmt.Sprintf(`listen: %s
gossip: {listen: "%s", join: ["%s"], key: {file: pki/gossip.key}}`, freeAddress(f.t), gossip, coordinator)
	if way, ok := f.shape.outward[name]; ok {
		door, proxy := way(f.door)
		reached = fmt.Sprintf("outward: {door: %q, proxy: %q}", door, proxy)
	}
	return fmt.Sprintf(`
name: %[1]s
federation: %[2]s
%[3]s
catalog: %[4]s
tls: {ca: pki/ca.pem, certificate: pki/node-%[1]s.pem, key: pki/node-%[1]s.key}
ledger: %[1]s.ledger
budget: %[5]s
operators: {olga: olga.pub}
custodians: {claire: claire.pub}
coordinator_key: coordinator.ledger.pub
local_accounts: true
limits: {per_minute: 1000000, at_once: 1000, failures_allowed: %[7]d, query_timeout: %[8]s, max_rows: %[9]d}
engine: %[6]s
`, name, federationName, reached, catalog, budget, engine, cmp.Or(f.shape.failures, 100), cmp.Or(f.shape.timeout, 5*time.Minute),
		cmp.Or(f.shape.rows, 1000))
}

// must runs a command of the program, which must succeed.
func (f *federation) must(args ...string) string {
	f.t.Helper()
	out, err := exec.Command(binary, args...).CombinedOutput()
	if err != nil {
		f.t.Fatalf("intramuros %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (f *federation) startCoordinator() {
	f.t.Helper()
	f.coordinator = f.start("coordinator", f.path("coordinator.yaml"))
}

func (f *federation) startNode(name string) {
	f.t.Helper()
	f.nodes[name] = f.start("node", f.path(name+".yaml"))
}

func (f *federation) start(role, config string) *process {
	f.t.Helper()
	name := strings.TrimSuffix(config, ".yaml")
	p, err := startProgram(cmp.Or(f.programs[filepath.Base(name)], binary), name+".log", role, "--config", config)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

// stop stops all running daemons at once.
func (f *federation) stop() {
	all := map[string]*process{"coordinator": f.coordinator}
	for name, p := range f.nodes {
		all[name] = p
	}
	var wait sync.WaitGroup
	for name, p := range all {
		if p == nil {
			continue
		}
		wait.Go(func() {
			if err := p.stop(); err != nil {
				f.t.Errorf("%s: %v", name, err)
			}
		})
	}
	wait.Wait()
	if !f.t.Failed() {
		return
	}
	shown := 0
	for name, p := range all {
		if p != nil && (name == "coordinator" || shown < 3) {
			f.t.Logf("the end of the log of %s:\n%s", name, p.tail(25))
			shown++
		}
	}
}

// killNode kills a node, and forgets it.
func (f *federation) killNode(name string) {
	f.nodes[name].kill()
	delete(f.nodes, name)
}

// await waits until these hospitals can be asked.
func (f *federation) await(names ...string) {
	f.t.Helper()
	f.awaitPresence(true, names...)
}

func (f *federation) awaitPresence(want bool, names ...string) {
	f.t.Helper()
	limit := time.Minute
	var last string
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if !f.coordinator.running() {
			f.t.Fatalf("the coordinator has ended: %v\n%s", f.coordinator.err, f.coordinator.tail(20))
		}
		for _, name := range names {
			if p := f.nodes[name]; want && p != nil && !p.running() {
				f.t.Fatalf("node %s has ended: %v\n%s", name, p.err, p.tail(20))
			}
		}
		var state federationState
		if err := f.get("/v1/hospitals", &state); err != nil {
			last = err.Error()
			continue
		}
		last = ""
		for _, h := range state.Hospitals {
			if slices.Contains(names, h.Name) && h.Present != want {
				last += fmt.Sprintf("%s: present %v, %s %s\n", h.Name, h.Present, h.Code, h.Why)
			}
		}
		if last == "" {
			return
		}
	}
	f.t.Fatalf("after %v the federation is not as it should be:\n%s", limit, last)
}

// The wire form of the HTTP API, as a client reads it that knows only its description.
type (
	request struct {
		SQL       string  `json:"sql"`
		Study     string  `json:"study"`
		Epsilon   float64 `json:"epsilon,omitempty"`
		Delta     float64 `json:"delta,omitempty"`
		MaxGroups int     `json:"max_groups,omitempty"`
		MaxRows   int     `json:"max_rows,omitempty"`
	}
	answer struct {
		Query   string
		Columns []struct {
			Name, Type string
			Noisy      bool
		}
		Rows       [][]cell
		Confidence float64
		Cost       struct {
			Mechanism      string
			Epsilon, Delta float64
		}
		Remaining struct{ Epsilon, Delta float64 }
		Stored    bool
		Sealed    bool
		Hospitals struct {
			Answered []string
			Missing  []absence
		}
		Warnings []string
	}
	absence         struct{ Name, Code, Why string }
	federationState struct {
		Ready     bool
		Hospitals []struct {
			Name, Code, Why string
			Present         bool
		}
	}
	budgetState struct {
		Remaining struct{ Epsilon, Delta float64 }
	}
	// refusal is an error of the API.
	refusal struct {
		Code, Message, Hint string
		Charged             bool
		Hospitals           []absence
	}
	event struct {
		Event    string
		Progress *struct{ Hospital, State, Code string }
		Answer   *answer
		Error    *refusal
	}
)

// Error returns code and message.
func (r *refusal) Error() string { return r.Code + ": " + r.Message }

// cell is one value of an answer: nil, bool, float64 or string.
type cell struct {
	Value, Low, High any
}

// UnmarshalJSON reads a plain value, or {value, low, high}.
func (c *cell) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		type noisy cell // without this method
		return json.Unmarshal(b, (*noisy)(c))
	}
	return json.Unmarshal(b, &c.Value)
}

// send calls the HTTP API. Refusals are of type *refusal.
func (f *federation) send(ctx context.Context, method, path, accept string, body any) (*http.Response, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, "https://"+f.address+path, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	bearer := f.bearer
	if bearer == "" {
		bearer = token
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", accept)
	response, err := f.client.Do(r)
	if err != nil || response.StatusCode == http.StatusOK {
		return response, err
	}
	defer response.Body.Close()
	var failure struct{ Error refusal }
	b, err = io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(b, &failure)
	}
	if err != nil || failure.Error.Code == "" {
		return nil, fmt.Errorf("%s with %q (%w)", response.Status, b, err)
	}
	return nil, &failure.Error
}

func (f *federation) fetch(ctx context.Context, method, path string, body, into any) error {
	response, err := f.send(ctx, method, path, "application/json", body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(into)
}

func (f *federation) get(path string, into any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return f.fetch(ctx, http.MethodGet, path, nil, into)
}

// query asks one question, within the coordinator's time limit.
func (f *federation) query(r request) (*answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	r.Study = studyID
	a := &answer{}
	return a, f.fetch(ctx, http.MethodPost, "/v1/query", r, a)
}

// follow asks one question and reports each step of each hospital.
func (f *federation) follow(ctx context.Context, r request, step func(hospital, state string)) (*answer, error) {
	r.Study = studyID
	response, err := f.send(ctx, http.MethodPost, "/v1/query", "application/x-ndjson", r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, err
		}
		switch {
		case e.Progress != nil:
			step(e.Progress.Hospital, e.Progress.State)
		case e.Error != nil:
			return nil, e.Error
		case e.Answer != nil:
			return e.Answer, nil
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, io.ErrUnexpectedEOF
}

// remaining is what the study has left, in epsilon.
func (f *federation) remaining() float64 {
	f.t.Helper()
	var b budgetState
	if err := f.get("/v1/budget?study="+studyID, &b); err != nil {
		f.t.Fatal(err)
	}
	return b.Remaining.Epsilon
}

// command is the researcher's or custodian's program.
func (f *federation) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, binary, args...)
	c.Env = append(os.Environ(), "INTRAMUROS_SERVER=https://"+f.address, "INTRAMUROS_CA="+f.path("pki/ca.pem"),
		"INTRAMUROS_STUDY="+studyID, "INTRAMUROS_TOKEN="+token)
	return c
}
