package trino

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
	"github.com/intramuros/intramuros/node/engine/trino/trinotest"
)

// TestOverPostgreSQL runs the suite of all engines over tables of a PostgreSQL whose texts sort by a French collation.
// What Trino pushes down must not change answers.
func TestOverPostgreSQL(t *testing.T) {
	p := postgrestest.Start(t)
	s := trinotest.StartPostgreSQL(t, fmt.Sprintf("jdbc:postgresql://127.0.0.1:%d/%s?user=%s&password=%s", p.Port, postgrestest.Database, postgrestest.Reader, strings.ReplaceAll(postgrestest.Password, " ", "%20")))
	in := func(schema string) Config {
		cfg := over(s, schema)
		cfg.Catalog = "warehouse"
		return cfg
	}
	t.Run("suite", func(t *testing.T) {
		enginetest.Run(t, enginetest.Kind{
			NoNUL: true, NoInfinity: true, FirstDay: -719162 - 400, LastDay: 2932896 + 400, Queries: 0.02, Slow: true,
			Open: func(t testing.TB, c *catalog.Catalog, key string, tables ...enginetest.Table) enginetest.Engine {
				return open(t, in(p.Fill(t, tables...)), c, key)
			}})
	})
	t.Run("types", func(t *testing.T) {
		p.Exec(t, "CREATE SCHEMA types", "GRANT USAGE ON SCHEMA types TO "+postgrestest.Reader, "CREATE TYPE mood AS ENUM ('sad', 'glad')",
			`CREATE TABLE types.t (id integer, n numeric, n2 numeric(10, 2), c char(5), v varchar(20), u uuid, j jsonb, e mood, tz timestamptz, ts timestamp(3), d date, small smallint, r real, b boolean, bytes bytea, list int[])`,
			`INSERT INTO types.t VALUES (1, 12.5, 3.25, 'ab', 'Éa', '6ba7b810-9dad-11d1-80b4-00c04fd430c8', '{"a": 1}', 'glad', '2020-02-29 23:30:00-05', '2020-02-29 23:30:00.123', '2020-02-29', 7, 1.5, true, 'x', '{1}')`,
			"GRANT SELECT ON types.t TO "+postgrestest.Reader)
		c := testcatalog.Parse(t, `
catalog: types
tables:
  t:
    key: id
    patient: id
    columns:
      id: {type: int, nullable: false}
      n: {type: float}
      n2: {type: float}
      c: {type: text}
      v: {type: text}
      u: {type: text}
      j: {type: text}
      e: {type: text}
      tz: {type: timestamp}
      ts: {type: timestamp}
      d: {type: date}
      small: {type: int}
      r: {type: float}
      b: {type: bool}
      bytes: {type: text}
      list: {type: text}
`)
		e := open(t, in("types"), c, testKey)
		table, _ := c.Table("t")
		f := &fragment.Fragment{Relations: []fragment.Relation{{Name: "t", Table: "t"}}, Patient: expr.Column("t", "id", value.TypeInt), Norm: fragment.L2, MaxGroups: 1, MaxRows: 1, Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
		var got []string
		for columns := range slices.Chunk(table.Columns, 8) {
			f.Keys = nil
			for _, column := range columns {
				f.Keys = append(f.Keys, fragment.Key{Expr: expr.Column("t", column.Name, column.Type)})
			}
			_, keys, _ := enginetest.Partials(t, e, c, f)
			for _, row := range keys {
				for i, v := range row {
					got = append(got, columns[i].Name+" "+v.String())
				}
			}
		}
		want := []string{"id 1", "n 12.5", "n2 3.25", "c ab", "v Éa", "u 6ba7b810-9dad-11d1-80b4-00c04fd430c8", `j {"a":1}`, "e glad", "tz 2020-03-01T04:30:00", "ts 2020-02-29T23:30:00.123", "d 2020-02-29", "small 7", "r 1.5", "b true", "bytes NULL", "list NULL"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	// PostgreSQL refuses a right that the connector's role lacks.
	t.Run("rights", func(t *testing.T) {
		schema := p.Fill(t, enginetest.Table{Name: "person", Columns: []enginetest.Column{{Name: "id", Type: value.TypeInt}}, Rows: [][]any{{int64(1)}}})
		c := testcatalog.Parse(t, enginetest.WardCatalog)
		p.Exec(t, "REVOKE SELECT ON "+schema+".person FROM "+postgrestest.Reader)
		findings, err := open(t, in(schema), c, testKey).Verify(context.Background())
		if !errors.Is(err, engine.ErrDatabase) {
			t.Fatalf("a table that the connector may not read gives %v, %v", findings, err)
		}
		if want := "the role with which Trino's connector reads it lacks a right"; !strings.Contains(class(err), want) {
			t.Errorf("a table that the connector may not read gives %s, want %s", class(err), want)
		}
	})
}
