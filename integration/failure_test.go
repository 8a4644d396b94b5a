package integration

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// soon is what "within seconds" means here, on a busy machine.
const soon = 10 * time.Second

// slow is a query that no hospital finishes. 10,000 patients with 31 beats each make 9.2e9 rows. Each patient has
// slightly fewer than fragment.MaxPatientRows, above which they would be cut. Left joins keep their order, so it takes
// time but no memory.
const slow = `SELECT COUNT(*) FROM beat a LEFT JOIN beat b ON b.patient = a.patient LEFT JOIN beat c ON c.patient = a.patient
	LEFT JOIN beat d ON d.patient = a.patient WHERE COALESCE(a.x + b.x + c.x + d.x, 4) > 3`

const quick = "SELECT ward, COUNT(*) FROM reading GROUP BY ward"

// wards are three hospitals of 50 patients with 300 readings each, and 10,000 more patients for the slow query.
func wards(t testing.TB) shape {
	t.Helper()
	return wardsOf(t, "east", "mid", "west")
}

func wardsOf(t testing.TB, names ...string) shape {
	t.Helper()
	catalog, err := filepath.Abs("testdata/ward.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := shape{catalog: catalog, folders: map[string]string{}}
	o := newOracle(t)
	for i, name := range names {
		s.folders[name] = t.TempDir()
		o.do(fmt.Sprintf(`COPY (SELECT i AS id, %d + i // 300 AS patient, if(i %% 3 = 0, 'north', 'south') AS ward, i %% 101 AS x
			FROM range(15000) t(i)) TO '%s/reading.parquet' (FORMAT parquet)`, 1000*i, s.folders[name]))
		o.do(fmt.Sprintf("COPY (SELECT i AS id, i // 31 AS patient, i %% 101 AS x FROM range(310000) t(i)) TO '%s/beat.parquet' (FORMAT parquet)",
			s.folders[name]))
	}
	return s
}

// during asks the slow query, calls what once every hospital runs it, and returns the outcome and how long that took to
// arrive.
func (f *federation) during(what func()) (time.Duration, error) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	running := map[string]bool{}
	var once sync.Once
	var done time.Time
	var acted sync.WaitGroup
	_, err := f.follow(ctx, request{SQL: slow, Epsilon: 1}, func(hospital, state string) {
		if state == "running" {
			running[hospital] = true
		}
		if len(running) == len(f.hospitals) {
			once.Do(func() {
				acted.Go(func() {
					// The engines must be computing, not only the call in progress.
					time.Sleep(time.Second)
					done = time.Now()
					what()
				})
			})
		}
	})
	acted.Wait()
	if err == nil || done.IsZero() {
		f.t.Fatalf("the slow query ended before anything was done: %v", err)
	}
	return time.Since(done), err
}

// charged verifies a ledger with the custodian's command, and returns the epsilon charged in it.
func (f *federation) charged(name string) float64 {
	f.t.Helper()
	out := f.must("ledger", "verify", "--file", f.path(name+".ledger"))
	m := regexp.MustCompile(`charged +epsilon ([0-9.e+-]+)`).FindStringSubmatch(out)
	if m == nil {
		f.t.Fatalf("ledger verify tells no charge:\n%s", out)
	}
	epsilon, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		f.t.Fatal(err)
	}
	return epsilon
}

// expectCharged looks at every ledger.
func (f *federation) expectCharged(want float64) {
	f.t.Helper()
	for _, name := range append([]string{"coordinator"}, f.hospitals...) {
		if got := f.charged(name); math.Abs(got-want) > 1e-9 {
			f.t.Errorf("the ledger of %s has charged epsilon %v, not %v", name, got, want)
		}
	}
}

// expectStopped waits until nodes have noticed that nobody waits for their answer.
func (f *federation) expectStopped(names ...string) {
	f.t.Helper()
	for _, name := range names {
		if !f.nodes[name].logged("NODE_CANCELED", soon) {
			f.t.Errorf("%s goes on with a query that nobody waits for:\n%s", name, f.nodes[name].tail(5))
		}
	}
}

