package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

type bounds struct {
	MaxGroups int     `yaml:"max_groups"`
	Epsilon   float64 `yaml:"epsilon"`
}

type level int

var errLevel = errors.New("must be low or high")

func (l *level) UnmarshalYAML(n *yaml.Node) error {
	switch n.Value {
	case "low":
		*l = 1
	case "high":
		*l = 2
	default:
		return errLevel
	}
	return nil
}

type daemon struct {
	Name    string            `yaml:"name"`
	Port    uint16            `yaml:"port"`
	Timeout time.Duration     `yaml:"timeout"`
	Strict  bool              `yaml:"strict"`
	Key     Secret            `yaml:"key"`
	Level   level             `yaml:"level"`
	Levels  []level           `yaml:"levels"`
	Studies map[string]bounds `yaml:"studies"`
	Peers   []struct {
		Host string `yaml:"host"`
	} `yaml:"peers"`
	Limit  *bounds        `yaml:"limit"`
	Open   map[string]any `yaml:"open"`
	Plain  string
	Hidden string `yaml:"-"`
	bounds `yaml:",inline"`
}

func TestDecode(t *testing.T) {
	const text = `
name: lyon
port: 7946
timeout: 30s
strict: true
key: {file: gossip.key}
level: high
levels: [low, high]
studies:
  copd: {max_groups: 5, epsilon: 1}
peers:
  - host: a
  - host: b
limit:
open: {x: [1, two]}
plain: text
max_groups: 3
`
	got := daemon{bounds: bounds{Epsilon: 0.5}} // a default that the file does not set
	if err := Decode(strings.NewReader(text), "node.yaml", &got); err != nil {
		t.Fatal(err)
	}
	want := daemon{Name: "lyon", Port: 7946, Timeout: 30 * time.Second, Strict: true,
		Key: Secret{File: "gossip.key"}, Level: 2, Levels: []level{1, 2},
		Studies: map[string]bounds{"copd": {MaxGroups: 5, Epsilon: 1}},
		Peers: []struct {
			Host string `yaml:"host"`
		}{{"a"}, {"b"}},
		Open: map[string]any{"x": []any{1, "two"}}, Plain: "text",
		bounds: bounds{MaxGroups: 3, Epsilon: 0.5}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(daemon{})); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"misspelt", "name: x\nmax_grups: 3", "unknown key `max_grups` at node.yaml:2; did you mean `max_groups`?"},
		{"misspelt in map", "studies:\n  a:\n    epsylon: 3", "unknown key `epsylon` at node.yaml:3; did you mean `epsilon`?"},
		{"misspelt in list", "peers:\n- host: a\n- hots: b", "unknown key `hots` at node.yaml:3; did you mean `host`?"},
		{"misspelt behind pointer", "limit:\n  max_group: 1", "unknown key `max_group` at node.yaml:2; did you mean `max_groups`?"},
		{"case", "Name: x", "unknown key `Name` at node.yaml:1; did you mean `name`?"},
		{"unknown", "key:\n  zzz: 3", "unknown key `zzz` at node.yaml:2; known keys here: file, env"},
		{"hidden", "limit:\n  Hidden: x", "unknown key `Hidden` at node.yaml:2; known keys here: max_groups, epsilon"},
		{"duplicate", "name: a\nport: 1\nname: b", "`name` at node.yaml:3 is already set at line 1; keep one of the two"},
		{"duplicate in map", "studies:\n  a: {}\n  a: {}", "`a` at node.yaml:3 is already set at line 2; keep one of the two"},
		{"duplicate in open part", "open:\n  a: {b: 1, b: 2}", "node.yaml:2: mapping key \"b\" already defined at line 2"},
		{"text for number", "max_groups: hunter2", "`max_groups` at node.yaml:1 must be a whole number, not text"},
		{"fraction for number", "max_groups: 2.7", "`max_groups` at node.yaml:1 must be a whole number, not a number with a fraction"},
		{"out of range", "port: 70000", "`port` at node.yaml:1 must be a whole number from 0 to 65535"},
		{"duration without unit", "timeout: 30", "`timeout` at node.yaml:1 must be a duration such as 30s or 5m, not a whole number"},
		{"no value", "port:", "`port` at node.yaml:1 has no value; write a whole number from 0 to 65535 or remove the key"},
		{"scalar for mapping", "key: hunter2", "`key` at node.yaml:1 must be a mapping with the keys file, env, not text"},
		{"mapping for list", "peers: {host: a}", "`peers` at node.yaml:1 must be a list, not a mapping"},
		{"list for map", "studies: [a]", "`studies` at node.yaml:1 must be a mapping, not a list"},
		{"list item", "levels: [low, middle]", "`levels[1]` at node.yaml:1: must be low or high"},
		{"own decoding", "level: middle", "`level` at node.yaml:1: must be low or high"},
		{"alias", "limit: &l {epsilon: 1}\nstudies: {a: *l}", "`limit` at node.yaml:1 uses an anchor or alias; write the value out\n`a` at node.yaml:2 uses an anchor or alias; write the value out"},
		{"several", "nmae: x\nport: a", "unknown key `nmae` at node.yaml:1; did you mean `name`?\n`port` at node.yaml:2 must be a whole number from 0 to 65535, not text"},
		{"empty", "# nothing\n", "node.yaml is empty; a configuration is needed"},
		{"null", "~", "node.yaml is empty; a configuration is needed"},
		{"scalar", "hello", "node.yaml:1: the file must be a mapping with the keys name, port, timeout, strict, key, level, levels, studies, peers, limit, open, plain, max_groups, epsilon, not text"},
		{"two documents", "name: a\n---\nname: b", "node.yaml:2: a second document begins here; keep one document per file"},
		{"syntax", "name: a\n  port: 1", "node.yaml:2: mapping values are not allowed in this context"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := daemon{Name: "before"}
			err := Decode(strings.NewReader(c.text), "node.yaml", &got)
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error quotes a value")
			}
			if got.Name != "before" {
				t.Errorf("the destination was changed to %q", got.Name)
			}
		})
	}
}

