package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

const testKey = "a secret of the node, for tests only"

const roleScript = "../../../docs/postgresql-role.sql"

// TestRole checks that the role of docs/postgresql-role.sql can read what it is given and do nothing else, even for
// somebody who stole its password and asks for transactions that write.
func TestRole(t *testing.T) {
	ctx := context.Background()
	s := postgrestest.Start(t)
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	s.Exec(t, "CREATE SCHEMA cdm", "CREATE TABLE cdm.person(id BIGINT PRIMARY KEY, sex TEXT, age INTEGER)", "INSERT INTO cdm.person VALUES (1, 'F', 50)",
		"CREATE TABLE cdm.secret(x TEXT)", "CREATE TABLE cdm.event(id BIGINT)", "CREATE SEQUENCE cdm.numbers",
		"CREATE SCHEMA staff", "CREATE TABLE staff.pay(x INT)", "CREATE VIEW staff.persons AS SELECT * FROM cdm.person", "GRANT SELECT ON staff.pay TO PUBLIC", "CREATE ROLE other")
	s.Role(t, roleScript, "node", "cdm")
	var sleeps bool
	if err := s.Admin.QueryRow(ctx, "SELECT has_function_privilege('node', 'pg_sleep(double precision)', 'EXECUTE')").Scan(&sleeps); err != nil || sleeps {
		t.Errorf("made by a superuser, the role can sleep: %v, %v", sleeps, err)
	}
	s.Role(t, roleScript, "node", "cdm", "strict=1") // a second run over the same database
	s.Exec(t, "REVOKE SELECT ON cdm.secret FROM node")
	cfg := over(s, "cdm")
	cfg.User = "node"
	e := open(t, cfg, c, testKey)
	got, _, _ := enginetest.Partials(t, e, c, enginetest.Shapes()["count"])
	if got[""][0] != 1 {
		t.Errorf("one person gives %v", got)
	}

	thief, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=node database=%s", s.Folder, s.Port, postgrestest.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close(ctx)
	if _, err := thief.Exec(ctx, "SET default_transaction_read_only = off"); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := thief.QueryRow(ctx, "SELECT count(*) FROM cdm.person").Scan(&n); err != nil || n != 1 {
		t.Fatalf("what the role is for does not work: %d, %v", n, err)
	}
	for what, statements := range map[string][]string{
		"write": {"INSERT INTO cdm.person VALUES (2)", "UPDATE cdm.person SET age = 1", "DELETE FROM cdm.person", "TRUNCATE cdm.person", "MERGE INTO cdm.person AS p USING cdm.event AS e ON p.id = e.id WHEN MATCHED THEN DELETE",
			"WITH x AS (INSERT INTO cdm.person VALUES (2) RETURNING id) SELECT * FROM x", "SELECT id FROM cdm.person FOR UPDATE", "DO $$BEGIN LOCK cdm.person IN EXCLUSIVE MODE; END$$", "SELECT nextval('cdm.numbers')", "SELECT setval('cdm.numbers', 1)",
			"COPY cdm.person FROM STDIN"},
		"make anything": {"CREATE TABLE cdm.x(a INT)", "CREATE TABLE public.x(a INT)", "CREATE TABLE x AS SELECT 1", "CREATE VIEW cdm.x AS SELECT 1", "CREATE SCHEMA x", "CREATE FUNCTION cdm.f() RETURNS INT LANGUAGE SQL AS 'SELECT 1'",
			"CREATE INDEX ON cdm.person(age)", "CREATE EXTENSION dblink", "CREATE DATABASE x", "CREATE PUBLICATION x FOR TABLE cdm.person", "SELECT lo_create(0)", "SELECT lo_from_bytea(0, 'x')",
			"ALTER TABLE cdm.person ADD x INT", "DROP TABLE cdm.person", "COMMENT ON TABLE cdm.person IS 'x'", "REFRESH MATERIALIZED VIEW cdm.person", "CREATE TRIGGER x BEFORE INSERT ON cdm.person EXECUTE FUNCTION suppress_redundant_updates_trigger()"},
		"make temporary tables": {"CREATE TEMP TABLE x(a INT)", "CREATE TEMP TABLE x AS SELECT * FROM cdm.person", "SELECT * INTO TEMP x FROM cdm.person"},
		"sleep":                 {"SELECT pg_sleep(1)", "SELECT pg_sleep_for('1 second')", "SELECT pg_sleep_until(now() + interval '1 second')"},
		"read or write files": {"SELECT pg_read_file('/etc/passwd')", "SELECT pg_read_binary_file('/etc/passwd')", "SELECT pg_ls_dir('/')", "SELECT pg_stat_file('/etc/passwd')", "SELECT lo_import('/etc/passwd')", "SELECT lo_export(1, '/tmp/x')",
			"COPY cdm.person TO '/tmp/x'", "COPY cdm.event FROM '/etc/passwd'", "COPY cdm.person TO PROGRAM 'cat'", "SELECT pg_current_logfile(), pg_ls_logdir()", "LOAD '/tmp/x.so'"},
		"see other tables": {"SELECT * FROM cdm.secret", "SELECT * FROM staff.pay", "SELECT * FROM staff.persons", "SELECT rolpassword FROM pg_authid", "SELECT * FROM pg_statistic", "SELECT subconninfo FROM pg_subscription"},
		"give itself rights": {"ALTER ROLE node SUPERUSER", "ALTER ROLE node CREATEDB", "ALTER ROLE node BYPASSRLS", "CREATE ROLE x", "DROP ROLE other", "GRANT other TO node", "GRANT pg_read_server_files TO node",
			"ALTER TABLE cdm.person OWNER TO node", "SET ROLE admin", "SET ROLE other", "SET SESSION AUTHORIZATION admin", "ALTER DEFAULT PRIVILEGES FOR ROLE admin GRANT ALL ON TABLES TO node", "REASSIGN OWNED BY admin TO node"},
		"change the server": {"ALTER SYSTEM SET fsync = off", "SET session_preload_libraries = 'x'", "SET session_replication_role = replica", "SELECT pg_reload_conf()", "SELECT pg_rotate_logfile()", "CHECKPOINT", "SELECT pg_switch_wal()",
			"ALTER DATABASE hospital SET work_mem = '1MB'", "SELECT pg_create_restore_point('x')", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'admin'", "SELECT pg_stat_reset()"},
	} {
		for _, q := range statements {
			if s.Version < 15 && strings.HasPrefix(q, "MERGE") {
				continue // introduced in version 15
			}
			_, err := thief.Exec(ctx, q)
			var refused *pgconn.PgError
			// 42501 is insufficient_privilege. A view is refused by the schema that it is in.
			if !errors.As(err, &refused) || refused.Code != "42501" {
				t.Errorf("the role may %s: %s gives %v", what, q, err)
			}
		}
	}

	if _, err := thief.Exec(ctx, "GRANT INSERT ON cdm.person TO node"); err != nil { // a warning, and nothing is granted
		t.Error(err)
	}
	open(t, cfg, c, testKey) // so the role is still accepted

	// Even if somebody gave it rights to write later, queries could not.
	s.Exec(t, "GRANT INSERT ON cdm.person TO node", "GRANT TEMPORARY ON DATABASE hospital TO node")
	for q, want := range map[string]string{
		"WITH x AS (INSERT INTO cdm.person VALUES (2) RETURNING id) SELECT * FROM x": "25006", // read_only_sql_transaction
		"CREATE TEMP TABLE x(a INT)": "25006",
		"SELECT 1; SELECT 2":         "42601", // syntax_error: one statement only
	} {
		var refused *pgconn.PgError
		if err := e.driver.look(ctx, q, func([]any) error { return nil }); !errors.As(err, &refused) || refused.Code != want {
			t.Errorf("%s gives %v, want %s", q, errors.Unwrap(err), want)
		}
	}

	for _, test := range []struct{ grant, revoke, want string }{
		{"SELECT 1", "REVOKE INSERT ON cdm.person FROM node", "may write to the table cdm.person"},
		{"GRANT UPDATE (x) ON cdm.secret TO node", "REVOKE UPDATE (x) ON cdm.secret FROM node", "may write to the table cdm.secret"},
		{"GRANT pg_read_server_files TO node", "REVOKE pg_read_server_files FROM node", "may read files"},
		{"GRANT pg_write_server_files TO node", "REVOKE pg_write_server_files FROM node", "may write files"},
		{"GRANT pg_execute_server_program TO node", "REVOKE pg_execute_server_program FROM node", "may run programs"},
		{"ALTER ROLE node SUPERUSER", "ALTER ROLE node NOSUPERUSER", "is a superuser"},
		{"ALTER ROLE node REPLICATION", "ALTER ROLE node NOREPLICATION", "may replicate"},
		{"ALTER ROLE node CREATEROLE", "ALTER ROLE node NOCREATEROLE", "may make roles"},
		{"ALTER ROLE node BYPASSRLS", "ALTER ROLE node NOBYPASSRLS", "may bypass row-level security"},
		// A right that it does not inherit could still be used by SET ROLE.
		{"GRANT admin TO node", "REVOKE admin FROM node", "may become a superuser"},
		{"GRANT DELETE ON cdm.event TO other; GRANT other TO node", "REVOKE other FROM node", "may write to the table cdm.event"},
		{"GRANT pg_write_all_data TO node", "REVOKE pg_write_all_data FROM node", "may write to the table"},
	} {
		if s.Version < 14 && strings.Contains(test.grant, "pg_write_all_data") {
			continue // introduced in version 14
		}
		s.Exec(t, test.grant)
		if _, err := Open(ctx, cfg, c, "A", []byte(testKey)); !errors.Is(err, engine.ErrConfig) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("after %s: %v", test.grant, err)
		}
		s.Exec(t, test.revoke)
	}
	open(t, cfg, c, testKey)
}

