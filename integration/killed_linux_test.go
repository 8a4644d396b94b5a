package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// workers returns the IDs of a daemon's worker processes, which run its embedded database.
func (p *process) workers(t testing.TB) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // the process has ended
		}
		// pid (name) state parent …
		_, rest, _ := strings.Cut(string(b), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[1] != strconv.Itoa(p.command.Process.Pid) || fields[0] == "Z" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || len(line) == 0 {
			continue // the process has ended meanwhile
		}
		if words := bytes.Split(line, []byte{0}); len(words) < 2 || string(words[1]) != "__worker" {
			t.Errorf("a daemon has a child that is no worker: %q", line)
		}
		found = append(found, pid)
	}
	return found
}

// peak returns the most memory that a process has held, in MiB.
func peak(t testing.TB, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}

// quickly asks a new question and requires an answer from all hospitals within 2 s.
func (f *federation) quickly(n int) {
	f.t.Helper()
	begun := time.Now()
	a, err := f.query(request{SQL: fmt.Sprintf("SELECT ward, COUNT(*) FROM reading WHERE x <> %d GROUP BY ward", n), Epsilon: 1})
	took := time.Since(begun)
	if err != nil || len(a.Hospitals.Answered) != len(f.hospitals) || took > 2*time.Second {
		f.t.Errorf("a question beside it, after %v: %+v, %v", took, a, err)
	}
}

