package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/node/engine/duckdb"
	"github.com/intramuros/intramuros/planner"
)

// Known attacks on systems like this one. Each test is named after its idea or paper. It shows that the attack fails
// here, and if that is cheap, that it works on a double without the defence. Statistical checks fail by chance with
// probability below 1e-9 each.
//
// Elsewhere: queries that are canceled, or whose daemons are killed, keep their charge (TestNodeKilled,
// TestCoordinatorKilled, TestInterrupt). Package coordinator measures how often groups of a single patient are released
// (TestAuditSingleton).

var attackCatalog = testcatalog.YAML(`catalog: attack
max_sites: 1
max_groups: 2
max_rows: 5`,
	testcatalog.Person(
		"sex: {type: text, nullable: false, domain: [f, m]}",
		"born: {type: int, nullable: false, bounds: [1920, 2020]}",
		"surname: {type: text, nullable: false}",
		"note: {type: text, nullable: false}",
		"wide: {type: int, nullable: false}",
		"weight: {type: float, nullable: false, bounds: [-1000, 1000]}",
	),
	testcatalog.Keyed("stay",
		"ward: {type: text, nullable: false, domain: [north, south]}",
		"days: {type: int, nullable: false, bounds: [0, 90]}",
		"cost: {type: float, nullable: false, bounds: [-1000, 1000]}",
	),
)

func parsedAttackCatalog(t testing.TB) *catalog.Catalog {
	t.Helper()
	c := testcatalog.Parse(t, attackCatalog)
	return c
}

// attackTables are 150 patients from number `from` on. Two thirds are named Smith, and the others have unique names.
// Patient 42 has values on which other systems' expressions fail. Each patient has 3 stays.
func attackTables(from int) map[string]string {
	person := fmt.Sprintf(`SELECT i::INTEGER AS id, if(i %% 2 = 0, 'f', 'm') AS sex, (1925 + i %% 90)::INTEGER AS born,
		if(i %% 3 = 0, 'Name ' || i, 'Smith') AS surname, if(i = 42, 'x', '7') AS note,
		if(i = 42, -9223372036854775808, 42)::BIGINT AS wide, (i * 7919 %% 2000003) / 1060.7 - 900 AS weight FROM range(%d, %d) t(i)`, from, from+150)
	stay := fmt.Sprintf(`SELECT (10 * i + j)::BIGINT AS stay, i::INTEGER AS id, if((i + j) %% 3 = 0, 'north', 'south') AS ward,
		((i * j) %% 91)::INTEGER AS days, (i * 7907 * (j + 1) %% 2000003) / 1060.7 - 900 AS cost FROM range(%d, %d) t(i), range(3) s(j)`, from, from+150)
	return map[string]string{"person": person, "stay": stay}
}

// attacked is a federation of two hospitals with these tables.
func attacked(t testing.TB) shape {
	t.Helper()
	s := shape{catalog: filepath.Join(t.TempDir(), "attack.yaml"), folders: map[string]string{}}
	if err := os.WriteFile(s.catalog, []byte(attackCatalog), 0o600); err != nil {
		t.Fatal(err)
	}
	o := newOracle(t)
	for i, name := range []string{"east", "west"} {
		s.folders[name] = t.TempDir()
		for table, rows := range attackTables(1000 * i) {
			o.do(fmt.Sprintf("COPY (%s) TO '%s/%s.parquet' (FORMAT parquet)", rows, s.folders[name], table))
		}
	}
	return s
}

