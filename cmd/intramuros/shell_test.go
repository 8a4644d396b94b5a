package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/intramuros/intramuros/coordinator/httpapi"
)

// desk is a coordinator's API as the shell sees it, with prepared answers.
type desk struct {
	studies []string
	asked   []httpapi.Request
	hang    chan struct{} // signals that a query waits until it is canceled
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	write := func(code int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	}
	var q httpapi.Request
	if r.Method == http.MethodPost {
		_ = json.NewDecoder(r.Body).Decode(&q)
		d.asked = append(d.asked, q)
	}
	switch r.URL.Path {
	case "/v1/me":
		write(200, httpapi.Me{Researcher: "alice", Federation: "gironde", Studies: d.studies})
	case "/v1/catalog":
		write(200, httpapi.Catalog{Name: "test", Tables: []httpapi.Table{
			{Name: "person", Columns: []httpapi.CatalogColumn{{Name: "person_id"}, {Name: "sex"}, {Name: "year_of_birth"}}},
			{Name: "condition_era", Columns: []httpapi.CatalogColumn{{Name: "person_id"}, {Name: "condition_concept_id"}}},
		}})
	case "/v1/budget":
		io.WriteString(w, `{"study": "`+r.URL.Query().Get("study")+`", "budget": {"accounting": "zcdp", "epsilon": 8, "delta": 1e-6},
			"remaining": {"epsilon": 3, "delta": 9e-7, "fraction": 0.25}, "max_epsilon": 1, "min_epsilon": 0.01, "expires": "2027-12-31T00:00:00Z"}`)
	case "/v1/explain":
		write(200, httpapi.Explanation{Plan: "plan of " + q.SQL + "\n", Allowed: true, Confidence: 0.95})
	case "/v1/query":
		d.query(w, r, q, write)
	default:
		http.NotFound(w, r)
	}
}

func (d *desk) query(w http.ResponseWriter, r *http.Request, q httpapi.Request, write func(int, any)) {
	answer := func(columns, rows string, informs bool) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		fmt.Fprintf(w, `{"event":"answer","answer":{"columns":[%s],"rows":[%s],"study":%q,"confidence":0.95,"informs":%v,`+
			`"cost":{"mechanism":"laplace","epsilon":%g},"remaining":{"epsilon":3,"fraction":0.25},"hospitals":{"answered":["a","b"],"missing":[]}}}`+"\n",
			columns, rows, q.Study, informs, max(q.Epsilon, 0.5))
	}
	switch {
	case strings.Contains(q.SQL, "slow"):
		w.Header().Set("Content-Type", "application/x-ndjson")
		io.WriteString(w, `{"event":"progress","progress":{"hospital":"a","state":"running","seconds":0.1,"code":"","why":""}}`+"\n")
		w.(http.Flusher).Flush()
		d.hang <- struct{}{}
		<-r.Context().Done()
		d.hang <- struct{}{}
	case strings.HasPrefix(q.SQL, "DESCRIBE "), q.SQL == "SHOW TABLES":
		answer(`{"name":"column","type":"text"}`, `["`+q.SQL+`"]`, true)
	case strings.Contains(q.SQL, "agee"):
		before, _, _ := strings.Cut(q.SQL, "agee")
		at := len(before)
		line, start := 1+strings.Count(before, "\n"), strings.LastIndexByte(before, '\n')+1
		write(400, httpapi.Failure{Error: httpapi.Error{
			Code: "UNKNOWN_COLUMN", Message: "there is no column agee", Hint: "did you mean age?", Line: line, Column: at - start + 1, Offset: at, Length: 4,
		}})
	default:
		answer(`{"name":"sex","type":"text"},{"name":"n","type":"int","noisy":true}`,
			`["F",{"value":1041,"low":1020,"high":1062}],["M",{"value":720,"low":700,"high":740}]`, false)
	}
}

// TestShell runs the sessions of testdata/shell: input, and the shell's output. At the end comes what the coordinator
// was asked.
func TestShell(t *testing.T) {
	datadriven.RunTest(t, "testdata/shell", func(t *testing.T, c *datadriven.TestData) string {
		d := &desk{studies: []string{"diabetes"}}
		args := []string{"shell", "--study", ""}
		for _, a := range c.CmdArgs {
			if a.Key == "studies" {
				d.studies = a.Vals
				continue
			}
			args = append(args, "--"+a.Key, a.Vals[0])
		}
		code, out, messages := askServer(t, t.Context(), d.ServeHTTP, c.Input+"\n", args...)
		if messages != "" {
			out += "-- stderr\n" + messages
		}
		for _, q := range d.asked {
			b, _ := json.Marshal(q)
			out += "-- asked " + string(b) + "\n"
		}
		return out + fmt.Sprintf("-- exit %d\n", code)
	})
}

// A redirected answer is only in the file.
func TestShellRedirects(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.txt")
	input := "\\o " + file + "\nSELECT 1;\n\\chart\n\\o\nSELECT 2;\n"
	code, out, messages := askServer(t, t.Context(), (&desk{studies: []string{"s"}}).ServeHTTP, input, "shell")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if code != 0 || messages != "" || strings.Count(out, "1041 ± 21") != 1 || strings.Count(string(b), "1041 ± 21") != 2 {
		t.Errorf("exit %d, stdout\n%s\nfile\n%s\nstderr %s", code, out, b, messages)
	}
}

