package trino

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/node/engine/trino/trinotest"
	"github.com/intramuros/intramuros/planner"
)

func TestStagesOfText(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{"SELECT count(*) FROM a", 2},
		{"SELECT 'a JOIN b', \"JOIN\" FROM a GROUP BY 1", 2},
		{"SELECT x, row_number() OVER (PARTITION BY x ORDER BY y) FROM a JOIN b ON 1 = 1", 4},
		{"WITH r AS (SELECT x FROM a JOIN b ON 1 = 1) SELECT coalesce(sum(x), 0) FROM r", 4},
		{"WITH r AS (SELECT x FROM a JOIN b ON 1 = 1), s AS (SELECT x FROM r JOIN r AS q ON 1 = 1) SELECT x FROM s WHERE x IN (SELECT x FROM r)", 1 + 2 + 2 + 2 + 2 + 2},
	} {
		if got := stages(c.text); got != c.want {
			t.Errorf("%d, not %d: %s", got, c.want, c.text)
		}
	}
}

var joined = testcatalog.YAML("catalog: joined",
	testcatalog.Person("n: {type: int, bounds: [0, 9]}"),
	testcatalog.Rows("event", "n: {type: int, bounds: [0, 9]}"),
)

// TestStages checks that the server plans no more stages than the text of joins, cohorts, groups, windows and sets
// suggests. A query that may have too many is refused before payment. A query just below the limit is planned by a
// server with the usual limit.
func TestStages(t *testing.T) {
	s := trinotest.Start(t)
	c := testcatalog.Parse(t, joined)
	schema := s.Schema(t)
	in := "memory." + schema + "."
	s.Exec(t, "CREATE TABLE "+in+"person AS SELECT i AS id, i % 10 AS n FROM "+trinotest.Series(20), "CREATE TABLE "+in+"event AS SELECT i % 20 AS id, i % 10 AS n FROM "+trinotest.Series(60))
	e := open(t, over(s, schema), c, testKey)
	ctx := context.Background()
	plan := func(text string) *planner.Plan {
		p, err := planner.Compose(planner.Query{SQL: text, Ask: planner.Ask{Epsilon: 1, Delta: 1e-6}}, planner.Federation{Catalog: c, Hospitals: []string{"h"}, Accounting: dp.ZCDP, Digest: "of the test"})
		if err != nil {
			t.Fatal(text, err)
		}
		return p.Releases[0]
	}
	planned := func(text string) (n int) {
		rows, err := e.driver.db.QueryContext(ctx, "EXPLAIN (TYPE DISTRIBUTED) "+withKey(text, "X'"+e.driver.key+"'"))
		if err != nil {
			t.Fatal(err, text)
		}
		defer rows.Close()
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			n += strings.Count("\n"+line, "\nFragment ")
		}
		if rows.Err() != nil {
			t.Fatal(rows.Err())
		}
		return n
	}
	events := func(n int) string {
		from := "event e0"
		for i := 1; i < n; i++ {
			from += fmt.Sprintf(" JOIN event e%d ON e%d.id = e0.id", i, i)
		}
		return "SELECT COUNT(*) FROM " + from
	}
	nested := func(n int) string {
		q := "SELECT id FROM event WHERE n > 1"
		for range n {
			q = "SELECT id FROM person WHERE id NOT IN (" + q + ")"
		}
		return "SELECT COUNT(*) FROM person WHERE id IN (" + q + ")"
	}
	var refused []string
	for _, text := range []string{
		"SELECT COUNT(*) FROM person", "SELECT n, COUNT(*), SUM(n) FROM event GROUP BY n", "SELECT COUNT(DISTINCT n), MEDIAN(n) FROM event",
		"SELECT COUNT(*) FROM (SELECT id, LAG(n) OVER (PARTITION BY id ORDER BY n) AS l FROM event) w WHERE l > 3",
		"SELECT COUNT(*) FROM (SELECT id, n FROM event UNION SELECT id, n FROM person EXCEPT SELECT id, 3 FROM event) u",
		events(2), events(4), events(7), events(8), events(12), nested(3), nested(10),
	} {
		p := plan(text)
		sql, _, err := e.Compile(p.Fragment, p.Proof)
		var limit *fragment.Limit
		if errors.As(err, &limit) {
			refused = append(refused, text)
			continue
		}
		if err != nil {
			t.Fatal(text, err)
		}
		bound, n := stages(sql), planned(sql)
		t.Logf("%d stages of at most %d: %.100s", n, bound, text)
		if n > bound {
			t.Errorf("%d stages, more than %d: %s", n, bound, text)
		}
	}
	if !slices.Equal(refused, []string{events(8), events(12)}) {
		t.Errorf("refused are %q", refused)
	}
	p := plan(events(8))
	if err := e.Run(ctx, p.Fragment, p.Proof, memory.DefaultAllocator, func(arrow.Record) error { return nil }); err != nil {
		t.Error(err, errors.Unwrap(err))
	}
}
