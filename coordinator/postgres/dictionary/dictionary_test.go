package dictionary

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"
	"go.uber.org/goleak"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/worker"
)

func TestMain(m *testing.M) {
	worker.Main(map[string]worker.Role{RoleName: Role})
	goleak.VerifyTestMain(m)
}

const testCatalog = `catalog: test
tables:
  person:
    description: one row a patient
    key: id
    patient: id
    one_row_per_patient: true
    columns:
      id: {type: int, nullable: false}
      sex: {type: text, nullable: false, domain: [F, M], description: "recorded, it's that"}
      born: {type: date}
  visit:
    key: [id, line]
    patient: person
    columns:
      id: {type: int, nullable: false}
      line: {type: int, nullable: false}
      person: {type: int, nullable: false, references: person.id}
      at: {type: timestamp}
      cost: {type: float, bounds: [0, 10]}
      paid: {type: bool}
`

func parsed(t testing.TB) *catalog.Catalog {
	t.Helper()
	c := testcatalog.Parse(t, testCatalog)
	return c
}

func open(t testing.TB) *Dictionary {
	t.Helper()
	d, err := Open(context.Background(), parsed(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

var ada = Session{User: "ada", Database: "trial", Process: 7, Setting: func(name string) string {
	return map[string]string{"epsilon": "0.5", "server_version_num": "150000", "search_path": "public"}[name]
}}

// TestQuestions reads testdata. Each question is answered with its columns, their OIDs and rows, or with why it is not
// covered. columns_only marks a question about patients that asks for columns alone. It runs in this process and in
// workers.
func TestQuestions(t *testing.T) {
	t.Run("here", func(t *testing.T) { testQuestions(t, open(t)) })
	t.Run("apart", func(t *testing.T) { testQuestions(t, start(t, Memory)) })
}

func testQuestions(t *testing.T, d *Dictionary) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			statement := sqltoken.Statements(td.Input)[0]
			if !About(statement.Tokens) && td.Cmd != "columns_only" {
				return "about patients\n"
			}
			prepare := d.Prepare
			if td.Cmd == "columns_only" {
				prepare = d.PrepareSchema
			}
			q, err := prepare(context.Background(), statement, ada)
			if err != nil {
				if !errors.Is(err, ErrNotCovered) {
					t.Errorf("%v is no ErrNotCovered", err)
				}
				return err.Error() + "\n"
			}
			var args []any
			for _, arg := range td.CmdArgs {
				for _, v := range arg.Vals {
					args = append(args, v)
				}
			}
			rows, err := q.Run(context.Background(), args)
			if err != nil {
				return err.Error() + "\n"
			}
			var b strings.Builder
			for i, c := range q.Columns {
				if i > 0 {
					b.WriteString(" | ")
				}
				fmt.Fprintf(&b, "%s:%d", c.Name, c.OID)
			}
			for _, row := range rows {
				b.WriteByte('\n')
				for i, v := range row {
					if i > 0 {
						b.WriteString(" | ")
					}
					fmt.Fprint(&b, v)
				}
			}
			return b.String() + "\n"
		})
	})
}

