package adversary

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/cputime"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// Limits of one statement.
const (
	mostPlanning = time.Second // of CPU time, with garbage collection
	mostMemory   = 256 << 20   // allocated in total during planning
	every        = 4           // one of so many statements is also run
)

// TestHostileStatements checks statements from the whole grammar, most of them made to grow. Each is planned or refused
// within a second of CPU time and 256 MiB. Of the planned ones, a sample runs on each engine over a few rows, and none
// runs into its deadline.
func TestHostileStatements(t *testing.T) {
	c, seed, n := catalogs(t)[0], number(t, "INTRAMUROS_SEED", seed()), number(t, "INTRAMUROS_TRIPLES", 2000)
	world := newWorld(rand.New(rand.NewPCG(7, 7)), c)
	hospitals := map[string]hospital{"duckdb": openDuckDB(t, world, true), "postgres": openPostgres(t)(t, world, true)}
	planned, ran := 0, 0
	for i := range max(n, 2000) {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		text := hostile(r, c)
		p, why := planWithin(t, c, text)
		if why != "" {
			t.Fatalf("INTRAMUROS_SEED=%d: statement %d of %d bytes: %s\n%.3000s", seed, i, len(text), why, text)
		}
		if p == nil {
			continue
		}
		planned++
		if i%every != 0 {
			continue
		}
		ran++
		for name, h := range hospitals {
			if why := runWithin(t, h, p, name+": "+text); why != "" {
				t.Fatalf("INTRAMUROS_SEED=%d: statement %d of %d bytes: %s %s\n%.3000s", seed, i, len(text), name, why, text)
			}
		}
	}
	t.Logf("seed %d: %d planned, %d run", seed, planned, ran)
	if planned < n/5 {
		t.Errorf("only %d of %d statements were planned: the generator is stale", planned, n)
	}
}

// planWithin plans a statement, and returns a limit that it breaks three times in a row. It measures the CPU time of
// this process, so a busy machine does not matter. But embedded engines, and the collector for other tests, may compute
// at the same time.
func planWithin(t *testing.T, c *catalog.Catalog, text string) (p *planner.Program, why string) {
	t.Helper()
	for range 3 {
		if p, why = planOnce(t, c, text); why == "" {
			break
		}
	}
	return p, why
}

func planOnce(t *testing.T, c *catalog.Catalog, text string) (p *planner.Program, why string) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := cputime.Used(t)
	watch := time.AfterFunc(time.Minute*cputime.Slowness, func() { panic("planning does not end: " + text) })
	p, _ = planner.Compose(planner.Query{SQL: text, Ask: planner.Ask{Epsilon: 1, Delta: 1e-6}, Today: time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)},
		planner.Federation{Catalog: c, Hospitals: []string{"h0"}, Accounting: dp.ZCDP, Digest: "of the test"})
	watch.Stop()
	took := cputime.Used(t) - began
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > mostMemory || took > mostPlanning*cputime.Slowness {
		return nil, fmt.Sprintf("planning computes for %v and allocates %d MiB", took, grown>>20)
	}
	return p, ""
}

// runWithin runs the releases of a statement, and returns how one ends that does not answer in time. A statement at its
// deadline may have met a busy machine. It runs again with enough time for that to pass.
func runWithin(t *testing.T, h hospital, p *planner.Program, text string) (why string) {
	t.Helper()
	for _, plan := range p.Releases[:min(2, len(p.Releases))] {
		watch := time.AfterFunc(2*enduring, func() { panic(fmt.Sprintf("does not end: %.3000s", text)) })
		_, end := vector(t, h, plan, patience)
		if end == timedOut {
			t.Logf("%s after %v, and is run again: %.200s", end, patience, text)
			_, end = vector(t, h, plan, enduring)
		}
		watch.Stop()
		if end != answer && end != notOffered && end != tooLarge {
			return "ends with " + end
		}
	}
	return ""
}

// hostile writes a statement that is made to grow, or one from the whole grammar.
func hostile(r *rand.Rand, c *catalog.Catalog) string {
	w := &writer{Rand: r, catalog: c, hostile: true}
	themes := []func() string{w.nested, w.chained, w.listed, w.grouped, w.formatted, w.joined, w.released, w.windowed, w.united, w.anything, w.anything}
	return themes[w.IntN(len(themes))]()
}

