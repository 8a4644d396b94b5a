package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"
	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// The properties that privacy relies on, over random data, queries and patients, without noise. Many cases run on the
// reference in this process, and a sample on the real engine, which must give the same. The path without noise exists
// only in these files, in no program.

// triple is a case of the sensitivity property: data, a query, and the patient to leave out.
type triple struct {
	world                       *world
	question                    inquiry
	patient                     int
	maxGroups, maxRows, weights int
}

// newTriple makes the case of a seed.
func newTriple(seed, number uint64) triple {
	r := rand.New(rand.NewPCG(seed, number))
	large := r.IntN(200) == 0
	w := newWorld(r, large)
	return triple{w, ask(r, large), r.IntN(w.patients), r.IntN(4), r.IntN(5), r.IntN(4)}
}

// plans are the releases of the query; none if it is refused.
func (c triple) plans(catalog *catalog.Catalog) []*planner.Plan {
	q := planner.Query{SQL: c.question.String(), Ask: planner.Ask{Epsilon: 1, Delta: 1e-6, MaxGroups: c.maxGroups, MaxRows: c.maxRows}}
	fed := planner.Federation{Catalog: catalog, Hospitals: c.world.hospitals, Accounting: dp.ZCDP}
	p, err := planner.Compose(q, fed)
	if err != nil {
		return nil
	}
	if c.weights == 0 { // one in three weighs a column
		for _, column := range p.Columns {
			if column.Noisy {
				q.Weights = map[string]int{column.Name: 5}
			}
		}
		if weighed, err := planner.Compose(q, fed); err == nil {
			p = weighed
		}
	}
	return p.Releases
}

// excess says how the exact vectors with and without the patient differ too much; "" if they do not. answered reports
// whether the query was answered.
func (c triple) excess(catalog *catalog.Catalog, d defect, altered func(*planner.Plan)) (excess string, answered bool) {
	plans := c.plans(catalog)
	fewer := c.world.without(c.patient)
	for _, p := range plans {
		if altered != nil {
			altered(p)
		}
		if e := exceeds(p, vectors(p, catalog, c.world, d), vectors(p, catalog, fewer, d)); e != "" {
			return e + "\n" + p.Describe(), true
		}
	}
	return "", len(plans) > 0
}

// shrink removes parts of the data and the query as long as the case still fails.
func (c triple) shrink(fails func(triple) bool) triple {
	for again := true; again; {
		again = false
		attempt := func(smaller triple) bool {
			if fails(smaller) {
				c, again = smaller, true
				return true
			}
			return false
		}
		for _, h := range c.world.hospitals {
			for table := range declared {
				for size := len(c.world.data[h][table]); size > 0 && table != "place"; size /= 2 {
					for from := 0; from < len(c.world.data[h][table]); {
						smaller := c
						smaller.world = c.world.filter(func(hospital, t string, i int) bool {
							return hospital != h || t != table || i < from || i >= from+size
						})
						if !attempt(smaller) {
							from += size
						}
					}
				}
			}
		}
		for i := range c.question.items {
			smaller := c
			smaller.question.items = slices.Delete(slices.Clone(c.question.items), i, i+1)
			if len(smaller.question.items) > 0 && attempt(smaller) {
				break
			}
		}
		for i := range c.question.keys {
			smaller := c
			smaller.question.keys = slices.Delete(slices.Clone(c.question.keys), i, i+1)
			if attempt(smaller) {
				break
			}
		}
		if c.question.where != "" {
			smaller := c
			smaller.question.where = ""
			attempt(smaller)
		}
	}
	return c
}