// TestNobodySeesOthers checks that no catalog and no view shows a person or a study to others, although they share the
// database.
func TestNobodySeesOthers(t *testing.T) {
	d := open(t)
	other := ada
	other.User, other.Database = "zacharias", "secret-study"
	ask := func(name string, who Session) string {
		t.Helper()
		q, err := d.Prepare(t.Context(), sqltoken.Statements("SELECT * FROM " + name)[0], who)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rows, err := q.Run(t.Context(), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return fmt.Sprint(rows)
	}
	seen := 0
	for _, schema := range []string{"pg_catalog", "information_schema"} {
		list, err := os.ReadFile(schema + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(list)) {
			name := schema + "." + strings.Fields(line)[0]
			if strings.Contains(ask(name, other), "zacharias") {
				seen++
			}
			if shown := ask(name, ada); strings.Contains(shown, "zacharias") || strings.Contains(shown, "secret-study") {
				t.Errorf("%s shows ada who else asks, or of what study", name)
			}
		}
	}
	if seen == 0 {
		t.Error("nobody sees themselves, so that this test sees nothing")
	}
}

// TestEveryView checks that every catalog and view of PostgreSQL 15's pg_catalog and information_schema exists with
// each of its columns, as pg_catalog.txt and information_schema.txt list them.
func TestEveryView(t *testing.T) {
	d := open(t)
	for _, schema := range []string{"pg_catalog", "information_schema"} {
		list, err := os.ReadFile(schema + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(list)) {
			names := strings.Fields(line)
			name := schema + "." + names[0]
			q, err := d.Prepare(context.Background(), sqltoken.Statements("SELECT * FROM " + name)[0], ada)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if _, err := q.Run(context.Background(), nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			var lacking []string
			for _, name := range names[1:] {
				if !slices.ContainsFunc(q.Columns, func(c Column) bool { return c.Name == name }) {
					lacking = append(lacking, name)
				}
			}
			if len(lacking) > 0 {
				t.Errorf("%s lacks %v", name, lacking)
			}
		}
	}
}

// These questions try to do more than read the catalog.
func TestHarmless(t *testing.T) {
	d := open(t)
	for _, sql := range []string{
		"SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM '/etc/passwd'", "SELECT read_text('/etc/passwd')", "SELECT * FROM duckdb_settings()", "SELECT * FROM duckdb_secrets",
		"COPY pg_class TO '/tmp/x'", "ATTACH 'x' AS pg_x", "CREATE TABLE pg_x(a int)", "INSERT INTO pg_class VALUES (1)", "SET threads = 4", "PRAGMA version", "INSTALL httpfs",
		"SELECT getenv('HOME'), pg_backend_pid()", "SELECT pg_catalog.pg_read_file('/etc/passwd')", "SELECT * FROM pg_catalog.read_csv('x')", "SELECT 1; DROP TABLE pgc.pg_class",
		"SELECT * FROM glob('*')", `SELECT "read_text"('/etc/passwd')`, "SELECT query('DROP TABLE pg_class')", "SELECT pg_sleep(100)", "SELECT * FROM pgc.pg_class, read_blob ('x')",
		"SELECT * FROM sqlite_master", "SELECT repeat('x', 1000000000)", "WITH x AS (DELETE FROM pg_class RETURNING 1) SELECT 1",
	} {
		for _, s := range sqltoken.Statements(sql) {
			q, err := d.Prepare(context.Background(), s, ada)
			if err == nil {
				_, err = q.Run(context.Background(), nil)
			}
			if !errors.Is(err, ErrNotCovered) && s.Text != "SELECT 1" {
				t.Errorf("%s: %v", s.Text, err)
			}
		}
	}
	// A question that never ends, or fills the memory, is ended.
	q, err := d.Prepare(context.Background(), sqltoken.Statements("SELECT count(*) FROM generate_series(1, 3000000000000) a, pg_class")[0], ada)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := q.Run(ctx, nil); err == nil {
		t.Error("an endless question was answered")
	}
	q, err = d.Prepare(context.Background(), sqltoken.Statements("SELECT count(*) FROM pg_class")[0], ada)
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := q.Run(context.Background(), nil); err != nil || fmt.Sprint(rows) != "[[4]]" {
		t.Errorf("afterwards there are %v tables and indexes, %v", rows, err)
	}
}

// These are the worst questions of the allowed length.
func TestLongQuestions(t *testing.T) {
	d := open(t)
	for _, unit := range []string{"a::regclass", "::regclass", "(a)::regtype", "'x'::regclass.", "CAST(", "(", "generate_series(", "~'a'", "$a$", "/*", "- ", "a COLLATE b.c", "SELECT ("} {
		s := sqltoken.Statements("SELECT pg_x " + strings.Repeat(unit, (maxText-20)/len(unit)))[0]
		if q, err := d.Prepare(context.Background(), s, ada); err == nil {
			t.Errorf("%s…: %+v", unit, q.Columns)
		}
	}
	if _, err := d.Prepare(context.Background(), sqltoken.Statements("SELECT " + strings.Repeat("1 + ", maxText) + "1")[0], ada); !errors.Is(err, ErrNotCovered) {
		t.Errorf("a long question: %v", err)
	}
}

// Concurrent sessions of different studies each see their own database.
func TestSessionsApart(t *testing.T) {
	d := open(t)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			s := ada
			s.Database = fmt.Sprint("study-", i)
			for range 5 {
				q, err := d.Prepare(context.Background(), sqltoken.Statements("SELECT datname, current_database() FROM pg_database")[0], s)
				if err != nil {
					t.Error(err)
					return
				}
				rows, err := q.Run(context.Background(), nil)
				if want := "[[" + s.Database + " " + s.Database + "]]"; err != nil || fmt.Sprint(rows) != want {
					t.Errorf("%v, %v, not %s", rows, err, want)
				}
			}
		})
	}
	wait.Wait()
}

func FuzzRewrite(f *testing.F) {
	for _, s := range []string{"SELECT 'a'::regclass", "SELECT a.b::regtype::text FROM pg_x a", "CAST(x AS", "OPERATOR(", "x COLLATE", "generate_series(1,2) s", "a ~", "::", "pg_catalog.", "current_setting('x"} {
		f.Add(s)
	}
	d := &Dictionary{}
	f.Fuzz(func(_ *testing.T, sql string) {
		_, _ = d.rewrite(sql, sqltoken.Tokens(sql), ada, len(sql)%2 == 0)
	})
}

// TestOtherTokens checks that text that DuckDB splits into other tokens than we do never reaches it.
func TestOtherTokens(t *testing.T) {
	d := open(t)
	for _, sql := range []string{"SELECT `(SELECT 1)`", "SELECT * FROM pg_class \u200d ('x')", "SELECT ‘x’"} {
		if text, err := d.rewrite(sql, sqltoken.Tokens(sql), ada, false); !errors.Is(err, ErrNotCovered) {
			t.Errorf("%s becomes %q (%v)", sql, text, err)
		}
	}
}

// If the catalog has the hospital's name, it is a column of each table with patients, as in queries.
func TestHospital(t *testing.T) {
	c := testcatalog.Parse(t, strings.Replace(testCatalog, "tables:", "hospital_column: true\ntables:", 1))
	d, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	q, err := d.Prepare(context.Background(), sqltoken.Statements("SELECT table_name, ordinal_position, is_nullable FROM information_schema.columns WHERE column_name = 'hospital' ORDER BY 1")[0], ada)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := q.Run(context.Background(), nil)
	if err != nil || fmt.Sprint(rows) != "[[person 4 NO] [visit 7 NO]]" {
		t.Errorf("%v, %v", rows, err)
	}
}