// expectAnswer asks a question at epsilon 0.5, which all hospitals must answer. Refusals are allowed at first: the
// coordinator's connection to a hospital that was gone may wait before it tries again.
func (f *federation) expectAnswer() {
	f.t.Helper()
	for deadline := time.Now().Add(soon); ; time.Sleep(200 * time.Millisecond) {
		a, err := f.query(request{SQL: quick, Epsilon: 0.5})
		var r *refusal
		if errors.As(err, &r) && r.Code == "HOSPITAL_REFUSED" && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			f.t.Fatal(err)
		}
		if len(a.Hospitals.Answered) != len(f.hospitals) || len(a.Rows) != 2 {
			f.t.Errorf("%+v", a)
		}
		return
	}
}

// restartNode starts a killed node and waits until it is back. The roster alone does not tell, because it may not have
// noticed that the node was gone.
func (f *federation) restartNode(name string) {
	f.t.Helper()
	f.startNode(name)
	if !f.nodes[name].logged("msg=ready", time.Minute) {
		f.t.Fatalf("%s does not come back:\n%s", name, f.nodes[name].tail(10))
	}
	f.await(name)
}

// refused checks that an error is a refusal with that code that names the hospital.
func refused(t testing.TB, err error, code, hospital string) *refusal {
	t.Helper()
	var r *refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Fatalf("%v; a refusal with %s was expected", err, code)
	}
	if !slices.ContainsFunc(r.Hospitals, func(a absence) bool { return a.Name == hospital }) || !strings.Contains(r.Message, hospital) {
		t.Errorf("%v %v does not name %s", r, r.Hospitals, hospital)
	}
	return r
}

func TestNodeKilled(t *testing.T) {
	f := startFederation(t, wards(t))
	whole := f.remaining()
	after, err := f.during(func() { f.killNode("mid") })
	r := refused(t, err, "HOSPITAL_FAILED", "mid")
	if !r.Charged || after > soon {
		t.Errorf("charged %v, after %v: %v", r.Charged, after, r)
	}
	f.expectStopped("east", "west")
	f.expectCharged(1)
	if left := f.remaining(); left != whole-1 {
		t.Errorf("%v is left of %v", left, whole)
	}
	f.restartNode("mid")
	f.expectAnswer()
	f.expectCharged(1.5)
}

func TestCoordinatorKilled(t *testing.T) {
	f := startFederation(t, wards(t))
	whole := f.remaining()
	after, err := f.during(func() { f.coordinator.kill() })
	if after > soon {
		t.Errorf("the client learns it after %v: %v", after, err)
	}
	f.expectStopped(f.hospitals...)
	f.expectCharged(1)
	f.startCoordinator()
	f.await(f.hospitals...)
	if left := f.remaining(); left != whole-1 {
		t.Errorf("%v is left of %v", left, whole)
	}
	f.expectAnswer()
	f.expectCharged(1.5)
}

// TestNodeKilledWhilePreparing stops a node, so that the query waits for it, and then kills it: nobody is charged.
func TestNodeKilledWhilePreparing(t *testing.T) {
	f := startFederation(t, wards(t))
	whole := f.remaining()
	f.nodes["west"].signal(syscall.SIGSTOP)
	failed := make(chan error, 1)
	go func() {
		_, err := f.query(request{SQL: quick, Epsilon: 1})
		failed <- err
	}()
	time.Sleep(2 * time.Second)
	f.killNode("west")
	select {
	case err := <-failed:
		if r := refused(t, err, "HOSPITAL_REFUSED", "west"); r.Charged {
			t.Errorf("charged for nothing: %v", r)
		}
	case <-time.After(soon):
		t.Fatal("the client waits for a node that is dead")
	}
	if left := f.remaining(); left != whole {
		t.Errorf("%v is left of %v, and nothing ran", left, whole)
	}
	f.expectCharged(0)
	// It is missing until it comes back.
	f.awaitPresence(false, "west")
	_, err := f.query(request{SQL: quick})
	refused(t, err, "HOSPITAL_MISSING", "west")
	f.restartNode("west")
	f.expectAnswer()
	f.expectCharged(0.5)
}

