package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/synth"
)

// nextRelease builds the program as a next release might be. It reads and writes one more version of the wire, in which
// medians, quantiles and histograms are new. Everything else is this program.
func nextRelease(t *testing.T) string {
	t.Helper()
	source, err := filepath.Abs("../internal/fragment/version.go")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`\tVersion = \d+\n`).ReplaceAllString(string(b), fmt.Sprintf("\tVersion = %d\n", fragment.Version+1))
	text = strings.Replace(text, "var later = []novelty{", fmt.Sprintf(`var later = []novelty{
	{%d, "buckets", func(r *Request) bool {
		for _, p := range r.Fragment.Partials {
			if p.Kind == PartialBuckets {
				return true
			}
		}
		return false
	}},
`, fragment.Version+1), 1)
	if !strings.Contains(text, "PartialBuckets") || !strings.Contains(text, "Version = "+strconv.Itoa(fragment.Version+1)) {
		t.Fatal("version.go is not as this test knows it:\n" + text)
	}
	dir := t.TempDir()
	changed, program := filepath.Join(dir, "version.go"), filepath.Join(dir, "intramuros")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"version.go": []byte(text), "overlay.json": overlay} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "../cmd/intramuros")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// newQuestion is a question that only the next release can express.
func newQuestion(n int) request {
	return request{SQL: fmt.Sprintf("SELECT MEDIAN(x) FROM reading WHERE x <> -%d", n), Epsilon: 0.5}
}

// missing returns the codes of the hospitals that are not part of an answer.
func (a *answer) missing() map[string]string {
	codes := map[string]string{}
	for _, m := range a.Hospitals.Missing {
		codes[m.Name] = m.Code
	}
	return codes
}

