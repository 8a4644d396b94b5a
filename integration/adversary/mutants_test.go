package adversary

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// mutant is a defect: edits of the code, and the test that must notice it.
type mutant struct {
	Name  string `yaml:"name"`
	Edits []edit `yaml:"edits"`
	// Package and Test say what must fail; Environment sets a small budget and a seed.
	Package     string   `yaml:"package"`
	Test        string   `yaml:"test"`
	Environment []string `yaml:"environment"`
	Always      bool     `yaml:"always"` // also without INTRAMUROS_FULL=1
}

// edit replaces a text that occurs once in a file.
type edit struct {
	File string `yaml:"file"`
	Old  string `yaml:"old"`
	New  string `yaml:"new"`
}

// TestMutants builds the code with one defect at a time, and runs the test that should notice it.
func TestMutants(t *testing.T) {
	text, err := os.ReadFile("testdata/mutants.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []mutant
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&all); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		t.Run(m.Name, func(t *testing.T) {
			overlay := m.overlay(t, root) // for all mutants, so that stale entries are found
			if !m.Always && os.Getenv("INTRAMUROS_FULL") == "" {
				t.Skip("INTRAMUROS_FULL=1 runs it")
			}
			// Verbose, so that the failing test is named.
			c := exec.Command("go", "test", "-overlay", overlay, "-vet=off", "-count=1", "-timeout", "10m", "-v", "-run", "^"+strings.ReplaceAll(m.Test, "/", "$/^")+"$", m.Package)
			c.Dir = root
			c.Env = append(os.Environ(), m.Environment...)
			out, err := c.CombinedOutput()
			switch top, _, _ := strings.Cut(m.Test, "/"); {
			case strings.Contains(string(out), "--- FAIL: "+top+" "):
			case strings.Contains(string(out), "--- SKIP: "+m.Test+" "):
				t.Skip("its test was skipped")
			default:
				t.Errorf("%s does not notice (%v):\n%.3000s", m.Test, err, out)
			}
		})
	}
}

// overlay writes the edited files, and the overlay file for go.
func (m mutant) overlay(t *testing.T, root string) string {
	t.Helper()
	folder := t.TempDir()
	edited := map[string]string{}
	for _, e := range m.Edits {
		path := filepath.Join(root, e.File)
		text, ok := edited[path]
		if !ok {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			t.Fatalf("%s holds %d times, not once:\n%s", e.File, n, e.Old)
		}
		edited[path] = strings.Replace(text, e.Old, e.New, 1)
	}
	replace := map[string]string{}
	for path, text := range edited {
		replace[path] = filepath.Join(folder, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(overlay, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}
