package planner

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/cputime"
)

// What planning one statement may cost.
const (
	planTime  = time.Second // of CPU time
	planBytes = 256 << 20   // allocated in total
)

// hostile plans a statement, which may be refused. It fails the test if that takes more than planTime or planBytes.
func hostile(t *testing.T, name, sql string, fed Federation) error {
	t.Helper()
	took, bytes, err := spent(t, sql, fed)
	t.Logf("%s: %d bytes of SQL in %v, %d MiB: %.200v", name, len(sql), took.Round(time.Millisecond), bytes>>20, err)
	most := uint64(planBytes)
	if cputime.Slowness > 1 {
		most += planBytes / 4 // the race detector's code allocates too
	}
	if took > planTime*cputime.Slowness || bytes > most {
		t.Errorf("%s: planning %d bytes of SQL takes %v and allocates %d MiB: %.200v", name, len(sql), took, bytes>>20, err)
	}
	if e := new(Error); err != nil && (!errors.As(err, &e) || e.Code == CodeSyntax) {
		t.Errorf("%s: %v", name, err)
	}
	return err
}

// spent is the CPU time for planning a statement, and the bytes allocated in total.
func spent(t *testing.T, sql string, fed Federation) (took time.Duration, bytes uint64, err error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := cputime.Used(t)
	_, err = Compose(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}}, fed)
	took = cputime.Used(t) - began
	runtime.ReadMemStats(&after)
	return took, after.TotalAlloc - before.TotalAlloc, err
}

// nested nests a query in derived tables, one in another.
func nested(n int, innermost, step string) string {
	for i := range n {
		innermost = strings.ReplaceAll(step, "FROM inner", fmt.Sprintf("FROM (%s) d%d", innermost, i))
	}
	return innermost
}

// TestTextBombs plans texts that would grow exponentially.
func TestTextBombs(t *testing.T) {
	fed := federation(t, "omop")
	long := strings.Repeat("x", 64)
	start := "SELECT person_id, CASE WHEN gender_concept_id = 8507 THEN 'x' ELSE '' END AS a FROM person"
	many := "CASE year_of_birth"
	for i := range 900 {
		many += fmt.Sprintf(" WHEN %d THEN '%d%s'", 1000+i, i, strings.Repeat("y", 40))
	}
	many += " END"
	for name, sql := range map[string]string{
		"replace":       "SELECT COUNT(*) FROM (" + nested(7, start, "SELECT person_id, REPLACE(a, 'x', '"+long+"') AS a FROM inner") + ") s WHERE LENGTH(a) > 3",
		"with replace":  "WITH t0 AS (" + start + "), t1 AS (SELECT person_id, REPLACE(a, 'x', '" + long + "') AS a FROM t0), t2 AS (SELECT person_id, REPLACE(a, 'x', '" + long + "') AS a FROM t1) SELECT a, COUNT(*) FROM t2 GROUP BY a",
		"concat":        "SELECT a, COUNT(*) FROM (" + nested(7, start, "SELECT person_id, "+strings.Repeat("a || ", 50)+"a AS a FROM inner") + ") s GROUP BY a",
		"of constants":  "SELECT COUNT(*) FROM person WHERE " + strings.Repeat("REPLACE(", 10) + "'x'" + strings.Repeat(", 'x', '"+long+"')", 10) + " = person_source_value",
		"long domain":   "SELECT a, COUNT(*) FROM (SELECT person_id, " + many + " AS a FROM person) s GROUP BY a",
		"many of long":  "SELECT COUNT(*) FROM (SELECT person_id, " + many + " AS a FROM person) s WHERE LOWER(a) || UPPER(a) || a = 'x'",
		"long by whole": "SELECT COUNT(*) FROM (SELECT person_id, " + many + " AS a, month_of_birth AS m FROM person) s WHERE a || CAST(m AS text) || a || CAST(m AS text) = REPLACE(a, 'y', '" + long + "')",
		"windows":       "SELECT COUNT(*) FROM (" + nested(4, start, "SELECT person_id, MAX(a) OVER (PARTITION BY person_id) || MIN(a) OVER (PARTITION BY person_id) AS a FROM inner") + ") s WHERE LENGTH(a) > 3",
	} {
		hostile(t, name, sql, fed)
	}
}

