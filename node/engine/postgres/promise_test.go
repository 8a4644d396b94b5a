package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

// One patient breaks what the catalog promises, right after the engine has verified it: see enginetest.Promises.
func TestPromises(t *testing.T) {
	s := postgrestest.Start(t)
	c := testcatalog.Parse(t, enginetest.Promising)
	keys := []string{"ALTER TABLE person ADD PRIMARY KEY (id)", "ALTER TABLE visit ADD PRIMARY KEY (visit)"}
	drop := []string{"ALTER TABLE person DROP CONSTRAINT person_pkey", "ALTER TABLE visit DROP CONSTRAINT visit_pkey"}
	inherit := []string{"CREATE TABLE more_person () INHERITS (person)", "CREATE TABLE more_visit () INHERITS (visit)"}
	n := 0
	for _, tc := range []struct {
		name   string
		before []string // run after the tables are made
		label  string
		as     string            // how the tables are read
		change []string          // run before the patient's rows are added
		into   map[string]string // where these rows are added
	}{
		{name: "no keys"},
		{name: "no keys, and a label that does not change", label: "2026-01"},
		{name: "views", as: "view"},
		{name: "selects", as: "select"},
		{name: "keys over tables that inherit", before: append(keys, inherit...), into: map[string]string{"person": "more_person", "visit": "more_visit"}},
		{name: "keys over tables that come to inherit", before: keys, change: inherit, into: map[string]string{"person": "more_person", "visit": "more_visit"}},
		{name: "keys that are dropped", before: keys, change: drop},
		{name: "keys of a table that another takes the place of", before: keys, change: []string{
			"ALTER TABLE person RENAME TO old_person", "CREATE TABLE person AS SELECT * FROM old_person",
			"ALTER TABLE visit RENAME TO old_visit", "CREATE TABLE visit AS SELECT * FROM old_visit"}},
		{name: "keys of columns that change their names", before: append(keys, "ALTER TABLE person ADD other BIGINT", "ALTER TABLE visit ADD other BIGINT"), change: []string{
			"UPDATE person SET other = id", "ALTER TABLE person RENAME id TO was", "ALTER TABLE person RENAME other TO id", "ALTER TABLE person ALTER was SET DEFAULT nextval('s')",
			"UPDATE visit SET other = visit", "ALTER TABLE visit RENAME visit TO was", "ALTER TABLE visit RENAME other TO visit", "ALTER TABLE visit ALTER was SET DEFAULT nextval('s')"},
			into: map[string]string{"person": "person (id, ward, x)", "visit": "visit (visit, id, day, x)"}},
		{name: "deferrable keys", before: []string{"ALTER TABLE person ADD UNIQUE (id) DEFERRABLE", "ALTER TABLE visit ADD UNIQUE (visit) DEFERRABLE"}, change: []string{
			"ALTER TABLE person DROP CONSTRAINT person_id_key", "ALTER TABLE visit DROP CONSTRAINT visit_visit_key"}},
		{name: "keys of some rows", before: []string{"CREATE UNIQUE INDEX ON person (id) WHERE id < 200", "CREATE UNIQUE INDEX ON visit (visit) WHERE id < 200"}},
		{name: "keys of expressions", before: []string{"CREATE UNIQUE INDEX ON visit (visit, (id + 1), x)"}},
		{name: "wider keys", before: []string{"ALTER TABLE person ADD serial BIGSERIAL", "CREATE UNIQUE INDEX ON person (id, serial)", "ALTER TABLE visit ADD serial BIGSERIAL", "CREATE UNIQUE INDEX ON visit (visit, serial)"},
			into: map[string]string{"person": "person (id, ward, x)", "visit": "visit (visit, id, day, x)"}},
	} {
		for i, breaking := range enginetest.Breaking {
			t.Run(fmt.Sprintf("%s %d", tc.name, i), func(t *testing.T) {
				n++
				schema := fmt.Sprintf("promise%d", n)
				cfg := over(s, schema)
				cfg.DataVersion = tc.label
				statements := []string{"CREATE SCHEMA " + schema, "GRANT USAGE ON SCHEMA " + schema + " TO intramuros", "SET search_path = " + schema, "CREATE SEQUENCE s START 1000"}
				for name, columns := range enginetest.PromisingTables {
					statements = append(statements, "CREATE TABLE "+name+" ("+columns+")")
				}
				s.Exec(t, append(append(statements, enginetest.Promise...), tc.before...)...)
				into := tc.into
				for name := range enginetest.PromisingTables {
					switch tc.as {
					case "view":
						if into == nil {
							into = map[string]string{}
						}
						s.Exec(t, "ALTER TABLE "+name+" RENAME TO stored_"+name, "CREATE VIEW "+name+" AS SELECT * FROM stored_"+name)
						into[name] = "stored_" + name
					case "select":
						if cfg.Tables == nil {
							cfg.Tables, cfg.DataVersion = map[string]engine.Source{}, "1"
						}
						cfg.Tables[name] = engine.Source{Select: "SELECT * FROM " + schema + "." + name}
					}
				}
				s.Exec(t, "GRANT SELECT ON ALL TABLES IN SCHEMA "+schema+" TO intramuros", "ALTER DEFAULT PRIVILEGES IN SCHEMA "+schema+" GRANT SELECT ON TABLES TO intramuros")
				e := open(t, cfg, c, testKey)
				if found, err := e.Verify(t.Context()); err != nil || len(found) > 0 {
					t.Fatal(found, err)
				}
				for name, where := range into {
					breaking = strings.Replace(breaking, "INTO "+name+" ", "INTO "+where+" ", 1)
				}
				enginetest.Promises(t, e, c, func() { s.Exec(t, append(tc.change, breaking)...) })
			})
		}
	}
}

