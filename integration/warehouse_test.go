package integration

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

// warehouse is a hospital whose OMOP measurements are in PostgreSQL, in a federation of its own.
type warehouse struct {
	*federation
	server *postgrestest.Server
	reader *pgx.Conn // logged in with the node's role
	rows   int
}

const warehouseHospital = "lyon"

// startWarehouse fills PostgreSQL with that many measurements, with the tables of OMOP's own script for PostgreSQL.
// Each patient has 40, stored in the order of time and not of patients. The node logs in over TCP with the role that
// hospitals create. engine are further keys of `engine.postgres`.
func startWarehouse(t *testing.T, rows int, engine string) *warehouse {
	t.Helper()
	s := postgrestest.Start(t, "shared_buffers=1GB", "max_wal_size=8GB", "maintenance_work_mem=512MB", "autovacuum=off")
	patients := rows / 40
	begun := time.Now()
	s.Exec(t, "CREATE SCHEMA cdm", `CREATE UNLOGGED TABLE cdm.person (person_id integer NOT NULL, gender_concept_id integer NOT NULL, year_of_birth integer NOT NULL,
		month_of_birth integer, day_of_birth integer, birth_datetime timestamp, race_concept_id integer NOT NULL, ethnicity_concept_id integer NOT NULL)`,
		`CREATE UNLOGGED TABLE cdm.measurement (measurement_id integer NOT NULL, person_id integer NOT NULL, measurement_concept_id integer NOT NULL, measurement_date date NOT NULL,
		measurement_datetime timestamp, measurement_time varchar(10), measurement_type_concept_id integer NOT NULL, operator_concept_id integer, value_as_number numeric,
		value_as_concept_id integer, unit_concept_id integer, range_low numeric, range_high numeric, visit_occurrence_id integer, measurement_source_value varchar(50))`,
		fmt.Sprintf(`INSERT INTO cdm.person SELECT i, CASE WHEN i %% 2 = 0 THEN 8532 ELSE 8507 END, 1930 + i %% 90, NULL, NULL, NULL, 0, 0 FROM generate_series(1, %d) AS i`, patients),
		// 2654435761 is Knuth's multiplier: it spreads patients, tests and values, the same in each run.
		fmt.Sprintf(`INSERT INTO cdm.measurement SELECT i, 1 + i %% %[1]d, 3000000 + (h / 1000) %% 10, date '2019-01-01' + (i * 2000 / %[2]d)::int, timestamp '2019-01-01' + i * 2000 / %[2]d * interval '1 day',
		NULL, 32856, NULL, (h %% 2001) / 10.0, NULL, 8840, 70, 110, NULL, 'GLU' FROM (SELECT i, i * 2654435761 %% 4294967296 AS h FROM generate_series(1::bigint, %[2]d) AS i) AS s`, patients, rows),
		"ALTER TABLE cdm.person ADD PRIMARY KEY (person_id)", "ALTER TABLE cdm.measurement ADD PRIMARY KEY (measurement_id)", "VACUUM ANALYZE cdm.person", "VACUUM ANALYZE cdm.measurement")
	s.Role(t, "../docs/postgresql-role.sql", "node", "cdm")
	var size string
	if err := s.Admin.QueryRow(t.Context(), "SELECT pg_size_pretty(pg_total_relation_size('cdm.measurement'))").Scan(&size); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d measurements of %d patients, %s, made in %.0f s", rows, patients, size, time.Since(begun).Seconds())

	w := &warehouse{server: s, rows: rows}
	w.federation = newFederation(t, shape{catalog: "builtin:omop-5.4", folders: map[string]string{warehouseHospital: ""}})
	w.write("postgres.password", postgrestest.Password+"\n")
	w.engine(engine)
	w.startCoordinator()
	w.startNode(warehouseHospital)
	w.await(warehouseHospital)

	var err error
	if w.reader, err = pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%d user=node database=%s", s.Folder, s.Port, postgrestest.Database)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.reader.Close(context.Background()) })
	return w
}