// TestStatementsThatNeverEnd stops the processes in which all hospitals' databases compute a statement. Such a process
// ignores cancellation, as DuckDB does while it prepares a statement. Meanwhile other questions are answered within 2
// s. The statement ends with a code soon after its time limit, the processes are killed and replaced, and all hospitals
// answer again within 5 s.
func TestStatementsThatNeverEnd(t *testing.T) {
	const timeout = 6 * time.Second
	f := newFederation(t, wards(t))
	metrics := freeAddress(t)
	for _, name := range f.hospitals {
		f.write(name+".yaml", regexp.MustCompile(`query_timeout: [^,}]+`).ReplaceAllString(readAll(t, f.path(name+".yaml")), "query_timeout: "+timeout.String()))
	}
	f.write("east.yaml", readAll(t, f.path("east.yaml"))+"metrics: {listen: '"+metrics+"'}\n")
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await(f.hospitals...)
	f.quickly(1000)

	var stopped []int
	frozen := make(chan struct{}) // closed when the processes are stopped
	var ended atomic.Bool
	var took time.Duration
	var outcome error
	begun := time.Now()
	var stuck sync.WaitGroup
	stuck.Go(func() {
		defer ended.Store(true)
		took, outcome = f.during(func() {
			for _, name := range f.hospitals {
				for _, pid := range f.nodes[name].workers(t) { // the one worker, which is busy: no two queries ran at once before
					if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
						t.Error(err)
					}
					stopped = append(stopped, pid)
				}
			}
			close(frozen)
		})
	})
	select {
	case <-frozen:
	case <-time.After(time.Minute):
		t.Fatal("the statement was never under way")
	}
	asked := 0
	for ; !ended.Load(); time.Sleep(100 * time.Millisecond) {
		f.quickly(1001 + asked)
		asked++
	}
	stuck.Wait()
	whole := time.Since(begun)
	var r *refusal
	if !errors.As(outcome, &r) || !slices.ContainsFunc(r.Hospitals, func(a absence) bool { return a.Code == "NODE_TIMEOUT" }) {
		t.Errorf("a statement that never ends: %v", outcome)
	}
	// A second of grace, and the next tick of the answer grid, which is at most 20 % later.
	if limit := time.Duration(float64(timeout+2*time.Second)*1.2) + time.Second; whole > limit || asked < 3 {
		t.Errorf("it ended after %v (%v after its processes were stopped), not %v; %d questions were asked meanwhile", whole, took, limit, asked)
	}
	healthy := time.Now()
	f.quickly(2000)
	if took := time.Since(healthy); took > 5*time.Second {
		t.Errorf("the hospitals are well again after %v", took)
	}
	r2, err := http.Get("http://" + metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r2.Body)
	r2.Body.Close()
	if err != nil || !bytes.Contains(b, []byte("\nintramuros_worker_restarts_total{reason=\"deadline\"} 1\n")) {
		t.Errorf("the metrics do not count the killed worker: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
	if len(stopped) != len(f.hospitals) {
		t.Errorf("%d processes were stopped", len(stopped))
	}
	for _, name := range f.hospitals {
		if !f.nodes[name].logged("reason=deadline", soon) {
			t.Errorf("%s does not tell that it killed a worker:\n%s", name, f.nodes[name].tail(5))
		}
		for _, pid := range f.nodes[name].workers(t) {
			if slices.Contains(stopped, pid) {
				t.Errorf("%s still has its stopped worker", name)
			}
		}
	}
}

// TestWorkerKilled kills a worker in the middle of a query. The query is computed again and costs only time. If the
// worker is killed once more, the query fails with a code and stays charged, and the next query is answered.
func TestWorkerKilled(t *testing.T) {
	f := startFederation(t, wardsOf(t, "east"))
	east := f.nodes["east"]
	var before []int
	kill := func() {
		before = east.workers(t)
		for _, pid := range before {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := f.during(func() {
		kill()
		time.Sleep(time.Second)
		if now := east.workers(t); len(now) == 0 || slices.Contains(now, before[0]) {
			t.Errorf("after %v was killed there is %v", before, now)
		}
		if b := readAll(t, east.log); strings.Contains(b, "NODE_ENGINE") || !strings.Contains(b, "reason=lost") {
			t.Errorf("the query was not computed again:\n%s", east.tail(5))
		}
		kill()
	})
	var r *refusal
	if !errors.As(err, &r) || len(r.Hospitals) != 1 || r.Hospitals[0].Code != "NODE_ENGINE" || !r.Charged {
		t.Errorf("a query whose worker is killed twice: %v", err)
	}
	f.quickly(1)
	if got := f.charged("east"); got != 2 {
		t.Errorf("epsilon %v is charged, not 2", got)
	}
	// A killed node leaves no worker.
	left := east.workers(t)
	if err := east.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-east.ended
	delete(f.nodes, "east")
	for _, pid := range left {
		for end := time.Now().Add(soon); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
			if b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); strings.Contains(string(b), ") Z ") {
				break // the process is a zombie, and init will reap it
			}
			if time.Now().After(end) {
				t.Fatalf("the worker %d outlives its node", pid)
			}
		}
	}
}

// TestCatalogBomb sends statements to the PostgreSQL door that would use all memory. Each ends with a code within 5 s,
// also when several run at once. The coordinator's own memory hardly grows, and other statements are answered within 2
// s.
func TestCatalogBomb(t *testing.T) {
	f := newFederation(t, wardsOf(t, "east"))
	door := freeAddress(t)
	f.write("coordinator.yaml", readAll(t, f.path("coordinator.yaml"))+"postgres: {listen: '"+door+"'}\n")
	f.startCoordinator()
	f.startNode("east")
	f.await("east")
	connect := func() *pgx.Conn {
		c, _ := f.connectPostgres(t, door)
		return c
	}
	ordinary := func(c *pgx.Conn) time.Duration {
		begun := time.Now()
		var n int64
		if err := c.QueryRow(t.Context(), "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'reading'").Scan(&n); err != nil || n != 1 {
			t.Errorf("%d tables, %v", n, err)
		}
		return time.Since(begun)
	}
	other := connect()
	ordinary(other)
	coordinator := f.coordinator.command.Process.Pid
	before := peak(t, coordinator)
	for _, at := range []int{1, 3} {
		var bombs sync.WaitGroup
		var left atomic.Int64
		left.Store(int64(at))
		for range at {
			c := connect()
			bombs.Go(func() {
				defer left.Add(-1)
				begun := time.Now()
				_, err := c.Exec(t.Context(), "SELECT generate_series(1, 1000000000)")
				took := time.Since(begun)
				var refused *pgconn.PgError
				if !errors.As(err, &refused) || !strings.Contains(refused.Message, "NOT_SUPPORTED") || !strings.Contains(refused.Message, "memory") || took > 5*time.Second {
					t.Errorf("after %v: %v", took, err)
				}
				// The connection stays usable.
				ordinary(c)
			})
		}
		for left.Load() > 0 {
			if took := ordinary(other); took > 2*time.Second {
				t.Errorf("a question beside it took %v", took)
			}
		}
		bombs.Wait()
	}
	after := peak(t, coordinator)
	t.Logf("the coordinator held %d MiB at most before, and %d MiB after", before, after)
	if after > before+100 {
		t.Errorf("the coordinator's memory went from %d MiB to %d MiB", before, after)
	}
	if n := len(f.coordinator.workers(t)); n < 1 || n > 4 {
		t.Errorf("the coordinator has %d workers", n)
	}
}