// size is a number that is often small and seldom large.
func (w *writer) size(most int) int { return 1 + w.IntN(1+w.IntN(most)) }

// nested writes nested functions.
func (w *writer) nested() string {
	p := w.table("person")
	w.fields = p.fields
	of := w.pick("number", "number", "text", "date", "condition")
	shapes := map[string][]string{
		"number": {
			"ABS(%s)", "-(%s)", "ROUND(%s)", "FLOOR(%s)", "COALESCE(%s, 1)", "GREATEST(%s, 0)", "LEAST(%s, 5)",
			"(%s + 1)", "(%[1]s * %[1]s)", "(2 / %s)", "NULLIF(%s, 3)", "CASE WHEN %s > 1 THEN 1 ELSE 2 END",
			"CASE WHEN k > 1 THEN k + %s ELSE n END", "CASE WHEN n BETWEEN 1 AND 9 THEN %s END",
			"CLAMP(%s, 0, 9)", "SQRT(%s)", "EXP(%s)", "POWER(%s, 2)", "CAST(CAST(%s AS int) AS float)",
			"IF(%[1]s > 0, %[1]s, 0)", "WIDTH_BUCKET(%s, 0, 10, 5)", "SIGN(%s)", "TRUNC(%s, 2)",
			"LENGTH(CAST(CAST(%s AS int) AS text))", "DECODE(%s, 1, 2, 3)", "CAST(%s AS int) %% 7", "LN(%s)",
		},
		"text": {
			"LOWER(%s)", "UPPER(%s)", "TRIM(%s)", "REPLACE(%s, 'a', 'bb')",
			"REPLACE(%s, 'x', '" + strings.Repeat("x", 40) + "')", "CONCAT(%[1]s, %[1]s)", "%s || 'x'",
			"SUBSTRING(%s, 1, 5)", "LEFT(%s, 3)", "COALESCE(%s, 'x')", "SPLIT_PART(%s, 'a', 1)",
			"CASE WHEN %[1]s = 'a' THEN %[1]s ELSE 'b' END", "GREATEST(%s, 'm')", "RIGHT(%s, 2)", "LPAD(%s, 10, 'x')",
			"REVERSE(%s)", "INITCAP(%s)", "TO_CHAR(LENGTH(%s), 'FM000')", "TO_CHAR(LENGTH(%s), '0000')",
			"CAST(LENGTH(%s) AS text)",
		},
		"date": {
			"DATE_ADD(%s, INTERVAL 1 MONTH)", "%s + 1", "LAST_DAY(%s)", "DATE_TRUNC('month', %s)",
			"COALESCE(%s, DATE '2020-01-01')", "MAKE_DATE(YEAR(%s), 1, 1)", "GREATEST(%s, DATE '2000-01-01')",
			"CAST(CAST(%s AS timestamp) AS date)", "TO_DATE(TO_CHAR(%s, 'YYYY-MM-DD'), 'YYYY-MM-DD')",
			"DATE_ADD(%s, INTERVAL 5 YEAR)",
		},
		"condition": {"NOT (%s)", "(%s) AND k > 1", "(%s) IS TRUE", "(%[1]s) OR (%[1]s)", "(%s) = (k > 2)", "COALESCE(%s, FALSE)", "CASE WHEN %s THEN k > 3 ELSE k < 2 END", "(%s) IS NOT DISTINCT FROM (k = 1)", "CAST(%s AS int) > 0"},
	}[of]
	x := map[string]string{"number": w.pick("k", "age", "n", "free"), "text": "note", "date": "born", "condition": "dead"}[of]
	few := []string{}
	for range 1 + w.IntN(4) {
		few = append(few, w.pick(shapes...))
	}
	for range w.size(120) {
		x = strings.ReplaceAll(fmt.Sprintf(w.pick(few...), x), "%!(EXTRA", "")
		if len(x) > 20_000 {
			break
		}
	}
	switch of {
	case "number":
		return "SELECT " + w.pick("COUNT(*)", "AVG(CLAMP("+x+", 0, 5))", "COUNT(DISTINCT CASE WHEN "+x+" > 1 THEN 1 ELSE 2 END)") + " FROM person WHERE " + x + " > 1"
	case "text":
		return "SELECT " + w.pick("COUNT(*) FROM person WHERE "+x+" = 'a'", x+", COUNT(*) FROM person GROUP BY 1", "AVG(CLAMP(LENGTH("+x+"), 0, 9)) FROM person")
	case "date":
		return "SELECT " + w.pick("COUNT(*) FROM person WHERE "+x+" > '2010-01-01'", "YEAR("+x+"), COUNT(*) FROM person GROUP BY 1", "AVG(MONTH("+x+")) FROM person")
	}
	return "SELECT COUNT(*) FROM person WHERE " + x
}

