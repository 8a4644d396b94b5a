// Package telemetrytest reads a daemon's metrics as Prometheus does, and its documentation as operators do.
package telemetrytest

import (
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// Scrape returns the text that Prometheus reads from a collector, without the comments. The test fails if Prometheus'
// own check of names and help finds a fault.
func Scrape(t testing.TB, c prometheus.Collector) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body := w.Body.String()
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, body)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	return strings.Join(slices.DeleteFunc(strings.Split(body, "\n"), func(l string) bool { return strings.HasPrefix(l, "#") }), "\n")
}

// WantLines checks that a text has each of the lines.
func WantLines(t testing.TB, text string, want ...string) {
	t.Helper()
	for _, line := range want {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			t.Errorf("there is no line %s in\n%s", line, text)
		}
	}
}

var description = regexp.MustCompile(`^Desc\{fqName: "(.*?)", help: (".*"), unit: "", constLabels: \{\}, variableLabels: \{(.*)\}\}$`)

// Documented checks that a section in a documentation file has a line for each metric of a collector, and no others.
func Documented(t testing.TB, file, name string, c prometheus.Collector) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(b), "\n## "+name+"\n")
	if !ok {
		t.Fatalf("%s lacks the section %s", file, name)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	descs := make(chan *prometheus.Desc, 100)
	c.Describe(descs)
	close(descs)
	lines := 0
	for d := range descs {
		m := description.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatal(d)
		}
		help, err := strconv.Unquote(m[2])
		if err != nil {
			t.Fatal(err)
		}
		if line := fmt.Sprintf("| `%s` | %s | %s |", m[1], strings.ReplaceAll(m[3], ",", ", "), help); !strings.Contains(section, "\n"+line+"\n") {
			t.Errorf("the section %s lacks\n%s", name, line)
		}
		lines++
	}
	if n := strings.Count(section, "\n| `"); n != lines {
		t.Errorf("the section %s has %d metrics, and there are %d", name, n, lines)
	}
}
