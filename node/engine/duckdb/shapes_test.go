package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/cputime"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/stream"
)

// shape is a question as a fragment, and as SQL without privacy.
type shape struct {
	name, plain string
	goal        float64 // the largest allowed ratio to the question without privacy
	fragment.Fragment
}

func shapes(t testing.TB) []shape {
	col := func(name string, of value.Type) *expr.Expr { return expr.Column("e", name, of) }
	grid := func(lower, upper float64, whole bool, rows int) *fragment.Grid {
		g, err := fragment.NewGrid(lower, upper, whole, true, rows)
		if err != nil {
			t.Fatal(err)
		}
		return &g
	}
	x, patients, rows := col("x", value.TypeFloat), fragment.Partial{Kind: fragment.PartialPatients}, fragment.Partial{Kind: fragment.PartialRows}
	mean := []fragment.Partial{rows, {Kind: fragment.PartialValues, Expr: x}, {Kind: fragment.PartialSum, Expr: x, Grid: grid(0, 100, false, 40)}}
	var units []value.Value
	for i := range int64(200) {
		units = append(units, value.Int(i))
	}
	person := fragment.Relation{Name: "p", Table: "person"}
	joined := person
	joined.Join, joined.On = fragment.JoinInner, op(expr.OpEqual, evID, pID)
	group := expr.Column("p", "grp", value.TypeInt)
	all := []shape{
		{"(a) no GROUP BY", "SELECT count(*), avg(x) FROM event", 5, fragment.Fragment{Relations: events, Patient: evID, Partials: mean}},
		{"(b) 200 keys", "SELECT unit, count(*), avg(x) FROM event GROUP BY unit", 5,
			fragment.Fragment{Relations: events, Patient: evID, Keys: []fragment.Key{{Expr: col("unit", value.TypeInt), Domain: units}}, Partials: mean}},
		{"(c) one row a patient", "SELECT grp, count(*), avg(age) FROM person GROUP BY grp", 2,
			fragment.Fragment{Relations: []fragment.Relation{person}, Patient: pID, Keys: []fragment.Key{{Expr: group}},
				Partials: []fragment.Partial{patients, {Kind: fragment.PartialSum, Expr: pAge, Grid: grid(0, 120, true, 1)}}}},
		{"(d) a median", "SELECT median(x) FROM event", 5,
			fragment.Fragment{Relations: events, Patient: evID, Partials: []fragment.Partial{{Kind: fragment.PartialBuckets, Expr: x, Buckets: &fragment.Buckets{Lower: 0, Upper: 100, Branching: 10, Levels: 3}}}}},
		{"(e) a join of two tables", "SELECT grp, count(*), avg(x) FROM person JOIN event USING (id) GROUP BY grp", 5,
			fragment.Fragment{Relations: []fragment.Relation{{Name: "e", Table: "event"}, joined}, Patient: evID, Keys: []fragment.Key{{Expr: group}}, Partials: append(mean[:3:3], patients)}},
		{"(f) 10⁵ undeclared groups", "SELECT many, count(*) FROM event GROUP BY many", 5,
			fragment.Fragment{Relations: events, Patient: evID, MaxGroups: 40, Keys: []fragment.Key{{Expr: col("many", value.TypeInt)}}, Partials: []fragment.Partial{patients, rows}}},
	}
	for i := range all {
		f := &all[i].Fragment
		f.Version, f.Norm, f.MaxRows, f.MaxGroups = fragment.Version, fragment.L2, 40, max(5, f.MaxGroups)
	}
	return all
}

