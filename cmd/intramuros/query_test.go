package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/httpapi"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/planner"
)

// askServer runs one command line against a server with this handler, over HTTPS with a certificate of a federation's
// authority.
func askServer(t *testing.T, ctx context.Context, answer http.HandlerFunc, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	serve(t, answer, func(token string) {
		var out, messages strings.Builder
		args = append(args, "--token-file", token)
		code = Run(ctx, args, strings.NewReader(stdin), &out, &messages)
		stdout, stderr = out.String(), messages.String()
	})
	return code, stdout, stderr
}

// serve runs the server, named in the environment, while do runs with the file of a token.
func serve(t *testing.T, answer http.HandlerFunc, do func(token string)) {
	t.Helper()
	dir := t.TempDir()
	ca, err := pki.CreateAuthority(dir, "test", time.Hour)
	if err == nil {
		err = ca.Issue(dir, pki.Identity{Federation: "test", Role: pki.RoleCoordinator, Name: "c"}, []string{"127.0.0.1"}, time.Hour)
	}
	if err != nil {
		t.Fatal(err)
	}
	conf, err := pki.HTTPServerTLS(filepath.Join(dir, "coordinator-c.pem"), filepath.Join(dir, "coordinator-c.key"))
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: answer, TLSConfig: conf, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- s.ServeTLS(lis, "", "") }()
	defer func() { s.Close(); <-served }()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("INTRAMUROS_SERVER", "https://"+lis.Addr().String())
	t.Setenv("INTRAMUROS_CA", filepath.Join(dir, "ca.pem"))
	t.Setenv("INTRAMUROS_STUDY", "s")
	do(token)
}

func TestQueryCommand(t *testing.T) {
	var asked httpapi.Request
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("authorization is %q", r.Header.Get("Authorization"))
		}
		asked = httpapi.Request{}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", r.Header.Get("Accept"))
		switch r.Header.Get("Accept") {
		case "application/x-ndjson":
			io.WriteString(w, `{"event":"progress","progress":{"hospital":"a","state":"running","seconds":0,"code":"","why":""}}
{"event":"answer","answer":{"columns":[{"name":"n","type":"int","noisy":true}],"rows":[[{"value":10,"low":8,"high":12}]],"study":"s","confidence":0.95,"stored":true,"hospitals":{"answered":["a"],"missing":[]}}}
`)
		default:
			w.Header().Set("Intramuros-Paid", `{"study":"s","stored":false,"cost":{"mechanism":"gaussian","epsilon":0.2,"delta":0},"remaining":{"epsilon":3,"fraction":0.25}}`)
			io.WriteString(w, "as it is")
		}
	}
	code, out, messages := askServer(t, t.Context(), handler, "SELECT\n 2\n", "query", "--epsilon", "0.5", "--max-groups", "3", "-")
	if code != 0 || messages != "" || !strings.HasPrefix(out, "n\n") && !strings.Contains(out, "10 ± 2\n") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, out, messages)
	}
	if want := (httpapi.Request{SQL: "SELECT\n 2", Settings: coordinator.Settings{Study: "s", Ask: planner.Ask{Epsilon: 0.5, MaxGroups: 3}}}); !reflect.DeepEqual(asked, want) {
		t.Errorf("asked %+v", asked)
	}
	if code, _, messages := askServer(t, t.Context(), handler, "", "query", "--accuracy", "50", "SELECT 1"); code != 0 || asked.Accuracy == nil || asked.Accuracy.HalfWidth != 50 {
		t.Errorf("exit %d, stderr %q, asked %+v", code, messages, asked)
	}
	file := filepath.Join(t.TempDir(), "question.sql")
	if err := os.WriteFile(file, []byte("SELECT 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, messages := askServer(t, t.Context(), handler, "", "query", "-f", file); code != 0 || asked.SQL != "SELECT 3" {
		t.Errorf("exit %d, stderr %q, asked %+v", code, messages, asked)
	}
	const cost = "cost: epsilon 0.2 (gaussian noise)\nleft of study s: 75 %, the price of one query of epsilon 3\n"
	if code, out, messages := askServer(t, t.Context(), handler, "", "query", "--format", "csv", "SELECT 1"); code != 0 || out != "as it is" || messages != cost {
		t.Errorf("exit %d, stdout %q, stderr %q", code, out, messages)
	}
}

