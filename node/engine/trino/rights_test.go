package trino

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/trino/trinotest"
)

// rules are those of the hospitals' documentation, for the tests' catalog.
func rules(t *testing.T, schema string, replace ...string) string {
	t.Helper()
	b, err := os.ReadFile("../../../docs/trino-rules.json")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b) {
		t.Fatal("docs/trino-rules.json is no JSON")
	}
	text := string(b)
	for i, pairs := 0, append([]string{`"lake"`, `"memory"`, `"cdm"`, `"` + schema + `"`, "measurement|visit_occurrence", "event"}, replace...); i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("docs/trino-rules.json has no %s", pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// TestRights checks that a node answers with the rules of docs/trino-rules.json, and that its user can do nothing else.
// If a right is missing, the message names it.
func TestRights(t *testing.T) {
	s := trinotest.Start(t)
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	schema := s.Schema(t)
	in := "memory." + schema + "."
	s.Exec(t, "CREATE TABLE "+in+"person AS SELECT i AS id, 'F' AS sex, i AS age, 'Marie' AS name, i % 4 = 0 AS refused FROM "+trinotest.Series(20),
		"CREATE TABLE "+in+"event AS SELECT i % 20 AS id, 'a' AS kind FROM "+trinotest.Series(60),
		"CREATE TABLE "+in+"secret AS SELECT 1 AS id, 'a' AS kind, 'b' AS label")
	s.Rules(t, rules(t, schema))
	cfg := over(s, schema)

	e := open(t, cfg, c, testKey)
	patients := func(table string) *fragment.Fragment {
		return &fragment.Fragment{Version: fragment.Version, Relations: []fragment.Relation{{Name: "t", Table: table}}, Patient: expr.Column("t", "id", value.TypeInt), Norm: fragment.L2, MaxGroups: 1, MaxRows: 1, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}}}
	}
	for table, want := range map[string]int64{"person": 15, "event": 20} { // five of twenty persons refused
		if got, _, _ := enginetest.Partials(t, e, c, patients(table)); got[""][0] != want {
			t.Errorf("%s has %d patients, want %d", table, got[""][0], want)
		}
	}
	for _, name := range []string{"person-keys", "undeclared"} { // a join; a node's key in the text
		enginetest.Partials(t, e, c, enginetest.Shapes()[name])
	}
	findings, err := e.Verify(t.Context())
	if err != nil {
		t.Fatal(err, class(err))
	}
	var said []string
	for _, f := range findings {
		said = append(said, f.Table+"."+f.Column+" "+f.Text)
	}
	if want := "kinds. is not offered: there is no source for it here that the node may read"; !strings.Contains(strings.Join(said, "\n"), want) {
		t.Errorf("catalog check says %q, and not %s", said, want)
	}
	tables, err := Describe(t.Context(), cfg)
	if err != nil {
		t.Fatal(err, class(err))
	}
	for _, table := range tables {
		if table.Name == schema+".secret" {
			t.Error("catalog init shows a table that the user may not read")
		}
		for _, column := range table.Columns {
			if column.Name == "name" {
				t.Error("catalog init shows a column that the user may not read")
			}
		}
	}

	// What somebody who steals the node's password can do.
	thief, err := sql.Open("trino", strings.Replace(s.URL, "://", "://intramuros@", 1)+"?catalog=memory&schema="+schema)
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	for _, q := range []string{
		"SELECT * FROM secret", "SELECT name FROM person", "SELECT * FROM system.runtime.queries", "INSERT INTO event VALUES (1, 'x')", "DELETE FROM event", "DROP TABLE event",
		"CREATE TABLE mine AS SELECT 1 AS x", "CREATE VIEW mine AS SELECT 1 AS x", "CREATE SCHEMA memory.mine", "ALTER TABLE event RENAME TO other", "GRANT SELECT ON event TO USER thief",
		"SET SESSION query_max_memory = '1GB'", "CALL system.runtime.kill_query('20270131_000000_00000_aaaaa', 'why')",
	} {
		var failed interface{ Error() string }
		if _, err := thief.ExecContext(t.Context(), q); err == nil || !errors.As(err, &failed) || !strings.Contains(failed.Error(), "Access Denied") {
			t.Errorf("%s gives %v", q, err)
		}
	}

	// A missing right, at the start and while the node runs.
	run := func(table string) error {
		f := patients(table)
		p, err := fragment.Check(f, c)
		if err != nil {
			t.Fatal(err)
		}
		return e.Run(t.Context(), f, p, memory.DefaultAllocator, func(arrow.Record) error { return nil })
	}
	for name, source := range map[string]engine.Source{
		"there is no table secret for table kinds that the user may read":                              {Table: "secret"},
		"the select of table kinds cannot be run":                                                      {Select: "SELECT * FROM secret"},
		"Cannot select from table " + in + "secret":                                                    {Select: "SELECT kind, label FROM secret"},
		"has no column label (any more); name the one that it has, or leave the line out to read NULL": {Table: "event", Columns: map[string]string{"label": "label"}},
		"there is no table system.runtime.queries for table kinds that the user may read":              {Table: "system.runtime.queries"},
		"Cannot select from table " + in + "person":                                                    {Select: "SELECT name AS kind FROM person"},
	} {
		cfg := cfg
		cfg.Tables = map[string]engine.Source{"kinds": source}
		if why := closed(t, cfg, c); !strings.Contains(why, name) {
			t.Errorf("%v gives %s, want %s", source, why, name)
		}
	}
	for _, test := range []struct {
		name, want string
		rules      string
		start      bool // it also prevents the node's start
	}{
		{"a table", "Cannot select from table " + in + "event", rules(t, schema, `"event"`, `"other"`), false},
		{"the catalog", "Cannot access catalog memory", rules(t, schema, `"catalog": "memory", "allow": "read-only"`, `"catalog": "memory", "allow": "none"`), true},
		{"the time-out", "Cannot set system session property query_max_run_time", rules(t, schema, `"property": "query_max_run_time", "allow": true`, `"property": "query_max_run_time", "allow": false`), true},
		{"queries", "Cannot view query", rules(t, schema, `"allow": ["execute"]`, `"allow": []`), true},
	} {
		s.Rules(t, test.rules)
		const needs = "PERMISSION_DENIED: the user lacks a right; docs/trino-rules.json shows those that it needs. The server says: "
		err := run("event")
		if !errors.Is(err, engine.ErrDatabase) || !strings.Contains(class(err), needs+test.want) {
			t.Errorf("without a right to %s a query gives %v: %s; %v", test.name, err, class(err), errors.Unwrap(err))
		}
		if err == nil || strings.Contains(err.Error(), "event") {
			t.Errorf("without a right to %s a query gives %v", test.name, err)
		}
		again, err := Open(context.Background(), cfg, c, "A", []byte(testKey))
		switch {
		case err == nil && !test.start:
			again.Close()
		case !test.start || !errors.Is(err, engine.ErrDatabase) || !strings.Contains(class(err), needs+test.want):
			t.Errorf("without a right to %s a start gives %v: %s", test.name, err, class(err))
		}
	}
	s.Rules(t, rules(t, schema))
	if err := run("event"); err != nil {
		t.Errorf("with the right again a query gives %v: %s", err, class(err))
	}
}
