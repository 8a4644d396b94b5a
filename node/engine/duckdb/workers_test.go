package duckdb

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/worker"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

// start opens an engine with DuckDB in workers.
func start(t testing.TB, cfg Config, most int) *Engine {
	t.Helper()
	e, err := Start(context.Background(), cfg, Workers{Most: most, Log: slog.New(slog.DiscardHandler)}, testcatalog.Parse(t, enginetest.WardCatalog), enginetest.Hospital, testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// These statements ignore interrupts: DuckDB computes both while it prepares them.
const (
	endless  = "SELECT levenshtein(repeat('a', 400000), repeat('b', 400000))"
	gluttony = "SELECT generate_series(1, 1000000000)"
)

// kill makes a process of the engine be ended in the middle of a statement. On a busy machine the time may be over
// before the process has begun; then it gets more time.
func kill(t *testing.T, e *Engine) {
	t.Helper()
	for after := 100 * time.Millisecond; ; after *= 2 {
		ctx, cancel := context.WithTimeout(context.Background(), after)
		err := e.driver.Query(ctx, endless, false, func([]any) error { return nil })
		cancel()
		if errors.Is(err, engine.ErrKilled) {
			return
		}
		if after > time.Minute {
			t.Fatal(err)
		}
	}
}

func one(ctx context.Context, e *Engine) error {
	n := int64(0)
	err := e.driver.Query(ctx, "SELECT count(*) FROM source.main.person", false, func(row []any) error {
		n, _ = row[0].(int64)
		return nil
	})
	if err == nil && n != 2 {
		err = fmt.Errorf("%d persons", n)
	}
	return err
}

var twoPersons = append(wardTables[:len(wardTables):len(wardTables)], "INSERT INTO person VALUES (1, 'F', 50), (2, 'M', 60)")

// TestWorkersAnswerAlike checks that every shape of fragment has the same partial aggregates as in this process, with
// the same key.
func TestWorkersAnswerAlike(t *testing.T) {
	path := newDatabase(t, append(twoPersons, "INSERT INTO event SELECT range % 9, range % 5, 'k' || range % 11, range / 7.0, range, DATE '2020-01-01' + (range % 50)::INT, range % 2 = 0, NULL FROM range(3000)")...)
	here, err := Open(context.Background(), Config{Database: path}, testcatalog.Parse(t, enginetest.WardCatalog), enginetest.Hospital, testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	apart := start(t, Config{Database: path}, 2)
	for name, f := range enginetest.Shapes() {
		if diff := cmp.Diff(run(t, here, f), run(t, apart, f)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if a, err := here.Verify(context.Background()); err != nil {
		t.Error(err, errors.Unwrap(errors.Unwrap(err)))
	} else if b, err := apart.Verify(context.Background()); err != nil || !cmp.Equal(a, b) {
		t.Errorf("%v: %s", err, cmp.Diff(a, b))
	}
	if err := apart.driver.Query(context.Background(), "CHECKPOINT source", false, nil); !errors.Is(err, errNotSelect) {
		t.Error(err)
	}
	if err := apart.driver.Query(context.Background(), "SELECT * FROM read_csv('/etc/passwd')", false, nil); !errors.Is(err, engine.ErrDatabase) {
		t.Errorf("a worker reads any file: %v", err)
	}
	for name, cfg := range map[string]Config{
		"memory_limit": {Database: path, MemoryLimit: "much"}, "process_memory": {Database: path, ProcessMemory: "much"},
		"less than memory_limit": {Database: path, MemoryLimit: "1GB", ProcessMemory: "100MB"}, "no file": {Database: path + ".gone"},
	} {
		if e, err := Start(context.Background(), cfg, Workers{Most: 1, Log: slog.New(slog.DiscardHandler)}, testcatalog.Parse(t, enginetest.WardCatalog), "A", testKey); !errors.Is(err, engine.ErrConfig) {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
}

// TestWorkersReadFiles checks that CSV and Parquet files of a folder are read as in this process, by tables and by a
// `select`. No other file is read, nor a table of CSV files that did not exist at the start.
func TestWorkersReadFiles(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"person.csv": "id,sex,age\n1,F,50\n2,M,60\n3,M,x\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	newDatabase(t, "COPY (SELECT range % 3 + 1 AS id, 3 AS unit, 'k' || range % 5 AS kind, 1.5 AS x, range AS n FROM range(100)) TO '"+filepath.Join(folder, "event.parquet")+"'")
	cfg := Config{Folder: folder, Tables: map[string]engine.Source{"kinds": {Select: "SELECT DISTINCT kind, 'label' AS label FROM source.main.event"}}}
	here, err := Open(context.Background(), cfg, testcatalog.Parse(t, enginetest.WardCatalog), enginetest.Hospital, testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	apart := start(t, cfg, 2)
	for name, f := range enginetest.Shapes() {
		if diff := cmp.Diff(run(t, here, f), run(t, apart, f)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	a, err1 := here.Verify(context.Background())
	b, err2 := apart.Verify(context.Background())
	if err1 != nil || err2 != nil || !cmp.Equal(a, b) || len(a) == 0 {
		t.Errorf("%v, %v: %s", err1, err2, cmp.Diff(a, b))
	}
	outside := filepath.Join(t.TempDir(), "other.csv")
	if err := os.WriteFile(outside, []byte("a\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at, err := csvPlace(outside, cfg.settings("other"), cfg.zone())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"SELECT * FROM " + at.SQL, "SELECT * FROM read_csv('" + outside + "')"} {
		if err := apart.driver.Query(context.Background(), sql, false, func([]any) error { return nil }); !errors.Is(err, engine.ErrDatabase) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if err := apart.driver.execute(context.Background(), statement{SQL: "CREATE TABLE x(i INT)"}); !errors.Is(err, errNotSelect) {
		t.Errorf("a worker that answers queries takes statements: %v", err)
	}
	// A file that is missing when a worker is replaced closes its own table only. When it returns, the table is open
	// again.
	if err := os.Rename(filepath.Join(folder, "event.parquet"), filepath.Join(folder, "away")); err != nil {
		t.Fatal(err)
	}
	kill(t, apart)
	count := func(table string) error {
		return apart.driver.Query(context.Background(), "SELECT count(*) FROM logical."+table, false, func([]any) error { return nil })
	}
	for range 3 { // for both processes
		if err := count("person"); err != nil {
			t.Error(err, errors.Unwrap(err))
		}
	}
	if err := count("event"); !errors.Is(err, engine.ErrDatabase) {
		t.Errorf("a table without its file: %v", err)
	}
	if err := os.Rename(filepath.Join(folder, "away"), filepath.Join(folder, "event.parquet")); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); count("event") != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(count("event"))
		}
	}
}

// TestWorkersKill checks that a statement that never ends, and one that takes all memory, end with coded faults. Others
// are answered meanwhile within 2 s, and afterwards at once.
func TestWorkersKill(t *testing.T) {
	path := newDatabase(t, twoPersons...)
	for _, test := range []struct {
		name, sql string
		reason    engine.Reason
		is        error
	}{
		{"deadline", endless, engine.ReasonDeadline, context.DeadlineExceeded},
		{"cancel", endless, engine.ReasonCancelled, context.Canceled},
		{"memory", gluttony, engine.ReasonMemory, engine.ErrDatabase},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := start(t, Config{Database: path, MemoryLimit: "256MB", ProcessMemory: "500MB"}, 2)
			ask := func(after time.Duration) error {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				switch test.reason {
				case engine.ReasonDeadline:
					ctx, cancel = context.WithTimeout(ctx, after)
					defer cancel()
				case engine.ReasonCancelled:
					time.AfterFunc(after, cancel)
				}
				begun := time.Now()
				err := e.driver.Query(ctx, test.sql, false, func([]any) error { return nil })
				if took := time.Since(begun) - after; took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
				return err
			}
			var stuck sync.WaitGroup
			stuck.Go(func() {
				// On a busy machine the end may come before the process has begun. Then it is asked again, with more time.
				err := ask(300 * time.Millisecond)
				for after := time.Second; !errors.Is(err, engine.ErrKilled) && after < time.Minute; after *= 2 {
					err = ask(after)
				}
				var f *engine.Fault
				if !errors.As(err, &f) || f.Reason() != test.reason || !errors.Is(err, test.is) || f.Class() == "" {
					t.Errorf("%v", err)
				}
			})
			for range 5 {
				asked := time.Now()
				if err := one(context.Background(), e); err != nil || time.Since(asked) > 2*time.Second {
					t.Errorf("beside it, after %v: %v", time.Since(asked), err)
				}
			}
			stuck.Wait()
			if err := one(context.Background(), e); err != nil {
				t.Error(err)
			}
			if n := e.Restarts(worker.Reason(test.reason)); n != 1 {
				t.Errorf("%d restarts", n)
			}
		})
	}
}

// TestWorkersReplaceTheSame checks that a replaced worker opens the same database, or none.
func TestWorkersReplaceTheSame(t *testing.T) {
	path := newDatabase(t, twoPersons...)
	e := start(t, Config{Database: path}, 1)
	if err := os.Rename(newDatabase(t, append(twoPersons, "INSERT INTO person VALUES (3, 'F', 70)")...), path); err != nil {
		t.Fatal(err)
	}
	if err := one(context.Background(), e); err != nil {
		t.Errorf("a database that is open is read although its file is another: %v", err)
	}
	kill(t, e)
	err := one(context.Background(), e)
	var f *engine.Fault
	if !errors.As(err, &f) {
		t.Fatalf("over another database: %v", err)
	}
	if !strings.Contains(f.Class(), "opened again") {
		t.Errorf("over another database: %s", f.Class())
	}
}

// TestWorkersSpill checks that each worker spills into its own folder, which is removed with it, as are folders left by
// earlier ones.
func TestWorkersSpill(t *testing.T) {
	above := t.TempDir()
	left := filepath.Join(above, "worker-999999999")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "rows"), []byte("of patients"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := start(t, Config{Database: newDatabase(t, twoPersons...), MemoryLimit: "300MB", SpillFolder: above, Threads: 2}, 2)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a killed worker left is still there: %v", err)
	}
	// It is killed while it spills.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const large = "SELECT count(*) FROM (SELECT DISTINCT 'number ' || hash(range) AS a FROM range(30000000))"
	spilled := int64(0)
	var big sync.WaitGroup
	big.Go(func() {
		if err := e.driver.Query(ctx, large, false, func([]any) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("%v: %v", err, errors.Unwrap(err))
		}
	})
	for end := time.Now().Add(20 * time.Second); spilled < 1<<20 && time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		spilled = bytesBelow(above)
	}
	if spilled < 1<<20 {
		t.Error("nothing was spilled, so this shows nothing")
	}
	cancel()
	big.Wait()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(above); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	e.driver.workers.Close() // the test's clean-up does the same: twice does no harm
}

// TestRows checks that a driver's values cross the pipe unchanged.
func TestRows(t *testing.T) {
	day := time.Date(1582, 10, 15, 0, 0, 0, 0, time.UTC)
	in := [][]any{
		{nil, nil, nil, nil, nil, nil},
		{true, int64(math.MinInt64), math.Inf(-1), "a\x00ü", day, nil},
		{nil, nil, nil, nil, nil, nil},
		{false, int64(0), math.Copysign(0, -1), "", time.Unix(-9223372036, 999_999_000).UTC(), nil},
	}
	var r rows
	for _, row := range in {
		if err := r.add(row); err != nil {
			t.Fatal(err)
		}
	}
	var wire bytes.Buffer
	if err := gob.NewEncoder(&wire).Encode(reply{Rows: &r}); err != nil {
		t.Fatal(err)
	}
	var back reply
	if err := gob.NewDecoder(&wire).Decode(&back); err != nil {
		t.Fatal(err)
	}
	var out [][]any
	if err := back.Rows.each(func(row []any) error {
		out = append(out, append([]any{}, row...))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, out); diff != "" || !math.Signbit(out[3][2].(float64)) {
		t.Error(diff)
	}
	if err := (&rows{}).add([]any{int32(1)}); err == nil {
		t.Error("a value that no engine reads crosses")
	}
	if err := r.add([]any{"text", int64(1), 1.0, "", day, nil}); err == nil {
		t.Error("a column has two types")
	}
	back.Rows.Columns[0].Ints = nil
	if err := back.Rows.each(func([]any) error { return nil }); err == nil {
		t.Error("rows that do not fit together are read")
	}
}
