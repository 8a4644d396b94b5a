package planner

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// What planning one statement may take.
const (
	planTime  = time.Second
	planBytes = 256 << 20 // allocated in all
)

// hostile plans a statement, which may be refused, and fails the test where that takes more than planTime or planBytes.
func hostile(t *testing.T, name, sql string, fed Federation) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	_, err := Compose(Query{SQL: sql, Epsilon: 1, Delta: 1e-6}, fed)
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	bytes := after.TotalAlloc - before.TotalAlloc
	t.Logf("%s: %d bytes of SQL in %v, %d MiB: %.200v", name, len(sql), took.Round(time.Millisecond), bytes>>20, err)
	if took > planTime*timeFactor || bytes > planBytes {
		t.Errorf("%s: planning %d bytes of SQL takes %v and allocates %d MiB: %.200v", name, len(sql), took, bytes>>20, err)
	}
	if e := new(Error); err != nil && (!errors.As(err, &e) || e.Code == CodeSyntax) {
		t.Errorf("%s: %v", name, err)
	}
	return err
}

// timeFactor is patience with machines that do other things at the same time.
const timeFactor = 5

// nested nests a query in derived tables, one in the other.
func nested(n int, innermost, step string) string {
	for i := range n {
		innermost = strings.ReplaceAll(step, "FROM inner", fmt.Sprintf("FROM (%s) d%d", innermost, i))
	}
	return innermost
}

// TestTextBombs plans texts that would grow by powers.
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