// startWithBudgets starts a federation. coordinator and node are the study's budgets there, in pure epsilon, and most
// is the limit of one query.
func startWithBudgets(t testing.TB, coordinator, node, most float64) *federation {
	t.Helper()
	s := attacked(t)
	s.study = func(proposed, central, local *study.Document) {
		for d, total := range map[*study.Document]float64{proposed: max(coordinator, node), central: coordinator, local: node} {
			d.Budget = dp.Budget{Accounting: dp.Pure, Epsilon: total, Delta: 1e-3}
			d.MaxEpsilon, d.DefaultEpsilon = most, min(1, most)
		}
	}
	f := newFederation(t, s)
	for _, name := range f.hospitals { // over all studies likewise
		b, err := os.ReadFile(f.path(name + ".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		f.write(name+".yaml", strings.ReplaceAll(string(b), budget, fmt.Sprintf("{accounting: pure, epsilon: %g, delta: 1e-3}", node)))
	}
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await(f.hospitals...)
	return f
}

// rowsByKey returns the values of an answer by its first column: numbers, or nil if there is only noise.
func rowsByKey(a *answer) map[string][]any {
	all := map[string][]any{}
	for _, row := range a.Rows {
		for _, c := range row[1:] {
			all[key(row[0].Value)] = append(all[key(row[0].Value)], c.Value)
		}
	}
	return all
}

// frequency fails if an event of probability at most p happened k times in n, unless chance explains it.
func frequency(t *testing.T, what string, k, n int, p float64) {
	t.Helper()
	if limit := float64(n)*p + 6.5*math.Sqrt(float64(n)*p*(1-p)) + 14; float64(k) > limit { // Bernstein's inequality, at 1e-9
		t.Errorf("%s: %d of %d, where %.0f are expected at most", what, k, n, float64(n)*p)
	}
}

// Mironov, On significance of the least significant bits for differential privacy (CCS 2012): a textbook Laplace sample
// in floating point cannot be every number, and which numbers are possible depends on the exact answer. Here the
// possible numbers are the same grid of integers for both neighbours.
func TestAttackLowBitsOfLaplace(t *testing.T) {
	const scale, n = 1.0, 2000
	textbook := func(x float64) float64 {
		u := float64(1+rand.Int64N(1<<53-1)) / (1 << 53)
		noise := -scale * math.Log(u)
		if rand.IntN(2) == 0 {
			noise = -noise
		}
		return x + noise
	}
	// possible reports whether 0 plus a textbook sample can be y.
	possible := func(y float64) bool {
		u := math.Round(math.Exp(-math.Abs(y)/scale) * (1 << 53))
		for candidate := u - 8; candidate <= u+8; candidate++ {
			if candidate >= 1 && -scale*math.Log(candidate/(1<<53)) == math.Abs(y) {
				return true
			}
		}
		return false
	}
	betrayed := 0
	for range n {
		if y := textbook(0); !possible(y) {
			t.Fatalf("the attack is mistaken: %v is possible", y)
		}
		if !possible(textbook(1)) {
			betrayed++
		}
	}
	if betrayed < n/10 {
		t.Errorf("the textbook is betrayed in %d of %d draws only: the attack is no test", betrayed, n)
	}

	for _, c := range []struct {
		lInf int64
		bits int // the number of low bits examined
	}{
		{1, 3},
		{1 << 20, 10},
		{1 << 39, 10}, // noise so wide that its grid in the library is that of the numbers
	} {
		noise := dp.Noise{Mechanism: dp.Laplace, Epsilon: 1, Limit: 1}
		cells := int64(1) << c.bits
		if c.lInf == 1 {
			cells = 8
		}
		for _, x := range []int64{5, 5 + c.lInf, 6, -3} { // on the grid or not
			seen := make([]int, cells)
			for range n {
				y, err := noise.Add(x, dp.Coordinate{Size: c.lInf, Weight: 1})
				if err != nil {
					t.Fatal(err)
				}
				seen[(y%cells+cells)%cells]++
			}
			// 2,000 draws miss a share of e^-2 of 1,024 residues; they miss one of 8 with probability 1e-30.
			if missing := slicesCount(seen, 0); cells <= 8 && missing > 0 || missing > len(seen)/4 {
				t.Errorf("lInf %d, x %d: %d of %d low-bit patterns never occur", c.lInf, x, missing, len(seen))
			}
		}
	}
	// Wider noise would be coarser than the numbers, so the library would round these. It is refused.
	wide := dp.Noise{Mechanism: dp.Laplace, Epsilon: 1, Limit: 1}
	if y, err := wide.Add(5, dp.Coordinate{Size: 1 << 43, Weight: 1}); !errors.Is(err, dp.ErrSensitivity) {
		t.Errorf("5 of size 2^43 becomes %d, %v", y, err)
	}
}

func slicesCount(all []int, of int) (n int) {
	for _, x := range all {
		if x == of {
			n++
		}
	}
	return n
}

// Haney et al., Precision-based attacks and interval refining (2022): if noise is added in floating point, the answer's
// precision reveals the magnitude of the exact number. Here the sum is exact at any magnitude.
func TestAttackPrecision(t *testing.T) {
	const n = 2000
	noise := dp.Noise{Mechanism: dp.Laplace, Epsilon: 0.1, Limit: 1}
	odd := func(x int64, draw func(int64) int64) (odd int) {
		for range n {
			if draw(x)%2 != 0 {
				odd++
			}
		}
		return odd
	}
	exact := func(x int64) int64 {
		y, err := noise.Add(x, dp.Coordinate{Size: 1, Weight: 1})
		if err != nil {
			t.Fatal(err)
		}
		return y
	}
	inFloat := func(x int64) int64 { return int64(float64(x) + float64(exact(0))) }
	for _, x := range []int64{0, 1, 1 << 54, 1<<54 + 1, 1 << 60, 1<<60 + 1} {
		if k := odd(x, exact); k < n/2-150 || k > n/2+150 { // 6.7 standard deviations
			t.Errorf("%d: %d of %d answers are odd", x, k, n)
		}
	}
	if a, b := odd(0, inFloat), odd(1<<60, inFloat); a < n/3 || b > 0 {
		t.Errorf("noise in floating point shows %d and %d odd answers: the attack is no test", a, b)
	}
}

// Casacuberta et al., Widespread underestimation of sensitivity in differentially private libraries (CCS 2022): a
// floating-point sum depends on the order of rows, and on files and threads, so one patient may change it by more than
// their part. Here a hospital's sum is exact: leaving out a patient changes it by that patient's part.
func TestAttackReordering(t *testing.T) {
	c := parsedAttackCatalog(t)
	o := newOracle(t)
	for table, rows := range attackTables(0) {
		o.do(fmt.Sprintf("CREATE TABLE %s AS %s", table, rows))
	}
	// There are many rows, so that several threads share them.
	o.do("INSERT INTO person SELECT id + 1000 * k, sex, born, surname, note, wide, weight + k / 7 FROM person, range(1, 60) t(k)")
	o.do("INSERT INTO stay SELECT stay + 10000 * k, id + 1000 * k, ward, days, cost - k / 7 FROM stay, range(1, 60) t(k)")
	sql := []string{
		"SELECT SUM(weight), AVG(weight), VAR_POP(weight), SUM(CLAMP(wide, -1000000000, 1000000000)), SUM(CLAMP(wide * 2, -9, 9)) FROM person",
		"SELECT sex, SUM(weight * 3.1), CORR(weight, born) FROM person GROUP BY sex",
		"SELECT ward, SUM(cost), AVG(cost / 3), COUNT(*) FROM stay GROUP BY ward",
		"SELECT SUM(s.cost * p.weight) FROM stay s JOIN person p ON p.id = s.id",
	}
	var plans []*planner.Plan
	for _, s := range sql {
		p, err := planner.Build(planner.Query{SQL: s, Ask: planner.Ask{Epsilon: 1, Delta: 1e-6, MaxRows: 2}}, planner.Federation{Catalog: c, Hospitals: []string{"h"}, Accounting: dp.Pure})
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, p)
	}
	sums := func(where, order string, files, threads int) []map[string]planner.Cell {
		folder := t.TempDir()
		for table := range attackTables(0) {
			if err := os.Mkdir(filepath.Join(folder, table), 0o700); err != nil {
				t.Fatal(err)
			}
			for i := range files {
				o.do(fmt.Sprintf("COPY (SELECT * FROM %s WHERE %s AND hash(id, %d) %% %d = %d ORDER BY %s) TO '%s' (FORMAT parquet, ROW_GROUP_SIZE 2048)",
					table, where, files, files, i, order, filepath.Join(folder, table, fmt.Sprintf("%d.parquet", i))))
			}
		}
		e, err := duckdb.Open(t.Context(), duckdb.Config{Folder: folder, Threads: threads}, c, "h", []byte("the key of the attack test"))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		var all []map[string]planner.Cell
		for _, p := range plans {
			all = append(all, exact(t, p, []*duckdb.Engine{e}))
		}
		return all
	}
	whole := sums("true", "id", 1, 1)
	for _, other := range []struct {
		order          string
		files, threads int
	}{{"id DESC", 1, 4}, {"hash(id)", 1, 1}, {"hash(id, 1)", 7, 4}, {"id", 13, 2}} {
		got := sums("true", other.order, other.files, other.threads)
		for i := range plans {
			if diff := difference(whole[i], got[i]); diff != "" {
				t.Errorf("ordered by %s in %d files, %d threads: %s\n%s", other.order, other.files, other.threads, diff, sql[i])
			}
		}
	}
	without, alone := sums("id <> 42", "hash(id, 2)", 3, 4), sums("id = 42", "id", 1, 1)
	for i, p := range plans {
		if excess := exceeds(p, whole[i], without[i]); excess != "" {
			t.Errorf("%s\n%s", excess, sql[i])
		}
		for k, c := range without[i] {
			for j := range c.Noisy {
				if own, ok := alone[i][k]; ok {
					c.Noisy[j] += own.Noisy[j]
				}
			}
		}
		if diff := difference(whole[i], without[i]); diff != "" {
			t.Errorf("without and alone do not add up: %s\n%s", diff, sql[i])
		}
	}
	// This checks the attack itself: in floating point the order is visible.
	seen := map[float64]bool{}
	for _, order := range []string{"id", "id DESC", "hash(id)"} {
		seen[o.number("SELECT list_reduce(list(weight / 3 ORDER BY "+order+"), lambda x, y: x + y) FROM person")] = true
	}
	if len(seen) < 2 {
		t.Error("floating-point sums do not depend on the order of these rows: the attack is no test")
	}
}

func difference(a, b map[string]planner.Cell) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d and %d groups", len(a), len(b))
	}
	for k, x := range a {
		if y := b[k]; !slices.Equal(x.Noisy, y.Noisy) {
			return fmt.Sprintf("group %s has %d and %d", k, x.Noisy, y.Noisy)
		}
	}
	return ""
}