// triples is the number of cases: that of all tests, or INTRAMUROS_TRIPLES (make test-nightly).
func triples(t *testing.T) int {
	t.Helper()
	text := os.Getenv("INTRAMUROS_TRIPLES")
	if text == "" {
		return 2000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// newSeed is INTRAMUROS_SEED, or random.
func newSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("INTRAMUROS_SEED")
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

// search tries cases in parallel until n were answered. It returns the first failing one by its number, if any.
func search(n int, seed uint64, fails func(triple) (failed, answered bool)) (found *triple, tried int) {
	var next, answered atomic.Int64
	var mu sync.Mutex
	first := int64(math.MaxInt64)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for answered.Load() < int64(n) {
				i := next.Add(1)
				if i > 20*int64(n)+1000 {
					return
				}
				c := newTriple(seed, uint64(i))
				failed, ok := fails(c)
				if ok {
					answered.Add(1)
				}
				if failed {
					mu.Lock()
					if i < first {
						first, found = i, &c
					}
					mu.Unlock()
					return
				}
			}
		})
	}
	all.Wait()
	return found, int(answered.Load())
}

// TestSensitivity checks that leaving out one patient changes the exact vector by no more than the plan declares, in
// its norm, with weights.
func TestSensitivity(t *testing.T) {
	c, seed, n := theCatalog(t), newSeed(t), triples(t)
	found, tried := search(n, seed, func(x triple) (failed, answered bool) {
		excess, answered := x.excess(c, sound, nil)
		return excess != "", answered
	})
	t.Logf("%d cases of seed %d", tried, seed)
	if found != nil {
		small := found.shrink(func(x triple) bool { e, _ := x.excess(c, sound, nil); return e != "" })
		excess, _ := small.excess(c, sound, nil)
		t.Fatalf("repeat with INTRAMUROS_SEED=%d\nwithout patient %d (max_groups %d, max_rows %d), %s\n%s\n%s", seed, small.patient, small.maxGroups, small.maxRows, excess, small.question, small.world)
	}
	if tried < n {
		t.Errorf("only %d of the random queries were planned: the generator is stale", tried)
	}
}

// TestSensitivityCatchesDefects puts one mistake into the nodes or the plan, and expects the property to fail within
// 10,000 cases. Most fail at once.
func TestSensitivityCatchesDefects(t *testing.T) {
	c := theCatalog(t)
	for _, d := range []struct {
		name    string
		defect  defect
		altered func(*planner.Plan)
	}{
		{name: "sums without bounds", defect: unclamped},
		{name: "nobody is clipped", defect: unclipped},
		{name: "each group is clipped by itself", defect: apart},
		{name: "sums are not scaled", defect: looseSums},
		{name: "the norm leaves out sums", defect: unmeasured},
		{name: "floating sums in another order", defect: floatingSum},
		{name: "m is missing", altered: func(p *planner.Plan) { p.Sites = 1 }},
		{name: "an average is charged once for two mechanisms", altered: func(p *planner.Plan) {
			if w := p.Fragment.Weight(); w > 1 {
				p.Noise.Limit = p.Noise.Limit / w * (w - 1)
			}
		}},
		{name: "a tree is charged as one count", altered: func(p *planner.Plan) {
			for _, partial := range p.Fragment.Partials {
				if b := partial.Buckets; b != nil && b.Levels > 1 && len(p.Fragment.Partials) == 1 {
					p.Noise.Limit /= int64(b.Levels)
				}
			}
		}},
		{name: "a weight is not paid for", altered: func(p *planner.Plan) { p.Noise.Limit = int64(p.Proof.Groups * len(p.Fragment.Partials)) }},
	} {
		t.Run(d.name, func(t *testing.T) {
			fails := func(x triple) bool { e, _ := x.excess(c, d.defect, d.altered); return e != "" }
			found, tried := search(10_000, 1, func(x triple) (failed, answered bool) {
				excess, answered := x.excess(c, d.defect, d.altered)
				return excess != "", answered
			})
			if found == nil {
				t.Fatalf("unseen in %d cases", tried)
			}
			small := found.shrink(fails)
			rows := 0
			for _, h := range small.world.hospitals {
				for _, table := range []string{"person", "stay", "vital"} {
					rows += len(small.world.data[h][table])
				}
			}
			t.Logf("seen after %d cases; shrunk to %d rows and %s", tried, rows, small.question)
			if rows > 60 || !fails(small) {
				t.Errorf("the shrunk case has %d rows", rows)
			}
		})
	}
}

