package postgres

import (
	"fmt"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

const unspelled = "tells patients apart, and holds values that are no int as one is written (without zeros, a sign, blanks or a point more than it needs): " +
	"they could be one patient's or several's; mend them, or declare the column as text in all tables of the catalog"

func mistyped(local, in string) string {
	return "tells patients apart, and is of type " + local + " here and " + in + " in the catalog: values that differ could be read as one; give a column of whole numbers or texts"
}

func ids(column, of, refuse string, values ...string) enginetest.Identity {
	return enginetest.Identity{Column: column, Type: of, Values: values, Refuse: refuse}
}

// No two patients become one: see enginetest.Identities. Each is read as a table, as a view and by a SELECT.
func TestIdentities(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)", "CREATE DOMAIN code AS text COLLATE ci", "CREATE EXTENSION citext")
	n := 0
	for _, as := range []string{"table", "view", "select"} {
		enginetest.Identities(t, []enginetest.Identity{
			ids("id BIGINT", "int", "", "1", "-7", "9223372036854775807"),
			ids("id SMALLINT", "int", "", "1", "-7"),
			ids("id NUMERIC(18,0)", "int", "", "1", "999999999999999999"),
			ids("id NUMERIC", "int", "", "712", "713.0", "-9223372036854775808"),
			ids("id NUMERIC", "int", unspelled, "712.2", "712.4"),
			ids("id NUMERIC", "int", unspelled, "712", "9223372036854775808"),
			ids("id NUMERIC", "int", unspelled, "712", "'NaN'"),
			ids("id NUMERIC(30,0)", "int", "", "712", "9223372036854775807"),
			ids("id NUMERIC(30,0)", "int", unspelled, "712", "9223372036854775808"),
			ids("id NUMERIC(18,1)", "int", unspelled, "712.2", "712.4"),
			ids("id DOUBLE PRECISION", "int", mistyped("double precision", "int"), "712.2", "712.4"),
			ids("id REAL", "text", mistyped("real", "text"), "1", "2"),
			ids("id TIMESTAMP", "text", mistyped("timestamp without time zone", "text"), "'2020-01-01'"),
			ids("id BYTEA", "text", mistyped("bytea", "text"), "'a'"),
			ids("id BIGINT", "text", "", "1", "-7"),
			ids("id UUID", "text", "", "'3f2504e0-4f89-11d3-9a0c-0305e82c3301'", "'3f2504e0-4f89-11d3-9a0c-0305e82c3302'"),
			ids("id VARCHAR(10)", "text", "", "'712'", "'0712'", "' 712'", "'é'", "'e'"),
			ids("id CHAR(10)", "text", "", "'712'", "'0712'"),
			ids("id TEXT", "text", "", "'e\u0301'", "'é'", "'a'", "'a '", "'A'"),
			ids("id CITEXT", "text", mistyped("public.citext", "text"), "'abc'", "'ABD'"),
			ids("id NAME", "text", mistyped("name", "text"), "'abc'", "'ABC'"),
			ids("id INET", "text", mistyped("inet", "text"), "'10.0.0.1'", "'10.0.0.1/24'"),
			ids("id MONEY", "int", mistyped("money", "int"), "'1.20'", "'1.40'"),
			ids("id TEXT COLLATE ci", "text", "", "'abc'", "'ABC'", "'Abc'"),
			ids("id VARCHAR(10) COLLATE ci", "text", "", "'abc'", "'ABC'"),
			ids("id code", "text", "", "'abc'", "'ABC'"),
			ids("id TEXT COLLATE ci", "int", unspelled, "'712'", "'0712'"),
			ids("id TEXT", "int", "", "'712'", "'-3'", "'0'"),
			ids("id TEXT", "int", unspelled, "'712'", "'0712'"),
			ids("id TEXT", "int", unspelled, "'712.2'", "'712.4'"),
			ids("id TEXT", "int", unspelled, "'1e3'", "'1000'"),
			ids("id TEXT", "int", unspelled, "'+712'", "'712'"),
			ids("id TEXT", "int", unspelled, "' 712'", "'712'"),
			ids("id TEXT", "int", unspelled, "'-0'", "'0'"),
		}, func(t testing.TB, c *catalog.Catalog, statements ...string) enginetest.Verifier {
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