// TestSpread checks that public lists that multiply a patient's rows are refused anywhere, and that usual lists are
// answered.
func TestSpread(t *testing.T) {
	fed := federation(t, "omop")
	list := func(n int) string { return "(VALUES (1)" + strings.Repeat(", (1)", n-1) + ") " }
	numbers := func(n int) string {
		s := "(VALUES (1)"
		for i := 2; i <= n; i++ {
			s += fmt.Sprintf(", (%d)", i)
		}
		return s + ") "
	}
	for sql, want := range map[string]string{
		"SELECT COUNT(*) FROM person p JOIN " + list(200) + "a (x) ON p.person_id = 42 JOIN " + list(200) + "b (y) ON p.person_id = 42":                                                                                                   "TOO_LARGE at line 1, column 1075: joins with public rows make up to 40000 rows of one, and 10000 are the most; join by a column that tells the public rows apart, or shorten the list",
		"SELECT COUNT(*) FROM person p CROSS JOIN " + list(101) + "a (x) LEFT JOIN " + list(100) + "b (y) ON p.person_id = 42":                                                                                                            "TOO_LARGE",
		"SELECT COUNT(*) FROM (SELECT person_id FROM person CROSS JOIN " + list(101) + "a (x)) p CROSS JOIN " + list(100) + "b (y)":                                                                                                       "TOO_LARGE",
		"WITH l (x) AS " + list(101) + " SELECT COUNT(*) FROM (SELECT a.x FROM l a CROSS JOIN l b) m JOIN person ON person_id = 42":                                                                                                       "TOO_LARGE",
		"WITH l (x) AS " + list(101) + ", m AS (SELECT a.x FROM l a, l b), n AS (SELECT a.x FROM m a, m b), o AS (SELECT a.x FROM n a, n b) SELECT COUNT(*) FROM person WHERE EXISTS (SELECT 1 FROM o WHERE x > 1)":                       "TOO_LARGE",
		"SELECT COUNT(*) FROM person p WHERE EXISTS (SELECT 1 FROM " + list(101) + "a (x) CROSS JOIN " + list(101) + "b (y) CROSS JOIN " + list(101) + "c (z) WHERE p.person_id = 42 AND x < y)":                                          "TOO_LARGE",
		"SELECT COUNT(*) FROM person p WHERE p.year_of_birth > (SELECT MAX(y + v.visit_concept_id) FROM visit_occurrence v CROSS JOIN " + list(101) + "a (x) CROSS JOIN " + list(101) + "b (y) WHERE v.person_id = p.person_id)":          "TOO_LARGE",
		"SELECT COUNT(*) FROM (" + strings.Repeat("SELECT person_id FROM person CROSS JOIN "+list(600)+"a (x) UNION ALL ", 17) + "SELECT person_id FROM person) u":                                                                        "TOO_LARGE",
		"SELECT COUNT(*) FROM person p JOIN " + numbers(900) + "a (x) ON p.year_of_birth = a.x JOIN " + numbers(900) + "b (y) ON b.y = p.gender_concept_id JOIN " + numbers(900) + "c (z) ON c.z = b.y CROSS JOIN " + list(100) + "d (w)": "",
		"SELECT COUNT(*) FROM condition_occurrence o JOIN concept_ancestor a ON a.descendant_concept_id = o.condition_concept_id JOIN concept c ON c.concept_id = a.ancestor_concept_id WHERE c.concept_class_id = 'ATC 1st'":             "",
		"SELECT COUNT(*) FROM person p JOIN (VALUES (0, 17), (18, 64), (65, 150)) a (low, high) ON 2020 - p.year_of_birth BETWEEN low AND high":                                                                                           "",
		"WITH codes (x) AS " + numbers(900) + " SELECT COUNT(*) FROM condition_occurrence o WHERE o.condition_concept_id IN (SELECT x FROM codes) AND EXISTS (SELECT 1 FROM codes WHERE x = o.condition_type_concept_id)":                 "",
	} {
		err := hostile(t, "spread", sql, fed)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%.300s\n%v, not %s", sql, err, want)
		}
	}
}

