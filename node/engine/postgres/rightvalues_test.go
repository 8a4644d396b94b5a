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

// TestRightValues checks that typed columns, instants with a zone, and columns of texts give the same rows as CSV,
// Parquet, DuckDB and Trino, without findings.
func TestRightValues(t *testing.T) {
	s := postgrestest.Start(t)
	values := enginetest.StayValues()
	for form, columns := range map[string]string{
		"typed": `id::numeric(19,0), code::char(9), town, weight::numeric(9,3), n::bigint, "day"::date, "at"::timestamp, dead::boolean`,
		"zones": `id::bigint, code::varchar(9), town, weight::numeric, n::numeric(20,0), "day"::date, "at"::timestamp AT TIME ZONE 'Europe/Paris' AS "at", dead::boolean`,
		"texts": `*`,
	} {
		s.Exec(t, "CREATE SCHEMA "+form, "GRANT USAGE ON SCHEMA "+form+" TO "+postgrestest.Reader, "SET TimeZone = 'America/New_York'",
			"CREATE TABLE "+form+".stay AS SELECT "+columns+" FROM "+values, "GRANT SELECT ON ALL TABLES IN SCHEMA "+form+" TO "+postgrestest.Reader)
		cfg := over(s, form)
		cfg.Timezone = enginetest.Zone
		c := testcatalog.Parse(t, enginetest.StayCatalog)
		enginetest.RightValues(t, form, open(t, cfg, c, testKey), c)
	}
}

// TestRawTexts checks that a column of texts is read as on the other engines.
func TestRawTexts(t *testing.T) {
	s := postgrestest.Start(t)
	var rows []string
	for i, r := range enginetest.Raw {
		rows = append(rows, fmt.Sprintf("(%d, '%s')", i, r[0]))
	}
	s.Exec(t, "CREATE SCHEMA raw", "GRANT USAGE ON SCHEMA raw TO "+postgrestest.Reader, "CREATE TABLE raw.raw (id bigint, v text)", "INSERT INTO raw.raw VALUES "+strings.Join(rows, ", "), "GRANT SELECT ON raw.raw TO "+postgrestest.Reader)
	cfg := over(s, "raw")
	cfg.Timezone, cfg.Tables = enginetest.Zone, map[string]engine.Source{"raw": {Columns: enginetest.RawColumns}}
	c := testcatalog.Parse(t, enginetest.RawCatalog)
	enginetest.RawTexts(t, "PostgreSQL", open(t, cfg, c, testKey), c)
}

// TestFieldCases checks that cases from hospitals are read or reported as on the other engines.
func TestFieldCases(t *testing.T) {
	s := postgrestest.Start(t)
	var rows []string
	for _, r := range enginetest.Letters() {
		rows = append(rows, "("+r[0]+", '"+strings.Join(r[1:], "', '")+"')")
	}
	s.Exec(t, "CREATE SCHEMA field", "GRANT USAGE ON SCHEMA field TO "+postgrestest.Reader, "CREATE TABLE field.letter (id bigint, note text, dead text, weight text, day text, smoker text, retired text)",
		"INSERT INTO field.letter VALUES "+strings.Join(rows, ", "), "CREATE TABLE field.absent (patient bigint, dead text)", "INSERT INTO field.absent VALUES (1, 'yes')", "GRANT SELECT ON ALL TABLES IN SCHEMA field TO "+postgrestest.Reader)
	c := testcatalog.Parse(t, enginetest.FieldCatalog)
	enginetest.FieldCases(t, "PostgreSQL", open(t, over(s, "field"), c, testKey), c)
}

// TestOddTypes checks that amounts with a currency, days without end and lists are read or reported as on the other
// engines.
func TestOddTypes(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE SCHEMA odd", "GRANT USAGE ON SCHEMA odd TO "+postgrestest.Reader, "CREATE TABLE odd.odd (id bigint, cost money, until timestamp, day date, seen timestamptz, tags int[])",
		"INSERT INTO odd.odd VALUES (1, 1234.5::numeric::money, '2023-07-01 12:00', '2023-07-01', '2023-07-01 23:30+00', '{1,2}'), (2, 1234.5::numeric::money, 'infinity', 'infinity', 'infinity', '{1}'), (3, 1234.5::numeric::money, '2023-07-01 12:00', '-infinity', '-infinity', '{1}')",
		"GRANT SELECT ON odd.odd TO "+postgrestest.Reader)
	cfg := over(s, "odd")
	cfg.Timezone = enginetest.Zone
	c := testcatalog.Parse(t, enginetest.OddCatalog)
	enginetest.OddTypes(t, "PostgreSQL", "integer[]", open(t, cfg, c, testKey), c)
}
