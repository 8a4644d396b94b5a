package telemetry

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The dashboard shows existing metrics, and all of them, and its panels do not overlap. The daemons' tests check that
// the documented metrics are theirs.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../../docs/observability.md")
	must(t, err)
	known := map[string]bool{"intramuros_build_info": true, "process_resident_memory_bytes": true}
	for _, m := range regexp.MustCompile("(?m)^\\| `(intramuros_[a-z_]+)` ").FindAllStringSubmatch(string(text), -1) {
		known[m[1]] = true
	}
	b, err := os.ReadFile("../../docs/grafana-dashboard.json")
	must(t, err)
	type source struct{ Type, UID string }
	var dashboard struct {
		SchemaVersion int
		UID, Title    string
		Templating    struct {
			List []struct{ Name, Type, Query string }
		}
		Panels []struct {
			ID         int
			Type       string
			Title      string
			Datasource source
			GridPos    struct{ X, Y, W, H int }
			Targets    []struct {
				Expr, RefID string
				Datasource  source
			}
		}
	}
	must(t, json.Unmarshal(b, &dashboard))
	// 39 is the version of Grafana 10.4; later releases migrate it when they load it.
	if dashboard.SchemaVersion != 39 || dashboard.UID == "" || len(dashboard.UID) > 40 || dashboard.Title == "" {
		t.Errorf("schema %d, uid %q, title %q", dashboard.SchemaVersion, dashboard.UID, dashboard.Title)
	}
	chosen := source{"prometheus", "${datasource}"}
	if v := dashboard.Templating.List; len(v) != 1 || v[0].Name != "datasource" || v[0].Type != "datasource" || v[0].Query != chosen.Type {
		t.Errorf("the reader does not choose the data source: %v", v)
	}
	// Every Grafana has these panels.
	core := []string{"row", "stat", "timeseries", "bargauge", "table", "state-timeline"}
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
		if !slices.Contains(core, p.Type) || p.ID < 1 || p.GridPos.W < 1 || p.GridPos.H < 1 || p.Type != "row" && p.Datasource != chosen {
			t.Errorf("%s: type %s, id %d, at %v, from %v", p.Title, p.Type, p.ID, p.GridPos, p.Datasource)
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] || target.RefID == "" || target.Datasource != chosen {
				t.Errorf("%s: query %q from %v", p.Title, target.RefID, target.Datasource)
			}
			refs[target.RefID] = true
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
