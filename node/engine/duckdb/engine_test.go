package duckdb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/csv"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

var wardTables = []string{
	"CREATE TABLE person(id BIGINT, sex VARCHAR, age INTEGER)",
	"CREATE TABLE event(id BIGINT, unit BIGINT, kind VARCHAR, x DOUBLE, n BIGINT, day DATE, urgent BOOLEAN, free DOUBLE)",
	"CREATE TABLE kinds(kind VARCHAR, label VARCHAR)"}

func TestLocked(t *testing.T) {
	ctx := context.Background()
	folder := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside.csv")
	if err := os.WriteFile(outside, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, files := range []bool{false, true} {
		cfg := Config{Folder: folder}
		if files {
			writeParquet(t, folder)
		} else {
			cfg = Config{Database: newDatabase(t, wardTables...)}
		}
		e, err := Open(ctx, cfg, testcatalog.Parse(t, enginetest.WardCatalog), "A", testKey)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		run(t, e, enginetest.Shapes()["no-keys"]) // what is allowed works
		// DuckDB itself refuses these, whatever is passed to it.
		for _, s := range []string{
			"COPY (SELECT 1) TO '" + filepath.Join(t.TempDir(), "x.csv") + "'", "ATTACH '" + filepath.Join(t.TempDir(), "x.duckdb") + "'", "ATTACH ':memory:' AS other; EXPORT DATABASE '" + t.TempDir() + "'",
			"INSTALL httpfs", "LOAD httpfs", "INSTALL 'https://example.org/x.duckdb_extension'", "SET enable_external_access = true", "SET threads = 1", "RESET lock_configuration", "SET lock_configuration = false",
			"SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM '" + outside + "'", "SELECT * FROM read_blob('" + outside + "')", "SELECT * FROM glob('/etc/*')",
			"SELECT * FROM read_csv('https://example.org/x.csv')", "SELECT getenv('HOME')", "CREATE TABLE source.main.x(a INT)", "DELETE FROM source.main.person", "SET allowed_directories = ['/']",
			"CREATE SECRET s (TYPE s3)", "COPY (SELECT 1) TO '" + filepath.Join(folder, "..", "x.csv") + "'", "SELECT * FROM read_csv('" + folder + "/../outside.csv')",
		} {
			if _, err := e.driver.db.ExecContext(ctx, s); err == nil {
				t.Errorf("files=%v: DuckDB ran %s", files, s)
			}
		}
		// The engine passes only a SELECT.
		for _, s := range []string{
			"CREATE TABLE x(a INT)", "COPY (SELECT 1) TO '" + filepath.Join(folder, "event", "x.csv") + "'", "PRAGMA enable_profiling", "DROP VIEW logical.event", "SELECT 1; SELECT 2", "CREATE TABLE x(a INT); SELECT 1", "EXPLAIN SELECT 1", "BEGIN", "CHECKPOINT", "CALL pragma_version()",
		} {
			if err := e.driver.Query(ctx, s, false, func([]any) error { return nil }); err == nil || files && !errors.Is(err, errNotSelect) {
				t.Errorf("files=%v: the engine gives %v for %s", files, err, s)
			}
		}
		if _, err := os.Stat(filepath.Join(folder, "event", "x.csv")); err == nil {
			t.Error("a file was written")
		}
	}
}

// TestErrorsHideValues checks that the engine's errors quote no values, unlike DuckDB's.
func TestErrorsHideValues(t *testing.T) {
	e := engineWith(t, enginetest.WardCatalog, wardTables...)
	err := e.driver.Query(context.Background(), "SELECT CAST('secret' AS BIGINT)", false, func([]any) error { return nil })
	if !errors.Is(err, engine.ErrDatabase) || strings.Contains(err.Error(), "secret") || !strings.Contains(errors.Unwrap(err).Error(), "secret") {
		t.Errorf("the error is %v, its cause %v", err, errors.Unwrap(err))
	}
}

func TestCancel(t *testing.T) {
	e := engineWith(t, enginetest.WardCatalog,
		"CREATE TABLE person AS SELECT range AS id FROM range(20000)",
		"CREATE TABLE event AS SELECT id, 'k' || (id * 7 % 31) AS kind FROM person",
		"CREATE TABLE kinds AS SELECT 'k' || range AS kind, 'l' || range AS label FROM range(60000)")
	f := &fragment.Fragment{Version: fragment.Version, Patient: evID, Norm: fragment.L2, MaxGroups: 5, MaxRows: 5, Keys: []fragment.Key{{Expr: expr.Column("k", "label", value.TypeText)}}, Partials: []fragment.Partial{{Kind: fragment.PartialRows}},
		Relations: append(events[:1:1], fragment.Relation{Name: "k", Table: "kinds", Join: fragment.JoinInner, On: op(expr.OpLess, evKind, expr.Column("k", "kind", value.TypeText))})}
	p, err := fragment.Check(f, e.catalog)
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
	if d := time.Since(stopped); d > 3*time.Second {
		t.Errorf("the run ended %v after its context", d)
	}
	run(t, e, &fragment.Fragment{Relations: persons, Patient: pID, Norm: fragment.L2, MaxGroups: 1, MaxRows: 1, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}}}) // still usable
}