// TestReleaseChains plans chains of UNION ALL over releases, nested in each way.
func TestReleaseChains(t *testing.T) {
	fed := federation(t, "omop")
	const one = "SELECT COUNT(*) AS n FROM death"
	right, wrapped, doubled := one, one, "WITH a0 AS ("+one+")"
	for i := range 15 {
		right = one + " UNION ALL (" + right + ")"
		wrapped = "SELECT n + n AS n FROM (" + wrapped + fmt.Sprintf(") w%d", i)
		doubled += fmt.Sprintf(", a%d AS (SELECT n FROM a%d UNION ALL SELECT n FROM a%d)", i+1, i, i)
	}
	sum := "SELECT SUM(n) AS n FROM ("
	for name, sql := range map[string]string{
		"flat":    strings.Repeat(one+" UNION ALL ", 63) + one,
		"right":   right,
		"wrapped": wrapped,
		"doubled": doubled + " SELECT SUM(n) FROM a15",
		"sums":    strings.Repeat(sum, 12) + strings.Repeat(one+" UNION ALL ", 20) + one + ") a" + strings.Repeat(" UNION ALL SELECT n FROM ("+one+") b) a", 11),
		"ordered": strings.Repeat("(", 20) + one + strings.Repeat(" UNION ALL "+one+" ORDER BY 1 LIMIT 3)", 20),
		"joined":  "SELECT SUM(a.n) FROM (" + strings.Repeat(one+" UNION ALL ", 30) + one + ") a CROSS JOIN (" + strings.Repeat(one+" UNION ALL ", 30) + one + ") b",
	} {
		hostile(t, name, sql, fed)
	}
	for name, many := range map[string]string{"of a number": one, "of a key": "SELECT gender_concept_id AS n, COUNT(*) AS c FROM person GROUP BY 1"} {
		for i := range 8 { // each level reads the one before 31 times
			many = "SELECT " + strings.Repeat("n + ", 30) + "n AS n FROM (" + many + fmt.Sprintf(") w%d", i)
		}
		hostile(t, "many reads "+name, many, fed)
	}
}

// TestManyDomains plans queries in which each level has domains of the largest allowed size. Each level and each sum
// asks for what is known of them.
func TestManyDomains(t *testing.T) {
	fed := federation(t, "omop")
	var columns, sums []string
	for i := range 12 {
		columns = append(columns, fmt.Sprintf("m * (m + %d) AS c%d", i, i))
	}
	for i := range 40 {
		sums = append(sums, fmt.Sprintf("SUM(CLAMP(m * 1.5 + %d, 0, 500)) OVER (PARTITION BY person_id) AS s%d", i, i))
	}
	inner := nested(8, "SELECT person_id, ABS(year_of_birth % 99) AS m FROM person", "SELECT person_id, ABS(m % 99) AS m, "+strings.Join(columns, ", ")+" FROM inner")
	hostile(t, "levels", "SELECT COUNT(*) FROM ("+inner+") s WHERE m > 3", fed)
	hostile(t, "sums", "SELECT COUNT(*) FROM (SELECT person_id, "+strings.Join(sums, ", ")+" FROM ("+inner+") s0) s WHERE s1 > 3", fed)
}

// TestNestedClamps plans a CLAMP within CLAMPs, each of which needs its bounds. The innermost value is examined once.
func TestNestedClamps(t *testing.T) {
	fed, x := federation(t, "omop"), "month_of_birth"
	for range 10 { // each doubles the number of operations, which is limited to 50,000
		x = "CLAMP(" + x + " % 7, 0, 9)"
	}
	took, bytes, err := spent(t, "SELECT AVG(CLAMP("+x+", 0, 3)) FROM person WHERE "+x+" > 1", fed)
	t.Logf("%v, %d MiB", took, bytes>>20)
	if err != nil || bytes > 64<<20 || took > planTime*cputime.Slowness {
		t.Errorf("planning takes %v and allocates %d MiB: %v", took, bytes>>20, err)
	}
}

