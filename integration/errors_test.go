package integration

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestErrorsReference keeps docs/errors.md current. Each code and its cause come from the source that defines the code.
// The remedy is written by hand in docs/errors.md and must not be missing. -rewrite writes the file again and keeps the
// remedies.
func TestErrorsReference(t *testing.T) {
	const path = "../docs/errors.md"
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| [^|]* \\| ([^|]*) \\|$").FindAllStringSubmatch(string(old), -1) {
		ways[m[1]] = m[2]
	}
	intro, _, found := strings.Cut(string(old), "\n## ")
	if !found {
		t.Fatalf("%s has no sections", path)
	}
	var b strings.Builder
	b.WriteString(intro)
	for _, part := range []struct{ title, file, prefix string }{
		{"In the query", "../planner/syntax/error.go", "Code"},
		{"At the coordinator", "../coordinator/error.go", "Code"},
		{"At a hospital", "../node/code.go", "Code"},
		{"Why a hospital is not part of an answer", "../coordinator/error.go", "absent"},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| code | cause | way out |\n|---|---|---|\n", part.title)
		for _, c := range codesOf(t, part.file, part.prefix) {
			if strings.TrimSpace(ways[c.code]) == "" {
				t.Errorf("%s tells no way out of %s", path, c.code)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.code, c.cause, ways[c.code])
		}
	}
	if b.String() == string(old) {
		return
	}
	if f := flag.Lookup("rewrite"); f == nil || f.Value.String() != "true" {
		t.Fatalf("%s is not what the code says; run this test with -rewrite", path)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

type code struct{ code, cause string }

// codesOf reads the constants of a file whose names begin with a prefix, and their trailing comments.
func codesOf(t *testing.T, file, prefix string) []code {
	t.Helper()
	parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var all []code
	ast.Inspect(parsed, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(v.Names[0].Name, prefix) || len(v.Values) != 1 {
			return true
		}
		literal, ok := v.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil || v.Comment == nil {
			t.Errorf("%s: %s has no comment that tells its cause", file, v.Names[0].Name)
			return true
		}
		all = append(all, code{text, strings.TrimSpace(v.Comment.Text())})
		return true
	})
	if len(all) < 5 {
		t.Errorf("%s: %d codes", file, len(all))
	}
	return all
}
