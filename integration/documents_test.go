package integration

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents are the pages whose sentences name tests.
var documents = []string{"../*.md", "../docs/*.md", "../docs/*.yaml"}

// TestDocumentsNameTests checks that each test that a page names exists, in the package before its name. A name after
// RUN= is a pattern that must match a test.
func TestDocumentsNameTests(t *testing.T) {
	tests := map[string][]string{} // by test name: the folders that have it
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	if err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != ".." {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path) // #nosec G304 -- a file of this repository
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = append(tests[m[1]], filepath.Base(filepath.Dir(path)))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(RUN=|\b[a-z]+\.)?\b((?:Test|Fuzz|Benchmark)[A-Z]\w*)`)
	count := 0
	for _, pattern := range documents {
		pages, err := filepath.Glob(pattern)
		if err != nil || len(pages) == 0 {
			t.Fatalf("%s: no page, %v", pattern, err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page) // #nosec G304 -- a page of this repository
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(string(text), "\n") {
				for _, m := range named.FindAllStringSubmatch(line, -1) {
					count++
					if !isTest(tests, m[1], m[2]) {
						t.Errorf("%s:%d: there is no test %s%s", page, i+1, m[1], m[2])
					}
				}
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d names of tests were found: does this test read the pages?", count)
	}
}

func isTest(tests map[string][]string, before, name string) bool {
	if before == "RUN=" {
		for n := range tests {
			if strings.HasPrefix(n, name) {
				return true
			}
		}
		return false
	}
	folders := tests[name]
	if before == "" {
		return len(folders) > 0
	}
	for _, f := range folders {
		if f == strings.TrimSuffix(before, ".") {
			return true
		}
	}
	return false
}
