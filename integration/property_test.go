package integration

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"
	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/duckdb"
	"github.com/intramuros/intramuros/planner"
)

// The properties on which privacy rests, over random data, queries and patients,
// through the real planner and the real engine, without noise. The unnoised path is
// this file: it exists in no binary.

const propertyCatalog = `
catalog: property
max_sites: 2
hospital_column: true
max_groups: 2
max_rows: 3
tables:
  person:
    key: id
    patient: id
    one_row_per_patient: true
    columns:
      id: {type: int, nullable: false}
      sex: {type: text, domain: [f, m]}
      born: {type: int, bounds: [1920, 2020]}
      place: {type: int, references: place.place}
  stay:
    key: stay
    patient: id
    columns:
      stay: {type: int, nullable: false}
      id: {type: int, nullable: false, references: person.id}
      unit: {type: text}
      days: {type: int, bounds: [0, 90]}
      began: {type: date, bounds: [2019-01-01, 2023-12-31]}
  vital:
    patient: stay
    columns:
      stay: {type: int, nullable: false, references: stay.stay}
      kind: {type: int, bounds: [1, 6]}
      x: {type: float, bounds: [-5, 200]}
      y: {type: float}
      wide: {type: int}
  place:
    public: true
    key: place
    columns:
      place: {type: int, nullable: false}
      region: {type: text, domain: [north, south]}
`

// world is random data: SQL that makes each table at each hospital.
type world struct {
	*rand.Rand
	folder    string
	hospitals []string
	patients  int
}