func TestShellTiming(t *testing.T) {
	code, out, _ := askServer(t, t.Context(), (&desk{studies: []string{"s"}}).ServeHTTP, "\\timing\nSELECT 1;\n", "shell")
	if code != 0 || !strings.Contains(out, "Timing is on.\n") || strings.Count(out, "Time: 0.") != 2 {
		t.Errorf("exit %d, %s", code, out)
	}
}

// The SQL is split where a person would split it.
func TestShellStatements(t *testing.T) {
	d := &desk{studies: []string{"s"}}
	input := "-- a comment; not a statement\nSELECT ';' /* ; */, \"a;b\" -- ;\nFROM person; SELECT 2; SELECT\n\n 3\n;;\n"
	if code, _, messages := askServer(t, t.Context(), d.ServeHTTP, input, "shell"); code != 0 {
		t.Fatal(messages)
	}
	var got []string
	for _, q := range d.asked {
		got = append(got, q.SQL)
	}
	want := []string{"SELECT ';' /* ; */, \"a;b\" -- ;\nFROM person", "SELECT 2", "SELECT\n\n 3"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("asked %q", got)
	}
}

func TestShellCompletes(t *testing.T) {
	s := &shellSession{catalog: &httpapi.Catalog{Tables: []httpapi.Table{
		{Name: "person", Columns: []httpapi.CatalogColumn{{Name: "person_id"}, {Name: "sex"}}},
		{Name: "condition_era", Columns: []httpapi.CatalogColumn{{Name: "person_id"}, {Name: "condition_concept_id"}}},
	}}}
	s.last = &httpapi.Answer{Columns: []httpapi.Column{{Name: "n"}}}
	for _, c := range []struct{ buffer, before, after, want string }{
		{"", `\b`, "", `\budget`},
		{"", `\d p`, "", "person"},
		{"", `\set eps`, "", "epsilon"},
		{"", `\chart `, "", "bar line n"},
		{"", "SELECT COUNT(*) FROM ", "", "person condition_era"},
		{"", "SELECT COUNT(*) FROM per", "", "person"},
		{"", "SELECT c.", " FROM condition_era AS c", "person_id condition_concept_id"},
		{"SELECT COUNT(*)\nFROM person\n", "WHERE se", "", "sex second( select session_user"},
		{"", "SELECT sex, MEDI", "", "MEDIAN("},
		{"", "SELECT sex, medi", "", "median("},
		{"", "sele", "", "select"},
		{"", "SELECT con", "", "condition_concept_id condition_era concat( contains("},
		{"", "SELECT 1 FROM person p WHERE p.s", "", "sex"},
		{"", `\timing `, "", ""},
	} {
		s.buffer = c.buffer
		head, options, tail := s.complete(c.before, c.after)
		if got := strings.Join(options, " "); got != c.want || tail != c.after || !strings.HasPrefix(c.before, head) {
			t.Errorf("%q: %q, %q, %q", c.before, head, got, tail)
		}
	}
}

// The first Ctrl-C cancels the query at the coordinator, the second leaves.
func TestShellInterrupt(t *testing.T) {
	interrupts := make(chan os.Signal)
	var messages strings.Builder
	s := &shellSession{messages: &messages, screen: io.Discard, interrupts: interrupts}
	err := s.run(t.Context(), func(ctx context.Context) error {
		go func() { interrupts <- os.Interrupt }()
		<-ctx.Done()
		return context.Canceled
	})
	if !errors.Is(err, context.Canceled) || !strings.Contains(messages.String(), "Ctrl-C again leaves") {
		t.Errorf("%v, %q", err, messages.String())
	}
	stuck := make(chan struct{})
	defer close(stuck)
	err = s.run(t.Context(), func(context.Context) error {
		go func() { interrupts <- os.Interrupt; interrupts <- os.Interrupt }()
		<-stuck
		return nil
	})
	if !errors.Is(err, errLeave) {
		t.Errorf("%v", err)
	}
}

// docs/shell.md documents every command of the shell.
func TestShellIsDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/shell.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands() {
		if !strings.Contains(string(b), "`"+c.name) {
			t.Errorf("docs/shell.md does not tell of %s", c.name)
		}
	}
}

// A statement comes back whole from the history, with the same meaning.
func TestRemembered(t *testing.T) {
	for typed, want := range map[string]string{
		"select 1;\n":  "select 1;",
		" \n":          "",
		"\\d person\n": "\\d person",
		"select a,\n  b -- why; not\n  from t;\n":  "select a, b from t;",
		"select /*+ epsilon=0.1 */\ncount(*);\n":   "select /*+ epsilon=0.1 */ count(*);",
		"select\n/*+ epsilon=0.1 */ count( * );\n": "select /*+ epsilon=0.1 */ count( * );",
		"select 'a\nb';\n":                         "select 'a|b';",
		"select 1; -- one\n":                       "select 1; -- one",
		"select 1 -- a /* b\n;\n":                  "select 1 -- a /* b|;",
	} {
		if got := strings.Join(remembered(typed), "|"); got != want {
			t.Errorf("%q is kept as %q, not %q", typed, got, want)
		}
	}
}
