package integration

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/postgres"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
	"github.com/intramuros/intramuros/node/engine/trino"
	"github.com/intramuros/intramuros/node/engine/trino/trinotest"
)

// Hospitals with databases of different kinds, over the data of the synthetic federation. DuckDB reads Rennes' files,
// and PostgreSQL has Lyon's rows. With INTRAMUROS_TRINO, Trino has Lille's; otherwise DuckDB reads them too.

// mixed is a pairing whose hospitals have databases of different kinds.
type mixed struct {
	*pairing
	postgres *postgrestest.Server
	trino    *trinotest.Server // nil if there is none
	schemas  map[string]string // by hospital
	files    []runner          // DuckDB over each hospital's files
}

func newMixed(t *testing.T, patients int) *mixed {
	t.Helper()
	m := &mixed{postgres: postgrestest.Start(t), schemas: map[string]string{}}
	if os.Getenv("INTRAMUROS_TRINO") != "" {
		m.trino = trinotest.Start(t)
	}
	m.pairing = syntheticPairing(t, patients)
	m.files = slices.Clone(m.engines)
	for i, h := range m.hospitals {
		var e runner
		var err error
		key := []byte("the key of the differential tests")
		switch {
		case h == "lyon":
			m.schemas[h] = m.postgres.Fill(t, m.tables(t, h)...)
			e, err = postgres.Open(t.Context(), postgres.Config{Host: m.postgres.Folder, Port: m.postgres.Port, Database: postgrestest.Database, User: postgrestest.Reader, Schema: m.schemas[h]}, m.catalog, h, key)
		case h == "lille" && m.trino != nil:
			m.schemas[h] = m.trino.Fill(t, m.tables(t, h)...)
			e, err = trino.Open(t.Context(), trino.Config{URL: m.trino.URL, Catalog: "memory", Schema: m.schemas[h], User: "intramuros", DataVersion: "one"}, m.catalog, h, key)
		default:
			continue
		}
		if err != nil {
			t.Fatal(err, errors.Unwrap(err))
		}
		t.Cleanup(func() { e.(interface{ Close() error }).Close() })
		m.engines[i] = e
	}
	return m
}

// tables reads a hospital's files.
func (m *mixed) tables(t *testing.T, hospital string) []enginetest.Table {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tables []enginetest.Table
	for _, of := range m.catalog.Tables {
		path := filepath.Join(m.folders[hospital], of.Name+".parquet")
		if _, err := os.Stat(path); err != nil {
			continue
		}
		tables = append(tables, readTable(t, db, of, path))
	}
	return tables
}

