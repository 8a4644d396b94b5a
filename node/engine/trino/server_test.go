package trino

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/trino/trinotest"
)

const testKey = "a secret of the node, for tests only"

func open(t testing.TB, cfg Config, c *catalog.Catalog, key string) *Engine {
	t.Helper()
	e, err := Open(context.Background(), cfg, c, enginetest.Hospital, []byte(key))
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// class is what a node's log says about an error.
func class(err error) string {
	var named interface{ Class() string }
	if !errors.As(err, &named) {
		return fmt.Sprintf("no fault: %v", err)
	}
	return named.Class()
}

// TestSecure checks connections over TLS with a password or a token, or a clear refusal that shows neither.
func TestSecure(t *testing.T) {
	s := trinotest.Start(t)
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	other := filepath.Join(t.TempDir(), "other.pem")
	if err := os.WriteFile(other, trinotest.OtherCA(t), 0o600); err != nil {
		t.Fatal(err)
	}
	const wrong = "the wrong secret"
	file := filepath.Join(t.TempDir(), "token")
	expired, good := trinotest.Token("intramuros", time.Now().Add(-time.Hour)), trinotest.Token("intramuros", time.Now().Add(time.Hour))
	if err := os.WriteFile(file, []byte(good+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"TEST_PASSWORD": trinotest.Password, "TEST_WRONG": wrong, "TEST_EXPIRED": expired, "TEST_GARBLED": good[:len(good)-4] + "AAAA"} {
		t.Setenv(name, text)
	}
	base := over(s, s.Fill(t, enginetest.Table{Name: "person", Columns: []enginetest.Column{{Name: "id", Type: value.TypeInt}}, Rows: [][]any{{int64(1)}}}))
	base.URL, base.CA = s.Secure, s.CA
	password, token := base, base
	password.Password = config.Secret{Env: "TEST_PASSWORD"}
	token.Token = config.Secret{File: file}
	for name, cfg := range map[string]Config{"password": password, "token": token} {
		e := open(t, cfg, c, testKey)
		got, _, _ := enginetest.Partials(t, e, c, &fragment.Fragment{Relations: []fragment.Relation{{Name: "p", Table: "person"}}, Patient: expr.Column("p", "id", value.TypeInt), Norm: fragment.L2, MaxGroups: 1, MaxRows: 1, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}}})
		if got[""][0] != 1 {
			t.Errorf("with a %s: %v", name, got)
		}
	}
	// A token that expired is replaced while the node runs.
	renewed := token
	renewed.Token.File = filepath.Join(t.TempDir(), "renewed")
	put := func(text string) {
		if err := os.WriteFile(renewed.Token.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(good)
	e := open(t, renewed, c, testKey)
	ask := func() error {
		return e.driver.Query(context.Background(), "SELECT 1", false, func([]any) error { return nil })
	}
	put(expired)
	if err := ask(); !strings.Contains(class(err), "may have expired") {
		t.Errorf("an expired token gives %v: %s", err, class(err))
	}
	put(good)
	if err := ask(); err != nil {
		t.Errorf("a renewed token gives %v: %s", err, class(err))
	}
	if err := os.Remove(renewed.Token.File); err != nil {
		t.Fatal(err)
	}
	if err := ask(); !strings.Contains(class(err), "the token cannot be read") {
		t.Errorf("no token gives %v: %s", err, class(err))
	}
	for _, test := range []struct {
		name, want string
		change     func(*Config)
	}{
		{"no password", "refused the user", func(c *Config) { c.Token = config.Secret{} }},
		{"wrong password", "refused the user", func(c *Config) { c.Token, c.Password = config.Secret{}, config.Secret{Env: "TEST_WRONG"} }},
		{"expired token", "may have expired", func(c *Config) { c.Token = config.Secret{Env: "TEST_EXPIRED"} }},
		{"garbled token", "refused the user", func(c *Config) { c.Token = config.Secret{Env: "TEST_GARBLED"} }},
		{"the system's authorities", "certificate is not trusted", func(c *Config) { c.CA = "" }},
		{"another authority", "certificate is not trusted", func(c *Config) { c.CA = other }},
		{"HTTP at the port of HTTPS", "see `url`", func(c *Config) { c.Token, c.URL = config.Secret{}, strings.Replace(c.URL, "https:", "http:", 1) }},
		{"nobody there", "cannot be reached", func(c *Config) { c.URL = "https://127.0.0.1:1" }},
	} {
		cfg := token
		test.change(&cfg)
		_, err := Open(context.Background(), cfg, c, "A", []byte(testKey))
		if !errors.Is(err, engine.ErrDatabase) || !strings.Contains(class(err), test.want) {
			t.Errorf("%s gives %v: %s; its cause is %v", test.name, err, class(err), errors.Unwrap(err))
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			for _, secret := range []string{trinotest.Password, wrong, expired, good, os.Getenv("TEST_GARBLED")} {
				if strings.Contains(e.Error(), secret) {
					t.Errorf("%s: the error shows a secret", test.name)
				}
			}
		}
	}
}

// slow is a fragment that takes minutes, over tables of 40,000 and 60,000 rows.
func slow(t *testing.T, s *trinotest.Server, c *catalog.Catalog) (schema string, f *fragment.Fragment, p *fragment.Proof) {
	t.Helper()
	schema = s.Schema(t)
	s.Exec(t, "CREATE TABLE memory."+schema+".event AS SELECT i AS id, 'k' || CAST(i * 7 % 31 AS VARCHAR) AS kind FROM "+trinotest.Series(40_000),
		"CREATE TABLE memory."+schema+".kinds AS SELECT 'k' || CAST(i AS VARCHAR) AS kind, 'l' || CAST(i AS VARCHAR) AS label FROM "+trinotest.Series(60_000))
	id, kind := expr.Column("e", "id", value.TypeInt), expr.Column("e", "kind", value.TypeText)
	less, err := expr.New(expr.OpLess, kind, expr.Column("k", "kind", value.TypeText))
	if err != nil {
		t.Fatal(err)
	}
	f = &fragment.Fragment{Version: fragment.Version, Patient: id, Norm: fragment.L2, MaxGroups: 5, MaxRows: 5, Keys: []fragment.Key{{Expr: expr.Column("k", "label", value.TypeText)}}, Partials: []fragment.Partial{{Kind: fragment.PartialRows}},
		Relations: []fragment.Relation{{Name: "e", Table: "event"}, {Name: "k", Table: "kinds", Join: fragment.JoinInner, On: less}}}
	if p, err = fragment.Check(f, c); err != nil {
		t.Fatal(err)
	}
	return schema, f, p
}

// TestCancel checks that a query ends at the server soon after its context, while it is planned and while it runs.
// After its time-out it also ends without the node.
func TestCancel(t *testing.T) {
	s := trinotest.Start(t)
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	schema, f, p := slow(t, s, c)
	e := open(t, over(s, schema), c, testKey)
	running := func() int64 {
		return s.Count(t, "SELECT count(*) FROM system.runtime.queries WHERE source = 'intramuros' AND state NOT IN ('FINISHED', 'FAILED')")
	}
	running() // the first query of its kind takes a second
	for _, after := range []time.Duration{3 * time.Second, 300 * time.Millisecond, 20 * time.Millisecond, 0} {
		ctx, cancel := context.WithCancel(context.Background())
		var stopped time.Time
		begun := make(chan int64, 1)
		timer := time.AfterFunc(after, func() {
			if after > time.Second {
				begun <- running()
			}
			stopped = time.Now()
			cancel()
		})
		err := e.Run(ctx, f, p, memory.DefaultAllocator, func(arrow.Record) error { return nil })
		timer.Stop()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("the run gives %v: %s", err, class(err))
		}
		ended := time.Since(stopped)
		if after > time.Second && <-begun != 1 {
			t.Errorf("after %v no query runs; the test tests nothing", after)
		}
		for running() > 0 && time.Since(stopped) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		d := time.Since(stopped)
		t.Logf("cancelled after %v: the run ended within %v, the query at the server within %v", after, ended, d)
		// About 50 ms, and several times as long on a busy machine.
		if ended > 5*time.Second || d > 5*time.Second {
			t.Errorf("the run ended %v after its context, and the query at the server after %v", ended, d)
		}
	}
	short := over(s, schema)
	short.Timeout = 2 * time.Second
	e = open(t, short, c, testKey)
	start := time.Now()
	err := e.Run(context.Background(), f, p, memory.DefaultAllocator, func(arrow.Record) error { return nil })
	if d := time.Since(start); !errors.Is(err, engine.ErrDatabase) || !strings.Contains(class(err), "longer than `timeout`") || d > 20*time.Second {
		t.Errorf("after %v the run gives %v: %s", d, err, class(err))
	}
	enginetest.Partials(t, e, c, &fragment.Fragment{Relations: f.Relations[:1], Patient: f.Patient, Norm: fragment.L2, MaxGroups: 1, MaxRows: 1, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}}}) // still usable
}