// TestExpansion refuses expressions that become large when derived columns are replaced by their definitions, as some
// databases do. It answers expressions that a person would write.
func TestExpansion(t *testing.T) {
	fed := federation(t, "omop")
	concat := func(levels, times int) string {
		return "SELECT COUNT(*) FROM (" + nested(levels, "SELECT person_id, person_source_value AS a FROM person",
			"SELECT person_id, CONCAT("+strings.Repeat("a, ", times-1)+"a) AS a FROM inner") + ") s WHERE LOWER(a) <> ''"
	}
	nest := func(n int, column string) string {
		return strings.Repeat("CLAMP(", n) + column + strings.Repeat(", 0, 9)", n)
	}
	const large = "TOO_LARGE: an expression of more than 50000 operations is too large; " +
		"nest fewer functions: CLAMP and some others write what they are given twice"
	const refused = "TOO_LARGE: an expression has more than 20000 operations with those of the columns that it reads; " +
		"compute columns from fewer others, or in fewer steps"
	sum := nested(6, "SELECT person_id, year_of_birth AS a FROM person", "SELECT person_id, a - a - a - a - a - a - a - a AS a FROM inner")
	for sql, want := range map[string]string{
		concat(4, 16): refused,
		concat(2, 16): "",
		"SELECT COUNT(*) FILTER (WHERE a > 3) FROM (" + sum + ") s": refused,
		"SELECT COUNT(*) FROM (" + nested(6, "SELECT person_id, year_of_birth AS a FROM person", "SELECT person_id, a + 1 AS a FROM inner") + ") s WHERE a > 3":        "",
		"SELECT COUNT(*) FROM person WHERE year_of_birth IN (" + strings.Repeat("1900, ", 5000) + "1901) AND month_of_birth IN (" + strings.Repeat("1, ", 4000) + "2)": "",
		"SELECT COUNT(*) FROM (" + nested(4, "SELECT person_id, year_of_birth AS a FROM person",
			"SELECT person_id, "+strings.Repeat("MAX(a) OVER (PARTITION BY person_id) - ", 15)+"1 AS a FROM inner") + ") s WHERE a > 3": "",
		"SELECT COUNT(*) FROM person WHERE " + nest(17, "month_of_birth") + " > 3": large,
		// Each of the conditions alone would be accepted.
		"SELECT COUNT(*) FROM person JOIN (SELECT 3 AS a) c ON " + nest(12, "month_of_birth") + " > 3 WHERE " + nest(12, "day_of_birth") + " > 3": large,
	} {
		_, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}}, fed)
		got := ""
		if err != nil {
			got = err.Error()
			if code, rest, ok := strings.Cut(got, " at line"); ok {
				_, message, _ := strings.Cut(rest, ":")
				got = code + ":" + message
			}
		}
		if got != want {
			t.Errorf("%.120s: %q, not %q", sql, got, want)
		}
	}
}

// TestOneBudget plans a statement of many queries, each of which takes almost the allowed time to find domains.
func TestOneBudget(t *testing.T) {
	many := "CASE year_of_birth"
	for i := range 900 {
		many += fmt.Sprintf(" WHEN %d THEN '%d%s'", 1000+i, i, strings.Repeat("y", 40))
	}
	var arms []string
	for i := range 12 {
		arms = append(arms, fmt.Sprintf("SELECT a || CAST(m AS text) || '%d' AS k, COUNT(*) AS n FROM t WHERE LOWER(a) || UPPER(a) || CAST(m AS text) <> '%d' GROUP BY 1", i, i))
	}
	hostile(t, "arms", "WITH t AS (SELECT person_id, "+many+" END AS a, month_of_birth AS m FROM person) "+strings.Join(arms, " UNION ALL "), federation(t, "omop"))
}

// TestReadAgain plans many queries that read a long one: as releases, and as inputs of a union. Usual ones are
// answered.
func TestReadAgain(t *testing.T) {
	fed := federation(t, "omop")
	long := func(cases, columns int) string {
		text := "CASE"
		for i := range cases {
			text += fmt.Sprintf(" WHEN year_of_birth = %d THEN 'c%d'", 1000+i, i)
		}
		text += " ELSE 'z' END AS g"
		for i := range columns {
			text += fmt.Sprintf(", CASE WHEN month_of_birth > %d THEN year_of_birth END AS c%d", i, i)
		}
		return "WITH t AS (SELECT person_id, month_of_birth AS m, " + text + " FROM person) "
	}
	each := func(n int, arm string) string {
		var arms []string
		for i := range n {
			arms = append(arms, fmt.Sprintf(arm, i))
		}
		return strings.Join(arms, " UNION ALL ")
	}
	const one, row = "SELECT g, COUNT(*) AS n FROM t WHERE m > -%d GROUP BY g", "SELECT person_id, g FROM t WHERE m > -%d"
	for name, query := range map[string]struct {
		sql     string
		refused bool
	}{
		"releases, long":        {long(900, 0) + each(60, one), true},
		"releases, wide":        {long(10, 190) + each(60, one), false},
		"rows, long":            {long(900, 0) + "SELECT g, COUNT(*) FROM (" + each(99, row) + ") u GROUP BY g", true},
		"rows, wide":            {long(1, 190) + "SELECT g, COUNT(*) FROM (" + each(99, row) + ") u GROUP BY g", false},
		"releases, as is usual": {long(30, 12) + each(60, one), false},
		"rows, as is usual":     {long(30, 12) + "SELECT g, COUNT(*) FROM (" + each(60, row) + ") u GROUP BY g", false},
	} {
		if err := hostile(t, name, query.sql, fed); (err != nil) != query.refused || err != nil && !strings.Contains(err.Error(), "read a long query of WITH fewer times") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
