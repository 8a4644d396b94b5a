// Command size keeps the code short enough to read. A Go file has at most 500 lines, except tests and data. A comment
// line has at most 120 characters, also in tests. Some packages have a limit of lines, without their tests.
//
//	go run ./.ci/size
package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

const (
	longestFile    = 500
	longestComment = 120
)

// mostLines are the limits of packages, in lines.
var mostLines = map[string]int{"planner": 6500}

func main() {
	found, lines, err := look(".")
	for name, n := range mostLines {
		switch {
		case lines[name] == 0:
			err = fmt.Errorf("there is no package %s", name)
		case lines[name] > n:
			found = append(found, fmt.Sprintf("%s: %d lines, and at most %d are allowed", name, lines[name], n))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for _, f := range found {
		fmt.Println(f)
	}
	if len(found) > 0 {
		os.Exit(1)
	}
}

// look finds what is too long in a tree of files, and counts the lines of each package without its tests.
func look(root string) (found []string, lines map[string]int, err error) {
	lines = map[string]int{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == ".git" || d.Name() == ".cache" || d.Name() == "testdata" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n := 0
		for line := range bytes.Lines(text) {
			n++
			line = bytes.TrimRight(line, "\n")
			if bytes.HasPrefix(bytes.TrimSpace(line), []byte("//")) && utf8.RuneCount(line) > longestComment {
				found = append(found, fmt.Sprintf("%s:%d: a comment of more than %d characters a line", path, n, longestComment))
			}
		}
		if strings.HasSuffix(path, "_test.go") {
			return nil
		}
		if lines[filepath.Dir(path)] += n; n > longestFile {
			found = append(found, fmt.Sprintf("%s: %d lines, and at most %d are allowed", path, n, longestFile))
		}
		return nil
	})
	return found, lines, err
}
