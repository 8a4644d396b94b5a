package planner

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/planner/syntax"
)

// private are the refusals for privacy that no rewriting avoids: the question asks for rows of patients, or compares
// patients with each other. All other refusals count as failures, even if they name a way out.
var private = []Code{CodeRowLevel, CodePatientsMixed}

// TestStatements counts the share of other people's statements that are answered or refused only for privacy: make
// statements DIR=folder. A folder with *.sql may have a catalog.yaml, else the OMOP catalog is used, and a file
// `dialect` with the name of a dialect. A file holds any number of statements. The test fails only if the planner
// crashes.
func TestStatements(t *testing.T) {
	root := os.Getenv("INTRAMUROS_STATEMENTS")
	if root == "" {
		t.Skip("INTRAMUROS_STATEMENTS names no folder of statements")
	}
	files := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".sql") {
			files[filepath.Dir(path)] = append(files[filepath.Dir(path)], path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("no *.sql in %s: %v", root, err)
	}
	var all tally
	for _, folder := range slices.Sorted(maps.Keys(files)) {
		one := countStatements(t, folder, files[folder])
		t.Logf("%s: %s", folder, one)
		all.add(one)
	}
	t.Logf("in all: %s", all)
}

// tally counts the outcomes of statements.
type tally struct {
	statements, fit int
	codes           map[Code]int
	failures        []string
}

func (a *tally) add(b tally) {
	a.statements, a.fit = a.statements+b.statements, a.fit+b.fit
	for code, n := range b.codes {
		a.count(code, n)
	}
}

func (a *tally) count(code Code, n int) {
	if a.codes == nil {
		a.codes = map[Code]int{}
	}
	a.codes[code] += n
}

func (a tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d statements, %.1f %% answered, or refused for privacy\n", a.statements, 100*float64(a.fit)/float64(max(1, a.statements)))
	for _, code := range slices.Sorted(maps.Keys(a.codes)) {
		fmt.Fprintf(&b, "  %6d %s\n", a.codes[code], code)
	}
	return b.String() + strings.Join(a.failures, "\n")
}

func countStatements(t *testing.T, folder string, files []string) (all tally) {
	c := catalog.OMOP()
	if path := filepath.Join(folder, "catalog.yaml"); exists(path) {
		var err error
		if c, err = catalog.Load(path); err != nil {
			t.Fatal(err)
		}
	}
	dialect, err := os.ReadFile(filepath.Join(folder, "dialect"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	f := Federation{Catalog: c, Hospitals: []string{"lyon", "rennes", "lille"}, Accounting: dp.ZCDP}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sqltoken.Statements(string(text)) {
			all.statements++
			read, err := syntax.ParseIn(s.Text, syntax.Dialect(strings.TrimSpace(string(dialect))))
			if err == nil && read.Query != nil {
				_, err = Compose(Query{Statement: read, Ask: Ask{Epsilon: 1, Delta: 1e-6}, Today: today}, f)
			}
			code, refusal := Code("answered"), (*Error)(nil)
			if errors.As(err, &refusal) {
				code = refusal.Code
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			all.count(code, 1)
			if err == nil || slices.Contains(private, code) {
				all.fit++
			}
			if err != nil {
				all.failures = append(all.failures, fmt.Sprintf("%s: %v\n    %s", filepath.Base(name), err, strings.Join(strings.Fields(s.Text), " ")))
			}
		}
	}
	return all
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
