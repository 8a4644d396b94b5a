package integration

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/synth"
)

// TestProfile takes a profile with the command, at a price at which noise vanishes. The profile agrees with SQL over
// the union, costs once, is shown by explain, and proposes bounds if a question lacks them.
func TestProfile(t *testing.T) {
	all := t.TempDir()
	if err := synth.Measurements(t.Context(), all, 1, 20_000, 400, 50); err != nil {
		t.Fatal(err)
	}
	catalog, err := filepath.Abs("testdata/profile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := shape{catalog: catalog, folders: map[string]string{"east": t.TempDir(), "west": t.TempDir()}}
	o := newOracle(t)
	for _, table := range []string{"person", "measurement"} {
		o.do(fmt.Sprintf("CREATE VIEW %[1]s AS SELECT * FROM '%[2]s/%[1]s.parquet'", table, all))
		for i, name := range []string{"east", "west"} {
			o.do(fmt.Sprintf("COPY (SELECT * FROM %[1]s WHERE person_id %% 2 = %[2]d) TO '%[3]s/%[1]s.parquet'", table, i, s.folders[name]))
		}
	}
	f := startFederation(t, s)
	profile := func(args ...string) string {
		t.Helper()
		out, err := f.command(t.Context(), append([]string{"profile"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	said := profile("--table", "measurement")
	step := func(q float64) int {
		rows := o.number(fmt.Sprintf("SELECT quantile_disc(n, %v) FROM (SELECT count(*) AS n FROM measurement GROUP BY person_id)", q))
		return int(math.Pow(2, math.Ceil(math.Log2(rows))))
	}
	patients := int(o.number("SELECT count(DISTINCT person_id) FROM measurement"))
	want := fmt.Sprintf("of about %d patients, half have up to %d rows, nine in ten up to %d, 99 in 100 up to %d", patients, step(0.5), step(0.9), step(0.99))
	if !strings.Contains(said, want) {
		t.Errorf("it says %s, not %s", said, want)
	}
	if !strings.Contains(said, "value_as_number lies within [") {
		t.Errorf("it tells no bounds: %s", said)
	}
	left := f.remaining()
	if again := profile("--table", "measurement"); again != said || f.remaining() != left {
		t.Errorf("the same again says %s, and leaves %v of %v", again, f.remaining(), left)
	}

	// After a restart it is still known.
	if err := f.coordinator.stop(); err != nil {
		t.Fatal(err)
	}
	f.startCoordinator()
	f.await(f.hospitals...)
	out, err := f.command(t.Context(), "explain", "SELECT COUNT(*) FROM measurement").CombinedOutput()
	if err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: explain does not tell of the profile:\n%s", err, out)
	}
	out, err = f.command(t.Context(), "query", "SELECT AVG(value_as_number) FROM measurement").CombinedOutput()
	_, hint, found := strings.Cut(string(out), "profile of ")
	if err == nil || !found {
		t.Fatalf("the refusal proposes no bounds: %s", out)
	}
	_, clamp, _ := strings.Cut(hint, "CLAMP(")
	clamp, _, _ = strings.Cut(clamp, ")")
	if _, err := f.query(request{SQL: "SELECT AVG(CLAMP(" + clamp + ")) FROM measurement", Epsilon: 1}); err != nil {
		t.Errorf("what the refusal proposes is refused: %v", err)
	}
}