func newWorld(t *testing.T, r *rand.Rand) *world {
	w := &world{Rand: r, folder: t.TempDir(), patients: 4 + r.IntN(12)}
	for i := range 1 + r.IntN(4) {
		w.hospitals = append(w.hospitals, "h"+strconv.Itoa(i))
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	seats := map[int]int{} // at how many hospitals a patient is: at most max_sites
	stay := 0
	for h, name := range w.hospitals {
		var person, stays, vitals []string
		for id := range w.patients {
			if seats[id] == 2 || r.IntN(2) == 0 && (h < len(w.hospitals)-1 || seats[id] > 0) {
				continue
			}
			seats[id]++
			person = append(person, fmt.Sprintf("(%d, %s, %s, %s)", id, w.pick("'f'", "'m'", "'x'", "NULL"), w.pick("1950", "1890", "2000", "NULL", "2147483647"), w.pick("1", "2", "3", "NULL")))
			for range r.IntN(5) {
				stay++
				stays = append(stays, fmt.Sprintf("(%d, %d, %s, %s, %s)", stay, id, w.pick("'a'", "'b'", "'c'", "'d'", "NULL", "''"),
					w.pick("0", "7", "90", "-4", "100000", "NULL"), w.pick("DATE '2020-02-29'", "DATE '2023-12-31'", "DATE '1800-01-01'", "NULL")))
				for range r.IntN(1 + r.IntN(20)) {
					vitals = append(vitals, fmt.Sprintf("(%d, %s, %s, %s, %s)", stay, w.pick("1", "2", "3", "6", "9", "NULL"),
						w.pick("0", "0.1", "199.99", "1e300", "-1e300", "'nan'::double", "'inf'::double", "NULL"),
						w.pick("0", "1", "-0.5", "1e308", "'-inf'::double", "'nan'::double", "NULL"),
						w.pick("0", "1", "42", "9223372036854775807", "-9223372036854775808", "NULL")))
				}
			}
		}
		w.write(t, db, name, "person", "id INTEGER, sex VARCHAR, born INTEGER, place INTEGER", person)
		w.write(t, db, name, "stay", "stay BIGINT, id INTEGER, unit VARCHAR, days INTEGER, began DATE", stays)
		w.write(t, db, name, "vital", "stay BIGINT, kind SMALLINT, x DOUBLE, y DOUBLE, wide BIGINT", vitals)
		w.write(t, db, name, "place", "place INTEGER, region VARCHAR", []string{"(1, 'north')", "(2, 'south')"})
	}
	return w
}

func (w *world) pick(of ...string) string { return of[w.IntN(len(of))] }

func (w *world) write(t *testing.T, db *sql.DB, hospital, table, columns string, rows []string) {
	t.Helper()
	folder := filepath.Join(w.folder, hospital)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	statements := []string{fmt.Sprintf("CREATE OR REPLACE TABLE t (%s)", columns)}
	if len(rows) > 0 {
		statements = append(statements, "INSERT INTO t VALUES "+strings.Join(rows, ", "))
	}
	statements = append(statements, fmt.Sprintf("COPY t TO '%s' (FORMAT parquet)", filepath.Join(folder, table+".parquet")))
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// without copies the data, leaving out one patient everywhere.
func (w *world) without(t *testing.T, patient int) *world {
	o := *w
	o.folder = t.TempDir()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, h := range w.hospitals {
		if err := os.MkdirAll(filepath.Join(o.folder, h), 0o700); err != nil {
			t.Fatal(err)
		}
		from := func(table string) string { return "'" + filepath.Join(w.folder, h, table+".parquet") + "'" }
		for table, condition := range map[string]string{
			"person": fmt.Sprintf("id <> %d", patient), "stay": fmt.Sprintf("id <> %d", patient), "place": "true",
			"vital": fmt.Sprintf("stay NOT IN (SELECT stay FROM %s WHERE id = %d)", from("stay"), patient),
		} {
			s := fmt.Sprintf("COPY (SELECT * FROM %s WHERE %s) TO '%s' (FORMAT parquet)", from(table), condition, filepath.Join(o.folder, h, table+".parquet"))
			if _, err := db.Exec(s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	return &o
}

func (w *world) open(t *testing.T, c *catalog.Catalog) []*duckdb.Engine {
	t.Helper()
	var engines []*duckdb.Engine
	for _, h := range w.hospitals {
		e, err := duckdb.Open(context.Background(), duckdb.Config{Folder: filepath.Join(w.folder, h), Threads: 1}, c, h, []byte("the key of the property test"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		engines = append(engines, e)
	}
	return engines
}

// exact runs a plan at every hospital and adds up, by key.
func exact(t *testing.T, p *planner.Plan, engines []*duckdb.Engine) map[string]planner.Cell {
	t.Helper()
	cells := map[string]planner.Cell{}
	for _, e := range engines {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		err := e.Run(context.Background(), p.Fragment, p.Proof, alloc, func(r arrow.Record) error {
			return fragment.ReadRecord(p.Fragment, r, func(keys []value.Value, partials []int64) error {
				k := fmt.Sprintf("%q", keys)
				c, ok := cells[k]
				if !ok {
					c = planner.Cell{Keys: slices.Clone(keys), Noisy: make([]int64, len(partials))} // for now those of the nodes
					cells[k] = c
				}
				for i, x := range partials {
					c.Noisy[i] += x
				}
				return nil
			})
		})
		alloc.AssertSize(t, 0)
		if err != nil {
			t.Fatalf("%s: %v", p.Describe(), err)
		}
	}
	for k, c := range cells {
		cells[k] = planner.Cell{Keys: c.Keys, Noisy: coordinates(p, c.Noisy)}
	}
	return cells
}

// coordinates is the vector that would be released of one group.
func coordinates(p *planner.Plan, partials []int64) []int64 {
	var all []int64
	for i, partial := range p.Fragment.Partials {
		all = append(all, p.Coordinates(i, partials[:partial.Width()])...)
		partials = partials[partial.Width():]
	}
	return all
}

// bounds is LInf at one node, of each coordinate, and which partial it is of.
func bounds(p *planner.Plan) (limits []int64, of []int) {
	for i, partial := range p.Fragment.Partials {
		for range p.Coordinates(i, make([]int64, partial.Width())) {
			limits, of = append(limits, p.Proof.LInf[i]), append(of, i)
		}
	}
	return limits, of
}

// question writes a random query of the supported SQL.
func (w *world) question() string {
	type source struct {
		from    string
		numbers []string
		keys    []string
	}
	s := []source{
		{"person p", []string{"p.born", "2024 - p.born", "CAST(p.sex AS int)"}, []string{"p.sex", "p.born", "FLOOR(p.born / 10) * 10", "p.place", "hospital"}},
		{"person p LEFT JOIN place c ON c.place = p.place", []string{"p.born % 7"}, []string{"c.region", "p.sex", "c.place"}},
		{"stay s", []string{"s.days", "s.days * s.days", "YEAR(s.began)", "NULLIF(s.days, 7)"}, []string{"s.unit", "s.days", "YEAR(s.began)", "MONTH(s.began)", "CASE WHEN s.days > 5 THEN 'long' ELSE 'short' END", "s.days > 5"}},
		{"stay s JOIN person p ON p.id = s.id", []string{"s.days - p.born", "LEAST(s.days, p.born)"}, []string{"p.sex", "s.unit", "p.place"}},
		{"stay s JOIN stay r ON r.id = s.id", []string{"s.days - r.days"}, []string{"r.unit", "s.unit"}},
		{"vital v", []string{"v.x", "CLAMP(v.y, -10, 10)", "v.x / v.kind", "ROUND(v.x, 1)", "CLAMP(1 / (v.wide - 42), -1, 1)", "CLAMP(v.wide * 2, 0, 100)", "CLAMP(v.wide, 576460752303423553, 576460752303423679)", "COALESCE(v.x, 0)", "ABS(v.x)"}, []string{"v.kind", "v.kind % 3", "v.wide", "v.y > 0"}},
		{"stay s LEFT JOIN person p ON p.id = s.id AND s.days > 5", []string{"s.days"}, []string{"p.sex", "p.born", "p.place"}},
		{"stay s LEFT JOIN person p ON p.id = s.id LEFT JOIN place c ON c.place = p.place AND s.days > 5", []string{"s.days"}, []string{"c.region", "c.place", "p.sex"}},
		{"vital v JOIN stay s ON s.stay = v.stay LEFT JOIN person p ON p.id = s.id", []string{"v.x", "v.x + s.days"}, []string{"s.unit", "p.sex", "v.kind"}},
	}[w.IntN(9)]
	number := func() string { return s.numbers[w.IntN(len(s.numbers))] }
	aggregate := func() string {
		switch w.IntN(10) {
		case 8:
			return w.pick("MEDIAN(", "MIN(", "MAX(") + number() + ")"
		case 9:
			return w.pick("QUANTILE("+number()+", 0.9)", "HISTOGRAM("+number()+", 0, 50, 4)")
		case 6:
			return w.pick("VAR_POP(", "VAR_SAMP(") + number() + ")"
		case 7:
			return "COVAR_POP(" + number() + ", " + number() + ")"
		case 0:
			return "COUNT(*)"
		case 1:
			return "COUNT(" + number() + ")"
		case 2:
			return "COUNT(DISTINCT patient)"
		case 3:
			return "SUM(CASE WHEN " + number() + " > 5 THEN 1 ELSE 0 END)"
		case 4:
			return "SUM(" + number() + ")"
		}
		return "AVG(" + number() + ")"
	}
	var items, keys []string
	for range w.IntN(3) {
		keys = append(keys, s.keys[w.IntN(len(s.keys))])
	}
	items = append(items, keys...)
	for range 1 + w.IntN(3) {
		items = append(items, aggregate())
	}
	q := "SELECT " + strings.Join(items, ", ") + " FROM " + s.from
	if w.IntN(2) == 0 {
		q += " WHERE " + number() + w.pick(" > 1", " <= 90", " IS NOT NULL", " <> 7")
	}
	if len(keys) > 0 {
		q += " GROUP BY " + strings.Join(keys, ", ")
	}
	return q
}

func properties(t *testing.T, name string, worlds int, check func(t *testing.T, w *world, c *catalog.Catalog)) {
	t.Helper()
	c, err := catalog.Parse([]byte(propertyCatalog), "property.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	if text := os.Getenv("INTRAMUROS_SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	for i := range worlds {
		t.Run(fmt.Sprintf("%s-%d", name, i), func(t *testing.T) {
			w := newWorld(t, rand.New(rand.NewPCG(seed, uint64(i))))
			defer func() {
				if t.Failed() {
					t.Logf("repeat with INTRAMUROS_SEED=%d", seed)
				}
			}()
			check(t, w, c)
		})
	}
}

// TestSensitivity: leaving out one patient changes the exact partial aggregates
// by no more than the plan declares, in each coordinate, in L1 and in L2.
func TestSensitivity(t *testing.T) {
	answered := 0
	properties(t, "world", 12, func(t *testing.T, w *world, c *catalog.Catalog) {
		patient := w.IntN(w.patients)
		all, fewer := w.open(t, c), w.without(t, patient).open(t, c)
		for range 25 {
			sql := w.question()
			p, err := planner.Build(planner.Query{SQL: sql, Epsilon: 1, Delta: 1e-6, MaxGroups: w.IntN(4), MaxRows: w.IntN(5)},
				planner.Federation{Catalog: c, Hospitals: w.hospitals, Accounting: dp.ZCDP})
			if err != nil {
				continue
			}
			answered++
			with, reduced := exact(t, p, all), exact(t, p, fewer)
			if excess := exceeds(p, with, reduced); excess != "" {
				t.Errorf("without patient %d, %s\n%s\n%s", patient, excess, sql, p.Describe())
			}
		}
	})
	if answered < 150 {
		t.Errorf("only %d of the random queries were planned: the generator is stale", answered)
	}
}

func exceeds(p *planner.Plan, with, without map[string]planner.Cell) string {
	keys := map[string]bool{}
	for k := range with {
		keys[k] = true
	}
	for k := range without {
		keys[k] = true
	}
	l1, squares := 0.0, 0.0
	limits, of := bounds(p)
	for k := range keys {
		for i, limit := range limits {
			var a, b int64
			if c, ok := with[k]; ok {
				a = c.Noisy[i]
			}
			if c, ok := without[k]; ok {
				b = c.Noisy[i]
			}
			part := math.Abs(float64(a)-float64(b)) / float64(limit)
			if part > float64(p.Sites) {
				return fmt.Sprintf("%s of group %s changes by %d, more than %d", p.Fragment.Partials[of[i]], k, a-b, p.LInf(of[i]))
			}
			l1 += part
			squares += part * part
		}
	}
	l0, m := float64(p.Noise.L0), float64(p.Sites)
	if l1 > m*l0*(1+1e-12) || math.Sqrt(squares) > m*math.Sqrt(l0)*(1+1e-12) {
		return fmt.Sprintf("the vector changes by L1 %g and L2 %g in units of the bounds, more than %g and %g", l1, math.Sqrt(squares), m*l0, m*math.Sqrt(l0))
	}
	return ""
}

// TestPropertyCatchesDefects: the check above sees what it is there to see.
func TestPropertyCatchesDefects(t *testing.T) {
	c, err := catalog.Parse([]byte(propertyCatalog), "property.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan := func(sql string, hospitals int) *planner.Plan {
		p, err := planner.Build(planner.Query{SQL: sql, Epsilon: 1, Delta: 1e-6}, planner.Federation{Catalog: c, Hospitals: []string{"a", "b"}[:hospitals], Accounting: dp.ZCDP})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	cells := func(counts ...int64) map[string]planner.Cell {
		all := map[string]planner.Cell{}
		for i, n := range counts {
			all[strconv.Itoa(i)] = planner.Cell{Noisy: []int64{n}}
		}
		return all
	}
	grouped := "SELECT days, COUNT(*) FROM stay GROUP BY days"
	for _, c := range []struct {
		what   string
		plan   *planner.Plan
		change map[string]planner.Cell
		caught bool
	}{
		{"three rows of a patient, the limit", plan("SELECT COUNT(*) FROM stay", 1), cells(3), false},
		{"an unclamped count", plan("SELECT COUNT(*) FROM stay", 1), cells(4), true},
		{"a missing m", plan("SELECT COUNT(*) FROM stay", 1), cells(6), true},
		{"three rows at each of two hospitals", plan("SELECT COUNT(*) FROM stay", 2), cells(6), false},
		{"two groups of a patient, the limit", plan(grouped, 1), cells(3, 3), false},
		{"an ignored L0", plan(grouped, 1), cells(3, 3, 1), true},
		{"an unclamped sum", plan("SELECT SUM(days) FROM stay", 1), cells(3*90 + 1), true},
	} {
		if got := exceeds(c.plan, c.change, nil); (got != "") != c.caught {
			t.Errorf("%s: %q", c.what, got)
		}
	}
}

// TestFederationEqualsUnion: with limits too wide to bite, any split of the rows
// over hospitals gives what one DuckDB says of the same SQL over the union.
func TestFederationEqualsUnion(t *testing.T) {
	compared := 0
	properties(t, "world", 12, func(t *testing.T, w *world, c *catalog.Catalog) {
		engines := w.open(t, c)
		union := w.union(t)
		for range 25 {
			text := w.question()
			if regexp.MustCompile("hospital|QUANTILE|HISTOGRAM").MatchString(text) {
				continue // the union has none, or means something else by them
			}
			p, err := planner.Build(planner.Query{SQL: text, Epsilon: 9e9, Delta: 1e-6, MaxGroups: 500, MaxRows: 200},
				planner.Federation{Catalog: c, Hospitals: w.hospitals, Accounting: dp.Pure})
			if err != nil {
				continue
			}
			compared++
			compareUnion(t, p, text, exact(t, p, engines), union)
		}
	})
	if compared < 100 {
		t.Errorf("only %d of the random queries were compared: the generator is stale", compared)
	}
}

// union opens one DuckDB over all hospitals' rows. Its columns are read as the
// catalog says: bounded ones clamped, NaN and the infinities as NULL or a bound.
// Patients carry their hospital, as the federation counts them at each.
func (w *world) union(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	view := func(table, columns, join string) string {
		return fmt.Sprintf("CREATE VIEW %s AS SELECT %s FROM (SELECT *, parse_dirpath(filename) AS site FROM read_parquet('%s', filename = true)) AS t %s",
			table, columns, filepath.Join(w.folder, "*", table+".parquet"), join)
	}
	clamp := func(c, low, high string) string {
		return fmt.Sprintf("CASE WHEN t.%[1]s IS NOT NULL THEN least(greatest(t.%[1]s, %[2]s), %[3]s) END AS %[1]s", c, low, high)
	}
	person := "concat(t.site, ' ', t.id)"
	for _, s := range []string{
		"CREATE MACRO clamp(x, low, high) AS CASE WHEN x IS NOT NULL THEN greatest(least(x, high), low) END",
		view("person", strings.Join([]string{person + " AS id", person + " AS patient", "t.sex", clamp("born", "1920", "2020"), "t.place"}, ", "), ""),
		view("stay", strings.Join([]string{"t.stay", person + " AS id", person + " AS patient", "t.unit", clamp("days", "0", "90"), clamp("began", "DATE '2019-01-01'", "DATE '2023-12-31'")}, ", "), ""),
		view("vital", strings.Join([]string{"t.stay", "s.patient", clamp("kind", "1", "6"), "CASE WHEN NOT isnan(t.x) THEN least(greatest(t.x, -5), 200) END AS x",
			"CASE WHEN isfinite(t.y) THEN t.y END AS y", "t.wide"}, ", "), "JOIN stay s ON s.stay = t.stay"),
		"CREATE VIEW place AS SELECT * FROM (VALUES (1, 'north'), (2, 'south')) AS t(place, region)",
	} {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return db
}

// inDuckDB spells a query so that plain DuckDB gives NULL where Intramuros does.
func inDuckDB(text string) string {
	alias := regexp.MustCompile(`FROM \w+ (\w)`).FindStringSubmatch(text)[1]
	return strings.NewReplacer(
		"DISTINCT patient", "DISTINCT "+alias+".patient", "CAST(", "TRY_CAST(",
		"1 / (v.wide - 42)", "1 / NULLIF(TRY(v.wide - 42), 0)", "v.wide * 2", "TRY(v.wide * 2)",
	).Replace(text)
}

func compareUnion(t *testing.T, p *planner.Plan, text string, cells map[string]planner.Cell, union *sql.DB) {
	t.Helper()
	answer, err := p.Finish(slices.Collect(maps.Values(cells)), 0.95) // exact partials in place of noisy ones
	if err != nil {
		t.Fatal(err)
	}
	want := plainRows(t, p, inDuckDB(text), union)
	step := 0.0 // of the coarsest grid: what rounding to it may cost a sum of up to 200 rows is below 100 steps
	for _, partial := range p.Fragment.Partials {
		if partial.Grid != nil && partial.Grid.Shift != 0 { // whole numbers are exact
			step = math.Max(step, partial.Grid.Number(1))
		}
		if partial.Buckets != nil {
			step = math.Max(step, partial.Buckets.Width()/40)
		}
	}
	for _, row := range answer.Rows {
		key, numbers := "", []value.Value{}
		for i, e := range row {
			if !p.Columns[i].Noisy {
				key += e.Value.String() + "|"
			} else {
				numbers = append(numbers, e.Value)
			}
		}
		expected, ok := want[key]
		if !ok {
			t.Errorf("%s\ngroup %s is in the federation only", text, key)
			continue
		}
		delete(want, key)
		for i, x := range numbers {
			if e := expected[i]; e.Valid && math.Abs(x.Float64()-e.Float64) > 100*step+1e-4*(1+math.Abs(e.Float64)) {
				t.Errorf("%s\ngroup %s, number %d: the federation says %s, the union %v", text, key, i+1, x, e.Float64)
			}
		}
	}
	for key := range want {
		if !strings.Contains("|"+key, "|x|") { // the sex that no catalog declares: its rows are left out
			t.Errorf("%s\ngroup %s is in the union only", text, key)
		}
	}
}

func plainRows(t *testing.T, p *planner.Plan, text string, union *sql.DB) map[string][]sql.NullFloat64 {
	t.Helper()
	rows, err := union.Query(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	all := map[string][]sql.NullFloat64{}
	for rows.Next() {
		keys, numbers := make([]any, len(p.Columns)), make([]sql.NullFloat64, len(p.Columns))
		into := make([]any, len(p.Columns))
		for i, c := range p.Columns {
			if into[i] = &keys[i]; c.Noisy {
				into[i] = &numbers[i]
			}
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		key, noisy := "", []sql.NullFloat64{}
		for i, c := range p.Columns {
			switch {
			case c.Noisy:
				noisy = append(noisy, numbers[i])
			case keys[i] == nil:
				key += "NULL|"
			default:
				key += fmt.Sprint(keys[i]) + "|"
			}
		}
		all[key] = noisy
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
