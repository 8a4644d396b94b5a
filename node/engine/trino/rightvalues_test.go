package trino

import (
	"fmt"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/trino/trinotest"
)

// TestRightValues checks that typed columns, instants with a zone, and columns of texts give the same rows as CSV,
// Parquet, DuckDB and PostgreSQL, without findings.
func TestRightValues(t *testing.T) {
	s := trinotest.Start(t)
	values := enginetest.StayValues()
	stamp := `CAST(replace("at", 'T', ' ') AS TIMESTAMP(6))`
	for form, columns := range map[string]string{
		"typed": `CAST(id AS DECIMAL(19, 0)) AS id, CAST(code AS CHAR(9)) AS code, town, CAST(weight AS DECIMAL(9, 3)) AS weight, CAST(n AS BIGINT) AS n, CAST(day AS DATE) AS day, ` + stamp + ` AS "at", CAST(dead AS BOOLEAN) AS dead`,
		"zones": `CAST(id AS BIGINT) AS id, code, town, CAST(weight AS DOUBLE) AS weight, CAST(n AS BIGINT) AS n, CAST(day AS DATE) AS day, with_timezone(` + stamp + `, 'Europe/Paris') AT TIME ZONE 'America/New_York' AS "at", CAST(dead AS BOOLEAN) AS dead`,
		"texts": `*`,
	} {
		schema := s.Schema(t)
		s.Exec(t, "CREATE TABLE memory."+schema+".stay AS SELECT "+columns+" FROM "+values)
		cfg := over(s, schema)
		cfg.Timezone = enginetest.Zone
		c := testcatalog.Parse(t, enginetest.StayCatalog)
		enginetest.RightValues(t, form, open(t, cfg, c, testKey), c)
	}
}

// TestRawTexts checks that a column of texts is read as on the other engines.
func TestRawTexts(t *testing.T) {
	s := trinotest.Start(t)
	var rows []string
	for i, r := range enginetest.Raw {
		rows = append(rows, fmt.Sprintf("(BIGINT '%d', CAST('%s' AS VARCHAR))", i, r[0]))
	}
	schema := s.Schema(t)
	s.Exec(t, "CREATE TABLE memory."+schema+".raw AS SELECT * FROM (VALUES "+strings.Join(rows, ", ")+") AS v (id, v)")
	cfg := over(s, schema)
	cfg.Timezone, cfg.Tables = enginetest.Zone, map[string]engine.Source{"raw": {Columns: enginetest.RawColumns}}
	c := testcatalog.Parse(t, enginetest.RawCatalog)
	enginetest.RawTexts(t, "Trino", open(t, cfg, c, testKey), c)
}

// TestFieldCases checks that cases from hospitals are read or reported as on the other engines.
func TestFieldCases(t *testing.T) {
	s := trinotest.Start(t)
	var rows []string
	for _, r := range enginetest.Letters() {
		cells := []string{"BIGINT '" + r[0] + "'"}
		for _, c := range r[1:] {
			cell := "'" + c + "'"
			if len(c) > 1_000_000 { // longer than a statement may be
				cell = fmt.Sprintf("rpad('', %d, '%s')", len(c), c[:1])
			}
			cells = append(cells, "CAST("+cell+" AS VARCHAR)")
		}
		rows = append(rows, "("+strings.Join(cells, ", ")+")")
	}
	schema := s.Schema(t)
	s.Exec(t, "CREATE TABLE memory."+schema+".letter AS SELECT * FROM (VALUES "+strings.Join(rows, ", ")+") AS v ("+strings.Join(enginetest.FieldColumns, ", ")+")")
	s.Exec(t, "CREATE TABLE memory."+schema+".absent AS SELECT BIGINT '1' AS patient, CAST('yes' AS VARCHAR) AS dead")
	c := testcatalog.Parse(t, enginetest.FieldCatalog)
	enginetest.FieldCases(t, "Trino", open(t, over(s, schema), c, testKey), c)
}