// TestErrorsHideValues checks that the engine's errors quote no values, unlike Trino's.
func TestErrorsHideValues(t *testing.T) {
	s := trinotest.Start(t)
	e := open(t, over(s, s.Fill(t)), testcatalog.Parse(t, enginetest.WardCatalog), testKey)
	err := e.driver.Query(context.Background(), "SELECT CAST('secret' AS BIGINT)", false, func([]any) error { return nil })
	if !errors.Is(err, engine.ErrDatabase) || strings.Contains(err.Error(), "secret") || class(err) != "Trino's error INVALID_CAST_ARGUMENT" || !strings.Contains(errors.Unwrap(err).Error(), "secret") {
		t.Errorf("the error is %v: %s, its cause %v", err, class(err), errors.Unwrap(err))
	}
	if err := e.driver.Query(context.Background(), "DROP TABLE person", false, func([]any) error { return nil }); !errors.Is(err, errNotSelect) {
		t.Errorf("the engine runs what is no SELECT: %v", err)
	}
}

// TestSources reads columns of many types as each type of the catalog, from a table and
// from a SELECT of the custodian's.
func TestSources(t *testing.T) {
	s := trinotest.Start(t)
	c := testcatalog.Parse(t, enginetest.KindsCatalog)
	sources := []struct {
		local string
		as    map[string]string // by column of the catalog: what it reads
	}{
		{"SMALLINT '7'", map[string]string{"i": "7", "f": "7", "s": "7", "b": "true", "d": "NULL", "ts": "NULL"}},
		{"0", map[string]string{"i": "0", "b": "false"}},
		{"DECIMAL '12.5'", map[string]string{"i": "13", "f": "12.5", "s": "12.5", "d": "NULL"}},
		{"DECIMAL '99999999999999999999999999999999999999'", map[string]string{"i": "NULL", "f": "1e+38"}},
		{"REAL '1.5'", map[string]string{"i": "2", "f": "1.5"}},
		{"nan()", map[string]string{"i": "NULL", "f": "NULL"}},
		{"1e300", map[string]string{"i": "NULL", "f": "1e+300", "ts": "NULL"}},
		{"' 12 '", map[string]string{"i": "12", "f": "12", "s": " 12 ", "d": "NULL", "b": "NULL"}},
		{"CAST('x' AS CHAR(5))", map[string]string{"i": "NULL"}},
		{"CAST('true' AS VARCHAR(9))", map[string]string{"s": "true", "b": "true"}},
		{"'2020-02-30'", map[string]string{"d": "NULL", "ts": "NULL"}},
		{"'2020-02-29'", map[string]string{"d": "2020-02-29"}},
		{"DATE '2020-02-29'", map[string]string{"d": "2020-02-29", "ts": "2020-02-29T00:00:00", "s": "2020-02-29", "i": "NULL", "b": "NULL", "f": "NULL"}},
		{"date_add('year', 20000, DATE '2020-02-29')", map[string]string{"d": "NULL", "ts": "NULL"}},
		{"TIMESTAMP '2020-02-29 23:30:00'", map[string]string{"d": "2020-02-29", "ts": "2020-02-29T23:30:00", "i": "NULL"}},
		{"TIMESTAMP '2020-02-29 23:30:00.123456789'", map[string]string{"ts": "2020-02-29T23:30:00.123457"}},
		{"TIMESTAMP '2020-02-29 23:30:00 -05:00'", map[string]string{"d": "2020-03-01", "ts": "2020-03-01T04:30:00"}},
		{"true", map[string]string{"b": "true", "i": "1", "s": "true", "d": "NULL"}},
		{"TIME '12:34:56'", map[string]string{"i": "NULL", "ts": "NULL", "s": "12:34:56"}},
		{"UUID '6ba7b810-9dad-11d1-80b4-00c04fd430c8'", map[string]string{"s": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "i": "NULL"}},
		{"JSON '[1]'", map[string]string{"s": "[1]", "f": "NULL"}},
		{"ARRAY[1]", map[string]string{"s": "NULL", "i": "NULL"}},
		{"X'00ff'", map[string]string{"s": "NULL", "d": "NULL"}},
		{"MAP(ARRAY['a'], ARRAY[1])", map[string]string{"s": "NULL", "b": "NULL"}},
	}
	schema := s.Schema(t)
	table, _ := c.Table("t")
	// One table has all columns, so that the server plans few queries.
	var columns []string
	for i, source := range sources {
		columns = append(columns, fmt.Sprintf("%s AS x%d", source.local, i))
	}
	all := "SELECT 1 AS id, " + strings.Join(columns, ", ")
	s.Exec(t, "CREATE TABLE memory."+schema+".t AS "+all)
	for _, from := range []engine.Source{{Table: schema + ".T"}, {Select: all}} {
		for i, source := range sources {
			cfg := over(s, schema)
			from.Columns = map[string]string{}
			f := &fragment.Fragment{Relations: []fragment.Relation{{Name: "t", Table: "t"}}, Patient: expr.Column("t", "id", value.TypeInt), Norm: fragment.L2, MaxGroups: 1, MaxRows: 1, Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
			var want []string
			for as, text := range source.as {
				from.Columns[as] = fmt.Sprintf("x%d", i)
				column, _ := table.Column(as)
				f.Keys = append(f.Keys, fragment.Key{Expr: expr.Column("t", as, column.Type)})
				want = append(want, as+" "+text)
			}
			cfg.Tables = map[string]engine.Source{"t": from}
			e := open(t, cfg, c, testKey)
			_, keys, _ := enginetest.Partials(t, e, c, f)
			for _, row := range keys {
				var got []string
				for k, v := range row {
					got = append(got, f.Keys[k].Expr.Column+" "+v.String())
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s from %s: %s", source.local, from, diff)
				}
			}
			if len(keys) != 1 {
				t.Errorf("%s: %d groups", source.local, len(keys))
			}
			e.Close()
		}
	}
}

// TestVerify checks the output of `intramuros catalog check`.
func TestVerify(t *testing.T) {
	s := trinotest.Start(t)
	schema := s.Schema(t)
	s.Exec(t, "CREATE TABLE memory."+schema+".person AS SELECT * FROM (VALUES (1, 'F', '50'), (1, 'M', '51'), (2, 'X', 'old'), (NULL, 'F', '200')) v(id, sex, age)",
		"CREATE TABLE memory."+schema+".event AS SELECT * FROM (VALUES (1, 3e0, 'a', nan(), ARRAY[1]), (1, 9e0, 'a', 1e0, ARRAY[2])) v(id, unit, kind, x, n)")
	lines := enginetest.Findings(t, open(t, over(s, schema), testcatalog.Parse(t, enginetest.WardCatalog), testKey))
	want := []string{
		"warning event.unit is of type double here and int in the catalog; values are converted",
		"warning event.day does not exist here and reads as NULL",
		"warning event.urgent does not exist here and reads as NULL",
		"warning event.free does not exist here and reads as NULL",
		"error event.n has 2 values that are no int and read as NULL: more than 90 % of them. Map another column, mend the catalog, or accept it in node.yaml by the table's max_unusable",
		"warning event.unit has 1 values outside of its bounds [1, 6], which count as the nearest bound",
		"warning event.x has 1 values that are NaN and read as NULL",
		"warning kinds. is not offered: there is no source for it here that the node may read",
		"warning person.age has 1 values that are no int and read as NULL",
		"error person.id is declared not nullable and has 1 NULLs: more than 10 % of them. Map another column, mend the catalog, or accept it in node.yaml by the table's max_unusable",
		"warning person.sex has 1 values outside of its domain, which no group shows",
		"warning person.age has 1 values outside of its bounds [0, 120], which count as the nearest bound",
		"error person. the key id has values that are in several rows, where it must identify one",
		"error person. the key id has values with a NULL, where it must identify a row",
		"error person. has several rows for some patients and is declared one_row_per_patient",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

// TestDescribe checks what `intramuros catalog init` begins with.
func TestDescribe(t *testing.T) {
	s := trinotest.Start(t)
	schema := s.Schema(t)
	s.Exec(t, "CREATE TABLE memory."+schema+".person AS SELECT i AS id, CASE WHEN i % 2 = 0 THEN 'F' END AS sex, CAST(i / 2e0 AS DECIMAL(5, 1)) AS w, date_add('day', i, DATE '2020-01-01') AS day, i > 3 AS late, ARRAY[i] AS list FROM "+trinotest.Series(100))
	got, err := Describe(context.Background(), over(s, schema))
	if err != nil {
		t.Fatal(err, class(err), errors.Unwrap(errors.Unwrap(err)))
	}
	want := []engine.Table{{Name: schema + ".person", Columns: []engine.Column{
		{Name: "id", Local: "bigint", Type: value.TypeInt, Min: "0", Max: "99"},
		{Name: "sex", Local: "varchar(1)", Type: value.TypeText, Nullable: true, Min: "F", Max: "F", Values: []string{"F"}},
		{Name: "w", Local: "decimal(5,1)", Type: value.TypeFloat, Min: "0", Max: "49.5"},
		{Name: "day", Local: "date", Type: value.TypeDate, Min: "2020-01-01", Max: "2020-04-09"},
		{Name: "late", Local: "boolean", Type: value.TypeBool, Values: []string{"false", "true"}, Rare: true},
		{Name: "list", Local: "array(bigint)", Type: value.TypeText, Nullable: true}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// Tables in the node's file have the catalog's names, and are not listed again.
	s.Exec(t, "CREATE TABLE memory."+schema+".other AS SELECT 1 AS x")
	cfg := over(s, schema)
	cfg.Tables = map[string]engine.Source{
		"patient": {Table: "person", Columns: map[string]string{"patient_id": "ID", "gender": "sex"}},
		"late":    {Select: "SELECT id, sex AS day, day AS sex FROM person WHERE late", Columns: map[string]string{"day": "sex", "sex": "day"}},
	}
	if got, err = Describe(context.Background(), cfg); err != nil {
		t.Fatal(err, errors.Unwrap(errors.Unwrap(err)))
	}
	var names []string
	for _, table := range got {
		name := table.Name + ":"
		for _, c := range table.Columns {
			name += " " + c.Name + " " + c.Local
		}
		names = append(names, name)
	}
	lines := []string{
		"late: id bigint sex varchar day date",
		"patient: patient_id bigint gender varchar(1) w decimal(5,1) day date late boolean list array(bigint)",
		schema + ".other: x integer",
	}
	if diff := cmp.Diff(lines, names); diff != "" {
		t.Error(diff)
	}
	cfg.Tables = map[string]engine.Source{"patient": {Table: "nowhere"}}
	// A missing table closes only itself.
	got, err = Describe(context.Background(), cfg)
	if err != nil || !slices.ContainsFunc(got, func(t engine.Table) bool {
		return t.Name == "patient" && strings.Contains(t.Fault, "there is no table nowhere for table patient that the user may read")
	}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestDataVersion checks that the version changes with the custodian's label, with what tables read, and with the
// node's key, and with nothing else.
func TestDataVersion(t *testing.T) {
	s := trinotest.Start(t)
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	person := enginetest.Table{Name: "person", Columns: []enginetest.Column{{Name: "id", Type: value.TypeInt}, {Name: "age", Type: value.TypeInt}}}
	schema := s.Fill(t, person)
	version := func(key string, change func(*Config)) string {
		cfg := over(s, schema)
		change(&cfg)
		v, err := open(t, cfg, c, key).DataVersion(context.Background())
		if err != nil || len(v) != 32 {
			t.Fatal(v, err)
		}
		return v
	}
	same := func(*Config) {}
	first := version(testKey, same)
	if version(testKey, same) != first || version(testKey, func(c *Config) { c.Timeout = time.Minute }) != first {
		t.Error("the version of the same data changes")
	}
	for name, v := range map[string]string{
		"key":   version("the key of another node", same),
		"label": version(testKey, func(c *Config) { c.DataVersion = "two" }),
		"select": version(testKey, func(c *Config) {
			c.Tables = map[string]engine.Source{"person": {Select: "SELECT * FROM person WHERE age < 18"}}
		}),
		"column": version(testKey, func(c *Config) {
			c.Tables = map[string]engine.Source{"person": {Columns: map[string]string{"sex": "age"}}}
		}),
	} {
		if v == first {
			t.Errorf("the version does not change with the %s", name)
		}
	}
}

// TestChanged checks that an error says what to do if the source changed after the engine was opened.
func TestChanged(t *testing.T) {
	s := trinotest.Start(t)
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	f := enginetest.Shapes()["one-row"]
	p, err := fragment.Check(f, c)
	if err != nil {
		t.Fatal(err)
	}
	const as = "(id BIGINT, sex VARCHAR, age BIGINT)"
	for _, test := range []struct{ name, now, want string }{
		{"a column is gone", "(id BIGINT, age BIGINT)", "COLUMN_NOT_FOUND: a table or column changed under the catalog"},
		{"a column has another type", "(id BIGINT, sex VARCHAR, age ARRAY(BIGINT))", "a table or column changed under the catalog"},
		{"the table is gone", "", "TABLE_NOT_FOUND: a table or column changed under the catalog"},
	} {
		schema := s.Schema(t)
		name := "memory." + schema + ".person"
		s.Exec(t, "CREATE TABLE "+name+as)
		e := open(t, over(s, schema), c, testKey)
		s.Exec(t, "DROP TABLE "+name)
		if test.now != "" {
			s.Exec(t, "CREATE TABLE "+name+test.now)
		}
		err := e.Run(t.Context(), f, p, memory.DefaultAllocator, func(arrow.Record) error { return nil })
		if !errors.Is(err, engine.ErrDatabase) || !strings.Contains(class(err), test.want) {
			t.Errorf("%s: %v: %s", test.name, err, class(err))
		}
		e.Close()
		// A mapping that names a missing column closes the table at the start.
		cfg := over(s, schema)
		cfg.Tables = map[string]engine.Source{"person": {Columns: map[string]string{"sex": "gender"}}}
		why := closed(t, cfg, c)
		if want := map[bool]string{true: "there is no table or file of that name", false: "has no column gender"}[test.now == ""]; !strings.Contains(why, want) {
			t.Errorf("%s: %s, want %s", test.name, why, want)
		}
	}
	for want, source := range map[string]engine.Source{
		"there is no table nowhere":         {Table: "nowhere"},
		"the select of table person cannot": {Select: "SELECT 1; DROP TABLE x"},
	} {
		cfg := over(s, s.Schema(t))
		cfg.Tables = map[string]engine.Source{"person": source}
		if why := closed(t, cfg, c); !strings.Contains(why, want) {
			t.Errorf("%s, want %s", why, want)
		}
	}
}

// closed opens an engine and returns why tables are closed. A source that cannot be read closes its own table.
func closed(t *testing.T, cfg Config, c *catalog.Catalog) string {
	t.Helper()
	found, err := open(t, cfg, c, testKey).Contradictions(t.Context())
	if err != nil {
		t.Fatal(err, class(err))
	}
	var why []string
	for _, f := range found {
		if f.Severity == engine.SeverityError {
			why = append(why, f.Text)
		}
	}
	return strings.Join(why, "; ")
}