// chained writes WITH queries that read earlier ones, perhaps several times.
func (w *writer) chained() string {
	column := w.pick("age", "k", "n", "CASE WHEN sex = 'F' THEN 1 ELSE 2 END", "CASE WHEN k = 7 THEN 'xxxxxxxx' ELSE '' END")
	text := strings.Contains(column, "''")
	steps := []string{"t0 AS (SELECT id, " + column + " AS a FROM person)"}
	most := w.size(24)
	for i := 1; i <= most; i++ {
		before := fmt.Sprintf("t%d", i-1)
		var grow string
		switch {
		case text:
			grow = w.pick("REPLACE(a, 'x', '"+strings.Repeat("x", w.size(64))+"')", "a || a", "CONCAT(a, a, a)", "LOWER(a)", "SUBSTRING(a, 1, 9)")
		default:
			grow = w.pick("a + a", "a * a", "a - 1", "GREATEST(a, a)", "CASE WHEN a > 1 THEN a ELSE a END", "a + a + a + a", "ABS(a)", "a")
		}
		step := "SELECT id, " + grow + " AS a FROM " + before
		switch w.IntN(8) {
		case 0:
			step += w.pick(" UNION ALL ", " UNION ", " INTERSECT ", " EXCEPT ") + "SELECT id, a FROM " + before
		case 1:
			step = "SELECT x.id, x.a FROM " + before + " x JOIN " + before + " y ON x.id = y.id"
		case 2:
			step = "SELECT id, MAX(a) AS a FROM " + before + " GROUP BY id"
		case 3:
			step = "SELECT id, LAG(a) OVER (PARTITION BY id ORDER BY a) AS a FROM " + before
		case 4:
			step = "SELECT DISTINCT id, a FROM " + before + " WHERE id IN (SELECT id FROM " + before + ")"
		case 5:
			step = "SELECT x.id, x.a FROM " + before + " x LEFT JOIN " + before + " y ON x.id = y.id AND x.a = y.a"
		}
		steps = append(steps, fmt.Sprintf("t%d AS (%s)", i, step))
	}
	last := fmt.Sprintf("t%d", most)
	what := w.pick("COUNT(*)", "COUNT(a)")
	if !text {
		what = w.pick(what, "AVG(CLAMP(a, 0, 5))")
	}
	return "WITH " + strings.Join(steps, ", ") + " SELECT " + w.pick(what+" FROM "+last, "a, COUNT(*) FROM "+last+" GROUP BY a", what+" FROM "+last+" WHERE "+w.pick("a IS NULL", "id IN (SELECT id FROM "+last+")"))
}

func repeat(n int, separator string, of func(i int) string) string {
	var all []string
	for i := range n {
		all = append(all, of(i))
	}
	return strings.Join(all, separator)
}