func TestQueryRefused(t *testing.T) {
	const sql = "SELECT COUNT(*)\nFROM person WHERE agee > 3"
	code, out, messages := askServer(t, t.Context(), func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(httpapi.Failure{Error: httpapi.Error{
			Code: "UNKNOWN_COLUMN", Message: "there is no column agee", Hint: "did you mean age?", Line: 2, Column: 19,
			Offset: strings.Index(sql, "agee"), Length: 4,
		}})
	}, "", "query", sql)
	want := `intramuros: UNKNOWN_COLUMN: there is no column agee

line 2, column 19:
  FROM person WHERE agee > 3
                    ^^^^
hint: did you mean age?
`
	if code != 1 || out != "" || messages != want {
		t.Errorf("exit %d, stdout %q, stderr\n%s\nnot\n%s", code, out, messages, want)
	}
}

func TestQueryBreaksOff(t *testing.T) {
	code, _, messages := askServer(t, t.Context(), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
	}, "", "query", "SELECT 1")
	if code != 1 || !strings.Contains(messages, "ended before the answer") {
		t.Errorf("exit %d, %s", code, messages)
	}
	ctx, cancel := context.WithCancel(t.Context())
	code, _, messages = askServer(t, ctx, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done() // the server notices
	}, "", "query", "SELECT 1")
	if code != 1 || !strings.Contains(messages, "canceled") {
		t.Errorf("exit %d, %s", code, messages)
	}
}

func TestQueryUsage(t *testing.T) {
	never := func(http.ResponseWriter, *http.Request) { t.Error("asked") }
	for _, args := range [][]string{
		{"query"}, {"query", "SELECT", "1"}, {"query", "--format", "xml", "SELECT 1"}, {"query", "--nonsense", "SELECT 1"},
		{"query", "--server", "http://example.org", "SELECT 1"}, {"query", "--study", "", "SELECT 1"},
		{"query", "--accuracy", "fine", "SELECT 1"}, {"query", "--accuracy", "50", "--epsilon", "1", "SELECT 1"}, {"explain"}, {"coordinator"},
	} {
		if code, out, messages := askServer(t, t.Context(), never, "", args...); code != 2 || out != "" || messages == "" {
			t.Errorf("%q: exit %d, %q, %q", args, code, out, messages)
		}
	}
}

// A server with a certificate of another authority is not trusted.
func TestQueryTrustsItsAuthority(t *testing.T) {
	other := httptest.NewUnstartedServer(http.NotFoundHandler())
	other.Config.ErrorLog = log.New(io.Discard, "", 0)
	other.StartTLS()
	defer other.Close()
	code, _, messages := askServer(t, t.Context(), nil, "", "query", "--server", other.URL, "SELECT 1")
	if code != 1 || !strings.Contains(messages, "a certificate of another authority than that in ") {
		t.Errorf("exit %d, %s", code, messages)
	}
}

func TestExplainCommand(t *testing.T) {
	code, out, messages := askServer(t, t.Context(), func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"plan": "read person\n", "cost": {"epsilon": 0.5}, "allowed": true, "confidence": 0.95,
			"remaining": {"epsilon": 1, "fraction": 0.5},
			"researcher": {"budget": {}, "remaining": {"epsilon": 0.25, "fraction": 0.75}}, "expected": [{"column": "n", "half_width": 6.2, "note": ""}],
			"sql": [{"engine": "duckdb", "sql": "SELECT\n1", "hospitals": ["a", "b"]}],
			"keys": [{"hospital": "a", "fingerprint": "12ab 34cd"}, {"hospital": "b", "fingerprint": ""}], "problems": [{"name": "c", "code": "NOT_JOINED", "why": "is away"}]}`)
	}, "", "explain", "SELECT 1")
	want := `plan
  read person

cost
  epsilon 0.5
  left of study s: 50 %, the price of one query of epsilon 1
  left of your own budget over all studies: 25 %, the price of one query of epsilon 0.25

expected error, with 95 % confidence
  n: ± 6.2

duckdb at a, b
  SELECT
  1

sealed: keys of the hospitals that mask
  a 12ab 34cd
  b tells none (an earlier release)
  The coordinator relays these fingerprints, and could relay wrong ones: compare each with the hospital's custodian by telephone.

would not answer
  c is away (NOT_JOINED)
`
	if code != 0 || messages != "" || out != want {
		t.Errorf("exit %d, stderr %q, stdout\n%s\nnot\n%s", code, messages, out, want)
	}
}
