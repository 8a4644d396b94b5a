package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestFirstProfileUnderZCDP: under zcdp, and in a sealed study, the first question that reads a table takes its profile
// as under pure accounting: it is told before, charged by itself, and what it tells of rows is as the data is.
func TestFirstProfileUnderZCDP(t *testing.T) {
	for name, protection := range map[string]int{"zcdp": openly, "sealed": covered} {
		t.Run(name, func(t *testing.T) {
			f := startZCDP(t, protection)
			b, err := os.ReadFile(f.path("coordinator.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			if err := f.coordinator.stop(); err != nil {
				t.Fatal(err)
			}
			f.write("coordinator.yaml", string(b)+fmt.Sprintf("first_profiles: {%s: 0.1}\n", studyID))
			f.startCoordinator()
			f.await(f.hospitals...)
			const sql = "SELECT COUNT(*) AS n FROM stay"
			run := func(args ...string) string {
				out, err := f.command(t.Context(), args...).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				return string(out)
			}
			if out := run("explain", sql); !strings.Contains(out, "no profile of stay is there yet") {
				t.Errorf("explain does not tell of it:\n%s", out)
			}
			if out := run("query", "--epsilon", "1000", sql); !strings.Contains(out, "1350") || !strings.Contains(out, "a profile of stay was taken before") {
				t.Errorf("the answer says\n%s", out)
			}
			// Each of 150 patients of three hospitals has three stays.
			if out := run("explain", sql); !strings.Contains(out, "of about 450 patients, half have up to 4 rows") {
				t.Errorf("after it explain says\n%s", out)
			}
		})
	}
}