func writeParquet(t testing.TB, folder string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(folder, "event"), 0o700); err != nil {
		t.Fatal(err)
	}
	person, event, kinds := filepath.Join(folder, "person.parquet"), filepath.Join(folder, "event", "1.parquet"), filepath.Join(folder, "kinds.csv")
	newDatabase(t, "COPY (SELECT range AS id, 'F' AS sex, range::VARCHAR AS age FROM range(20)) TO '"+person+"'",
		"COPY (SELECT range % 25 AS id, range % 6 + 1 AS unit, 'k' || range % 3 AS kind, range / 10 AS x, range AS n, DATE '2020-01-01' + (range % 9)::INT AS day, range % 2 = 0 AS urgent, 1.5 AS free FROM range(200)) TO '"+event+"'",
		"COPY (SELECT 'k' || range AS kind, 'label, ' || range AS label FROM range(2)) TO '"+kinds+"'")
}

func TestFolder(t *testing.T) {
	ctx := context.Background()
	folder := t.TempDir()
	writeParquet(t, folder)
	cfg := Config{Folder: folder, Tables: map[string]engine.Source{"event": {File: "event/*.parquet", Columns: map[string]string{"n": "unit"}}}}
	e, err := Open(ctx, cfg, testcatalog.Parse(t, enginetest.WardCatalog), "A", testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	got := run(t, e, &fragment.Fragment{Relations: persons, Patient: pID, Norm: fragment.L2, MaxGroups: 1, MaxRows: 1, Partials: []fragment.Partial{{Kind: fragment.PartialSum, Expr: pAge, Grid: &fragment.Grid{Upper: 120}}}})
	if got[""][0] != 190 {
		t.Errorf("the ages, texts in the file, add up to %d, want 190", got[""][0])
	}
	f := enginetest.Shapes()["public-join"]
	got = run(t, e, f)
	if diff := cmp.Diff(map[string][]int64{"NULL|": {25}, `"label, 0"|`: {25}, `"label, 1"|`: {25}}, got); diff != "" {
		t.Error(diff)
	}
	// Only columns that the fragment reads are read.
	p, _ := fragment.Check(f, e.catalog)
	text, _, err := e.Compile(f, p)
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ = strings.Cut(text, ";")
	text = strings.TrimPrefix(text, engine.Streamed)
	text = strings.NewReplacer("$group_key_1", "1", "$group_key_2", "2").Replace(text)
	var plan bytes.Buffer
	rows, err := e.driver.db.Query("EXPLAIN " + text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var a, b string
		if err := rows.Scan(&a, &b); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(b)
	}
	if s := plan.String(); !strings.Contains(s, "kind") || strings.Contains(s, "urgent") || strings.Contains(s, "free") {
		t.Errorf("the plan reads other columns:\n%s", s)
	}
	// The data version changes with the files.
	before, err := e.DataVersion(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := e.DataVersion(ctx); again != before || len(before) != 32 {
		t.Errorf("the version is %s, then %s", before, again)
	}
	file := filepath.Join(folder, "event", "1.parquet")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "event", "2.parquet"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	after, err := e.DataVersion(ctx)
	if err != nil || after == before {
		t.Errorf("with one more file the version stays %s (%v)", after, err)
	}
}

// A file's version is kept until somebody touches the file, even if its size and write time return to the same values.
func TestDataVersionIsKept(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no time of change")
	}
	ctx, folder := t.Context(), t.TempDir()
	file := filepath.Join(folder, "person.parquet")
	newDatabase(t, "COPY (SELECT 1::BIGINT AS id, 'F' AS sex, 30 AS age) TO '"+file+"'")
	e, err := Open(ctx, Config{Folder: folder}, testcatalog.Parse(t, enginetest.WardCatalog), "A", testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	version := func() string {
		t.Helper()
		v, err := e.DataVersion(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := version()
	// until the file's last change is old
	for began := time.Now(); e.version.Load() == nil; time.Sleep(50 * time.Millisecond) {
		if version() != before || time.Since(began) > time.Minute {
			t.Fatal("the version changes, or is never kept")
		}
	}
	if kept := e.version.Load(); version() != before || e.version.Load() != kept {
		t.Error("files that nobody touched are read again")
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2]++
	wrote := time.Now()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if version() == before {
		t.Error("another byte in a file does not change the version")
	}
	// on a machine that is not too busy
	if kept := e.version.Load(); kept.version != before && time.Since(wrote) < coarseTick {
		t.Error("what is read of a file that was just written is believed to be the last word")
	}
}

func TestDataVersionOfDatabase(t *testing.T) {
	ctx := context.Background()
	path := newDatabase(t, wardTables...)
	version := func(key []byte) string {
		e, err := Open(ctx, Config{Database: path}, testcatalog.Parse(t, enginetest.WardCatalog), "A", key)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		v, err := e.DataVersion(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first := version(testKey)
	if again := version(testKey); again != first {
		t.Errorf("the version of the same data is %s, then %s", first, again)
	}
	if other := version([]byte("the key of another node")); other == first {
		t.Error("the version does not depend on the node's key")
	}
	db, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO person VALUES (1, 'F', 5)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if changed := version(testKey); changed == first {
		t.Error("the version does not change with the data")
	}
}

func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	writeParquet(t, folder)
	db := newDatabase(t, wardTables...)
	for _, test := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"nothing", Config{}, "give either"},
		{"both", Config{Database: db, Folder: folder}, "give either"},
		{"no file", Config{Database: filepath.Join(folder, "none.duckdb")}, "none.duckdb"},
		{"no folder", Config{Folder: filepath.Join(folder, "none")}, "there is no folder"},
		{"unknown table", Config{Database: db, Tables: map[string]engine.Source{"x": {}}}, "no table x"},
		{"no such logical column", Config{Database: db, Tables: map[string]engine.Source{"event": {Columns: map[string]string{"y": "x"}}}}, "no column y"},
		{"threads", Config{Database: db, Threads: -1}, "threads"},
		{"memory", Config{Database: db, MemoryLimit: "much"}, "much"},
		{"encoding", Config{Folder: folder, CSV: &csv.Settings{Encoding: "utf-7"}}, "utf-7"},
		{"a table's format", Config{Folder: folder, Tables: map[string]engine.Source{"event": {CSV: &csv.Settings{DateFormat: "dd/mm/yy"}}}}, "no century"},
		{"timezone", Config{Folder: folder, Timezone: "Paris"}, "Europe/Paris"},
	} {
		e, err := Open(context.Background(), test.cfg, testcatalog.Parse(t, enginetest.WardCatalog), "A", testKey)
		if err == nil {
			e.Close()
			t.Errorf("%s: opens", test.name)
		} else if !errors.Is(err, engine.ErrConfig) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if _, err := Open(context.Background(), Config{Database: db}, testcatalog.Parse(t, enginetest.WardCatalog), "A", []byte("short")); !errors.Is(err, engine.ErrConfig) {
		t.Errorf("a short key gives %v", err)
	}
}

// TestClosed checks that a fault in one table's source closes that table and says why. The others answer.
func TestClosed(t *testing.T) {
	ctx := context.Background()
	folder := t.TempDir()
	writeParquet(t, folder)
	outside := filepath.Join(t.TempDir(), "outside.csv")
	for file, text := range map[string]string{outside: "id,kind\n1,a\n", filepath.Join(folder, "torn.parquet"): "PAR1", filepath.Join(folder, "latin.csv"): "id,libell\xe9\n1,x\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db := newDatabase(t, append(wardTables, "CREATE VIEW outside AS SELECT * FROM read_csv('"+outside+"')", "CREATE TABLE gone (id INT)", "CREATE VIEW hollow AS FROM gone", "DROP TABLE gone", "CREATE VIEW casting AS SELECT id, sex::BIGINT AS x FROM person", "INSERT INTO person VALUES (1, 'F', 50)")...)
	for _, test := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no such source", Config{Database: db, Tables: map[string]engine.Source{"event": {Table: "main.ev"}}}, "there is no table main.ev"},
		{"no such column", Config{Database: db, Tables: map[string]engine.Source{"event": {Columns: map[string]string{"x": "y"}}}}, "no column y"},
		{"a view over a file", Config{Database: db, Tables: map[string]engine.Source{"event": {Table: "outside"}}}, "reads a file outside of the database"},
		{"a view that fails on a value", Config{Database: db, Tables: map[string]engine.Source{"event": {Table: "casting"}}}, "fails on a row's value"},
		{"a view over what is gone", Config{Database: db, Tables: map[string]engine.Source{"event": {Table: "hollow"}}}, "Table with name gone does not exist!"},
		{"no column", Config{Database: db, Tables: map[string]engine.Source{"event": {Select: "SELECT nothing FROM source.main.person"}}}, "cannot be read"},
		{"the root", Config{Folder: folder, Tables: map[string]engine.Source{"event": {File: "/*/*.csv"}}}, "there is no file"},
		{"torn", Config{Folder: folder, Tables: map[string]engine.Source{"event": {File: "torn.parquet"}}}, "torn.parquet"},
		{"no file", Config{Folder: folder, Tables: map[string]engine.Source{"event": {File: "none.csv"}}}, "there is no file none.csv"},
		{"no format", Config{Folder: folder, Tables: map[string]engine.Source{"event": {File: "event"}}}, "none of .parquet"},
		{"a header that is not UTF-8", Config{Folder: folder, Tables: map[string]engine.Source{"event": {File: "latin.csv"}}}, "its header is not utf-8"},
	} {
		e, err := Open(ctx, test.cfg, testcatalog.Parse(t, enginetest.WardCatalog), "A", testKey)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		defer e.Close()
		found, err := e.Verify(ctx)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if !slices.ContainsFunc(found, func(f engine.Finding) bool {
			return f.Severity == engine.SeverityError && f.Table == "event" && f.Plain && !strings.Contains(f.Text, "\n") && strings.Contains(f.Text, test.want)
		}) {
			t.Errorf("%s: %+v", test.name, found)
		}
		if got := run(t, e, &fragment.Fragment{Relations: persons, Patient: pID, Norm: fragment.L2, MaxGroups: 1, MaxRows: 1, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}}}); got[""][0] == 0 {
			t.Errorf("%s: the other table gives %v", test.name, got)
		}
	}
}

// TestSpill checks that a fragment whose groups need several times the memory spills only into the given folder, and
// leaves nothing there. Without a folder it fails and says what to do.
func TestSpill(t *testing.T) {
	above := t.TempDir()
	t.Chdir(above) // DuckDB's default place to spill
	spill := filepath.Join(above, "spill")
	path := newDatabase(t, "CREATE TABLE person(id BIGINT)", "CREATE TABLE event AS SELECT range % 1600000 AS id, 'kind number ' || (range * 7919 % 1000003) AS kind FROM range(3200000)")
	distinct := &fragment.Fragment{Relations: events, Patient: evID, Norm: fragment.L2, MaxGroups: 2, MaxRows: 3, Keys: []fragment.Key{{Expr: op(expr.OpModulo, evID, expr.Literal(value.Int(2)))}, {Expr: op(expr.OpLike, evKind, expr.Literal(value.Text("%7")))}}, Partials: []fragment.Partial{{Kind: fragment.PartialRows}, {Kind: fragment.PartialPatients}}}
	open := func(spill string) *Engine {
		e, err := Open(context.Background(), Config{Database: path, MemoryLimit: "150MB", SpillFolder: spill, Threads: 2}, testcatalog.Parse(t, enginetest.WardCatalog), "A", testKey)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := open(spill)
	defer e.Close()
	var most int64
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				most = max(most, bytesBelow(above))
			}
		}
	}()
	got, _, _ := enginetest.Partials(t, compiled{e}, e.catalog, distinct)
	close(stop)
	<-watched
	if len(got) != 4 {
		t.Errorf("%d groups", len(got))
	}
	patients := int64(0)
	for _, group := range got {
		patients += group[1]
	}
	if patients < 1600000 {
		t.Errorf("%d patients", patients)
	}
	t.Logf("at most %d MB were spilled", most>>20)
	if most < 1<<20 {
		t.Error("nothing was spilled, so this shows nothing")
	}
	if left := bytesBelow(above); left != 0 {
		t.Errorf("%d bytes of patients' rows stay on the disk", left)
	}

	poor := open("")
	defer poor.Close()
	p, err := fragment.Check(distinct, poor.catalog)
	if err != nil {
		t.Fatal(err)
	}
	err = poor.RunCompiled(context.Background(), distinct, p, memory.DefaultAllocator, func(arrow.Record) error { return nil })
	var named interface{ Class() string }
	if !errors.As(err, &named) || !strings.Contains(named.Class(), "raise memory_limit, or give a spill_folder") {
		t.Errorf("without a folder to spill: %v", err)
	}
	if left := bytesBelow(above); left != 0 {
		t.Errorf("%d bytes were spilled where nobody said", left)
	}
}