// listed writes long lists.
func (w *writer) listed() string {
	n := w.size(4000)
	switch w.IntN(8) {
	case 0:
		return "SELECT COUNT(*) FROM event WHERE n IN (" + repeat(n, ", ", func(i int) string { return fmt.Sprint(7 * i) }) + ")"
	case 1:
		return "SELECT COUNT(*) FROM event WHERE " + repeat(n, w.pick(" OR ", " AND "), func(i int) string { return fmt.Sprintf("n <> %d", i) })
	case 2:
		return "SELECT CASE " + repeat(n, " ", func(i int) string { return fmt.Sprintf("WHEN n = %d THEN 'c%d'", i, i) }) + " ELSE 'z' END AS g, COUNT(*) FROM event GROUP BY 1"
	case 3:
		lists := ""
		for i := range 1 + w.IntN(6) {
			lists += fmt.Sprintf(" %s (VALUES %s) v%d (a) ON v%d.a %s e.n", w.pick("JOIN", "LEFT JOIN"), repeat(1+w.IntN(w.pick1(10, 1000)), ", ", func(i int) string { return fmt.Sprintf("(%d)", i) }), i, i, w.pick("=", "<", "<>"))
		}
		return "SELECT COUNT(*) FROM event e" + lists
	case 4:
		return "SELECT COUNT(*) FROM person WHERE CONCAT(" + repeat(n, ", ", func(int) string { return "note" }) + ") = 'x'"
	case 5:
		return "SELECT " + repeat(1+n%120, ", ", func(i int) string {
			return w.pick("AVG(age)", fmt.Sprintf("SUM(CASE WHEN k = %d THEN 1 ELSE 0 END)", i), "MEDIAN(cost)", fmt.Sprintf("COUNT(*) FILTER (WHERE k > %d)", i), "HISTOGRAM(age, 0, 120, 90)")
		}) + " FROM person"
	case 6:
		return "SELECT COUNT(*) FROM event WHERE " + repeat(1+n%300, " + ", func(i int) string { return w.pick("n", "k", fmt.Sprint(i), "n * k") }) + " > 5"
	}
	return "SELECT COUNT(*) FROM event WHERE GREATEST(" + repeat(n, ", ", func(i int) string { return w.pick("n", fmt.Sprint(i)) }) + ") > 5"
}

// pick1 is one of two numbers.
func (w *writer) pick1(a, b int) int {
	if w.one(2) {
		return a
	}
	return b
}