// TestVersions runs this release and a next one in one federation, in both combinations and through an upgrade under
// load.
func TestVersions(t *testing.T) {
	next := nextRelease(t)
	t.Run("a later coordinator", func(t *testing.T) {
		s := wards(t)
		s.require = "1"
		s.outward = map[string]func(string) (string, string){"west": func(door string) (string, string) { return door, "none" }}
		f := newFederation(t, s)
		f.programs = map[string]string{"coordinator": next, "mid": next}
		f.startCoordinator()
		for _, name := range f.hospitals {
			f.startNode(name)
		}
		f.await(f.hospitals...)
		f.anew(1, 0.5) // nothing new in it: all answer
		a, err := f.query(newQuestion(1))
		if err != nil {
			t.Fatal(err)
		}
		if got := a.missing(); !slices.Equal(a.Hospitals.Answered, []string{"mid"}) || got["east"] != "OLD_VERSION" || got["west"] != "OLD_VERSION" {
			t.Errorf("answered by %v, missing %v", a.Hospitals.Answered, a.Hospitals.Missing)
		}
		for name, want := range map[string]float64{"coordinator": 1, "mid": 1, "east": 0.5, "west": 0.5} {
			if got := f.charged(name); got != want {
				t.Errorf("%s has charged %v, not %v", name, got, want)
			}
		}
		// One of them is upgraded, and keeps its ledger.
		f.upgrade("east", next)
		a, err = f.query(newQuestion(2))
		if err != nil || !slices.Equal(a.Hospitals.Answered, []string{"east", "mid"}) {
			t.Errorf("%+v, %v", a, err)
		}
		// If all must answer, the question is refused, at no cost.
		if err := f.coordinator.stop(); err != nil {
			t.Error(err)
		}
		b, err := os.ReadFile(f.path("coordinator.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		f.write("coordinator.yaml", strings.Replace(string(b), "require: 1", "require: all", 1))
		f.startCoordinator()
		f.await(f.hospitals...)
		_, err = f.query(newQuestion(3))
		if r := refused(t, err, "HOSPITAL_MISSING", "west"); r.Charged || r.Hospitals[0].Code != "OLD_VERSION" {
			t.Errorf("%+v", r)
		}
		if got := f.charged("coordinator"); got != 1.5 {
			t.Errorf("charged %v", got)
		}
	})

	t.Run("a later hospital", func(t *testing.T) {
		f := newFederation(t, wards(t))
		f.programs = map[string]string{"mid": next}
		f.startCoordinator()
		for _, name := range f.hospitals {
			f.startNode(name)
		}
		f.await(f.hospitals...)
		f.anew(1, 0.5)
		f.expectCharged(0.5)
	})

	t.Run("an upgrade under load", func(t *testing.T) {
		s := wards(t)
		s.require = "2"
		f := startFederation(t, s)
		var down atomic.Bool // the coordinator is being replaced
		var answered, refusals atomic.Int64
		done := make(chan struct{})
		var asking sync.WaitGroup
		asking.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				case <-time.After(20 * time.Millisecond):
				}
				away := down.Load()
				_, err := f.query(request{SQL: fmt.Sprintf("SELECT COUNT(*) FROM reading WHERE x <> -%d", i), Epsilon: 0.1})
				switch {
				case err == nil:
					answered.Add(1)
				case away || down.Load(): // nobody can be asked
				case errors.As(err, new(*refusal)):
					refusals.Add(1)
					t.Errorf("query %d: %v", i, err)
				default:
					t.Errorf("query %d: %v", i, err)
				}
			}
		})
		for _, name := range f.hospitals {
			f.upgrade(name, next)
		}
		down.Store(true)
		if err := f.coordinator.stop(); err != nil {
			t.Error(err)
		}
		f.programs["coordinator"] = next
		f.startCoordinator()
		f.await(f.hospitals...)
		down.Store(false)
		time.Sleep(500 * time.Millisecond)
		close(done)
		asking.Wait()
		t.Logf("%d queries were answered, %d refused", answered.Load(), refusals.Load())
		if answered.Load() < 10 {
			t.Error("too few queries were asked")
		}
		a, err := f.query(newQuestion(1))
		if err != nil || len(a.Hospitals.Answered) != 3 {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

// upgrade stops a node in an orderly way, and starts it as another program.
func (f *federation) upgrade(name, program string) {
	f.t.Helper()
	if err := f.nodes[name].stop(); err != nil {
		f.t.Error(err)
	}
	if f.programs == nil {
		f.programs = map[string]string{}
	}
	f.programs[name] = program
	f.restartNode(name)
}

// TestLastRelease asks every question of the cookbook in federations whose coordinator, or whose nodes, are the last
// release's: INTRAMUROS_OLD is its program. A hospital that cannot read a question answers OLD_VERSION and no other
// code, and questions of an older coordinator are answered.
func TestLastRelease(t *testing.T) {
	old := os.Getenv("INTRAMUROS_OLD")
	if old == "" {
		t.Skip("INTRAMUROS_OLD names the last release's program; `make test-versions` builds it from the last tag")
	}
	recipes := readCookbook(t, "../docs/cookbook.md")
	root := t.TempDir()
	// The built-in catalog may differ between releases, and a federation keeps its own during an upgrade.
	shown, err := exec.CommandContext(t.Context(), old, "catalog", "show").Output()
	if err != nil {
		t.Fatal(err)
	}
	s := shape{catalog: filepath.Join(root, "omop.yaml"), folders: map[string]string{}, require: "1"}
	if err := os.WriteFile(s.catalog, shown, 0o600); err != nil {
		t.Fatal(err)
	}
	names := []string{"rennes", "lyon"}
	if err := synth.Generate(t.Context(), synth.Config{Seed: 7, Hospitals: names, Patients: 500, Folder: root}, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		s.folders[name] = filepath.Join(root, name)
	}
	for _, way := range []struct {
		name     string
		programs map[string]string
	}{
		{"older hospitals", map[string]string{"rennes": old, "lyon": old}},
		{"one older hospital", map[string]string{"lyon": old}},
		{"an older coordinator", map[string]string{"coordinator": old}},
	} {
		t.Run(way.name, func(t *testing.T) {
			f := newFederation(t, s)
			f.programs = way.programs
			f.startCoordinator()
			for _, name := range f.hospitals {
				f.startNode(name)
			}
			f.await(f.hospitals...)
			whole := 0
			for _, r := range recipes {
				a, err := f.query(request{SQL: r.sql, Epsilon: 1, Delta: 1e-8})
				var absent []absence
				var no *refusal
				switch {
				case err == nil:
					absent = a.Hospitals.Missing
				case errors.As(err, &no):
					absent = no.Hospitals
					// An older coordinator may not know the page's SQL. Noise may hide a number with which a query compares.
					if len(absent) == 0 && way.programs["coordinator"] == "" && no.Code != "ACCURACY" {
						t.Errorf("%s: %v", r.title, err)
					}
				default:
					t.Fatalf("%s: %v", r.title, err)
				}
				if err == nil && len(absent) == 0 {
					whole++
				}
				for _, a := range absent {
					if a.Code != "OLD_VERSION" {
						t.Errorf("%s: %s is absent with %s: %s", r.title, a.Name, a.Code, a.Why)
					}
				}
			}
			t.Logf("%d of %d questions were answered by both hospitals", whole, len(recipes))
			if whole == 0 {
				t.Error("nothing was answered by both")
			}
		})
	}
}
