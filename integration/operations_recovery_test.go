package integration

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
)

// answers waits until all hospitals answer the n-th question, at epsilon 1. Earlier refusals cost nothing.
func (f *federation) answers(n int) {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		a, err := f.query(request{SQL: fmt.Sprintf("SELECT COUNT(DISTINCT patient) FROM reading WHERE x > -%d", n), Epsilon: 1})
		if err == nil && len(a.Hospitals.Answered) == len(f.hospitals) {
			return
		}
		var r *refusal
		if time.Now().After(deadline) || err == nil || errors.As(err, &r) && r.Charged {
			f.t.Fatalf("%+v, %v", a, err)
		}
	}
}

// A node's machine is lost. Its ledger and keys come back from last night's backup, and what the backup lacks is
// acknowledged.
func TestNodeRestoredFromBackup(t *testing.T) {
	f := startFederation(t, wards(t))
	f.anew(1, 1)
	backup := f.path("backup")
	out := f.must("ledger", "backup", "--file", f.path("mid.ledger"), "--to", backup) // while the node runs
	if !strings.Contains(out, "entries added") {
		t.Error(out)
	}
	f.anew(2, 1)
	f.must("ledger", "backup", "--file", f.path("mid.ledger"), "--to", backup)
	f.anew(3, 1) // after the backup
	f.killNode("mid")
	for _, name := range []string{"", "-wal", "-shm", ".key", ".pub", ".lock"} {
		if err := os.Remove(f.path("mid.ledger" + name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	f.must("ledger", "restore", "--from", backup, "--file", f.path("mid.ledger"))
	if got := f.charged("mid"); got != 2 {
		t.Errorf("charged %v", got)
	}
	// The coordinator, which exchanges states with hospitals every 10 s, knows that an entry is missing. Nothing is
	// answered until somebody acknowledges it.
	f.restartNode("mid")
	if !f.nodes["mid"].logged("a part of the privacy ledger is missing", 3*soon) {
		t.Fatal(f.nodes["mid"].tail(5))
	}
	if err := f.nodes["mid"].stop(); err != nil {
		t.Error(err)
	}
	f.must("ledger", "acknowledge", "--file", f.path("mid.ledger"), "--checkpoint", f.path("mid.ledger.ahead.json"), "--by", "claire", "--reason", "the disk failed")
	f.restartNode("mid")
	f.answers(4)
	// What was lost is not given back.
	out = f.must("ledger", "show", "--file", f.path("mid.ledger"), "--kind", "recover")
	if !strings.Contains(out, "claire acknowledged") || !strings.Contains(out, "ε = 1") {
		t.Error(out)
	}
	// Backups continue from here, into a new folder or the same.
	f.must("ledger", "backup", "--file", f.path("mid.ledger"), "--to", backup)
	if info, err := os.Stat(filepath.Join(backup, "mid.ledger.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}

// certify issues a daemon's certificate again, for a limited time.
func (f *federation) certify(role, name string, validity time.Duration) {
	f.t.Helper()
	ca, err := pki.LoadAuthority(f.path("pki"))
	if err != nil {
		f.t.Fatal(err)
	}
	var hosts []string
	if role == pki.RoleCoordinator {
		hosts = []string{"localhost", "127.0.0.1"}
	}
	if err := ca.Issue(f.path("pki"), pki.Identity{Federation: federationName, Role: role, Name: name}, hosts, validity); err != nil {
		f.t.Fatal(err)
	}
}

// handshake makes a new connection to the coordinator, as a browser does.
func (f *federation) handshake() error {
	f.t.Helper()
	transport, ok := f.client.Transport.(*http.Transport)
	if !ok {
		f.t.Fatal("another transport")
	}
	c, err := tls.Dial("tcp", f.address, transport.TLSClientConfig.Clone())
	if err == nil {
		err = c.Close()
	}
	return err
}

// Warnings come before certificates expire. When one has expired, the daemon stops answering at once and says why. A
// new one is used without a restart.
func TestCertificatesEnd(t *testing.T) {
	f := newFederation(t, wards(t))
	f.certify(pki.RoleNode, "mid", 12*24*time.Hour)
	f.certify(pki.RoleCoordinator, coordinatorName, 20*24*time.Hour)
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await(f.hospitals...)
	for _, p := range []*process{f.nodes["mid"], f.coordinator} {
		if !p.logged("a certificate ends soon", soon) {
			t.Error(p.tail(3))
		}
	}
	if f.nodes["east"].logged("a certificate ends soon", 0) {
		t.Error("of a certificate that is good for months")
	}
	var state struct {
		Certificates []struct {
			What string
			Ends time.Time
		}
	}
	if err := f.get("/v1/hospitals", &state); err != nil || len(state.Certificates) != 2 {
		t.Errorf("%+v, %v", state, err)
	}
	f.answers(1)

	// A hospital's certificate expires while everything is connected.
	if err := f.nodes["mid"].stop(); err != nil {
		t.Error(err)
	}
	f.certify(pki.RoleNode, "mid", 10*time.Second)
	ended := time.Now().Add(10 * time.Second)
	f.restartNode("mid")
	f.answers(2)
	time.Sleep(time.Until(ended) + time.Second)
	_, err := f.query(request{SQL: "SELECT COUNT(*) FROM reading WHERE x > -3", Epsilon: 1})
	var r *refusal
	if !errors.As(err, &r) || r.Charged || len(r.Hospitals) != 1 || r.Hospitals[0].Code != "CERTIFICATE" || !strings.Contains(r.Message, "mid shows a certificate that has expired") {
		t.Errorf("%+v, %v", r, err)
	}
	if !f.nodes["mid"].logged("a certificate has expired", 2*soon) {
		t.Error(f.nodes["mid"].tail(3))
	}
	f.certify(pki.RoleNode, "mid", 90*24*time.Hour)
	f.answers(3)

	// The coordinator's certificate.
	f.certify(pki.RoleCoordinator, coordinatorName, 6*time.Second)
	ended = time.Now().Add(6 * time.Second)
	if err := f.handshake(); err != nil {
		t.Error(err)
	}
	f.answers(4)
	time.Sleep(time.Until(ended) + time.Second)
	_, err = f.query(request{SQL: "SELECT COUNT(*) FROM reading WHERE x > -5", Epsilon: 1})
	if !errors.As(err, &r) || r.Charged || r.Code != "CERTIFICATE_EXPIRED" || !strings.Contains(r.Message, "ended on") {
		t.Errorf("%+v, %v", r, err)
	}
	if err := f.handshake(); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("a new connection: %v", err)
	}
	if !f.coordinator.logged("a certificate has expired", 2*soon) {
		t.Error(f.coordinator.tail(3))
	}
	f.certify(pki.RoleCoordinator, coordinatorName, 90*24*time.Hour)
	f.answers(5)
	f.expectCharged(5)
}

// The disk of the coordinator's machine is lost while researchers ask. Its ledger comes back from a standby that copies
// it every 200 ms, and what the standby lacks comes from the hospitals. The coordinator answers again within a minute.
// No charge is lost: everything that a hospital has charged or a researcher was answered is in the new ledger.
func TestCoordinatorsDiskIsLost(t *testing.T) {
	s := wards(t)
	s.outward = map[string]func(string) (string, string){"west": func(door string) (string, string) { return door, "none" }}
	f := startFederation(t, s)
	standby := f.path("standby")
	copying, err := startProcess(f.path("standby.log"), "ledger", "backup", "--file", f.path("coordinator.ledger"), "--to", standby, "--every", "200ms")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if copying.running() {
			copying.kill()
		}
	})

	var mu sync.Mutex
	answered := map[string]bool{}
	done := make(chan struct{})
	var asking sync.WaitGroup
	for who := range 3 {
		asking.Go(func() {
			for i := who; ; i += 3 {
				select {
				case <-done:
					return
				default:
				}
				a, err := f.query(request{SQL: fmt.Sprintf("SELECT COUNT(*) FROM reading WHERE x > -%d", i), Epsilon: 0.5})
				if err != nil {
					return // the coordinator is gone
				}
				mu.Lock()
				answered[a.Query] = true
				mu.Unlock()
			}
		})
	}
	time.Sleep(3 * time.Second)
	copying.signal(syscall.SIGTERM) // so the copy lacks the last half second
	<-copying.ended
	time.Sleep(500 * time.Millisecond)
	f.coordinator.kill()
	lost := time.Now()
	for _, suffix := range []string{"", "-wal", "-shm", ".key", ".pub", ".lock"} {
		if err := os.Remove(f.path("coordinator.ledger" + suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	close(done)
	asking.Wait()

	f.must("ledger", "restore", "--from", standby, "--file", f.path("coordinator.ledger"))
	had := f.charged("coordinator")
	out := f.must("ledger", "rebuild", "--from-nodes", "--config", f.path("coordinator.yaml"), "--by", "olga", "--reason", "the disk failed")
	f.startCoordinator()
	f.await(f.hospitals...)
	f.answers(1_000_000)
	took := time.Since(lost)
	t.Logf("%d queries were answered, the standby had charged %v; answering again after %v\n%s", len(answered), had, took.Round(time.Millisecond), out)
	if took > time.Minute {
		t.Errorf("it took %v", took)
	}
	if strings.Contains(out, "added 0 charges") {
		t.Error("the standby lacked nothing: the test shows nothing")
	}
	if len(answered) < 5 {
		t.Error("too little happened: the test shows nothing")
	}

	total := f.charged("coordinator")
	l, err := ledger.OpenReadOnly(t.Context(), f.path("coordinator.ledger"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	paid := map[string]bool{}
	if err := l.Entries(t.Context(), 1, func(e ledger.Entry) error {
		if e.Kind == ledger.KindCharge {
			paid[e.Query] = true
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for query := range answered {
		if !paid[query] {
			t.Errorf("query %s was answered, and is not charged any more", query)
		}
	}
	for _, name := range f.hospitals {
		if here := f.charged(name); here > total {
			t.Errorf("%s has charged %v, and the coordinator %v", name, here, total)
		}
		if out := f.must("ledger", "reconcile", "--node", f.path(name+".ledger"), "--coordinator", f.path("coordinator.ledger")); strings.Contains(out, "DIFFERS") {
			t.Error(out)
		}
	}

	// Without any backup except the key, everything comes from the hospitals, and the study is proposed again.
	if err := f.coordinator.stop(); err != nil {
		t.Error(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(f.path("coordinator.ledger" + suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	f.must("ledger", "rebuild", "--from-nodes", "--config", f.path("coordinator.yaml"), "--by", "olga", "--reason", "no backup either")
	if got := f.charged("coordinator"); got < total {
		t.Errorf("charged %v, and %v before", got, total)
	}
	f.startCoordinator()
	f.await(f.hospitals...)
}

// A node moves to another machine with a backup of its ledger, and nobody notices.
func TestNodeMoves(t *testing.T) {
	f := startFederation(t, wards(t))
	f.anew(1, 1)
	if err := f.nodes["mid"].stop(); err != nil {
		t.Error(err)
	}
	f.must("ledger", "backup", "--file", f.path("mid.ledger"), "--to", f.path("backup"))
	f.must("ledger", "restore", "--from", f.path("backup"), "--file", f.path("elsewhere/mid.ledger"))
	b, err := os.ReadFile(f.path("mid.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	f.write("mid.yaml", strings.Replace(string(b), "ledger: mid.ledger", "ledger: elsewhere/mid.ledger", 1))
	f.restartNode("mid")
	f.answers(2)
	if f.nodes["mid"].logged("missing", 0) {
		t.Error(f.nodes["mid"].tail(5))
	}
	if got := f.charged("elsewhere/mid"); got != 2 {
		t.Errorf("charged %v", got)
	}
}

// Every row of the table in docs/operations.md says what to type and names a test, which TestDocumentsNameTests finds.
func TestOperationsPage(t *testing.T) {
	b, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(b), "| what broke | what to type | test |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	for _, row := range rows {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if len(cells) != 3 || cells[1] == "" || !strings.Contains(cells[2], "Test") {
			t.Errorf("a row without a command or a test: %s", row)
		}
	}
	if len(rows) < 10 {
		t.Errorf("%d rows", len(rows))
	}
}

// A custodian approves less than was proposed. Researchers see that before they ask, and the hint of a refusal works.
func TestNarrowestHospital(t *testing.T) {
	s := wards(t)
	s.study = func(_, _, local *study.Document) { local.Budget.Epsilon = 5 }
	f := startFederation(t, s)
	var b struct {
		At        string
		Budget    struct{ Epsilon float64 }
		Remaining struct{ Epsilon float64 }
	}
	for deadline := time.Now().Add(2 * soon); ; time.Sleep(100 * time.Millisecond) {
		if err := f.get("/v1/budget?study="+studyID, &b); err != nil {
			t.Fatal(err)
		}
		if b.At != "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", b)
		}
	}
	if b.Budget.Epsilon != 5 || b.Remaining.Epsilon != 5 {
		t.Errorf("%+v", b)
	}
	f.answers(1)
	if err := f.get("/v1/budget?study="+studyID, &b); err != nil || b.Remaining.Epsilon != 4 {
		t.Errorf("%+v, %v", b, err)
	}
	a := &answer{}
	body := map[string]any{"sql": "SELECT COUNT(*) FROM reading WHERE x > -2", "study": studyID, "epsilon": 1, "hospitals": "all but mid"}
	if err := f.fetch(t.Context(), http.MethodPost, "/v1/query", body, a); err != nil || !slices.Equal(a.Hospitals.Answered, []string{"east", "west"}) || len(a.Hospitals.Missing) > 0 {
		t.Errorf("%+v, %v", a, err)
	}
	if got := f.charged("mid"); got != 1 {
		t.Errorf("mid, which was left out, has charged %v", got)
	}
}
