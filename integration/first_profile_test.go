package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/synth"
)

// TestFirstProfile checks a study with a share for first profiles. explain and the NOTICE announce the profile and its
// price before the first question is paid for. The profile is taken, survives a restart, and is not paid for again.
func TestFirstProfile(t *testing.T) {
	folder := t.TempDir()
	if err := synth.Measurements(t.Context(), folder, 1, 5_000, 200, 50); err != nil {
		t.Fatal(err)
	}
	catalog, err := filepath.Abs("testdata/profile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f := newFederation(t, shape{catalog: catalog, folders: map[string]string{"east": folder}})
	b, err := os.ReadFile(f.path("coordinator.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	door := freeAddress(t)
	f.write("coordinator.yaml", string(b)+fmt.Sprintf("postgres: {listen: %q}\nfirst_profiles: {%s: 0.1}\n", door, studyID))
	f.startCoordinator()
	f.startNode("east")
	f.await("east")

	const sql = "SELECT COUNT(*) FROM measurement"
	const foretold = "no profile of measurement is there yet: one is taken before, once for everyone in the study. It costs epsilon 9e+08, 10 % of the study's budget"
	const taken = "a profile of measurement was taken before, once for everyone in the study, and charged by itself: epsilon 9e+08"
	explain := func() string {
		out, err := f.command(t.Context(), "explain", sql).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if out := explain(); !strings.Contains(out, foretold) {
		t.Errorf("explain does not tell of it:\n%s", out)
	}
	c, said := f.connectPostgres(t, door)
	if _, err := c.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	before, after := strings.Index(*said, foretold), strings.Index(*said, taken)
	if before < 0 || after < before {
		t.Errorf("the PostgreSQL door says:\n%s", *said)
	}

	if err := f.coordinator.stop(); err != nil {
		t.Fatal(err)
	}
	f.startCoordinator()
	f.await("east")
	if out := explain(); strings.Contains(out, "no profile") || !strings.Contains(out, "measurement, from the profile of ") {
		t.Errorf("after a restart explain says:\n%s", out)
	}
	left := f.remaining()
	if out, err := f.command(t.Context(), "query", sql).CombinedOutput(); err != nil || f.remaining() != left {
		t.Errorf("the same again leaves %v of %v: %v\n%s", f.remaining(), left, err, out)
	}
}
