package planner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
)

// private are the refusals that no spelling of the same question avoids.
var private = []Code{CodeRowLevel, CodeBounds, CodePatientsMixed, CodeNested, CodeNoPatient}

// TestStatements measures which share of other people's statements is read. The folder that INTRAMUROS_STATEMENTS
// names has a folder for each collection: a catalog.yaml, and statements in *.sql. It fails only where the planner crashes.
func TestStatements(t *testing.T) {
	root := os.Getenv("INTRAMUROS_STATEMENTS")
	if root == "" {
		t.Skip("INTRAMUROS_STATEMENTS names no folder of statements")
	}
	catalogs, err := filepath.Glob(filepath.Join(root, "*", "catalog.yaml"))
	if err != nil || len(catalogs) == 0 {
		t.Fatalf("no catalog.yaml in a folder of %s: %v", root, err)
	}
	for _, path := range catalogs {
		c, err := catalog.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		f := Federation{Catalog: c, Hospitals: []string{"lyon", "rennes", "lille"}, Accounting: dp.ZCDP}
		files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.sql"))
		if err != nil {
			t.Fatal(err)
		}
		codes, lines, fit := map[Code]int{}, []string{}, 0
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Compose(Query{SQL: string(text), Epsilon: 1, Delta: 1e-6, Today: today}, f)
			code, refusal := Code("answered"), (*Error)(nil)
			if errors.As(err, &refusal) {
				code = refusal.Code
				lines = append(lines, fmt.Sprintf("%s: %v", filepath.Base(name), err))
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if codes[code]++; err == nil || slices.Contains(private, code) {
				fit++
			}
		}
		t.Logf("%s: %d statements, %.1f %% answered or refused for privacy: %v\n%s",
			filepath.Base(filepath.Dir(path)), len(files), 100*float64(fit)/float64(len(files)), codes, strings.Join(lines, "\n"))
	}
}
