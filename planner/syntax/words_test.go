package syntax

import (
	"slices"
	"strings"
	"testing"
)

// Every offered word has its meaning in its place, and is a name elsewhere.
func TestWords(t *testing.T) {
	var written []string
	for _, sql := range []string{
		"SELECT a , COUNT ( * ) FILTER ( WHERE b ) FROM t GROUP BY ROLLUP ( a ) ORDER BY a DESC NULLS FIRST",
		"SELECT a FROM t GROUP BY CUBE ( a ) ORDER BY a NULLS LAST",
		"SELECT a FROM t GROUP BY GROUPING SETS ( ( a ) )",
		"SELECT SUM ( a ) OVER ( PARTITION BY b ORDER BY c ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING ) FROM t",
		"SELECT SUM ( a ) OVER ( ORDER BY c RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW ) FROM t",
		"SELECT a FROM t WHERE b LIKE 'x' ESCAPE '!' AND d > DATE '2020-01-01' AND e > TIMESTAMP '2020-01-01 00:00:00' - INTERVAL '1' DAY",
		"SELECT EXTRACT ( YEAR FROM d ) FROM t",
		"SELECT a FROM t WHERE b SIMILAR TO 'x'",
		"WITH c AS MATERIALIZED ( SELECT 1 AS x ) SELECT x FROM c",
		"SELECT PERCENTILE_CONT ( 0.5 ) WITHIN GROUP ( ORDER BY a ) FROM t",
		"SELECT x FROM ( VALUES ( 1 ) ) AS v ( x )",
	} {
		if _, err := Parse(sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		written = append(written, strings.Fields(strings.ToLower(sql))...)
	}
	for word := range contextual {
		if !slices.Contains(written, word) {
			t.Errorf("no statement here has %s", word)
		}
		if _, err := Parse("SELECT t." + word + " FROM t"); err != nil {
			t.Errorf("%s is no name: %v", word, err)
		}
	}
	if len(Words()) != len(reserved)+len(contextual) {
		t.Error("a word is both reserved and not")
	}
}
