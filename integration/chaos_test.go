package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/study"
)

// Node and coordinator are killed at random moments while researchers ask: 60 queries, or 2,000 with INTRAMUROS_FULL.
// No answer is released without a durable charge at the coordinator and at every hospital that it comes from. No limit
// is exceeded, every ledger verifies, and the ledgers agree except for queries that failed.
func TestChaos(t *testing.T) {
	queries, pause := 60, 700 // between two kills, in milliseconds
	if os.Getenv("INTRAMUROS_FULL") != "" {
		queries, pause = 2000, 3000
	}
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	cap := float64(queries) * 2 / 3 // so that it is reached
	s := wards(t)
	s.study = func(proposed, central, local *study.Document) {
		for _, d := range []*study.Document{proposed, central, local} {
			d.Budget, d.MaxEpsilon = dp.Budget{Accounting: dp.Pure, Epsilon: cap, Delta: 0.5}, 1
		}
	}
	f := startFederation(t, s)
	whole := f.charged("coordinator")
	if whole != 0 {
		t.Fatal(whole)
	}

	var next atomic.Int64
	var mu sync.Mutex
	answered, codes := map[string][]string{}, map[string]int{} // hospitals by query; outcomes
	var researchers sync.WaitGroup
	for range 3 {
		researchers.Go(func() {
			for i := next.Add(1); i <= int64(queries); i = next.Add(1) {
				for again := true; again; {
					a, err := f.query(request{SQL: fmt.Sprintf("SELECT ward, COUNT(*) FROM reading WHERE x <> %d GROUP BY ward", i), Epsilon: 1})
					var r *refusal
					mu.Lock()
					switch {
					case err == nil && !a.Stored:
						answered[a.Query] = a.Hospitals.Answered
						codes["answered"]++
						again = false
					case err == nil:
						codes["answered before, and lost on the way"]++
						again = false
					case errors.As(err, &r):
						codes[r.Code]++
						exhausted := slices.ContainsFunc(r.Hospitals, func(a absence) bool { return a.Code == "NODE_BUDGET" })
						again = !r.Charged && r.Code != "BUDGET_EXHAUSTED" && !exhausted
					default:
						codes["no connection"]++
					}
					mu.Unlock()
					if again {
						time.Sleep(200 * time.Millisecond) // until all are back
					}
					time.Sleep(100 * time.Millisecond)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { researchers.Wait(); close(done) }()

	random := rand.New(rand.NewPCG(uint64(seed), 1))
	kills := 0
	for over := false; !over; {
		select {
		case <-done:
			over = true
			continue
		case <-time.After(time.Duration(100+random.IntN(pause)) * time.Millisecond):
		}
		victim := random.IntN(len(f.hospitals) + 1)
		if victim == len(f.hospitals) {
			f.coordinator.kill()
			f.startCoordinator()
			f.await() // until it listens
		} else {
			name := f.hospitals[victim]
			f.killNode(name)
			f.startNode(name)
			if !f.nodes[name].logged("msg=ready", time.Minute) {
				t.Fatalf("%s does not come back:\n%s", name, f.nodes[name].tail(10))
			}
		}
		kills++
	}
	t.Logf("%d kills; outcomes %v", kills, codes)
	if kills < 2 || len(answered) == 0 {
		t.Error("too little happened: the test shows nothing")
	}
	if err := f.coordinator.stop(); err != nil {
		t.Error(err)
	}
	f.coordinator = nil
	for _, name := range f.hospitals {
		f.stopNode(name)
	}

	charges := map[string]map[string]bool{} // queries by ledger
	for _, owner := range append([]string{"coordinator"}, f.hospitals...) {
		if got := f.charged(owner); got > cap+1e-9 { // this also verifies the ledger
			t.Errorf("%s has charged %v of %v", owner, got, cap)
		}
		charges[owner] = map[string]bool{}
		l, err := ledger.OpenReadOnly(t.Context(), f.path(owner+".ledger"))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Entries(t.Context(), 1, func(e ledger.Entry) error {
			if e.Kind == ledger.KindCharge {
				charges[owner][e.Query] = true
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		l.Close()
	}
	for query, hospitals := range answered {
		for _, owner := range append([]string{"coordinator"}, hospitals...) {
			if !charges[owner][query] {
				t.Errorf("query %s was answered, and %s has no charge for it", query, owner)
			}
		}
	}
	for _, name := range f.hospitals {
		out := f.must("ledger", "reconcile", "--node", f.path(name+".ledger"), "--coordinator", f.path("coordinator.ledger"))
		if strings.Contains(out, "DIFFERS") {
			t.Error(out)
		}
		f.must("ledger", "verify", "--file", f.path(name+".ledger"), "--against", f.path("coordinator.ledger"))
	}
}

// Other programs read the formats of an export.
func TestExport(t *testing.T) {
	f := startFederation(t, wards(t))
	f.expectAnswer()
	out := f.must("ledger", "export", "--file", f.path("east.ledger"), "--jsonl")
	kinds := map[string]int{}
	for line := range strings.Lines(out) {
		var e struct {
			Kind string
			Text string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Text == "" {
			t.Fatalf("%v: %s", err, line)
		}
		kinds[e.Kind]++
	}
	for _, kind := range []string{"open", "config", "data", "study", "reserve", "charge", "answer", "checkpoint"} {
		if kinds[kind] == 0 {
			t.Errorf("no entry of kind %s: %v", kind, kinds)
		}
	}
	if csv := f.must("ledger", "export", "--file", f.path("coordinator.ledger"), "--csv"); !strings.HasPrefix(csv, "\ufeffsequence,time,kind,") || !strings.Contains(csv, ",charge,") {
		t.Errorf("%.300s", csv)
	}
	if err := exec.Command(binary, "ledger", "export", "--file", f.path("east.ledger")).Run(); err == nil {
		t.Error("an export of no format")
	}
}
