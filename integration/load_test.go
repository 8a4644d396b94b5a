package integration

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// 200 researchers ask five hospitals at once, for 8 seconds, or a minute with INTRAMUROS_FULL, and one of them floods.
// Nobody gets an error other than the coded limits. The flood gets these, the others get answers, and memory is steady.
// The test logs the 99th percentile of the time for an answer.
func TestLoad(t *testing.T) {
	const researchers = 200
	lasting := 8 * time.Second
	if os.Getenv("INTRAMUROS_FULL") != "" {
		lasting = time.Minute
	}
	f := newFederation(t, wardsOf(t, "east", "mid", "north", "south", "west"))
	b, err := os.ReadFile(f.path("coordinator.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), "limits: {per_minute: 1000000, at_once: 1000,", "limits: {per_minute: 60, at_once: 2,", 1)
	if text == string(b) {
		t.Fatal("no limits to change")
	}
	tokenOf := func(i int) string { return fmt.Sprintf("token-of-researcher-%03d", i) }
	for i := range researchers {
		text += fmt.Sprintf("  r%03d: {token_sha256: %x}\n", i, sha256.Sum256([]byte(tokenOf(i))))
	}
	f.write("coordinator.yaml", text)
	f.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 2 * researchers
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await(f.hospitals...)

	ctx, cancel := context.WithTimeout(t.Context(), lasting)
	defer cancel()
	var mu sync.Mutex
	var took []time.Duration
	codes, answers := map[string]int{}, make([]int, researchers)
	ask := func(i, n int) {
		who := *f
		who.bearer = tokenOf(i)
		sql := fmt.Sprintf("SELECT ward, COUNT(*) FROM reading WHERE x <> %d GROUP BY ward", i*1000+n)
		begun := time.Now()
		_, err := who.query(request{SQL: sql, Epsilon: 0.01})
		mu.Lock()
		defer mu.Unlock()
		var r *refusal
		switch {
		case err == nil:
			took = append(took, time.Since(begun))
			answers[i]++
		case errors.As(err, &r):
			codes[r.Code]++
			for _, h := range r.Hospitals {
				codes[h.Code]++
			}
		default:
			codes[err.Error()]++
		}
	}
	var all sync.WaitGroup
	for i := range researchers {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				ask(i, n)
				if i != 0 {
					select { // somebody reads the answer
					case <-ctx.Done():
					case <-time.After(time.Second):
					}
				}
			}
		})
	}
	for range 20 { // the flood is one researcher with many queries at once
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				ask(0, n)
			}
		})
	}
	time.Sleep(lasting / 2)
	half := f.memory()
	all.Wait()
	whole := f.memory()

	slices.Sort(took)
	if len(took) == 0 {
		t.Fatalf("nobody was answered: %v", codes)
	}
	t.Logf("%d answers in %v, half of them within %v, 99 %% within %v; refusals %v; memory in MiB %v, then %v",
		len(took), lasting, took[len(took)/2], took[len(took)*99/100], codes, half, whole)
	for code := range codes {
		if code != "TOO_MANY_QUERIES" {
			t.Errorf("%s is not one of the coded limits: %v", code, codes)
		}
	}
	if codes["TOO_MANY_QUERIES"] == 0 {
		t.Error("the flood is not limited")
	}
	if waiting := slicesCount(answers, 0); waiting > 0 {
		t.Errorf("%d researchers got no answer", waiting)
	}
	for name, before := range half {
		if after := whole[name]; after > before+before/2+128 {
			t.Errorf("%s grows from %d to %d MiB", name, before, after)
		}
	}
	for _, name := range append([]string{"coordinator"}, f.hospitals...) {
		f.must("ledger", "verify", "--file", f.path(name+".ledger"))
	}
}

// memory is what each daemon uses, in MiB; empty if the system does not tell.
func (f *federation) memory() map[string]int {
	out := map[string]int{}
	all := map[string]*process{"coordinator": f.coordinator}
	for name, p := range f.nodes {
		all[name] = p
	}
	for name, p := range all {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				kib, _ := strconv.Atoi(strings.Fields(rest)[0])
				out[name] = kib >> 10
			}
		}
	}
	return out
}
