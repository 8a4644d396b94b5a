package integration

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/identity/identitytest"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/planner"
)

// restored replaces a ledger by an old copy.
func (f *federation) restored(name string, copied []byte) {
	f.t.Helper()
	for _, companion := range []string{"-wal", "-shm"} {
		_ = os.Remove(f.path(name + ".ledger" + companion))
	}
	if err := os.WriteFile(f.path(name+".ledger"), copied, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// stopNode stops a node in an orderly way.
func (f *federation) stopNode(name string) {
	f.t.Helper()
	if err := f.nodes[name].stop(); err != nil {
		f.t.Errorf("%s: %v", name, err)
	}
	delete(f.nodes, name)
}

// Queries of a study do not touch a hospital that has not approved it, or has suspended it. Each custodian decides with
// a command while the node runs.
func TestStudyNotApproved(t *testing.T) {
	s := wards(t)
	s.unapproved = []string{"mid"}
	s.require = "2"
	f := startFederation(t, s)
	ask := func(epsilon float64) *answer {
		t.Helper()
		a, err := f.query(request{SQL: quick, Epsilon: epsilon})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := ask(0.5)
	if !slices.Equal(a.Hospitals.Answered, []string{"east", "west"}) || len(a.Hospitals.Missing) != 1 || !strings.Contains(a.Hospitals.Missing[0].Why, "has not approved") {
		t.Errorf("%+v", a.Hospitals)
	}
	if out := f.must("ledger", "show", "--file", f.path("mid.ledger"), "--format", "json"); strings.Contains(out, `"kind":"charge"`) || strings.Contains(out, `"kind":"reserve"`) {
		t.Errorf("mid was touched:\n%s", out)
	}
	// Its custodian approves less than was proposed.
	out := f.must("study", "approve", studyID, "--file", f.path("mid.ledger"), "--key", f.path("claire.key"), "--max-epsilon", "0.3")
	if !strings.Contains(out, "claire approved version 1") {
		t.Error(out)
	}
	if a := ask(0.2); len(a.Hospitals.Answered) != 3 { // what the command said holds at once
		t.Errorf("after the approval: %+v", a.Hospitals)
	}
	if a := ask(0.7); len(a.Hospitals.Answered) != 2 || a.Hospitals.Missing[0].Code != "NODE_LIMIT" {
		t.Errorf("%+v", a.Hospitals)
	}
	f.must("study", "suspend", studyID, "--file", f.path("east.ledger"), "--key", f.path("claire.key"), "--reason", "a question")
	f.must("study", "end", studyID, "--file", f.path("mid.ledger"), "--key", f.path("claire.key"))
	f.eventually(func() bool {
		_, err := f.query(request{SQL: "SELECT COUNT(*) FROM reading WHERE x > 7", Epsilon: 0.1})
		var r *refusal
		return errors.As(err, &r) && (r.Code == "HOSPITAL_REFUSED" || r.Code == "HOSPITAL_MISSING") && !r.Charged
	})
}

// eventually waits for something that takes a few seconds to be known.
func (f *federation) eventually(what func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !what(); time.Sleep(300 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatal("it does not happen")
		}
	}
}

// An old backup of a node's ledger, and then of the coordinator's, is noticed by the other side. Nothing is answered
// until the loss is acknowledged, and then it counts.
func TestRestoredBackups(t *testing.T) {
	s := wards(t)
	s.study = func(proposed, central, local *study.Document) {
		for _, d := range []*study.Document{proposed, central, local} {
			d.Budget, d.MaxEpsilon = dp.Budget{Accounting: dp.Pure, Epsilon: 4, Delta: 0.5}, 2
		}
	}
	f := startFederation(t, s)
	ask := func(where string) error {
		_, err := f.query(request{SQL: "SELECT COUNT(*) FROM reading WHERE x > " + where, Epsilon: 1})
		return err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(ask("1"))
	f.stopNode("mid")
	old, err := os.ReadFile(f.path("mid.ledger"))
	must(err)
	f.restartNode("mid")
	must(ask("2"))
	f.must("ledger", "reconcile", "--node", f.path("mid.ledger"), "--coordinator", f.path("coordinator.ledger"))
	f.stopNode("mid")
	f.restored("mid", old)
	f.restartNode("mid")
	if got := f.charged("mid"); got != 1 {
		t.Fatalf("the old ledger has charged %v", got)
	}
	err = ask("3")
	if r := (*refusal)(nil); !errors.As(err, &r) || r.Charged || !slices.ContainsFunc(r.Hospitals, func(a absence) bool { return a.Code == "NODE_RESTORED" || a.Code == "LEDGER_DIFFERS" }) {
		t.Fatalf("an old ledger serves: %v", err)
	}
	if err := f.command(t.Context(), "ledger", "verify", "--file", f.path("mid.ledger"), "--against", f.path("coordinator.ledger")).Run(); err == nil {
		t.Error("verify finds nothing in an old ledger")
	}
	if !f.nodes["mid"].logged("a part of the privacy ledger is missing", soon) {
		t.Error("the custodian is not told")
	}
	f.stopNode("mid")
	f.must("ledger", "acknowledge", "--file", f.path("mid.ledger"), "--checkpoint", f.path("mid.ledger.ahead.json"), "--by", "claire", "--reason", "the disk failed")
	if got := f.charged("mid"); got != 2 {
		t.Errorf("after acknowledging, %v is charged, not 2", got)
	}
	f.restartNode("mid")
	f.eventually(func() bool { return ask("4") == nil })
	if got := f.charged("mid"); got != 3 {
		t.Errorf("%v is charged, not 3", got)
	}
	f.must("ledger", "verify", "--file", f.path("mid.ledger"), "--against", f.path("coordinator.ledger"))

	// The coordinator's ledger.
	must(f.coordinator.stop())
	old, err = os.ReadFile(f.path("coordinator.ledger"))
	must(err)
	f.startCoordinator()
	f.await(f.hospitals...)
	f.eventually(func() bool { return ask("5") == nil })
	must(f.coordinator.stop())
	f.restored("coordinator", old)
	f.startCoordinator()
	f.await(f.hospitals...)
	f.eventually(func() bool {
		var r *refusal
		return errors.As(ask("6"), &r) && r.Code == "LEDGER_RESTORED"
	})
	must(f.coordinator.stop())
	f.must("ledger", "acknowledge", "--file", f.path("coordinator.ledger"), "--checkpoint", f.path("coordinator.ledger.ahead.json"), "--by", "olga", "--reason", "the disk failed")
	f.startCoordinator()
	f.await(f.hospitals...)
	f.eventually(func() bool {
		var r *refusal
		return errors.As(ask("6"), &r) && r.Code == "BUDGET_EXHAUSTED" // 4 of 4 are spent, as before
	})
}

// Researchers sign in at an identity provider. Nodes check its signature themselves and can refuse local accounts. So
// whoever controls the coordinator cannot ask in somebody's name.
func TestIdentityProvider(t *testing.T) {
	idp := identitytest.New(t, "")
	key := idp.Key(t, "first", jose.RS256, true)
	sign := func(audience string) string {
		return identitytest.Sign(t, key, map[string]any{"iss": idp.Issuer, "aud": audience, "sub": "u-marie", "preferred_username": "marie",
			"iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()})
	}
	f := newFederation(t, wards(t))
	issuers := "\nissuers: [{issuer: " + idp.Issuer + ", ca: " + idp.CA + ", audience: intramuros, name: preferred_username, suffix: \"@chu\"}]\n"
	for _, name := range append([]string{"coordinator"}, f.hospitals...) {
		b, err := os.ReadFile(f.path(name + ".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		f.write(name+".yaml", strings.Replace(string(b), "local_accounts: true", "local_accounts: false", 1)+issuers)
	}
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await(f.hospitals...)
	ask := func(token, sql string) error {
		t.Helper()
		f.bearer = token
		defer func() { f.bearer = "" }()
		_, err := f.query(request{SQL: sql, Epsilon: 0.5})
		return err
	}
	if err := ask(sign("intramuros"), quick); err != nil {
		t.Fatal(err)
	}
	if show := f.must("ledger", "show", "--file", f.path("east.ledger"), "--kind", "charge"); !strings.Contains(show, "marie@chu") {
		t.Errorf("the ledger does not name her:\n%s", show)
	}
	var r *refusal
	if err := ask(sign("another-service"), quick); !errors.As(err, &r) || r.Code != "UNAUTHORIZED" {
		t.Errorf("a token for somebody else: %v", err)
	}
	key = idp.Key(t, "second", jose.RS256, true)
	f.eventually(func() bool { return ask(sign("intramuros"), "SELECT COUNT(*) FROM reading") == nil })

	// The coordinator's own token, as of a local account or forged with its stolen key.
	if err := ask("", "SELECT COUNT(*) FROM reading WHERE x > 50"); !errors.As(err, &r) || r.Code != "HOSPITAL_REFUSED" || r.Hospitals[0].Code != "NODE_TOKEN" {
		t.Errorf("a local account is believed: %v", err)
	}
	node := f.dial(t, "east")
	forged := f.request(t, "SELECT COUNT(*) FROM reading", 0.5)
	for _, name := range []string{"ada", "marie@chu"} {
		forged.Researcher, forged.Token = name, f.token(t, name)
		if _, err := node.prepare(t.Context(), encode(t, forged)); err == nil || !strings.Contains(err.Error(), "NODE_TOKEN") {
			t.Errorf("%s by the coordinator's word: %v", name, err)
		}
	}
}

// request plans a query over the federation's catalog, as the coordinator would.
func (f *federation) request(t testing.TB, sql string, epsilon float64) *fragment.Request {
	t.Helper()
	p, err := planner.Build(planner.Query{SQL: sql, Ask: planner.Ask{Epsilon: epsilon, Delta: 1e-6}}, planner.Federation{Catalog: f.catalog(), Hospitals: f.hospitals, Accounting: dp.Pure})
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 16)
	rand.Read(id)
	r := &fragment.Request{Query: hex.EncodeToString(id), Study: studyID, Researcher: "ada", Token: f.token(t, "ada"), Fragment: *p.Fragment, Noise: p.Noise}
	if p.Selection != nil {
		r.ThresholdDelta = p.Selection.Delta
	}
	r.Fragment.Version = fragment.Least(r) // as coordinators write it
	return r
}

// What somebody who has taken over a coordinator can still get, and the traces that this leaves.
func TestMaliciousCoordinator(t *testing.T) {
	s := attacked(t)
	s.study = func(proposed, central, local *study.Document) {
		for _, d := range []*study.Document{proposed, central, local} {
			d.Budget, d.MaxEpsilon = dp.Budget{Accounting: dp.Pure, Epsilon: 3, Delta: 1e-3}, 1
			d.Tables = map[string][]string{"person": {study.Any}, "stay": {"ward"}}
			d.Aggregates = []study.Aggregate{study.Count}
		}
	}
	f := startFederation(t, s)
	node := f.dial(t, "east")
	refuses := func(name, code string, r *fragment.Request) {
		t.Helper()
		if _, err := node.prepare(t.Context(), encode(t, r)); err == nil || !strings.Contains(err.Error(), code) {
			t.Errorf("%s: %v, not %s", name, err, code)
		}
	}
	const plain = "SELECT sex, COUNT(*) FROM person GROUP BY sex"

	// Queries about one patient in many disguises, and columns and aggregates that the study does not have.
	for _, sql := range []string{
		"SELECT COUNT(*) FROM person WHERE id = 42", "SELECT COUNT(*) FROM person WHERE id IN (42, 43)", "SELECT COUNT(*) FROM person WHERE id <> 42",
		"SELECT COUNT(*) FROM person WHERE id BETWEEN 42 AND 42", "SELECT COUNT(*) FROM person WHERE id % 1000 = 42", "SELECT id, COUNT(*) FROM person GROUP BY id",
		"SELECT sex, COUNT(*) FROM person p JOIN stay s ON p.id = s.id AND s.id = 42 GROUP BY sex",
		"SELECT COUNT(*) FROM stay WHERE days > 3", "SELECT ward, COUNT(*) FROM stay WHERE stay = 420 GROUP BY ward",
		"SELECT SUM(born) FROM person", "SELECT AVG(weight) FROM person",
	} {
		if p, err := planner.Build(planner.Query{SQL: sql, Ask: planner.Ask{Epsilon: 0.5, Delta: 1e-6}}, planner.Federation{Catalog: f.catalog(), Hospitals: f.hospitals, Accounting: dp.Pure}); err != nil || p == nil {
			continue // the planner already refuses it: the coordinator would have to write the fragment by hand
		}
		refuses(sql, "NODE_SCOPE", f.request(t, sql, 0.5))
	}
	// In the name of somebody else, or of nobody.
	r := f.request(t, plain, 0.5)
	r.Token = f.token(t, "eve")
	refuses("another's token", "NODE_TOKEN", r)
	r.Token = ""
	refuses("no token", "NODE_TOKEN", r)
	// An alteration after preparing: the ticket stands for what was checked, and cannot be altered.
	ticket, err := node.prepare(t.Context(), encode(t, f.request(t, plain, 0.5)))
	if err != nil {
		t.Fatal(err)
	}
	// Another order: executed before it is prepared, or after it was given back.
	if _, err := node.execute(t.Context(), strings.Repeat("A", len(ticket))); err == nil || !strings.Contains(err.Error(), "NODE_TICKET") {
		t.Errorf("executed before it is prepared: %v", err)
	}
	if groups, err := node.execute(t.Context(), ticket); err != nil || groups != 2 {
		t.Fatalf("%d, %v", groups, err)
	}
	// Replayed.
	if _, err := node.execute(t.Context(), ticket); err == nil || !strings.Contains(err.Error(), "NODE_TICKET") {
		t.Errorf("replayed: %v", err)
	}
	// Never released, and asked again in other spellings: each is paid for, until nothing is left.
	asked := 1
	for i := range 1000 {
		sql := plain
		if i%2 == 0 {
			sql = "SELECT sex, COUNT(*) FROM person WHERE born > " + strings.Repeat("1", 1+i%3) + " GROUP BY sex"
		}
		ticket, err := node.prepare(t.Context(), encode(t, f.request(t, sql, 0.5)))
		if err != nil {
			if !strings.Contains(err.Error(), "NODE_BUDGET") {
				t.Fatal(err)
			}
			break
		}
		if _, err := node.execute(t.Context(), ticket); err != nil {
			t.Fatal(err)
		}
		asked++
	}
	if asked != 6 || f.charged("east") != 3 {
		t.Errorf("%d queries of epsilon 0.5 were run for a budget of 3; charged %v", asked, f.charged("east"))
	}
	// All of it is recorded, and the two ledgers do not agree: the coordinator paid for none of it.
	out, err := f.command(t.Context(), "ledger", "reconcile", "--node", f.path("east.ledger"), "--coordinator", f.path("coordinator.ledger")).Output()
	if err == nil || len(regexp.MustCompile(`(?m)^DIFFERS .*the coordinator did not charge it`).FindAllString(string(out), -1)) != asked {
		t.Errorf("%v\n%s", err, out)
	}
	// An honest query finds nothing left at that hospital, and the message says so.
	_, err = f.query(request{SQL: plain, Epsilon: 0.5})
	refused(t, err, "HOSPITAL_REFUSED", "east")
	// A node cannot see whether the coordinator adds the noise that it paid for. A node checks that the named noise is
	// enough for the fragment and charges for it, but sees no release. docs/threat-model.md says so.
	lied := f.request(t, plain, 0.5)
	lied.Noise.Limit = 2 // more noise than it adds or needs
	refuses("noise for more than the fragment needs", "NODE_FRAGMENT", lied)
}

// A coordinator with a revoked certificate is refused, without a restart of the nodes.
func TestRevokedCoordinator(t *testing.T) {
	f := startFederation(t, wards(t))
	if _, err := f.query(request{SQL: quick, Epsilon: 0.5}); err != nil {
		t.Fatal(err)
	}
	f.must("pki", "revoke", "--dir", f.path("pki"), "--certificate", f.path("pki/coordinator-"+coordinatorName+".pem"))
	_, err := f.query(request{SQL: "SELECT COUNT(*) FROM reading", Epsilon: 0.5})
	var r *refusal
	if !errors.As(err, &r) || r.Charged || r.Code != "HOSPITAL_REFUSED" {
		t.Errorf("a revoked coordinator is served: %v", err)
	}
	// With a new certificate it is served again, without any restart.
	f.must("pki", "issue", "--dir", f.path("pki"), "--role", pki.RoleCoordinator, "--name", coordinatorName, "--host", "localhost", "--host", "127.0.0.1")
	f.eventually(func() bool {
		_, err := f.query(request{SQL: "SELECT COUNT(*) FROM reading", Epsilon: 0.5})
		return err == nil
	})
	for _, name := range f.hospitals {
		if got := f.charged(name); math.Abs(got-1) > 1e-9 {
			t.Errorf("%s has charged %v", name, got)
		}
	}
}
