package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// panel is what a panel of the dashboard asks Prometheus.
type panel struct {
	Title   string
	Targets []struct{ Expr, LegendFormat string }
}

func dashboard(t *testing.T) []panel {
	t.Helper()
	b, err := os.ReadFile("../docs/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ Panels []panel }
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(d.Panels, func(p panel) bool { return len(p.Targets) == 0 })
}

// TestDashboard checks docs/grafana-dashboard.json against a live federation: each metric that it names is exposed,
// with the labels that it uses. If Prometheus is installed (prometheus in the path, or PROMETHEUS), each expression is
// also evaluated by one that scrapes these daemons, and must give a line.
func TestDashboard(t *testing.T) {
	f := newFederation(t, wards(t))
	scraped := map[string]string{}
	for _, name := range append([]string{"coordinator"}, f.hospitals...) {
		scraped[name] = freeAddress(t)
		file, err := os.OpenFile(f.path(name+".yaml"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(file, "\nmetrics: {listen: "+scraped[name]+"}\n"); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await(f.hospitals...)
	f.expectAnswer()
	// These are counted only after they have happened: an unknown token, and an absent hospital.
	f.bearer = "not the token of anybody"
	if err := f.get("/v1/me", nil); err == nil {
		t.Error("anybody's token is believed")
	}
	f.bearer = ""
	gone := f.hospitals[len(f.hospitals)-1]
	f.killNode(gone)
	f.awaitPresence(false, gone)
	if _, err := f.query(request{SQL: quick, Epsilon: 0.25}); err == nil || !strings.Contains(err.Error(), "HOSPITAL_MISSING") {
		t.Errorf("a query without a hospital: %v", err)
	}

	labels := map[string]map[string]bool{} // by metric
	for name, address := range scraped {
		if name == gone {
			continue
		}
		r, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? `).FindAllStringSubmatch(string(b), -1) {
			if labels[m[1]] == nil {
				labels[m[1]] = map[string]bool{"job": true, "instance": true} // Prometheus adds these
			}
			for _, l := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(m[2], -1) {
				labels[m[1]][l[1]] = true
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
	for _, p := range dashboard(t) {
		for _, target := range p.Targets {
			used := regexp.MustCompile(`\b(?:by|on) \(([a-z, ]+)\)`).FindAllStringSubmatch(target.Expr, -1)
			used = append(used, regexp.MustCompile(`\{\{([a-z]+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1)...)
			used = append(used, regexp.MustCompile(`[{,]([a-z]+)[=!]`).FindAllStringSubmatch(target.Expr, -1)...)
			for _, m := range regexp.MustCompile(`\b(?:intramuros|process|go)_[a-z_]+`).FindAllString(target.Expr, -1) {
				if labels[m] == nil {
					t.Errorf("%s: no daemon exposes %s", p.Title, m)
					continue
				}
				for _, u := range used {
					for l := range strings.SplitSeq(u[1], ", ") {
						if !labels[m][l] {
							t.Errorf("%s: %s has no label %s", p.Title, m, l)
						}
					}
				}
			}
		}
	}
	askPrometheus(t, scraped, dashboard(t))
}

// askPrometheus runs a Prometheus over the daemons and evaluates every expression of the dashboard.
func askPrometheus(t *testing.T, scraped map[string]string, panels []panel) {
	t.Helper()
	binary := os.Getenv("PROMETHEUS")
	if binary == "" {
		var err error
		if binary, err = exec.LookPath("prometheus"); err != nil {
			t.Log("no Prometheus is installed: names and labels are tested, expressions are not")
			return
		}
	}
	var jobs strings.Builder
	jobs.WriteString("global: {scrape_interval: 500ms, scrape_timeout: 400ms}\nscrape_configs:\n")
	fmt.Fprintf(&jobs, "  - {job_name: intramuros, static_configs: [{targets: [%q]}]}\n", scraped["coordinator"])
	for name, address := range scraped {
		if name != "coordinator" {
			fmt.Fprintf(&jobs, "  - {job_name: intramuros-node-%s, static_configs: [{targets: [%q]}], relabel_configs: [{target_label: job, replacement: intramuros-node}]}\n", name, address)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/prometheus.yml", []byte(jobs.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	ctx, cancel := context.WithCancel(t.Context())
	var said strings.Builder
	c := exec.CommandContext(ctx, binary, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+address)
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = c.Wait() }() // the test ends it
	ask := func(expr string) (lines int, err error) {
		r, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(expr))
		if err != nil {
			return 0, err
		}
		defer r.Body.Close()
		var answer struct {
			Status, Error string
			Data          struct{ Result []json.RawMessage }
		}
		if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
			return 0, err
		}
		if answer.Status != "success" {
			return 0, fmt.Errorf("%s", answer.Error)
		}
		return len(answer.Data.Result), nil
	}
	asked := 0
	for _, p := range panels {
		for _, target := range p.Targets {
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
				lines, err := ask(expr)
				if err == nil && lines > 0 {
					asked++
					break
				}
				if time.Now().After(deadline) {
					t.Errorf("%s: %s gives %d lines, %v", p.Title, target.Expr, lines, err)
					break
				}
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
	t.Logf("%d expressions asked of Prometheus", asked)
	if asked == 0 {
		t.Log(said.String())
	}
}
