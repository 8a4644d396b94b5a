package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/httpapi"
	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/synth"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/planner"
)

// TestTourPlans plans every question of the tour. So a question that the planner no longer accepts is found without
// starting a federation.
func TestTourPlans(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(file, []byte(demoCatalog), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	federation := planner.Federation{Catalog: c, Hospitals: demoHospitals, Accounting: dp.ZCDP, Covered: true, Masked: true}
	plan := func(q question) *planner.Plan {
		t.Helper()
		p, err := planner.Build(planner.Query{SQL: q.sql, Ask: planner.Ask{Epsilon: 0.5, Delta: 1e-8, MaxGroups: q.maxGroups, MaxRows: q.maxRows}}, federation)
		if err != nil {
			t.Errorf("%s: %v", q.words, err)
			return nil
		}
		return p
	}
	for _, q := range tourQuestions {
		plan(q)
	}
	plan(question{sql: tourExplained})
	if p := plan(question{sql: tourSearched}); p == nil || !p.Cover.Masked() || p.Fragment.Width() != 1 {
		t.Errorf("what is searched for is not a masked sum by itself: %+v", p)
	}
	if last := plan(tourQuestions[len(tourQuestions)-1]); last == nil || last.Selection == nil || !last.Cover.Names {
		t.Error("the last question is not of groups that hospitals name")
	}
	first, again := plan(tourQuestions[0]), plan(question{sql: tourRepeated})
	if first == nil || again == nil || first.Fingerprint() != again.Fingerprint() {
		t.Error("the repeated question is not the first one")
	}
}

// TestTourExact asks each question of the tour without noise, over a small federation. Each has as many columns as the
// answer, and its keys are found.
func TestTourExact(t *testing.T) {
	d := demo{hospitals: []string{"lyon", "lille"}, folder: t.TempDir()}
	conf := synth.Config{Seed: 1, Hospitals: d.hospitals, Patients: 400, Folder: filepath.Join(d.folder, "data")}
	if err := synth.Generate(t.Context(), conf, nil); err != nil {
		t.Fatal(err)
	}
	c := testcatalog.Parse(t, demoCatalog)
	for _, q := range tourQuestions {
		p, err := planner.Build(planner.Query{SQL: q.sql, Ask: planner.Ask{Epsilon: 0.5, Delta: 1e-8}}, planner.Federation{Catalog: c, Hospitals: d.hospitals, Accounting: dp.ZCDP})
		if err != nil {
			t.Fatal(err)
		}
		a := &httpapi.Answer{}
		for _, column := range p.Columns {
			a.Columns = append(a.Columns, httpapi.Column{Name: column.Name, Type: column.Type, Noisy: column.Noisy})
		}
		rows, err := synth.Exact(t.Context(), filepath.Join(d.folder, "data"), d.hospitals, q.exact)
		if err != nil || len(rows) == 0 {
			t.Fatalf("%s: %d rows, %v", q.words, len(rows), err)
		}
		var row []httpapi.Cell
		for i, v := range rows[0] {
			row = append(row, httpapi.Cell{Noisy: a.Columns[i].Noisy, Value: exactOrKey(v)})
		}
		a.Rows = [][]httpapi.Cell{row}
		both, err := d.withExact(t.Context(), a, q.exact)
		if err != nil {
			t.Fatalf("%s: %v", q.words, err)
		}
		for i, column := range both.Columns {
			if column.Name == "exact" && (both.Rows[0][i].Value == nil || both.Rows[0][i].Value != both.Rows[0][i-1].Value) {
				t.Errorf("%s: beside %v stands %v", q.words, both.Rows[0][i-1].Value, both.Rows[0][i].Value)
			}
		}
	}
	if len(tourQuestions) == 0 {
		t.Error("no question was asked")
	}
}

// exactOrKey is a database's value as the API would send it.
func exactOrKey(v any) any {
	if text, ok := v.(string); ok {
		return text
	}
	return exactNumber(v)
}

// TestBeside checks that a group that the exact answer lacks is empty, that a mean of nothing is unknown, and that
// another shape is refused.
func TestBeside(t *testing.T) {
	a := &httpapi.Answer{
		Columns: []httpapi.Column{{Name: "month", Type: "int"}, {Name: "n", Type: "int", Noisy: true}, {Name: "mean", Type: "float", Noisy: true}},
		Rows: [][]httpapi.Cell{
			{{Value: json.Number("2")}, {Noisy: true, Value: json.Number("7")}, {Noisy: true, Value: json.Number("1.5")}},
			{{Value: json.Number("1")}, {Noisy: true, Value: json.Number("30")}, {Noisy: true, Value: json.Number("2.5")}},
		},
	}
	both, err := beside(a, [][]any{{int64(1), int64(28), 2.25}})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, row := range both.Rows {
		for _, c := range row {
			got += plainText(c.Value) + " "
		}
	}
	if want := "2 7 0 1.5 NULL 1 30 28 2.5 2.25 "; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	if _, err := beside(a, [][]any{{int64(1)}}); err == nil {
		t.Error("an exact answer of another shape was taken")
	}
}

// TestDemoFilesLoad reads the configurations that the demonstration writes.
func TestDemoFilesLoad(t *testing.T) {
	d := demo{hospitals: demoHospitals, folder: t.TempDir()}
	if err := d.writeFiles(); err != nil {
		t.Fatal(err)
	}
	ports := map[string]string{}
	for _, name := range d.hospitals {
		f, err := loadNode(filepath.Join(d.folder, name, configFile))
		if err != nil {
			t.Fatal(err)
		}
		if opens := f.Listen != "" || f.Gossip.Listen != ""; opens == (name == demoOutward) {
			t.Errorf("%s opens a port: %v", name, opens)
		}
		for _, address := range []string{f.Listen, f.Gossip.Listen} {
			if address == "" {
				continue
			}
			if other, taken := ports[address]; taken {
				t.Errorf("%s and %s share %s", name, other, address)
			}
			ports[address] = name
		}
	}
	if _, err := coordinator.LoadConfig(filepath.Join(d.folder, "coordinator", configFile)); err != nil {
		t.Error(err)
	}
}

func TestBlameQuotesTheLogOfWhatEnded(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte(strings.Repeat("long ago\n", 1000)+"the port is taken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	up, gone := make(chan struct{}), make(chan struct{})
	close(gone)
	failure := errors.New("no answer")
	d := demo{children: []*child{{name: "lyon", ended: up}}}
	if err := d.blame(failure); err != failure { //nolint:errorlint // the very same
		t.Errorf("all are up, and the error is %v", err)
	}
	d.children = append(d.children, &child{name: "lille", log: log, ended: gone})
	err := d.blame(failure)
	if !errors.Is(err, failure) || !strings.Contains(err.Error(), "lille ended") || !strings.HasSuffix(err.Error(), "  the port is taken") || len(err.Error()) > 5000 {
		t.Errorf("the error is %v", err)
	}
}

func TestShellWord(t *testing.T) {
	for path, want := range map[string]string{
		"/tmp/a-b_c.1/token": "/tmp/a-b_c.1/token",
		"/tmp/my demo":       "'/tmp/my demo'",
		"/tmp/it's":          `'/tmp/it'\''s'`,
		"$HOME":              `'$HOME'`,
	} {
		if got := shellWord(path); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", path, got, want)
		}
	}
}
