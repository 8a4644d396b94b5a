package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/planner"
)

// TestTourPlans plans every question of the tour, so that one that a change of the
// planner refuses is found without starting a federation.
func TestTourPlans(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	if err := os.WriteFile(file, []byte(demoCatalog), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	federation := planner.Federation{Catalog: c, Hospitals: demoHospitals, Accounting: dp.ZCDP}
	plan := func(q question) *planner.Plan {
		t.Helper()
		p, err := planner.Build(planner.Query{SQL: q.sql, Epsilon: 0.5, Delta: 1e-8, MaxGroups: q.maxGroups, MaxRows: q.maxRows}, federation)
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
	first, again := plan(tourQuestions[0]), plan(question{sql: tourRepeated})
	if first == nil || again == nil || first.Fingerprint() != again.Fingerprint() {
		t.Error("the repeated question is not the first one")
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
		for _, address := range []string{f.Listen, f.Gossip.Listen} {
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
