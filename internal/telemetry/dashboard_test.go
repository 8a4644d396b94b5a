package telemetry

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The dashboard shows metrics that are, all of them, and panels that do not overlap. That the
// documented metrics are the daemons' is tested there.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../../docs/observability.md")
	must(t, err)
	known := map[string]bool{"intramuros_build_info": true, "process_resident_memory_bytes": true}
	for _, m := range regexp.MustCompile("(?m)^\\| `(intramuros_[a-z_]+)` ").FindAllStringSubmatch(string(text), -1) {
		known[m[1]] = true
	}
	b, err := os.ReadFile("../../docs/grafana-dashboard.json")
	must(t, err)
	var dashboard struct {
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	must(t, json.Unmarshal(b, &dashboard))
	shown, ids, taken := map[string]bool{}, map[int]bool{}, map[[2]int]string{}
	name := regexp.MustCompile(`\b(intramuros|process|go)_[a-z_]+`)
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("the id %d is used twice", p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s stands over %s, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if (p.Type == "row") != (len(p.Targets) == 0) {
			t.Errorf("%s: a panel without a query", p.Title)
		}
		for _, target := range p.Targets {
			found := name.FindAllString(target.Expr, -1)
			if len(found) == 0 {
				t.Errorf("%s: %s names no metric", p.Title, target.Expr)
			}
			for _, m := range found {
				m = strings.TrimSuffix(m, "_bucket")
				if !known[m] {
					t.Errorf("%s: there is no metric %s", p.Title, m)
				}
				shown[m] = true
			}
			if strings.Count(target.Expr, "(") != strings.Count(target.Expr, ")") {
				t.Errorf("%s: %s", p.Title, target.Expr)
			}
		}
	}
	for m := range known {
		if !shown[m] {
			t.Errorf("no panel shows %s", m)
		}
	}
}