// TestRoleOfOwner checks that the owner of a database creates the role without a superuser, or is told what to ask one
// for. A mistake leaves no role that works in part.
func TestRoleOfOwner(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE ROLE maker LOGIN CREATEROLE", "CREATE ROLE owner LOGIN", "CREATE ROLE etl LOGIN", "CREATE ROLE stranger LOGIN", "ALTER DATABASE "+postgrestest.Database+" OWNER TO owner",
		"CREATE SCHEMA cdm AUTHORIZATION owner", "GRANT etl TO owner", "GRANT owner TO maker", "SET ROLE owner", "CREATE TABLE cdm.person(id BIGINT PRIMARY KEY, sex TEXT, age INTEGER)", "INSERT INTO cdm.person VALUES (1, 'F', 50)", "RESET ROLE")
	variables := []string{"role=node", "database=" + postgrestest.Database, "schema=cdm"}
	run := func(as string, more ...string) string {
		t.Helper()
		out, err := s.Script(t, as, roleScript, append(variables, more...)...)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return out
	}
	const works, sleeps = `The role "node" can read 1 of the 1 tables and views of the schema "cdm".`, "The role can still call pg_sleep"
	out := run("owner")
	if !strings.Contains(out, "You may not make roles.") {
		t.Fatalf("an owner who may not make roles is told %s", out)
	}
	// The statements that it prints are what a superuser runs.
	_, ask, _ := strings.Cut(out, "\n")
	for q := range strings.Lines(ask) {
		s.Exec(t, q)
	}
	answers := func() {
		t.Helper()
		cfg := over(s, "cdm")
		cfg.User = "node"
		s.Exec(t, "ALTER ROLE node PASSWORD '"+postgrestest.Password+"'")
		e := open(t, cfg, testcatalog.Parse(t, enginetest.WardCatalog), testKey)
		if got, _, _ := enginetest.Partials(t, e, testcatalog.Parse(t, enginetest.WardCatalog), enginetest.Shapes()["count"]); got[""][0] != 1 {
			t.Errorf("one person gives %v", got)
		}
		e.Close()
	}
	for _, strict := range [][]string{nil, {"strict=1", "loader=etl"}} {
		if out := run("owner", strict...); !strings.Contains(out, works) || !strings.Contains(out, sleeps) {
			t.Errorf("the owner of a database is told %s", out)
		}
		answers()
	}
	// Tables that the loader creates again at night can be read in the morning.
	s.Exec(t, "GRANT CREATE ON SCHEMA cdm TO etl", "SET ROLE etl", "CREATE TABLE cdm.event(id BIGINT)", "RESET ROLE")
	var reads, temporary bool
	if err := s.Admin.QueryRow(t.Context(), "SELECT has_table_privilege('node', 'cdm.event', 'SELECT'), has_database_privilege('node', current_database(), 'TEMPORARY')").Scan(&reads, &temporary); err != nil || !reads || temporary {
		t.Errorf("the role reads what the loader makes: %v; makes temporary tables: %v; %v", reads, temporary, err)
	}
	// An owner who may create roles creates it alone.
	s.Exec(t, "DROP OWNED BY node", "DROP ROLE node", "DROP TABLE cdm.event")
	if out := run("maker"); !strings.Contains(out, works) {
		t.Errorf("who may make roles is told %s", out)
	}
	answers()
	var settings string
	if err := s.Admin.QueryRow(t.Context(), "SELECT rolconnlimit || ' ' || array_to_string(rolconfig, ' ') FROM pg_roles WHERE rolname = 'node'").Scan(&settings); err != nil || settings != "20 default_transaction_read_only=on statement_timeout=4h idle_in_transaction_session_timeout=10min" {
		t.Errorf("the role has %s, %v", settings, err)
	}
	// The script fails, with psql, for somebody who owns nothing.
	if out, err := s.Script(t, "stranger", roleScript, variables...); err == nil || !strings.Contains(out, "permission denied") {
		t.Errorf("a stranger gives %v: %s", err, out)
	}
}

