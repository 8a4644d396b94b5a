package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const publicCatalog = `
catalog: public
max_sites: 1
tables:
  visit: {key: id, patient: pid, columns: {id: {type: int, nullable: false}, pid: {type: int, nullable: false}, code: {type: int, nullable: false, domain: [1, 2, 3]}}}
  term: {public: true, key: code, columns: {code: {type: int, nullable: false}, name: {type: text}, chapter: {type: text}, since: {type: date}, weight: {type: float}}}
  long: {public: true, columns: {n: {type: int}}}
  own: {public: true, columns: {what: {type: text}}}
`

// publicFederation starts hospitals with the same public tables, except that those in other have another name in them,
// and those in without have no terms.
func publicFederation(t *testing.T, hospitals, other, without []string, adjust func(f *federation)) *federation {
	t.Helper()
	o, dir := newOracle(t), t.TempDir()
	catalog := filepath.Join(dir, "catalog.yaml")
	if err := os.WriteFile(catalog, []byte(publicCatalog), 0o600); err != nil {
		t.Fatal(err)
	}
	folders := map[string]string{}
	for _, name := range hospitals {
		folder := filepath.Join(dir, name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		folders[name] = folder
		third := "carcinoma"
		if slices.Contains(other, name) {
			third = "carcinoma of " + name
		}
		publicTables(o, folder, name, third)
		o.do("COPY (SELECT range AS id, range AS pid, 1 + range % 2 AS code FROM range(200)) TO '" + folder + "/visit.parquet'")
		if slices.Contains(without, name) {
			if err := os.Remove(filepath.Join(folder, "term.parquet")); err != nil {
				t.Fatal(err)
			}
		}
	}
	f := newFederation(t, shape{catalog: catalog, folders: folders, threads: 1})
	if adjust != nil {
		adjust(f)
	}
	f.startCoordinator()
	for _, name := range hospitals {
		f.startNode(name)
	}
	f.await(hospitals...)
	return f
}

func publicTables(o *oracle, folder, own, third string) {
	o.do(fmt.Sprintf(`COPY (SELECT * FROM (VALUES (1, 'Asthma', 'lung', DATE '1990-02-28', 0.5), (2, 'gout', NULL, NULL, -0.25), (3, '%s', 'lung', DATE '2001-01-01', NULL),
		(4, 'É "q"', 'skin', DATE '1999-12-31', 1e10)) t (code, name, chapter, since, weight)) TO '%s/term.parquet'`, third, folder))
	o.do("COPY (SELECT range AS n FROM range(10001)) TO '" + folder + "/long.parquet'")
	o.do("COPY (SELECT '" + own + "' AS what) TO '" + folder + "/own.parquet'")
}

// publicRows writes the values of rows, one line for each.
func publicRows(a *answer) string {
	var b strings.Builder
	for _, row := range a.Rows {
		for i, c := range row {
			if i > 0 {
				b.WriteString(" | ")
			}
			fmt.Fprint(&b, c.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// publicQuestions are questions about public tables only, and their answers.
var publicQuestions = []struct{ sql, want string }{
	{"SELECT * FROM term WHERE code IN (1, 2) ORDER BY code", "1 | Asthma | lung | 1990-02-28 | 0.5\n2 | gout | <nil> | <nil> | -0.25\n"},
	// NULL comes first, and Asthma before carcinoma
	{"SELECT name FROM term ORDER BY chapter DESC, name LIMIT 2 OFFSET 1", "É \"q\"\nAsthma\n"},
	{"SELECT chapter, COUNT(*) AS n, MIN(since), MAX(weight) FROM term GROUP BY chapter HAVING COUNT(*) > 1", "lung | 2 | 1990-02-28 | 0.5\n"},
	{"SELECT DISTINCT chapter FROM term ORDER BY 1", "lung\nskin\n<nil>\n"},
	{"SELECT COUNT(*) FROM term WHERE name LIKE '%a%' AND code < 3", "1\n"},
	{"SELECT a.name FROM term a JOIN term b ON a.chapter = b.chapter AND a.code < b.code", "Asthma\n"},
	{"SELECT name FROM term WHERE code IN (SELECT code FROM term ORDER BY code DESC LIMIT 1)", "É \"q\"\n"},
	{"SELECT n FROM long ORDER BY n DESC LIMIT 2", "10000\n9999\n"},
	{"SELECT COUNT(*), SUM(n) FROM long WHERE n < 1000", "1000 | 499500\n"},
	{"SELECT name FROM term LIMIT 0", ""},
	{"SELECT name FROM term WHERE code = 99", ""},
}

// TestPublicTables checks that a question about public tables is answered like one database answers it, at no price,
// from what most hospitals hold. A hospital whose copy differs is named.
func TestPublicTables(t *testing.T) {
	f := publicFederation(t, []string{"a", "b", "c", "d"}, []string{"b"}, []string{"d"}, nil)
	before := f.remaining()
	for _, q := range publicQuestions {
		a, err := f.query(request{SQL: q.sql})
		switch {
		case err != nil:
			t.Errorf("%s: %v", q.sql, err)
			continue
		case publicRows(a) != q.want:
			t.Errorf("%s gives\n%swant\n%s", q.sql, publicRows(a), q.want)
		case a.Cost.Epsilon != 0 || a.Stored:
			t.Errorf("%s cost %v", q.sql, a.Cost)
		}
	}
	a, err := f.query(request{SQL: "SELECT name FROM term WHERE code = 3"})
	if err != nil || publicRows(a) != "carcinoma\n" || !slices.Equal(a.Hospitals.Answered, []string{"a", "c"}) ||
		!slices.ContainsFunc(a.Warnings, func(w string) bool { return strings.Contains(w, "other rows at b ") }) {
		t.Errorf("%v, %v", a, err)
	}
	refused := func(sql, code, text string) {
		t.Helper()
		if _, err := f.query(request{SQL: sql}); err == nil || !strings.Contains(err.Error(), code) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %s and %q", sql, err, code, text)
		}
	}
	refused("SELECT * FROM own", "PUBLIC_DIFFERS", "a; b; c; d")
	refused("SELECT * FROM long", "TOO_LARGE", "10000 rows")
	refused("SELECT pid FROM visit", "ROW_LEVEL", "")
	refused("SELECT t.name FROM term t, visit v", "ROW_LEVEL", "")
	refused("SELECT name FROM term WHERE code IN (SELECT code FROM visit)", "NO_PATIENT", "")
	if a, err := f.query(request{SQL: "SELECT /*+ hospitals = 'b' */ * FROM own"}); err != nil || publicRows(a) != "b\n" {
		t.Errorf("%v, %v", a, err)
	}

	// Joined with released rows.
	for _, q := range publicQuestions2 {
		a, err := f.query(request{SQL: q.sql, Epsilon: exactEpsilon})
		if err != nil || publicRows(a) != q.want {
			t.Errorf("%s: %v\n%v", q.sql, a, err)
		}
	}
	if spent := before - f.remaining(); spent > exactEpsilon*float64(len(publicQuestions2))+1 {
		t.Errorf("%g was spent", spent)
	}
	var e struct {
		Plan   string
		Public bool
		Stored bool
	}
	if err := f.fetch(t.Context(), "POST", "/v1/explain", request{SQL: "SELECT name FROM term", Study: studyID}, &e); err != nil || !e.Public || e.Stored || !strings.Contains(e.Plan, "public tables only") {
		t.Errorf("%+v, %v", e, err)
	}
	text := f.must("ledger", "show", "--file", f.path("a.ledger"))
	if !strings.Contains(text, "rows of what is public by the catalog (term) left") {
		t.Errorf("the custodian's ledger tells nothing of lookups:\n%s", text)
	}
	shown, err := f.command(t.Context(), "query", "SELECT name FROM term ORDER BY name LIMIT 1").CombinedOutput()
	if err != nil || !strings.Contains(string(shown), "Asthma") || !strings.Contains(string(shown), "cost: nothing, public tables only") {
		t.Errorf("%v\n%s", err, shown)
	}
}

var publicQuestions2 = []struct{ sql, want string }{
	{"SELECT t.name, r.n FROM (SELECT code, COUNT(*) AS n FROM visit GROUP BY code) r JOIN term t ON t.code = r.code WHERE t.code < 3 ORDER BY t.name", "Asthma | 400\ngout | 400\n"},
	{"SELECT t.name, COALESCE(r.n, 0) AS n FROM term t LEFT JOIN (SELECT code, COUNT(*) AS n FROM visit GROUP BY code) r ON r.code = t.code WHERE t.code <> 3 ORDER BY t.code", "Asthma | 400\ngout | 400\nÉ \"q\" | 0\n"},
	{"SELECT t.chapter, SUM(r.n) AS n FROM (SELECT code, COUNT(*) AS n FROM visit GROUP BY code) r JOIN term t ON t.code = r.code AND t.chapter IS NOT NULL GROUP BY 1", "lung | 400\n"},
	{"SELECT r.n FROM (SELECT code, COUNT(*) AS n FROM visit GROUP BY code) r WHERE r.code IN (SELECT code FROM term WHERE name = 'gout')", "400\n"},
}

// TestPublicCopy checks that with its own copy, the coordinator asks no hospital and reads only what the catalog calls
// public.
func TestPublicCopy(t *testing.T) {
	dir := t.TempDir()
	publicTables(newOracle(t), dir, "hub", "carcinoma")
	f := publicFederation(t, []string{"a"}, nil, nil, func(f *federation) {
		text, err := os.ReadFile(f.path("coordinator.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		f.write("coordinator.yaml", string(text)+"public: {duckdb: {folder: "+dir+", memory_limit: 256MB}}\n")
		if text, err = os.ReadFile(f.path("a.yaml")); err != nil {
			t.Fatal(err)
		}
		f.write("a.yaml", strings.Replace(string(text), "limits: {", "limits: {public_rows: 0, ", 1))
	})
	for _, q := range append(publicQuestions, struct{ sql, want string }{"SELECT * FROM own", "hub\n"}) {
		if a, err := f.query(request{SQL: q.sql}); err != nil || publicRows(a) != q.want {
			t.Errorf("%s: %v, %v", q.sql, a, err)
		}
	}
	if _, err := f.query(request{SQL: "SELECT * FROM long"}); err == nil || !strings.Contains(err.Error(), "TOO_LARGE") {
		t.Error(err)
	}
	if text := f.must("ledger", "show", "--file", f.path("a.ledger")); strings.Contains(text, "rows of what is public") {
		t.Errorf("the hospital was asked:\n%s", text)
	}
}

// TestPublicRefused checks that a hospital which releases no rows of public tables does not answer, and that one
// hospital alone is no majority of two.
func TestPublicRefused(t *testing.T) {
	f := publicFederation(t, []string{"a", "b"}, []string{"b"}, nil, nil)
	if _, err := f.query(request{SQL: "SELECT name FROM term WHERE code = 3"}); err == nil || !strings.Contains(err.Error(), "PUBLIC_DIFFERS") {
		t.Error(err)
	}
	if a, err := f.query(request{SQL: "SELECT name FROM term WHERE code = 1"}); err != nil || publicRows(a) != "Asthma\n" {
		t.Error(a, err)
	}
	f.killNode("b")
	f.awaitPresence(false, "b")
	begun := time.Now()
	// only the hospitals that are present count
	if _, err := f.query(request{SQL: "SELECT name FROM term WHERE code = 3"}); err != nil {
		t.Error(err, time.Since(begun))
	}
}
