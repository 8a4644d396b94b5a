package postgres

import (
	"fmt"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

// No two patients are merged: see enginetest.Identities. Each is read as a table, as a view and by a SELECT.
func TestIdentities(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)", "CREATE DOMAIN code AS text COLLATE ci", "CREATE EXTENSION citext")
	n := 0
	for _, as := range []string{"table", "view", "select"} {
		enginetest.Identities(t, append(enginetest.SpelledIDs("id TEXT"),
			enginetest.ID("id BIGINT", "int", "", "1", "-7", "9223372036854775807"),
			enginetest.ID("id SMALLINT", "int", "", "1", "-7"),
			enginetest.ID("id NUMERIC(18,0)", "int", "", "1", "999999999999999999"),
			enginetest.ID("id NUMERIC", "int", "", "712", "713.0", "-9223372036854775808"),
			enginetest.ID("id NUMERIC", "int", enginetest.Unspelled, "712.2", "712.4"),
			enginetest.ID("id NUMERIC", "int", enginetest.Unspelled, "712", "9223372036854775808"),
			enginetest.ID("id NUMERIC", "int", enginetest.Unspelled, "712", "'NaN'"),
			enginetest.ID("id NUMERIC(30,0)", "int", "", "712", "9223372036854775807"),
			enginetest.ID("id NUMERIC(30,0)", "int", enginetest.Unspelled, "712", "9223372036854775808"),
			enginetest.ID("id NUMERIC(18,1)", "int", enginetest.Unspelled, "712.2", "712.4"),
			enginetest.ID("id DOUBLE PRECISION", "int", enginetest.Mistyped("double precision", "int"), "712.2", "712.4"),
			enginetest.ID("id REAL", "text", enginetest.Mistyped("real", "text"), "1", "2"),
			enginetest.ID("id TIMESTAMP", "text", enginetest.Mistyped("timestamp without time zone", "text"), "'2020-01-01'"),
			enginetest.ID("id BYTEA", "text", enginetest.Mistyped("bytea", "text"), "'a'"),
			enginetest.ID("id BIGINT", "text", "", "1", "-7"),
			enginetest.ID("id UUID", "text", "", "'3f2504e0-4f89-11d3-9a0c-0305e82c3301'", "'3f2504e0-4f89-11d3-9a0c-0305e82c3302'"),
			enginetest.ID("id VARCHAR(10)", "text", "", "'712'", "'0712'", "' 712'", "'é'", "'e'"),
			enginetest.ID("id CHAR(10)", "text", "", "'712'", "'0712'"),
			enginetest.ID("id TEXT", "text", "", "'e\u0301'", "'é'", "'a'", "'a '", "'A'"),
			enginetest.ID("id CITEXT", "text", enginetest.Mistyped("public.citext", "text"), "'abc'", "'ABD'"),
			enginetest.ID("id NAME", "text", enginetest.Mistyped("name", "text"), "'abc'", "'ABC'"),
			enginetest.ID("id INET", "text", enginetest.Mistyped("inet", "text"), "'10.0.0.1'", "'10.0.0.1/24'"),
			enginetest.ID("id MONEY", "int", enginetest.Mistyped("money", "int"), "'1.20'", "'1.40'"),
			enginetest.ID("id TEXT COLLATE ci", "text", "", "'abc'", "'ABC'", "'Abc'"),
			enginetest.ID("id VARCHAR(10) COLLATE ci", "text", "", "'abc'", "'ABC'"),
			enginetest.ID("id code", "text", "", "'abc'", "'ABC'"),
			enginetest.ID("id TEXT COLLATE ci", "int", enginetest.Unspelled, "'712'", "'0712'"),
		), func(t testing.TB, c *catalog.Catalog, statements ...string) enginetest.Verifier {
			n++
			schema := fmt.Sprintf("ids%d", n)
			s.Exec(t, append([]string{"CREATE SCHEMA " + schema, "GRANT USAGE ON SCHEMA " + schema + " TO intramuros", "SET search_path = " + schema + ", public"}, statements...)...)
			cfg := over(s, schema)
			switch as {
			case "view":
				s.Exec(t, "ALTER TABLE stay RENAME TO stored", "CREATE VIEW stay AS SELECT * FROM stored")
			case "select":
				cfg.Tables = map[string]engine.Source{"stay": {Select: "SELECT id, x FROM " + schema + ".stay"}}
			}
			s.Exec(t, "GRANT SELECT ON ALL TABLES IN SCHEMA "+schema+" TO intramuros")
			return open(t, cfg, c, testKey)
		})
	}
}

// Texts compare by their bytes: see enginetest.Collations. A collation may also change under an open engine.
func TestCollations(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)", "CREATE DOMAIN code AS varchar(20) COLLATE ci")
	n := 0
	for _, ward := range []string{"ward TEXT COLLATE ci", "ward VARCHAR(20) COLLATE ci", "ward code", "ward TEXT"} {
		for _, as := range []string{"table", "view", "select"} {
			enginetest.Collations(t, ward, func(t testing.TB, c *catalog.Catalog, statements ...string) enginetest.Verifier {
				n++
				schema := fmt.Sprintf("collations%d", n)
				s.Exec(t, append([]string{"CREATE SCHEMA " + schema, "GRANT USAGE ON SCHEMA " + schema + " TO intramuros", "SET search_path = " + schema + ", public"}, statements...)...)
				cfg := over(s, schema)
				switch as {
				case "view":
					s.Exec(t, "ALTER TABLE stay RENAME TO stored", "CREATE VIEW stay AS SELECT * FROM stored")
				case "select":
					cfg.Tables = map[string]engine.Source{"stay": {Select: "SELECT id, ward FROM " + schema + ".stay"}}
				}
				s.Exec(t, "GRANT SELECT ON ALL TABLES IN SCHEMA "+schema+" TO intramuros")
				e := open(t, cfg, c, testKey)
				if ward == "ward TEXT" && as != "view" {
					s.Exec(t, "ALTER TABLE stay ALTER ward TYPE TEXT COLLATE ci")
				}
				return e
			})
		}
	}
}
