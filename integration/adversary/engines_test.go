package adversary

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/duckdb"
	"github.com/intramuros/intramuros/node/engine/postgres"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
	"github.com/intramuros/intramuros/node/engine/trino"
	"github.com/intramuros/intramuros/node/engine/trino/trinotest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	trinotest.Stop()
	os.Exit(code)
}

// openers start an engine's server, or skip the test, and return how a world is opened in it.
var openers = map[string]func(*testing.T) opener{
	"duckdb":   func(*testing.T) opener { return openDuckDB },
	"postgres": openPostgres,
	"trino":    openTrino,
}

func duckType(s storage) string {
	return map[storage]string{asInt: "BIGINT", asFloat: "DOUBLE", asNumeric: "DECIMAL(38,10)", asText: "VARCHAR", asLoose: "VARCHAR COLLATE NOCASE", asDate: "DATE", asTimestamp: "TIMESTAMP", asBool: "BOOLEAN"}[s]
}

func openDuckDB(t *testing.T, w *world, without bool) hospital {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.duckdb")
	db, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, table := range w.tables {
		for _, s := range append([]string{"CREATE TABLE " + table.name + " (" + table.declaration(duckType) + ")"}, table.inserts(table.name, without, duckType, "TRY_CAST")...) {
			if _, err := db.Exec(s); err != nil {
				t.Fatalf("%.2000s: %v", s, err)
			}
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	e, err := duckdb.Open(context.Background(), duckdb.Config{Database: path, MemoryLimit: "512MB", Threads: 1}, w.catalog, "h0", secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func postgresType(s storage) string {
	return map[storage]string{asInt: "BIGINT", asFloat: "DOUBLE PRECISION", asNumeric: "NUMERIC", asText: "TEXT", asLoose: "TEXT COLLATE loose", asDate: "DATE", asTimestamp: "TIMESTAMP", asBool: "BOOLEAN"}[s]
}

func openPostgres(t *testing.T) opener {
	s := postgrestest.Start(t)
	schemas := 0
	return func(t *testing.T, w *world, without bool) hospital {
		t.Helper()
		schemas++
		schema := fmt.Sprintf("a%d", schemas)
		s.Exec(t, "CREATE SCHEMA "+schema, "GRANT USAGE ON SCHEMA "+schema+" TO "+postgrestest.Reader, "SET search_path = "+schema,
			"CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
		tables := map[string]engine.Source{}
		for _, table := range w.tables {
			declaration := table.declaration(postgresType)
			into := table.name
			if table.inherited { // the key holds for the parent only
				declaration += ", PRIMARY KEY (id)"
				into = table.name + "_old"
			}
			statements := []string{"CREATE TABLE " + table.name + " (" + declaration + ")"}
			if table.inherited {
				statements = append(statements, "CREATE TABLE "+into+" () INHERITS ("+table.name+")")
			}
			if table.selected {
				tables[table.name] = engine.Source{Select: "SELECT * FROM " + schema + "." + table.name}
			}
			s.Exec(t, append(statements, table.inserts(into, without, postgresType, "CAST")...)...)
		}
		s.Exec(t, "GRANT SELECT ON ALL TABLES IN SCHEMA "+schema+" TO "+postgrestest.Reader)
		e, err := postgres.Open(context.Background(), postgres.Config{Host: s.Folder, Port: s.Port, Database: postgrestest.Database, User: postgrestest.Reader, Schema: schema,
			Tables: tables, DataVersion: "one", Connections: 1}, w.catalog, "h0", secret)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			e.Close()
			s.Exec(t, "DROP SCHEMA "+schema+" CASCADE")
		})
		return e
	}
}

func trinoType(s storage) string {
	return map[storage]string{asInt: "BIGINT", asFloat: "DOUBLE", asNumeric: "DECIMAL(38,10)", asText: "VARCHAR", asLoose: "VARCHAR", asDate: "DATE", asTimestamp: "TIMESTAMP(6)", asBool: "BOOLEAN"}[s]
}

// openTrino skips the test if Trino is not installed: see make test-trino.
func openTrino(t *testing.T) opener {
	s := trinotest.Start(t)
	return func(t *testing.T, w *world, without bool) hospital {
		t.Helper()
		schema := s.Schema(t)
		tables := map[string]engine.Source{}
		for _, table := range w.tables {
			name := "memory." + schema + "." + table.name
			s.Exec(t, append([]string{"CREATE TABLE " + name + " (" + table.declaration(trinoType) + ")"}, table.inserts(name, without, trinoType, "TRY_CAST")...)...)
			if table.selected {
				tables[table.name] = engine.Source{Select: "SELECT * FROM " + name}
			}
		}
		e, err := trino.Open(context.Background(), trino.Config{URL: s.URL, Catalog: "memory", Schema: schema, User: "intramuros", Tables: tables, DataVersion: "one"}, w.catalog, "h0", secret)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			e.Close()
			for _, table := range w.tables { // the server keeps it in memory
				s.Exec(t, "DROP TABLE memory."+schema+"."+table.name)
			}
		})
		return e
	}
}