func TestDecodeKeepsErrorChain(t *testing.T) {
	err := Decode(strings.NewReader("level: x"), "node.yaml", &daemon{})
	if !errors.Is(err, errLevel) {
		t.Errorf("errors.Is does not find the cause in %v", err)
	}
}

func TestDecodeTooLarge(t *testing.T) {
	err := Decode(strings.NewReader("name: a\n"+strings.Repeat("#\n", maxBytes)), "node.yaml", &daemon{})
	if err == nil || !strings.Contains(err.Error(), "larger than 4 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.yaml")
	if err := Load(path, &daemon{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("name: lyon\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var d daemon
	if err := Load(path, &d); err != nil || d.Name != "lyon" {
		t.Errorf("got %q, %v", d.Name, err)
	}
}

func TestResolve(t *testing.T) {
	for _, c := range [][3]string{
		{"/etc/intramuros/node.yaml", "tls/ca.pem", "/etc/intramuros/tls/ca.pem"},
		{"/etc/intramuros/node.yaml", "/srv/ca.pem", "/srv/ca.pem"},
		{"node.yaml", "ca.pem", "ca.pem"},
		{"/etc/node.yaml", "", ""},
	} {
		if got := Resolve(c[0], c[1]); got != c[2] {
			t.Errorf("Resolve(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"max_groups", "max_sites", "epsilon", "delta", "table", "person_id", "sex", "a"}
	for word, want := range map[string]string{
		"max_grups": "max_groups", "maxgroups": "max_groups", "MAX_SITES": "max_sites",
		"eplison": "epsilon", "detla": "delta", "tabel": "table", "person-id": "person_id", "sexe": "sex",
		"budget": "", "": "", "b": "", "se": "sex", "minimum": "",
	} {
		got, ok := Nearest(word, known)
		if got != want || ok != (want != "") {
			t.Errorf("Nearest(%q) = %q, %v; want %q", word, got, ok, want)
		}
	}
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("good", "hunter2\n", 0o600)
	write("two", "hunter2\n\n", 0o400)
	write("crlf", "hunter2\r\n", 0o600)
	write("group", "hunter2", 0o640)
	write("world", "hunter2", 0o604)
	write("empty", "\n", 0o600)
	t.Setenv("INTRAMUROS_TEST_SECRET", "hunter2")
	t.Setenv("INTRAMUROS_TEST_EMPTY", "")

	for _, c := range []struct {
		s         Secret
		want, err string
	}{
		{Secret{File: "good"}, "hunter2", ""},
		{Secret{File: filepath.Join(dir, "good")}, "hunter2", ""},
		{Secret{File: "two"}, "hunter2\n", ""},
		{Secret{File: "crlf"}, "hunter2", ""},
		{Secret{Env: "INTRAMUROS_TEST_SECRET"}, "hunter2", ""},
		{Secret{File: "group"}, "", "chmod 600"},
		{Secret{File: "world"}, "", "open to others (mode 0604)"},
		{Secret{File: "empty"}, "", "is empty"},
		{Secret{File: "missing"}, "", "no such file"},
		{Secret{File: "."}, "", "not a regular file"},
		{Secret{Env: "INTRAMUROS_TEST_EMPTY"}, "", "empty or not set"},
		{Secret{Env: "hunter2"}, "", "name of an environment variable"},
		{Secret{}, "", "neither"},
		{Secret{File: "good", Env: "X"}, "", "both"},
	} {
		got, err := c.s.Read(dir)
		if string(got) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%v: got %q, %v; want %q, %q", c.s, got, err, c.want, c.err)
		}
		for _, shown := range []string{fmt.Sprintf("%v %+v %#v %s", c.s, c.s, c.s, c.s), c.s.LogValue().String(), fmt.Sprint(err)} {
			if strings.Contains(shown, "hunter2") {
				t.Errorf("the secret is shown: %s", shown)
			}
		}
	}
}

// FuzzDecode checks that no text makes the check and the decoder disagree in a way that panics, and that the library
// accepts every accepted text too.
func FuzzDecode(f *testing.F) {
	f.Add("name: a\nstudies: {x: {epsilon: 1}}")
	f.Add("key: {file: a}\nlevels: [low]\n")
	f.Add("a: &a [*a]")
	f.Add("? [x]\n: y")
	f.Add("<<: {name: x}")
	f.Fuzz(func(t *testing.T, text string) {
		var d daemon
		if Decode(strings.NewReader(text), "f.yaml", &d) != nil {
			return
		}
		dec := yaml.NewDecoder(strings.NewReader(text))
		dec.KnownFields(true)
		var e daemon
		if err := dec.Decode(&e); err != nil {
			t.Errorf("accepted, but the library says: %v", err)
		}
	})
}
