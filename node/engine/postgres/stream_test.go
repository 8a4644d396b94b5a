package postgres

import (
	"context"
	"errors"
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
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

// compiled is an engine that lets the server compute everything.
type compiled struct{ *Engine }

func (c compiled) Run(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error {
	return c.RunCompiled(ctx, f, p, alloc, send)
}

const streamCatalog = `
catalog: stream
tables:
  event:
    patient: id
    columns:
      id: {type: ID, nullable: false}
      k: {type: int}
      word: {type: text}
      x: {type: float, bounds: [0, 100]}
      free: {type: float}
      day: {type: date, bounds: [1990-01-01, 2030-12-31]}
      at: {type: timestamp}
      flag: {type: bool}
`

// TestStreamEqualsSQL checks that rows in many batches, with keys of every type and NULLs in every column, give the
// integers of the server's SQL. With `rows_to_node: never` the server computes everything.
func TestStreamEqualsSQL(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE SCHEMA stream", "GRANT USAGE ON SCHEMA stream TO "+postgrestest.Reader, `CREATE TABLE stream.event AS SELECT i % 500 AS id, NULLIF(i % 7, 3) AS k, NULLIF('ward ' || i % 5, 'ward 2') AS word,
		NULLIF(i * 104729 % 100000, 7) / 700.0::float8 - 5 AS x, CASE i % 11 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' WHEN 2 THEN NULL ELSE i::text END::float8 AS free,
		CASE WHEN i % 13 > 0 THEN DATE '1999-12-25' + (i % 17)::int WHEN i % 2 = 0 THEN 'infinity' END AS day,
		CASE WHEN i % 9 > 0 THEN TIMESTAMP '1999-12-31 23:59:58.5' + (i % 4) * interval '1 second' WHEN i % 4 = 0 THEN 'infinity' WHEN i % 4 = 1 THEN '-infinity' WHEN i % 4 = 2 THEN '294276-01-01' END AS at,
		CASE WHEN i % 3 > 0 THEN i % 3 = 1 END AS flag FROM generate_series(0::bigint, 19999) AS s(i)`, "GRANT SELECT ON stream.event TO "+postgrestest.Reader)
	c := testcatalog.Parse(t, strings.Replace(streamCatalog, "ID", "int", 1))
	cfg := over(s, "stream")
	e := open(t, cfg, c, testKey)
	cfg.RowsToNode = RowsNever
	never := open(t, cfg, c, testKey)
	col := func(name string, of value.Type) *expr.Expr { return expr.Column("e", name, of) }
	x, free := col("x", value.TypeFloat), col("free", value.TypeFloat)
	grid, err := fragment.NewGrid(0, 100, false, true, 5)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := fragment.NewGrid(-1e9, 1e12, false, false, 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range [][]*expr.Expr{nil, {col("k", value.TypeInt)}, {col("word", value.TypeText)}, {x}, {col("day", value.TypeDate)}, {col("at", value.TypeTimestamp)},
		{col("flag", value.TypeBool), col("word", value.TypeText), col("k", value.TypeInt)}} {
		f := &fragment.Fragment{Version: fragment.Version, Relations: []fragment.Relation{{Name: "e", Table: "event"}}, Patient: col("id", value.TypeInt), Norm: fragment.L2, MaxGroups: 3, MaxRows: 5,
			Partials: []fragment.Partial{{Kind: fragment.PartialPatients}, {Kind: fragment.PartialRows}, {Kind: fragment.PartialSum, Expr: x, Grid: &grid}, {Kind: fragment.PartialSum, Expr: free, Grid: &wide},
				{Kind: fragment.PartialValues, Expr: free}, {Kind: fragment.PartialPatients, Expr: col("flag", value.TypeBool)},
				{Kind: fragment.PartialBuckets, Expr: x, Buckets: &fragment.Buckets{Lower: 0, Upper: 100, Branching: 3, Levels: 2}}}}
		for _, k := range keys {
			f.Keys = append(f.Keys, fragment.Key{Expr: k})
		}
		want, _, p := enginetest.Exact(t, compiled{e}, c, f)
		got, _, _ := enginetest.Exact(t, e, c, f)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", keys, diff)
		}
		text, _, err := e.Compile(f, p)
		alone, _, err2 := never.Compile(f, p)
		if err := errors.Join(err, err2); err != nil || !strings.HasPrefix(text, engine.Streamed) || strings.HasPrefix(alone, engine.Streamed) {
			t.Errorf("%v: %v: %.80s, and with rows_to_node: never %.80s", keys, err, text, alone)
		}
		if got, _, _ := enginetest.Exact(t, never, c, f); !cmp.Equal(want, got) {
			t.Errorf("%v: with rows_to_node: never %s", keys, cmp.Diff(want, got))
		}
	}
	cfg.RowsToNode = "always"
	if err := cfg.Validate(); err == nil {
		t.Error("another word is taken")
	}
}

// TestStreamsShareTheRoom checks that concurrent queries have equal parts of the memory for rows. One more query waits
// until another is done with its rows, and its wait ends with its context. In a part that is too small, the rows are
// read again, with the same result.
func TestStreamsShareTheRoom(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE SCHEMA room", "GRANT USAGE ON SCHEMA room TO "+postgrestest.Reader, "CREATE TABLE room.event AS SELECT i % 5000 AS id, i % 7 AS k FROM generate_series(0::bigint, 99999) AS s(i)", "GRANT SELECT ON room.event TO "+postgrestest.Reader)
	c := testcatalog.Parse(t, strings.Replace(streamCatalog, "ID", "int", 1))
	col := func(name string) *expr.Expr { return expr.Column("e", name, value.TypeInt) }
	f := &fragment.Fragment{Version: fragment.Version, Relations: []fragment.Relation{{Name: "e", Table: "event"}}, Patient: col("id"), Norm: fragment.L2, MaxGroups: 3, MaxRows: 5,
		Keys: []fragment.Key{{Expr: col("k")}}, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}, {Kind: fragment.PartialRows}}}
	var want map[string][]int64
	for _, n := range []int{0, 1, 2, 7, 512} {
		cfg := over(s, "room")
		cfg.Queries = n
		e := open(t, cfg, c, testKey)
		if total := e.driver.room() * int64(max(1, n)); total > roomForRows || total < roomForRows*9/10 {
			t.Errorf("%d queries at once may have %d bytes of rows together, not %d", n, total, roomForRows)
		}
		got, _, p := enginetest.Exact(t, e, c, f)
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("one of %d: %s", n, diff)
		}
		for range cap(e.driver.rooms) {
			e.driver.rooms <- struct{}{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		start := func(ctx context.Context) {
			go func() {
				done <- e.Run(ctx, f, p, memory.DefaultAllocator, func(arrow.Record) error { return nil })
			}()
		}
		start(ctx)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("one of %d queries waits for room, and ends with %v", n, err)
		}
		start(t.Context())
		<-e.driver.rooms
		if err := <-done; err != nil {
			t.Errorf("one of %d queries had room, and ends with %v", n, err)
		}
		if left := len(e.driver.rooms); left != cap(e.driver.rooms)-1 {
			t.Errorf("%d rooms are taken once all is done", left)
		}
	}
}

// TestStreamIsCancelled checks that reading rows stops soon after the context ends.
func TestStreamIsCancelled(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE SCHEMA endless", "GRANT USAGE ON SCHEMA endless TO "+postgrestest.Reader, "CREATE VIEW endless.event AS SELECT i % 500 AS id FROM generate_series(0::bigint, 100000000000) AS s(i)", "GRANT SELECT ON endless.event TO "+postgrestest.Reader)
	c := testcatalog.Parse(t, strings.Replace(streamCatalog, "ID", "int", 1))
	e := open(t, over(s, "endless"), c, testKey)
	f := &fragment.Fragment{Version: fragment.Version, Relations: []fragment.Relation{{Name: "e", Table: "event"}}, Patient: expr.Column("e", "id", value.TypeInt), Norm: fragment.L2, MaxGroups: 1, MaxRows: 5,
		Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
	p, err := fragment.Check(f, c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var at time.Time
	time.AfterFunc(500*time.Millisecond, func() {
		at = time.Now()
		cancel()
	})
	err = e.Run(ctx, f, p, memory.DefaultAllocator, func(arrow.Record) error { return nil })
	if late := time.Since(at); !errors.Is(err, context.Canceled) || late > 1500*time.Millisecond {
		t.Errorf("it ends %v after its context, with %v", late, err)
	}
}

const keyedCatalog = `
catalog: keyed
tables:
  event:
    key: n
    patient: id
    columns:
      n: {type: int, nullable: false}
      id: {type: int, nullable: false}
`

// TestTablesThatChangeWhileAStatementBegins checks tables that change between a statement's snapshot and its planning.
// PostgreSQL resolves a table's name and parents when it plans, whatever the transaction's snapshot. The test holds a
// statement there by a lock. Rows of a table that became a child are not read, and a table that took the name is not
// answered, neither with rows in the node nor in SQL.
func TestTablesThatChangeWhileAStatementBegins(t *testing.T) {
	s := postgrestest.Start(t)
	c := testcatalog.Parse(t, keyedCatalog)
	for name, change := range map[string][]string{
		"a child":     {"ALTER TABLE meanwhile.later INHERIT meanwhile.event"},
		"another one": {"ALTER TABLE meanwhile.event RENAME TO earlier", "ALTER TABLE meanwhile.later RENAME TO event"},
	} {
		for _, way := range []string{"stream", "sql"} {
			t.Run(name+" "+way, func(t *testing.T) {
				s.Exec(t, "CREATE SCHEMA meanwhile", "GRANT USAGE ON SCHEMA meanwhile TO "+postgrestest.Reader, "CREATE TABLE meanwhile.event (n BIGINT PRIMARY KEY, id BIGINT NOT NULL)",
					"INSERT INTO meanwhile.event VALUES (1, 1)", "CREATE TABLE meanwhile.later (n BIGINT NOT NULL, id BIGINT NOT NULL)", "INSERT INTO meanwhile.later VALUES (1, 1), (1, 1)",
					"GRANT SELECT ON ALL TABLES IN SCHEMA meanwhile TO "+postgrestest.Reader)
				defer s.Exec(t, "DROP SCHEMA meanwhile CASCADE")
				e := open(t, over(s, "meanwhile"), c, testKey)
				f := &fragment.Fragment{Version: fragment.Version, Relations: []fragment.Relation{{Name: "e", Table: "event"}}, Patient: expr.Column("e", "id", value.TypeInt), Norm: fragment.L2, MaxGroups: 1, MaxRows: 9,
					Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
				p, err := fragment.Check(f, c)
				if err != nil {
					t.Fatal(err)
				}
				text, _, err := e.Compile(f, p)
				if err != nil || !strings.HasPrefix(text, engine.Streamed) || !strings.Contains(text, "ONLY") {
					t.Fatalf("%v: %s", err, text)
				}
				run := map[string]func(context.Context, *fragment.Fragment, *fragment.Proof, memory.Allocator, func(arrow.Record) error) error{"stream": e.Run, "sql": e.RunCompiled}[way]
				rows := int64(-1)
				ask := func() error {
					rows = -1
					return run(t.Context(), f, p, memory.DefaultAllocator, func(r arrow.Record) error {
						return fragment.ReadRecord(f, r, func(_ []value.Value, partials []int64) error {
							rows = partials[0] / p.Units[0]
							return nil
						})
					})
				}
				if err := ask(); err != nil || rows != 1 {
					t.Fatalf("%d rows, %v", rows, err)
				}
				held, err := s.Admin.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := held.Exec(t.Context(), "LOCK TABLE meanwhile.event IN ACCESS EXCLUSIVE MODE"); err != nil {
					t.Fatal(err)
				}
				asked := make(chan error, 1)
				go func() { asked <- ask() }()
				for waits := false; !waits; time.Sleep(10 * time.Millisecond) {
					if err := held.QueryRow(t.Context(), "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'relation' AND NOT granted)").Scan(&waits); err != nil {
						t.Fatal(err)
					}
				}
				for _, statement := range change {
					if _, err := held.Exec(t.Context(), statement); err != nil {
						t.Fatal(err)
					}
				}
				if err := held.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
				broken := func(err error) bool {
					return err != nil && err.Error() == engine.Broken(t.Context()).Error() && rows == -1
				}
				if err := <-asked; !broken(err) && (name != "a child" || err != nil || rows != 1) {
					t.Errorf("meanwhile: %d rows, %v", rows, err)
				}
				if err := ask(); !broken(err) {
					t.Errorf("afterwards: %d rows, %v", rows, err)
				}
			})
		}
	}
}