// Expressions that raise an error on one patient's value reveal whether the patient is there (the "error channel" of
// Haeberlen et al., Differential privacy under fire, USENIX Security 2011). Here they give NULL, at the same price.
var chokesOn42 = []string{
	"1 / (id - 42) > 0",
	"id DIV (id - 42) > 0",
	"id % (id - 42) > 0",
	"CAST(note AS int) > 5",
	"CAST(note AS float) > 5",
	"CAST(note AS date) > DATE '2020-01-01'",
	"CAST(note AS timestamp) IS NULL",
	"wide * 2 > 0",
	"wide - 1 > 0",
	"-wide > 0",
	"ABS(wide) > 0",
	"wide DIV -1 > 0",
	"wide * 1e308 * 1e308 > 0",
	"CAST(wide * 1e300 AS int) > 0",
	"ROUND(wide, 15) > 0",
	"note LIKE '%\\%'",
	"YEAR(CAST(note AS date)) > 0",
	"CLAMP(wide, 0, id - 42) > 0",
	"CASE WHEN id = 42 THEN 1 / 0 ELSE 1 END > 0",
}

func TestAttackErrors(t *testing.T) {
	c := parsedAttackCatalog(t)
	o := newOracle(t)
	engine := func(where string) []*duckdb.Engine {
		folder := t.TempDir()
		for table, rows := range attackTables(0) {
			o.do(fmt.Sprintf("COPY (SELECT * FROM (%s) WHERE %s) TO '%s/%s.parquet' (FORMAT parquet)", rows, where, folder, table))
		}
		e, err := duckdb.Open(t.Context(), duckdb.Config{Folder: folder, Threads: 1}, c, "h", []byte("the key of the attack test"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return []*duckdb.Engine{e}
	}
	with, without := engine("true"), engine("id <> 42")
	for _, condition := range chokesOn42 {
		for _, sql := range []string{
			"SELECT sex, COUNT(*) FROM person WHERE " + condition + " GROUP BY sex",
			"SELECT CASE WHEN " + condition + " THEN 'a' ELSE 'b' END, COUNT(*), SUM(CASE WHEN " + condition + " THEN 1 ELSE 0 END) FROM person GROUP BY 1",
			"SELECT p.sex, COUNT(*) FROM stay s JOIN person p ON p.id = s.id AND " + strings.NewReplacer("id ", "p.id ", "(id", "(p.id", "note", "p.note", "wide", "p.wide").Replace(condition) + " GROUP BY p.sex",
		} {
			p, err := planner.Build(planner.Query{SQL: sql, Ask: planner.Ask{Epsilon: 1, Delta: 1e-6}}, planner.Federation{Catalog: c, Hospitals: []string{"h"}, Accounting: dp.Pure})
			if err != nil {
				t.Errorf("%s: %v", sql, err)
				continue
			}
			if p.Fragment.Groups() == nil {
				t.Errorf("%s: which groups are shown depends on the data", sql)
			}
			if excess := exceeds(p, exact(t, p, with), exact(t, p, without)); excess != "" { // exact fails on any error
				t.Errorf("%s: %s", sql, excess)
			}
		}
	}
}

// The attacks that a researcher's client can mount on a federation.
func TestAttackByClient(t *testing.T) {
	f := startWithBudgets(t, 1000, 1000, 1)
	spent := 0.0
	cost := func(t *testing.T, epsilon float64) {
		t.Helper()
		spent += epsilon
		if left := f.remaining(); math.Abs(left-(1000-spent)) > 1e-6 {
			t.Fatalf("%v is left, not %v", left, 1000-spent)
		}
	}

	// Averaging: one question in 1,000 spellings is one draw of noise.
	t.Run("averaging", func(t *testing.T) {
		first, err := f.query(request{SQL: spelling(nil), Epsilon: 0.5})
		if err != nil {
			t.Fatal(err)
		}
		want := rowsByKey(first)
		if first.Stored || len(want) != 2 {
			t.Fatalf("%+v", first)
		}
		cost(t, 0.5)
		r := rand.New(rand.NewPCG(1, 2))
		texts := map[string]bool{}
		for len(texts) < 1000 {
			texts[spelling(r)] = true
		}
		for text := range texts {
			a, err := f.query(request{SQL: text, Epsilon: 0.5})
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if !a.Stored || a.Cost.Epsilon != 0 {
				t.Fatalf("a new draw, at epsilon %v, for\n%s", a.Cost.Epsilon, text)
			}
			for k, numbers := range rowsByKey(a) {
				if !slices.Equal(numbers, want[k]) {
					t.Fatalf("group %s has %v, had %v\n%s", k, numbers, want[k], text)
				}
			}
		}
		cost(t, 0)
		// Without stored answers, the mean of 1,000 draws is the exact count.
		sum := 0.0
		for range 1000 {
			y, err := dp.Noise{Mechanism: dp.Laplace, Epsilon: 0.5, Limit: 1}.Add(100, dp.Coordinate{Size: 1, Weight: 1})
			if err != nil {
				t.Fatal(err)
			}
			sum += float64(y)
		}
		if mean := sum / 1000; math.Abs(mean-100) > 0.6 { // 6.7 standard deviations
			t.Errorf("the mean of 1,000 draws is %v, not 100: the attack is no test", mean)
		}
	})

	// Differencing: the questions with and without one patient are two, and both are paid for.
	t.Run("differencing", func(t *testing.T) {
		const epsilon = 0.5
		for i, sql := range []string{"SELECT COUNT(*) FROM person", "SELECT COUNT(*) FROM person WHERE id <> 42"} {
			a, err := f.query(request{SQL: sql, Epsilon: epsilon})
			if err != nil {
				t.Fatal(err)
			}
			if a.Stored {
				t.Errorf("question %d was not asked before", i)
			}
			cost(t, epsilon)
		}
		// The difference has the error of two draws. It guesses whether patient 42 is there no better than epsilon allows,
		// because only the first answer depends on that.
		n := dp.Noise{Mechanism: dp.Laplace, Epsilon: epsilon, Limit: 1}
		half := dp.CombinedHalfWidth(0.95, []dp.Weighted{{Weight: 1, Distribution: n.Distribution(dp.Coordinate{Size: 1, Weight: 1})}, {Weight: -1, Distribution: n.Distribution(dp.Coordinate{Size: 1, Weight: 1})}})
		const draws = 20_000
		right, beyond := 0, 0
		for i := range draws {
			there := int64(i % 2)
			a, errA := n.Add(299+there, dp.Coordinate{Size: 1, Weight: 1})
			b, errB := n.Add(299, dp.Coordinate{Size: 1, Weight: 1})
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			if (a-b >= 1) == (there == 1) {
				right++
			}
			if math.Abs(float64(a-b-there)) > half {
				beyond++
			}
		}
		frequency(t, "right guesses", right, draws, 1/(1+math.Exp(-epsilon)))
		frequency(t, "errors beyond the 95 % interval", beyond, draws, 0.05)
	})

	// Groups of one: surnames of a single patient do not appear. 100 of them at delta 1e-12 would appear by chance in one
	// run of 1e10.
	t.Run("singletons", func(t *testing.T) {
		a, err := f.query(request{SQL: "SELECT surname, COUNT(*) FROM person GROUP BY surname", Epsilon: 1, Delta: 1e-12})
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Collect(maps.Keys(rowsByKey(a))); !slices.Equal(got, []string{"Smith"}) {
			t.Errorf("shown: %q", got)
		}
		cost(t, 1)
	})

	t.Run("errors", func(t *testing.T) {
		for _, condition := range chokesOn42 {
			a, err := f.query(request{SQL: "SELECT sex, COUNT(*) FROM person WHERE " + condition + " GROUP BY sex", Epsilon: 0.25})
			if err != nil {
				t.Errorf("%s: %v", condition, err)
				continue
			}
			if len(a.Rows) != 2 || a.Cost.Epsilon != 0.25 || len(a.Warnings) > 0 {
				t.Errorf("%s: %+v", condition, a)
			}
			cost(t, 0.25)
		}
	})

	// A client may send SQL, study, epsilon up to the limit, delta and limits. Nothing turns noise off.
	t.Run("fields", func(t *testing.T) {
		const q = `"study": "trial", "sql": "SELECT COUNT(*) FROM person WHERE born > 1950"`
		for _, c := range []struct{ fields, code string }{
			{`"seed": 1`, "INVALID_REQUEST"},
			{`"noise": "none"`, "INVALID_REQUEST"},
			{`"mechanism": "laplace"`, "INVALID_REQUEST"},
			{`"max_sites": 0`, "INVALID_REQUEST"},
			{`"sites": 1`, "INVALID_REQUEST"},
			{`"sensitivity": 0`, "INVALID_REQUEST"},
			{`"threshold": 0`, "INVALID_REQUEST"},
			{`"accounting": "zcdp"`, "INVALID_REQUEST"},
			{`"max_epsilon": 100`, "INVALID_REQUEST"},
			{`"researcher": "root"`, "INVALID_REQUEST"},
			{`"confidence": 0.5`, "INVALID_REQUEST"},
			{`"hospitals": ["east"]`, "INVALID_REQUEST"},
			{`"debug": true`, "INVALID_REQUEST"},
			{`"epsilon": 1.0000001`, "EPSILON_TOO_LARGE"},
			{`"EPSILON": 5`, "EPSILON_TOO_LARGE"},
			{`"epsilon": 0.1, "epsilon": 5`, "EPSILON_TOO_LARGE"},
			{`"epsilon": 1e308`, "EPSILON_TOO_LARGE"},
			{`"accuracy": 0.001`, "ACCURACY"}, // it would need an epsilon above the limit
			{`"accuracy": -1`, "INVALID_REQUEST"},
			{`"accuracy": 5, "epsilon": 1`, "INVALID_REQUEST"},
			{`"epsilon": -1`, "INVALID_PARAMETER"},
			{`"epsilon": -1e308`, "INVALID_PARAMETER"},
			{`"epsilon": 1e-300`, "INVALID_PARAMETER"},
			{`"epsilon": 1e999`, "INVALID_REQUEST"},
			{`"epsilon": NaN`, "INVALID_REQUEST"},
			{`"epsilon": Infinity`, "INVALID_REQUEST"},
			{`"epsilon": "1"`, "INVALID_REQUEST"},
			{`"epsilon": [1]`, "INVALID_REQUEST"},
			{`"delta": 1`, "INVALID_PARAMETER"},
			{`"delta": -1e-9`, "INVALID_PARAMETER"},
			{`"delta": 1e300`, "INVALID_PARAMETER"},
			{`"delta": NaN`, "INVALID_REQUEST"},
			{`"max_groups": -1`, "INVALID_REQUEST"},
			{`"max_groups": 1.5`, "INVALID_REQUEST"},
			{`"max_groups": 2000000`, "INVALID_PARAMETER"},
			{`"max_rows": -1`, "INVALID_REQUEST"},
			{`"max_rows": 99999999999999999999`, "INVALID_REQUEST"},
			{`"study": "other"`, "STUDY_UNKNOWN"},
		} {
			for _, path := range []string{"/v1/query", "/v1/explain"} {
				if got, body := f.post(t, path, "{"+q+", "+c.fields+"}"); got != c.code {
					t.Errorf("%s with %s: %s, not %s: %s", path, c.fields, got, c.code, body)
				}
			}
		}
		cost(t, 0)
		// Headers and parameters of the URL have no effect.
		if code, body := f.post(t, "/v1/query?epsilon=0.001&seed=1&noise=none&max_sites=0", "{"+q+"}"); code != "" {
			t.Fatal(code, body)
		}
		cost(t, 1) // the default
	})

	// SQL has no statement for it either.
	t.Run("statements", func(t *testing.T) {
		for _, sql := range []string{
			"SET epsilon = 100", "SET SESSION seed = 1; SELECT COUNT(*) FROM person", "SELECT COUNT(*) FROM person; SELECT COUNT(*) FROM person",
			"SELECT COUNT(*) FROM person OPTION (epsilon 100)", "SELECT SETSEED(0.5), COUNT(*) FROM person", "SELECT COUNT(*) FROM person WHERE RANDOM() < 0.5",
			"SELECT COUNT(*) FROM read_parquet('/etc/passwd')", "SELECT COUNT(*) FROM '/etc/passwd'", "PRAGMA version", "COPY person TO '/tmp/x'",
			"SELECT COUNT(*) FROM person WHERE SLEEP(10) = 0", "SELECT * FROM person", "SELECT id FROM person", "SELECT id, COUNT(*) FROM person GROUP BY id",
			"SELECT MIN(note) FROM person", "SELECT ANY_VALUE(note) FROM person", "SELECT COUNT(*) FROM stay a JOIN stay b ON a.days = b.days",
		} {
			if a, err := f.query(request{SQL: sql}); err == nil {
				t.Errorf("%s: %+v", sql, a)
			}
		}
		cost(t, 0)
	})
	f.expectCharged(spent)
}

// post sends a body unchanged, and returns the code of the refusal, if any.
func (f *federation) post(t *testing.T, path, body string) (code, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+f.address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Epsilon", "0.001")
	r.Header.Set("X-Seed", "1")
	response, err := f.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var failure struct{ Error refusal }
	if err := json.Unmarshal(b, &failure); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	if (failure.Error.Code == "") != (response.StatusCode == http.StatusOK) {
		t.Fatalf("%s with %s", response.Status, b)
	}
	return failure.Error.Code, string(b)
}

// spelling writes one question in one of very many ways: aliases, letter case, quoting, white space and comments; the
// order of conjuncts, of operands, of IN's list and of SELECT's items; positions or names in GROUP BY; and any
// post-processing of aggregates. Without r it is the plainest.
func spelling(r *rand.Rand) string {
	pick := func(of ...string) string {
		if r == nil {
			return of[0]
		}
		return of[r.IntN(len(of))]
	}
	shuffled := func(of ...string) []string {
		if r != nil {
			r.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
		}
		return of
	}
	s := pick("s", "a", "stay", "x1", `"the stays"`, "`s`")
	p := pick("p", "b", "person", "x2", `"the persons"`, "`p`")
	stay := func(c string) string { return s + "." + pick(c, `"`+c+`"`, "`"+c+"`", strings.ToUpper(c)) }
	person := func(c string) string { return p + "." + pick(c, `"`+c+`"`, "`"+c+"`", strings.ToUpper(c)) }
	ward := func() string { return pick(stay("ward"), "ward", "WARD") }
	either := func(x, y string) string { // an exchange of two operands
		if pick("", "other") == "" {
			return x
		}
		return y
	}
	born, sex := person("born"), person("sex")
	days := stay("days")
	conditions := shuffled(
		pick(born+" > 1950", "1950 < "+born, "("+born+" > 1950)"),
		pick(days+" <= 60", "60 >= "+days),
		sex+" IN ("+strings.Join(shuffled("'f'", "'m'"), ", ")+pick("", ", 'f'")+")",
		stay("stay")+" + "+born+" > "+"7",
	)
	// Exchanged operands of the last condition.
	for i, c := range conditions {
		if strings.HasSuffix(c, "> 7") {
			parts := strings.Split(strings.TrimSuffix(c, " > 7"), " + ")
			conditions[i] = either(parts[0]+" + "+parts[1], parts[1]+" + "+parts[0]) + " > 7"
		}
	}
	if pick("", "twice") != "" {
		conditions = append(conditions, conditions[0])
	}
	count := pick("COUNT(*)", "count(*)", "Count( * )")
	mean := pick("AVG(", "avg(", "MEAN(") + stay("days") + ")"
	key := ward()
	gap := pick(" ", "\n", "\t", " /* aha */ ", " -- a comment\n", "  ")
	text := pick("SELECT ", "select ") + key + pick("", " AS w", " w") + ", " + count + pick("", " AS n", ` "how many"`) + ", " + mean + pick("", " AS mean")
	grouping := []string{"1", ward()}
	if strings.HasSuffix(text[:strings.Index(strings.ToLower(text), ", count")], " AS w") {
		grouping = append(grouping, "w")
	}
	alias := func(table, name string) string {
		if name == table {
			return table
		}
		return table + pick(" AS ", " ") + name
	}
	text += gap + "FROM " + alias("stay", s) + gap + pick("JOIN ", "INNER JOIN ", "join ") + alias("person", p) +
		" ON " + either(person("id")+" = "+stay("id"), stay("id")+" = "+person("id"))
	text += gap + pick("WHERE ", "where ") + strings.Join(conditions, gap+pick("AND ", "and "))
	text += gap + "GROUP BY " + pick(grouping...)
	text += pick("", gap+"HAVING COUNT(*) > -1000000", gap+"HAVING "+mean+" < 1000")
	text += pick("", gap+"ORDER BY 2 DESC", gap+"ORDER BY 1", gap+"ORDER BY AVG("+days+")", gap+"ORDER BY COUNT(*) * 2 - 1")
	text += pick("", gap+"LIMIT 10", gap+"LIMIT 1", gap+"LIMIT 2 OFFSET 0")
	return text + pick("", ";", " ;", gap)
}

// A hundred questions at once, with a budget for one.
func TestAttackParallel(t *testing.T) {
	f := startWithBudgets(t, 1.5, 100, 1)
	var all sync.WaitGroup
	var answered atomic.Int32
	for i := range 100 {
		all.Go(func() {
			a, err := f.query(request{SQL: fmt.Sprintf("SELECT COUNT(*) FROM person WHERE id <> %d", i), Epsilon: 1})
			if err == nil && !a.Stored {
				answered.Add(1)
				return
			}
			if r := (*refusal)(nil); !errors.As(err, &r) || r.Code != "BUDGET_EXHAUSTED" || r.Charged {
				t.Errorf("question %d: %v, %+v", i, err, a)
			}
		})
	}
	all.Wait()
	if answered.Load() != 1 {
		t.Errorf("%d were answered, and one was paid", answered.Load())
	}
	f.expectCharged(1)
	if left := f.remaining(); math.Abs(left-0.5) > 1e-9 {
		t.Errorf("%v is left, not 0.5", left)
	}
}

// A coordinator that lies: a node refuses what its own catalog, policy and ledger do not allow, and records it.
func TestAttackByCoordinator(t *testing.T) {
	f := startWithBudgets(t, 100, 1.5, 1)
	node := f.dial(t, "east")
	c := parsedAttackCatalog(t)
	ids := 0
	ask := func(sql string, epsilon float64) *fragment.Request {
		p, err := planner.Build(planner.Query{SQL: sql, Ask: planner.Ask{Epsilon: epsilon, Delta: 1e-6}}, planner.Federation{Catalog: c, Hospitals: f.hospitals, Accounting: dp.Pure})
		if err != nil {
			t.Fatal(err)
		}
		ids++
		r := &fragment.Request{Query: fmt.Sprintf("%032x", ids), Study: studyID, Researcher: "ada", Token: f.token(t, "ada"), Fragment: *p.Fragment, Noise: p.Noise}
		if p.Selection != nil {
			r.ThresholdDelta = p.Selection.Delta
		}
		r.Fragment.Version = fragment.Least(r)
		return r
	}
	grouped := "SELECT ward, COUNT(*), SUM(days) FROM stay GROUP BY ward"
	plain := "SELECT sex, COUNT(*) FROM person GROUP BY sex"
	refusals := 0
	refuses := func(name, want string, body []byte) {
		t.Helper()
		_, err := node.prepare(t.Context(), body)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %s", name, err, want)
			return
		}
		refusals++
	}
	for _, attack := range []struct {
		name, sql, code string
		change          func(*fragment.Request)
	}{
		{"noise for one coordinate where a patient changes four", grouped, "NODE_FRAGMENT", func(r *fragment.Request) { r.Noise.Limit = 1 }},
		{"an aggregate that no noise was bought for", plain, "NODE_FRAGMENT", func(r *fragment.Request) { r.Fragment.Partials = append(r.Fragment.Partials, r.Fragment.Partials...) }},
		{"no noise", plain, "NODE_FRAGMENT", func(r *fragment.Request) { r.Noise = dp.Noise{} }},
		{"noise of another name", plain, "NODE_FRAGMENT", func(r *fragment.Request) { r.Noise.Mechanism = "none" }},
		{"epsilon above the cap", plain, "NODE_LIMIT", func(r *fragment.Request) { r.Noise.Epsilon = 1.0001 }},
		{"a negative epsilon", plain, "NODE_FRAGMENT", func(r *fragment.Request) { r.Noise.Epsilon = -1 }},
		{"Gaussian noise, which pure accounting has no price for", plain, "NODE_BUDGET", func(r *fragment.Request) {
			r.Noise.Mechanism, r.Fragment.Norm = dp.Gaussian, fragment.L2
		}},
		{"noise for another norm than the patient is clipped to", plain, "NODE_FRAGMENT", func(r *fragment.Request) { r.Noise.Mechanism = dp.Gaussian }},
		{"another catalog", plain, "NODE_CATALOG", func(r *fragment.Request) { r.Fragment.Catalog = catalog.OMOP().Digest() }},
		{"more groups of a patient than the noise covers", grouped, "NODE_FRAGMENT", func(r *fragment.Request) { r.Fragment.MaxGroups, r.Noise.Limit = 1, 4 }},
		{"more groups than the custodian allows", "SELECT surname, COUNT(*) FROM person GROUP BY surname", "NODE_LIMIT", func(r *fragment.Request) { r.Fragment.MaxGroups = 101 }},
		{"undeclared groups without a threshold", "SELECT surname, COUNT(*) FROM person GROUP BY surname", "NODE_FRAGMENT", func(r *fragment.Request) { r.ThresholdDelta = 0 }},
		{"a domain that is forgotten", plain, "NODE_FRAGMENT", func(r *fragment.Request) { r.Fragment.Keys[0].Domain = nil }},
		{"a grid that is too fine for an exact sum", "SELECT SUM(days) FROM stay", "NODE_FRAGMENT", func(r *fragment.Request) { r.Fragment.Partials[0].Grid.Upper = 1 << 50 }},
		{"two patients in a row", plain, "NODE_FRAGMENT", func(r *fragment.Request) {
			r.Fragment.Relations = append(r.Fragment.Relations, fragment.Relation{Name: "other", Table: "stay", Join: fragment.JoinCross})
		}},
		{"a table that is none", plain, "NODE_FRAGMENT", func(r *fragment.Request) { r.Fragment.Relations[0].Table = `person" UNION SELECT * FROM "person` }},
		{"an operation that is none", plain, "NODE_FRAGMENT", func(r *fragment.Request) { r.Fragment.Keys[0].Expr.Op = "read_file" }},
		{"somebody else's study", plain, "NODE_STUDY", func(r *fragment.Request) { r.Study = "other" }},
		{"a line in the log", plain, "NODE_REQUEST", func(r *fragment.Request) { r.Researcher = "ada\nlevel=INFO" }},
		{"another version", plain, "NODE_REQUEST", func(r *fragment.Request) { r.Fragment.Version = fragment.Version + 1 }},
		{"an older version, in which the words meant another computation", plain, "NODE_REQUEST", func(r *fragment.Request) { r.Fragment.Version = fragment.Oldest - 1 }},
	} {
		r := ask(attack.sql, 0.5)
		attack.change(r)
		refuses(attack.name, attack.code, encode(t, r))
	}
	body := encode(t, ask(plain, 0.5))
	refuses("SQL text", "NODE_REQUEST", bytes.Replace(body, []byte(`{`), []byte(`{"sql": "SELECT * FROM person", `), 1))
	refuses("bytes after the end", "NODE_REQUEST", append(slices.Clone(body), "{}"...))
	refuses("too long", "NODE_REQUEST", append(slices.Clone(body), bytes.Repeat([]byte(" "), fragment.MaxWireBytes+1-len(body))...))
	if _, err := node.prepare(t.Context(), bytes.Repeat([]byte(" "), 2*fragment.MaxWireBytes)); err == nil {
		t.Error("a request of twice the size is taken")
	}
	if _, err := node.execute(t.Context(), "00000000000000000000000000000000"); err == nil || !strings.Contains(err.Error(), "NODE_TICKET") {
		t.Errorf("a ticket that is none: %v", err)
	} else {
		refusals++
	}
	f.expectCharged(0)

	// A hundred requests at once, with a budget for one: one is reserved, and its ticket works once.
	var all sync.WaitGroup
	tickets := make(chan string, 100)
	for range 100 {
		body := encode(t, ask(plain, 1))
		all.Go(func() {
			ticket, err := node.prepare(t.Context(), body)
			if err == nil {
				tickets <- ticket
			} else if !strings.Contains(err.Error(), "NODE_BUDGET") {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(tickets)
	if len(tickets) != 1 {
		t.Fatalf("%d were reserved, and the budget is enough for one", len(tickets))
	}
	ticket := <-tickets
	served := make(chan int, 20)
	for range 20 { // replayed
		all.Go(func() {
			groups, err := node.execute(t.Context(), ticket)
			if err == nil {
				served <- groups
			} else if !strings.Contains(err.Error(), "NODE_TICKET") {
				t.Error(err)
			}
		})
	}
	all.Wait()
	refusals += 19
	if close(served); len(served) != 1 || <-served != 2 {
		t.Errorf("one ticket was served %d times", len(served))
	}
	if got := f.charged("east"); got != 1 {
		t.Errorf("epsilon %v is charged, not 1", got)
	}
	// Refusals by the budget are recorded too, up to a number of bytes for one researcher; then only their number.
	show := f.must("ledger", "show", "--file", f.path("east.ledger"), "--kind", "refuse", "--format", "json")
	got := strings.Count(show, "\n")
	for _, m := range regexp.MustCompile(`"text":"(\d+) refusals before this one are not recorded`).FindAllStringSubmatch(show, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	if got > refusals+99 || got < refusals+40 || !strings.Contains(show, "NODE_BUDGET") {
		t.Errorf("%d refusals are recorded or counted, of %d:\n%s", got, refusals+99, f.must("ledger", "show", "--file", f.path("east.ledger"), "--kind", "refuse"))
	}
}

// token is a token for somebody, signed with the coordinator's own key.
func (f *federation) token(t testing.TB, name string) string {
	t.Helper()
	key, err := pki.LoadSigningKey(f.path("coordinator.ledger.key"))
	if err != nil {
		t.Fatal(err)
	}
	local, err := identity.NewLocal(identity.Accounts(federationName), federationName, key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	token, err := local.Token(name, []identity.Role{identity.RoleResearcher})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func encode(t *testing.T, r *fragment.Request) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// accomplice talks to a node with the coordinator's own certificate.
type accomplice struct{ flight.Client }

func (f *federation) dial(t *testing.T, name string) accomplice {
	t.Helper()
	conf, err := pki.ClientTLS(f.path("pki/ca.pem"), f.path("pki/coordinator-"+coordinatorName+".pem"), f.path("pki/coordinator-"+coordinatorName+".key"),
		pki.Identity{Federation: federationName, Role: pki.RoleNode, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.path(name + ".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`(?m)^listen: (\S+)`).FindSubmatch(b)
	conn, err := grpc.NewClient(string(address[1]), grpc.WithTransportCredentials(credentials.NewTLS(conf)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return accomplice{flight.NewClientFromConn(conn, nil)}
}

// prepare returns the ticket.
func (a accomplice) prepare(ctx context.Context, body []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stream, err := a.DoAction(ctx, &flight.Action{Type: "prepare", Body: body})
	if err != nil {
		return "", err
	}
	result, err := stream.Recv()
	if err != nil {
		return "", err
	}
	var p fragment.Prepared
	if err := json.Unmarshal(result.Body, &p); err != nil {
		return "", err
	}
	return p.Reservation, nil
}

// execute counts the received groups.
func (a accomplice) execute(ctx context.Context, ticket string) (groups int, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stream, err := a.DoGet(ctx, &flight.Ticket{Ticket: []byte(ticket)})
	if err != nil {
		return 0, err
	}
	reader, err := flight.NewRecordReader(stream)
	if err != nil {
		return 0, err
	}
	defer reader.Release()
	for reader.Next() {
		groups += int(reader.Record().NumRows())
	}
	return groups, reader.Err()
}