// readTable reads the columns of a Parquet file that a catalog table has, in the catalog's types.
func readTable(t *testing.T, db *sql.DB, of *catalog.Table, path string) enginetest.Table {
	t.Helper()
	described, err := db.Query(fmt.Sprintf("SELECT * FROM read_parquet('%s') LIMIT 0", path))
	if err != nil {
		t.Fatal(err)
	}
	names, err := described.Columns()
	if err = errors.Join(err, described.Close()); err != nil {
		t.Fatal(err)
	}
	table := enginetest.Table{Name: of.Name}
	var columns []string
	for _, name := range names {
		if c, ok := of.Column(name); ok {
			table.Columns = append(table.Columns, enginetest.Column{Name: c.Name, Type: c.Type})
			columns = append(columns, fmt.Sprintf("TRY_CAST(%s AS %s)", c.Name, duckTypes[c.Type]))
		}
	}
	rows, err := db.Query(fmt.Sprintf("SELECT %s FROM read_parquet('%s')", strings.Join(columns, ", "), path))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i, cell := range row {
			at, ok := cell.(time.Time)
			switch {
			case ok && table.Columns[i].Type == value.TypeDate:
				row[i] = enginetest.Day(at.Unix() / 86400)
			case ok:
				row[i] = enginetest.Instant(at.UnixMicro())
			}
		}
		table.Rows = append(table.Rows, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return table
}

// TestEngines checks that hospitals with different databases answer like one DuckDB over the union of their rows.
func TestEngines(t *testing.T) {
	m := newMixed(t, 900) // with this number, no mean is so near to a group's limit that rounding of float64 decides
	t.Run("cookbook", m.cookbook)
	t.Run("processes", m.processes)
}

// cookbook asks every question of the cookbook, without noise.
func (m *mixed) cookbook(t *testing.T) {
	recipes, substance := readCookbook(t, "../docs/cookbook.md"), 0
	for _, r := range recipes {
		t.Run(r.title, func(t *testing.T) {
			if r.run(t, m.pairing).substance {
				substance++
			}
		})
	}
	if substance < len(recipes)-5 { // TestCookbook has enough patients for all
		t.Errorf("%d of %d answers are not empty", substance, len(recipes))
	}
}

// processes asks some of them with real daemons, at an epsilon at which noise vanishes, after their commands have
// compared the data with the catalog.
func (m *mixed) processes(t *testing.T) {
	// A draft reads all columns, so three tables are enough.
	var few []enginetest.Table
	for _, table := range m.tables(t, "lyon") {
		switch table.Name {
		case "person", "death", "care_site":
			few = append(few, table)
		}
	}
	config := map[string]func(schema string) string{"lyon": func(schema string) string {
		return fmt.Sprintf("{postgres: {host: %s, port: %d, database: %s, user: %s, schema: %s}}", m.postgres.Folder, m.postgres.Port, postgrestest.Database, postgrestest.Reader, schema)
	}}
	drafts := map[string]string{"lyon": m.postgres.Fill(t, few...)}
	if m.trino != nil {
		config["lille"] = func(schema string) string {
			return fmt.Sprintf("{trino: {url: %q, ca: %s, user: intramuros, token: {file: trino.token}, catalog: memory, schema: %s, data_version: one}}", m.trino.Secure, m.trino.CA, schema)
		}
		drafts["lille"] = m.trino.Fill(t, few...)
	}
	s := shape{catalog: "builtin:omop-5.4", folders: m.folders, engine: map[string]string{}}
	for h, engine := range config {
		s.engine[h] = engine(m.schemas[h])
	}
	f := newFederation(t, s)
	f.write("trino.token", trinotest.Token("intramuros", time.Now().Add(time.Hour)))
	for h, engine := range config {
		if out := f.must("catalog", "check", "--config", f.path(h+".yaml")); !strings.Contains(out, " 0 errors, ") {
			t.Errorf("catalog check at %s: %s", h, out)
		}
		text, err := os.ReadFile(f.path(h + ".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		f.write("draft.yaml", strings.Replace(string(text), engine(m.schemas[h]), engine(drafts[h]), 1))
		draft := f.must("catalog", "init", "--config", f.path("draft.yaml"), "--name", "draft", "--patient", "person_id")
		for _, line := range []string{"person:", "year_of_birth: {type: int", "death_date: {type: date"} {
			if !strings.Contains(draft, line) {
				t.Errorf("catalog init at %s has no line %q:\n%.3000s", h, line, draft)
			}
		}
	}
	f.startCoordinator()
	for _, h := range f.hospitals {
		f.startNode(h)
	}
	f.await(f.hospitals...)
	m.askProcesses(t, f)
	// A table that is missing, or that the role may no longer read, gives no answer, and researchers are not told why.
	if m.trino != nil {
		m.trino.Rules(t, `{"tables": [{"user": "intramuros", "table": "person", "privileges": []}, {"privileges": ["SELECT"]}]}`)
		var refused *refusal
		if _, err := f.query(request{SQL: "SELECT COUNT(*) FROM person WHERE year_of_birth > 1951", Epsilon: 1}); !errors.As(err, &refused) || strings.Contains(refused.Message, "person") {
			t.Errorf("a hospital whose table is denied gives %v", err)
		}
		if p := f.nodes["lille"]; !p.logged("Cannot select from table memory."+m.schemas["lille"]+".person", 10*time.Second) {
			t.Error("the node's log does not say which right it lacks")
		}
		if out := f.must("catalog", "check", "--config", f.path("lille.yaml")); !strings.Contains(out, "person is not offered: there is no source for it here that the node may read") {
			t.Errorf("catalog check says of a table that is denied: %s", out)
		}
	}
	m.postgres.Exec(t, "DROP TABLE "+m.schemas["lyon"]+".person CASCADE")
	var refused *refusal
	if _, err := f.query(request{SQL: "SELECT COUNT(*) FROM person WHERE year_of_birth > 1950", Epsilon: 1}); !errors.As(err, &refused) || strings.Contains(refused.Message, "person") {
		t.Errorf("a hospital whose table is gone gives %v", err)
	} else {
		t.Log(refused)
	}
	if p := f.nodes["lyon"]; !p.logged("changed under the catalog", 10*time.Second) {
		t.Error("the node's log does not say that a table changed")
	}
}