// bytesBelow adds up the files below a folder. Files may appear and disappear meanwhile.
func bytesBelow(folder string) (n int64) {
	_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			if info, err := entry.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// TestHive checks that folders such as day=2020-01-01 below a table's folder become a column, read by default or by
// pattern. Folders that a filter excludes are not opened. A name without a valid value is NULL and raises nothing.
func TestHive(t *testing.T) {
	folder := t.TempDir()
	newDatabase(t, "COPY (SELECT range % 25 AS id, range % 6 + 1 AS unit, 'k' || range % 3 AS kind, DATE '2020-01-01' + (range % 4)::INT AS day FROM range(200)) TO '"+filepath.Join(folder, "event")+"' (FORMAT parquet, PARTITION_BY (day, unit))")
	wrong := filepath.Join(folder, "event", "day=soon", "unit=1")
	if err := os.MkdirAll(wrong, 0o700); err != nil {
		t.Fatal(err)
	}
	newDatabase(t, "COPY (SELECT 99::BIGINT AS id, 'k0' AS kind) TO '"+filepath.Join(wrong, "x.parquet")+"'")
	day := expr.Column("e", "day", value.TypeDate)
	byDay := &fragment.Fragment{Relations: events, Patient: evID, Norm: fragment.L2, MaxGroups: 9, MaxRows: 100, Keys: []fragment.Key{{Expr: day}}, Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
	for _, tables := range []map[string]engine.Source{nil, {"event": {File: "event/**/*.parquet"}}, {"event": {File: "event/*/*/*.parquet"}}, {"event": {File: filepath.Join(folder, "event", "day=*", "**", "*.parquet")}}} {
		e, err := Open(context.Background(), Config{Folder: folder, Tables: tables}, testcatalog.Parse(t, enginetest.WardCatalog), "A", testKey)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		want := map[string][]int64{`"2020-01-01"|`: {50}, `"2020-01-02"|`: {50}, `"2020-01-03"|`: {50}, `"2020-01-04"|`: {50}, "NULL|": {1}}
		if diff := cmp.Diff(want, run(t, e, byDay)); diff != "" {
			t.Errorf("%v: %s", tables, diff)
		}
		before, err := e.DataVersion(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(folder, "event", "day=2020-01-02", "unit=2", "more.parquet")
		newDatabase(t, "COPY (SELECT 98 AS id, 'k0' AS kind) TO '"+file+"'")
		if after, err := e.DataVersion(context.Background()); err != nil || after == before {
			t.Errorf("a file deep in the folder does not change the version: %v", err)
		}
		want[`"2020-01-02"|`] = []int64{51}
		if diff := cmp.Diff(want, run(t, e, byDay)); diff != "" {
			t.Errorf("%v, after one row more: %s", tables, diff)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	// A file that is not Parquet shows whether it is opened.
	e, err := Open(context.Background(), Config{Folder: folder}, testcatalog.Parse(t, enginetest.WardCatalog), "A", testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := os.WriteFile(filepath.Join(wrong, "x.parquet"), []byte("no Parquet, but long enough to be one"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := value.Date(18262) // 2020-01-01
	one := *byDay
	one.Filter = op(expr.OpEqual, day, expr.Literal(first))
	if diff := cmp.Diff(map[string][]int64{`"2020-01-01"|`: {50}}, run(t, e, &one)); diff != "" {
		t.Error(diff)
	}
	two, err := Open(context.Background(), Config{Folder: folder, Tables: map[string]engine.Source{"event": {File: "event/**/x/**/*.parquet"}}}, testcatalog.Parse(t, enginetest.WardCatalog), "A", testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if len(two.closed) != 1 || !strings.Contains(two.closed[0].Why, "more than one **") {
		t.Errorf("%v", two.closed)
	}
}

// TestTwoNodes checks that two engines can read one file at once, and that neither can write it.
func TestTwoNodes(t *testing.T) {
	path := newDatabase(t, append(wardTables, "INSERT INTO person VALUES (1, 'F', 50), (2, 'M', 60)")...)
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// DuckDB would refuse the same database in another process if either could write.
	if os.Getenv("TEST_SECOND_NODE") != "" {
		path = os.Getenv("TEST_SECOND_NODE")
	}
	e, err := Open(context.Background(), Config{Database: path}, testcatalog.Parse(t, enginetest.WardCatalog), "A", testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got := run(t, e, enginetest.Shapes()["count"]); got[""][0] != 2 {
		t.Errorf("%v", got)
	}
	if os.Getenv("TEST_SECOND_NODE") != "" {
		return
	}
	second := exec.Command(os.Args[0], "-test.run", "^TestTwoNodes$")
	second.Env = append(os.Environ(), "TEST_SECOND_NODE="+path)
	if out, err := second.CombinedOutput(); err != nil {
		t.Errorf("the second node: %v\n%s", err, out)
	}
	for _, s := range []string{"INSERT INTO source.main.person VALUES (3, 'F', 1)", "UPDATE source.main.person SET age = 1", "DROP TABLE source.main.person", "CREATE TABLE source.main.x(a INT)", "ALTER TABLE source.main.person ADD x INT"} {
		if _, err := e.driver.db.ExecContext(context.Background(), s); err == nil || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("DuckDB gives %v for %s", err, s)
		}
	}
	for _, s := range []string{"DETACH source", "CHECKPOINT source", "ATTACH '" + path + "' AS again"} {
		if err := e.driver.Query(context.Background(), s, false, func([]any) error { return nil }); !errors.Is(err, errNotSelect) {
			t.Errorf("the engine gives %v for %s", err, s)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file changed (%v)", err)
	}
}

func TestVerify(t *testing.T) {
	e := engineWith(t, enginetest.WardCatalog,
		"CREATE TABLE person AS SELECT * FROM (VALUES (1, 'F', '50'), (1, 'M', '51'), (2, 'X', 'old'), (NULL, 'F', '200')) v(id, sex, age)",
		"CREATE TABLE event(id BIGINT, unit DOUBLE, kind VARCHAR, x DOUBLE)",
		"INSERT INTO event VALUES (1, 3, 'a', 'nan'), (1, 9, 'a', 1)")
	want := []string{
		"warning event.unit is of type DOUBLE here and int in the catalog; values are converted",
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
	if diff := cmp.Diff(want, enginetest.Findings(t, e)); diff != "" {
		t.Error(diff)
	}
}

// Columns in which most values occur in a row or two identify somebody, and long texts may. Measurements, years and
// codes do not.
func TestDescribeWhatSinglesOut(t *testing.T) {
	path := newDatabase(t, `CREATE TABLE stay AS SELECT range // 300 AS ward, 1940 + range % 70 AS year, 7000000 + range * 10 // 11 AS stay_number,
		'P' || (range * 7919 % 2400) AS file, 'code ' || range % 400 AS code, range * 0.37 AS weight,
		'The patient was seen by the team and goes home, case ' || range % 50 AS note FROM range(3000)`)
	got, err := Describe(context.Background(), Config{Database: path})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, c := range got[0].Columns {
		found[c.Name] = fmt.Sprint(c.Singles, c.Prose)
	}
	want := map[string]string{"ward": "false false", "year": "false false", "stay_number": "true false", "file": "true false",
		"code": "false false", "weight": "false false", "note": "false true"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
}

func TestDescribe(t *testing.T) {
	path := newDatabase(t, "CREATE TABLE person AS SELECT range AS id, CASE WHEN range % 2 = 0 THEN 'F' END AS sex, range / 2 AS w, DATE '2020-01-01' + range::INT AS day FROM range(100)", "CREATE SCHEMA lab", "CREATE TABLE lab.none(x BOOLEAN)")
	got, err := Describe(context.Background(), Config{Database: path})
	if err != nil {
		t.Fatal(err)
	}
	want := []engine.Table{
		{Name: "lab.none", Columns: []engine.Column{{Name: "x", Local: "BOOLEAN", Type: value.TypeBool}}},
		{Name: "main.person", Columns: []engine.Column{
			{Name: "id", Local: "BIGINT", Type: value.TypeInt, Min: "0", Max: "99"},
			{Name: "sex", Local: "VARCHAR", Type: value.TypeText, Nullable: true, Min: "F", Max: "F", Values: []string{"F"}},
			{Name: "w", Local: "DOUBLE", Type: value.TypeFloat, Min: "0.0", Max: "49.5"},
			{Name: "day", Local: "DATE", Type: value.TypeDate, Min: "2020-01-01", Max: "2020-04-09"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	folder := t.TempDir()
	writeParquet(t, folder)
	got, err = Describe(context.Background(), Config{Folder: folder})
	if err != nil || len(got) != 3 {
		t.Errorf("%v, %v", got, err)
	}
}
