package integration

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// notCompared lists queries that are not compared, with the reason.
var notCompared = []struct{ pattern, why string }{
	{`(?i)\b(MEDIAN|QUANTILE|PERCENTILE|HISTOGRAM|APPROX_)|\bM(IN|AX)\(CLAMP|PERCENTILE_CONT`, "read from a tree of buckets, which rounds"},
	{`GROUP BY o.condition_concept_id( ORDER BY c.concept_name|$)|GROUP BY COALESCE\(o.condition_concept_id`, "DuckDB has no keys that tell what a group has one of"},
	{`(?i)\bhospital\b`, "one database has no hospitals"},
	{`(?i)DISTINCT patient\b|THEN patient\b`, "one database has no column patient"},
	{`GROUP BY visit_occurrence_id$`, "the union tells the visits of two hospitals apart by other numbers"},
	{`KAPLAN_MEIER|INCIDENCE`, "not in DuckDB: TestSurvival has the answers of R"},
	{`cdm\.person|'20190101'|'01-jan-1970'|EVERY\(|WITH ROLLUP|NOLOCK|OVERLAPS|TO_CHAR|CONVERT|DATE_ARRAY|TOP 5|FETCH FIRST|\[|COUNT_BIG|COUNT_?IF|STDEV|IFF\(|DATE_DIFF\(|"PERSON"|APPLY|[<>N] INTERVAL|series\(DATE|COLLECT_|EXPLODE|FLATTEN|TRY_DIVIDE|COUNT\(\*\) FROM person GROUP BY 1 ORDER BY count DESC$`, "other words in DuckDB"},
	{`\w\) (NOT )?IN \(SELECT m.measurement_date, \d+ FROM measurement m WHERE m.person_id`, "not in DuckDB: rows IN a query that speaks of the row outside"},
	{`\) NOT IN \(SELECT e\.`, "DuckDB correlates no rows: TestSubqueriesEqualDuckDB writes them out"},
	{`(?i)LIMIT|ROW_NUMBER\(\) OVER \(ORDER BY COUNT|RANK\(\) OVER \(ORDER BY COUNT`, "ties"},
	{`(?i)OVER \(PARTITION BY (person_id|visit_occurrence_id|v\.person_id)( |, visit_concept_id )ORDER BY`, "rows of one day change places: TestDifferential orders them wholly"},
	{`FROM concept c LEFT JOIN condition_occurrence`, "groups of too few patients are NULL: TestDifferential has them"},
	{`ANY_VALUE\(CASE`, "any will do"},
	{`^SELECT AVG\((f\.)?n\) |AVG\(n \+ 1\)`, "a patient's rows count up to max_rows, and some of the synthetic patients have more"},
	{`(?i)(MIN|MAX)_BY\(\w+, \w+_date\)`, "rows of one day change places: TestDifferential orders them wholly"},
	{`(?i)CORR|REGR|COVAR`, "compared by TestFederationEqualsUnion"},
	{`(?i)LEFT\(|REGEXP|SIMILAR|~|DATEADD|DATE_ADD|TIMESTAMPADD|IFF?\(|DECODE|NVL|CHARINDEX|LOCATE|WIDTH_BUCKET|EOMONTH|ISNULL|AGE|TIMESTAMPDIFF|TRUNC`, "functions, which package duckdb's conformance test compares"},
}

// TestGoldensInDuckDB takes every query that planner/testdata/plan plans against OMOP, and compares the answer of the
// synthetic federation with that of one database.
func TestGoldensInDuckDB(t *testing.T) {
	p := syntheticPairing(t, 300)
	compared, skipped, refused := 0, map[string]int{}, 0
	datadriven.Walk(t, "../planner/testdata/plan", func(t *testing.T, path string) {
		file := filepath.Base(path)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "omop" || file == "functions" || d.HasArg("dialect") {
				return d.Expected
			}
			for _, n := range notCompared {
				if regexp.MustCompile(n.pattern).MatchString(d.Input) {
					skipped[n.why]++
					return d.Expected
				}
			}
			program, err := p.compose(d.Input)
			if err != nil {
				refused++
				return d.Expected
			}
			want, err := p.want(d.Input)
			if err != nil {
				t.Errorf("%s: the union does not run it: %v\n%s", d.Pos, err, d.Input)
				return d.Expected
			}
			compared++
			if c := p.compare(program, p.answer(t, program), want, false); c.difference != "" {
				t.Errorf("%s: %s\n%s", d.Pos, d.Input, strings.TrimSpace(c.difference))
			}
			return d.Expected
		})
	})
	if compared < 150 {
		t.Errorf("%d goldens were compared, not 150", compared)
	}
	t.Logf("%d goldens compared, %d refused; not compared: %v", compared, refused, skipped)
}
