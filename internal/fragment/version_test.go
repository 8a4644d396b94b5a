package fragment

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/value"
)

// wireWords are the types of strings that a request uses, and the folders of their packages.
var wireWords = map[string]string{
	"Op": "../expr", "Unit": "../expr", "Field": "../expr",
	"Join": ".", "PartialKind": ".", "SetOp": ".", "Function": ".", "Norm": ".",
	"Mechanism": "../../dp", "Type": "../value",
}

// said lists everything that a request can say: fields, by their Go types, and words.
func said(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(x reflect.Type) {
		for x.Kind() == reflect.Pointer || x.Kind() == reflect.Slice {
			x = x.Elem()
		}
		// A value is always written as {"type", "value"}, whatever its Go fields are.
		if x.Kind() != reflect.Struct || seen[x] || x == reflect.TypeFor[value.Value]() {
			return
		}
		seen[x] = true
		for i := range x.NumField() {
			f := x.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() {
				continue
			}
			if name == "" {
				t.Errorf("%s.%s has no name on the wire", x.Name(), f.Name)
			}
			// The list names the types of a request as types of this package, whichever Go package they are in.
			all[fmt.Sprintf("%s.%s %s", x.Name(), name, strings.ReplaceAll(f.Type.String(), "expr.", "fragment."))] = true
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[Request]())
	for name, folder := range wireWords {
		for _, word := range wordsOf(t, folder, name) {
			all[name+" "+strconv.Quote(word)] = true
		}
	}
	return all
}

// wordsOf lists the values of a package's string constants of one type.
func wordsOf(t *testing.T, folder, name string) (words []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if of, ok := spec.Type.(*ast.Ident); !ok || of.Name != name {
				return true
			}
			for _, v := range spec.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					word, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					words = append(words, word)
				}
			}
			return true
		})
	}
	if len(words) == 0 {
		t.Errorf("no constant of type %s in %s", name, folder)
	}
	return words
}

// TestWire: the golden list has everything that a request can say, with its first version. Whatever is newer than
// Oldest has an entry in later, so that a hospital of an earlier release is not asked what it cannot read.
func TestWire(t *testing.T) {
	const golden = "testdata/wire.golden"
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	since := map[string]int{}
	for line := range strings.Lines(string(b)) {
		number, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > Version || since[what] != 0 {
			t.Fatalf("%s: %q", golden, line)
		}
		since[what] = n
	}
	all := said(t)
	for _, what := range slices.Sorted(maps.Keys(all)) {
		if since[what] == 0 {
			t.Errorf("%s is not in %s. If the last release's nodes read it, say so there; else raise Version, add the line\n%d %s\nand an entry in `later`",
				what, golden, Version+1, what)
		}
	}
	for what, n := range since {
		switch {
		case !all[what]:
			t.Errorf("%s, of version %d, can no longer be said: a version that a release has spoken does not change", what, n)
		case n > Oldest && !slices.ContainsFunc(later, func(l novelty) bool { return l.what == what && l.since == n }):
			t.Errorf("%s is since version %d, and `later` does not say when a request says it", what, n)
		}
	}
	for _, l := range later {
		if since[l.what] != l.since || l.said == nil {
			t.Errorf("`later` says that %s is since version %d, %s says %d", l.what, l.since, golden, since[l.what])
		}
	}
}

// TestOldRequests reads requests that earlier releases wrote. Files are added there, and never edited.
func TestOldRequests(t *testing.T) {
	files, err := filepath.Glob("testdata/wire/*/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := DecodeRequest(b)
		if version < Oldest {
			if err == nil {
				t.Errorf("%s: version %d is read, and Oldest is %d", file, version, Oldest)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if r.Fragment.Version != version || Least(r) > version {
			t.Errorf("%s: version %d, and at least %d says it", file, r.Fragment.Version, Least(r))
		}
		again, err := json.Marshal(r)
		if err != nil || string(again) != strings.TrimSpace(string(b)) {
			t.Errorf("%s is written differently now (%v):\n%s", file, err, again)
		}
	}
}

// A version fixes what may be said in it. What is newer is refused, and counts for Least.
func TestVersionFixesWhatIsSaid(t *testing.T) {
	old := later
	defer func() { later = old }()
	later = append(slices.Clone(old), novelty{Version, "releases", func(r *Request) bool { return r.Releases > 1 }})
	defer func(n int) { later[len(later)-1].since = n }(Version)
	later[len(later)-1].since = Version + 1
	plain, new := &Request{Fragment: Fragment{Version: Version}}, &Request{Fragment: Fragment{Version: Version}, Releases: 2}
	if Least(plain) > Version || Least(new) != Version+1 {
		t.Errorf("least %d and %d", Least(plain), Least(new))
	}
	for r, good := range map[*Request]bool{plain: true, new: false, {}: false, {Fragment: Fragment{Version: Version + 1}}: false, {Fragment: Fragment{Version: Oldest - 1}}: false} {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeRequest(b); (err == nil) != good {
			t.Errorf("%s: %v", b, err)
		}
	}
}