// grouped writes many keys and sets of keys.
func (w *writer) grouped() string {
	p := w.table("person")
	w.fields = p.fields
	var keys []string
	for range w.size(12) {
		keys = append(keys, w.pick("sex", "grade", "k", "m", "dead", "YEAR(born)", "FLOOR(age / 10)", "k % 3", "CASE WHEN age > 50 THEN 'o' ELSE 'y' END", "note", "n", "WIDTH_BUCKET(age, 0, 120, 100)", "born", "DATE_TRUNC('month', born)", "MONTH(born)", w.key()))
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	list := strings.Join(keys, ", ")
	switch w.IntN(4) {
	case 0:
		return "SELECT " + list + ", COUNT(*) FROM " + p.sql + " GROUP BY CUBE (" + list + ")"
	case 1:
		return "SELECT " + list + ", COUNT(*) FROM " + p.sql + " GROUP BY ROLLUP (" + list + ")"
	case 2:
		return "SELECT " + list + ", COUNT(*) FROM " + p.sql + " GROUP BY GROUPING SETS (" + repeat(w.size(70), ", ", func(int) string { return "(" + w.pick(keys...) + ")" }) + ")"
	}
	return "SELECT " + list + ", " + w.pick("COUNT(*)", "MEDIAN(age)", "COUNT(DISTINCT m)", "AVG(cost)") + " FROM " + p.sql + " GROUP BY " + list
}

// formatted writes formats and patterns.
func (w *writer) formatted() string {
	p := w.table("person")
	w.fields = p.fields
	parts := func(of ...string) string { return repeat(w.size(60), "", func(int) string { return w.pick(of...) }) }
	number := w.pick("n", "k", "LENGTH(note)", "CASE WHEN dead THEN -1 ELSE LENGTH(note) END", "n * k", "CAST(note AS int)")
	x := w.pick(
		"TO_CHAR("+number+", '"+w.pick("", "FM")+strings.Repeat("0", w.size(20))+"')",
		"TO_CHAR(born, '"+parts("YYYY", "MM", "DD", "DDD", "Q", "IYYY", "IW", "-", "/", ":", " ")+"')",
		"TO_CHAR(seen, '"+parts("HH24", "MI", "SS", "YYYY", "MM", "-", ":")+"')",
		"DATE_FORMAT(born, '"+parts("%Y", "%m", "%d", "%j", "-")+"')",
		"LPAD(note, "+fmt.Sprint(w.size(10_000_000))+", 'x')", "REPEAT(note, "+fmt.Sprint(w.size(1_000_000))+")",
		"REPLACE(note, '"+parts("a", "x")+"', '"+parts("x", "xx", "yyyyy")+"')", "SPLIT_PART(note, 'a', "+fmt.Sprint(w.size(9000))+")")
	for range w.IntN(4) {
		x = w.pick("RIGHT("+x+", 1)", "LOWER("+x+")", x+" || "+x, "REPLACE("+x+", '0', '00')", "TO_CHAR(LENGTH("+x+"), 'FM0000')", "TRIM("+x+")", "SUBSTRING("+x+", k, 3)")
	}
	switch w.IntN(5) {
	case 0:
		return "SELECT COUNT(*) FROM person WHERE note LIKE '" + parts("%", "a", "_", "%a", "x%") + "'"
	case 1:
		return "SELECT COUNT(*) FROM person WHERE REGEXP_LIKE(note, '" + parts("a", "b*", "(a|b)+", "[a-z]{1,50}", ".", "(x{1,20}){1,20}", "a?", "^", "$") + "')"
	case 2:
		return "SELECT " + x + ", COUNT(*) FROM person GROUP BY 1"
	case 3:
		return "SELECT COUNT(*) FROM person WHERE CAST(" + x + " AS " + w.pick("boolean", "int", "date", "float") + ") IS NOT NULL"
	}
	return "SELECT COUNT(*) FROM person WHERE " + x + " = '3'"
}

// joined writes many joins, and cohorts within cohorts.
func (w *writer) joined() string {
	if w.one(2) {
		from := "event e0"
		for i := 1; i <= w.size(32); i++ {
			from += fmt.Sprintf(" %s %s e%d ON e%d.id = e%d.id%s", w.pick("JOIN", "LEFT JOIN"), w.pick("event", "person", "last"), i, i, w.IntN(i), w.pick("", " AND e0.n > 3", " AND e0.k * e0.k > 4"))
		}
		return "SELECT COUNT(*) FROM " + from
	}
	q := "SELECT id FROM event WHERE n > 1"
	for range w.size(25) {
		q = w.pick("SELECT id FROM person WHERE id IN ("+q+")", "SELECT id FROM person WHERE id NOT IN ("+q+")", "SELECT p.id FROM person p WHERE EXISTS (SELECT 1 FROM ("+q+") q WHERE q.id = p.id)",
			"SELECT id FROM ("+q+") q", q+" UNION SELECT id FROM event WHERE k = 2", "SELECT p.id FROM person p WHERE (SELECT COUNT(*) FROM ("+q+") q WHERE q.id = p.id) > 1")
		if len(q) > 20_000 {
			break
		}
	}
	return "SELECT COUNT(*) FROM person WHERE id IN (" + q + ")"
}

// released writes computations over releases.
func (w *writer) released() string {
	one := func(i int) string {
		return w.pick("SELECT sex AS g, COUNT(*) AS n FROM person GROUP BY sex", "SELECT grade AS g, COUNT(*) AS n FROM event GROUP BY grade", fmt.Sprintf("SELECT 'a%d' AS g, COUNT(*) AS n FROM person WHERE k > %d", i, i))
	}
	inner := repeat(w.size(70), " UNION ALL ", one)
	for i := range w.size(12) {
		shape := w.pick("SELECT g, SUM(n) AS n FROM (%[1]s) r%[2]d GROUP BY g", "SELECT g, n + n AS n FROM (%[1]s) r%[2]d", "SELECT g, SUM(n) OVER (ORDER BY g) AS n FROM (%[1]s) r%[2]d",
			"SELECT a%[2]d.g, a%[2]d.n * b%[2]d.m AS n FROM (%[1]s) a%[2]d CROSS JOIN (VALUES (1), (2), (3)) b%[2]d (m)", "SELECT g, n FROM (%[1]s) r%[2]d ORDER BY n DESC LIMIT 5",
			"SELECT DISTINCT g || g AS g, n FROM (%[1]s) r%[2]d", "SELECT a%[2]d.g, a%[2]d.n FROM (%[1]s) a%[2]d JOIN (%[1]s) b%[2]d ON a%[2]d.g = b%[2]d.g", "SELECT REPLACE(g, 'a', '"+strings.Repeat("a", 32)+"') AS g, n FROM (%[1]s) r%[2]d")
		inner = fmt.Sprintf(shape, inner, i)
		if len(inner) > 30_000 {
			break
		}
	}
	return inner
}

// united writes many queries, side by side, over the same one, which is long or has many columns.
func (w *writer) united() string {
	columns := []string{"id", "k", "CASE " + repeat(w.size(900), " ", func(i int) string { return fmt.Sprintf("WHEN n = %d THEN 'c%d'", i, i) }) + " ELSE 'z' END AS g"}
	for i := range w.size(120) {
		columns = append(columns, fmt.Sprintf("%s AS c%d", w.pick("k", "n", "x", "n * k + 1", "GREATEST(k, n)", "CASE WHEN n > 3 THEN k END"), i))
	}
	from := "WITH t AS (SELECT " + strings.Join(columns, ", ") + " FROM event) "
	where := func(i int) string { return fmt.Sprintf(" WHERE %s > %d", w.pick("k", "c0", "LENGTH(g)"), i) }
	if w.one(2) {
		return from + repeat(w.size(99), " UNION ALL ", func(i int) string {
			return "SELECT g, " + w.pick("COUNT(*)", "SUM(k)", "COUNT(DISTINCT id)") + " AS n FROM t" + where(i) + " GROUP BY g"
		})
	}
	arms := repeat(w.size(99), w.pick(" UNION ALL ", " UNION ", " INTERSECT ", " EXCEPT "), func(i int) string {
		return w.pick("SELECT id, g, k FROM t", "SELECT id, g, k FROM (SELECT * FROM t) s", "SELECT id, LOWER(g), k + 1 FROM t", "SELECT a.id, b.g, a.k FROM t a JOIN t b ON a.id = b.id AND a.k > b.k") + strings.ReplaceAll(where(i), "WHERE c0", "WHERE 3")
	})
	arms = strings.ReplaceAll(strings.ReplaceAll(arms, "b.k WHERE k", "b.k WHERE a.k"), "b.k WHERE LENGTH(g)", "b.k WHERE LENGTH(a.g)")
	return from + w.pick("SELECT COUNT(*) FROM ("+arms+") u", "SELECT g, AVG(k) FROM ("+arms+") u GROUP BY g")
}

// windowed writes window functions, nested and side by side.
func (w *writer) windowed() string {
	q := "SELECT id, n, k, x FROM event"
	for i := range w.size(10) {
		over := fmt.Sprintf(" OVER (PARTITION BY id%s ORDER BY %s%s)", w.pick("", ", k", ", n % 3"), w.pick("n", "k, n", "x DESC", "n + k"), w.pick("", " ROWS BETWEEN 3 PRECEDING AND CURRENT ROW", " ROWS UNBOUNDED PRECEDING"))
		of := func() string {
			return w.pick("LAG(n, 5)", "LEAD(k)", "SUM(n)", "COUNT(*)", "MAX(x)", "AVG(k)", "MIN(n)", "FIRST_VALUE(n)")
		}
		columns := []string{"id", of() + over + " AS n", "k", "x"}
		for j := range w.size(20) {
			columns = append(columns, fmt.Sprintf("%s%s AS c%d", of(), over, j))
		}
		q = fmt.Sprintf("SELECT %s FROM (%s) w%d", strings.Join(columns, ", "), q, i)
	}
	return "SELECT COUNT(*), COUNT(n) FROM (" + q + ") z WHERE n > 1"
}

// anything writes a statement like those for the neighbours, with something around it.
func (w *writer) anything() string {
	s := write(w.Rand, w.catalog, true)
	text := s.String()
	w.fields = []field{{sql: "n", of: value.TypeInt}}
	switch w.IntN(5) {
	case 0:
		text += " HAVING COUNT(*) > 5 ORDER BY 1 DESC LIMIT 3"
	case 1:
		text = "SELECT * FROM (" + text + ") q"
	case 2:
		text += " UNION ALL " + text
	case 3:
		text = "WITH q AS (" + text + ") SELECT COUNT(*) FROM q"
	}
	return text
}
