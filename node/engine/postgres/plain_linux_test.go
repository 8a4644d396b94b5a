package postgres

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/jackc/pgx/v5"

	"github.com/intramuros/intramuros/internal/cputime"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

// used is the processor time of a server's sessions so far.
func used(t *testing.T, conn *pgx.Conn) (sum time.Duration) {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
	if err != nil {
		t.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		for _, ticks := range fields[11:13] { // utime and stime, in hundredths of a second
			n, err := strconv.Atoi(ticks)
			if err != nil {
				t.Fatal(err)
			}
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum
}

// TestBenchPlain prints the processor time of a mean as a stream, in the server and in the node, as a multiple of the
// time without privacy in the same server. INTRAMUROS_BENCH_ROWS is the number of rows, 40 for each patient. It fails
// if a ratio exceeds its goal by half.
func TestBenchPlain(t *testing.T) {
	if os.Getenv("INTRAMUROS_BENCH") == "" {
		t.Skip("INTRAMUROS_BENCH is not set: the benchmark takes a minute")
	}
	n := 2_000_000
	if given, err := strconv.Atoi(os.Getenv("INTRAMUROS_BENCH_ROWS")); err == nil {
		n = min(given, 5_000_000)
	}
	// The time of parallel workers does not count as a session's time.
	s := postgrestest.Start(t, "shared_buffers=1GB", "max_parallel_workers_per_gather=0")
	s.Exec(t, "CREATE SCHEMA bench", "GRANT USAGE ON SCHEMA bench TO "+postgrestest.Reader,
		fmt.Sprintf(`CREATE TABLE bench.event AS SELECT i * 2654435761 %% %d AS id, i * 40503 %% 65537 %% 200 AS unit, 'a'::text AS name, i AS many,
			CAST(i * 104729 %% 100000 AS DOUBLE PRECISION) / 1000 AS x, i * 1299709 %% 1000 AS n FROM generate_series(1::bigint, %d) AS s(i)`, n/40, n),
		"CREATE TABLE bench.person AS SELECT 1::bigint AS id, 2::bigint AS age, 3::bigint AS grp",
		"VACUUM ANALYZE bench.event", "GRANT SELECT ON ALL TABLES IN SCHEMA bench TO "+postgrestest.Reader)
	c := testcatalog.Parse(t, enginetest.BenchCatalog)
	e := open(t, over(s, "bench"), c, testKey)
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=%s database=%s", s.Folder, s.Port, postgrestest.Reader, postgrestest.Database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	column := func(name string, of value.Type) *expr.Expr { return expr.Column("e", name, of) }
	unit := fragment.Key{Expr: column("unit", value.TypeInt)}
	for i := range int64(200) {
		unit.Domain = append(unit.Domain, value.Int(i))
	}
	grid, err := fragment.NewGrid(0, 100, false, true, 40)
	if err != nil {
		t.Fatal(err)
	}
	x := column("x", value.TypeFloat)
	mean := []fragment.Partial{{Kind: fragment.PartialRows}, {Kind: fragment.PartialValues, Expr: x}, {Kind: fragment.PartialSum, Expr: x, Grid: &grid}}
	fmt.Printf("\n%d rows of %d patients; processor time, least of three\n", n, n/40)
	for _, q := range []struct {
		name, plain string
		keys        []fragment.Key
	}{
		{"(a) no GROUP BY", "SELECT count(*), avg(x) FROM bench.event", nil},
		{"(b) 200 keys", "SELECT unit, count(*), avg(x) FROM bench.event GROUP BY unit", []fragment.Key{unit}},
	} {
		f := fragment.Fragment{Version: fragment.Version, Norm: fragment.L2, MaxRows: 40, MaxGroups: 5, Keys: q.keys, Partials: mean,
			Relations: []fragment.Relation{{Name: "e", Table: "event"}}, Patient: column("id", value.TypeInt)}
		p, err := fragment.Check(&f, c)
		if err != nil {
			t.Fatal(err)
		}
		var plain, server, node time.Duration
		for i := range 3 {
			began := used(t, conn)
			if _, err := conn.Exec(ctx, q.plain); err != nil {
				t.Fatal(err)
			}
			ended, own := used(t, conn), cputime.Used(t)
			if err := e.Run(ctx, &f, p, memory.DefaultAllocator, func(arrow.Record) error { return nil }); err != nil {
				t.Fatal(err)
			}
			of, in := used(t, conn)-ended, cputime.Used(t)-own
			if i == 0 || ended-began < plain {
				plain = ended - began
			}
			if i == 0 || of+in < server+node {
				server, node = of, in
			}
		}
		const goal = 3
		ratio := float64(server+node) / float64(plain)
		fmt.Printf("%-18s plain %v, streamed %v in the server and %v in the node, %.1f times; goal %d\n", q.name, plain, server, node, ratio, goal)
		if ratio > 1.5*goal {
			t.Errorf("%s: %.1f times the plain question; the goal is %d", q.name, ratio, goal)
		}
	}
}