// TestCancel checks that a query ends at the server soon after its context.
func TestCancel(t *testing.T) {
	s := postgrestest.Start(t)
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	s.Exec(t, "CREATE SCHEMA cdm", "GRANT USAGE ON SCHEMA cdm TO intramuros",
		"CREATE TABLE cdm.event AS SELECT i AS id, 'k' || (i * 7 % 31) AS kind FROM generate_series(1::bigint, 20000) AS i",
		"CREATE TABLE cdm.kinds AS SELECT 'k' || i AS kind, 'l' || i AS label FROM generate_series(1, 60000) AS i", "GRANT SELECT ON ALL TABLES IN SCHEMA cdm TO intramuros")
	e := open(t, over(s, "cdm"), c, testKey)
	id, kind := expr.Column("e", "id", value.TypeInt), expr.Column("e", "kind", value.TypeText)
	less, _ := expr.New(expr.OpLess, kind, expr.Column("k", "kind", value.TypeText))
	f := &fragment.Fragment{Version: fragment.Version, Patient: id, Norm: fragment.L2, MaxGroups: 5, MaxRows: 5, Keys: []fragment.Key{{Expr: expr.Column("k", "label", value.TypeText)}}, Partials: []fragment.Partial{{Kind: fragment.PartialRows}},
		Relations: []fragment.Relation{{Name: "e", Table: "event"}, {Name: "k", Table: "kinds", Join: fragment.JoinInner, On: less}}}
	p, err := fragment.Check(f, c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var stopped time.Time
	timer := time.AfterFunc(500*time.Millisecond, func() { stopped = time.Now(); cancel() })
	defer timer.Stop()
	err = e.Run(ctx, f, p, memory.DefaultAllocator, func(arrow.Record) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the run gives %v", err)
	}
	ended := time.Since(stopped)
	active := func() (n int) {
		err := s.Admin.QueryRow(context.Background(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'intramuros' AND state = 'active'").Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for active() > 0 && time.Since(stopped) < time.Minute {
		time.Sleep(10 * time.Millisecond)
	}
	// Both take about 20 ms, and several times as long on a busy machine.
	if d := time.Since(stopped); ended > 5*time.Second || d > 5*time.Second {
		t.Errorf("the run ended %v after its context, and the query at the server after %v", ended, d)
	}
	enginetest.Partials(t, e, c, &fragment.Fragment{Relations: f.Relations[:1], Patient: id, Norm: fragment.L2, MaxGroups: 1, MaxRows: 1, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}}}) // still usable
}

// TestErrorsHideValues checks that the engine's errors quote no values, unlike PostgreSQL's.
func TestErrorsHideValues(t *testing.T) {
	s := postgrestest.Start(t)
	e := open(t, over(s, s.Fill(t)), testcatalog.Parse(t, enginetest.WardCatalog), testKey)
	err := e.driver.Query(context.Background(), "SELECT CAST('secret' AS BIGINT)", false, func([]any) error { return nil })
	var named interface{ Class() string }
	if !errors.Is(err, engine.ErrDatabase) || strings.Contains(err.Error(), "secret") || !errors.As(err, &named) || strings.Contains(named.Class(), "secret") || !strings.Contains(errors.Unwrap(err).Error(), "secret") {
		t.Errorf("the error is %v, its cause %v", err, errors.Unwrap(err))
	}
}

// TestSources reads columns of many types as each type of the catalog.
func TestSources(t *testing.T) {
	s := postgrestest.Start(t)
	c := testcatalog.Parse(t, enginetest.KindsCatalog)
	columns := []struct {
		local string
		as    map[string]string // by column of the catalog: what it reads
	}{
		{"'7'::smallint", map[string]string{"i": "7", "f": "7", "s": "7", "b": "true"}},
		{"0::integer", map[string]string{"i": "0", "f": "0", "s": "0", "b": "false"}},
		{"12.5::numeric", map[string]string{"i": "13", "f": "12.5", "s": "12.5"}},
		{"12345::numeric(5,0)", map[string]string{"i": "12345", "f": "12345"}},
		{"'NaN'::numeric", map[string]string{"i": "NULL", "f": "NULL"}},
		{"'1e400'::numeric", map[string]string{"i": "NULL", "f": "NULL"}},
		{"'1e-400'::numeric", map[string]string{"i": "0", "f": "0"}},
		{"1.5::real", map[string]string{"i": "2", "f": "1.5"}},
		{"'nan'::double precision", map[string]string{"i": "NULL", "f": "NULL"}},
		{"1e300::double precision", map[string]string{"i": "NULL", "f": "1e+300"}},
		{"' 12 '::text", map[string]string{"i": "12", "f": "12", "s": " 12 ", "d": "NULL", "b": "NULL"}},
		{"'x'::char(5)", map[string]string{"i": "NULL", "s": "x"}},
		{"'yes'::varchar(9)", map[string]string{"s": "yes", "b": "true"}},
		{"'2020-02-30'::text", map[string]string{"d": "NULL", "ts": "NULL"}},
		{"'2020-02-29'::text", map[string]string{"d": "2020-02-29", "ts": "2020-02-29T00:00:00"}},
		{"date '2020-02-29'", map[string]string{"d": "2020-02-29", "ts": "2020-02-29T00:00:00", "s": "2020-02-29", "i": "NULL"}},
		{"date 'infinity'", map[string]string{"d": "NULL", "ts": "NULL"}},
		{"date '300000-01-01'", map[string]string{"d": "NULL", "ts": "NULL"}},
		{"timestamp '2020-02-29 23:30'", map[string]string{"d": "2020-02-29", "ts": "2020-02-29T23:30:00"}},
		{"timestamptz '2020-02-29 23:30-05'", map[string]string{"d": "2020-03-01", "ts": "2020-03-01T04:30:00"}},
		{"timestamptz 'infinity'", map[string]string{"d": "NULL", "ts": "NULL"}},
		{"true", map[string]string{"b": "true", "i": "1", "s": "true"}},
		{"'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid", map[string]string{"s": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "i": "NULL"}},
		{"'[1]'::jsonb", map[string]string{"s": "[1]", "f": "NULL"}},
	}
	s.Exec(t, "CREATE SCHEMA cdm", "GRANT USAGE ON SCHEMA cdm TO intramuros")
	for i, column := range columns {
		name := fmt.Sprintf("t%d", i)
		s.Exec(t, "CREATE TABLE cdm."+name+" AS SELECT 1::int AS id, "+column.local+" AS x", "CREATE VIEW cdm.v"+name+" AS SELECT * FROM cdm."+name, "GRANT SELECT ON cdm."+name+", cdm.v"+name+" TO intramuros")
		for as, want := range column.as {
			for _, source := range []engine.Source{{Table: name}, {Table: "cdm.v" + name}, {Select: "SELECT * FROM " + name}} {
				source.Columns = map[string]string{as: "x"}
				cfg := over(s, "cdm")
				cfg.Tables = map[string]engine.Source{"t": source}
				e := open(t, cfg, c, testKey)
				table, _ := c.Table("t")
				col, _ := table.Column(as)
				f := &fragment.Fragment{Relations: []fragment.Relation{{Name: "t", Table: "t"}}, Patient: expr.Column("t", "id", value.TypeInt), Norm: fragment.L2, MaxGroups: 1, MaxRows: 1,
					Keys: []fragment.Key{{Expr: expr.Column("t", as, col.Type)}}, Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
				_, keys, _ := enginetest.Partials(t, e, c, f)
				for _, k := range keys {
					if k[0].String() != want {
						t.Errorf("%s from %s reads %s as %s, want %s", column.local, source, as, k[0], want)
					}
				}
				if len(keys) != 1 {
					t.Errorf("%s: %d groups", column.local, len(keys))
				}
				e.Close()
			}
		}
	}
}

func TestVerify(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE SCHEMA cdm", "GRANT USAGE ON SCHEMA cdm TO intramuros",
		"CREATE TABLE cdm.person AS SELECT * FROM (VALUES (1, 'F', '50'), (1, 'M', '51'), (2, 'X', 'old'), (NULL, 'F', '200')) v(id, sex, age)",
		"CREATE TABLE cdm.event(id BIGINT, unit DOUBLE PRECISION, kind TEXT, x DOUBLE PRECISION)",
		"INSERT INTO cdm.event VALUES (1, 3, 'a', 'nan'), (1, 9, 'a', 1)", "GRANT SELECT ON ALL TABLES IN SCHEMA cdm TO intramuros")
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	want := []string{
		"warning event.unit is of type double precision here and int in the catalog; values are converted",
		"warning event.n does not exist here and reads as NULL",
		"warning event.day does not exist here and reads as NULL",
		"warning event.urgent does not exist here and reads as NULL",
		"warning event.free does not exist here and reads as NULL",
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
	if diff := cmp.Diff(want, enginetest.Findings(t, open(t, over(s, "cdm"), c, testKey))); diff != "" {
		t.Error(diff)
	}
	// With a primary key, the database guarantees both, and no row is read to check it.
	s.Exec(t, "DELETE FROM cdm.person WHERE id IS NULL OR sex = 'M'", "ALTER TABLE cdm.person ADD PRIMARY KEY (id)")
	for _, line := range enginetest.Findings(t, open(t, over(s, "cdm"), c, testKey)) {
		if strings.HasPrefix(line, "error") {
			t.Error(line)
		}
	}
}

func TestDescribe(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE SCHEMA cdm", "GRANT USAGE ON SCHEMA cdm TO intramuros",
		"CREATE TABLE cdm.person AS SELECT i AS id, CASE WHEN i % 2 = 0 THEN 'F' END AS sex, i / 2.0 AS w, DATE '2020-01-01' + i AS day, i > 3 AS late FROM generate_series(0, 99) AS i",
		"CREATE TABLE cdm.hidden(x INT)", "GRANT SELECT ON cdm.person TO intramuros")
	got, err := Describe(context.Background(), over(s, "cdm"))
	if err != nil {
		t.Fatal(err, errors.Unwrap(errors.Unwrap(err)))
	}
	want := []engine.Table{{Name: "cdm.person", Columns: []engine.Column{
		{Name: "id", Local: "integer", Type: value.TypeInt, Min: "0", Max: "99"},
		{Name: "sex", Local: "text", Type: value.TypeText, Nullable: true, Min: "F", Max: "F", Values: []string{"F"}},
		{Name: "w", Local: "numeric", Type: value.TypeFloat, Min: "0", Max: "49.5"},
		{Name: "day", Local: "date", Type: value.TypeDate, Min: "2020-01-01", Max: "2020-04-09"},
		{Name: "late", Local: "boolean", Type: value.TypeBool, Values: []string{"false", "true"}, Rare: true}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDataVersion(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE SCHEMA cdm", "GRANT USAGE ON SCHEMA cdm TO intramuros", "CREATE TABLE cdm.lab(id BIGINT, kind TEXT) PARTITION BY RANGE (id)", "CREATE TABLE cdm.lab1 PARTITION OF cdm.lab FOR VALUES FROM (0) TO (100)",
		"CREATE VIEW cdm.event AS SELECT * FROM cdm.lab WHERE id > 0", "CREATE TABLE cdm.other(x INT)", "GRANT SELECT ON cdm.event TO intramuros")
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	e := open(t, over(s, "cdm"), c, testKey)
	version := func(e *Engine) string {
		v, err := e.DataVersion(context.Background())
		if err != nil {
			t.Fatal(err, errors.Unwrap(errors.Unwrap(err)))
		}
		return v
	}
	changes := func(before string) bool {
		for range 60 {
			if version(e) != before {
				return true
			}
			time.Sleep(50 * time.Millisecond)
		}
		return false
	}
	first := version(e)
	if len(first) != 32 || version(e) != first || version(open(t, over(s, "cdm"), c, testKey)) != first {
		t.Errorf("the version of the same data is not always %s", first)
	}
	if version(open(t, over(s, "cdm"), c, "the key of another node")) == first {
		t.Error("the version does not depend on the node's key")
	}
	for _, q := range []string{"INSERT INTO cdm.other VALUES (1)", "SELECT * FROM cdm.event", "ANALYZE cdm.lab", "VACUUM cdm.lab", "CREATE INDEX ON cdm.lab(kind)", "GRANT SELECT ON cdm.event TO PUBLIC", "COMMENT ON TABLE cdm.lab IS 'x'", "UPDATE cdm.lab SET kind = 'x' WHERE false"} {
		s.Session(t, q)
	}
	if changes(first) {
		t.Error("what changes no table that is read changes the version")
	}
	for _, q := range []string{"INSERT INTO cdm.lab VALUES (5, 'a')", "UPDATE cdm.lab SET kind = 'b'", "DELETE FROM cdm.lab", "TRUNCATE cdm.lab", "CREATE OR REPLACE VIEW cdm.event AS SELECT * FROM cdm.lab WHERE id > 1"} {
		before := version(e)
		s.Session(t, q)
		if !changes(before) {
			t.Errorf("%s does not change the version", q)
		}
	}
	labelled := over(s, "cdm")
	labelled.DataVersion = "2027-01-31"
	one := version(open(t, labelled, c, testKey))
	s.Session(t, "INSERT INTO cdm.lab VALUES (6, 'a')")
	if version(open(t, labelled, c, testKey)) != one {
		t.Error("the version is not the label's")
	}
	labelled.DataVersion = "2027-02-28"
	if version(open(t, labelled, c, testKey)) == one {
		t.Error("the version does not follow the label")
	}
}

// TestForeignTables checks that a custodian must name the data's state, because the server does not know when foreign
// data change.
func TestForeignTables(t *testing.T) {
	s := postgrestest.Start(t)
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	if _, err := s.Admin.Exec(t.Context(), "CREATE EXTENSION file_fdw"); err != nil {
		t.Skipf("there are no foreign tables here: %v", err)
	}
	s.Exec(t, "CREATE SCHEMA cdm", "GRANT USAGE ON SCHEMA cdm TO intramuros", "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw",
		"CREATE FOREIGN TABLE cdm.lab(id BIGINT, kind TEXT) SERVER files OPTIONS (filename '/dev/null')", "CREATE VIEW cdm.event AS SELECT * FROM cdm.lab", "CREATE TABLE cdm.other(id BIGINT, sex TEXT)",
		"GRANT SELECT ON cdm.event, cdm.other TO intramuros")
	cfg := over(s, "cdm")
	for _, tables := range []map[string]engine.Source{nil, {"person": {Select: "SELECT * FROM other"}}} {
		cfg.Tables, cfg.DataVersion = tables, ""
		if _, err := Open(t.Context(), cfg, c, "A", []byte(testKey)); !errors.Is(err, engine.ErrConfig) || !strings.Contains(err.Error(), "foreign table cdm.lab") || !strings.Contains(err.Error(), "data_version") {
			t.Errorf("%v", err)
		}
		cfg.DataVersion = "2027-01"
		open(t, cfg, c, testKey)
	}
	// A foreign table that the role cannot read does not matter.
	s.Exec(t, "REVOKE SELECT ON cdm.event FROM intramuros")
	cfg.DataVersion = ""
	open(t, cfg, c, testKey)
}

// TestSnapshot checks that a fragment over two tables sees one state of both, although others commit while it runs.
func TestSnapshot(t *testing.T) {
	const patients = 100
	s := postgrestest.Start(t)
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	s.Exec(t, "CREATE SCHEMA cdm", "GRANT USAGE ON SCHEMA cdm TO intramuros",
		fmt.Sprintf("CREATE TABLE cdm.person AS SELECT i AS id, 'F' AS sex, 50 AS age FROM generate_series(1::bigint, %d) AS i", patients), "CREATE TABLE cdm.event AS SELECT id, 'k' AS kind FROM cdm.person",
		"GRANT SELECT ON ALL TABLES IN SCHEMA cdm TO intramuros")
	cfg := over(s, "cdm")
	// Rows come so slowly that several commits happen between the first and the last, of either table.
	cfg.Tables = map[string]engine.Source{
		"event":  {Select: "SELECT event.* FROM event, LATERAL (SELECT pg_sleep(0.0005 + 0 * id)) AS s OFFSET 0"},
		"person": {Select: "SELECT person.* FROM person, LATERAL (SELECT pg_sleep(0.0005 + 0 * id)) AS s OFFSET 0"},
	}
	e := open(t, cfg, c, testKey)
	id, other := expr.Column("e", "id", value.TypeInt), expr.Column("p", "id", value.TypeInt)
	same, err := expr.New(expr.OpEqual, id, other)
	if err != nil {
		t.Fatal(err)
	}
	f := &fragment.Fragment{Version: fragment.Version, Patient: id, Norm: fragment.L2, MaxGroups: 1, MaxRows: 1, Partials: []fragment.Partial{{Kind: fragment.PartialRows}},
		Relations: []fragment.Relation{{Name: "e", Table: "event"}, {Name: "p", Table: "person", Join: fragment.JoinInner, On: same}}}

	// Each commit gives every patient another id in both tables: within one state all rows join, across two none do.
	writer, stop := make(chan error, 1), make(chan struct{})
	commits := 0
	conn, err := pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%d user=admin database=%s", s.Folder, s.Port, postgrestest.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	go func() {
		for {
			select {
			case <-stop:
				writer <- nil
				return
			default:
			}
			if _, err := conn.Exec(context.Background(), fmt.Sprintf("UPDATE cdm.person SET id = id + %[1]d; UPDATE cdm.event SET id = id + %[1]d", patients)); err != nil {
				writer <- err
				return
			}
			commits++
		}
	}()
	const runs = 20
	for range runs {
		got, _, _ := enginetest.Partials(t, e, c, f)
		if got[""][0] != patients {
			t.Errorf("%d of %d patients are in both tables", got[""][0], patients)
		}
	}
	close(stop)
	if err := <-writer; err != nil {
		t.Fatal(err)
	}
	if commits < 2*runs {
		t.Errorf("%d commits during %d fragments show nothing", commits, runs)
	}
}

// TestChanged checks that an error says what to do if the source changed after the engine was opened.
func TestChanged(t *testing.T) {
	s := postgrestest.Start(t)
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	schema := s.Fill(t, enginetest.Table{Name: "person", Columns: []enginetest.Column{{Name: "id", Type: value.TypeInt}, {Name: "sex", Type: value.TypeText}, {Name: "age", Type: value.TypeInt}}})
	f := enginetest.Shapes()["one-row"]
	p, err := fragment.Check(f, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ change, want string }{
		{"ALTER TABLE " + schema + ".person DROP COLUMN sex", "a column changed under the catalog"},
		{"ALTER TABLE " + schema + ".person ALTER COLUMN age TYPE TEXT", "changed under the catalog"},
		{"REVOKE SELECT ON " + schema + ".person FROM intramuros", "the role lacks a right"},
		{"DROP TABLE " + schema + ".person", "a table changed under the catalog"},
	} {
		s.Exec(t, "DROP TABLE IF EXISTS "+schema+".person", "CREATE TABLE "+schema+".person(id BIGINT, sex TEXT, age BIGINT)", "GRANT SELECT ON "+schema+".person TO intramuros")
		e := open(t, over(s, schema), c, testKey)
		s.Exec(t, test.change)
		err := e.Run(t.Context(), f, p, memory.DefaultAllocator, func(arrow.Record) error { return nil })
		var named interface{ Class() string }
		if !errors.As(err, &named) || !strings.Contains(named.Class(), test.want) {
			t.Errorf("after %s: %v", test.change, err)
		}
		e.Close()
	}
}

// TestConnect connects over TCP, with a password, and with TLS or a clear refusal.
func TestConnect(t *testing.T) {
	s := postgrestest.Start(t)
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	t.Setenv("TEST_PASSWORD", postgrestest.Password)
	t.Setenv("TEST_WRONG", "wrong")
	t.Setenv("PGUSER", "admin")
	t.Setenv("PGHOST", "192.0.2.1")
	cfg := over(s, s.Fill(t))
	cfg.Host, cfg.Password = "127.0.0.1", config.Secret{Env: "TEST_PASSWORD"}
	open(t, cfg, c, testKey)
	for name, change := range map[string]func(*Config){
		"the server refused the user, the password":   func(c *Config) { c.Password = config.Secret{Env: "TEST_WRONG"} },
		"the server cannot be reached, or has no TLS": func(c *Config) { c.TLS.Mode = "verify" },
		"there is no such database":                   func(c *Config) { c.Database = "none" },
	} {
		wrong := cfg
		change(&wrong)
		_, err := Open(context.Background(), wrong, c, "A", []byte(testKey))
		var named interface{ Class() string }
		if !errors.As(err, &named) || !strings.Contains(named.Class(), name) {
			t.Errorf("%v, want %s", err, name)
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), "real secret") {
				t.Errorf("the error shows the password: %v", e)
			}
		}
	}
	for name, wrong := range map[string]Config{
		"`host` is not set":                {Database: "d", User: "u"},
		"write verify or off":              {Host: "h", Database: "d", User: "u", TLS: TLS{Mode: "prefer"}},
		"does not apply to a Unix socket":  {Host: "/run", Database: "d", User: "u", TLS: TLS{Mode: "verify"}},
		"names a file":                     func() Config { x := cfg; x.Tables = map[string]engine.Source{"event": {File: "x.csv"}}; return x }(),
		"the catalog has no table nothing": func() Config { x := cfg; x.Tables = map[string]engine.Source{"nothing": {}}; return x }(),
	} {
		if _, err := Open(context.Background(), wrong, c, "A", []byte(testKey)); !errors.Is(err, engine.ErrConfig) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
	// A source that cannot be read closes its table and says why. The others answer.
	for why, source := range map[string]engine.Source{
		"there is no table nowhere":        {Table: "nowhere"},
		"the select of table event cannot": {Select: "SELECT 1; DROP TABLE x"},
	} {
		half := cfg
		half.Tables = map[string]engine.Source{"event": source}
		found, err := open(t, half, c, testKey).Contradictions(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(found, func(f engine.Finding) bool { return f.Table == "event" && strings.Contains(f.Text, why) }) ||
			slices.ContainsFunc(found, func(f engine.Finding) bool { return f.Table != "event" && f.Severity == engine.SeverityError }) {
			t.Errorf("%q: found %v", why, found)
		}
	}
}

// TestViewThatFails checks that a view that fails on a row's value closes its own table, and that the message does not
// have the value.
func TestViewThatFails(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE SCHEMA cdm", "GRANT USAGE ON SCHEMA cdm TO intramuros", "CREATE TABLE cdm.person(id BIGINT PRIMARY KEY, sex TEXT, age INTEGER)",
		"INSERT INTO cdm.person VALUES (1, 'secret', 50)", "CREATE VIEW cdm.event AS SELECT id, CAST(sex AS DOUBLE PRECISION) AS x FROM cdm.person", "GRANT SELECT ON ALL TABLES IN SCHEMA cdm TO intramuros")
	found, err := open(t, over(s, "cdm"), testcatalog.Parse(t, enginetest.WardCatalog), testKey).Contradictions(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var errs []string
	for _, f := range found {
		if f.Severity == engine.SeverityError {
			errs = append(errs, fmt.Sprintf("%s %s", f.Table, f.Text))
		}
	}
	want := []string{"event is closed: PostgreSQL's error 22P02: a view, or a `select` in node.yaml, fails on a row's value: let it use what cannot fail; without either, please report it"}
	if diff := cmp.Diff(want, errs); diff != "" {
		t.Error(diff)
	}
}