// Keys that the database enforces, also over partitions, cost nothing: rows are not grouped.
func TestEnforcedKeys(t *testing.T) {
	s := postgrestest.Start(t)
	c := testcatalog.Parse(t, enginetest.Promising)
	for _, person := range []string{
		"CREATE TABLE person (id BIGINT PRIMARY KEY, ward TEXT, x DOUBLE PRECISION)",
		"CREATE TABLE person (id BIGINT PRIMARY KEY, ward TEXT, x DOUBLE PRECISION) PARTITION BY RANGE (id); CREATE TABLE one PARTITION OF person FOR VALUES FROM (0) TO (10); CREATE TABLE two PARTITION OF person FOR VALUES FROM (10) TO (1000)",
		`CREATE TABLE person ("ID" BIGINT NOT NULL UNIQUE, ward TEXT, x DOUBLE PRECISION)`,
	} {
		s.Exec(t, "DROP SCHEMA IF EXISTS enforced CASCADE", "CREATE SCHEMA enforced", "GRANT USAGE ON SCHEMA enforced TO intramuros", "SET search_path = enforced", person,
			"CREATE TABLE visit (visit BIGINT PRIMARY KEY, id BIGINT NOT NULL, day BIGINT, x DOUBLE PRECISION)", "CREATE TABLE lab (visit BIGINT NOT NULL, x DOUBLE PRECISION)")
		s.Exec(t, enginetest.Promise...)
		s.Exec(t, "GRANT SELECT ON ALL TABLES IN SCHEMA enforced TO intramuros")
		e := open(t, over(s, "enforced"), c, testKey)
		for name, text := range enginetest.Promised(t, e, c) {
			if strings.Contains(text, "GROUP BY patient") && (name == "one row" || name == "one row in groups") || strings.Contains(text, "HAVING count") || !strings.Contains(text, "pg_index") {
				t.Errorf("%s:\n%s", name, text)
			}
		}
		enginetest.Promises(t, e, c, func() {})
		e.Close()
	}
}