// TestSilentAndRevokedHospital has three hospitals with open connections. One has fallen silent, and another's
// certificate was revoked. The third answers as if the others were absent.
func TestSilentAndRevokedHospital(t *testing.T) {
	s := wards(t)
	s.require = "1"
	f := startFederation(t, s)
	a, err := f.query(request{SQL: quick, Epsilon: 0.1})
	if err != nil || len(a.Hospitals.Answered) != 3 {
		t.Fatalf("%+v, %v", a, err)
	}
	f.must("pki", "revoke", "--dir", f.path("pki"), "--certificate", f.path("pki/node-mid.pem"))
	f.nodes["west"].signal(syscall.SIGSTOP)
	defer f.nodes["west"].signal(syscall.SIGCONT)
	for _, sql := range []string{"SELECT COUNT(*) FROM reading", "SELECT COUNT(DISTINCT patient) FROM reading", "SELECT AVG(x) FROM reading"} {
		began := time.Now()
		a, err := f.query(request{SQL: sql, Epsilon: 0.1})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: took %v", sql, took)
		}
		if got := a.Hospitals.Answered; len(got) != 1 || got[0] != "east" {
			t.Errorf("answered by %v", got)
		}
		why := map[string]string{}
		for _, m := range a.Hospitals.Missing {
			why[m.Name] = m.Code
		}
		if why["mid"] != "CERTIFICATE" || why["west"] != "UNREACHABLE" && why["west"] != "NOT_JOINED" {
			t.Errorf("missing are %v", why)
		}
	}
}

// TestOtherCatalog has a node with another catalog. It is not asked, and the reason is given.
func TestOtherCatalog(t *testing.T) {
	s := wards(t)
	b, err := os.ReadFile(s.catalog)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.yaml")
	wider := strings.Replace(string(b), "bounds: [0, 100]", "bounds: [0, 200]", 1)
	if err := os.WriteFile(other, []byte(wider), 0o600); err != nil {
		t.Fatal(err)
	}
	s.other = map[string]string{"mid": other}
	s.require = "2"
	f := newFederation(t, s)
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await("east", "west")
	if !f.nodes["mid"].logged("msg=ready", time.Minute) {
		t.Fatal(f.nodes["mid"].tail(10))
	}
	deadline := time.Now().Add(time.Minute)
	for { // until the coordinator knows
		a, err := f.query(request{SQL: quick, Epsilon: 0.5})
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Hospitals.Missing) != 1 || a.Hospitals.Missing[0].Name != "mid" || len(a.Hospitals.Answered) != 2 || len(a.Warnings) == 0 {
			t.Fatalf("the answer does not disclose that mid is missing: %+v", a)
		}
		if a.Hospitals.Missing[0].Code == "CATALOG_MISMATCH" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", a.Hospitals.Missing)
		}
		time.Sleep(200 * time.Millisecond)
	}

	// A federation that needs all hospitals refuses.
	if err := f.coordinator.stop(); err != nil {
		t.Error(err)
	}
	b, err = os.ReadFile(f.path("coordinator.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	f.write("coordinator.yaml", strings.Replace(string(b), "require: 2", "require: all", 1))
	f.startCoordinator()
	f.await("east", "west")
	for {
		_, err := f.query(request{SQL: quick, Epsilon: 0.25})
		r := refused(t, err, "HOSPITAL_MISSING", "mid")
		if r.Hospitals[0].Code == "CATALOG_MISMATCH" && !r.Charged {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", r)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// TestInterrupt ends the researcher's command with Ctrl-C, and the hospitals stop.
func TestInterrupt(t *testing.T) {
	f := startFederation(t, wards(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := f.command(ctx, "query", "--epsilon", "1", slow)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for _, name := range f.hospitals {
		if !f.nodes[name].logged("msg=prepared", soon) {
			t.Errorf("%s is not asked:\n%s", name, f.nodes[name].tail(5))
		}
	}
	time.Sleep(2 * time.Second) // all are computing
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := c.Wait(); err == nil || time.Since(began) > soon || !strings.Contains(out.String(), "canceled") {
		t.Errorf("%v after %v\n%s", err, time.Since(began), out.String())
	}
	f.expectStopped(f.hospitals...)
	f.expectAnswer()
	f.expectCharged(1.5)
}