// shapeTables fills the tables. They are not stored by patient; a patient has 40 events.
func shapeTables(rows int) []string {
	return []string{
		fmt.Sprintf("CREATE TABLE person AS SELECT i AS id, i * 7919 %% 100 AS age, i * 31 %% 10 AS grp FROM range(%d) AS s(i)", rows/40),
		fmt.Sprintf(`CREATE TABLE event AS SELECT CAST(hash(i) %% %d AS BIGINT) AS id, CAST(hash(i + 1000000007) %% 200 AS BIGINT) AS unit,
			CAST(hash(i + 3000000019) %% 100000 AS BIGINT) AS many, CAST(i * 104729 %% 100000 AS DOUBLE) / 1000 AS x, NULL::VARCHAR AS name, NULL::BIGINT AS n FROM range(%d) AS s(i)`, rows/40, rows),
	}
}

// fastest is the least processor time of three runs. Other load affects it less than elapsed time.
func fastest(t *testing.T, do func() error) time.Duration {
	t.Helper()
	least := time.Duration(0)
	for range 3 {
		began := cputime.Used(t)
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if took := cputime.Used(t) - began; least == 0 || took < least {
			least = took
		}
	}
	return least
}

// TestBenchShapes prints the time of a fragment in DuckDB alone and as a stream, as multiples of the time without
// privacy in the same database and run. INTRAMUROS_BENCH_ROWS is the number of rows. It fails if a ratio exceeds its
// goal by half.
func TestBenchShapes(t *testing.T) {
	if os.Getenv("INTRAMUROS_BENCH") == "" {
		t.Skip("INTRAMUROS_BENCH is not set: the benchmark takes minutes")
	}
	rows := 2_000_000
	if n, err := strconv.Atoi(os.Getenv("INTRAMUROS_BENCH_ROWS")); err == nil {
		rows = n
	}
	ctx, c := context.Background(), testcatalog.Parse(t, enginetest.BenchCatalog)
	path := newDatabase(t, shapeTables(rows)...)
	e, err := Open(ctx, Config{Database: path, MemoryLimit: "4GB"}, c, enginetest.Hospital, testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.driver.db.room = 1 << 30
	nothing := func([]any) error { return nil }
	fmt.Printf("\n%d rows of %d patients, %d cores; least of three\n%-28s %10s %10s %10s %8s %8s %6s\n", rows, rows/40, runtime.NumCPU(), "", "plain", "compiled", "streamed", "×plain", "×plain", "goal")
	for _, s := range shapes(t) {
		p, err := fragment.Check(&s.Fragment, c)
		if err != nil {
			t.Fatal(err)
		}
		target := &compile.Target{Dialect: compile.DuckDB, Catalog: c, Hospital: enginetest.Hospital, Table: func(t *catalog.Table, _ []string) (string, bool) { return schema + "." + t.Name, true }}
		text, err := target.Fragment(&s.Fragment, p)
		if err != nil {
			t.Fatal(err)
		}
		given, plan, err := target.Stream(&s.Fragment, p)
		if err != nil {
			t.Fatal(err)
		}
		plain := fastest(t, func() error {
			return look(ctx, e.driver.db.DB, strings.NewReplacer(" event", " source.event", " person", " source.person").Replace(s.plain), nil, nothing)
		})
		compiled := fastest(t, func() error { return e.driver.Query(ctx, text, false, nothing) })
		streamed, through := "-", compiled
		if plan != nil {
			through = fastest(t, func() error {
				err := e.driver.Stream(ctx, "", given, plan, false, nothing)
				if errors.Is(err, stream.ErrTooMuch) {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				return err
			})
			streamed = fmt.Sprintf("%.0f ms", 1e3*through.Seconds())
		}
		ratio := through.Seconds() / plain.Seconds()
		fmt.Printf("%-28s %7.0f ms %7.0f ms %10s %8.1f %8.1f %6.0f\n", s.name, 1e3*plain.Seconds(), 1e3*compiled.Seconds(), streamed, compiled.Seconds()/plain.Seconds(), ratio, s.goal)
		if ratio > 1.5*s.goal {
			t.Errorf("%s: %.1f times the plain question; the goal is %g", s.name, ratio, s.goal)
		}
	}
}