// exceeds compares the vectors with and without a patient with what the plan declares.
func exceeds(p *planner.Plan, with, without map[string]planner.Cell) string {
	keys := map[string]bool{}
	for k := range with {
		keys[k] = true
	}
	for k := range without {
		keys[k] = true
	}
	l1, squares := 0.0, 0.0
	for k := range keys {
		at := 0
		for i, partial := range p.Fragment.Partials {
			weight := float64(p.Coordinate(i).Weight)
			for range p.Coordinates(i, make([]int64, partial.Width())) {
				var a, b int64
				if c, ok := with[k]; ok {
					a = c.Noisy[at]
				}
				if c, ok := without[k]; ok {
					b = c.Noisy[at]
				}
				at++
				v := math.Abs(float64(a)-float64(b)) / float64(p.Coordinate(i).Size)
				l1 += weight * v
				squares += weight * v * v
			}
		}
	}
	if length := map[fragment.Norm]float64{fragment.L1: l1, fragment.L2: squares}[p.Fragment.Norm]; length > float64(p.Noise.Limit)*(1+1e-12) {
		return fmt.Sprintf("the vector changes by a length (%s) of %g, more than %d", p.Fragment.Norm, length, p.Noise.Limit)
	}
	return ""
}

// runner is an engine of any kind.
type runner interface {
	Run(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error
	Look(ctx context.Context, r *fragment.Reading, take func(row []value.Value) error) error
}

// exact runs a plan at every hospital and adds up by key.
func exact[E runner](t *testing.T, p *planner.Plan, engines []E) map[string]planner.Cell {
	t.Helper()
	cells := map[string]planner.Cell{}
	if len(p.Fragment.Keys) == 0 {
		cells["[]"] = planner.Cell{Noisy: make([]int64, p.Fragment.Width())}
	}
	for _, e := range engines {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		err := e.Run(context.Background(), p.Fragment, p.Proof, alloc, func(r arrow.Record) error {
			return fragment.ReadRecord(p.Fragment, r, func(keys []value.Value, partials []int64) error {
				k := fmt.Sprintf("%q", keys)
				c, ok := cells[k]
				if !ok {
					// for now the nodes' partial aggregates
					c = planner.Cell{Keys: slices.Clone(keys), Noisy: make([]int64, len(partials))}
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
			t.Fatalf("%s: %v: %v", p.Describe(), err, errors.Unwrap(err))
		}
	}
	for k, c := range cells {
		cells[k] = planner.Cell{Keys: c.Keys, Noisy: coordinates(p, c.Noisy)}
	}
	return cells
}

// TestEngineEqualsReference checks on a sample of the cases that the real engine computes the same vectors as the
// reference, and keeps to the declared sensitivity.
func TestEngineEqualsReference(t *testing.T) {
	c, seed := theCatalog(t), newSeed(t)
	defer func() {
		if t.Failed() {
			t.Logf("repeat with INTRAMUROS_SEED=%d", seed)
		}
	}()
	answered := 0
	for i := range max(8, triples(t)/5000) {
		first := newTriple(seed, uint64(i))
		engines, fewer := first.world.open(t, c), first.world.without(first.patient).open(t, c)
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		for range 40 {
			x := triple{first.world, ask(r, true), first.patient, r.IntN(4), r.IntN(5), r.IntN(4)}
			if len(first.world.data["h0"]["vital"]) < 1000 {
				x.question = ask(r, false)
			}
			for _, p := range x.plans(c) {
				answered++
				got := exact(t, p, engines)
				if excess := exceeds(p, got, exact(t, p, fewer)); excess != "" {
					t.Errorf("without patient %d, %s\n%s\n%s", x.patient, excess, x.question, p.Describe())
				}
				if want := vectors(p, c, x.world, sound); !same(got, want) {
					t.Errorf("%s\nthe engine says %v\nthe reference %v\n%s", x.question, cellsOf(got), cellsOf(want), p.Describe())
				}
			}
		}
	}
	if answered < 100 {
		t.Errorf("only %d of the random queries were planned: the generator is stale", answered)
	}
}

// same compares vectors. A group of zeros equals a missing group.
func same(a, b map[string]planner.Cell) bool {
	for _, pair := range [][2]map[string]planner.Cell{{a, b}, {b, a}} {
		for k, c := range pair[0] {
			for i, x := range c.Noisy {
				if o, ok := pair[1][k]; ok && o.Noisy[i] != x || !ok && x != 0 {
					return false
				}
			}
		}
	}
	return true
}

func cellsOf(m map[string]planner.Cell) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		for i, x := range m[k].Noisy {
			if x != 0 {
				fmt.Fprintf(&b, " %s/%d:%d", k, i, x)
			}
		}
	}
	return b.String()
}

// TestFederationEqualsUnion checks that with limits that nobody reaches, any distribution of the rows over hospitals
// gives what one DuckDB gives for the same SQL over the union.
func TestFederationEqualsUnion(t *testing.T) {
	c, seed := theCatalog(t), newSeed(t)
	defer func() {
		if t.Failed() {
			t.Logf("repeat with INTRAMUROS_SEED=%d", seed)
		}
	}()
	compared := 0
	for i := range max(12, triples(t)/5000) {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		w := newWorld(r, false)
		engines, union := w.open(t, c), w.union(t)
		for range 50 {
			text := ask(r, false).String()
			if withoutUnion.MatchString(text) {
				continue // the union has no such function, or another meaning of it; see TestExactness
			}
			p, err := planner.Build(planner.Query{SQL: text, Ask: planner.Ask{Epsilon: 9e9, Delta: 1e-6, MaxGroups: 500, MaxRows: 200}},
				planner.Federation{Catalog: c, Hospitals: w.hospitals, Accounting: dp.Pure})
			if err != nil {
				continue
			}
			compared++
			compareUnion(t, p, text, exact(t, p, engines), union)
		}
	}
	if compared < 100 {
		t.Errorf("only %d of the random queries were compared: the generator is stale", compared)
	}
}

// union opens one DuckDB over all hospitals' rows. Its columns are read as the catalog says: clamped to bounds, with
// NaN and infinities as NULL or a bound. Patients include their hospital, because the federation counts them at each.
func (w *world) union(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "?integer_division=true")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	folder := w.write(t)
	view := func(table, columns, join string) string {
		return fmt.Sprintf("CREATE VIEW %s AS SELECT %s FROM (SELECT *, parse_dirpath(filename) AS site FROM read_parquet('%s', filename = true)) AS t %s",
			table, columns, filepath.Join(folder, "*", table+".parquet"), join)
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

// inDuckDB writes a query so that plain DuckDB gives NULL where Intramuros does.
func inDuckDB(text string) string {
	alias := regexp.MustCompile(`FROM \w+ (\w)`).FindStringSubmatch(text)[1]
	return strings.NewReplacer(
		"DISTINCT patient", "DISTINCT "+alias+".patient", "CAST(", "TRY_CAST(",
		"1 / (v.wide - 42)", "1 / NULLIF(TRY(v.wide - 42), 0)", "v.wide * 2", "TRY(v.wide * 2)",
	).Replace(text)
}

func compareUnion(t *testing.T, p *planner.Plan, text string, cells map[string]planner.Cell, union *sql.DB) {
	t.Helper()
	answer, err := p.Finish(slices.Collect(maps.Values(cells)), 0.95) // exact partials instead of noisy ones
	if err != nil {
		t.Fatal(err)
	}
	want := plainRows(t, p, inDuckDB(text), union)
	step := 0.0 // of the coarsest grid: rounding to it changes a sum of up to 200 rows by less than 100 steps
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
		if !strings.Contains("|"+key, "|x|") { // the sex outside the domain: its rows are left out
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