// engine writes the key `engine` of the node's file.
func (w *warehouse) engine(more string) {
	w.t.Helper()
	file := warehouseHospital + ".yaml"
	b, err := os.ReadFile(w.path(file))
	if err != nil {
		w.t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(b), "\nengine:")
	if !ok {
		w.t.Fatalf("%s has no engine:\n%s", file, b)
	}
	w.write(file, fmt.Sprintf("%s\nengine:\n  postgres:\n    {host: 127.0.0.1, port: %d, database: %s, user: node, password: {file: postgres.password}, schema: cdm, rows_to_node: never%s}\n",
		before, w.server.Port, postgrestest.Database, more))
}

// restart gives the node another engine, and waits until it answers.
func (w *warehouse) restart(engine string) {
	w.t.Helper()
	if err := w.nodes[warehouseHospital].stop(); err != nil {
		w.t.Fatal(err)
	}
	w.awaitPresence(false, warehouseHospital)
	w.engine(engine)
	w.startNode(warehouseHospital)
	w.await(warehouseHospital)
}

// active counts the node's statements that run at the server.
func (w *warehouse) active(t *testing.T) (n int) {
	t.Helper()
	if err := w.server.Admin.QueryRow(context.Background(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'intramuros' AND state = 'active'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// begins waits until a statement has run at the server longer than any but a fragment does.
func (w *warehouse) begins(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var n int
		if err := w.server.Admin.QueryRow(context.Background(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'intramuros' AND state = 'active' AND query LIKE '%WITH rows AS%' AND clock_timestamp() - query_start > interval '300 ms'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no fragment runs at the server\n%s", w.nodes[warehouseHospital].tail(20))
		}
	}
}

// ends waits until nothing of the node runs at the server, and returns how long that took.
func (w *warehouse) ends(t *testing.T, since time.Time) time.Duration {
	t.Helper()
	for w.active(t) > 0 {
		if time.Since(since) > 30*time.Second {
			t.Fatalf("the statement still runs %v later", time.Since(since))
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(since)
}

// endless is a query that takes hours: each patient's measurements joined with each other, four times.
const endless = `SELECT COUNT(*) FROM measurement a JOIN measurement b ON b.person_id = a.person_id JOIN measurement c ON c.person_id = a.person_id
	JOIN measurement d ON d.person_id = a.person_id WHERE a.value_as_number + b.value_as_number + c.value_as_number + d.value_as_number > 10`

// TestWarehouse tests a hospital with 20 million measurements in PostgreSQL, or 1 million without INTRAMUROS_FULL. The
// node adds almost nothing to the engine's time and copies nothing. Whatever ends a query also ends it at the server.
func TestWarehouse(t *testing.T) {
	rows := 1_000_000
	if os.Getenv("INTRAMUROS_FULL") != "" {
		rows = 20_000_000
	}
	w := startWarehouse(t, rows, ", work_mem: 512MB")
	t.Run("answers", w.answers)
	t.Run("plans are parallel", w.parallel)
	t.Run("answers are stored", w.freshness)
	t.Run("ends", w.stops)
}

const labs = "SELECT measurement_concept_id, COUNT(*), AVG(value_as_number) FROM measurement GROUP BY measurement_concept_id"

// answers asks simple questions with the CLI, and runs the same SQL directly at the server.
func (w *warehouse) answers(t *testing.T) {
	before := memoryPeak(t, w.nodes[warehouseHospital])
	t.Logf("the node's peak memory before: %d MB", before>>20)
	times := 1 // after one to warm up
	t.Logf("%-28s %10s %12s %12s", "seconds", "plain SQL", "its fragment", "whole query")
	for _, q := range []struct {
		name, sql string
		groups    int
	}{
		{"COUNT, AVG", "SELECT COUNT(*), AVG(value_as_number) FROM measurement", 1},
		{"COUNT, AVG by 10 keys", labs, 10},
		{"COUNT of persons by sex", "SELECT gender_concept_id, COUNT(*) FROM person GROUP BY gender_concept_id", 6},
	} {
		plain := median(times, func(int) { w.typed(t, strings.NewReplacer("FROM ", "FROM cdm.").Replace(q.sql)) })
		fragment := median(times, func(int) { w.typed(t, w.compiled(t, q.sql), w.keys(t, q.sql)...) })
		var answer [][]string
		whole := median(times, func(i int) {
			// Another epsilon each time, so that no answer is stored.
			answer = w.ask(t, q.sql, "--epsilon", fmt.Sprint(exactEpsilon+float64(i)), "--max-groups", "10")
		})
		t.Logf("%-28s %10.2f %12.2f %12.2f", q.name, plain.Seconds(), fragment.Seconds(), whole.Seconds())
		if len(answer) != 1+q.groups {
			t.Errorf("%s: %d groups, want %d: %v", q.name, len(answer)-1, q.groups, answer)
		}
		if q.groups == 1 && answer[1][0] != strconv.Itoa(w.rows) {
			t.Errorf("%s: %s rows, want %d", q.name, answer[1][0], w.rows)
		}
	}
	// A node holds one row for each group, however many rows a table has.
	peak := memoryPeak(t, w.nodes[warehouseHospital])
	t.Logf("the node's peak memory: %d MB", peak>>20)
	if grown := peak - before; grown > 64<<20 {
		t.Errorf("the node's memory grew by %d MB over %d rows", grown>>20, w.rows)
	}
}

// ask runs `intramuros query` and reads its CSV.
func (w *warehouse) ask(t *testing.T, sql string, flags ...string) [][]string {
	t.Helper()
	var out, messages bytes.Buffer
	c := w.command(t.Context(), append([]string{"query", "--format", "csv", sql}, flags...)...)
	c.Stdout, c.Stderr = &out, &messages
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", sql, err, messages.Bytes(), w.nodes[warehouseHospital].tail(10))
	}
	all, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// typed runs SQL with the node's role and its memory settings.
func (w *warehouse) typed(t *testing.T, sql string, args ...any) (lines []string) {
	t.Helper()
	if _, err := w.reader.Exec(t.Context(), "SET work_mem = '512MB'"); err != nil {
		t.Fatal(err)
	}
	rows, err := w.reader.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprint(values...))
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return lines
}

// compiled is the SQL that the node says it would run.
func (w *warehouse) compiled(t *testing.T, sql string) string {
	t.Helper()
	var e struct{ SQL []struct{ SQL string } }
	if err := w.fetch(t.Context(), http.MethodPost, "/v1/explain", request{SQL: sql, Study: studyID, MaxGroups: 10}, &e); err != nil {
		t.Fatal(err)
	}
	if len(e.SQL) != 1 || !strings.Contains(e.SQL[0].SQL, `"cdm".`) {
		t.Fatalf("the node explains %+v", e)
	}
	return e.SQL[0].SQL
}

// keys are two arbitrary numbers in place of the halves of the node's key.
func (w *warehouse) keys(t *testing.T, sql string) []any {
	if strings.Contains(w.compiled(t, sql), "$1") {
		return []any{int64(1), int64(2)}
	}
	return nil
}

// parallel checks how the server would run fragments.
func (w *warehouse) parallel(t *testing.T) {
	for _, sql := range []string{labs, "SELECT COUNT(*), AVG(value_as_number) FROM measurement", `SELECT gender_concept_id, COUNT(DISTINCT person_id) FROM person JOIN measurement USING (person_id) WHERE value_as_number > 100 GROUP BY 1`} {
		text := w.compiled(t, sql)
		for i, key := range []string{"1", "2"} {
			text = strings.ReplaceAll(text, fmt.Sprintf("$%d", i+1), key)
		}
		plan := strings.Join(w.typed(t, "EXPLAIN "+text), "\n")
		if !strings.Contains(plan, "Gather") || !strings.Contains(plan, "Parallel Seq Scan on measurement") {
			t.Errorf("%s is not planned in parallel:\n%s", sql, plan)
		}
	}
}

// freshness checks that the same question gets the stored answer while the data stay the same. After a change, the
// stored answer ends when the server's counters notice it.
func (w *warehouse) freshness(t *testing.T) {
	ask := func() *answer {
		t.Helper()
		// While the node verifies new data it says so, and costs nothing.
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			a, err := w.query(request{SQL: "SELECT COUNT(*) FROM measurement", Epsilon: exactEpsilon})
			var refused *refusal
			if errors.As(err, &refused) && len(refused.Hospitals) == 1 && refused.Hospitals[0].Code == "NODE_DATA" && time.Now().Before(deadline) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
	}
	count := func(a *answer) string { return fmt.Sprintf("%.0f", a.Rows[0][0].Value) }
	if a := ask(); count(a) != strconv.Itoa(w.rows) {
		t.Errorf("%s measurements, want %d", count(a), w.rows)
	}
	w.server.Session(t, "ANALYZE cdm.measurement")
	w.server.Session(t, "UPDATE cdm.measurement SET person_id = 1 WHERE false")
	if a := ask(); !a.Stored {
		t.Error("the same question over the same data is answered anew")
	}
	w.server.Session(t, "INSERT INTO cdm.measurement (measurement_id, person_id, measurement_concept_id, measurement_date, measurement_type_concept_id) VALUES (0, 1, 3000000, '2025-01-01', 32856)")
	begun := time.Now()
	a := ask()
	for a.Stored && time.Since(begun) < 30*time.Second {
		time.Sleep(100 * time.Millisecond)
		a = ask()
	}
	if a.Stored || count(a) != strconv.Itoa(w.rows+1) {
		t.Errorf("with one measurement more: stored %v, %s", a.Stored, count(a))
	}
	t.Logf("one measurement more: answered anew %v after it", time.Since(begun))
}

// stops ends a query in every possible way, and checks the server.
func (w *warehouse) stops(t *testing.T) {
	ask := func(t *testing.T) (*exec.Cmd, *bytes.Buffer) {
		t.Helper()
		var messages bytes.Buffer
		c := w.command(t.Context(), "query", "--epsilon", "1", endless)
		c.Stderr = &messages
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c, &messages
	}
	for _, way := range []struct {
		name string
		by   syscall.Signal
	}{{"Ctrl-C", syscall.SIGINT}, {"a client that is gone", syscall.SIGKILL}} {
		t.Run(way.name, func(t *testing.T) {
			c, messages := ask(t)
			w.begins(t)
			begun := time.Now()
			if err := c.Process.Signal(way.by); err != nil {
				t.Fatal(err)
			}
			took := w.ends(t, begun)
			t.Logf("the statement ended at the server after %v", took)
			if took > 3*time.Second {
				t.Errorf("the statement ended at the server after %v", took)
			}
			var exit *exec.ExitError
			if err := c.Wait(); !errors.As(err, &exit) {
				t.Errorf("the query ends with %v: %s", err, messages)
			}
		})
	}
	t.Run("statement time-out", func(t *testing.T) {
		w.restart(", timeout: 2s")
		begun := time.Now()
		_, err := w.query(request{SQL: endless, Epsilon: 1})
		took := time.Since(begun)
		var refused *refusal
		if !errors.As(err, &refused) || len(refused.Hospitals) != 1 {
			t.Fatalf("the query gives %v", err)
		}
		t.Logf("after %v: %s, %s", took, refused, refused.Hospitals[0].Code)
		if took < 2*time.Second || w.ends(t, time.Now()) > 5*time.Second {
			t.Errorf("it ended after %v", took)
		}
		if !w.nodes[warehouseHospital].logged("57014: cancelled, or over its time", time.Second) {
			t.Errorf("the log does not tell why:\n%s", w.nodes[warehouseHospital].tail(5))
		}
	})
	t.Run("a node that is gone", func(t *testing.T) {
		w.restart("")
		c, _ := ask(t)
		w.begins(t)
		begun := time.Now()
		w.killNode(warehouseHospital)
		// From version 14 on, the server checks once a second.
		took := w.ends(t, begun)
		t.Logf("the statement ended at the server after %v", took)
		if took > soon {
			t.Errorf("the statement outlived the node by %v", took)
		}
		c.Process.Kill()
		c.Wait()
	})
}

var peakLine = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// memoryPeak is the largest resident memory of a process so far, in bytes; 0 if the system does not tell.
func memoryPeak(t *testing.T, p *process) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0
	}
	m := peakLine.FindSubmatch(b)
	if m == nil {
		t.Fatalf("no peak in\n%s", b)
	}
	kb, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
