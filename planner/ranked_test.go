package planner

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// A computation from ranks over patients is planned as the quantile that is meant, in each of the usual spellings.
func TestRanksAreQuantiles(t *testing.T) {
	const ages = "SELECT 2020 - year_of_birth AS age, gender_concept_id AS g, ROW_NUMBER() OVER (ORDER BY 2020 - year_of_birth) AS rn, COUNT(*) OVER () AS n FROM person"
	const ranked = "SELECT 2020 - year_of_birth AS age, gender_concept_id AS g, ROW_NUMBER() OVER (ORDER BY 2020 - year_of_birth) AS rn FROM person"
	const bySex = "SELECT 2020 - year_of_birth AS age, gender_concept_id AS g, ROW_NUMBER() OVER (PARTITION BY gender_concept_id ORDER BY year_of_birth DESC) AS rn, COUNT(*) OVER (PARTITION BY gender_concept_id) AS n FROM person"
	const plain, years = "(SELECT 2020 - year_of_birth AS age, gender_concept_id AS g FROM person) t", "(SELECT year_of_birth FROM person) t"
	const quantile, falling = "SELECT QUANTILE(age, 0.25) AS x FROM " + plain, "SELECT QUANTILE(year_of_birth, 0.75) AS x FROM " + years
	fed := federation(t, "omop")
	for _, c := range []struct{ ranks, quantiles string }{
		{"SELECT MIN(CASE WHEN rn >= 0.25 * n THEN age END) AS x FROM (" + ages + ") t", quantile},
		{"SELECT MIN(CASE WHEN rn > n / 4 THEN age ELSE NULL END) AS x FROM (" + ages + ") t", quantile},
		{"SELECT MAX(CASE WHEN n * 0.25 >= rn THEN age END) AS x FROM (" + ages + ") t", quantile},
		{"SELECT MIN(age) FILTER (WHERE rn >= CEIL(0.25 * n)) AS x FROM (" + ages + ") t", quantile},
		{"SELECT MAX(age) AS x FROM (" + ages + ") t WHERE rn <= 0.25 * n", quantile},
		{"SELECT MIN(age) AS x FROM (" + ages + ") t WHERE 1.0 * rn / n >= 0.25", quantile},
		{"SELECT AVG(age) AS x FROM (" + ages + ") t WHERE rn IN (n / 4, n / 4 + 1)", quantile},
		{"SELECT MIN(CASE WHEN t.rn < 0.25 * t.n THEN 9999 ELSE t.age END) AS x FROM (" + ages + ") t", "SELECT LEAST(9999, QUANTILE(age, 0.25)) AS x FROM " + plain},
		{"WITH t (a, b, c, d) AS (" + ages + ") SELECT MIN(CASE WHEN c >= 0.25 * d THEN a END) AS x FROM t", quantile},
		{"SELECT MAX(year_of_birth) AS x FROM (SELECT year_of_birth, PERCENT_RANK() OVER (ORDER BY year_of_birth) AS p FROM person) t WHERE p <= 0.75", falling},
		{"SELECT MIN(year_of_birth) AS x FROM (SELECT year_of_birth, CUME_DIST() OVER (ORDER BY year_of_birth) AS p FROM person) t WHERE p >= 0.75", falling},
		{"SELECT MAX(year_of_birth) AS x FROM (SELECT year_of_birth, NTILE(4) OVER (ORDER BY year_of_birth) AS q FROM person) t WHERE q = 3", falling},
		{"SELECT MIN(year_of_birth) AS x FROM (SELECT year_of_birth, NTILE(4) OVER (ORDER BY year_of_birth) AS q FROM person) t WHERE q > 3", falling},
		{"SELECT MIN(year_of_birth) AS x FROM (SELECT year_of_birth, NTILE(4) OVER (ORDER BY year_of_birth) AS q FROM person) t WHERE q >= 4", falling},
		{"SELECT MAX(year_of_birth) AS x FROM (SELECT year_of_birth, NTILE(4) OVER (ORDER BY year_of_birth DESC) AS q FROM person) t WHERE q IN (2, 3)", falling},
		{"SELECT MIN(year_of_birth) AS x FROM (SELECT year_of_birth, ROW_NUMBER() OVER (ORDER BY year_of_birth DESC) AS rn, COUNT(*) OVER () AS n FROM person) t WHERE rn <= 0.25 * n", falling},
		{"SELECT g, COUNT(*) AS k, AVG(age) AS m, MIN(CASE WHEN rn >= 0.5 * n THEN age END) AS x FROM (" + bySex + ") t GROUP BY g",
			"SELECT g, COUNT(*) AS k, AVG(age) AS m, QUANTILE(age, 0.5) AS x FROM " + plain + " GROUP BY g"},
		{"SELECT g, n, MIN(CASE WHEN rn >= 0.5 * n THEN age END) AS x FROM (" + bySex + ") t GROUP BY g, n",
			"SELECT g, COUNT(*) AS n, QUANTILE(age, 0.5) AS x FROM " + plain + " GROUP BY g"},
		{"SELECT MIN(CASE WHEN rn >= 0.25 * c.k THEN age END) AS x FROM (" + ranked + ") t CROSS JOIN (SELECT COUNT(*) AS k FROM person) c", quantile},
		{"WITH p AS (SELECT year_of_birth FROM person WHERE month_of_birth = 2) SELECT MIN(CASE WHEN rn < .5 * n THEN 9999 ELSE y END) AS x FROM (SELECT year_of_birth AS y, ROW_NUMBER() OVER (ORDER BY year_of_birth) AS rn FROM p) a, (SELECT COUNT(*) AS n FROM p) b",
			"SELECT LEAST(9999, QUANTILE(y, 0.5)) AS x FROM (SELECT year_of_birth AS y FROM (SELECT year_of_birth FROM person WHERE month_of_birth = 2) p) t"},
		{"SELECT MIN(CASE WHEN rn >= 0.25 * n THEN age END) AS x FROM (SELECT 2020 - year_of_birth AS age, gender_concept_id AS g, ROW_NUMBER() OVER (ORDER BY 2020 - year_of_birth) AS rn, (SELECT COUNT(*) FROM person) AS n FROM person) t", quantile},
		{"SELECT t.gender_concept_id AS g, MIN(CASE WHEN rn >= 0.5 * c.n THEN age END) AS x FROM (SELECT 2020 - year_of_birth AS age, gender_concept_id, ROW_NUMBER() OVER (PARTITION BY gender_concept_id ORDER BY year_of_birth DESC) AS rn FROM person) t JOIN (SELECT gender_concept_id, COUNT(*) AS n FROM person GROUP BY gender_concept_id) c ON t.gender_concept_id = c.gender_concept_id GROUP BY t.gender_concept_id",
			"SELECT gender_concept_id AS g, QUANTILE(age, 0.5) AS x FROM (SELECT 2020 - year_of_birth AS age, gender_concept_id FROM person) t GROUP BY gender_concept_id"},
		{"SELECT q, MIN(year_of_birth) AS a, MAX(year_of_birth) AS b, COUNT(*) AS k FROM (SELECT year_of_birth, NTILE(2) OVER (ORDER BY year_of_birth) AS q FROM person) t GROUP BY q ORDER BY q",
			"WITH w AS (SELECT MIN(year_of_birth) AS \"tile 0\", QUANTILE(year_of_birth, 0.5) AS \"tile 1\", CAST(ROUND(COUNT(*) * 0.5) AS int) AS \"tile 2\", MAX(year_of_birth) AS \"tile 3\" FROM " + years +
				") SELECT 1 AS q, \"tile 0\" AS a, \"tile 1\" AS b, \"tile 2\" AS k FROM w UNION ALL SELECT 2, \"tile 1\", \"tile 3\", \"tile 2\" FROM w ORDER BY q"},
		{"SELECT DISTINCT gender_concept_id AS g, PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY year_of_birth) OVER (PARTITION BY gender_concept_id) AS x FROM person",
			"SELECT gender_concept_id AS g, QUANTILE(year_of_birth, 0.5) AS x FROM person GROUP BY 1"},
	} {
		got, err := Compose(Query{SQL: c.ranks, Ask: Ask{Epsilon: 1, Delta: 1e-6}, Today: today}, fed)
		if err != nil {
			t.Errorf("%s: %v", c.ranks, err)
			continue
		}
		want, err := Compose(Query{SQL: c.quantiles, Ask: Ask{Epsilon: 1, Delta: 1e-6}, Today: today}, fed)
		if err != nil {
			t.Fatal(err)
		}
		// the planner's own names begin with a blank
		if g, w := strings.ReplaceAll(asked(got), " tile", "tile"), asked(want); g != w {
			t.Errorf("%s\nis\n%s\nnot\n%s", c.ranks, g, w)
		}
	}
	for _, sql := range []string{
		// it counts other rows
		"SELECT MIN(CASE WHEN rn >= 0.25 * c.k THEN age END) AS x FROM (" + ranked + ") t CROSS JOIN (SELECT COUNT(*) AS k FROM death) c",
		// it counts fewer rows
		"SELECT MIN(CASE WHEN rn >= 0.25 * c.k THEN age END) AS x FROM (" + ranked + ") t CROSS JOIN (SELECT COUNT(*) AS k FROM person WHERE year_of_birth > 1960) c",
		"SELECT MIN(CASE WHEN rn >= 0.25 * c.k THEN age END) AS x FROM (" + ranked + ") t LEFT JOIN (SELECT COUNT(*) AS k FROM person) c ON g = 8507",
		"SELECT MIN(CASE WHEN rn >= 0.5 * n THEN g END) FROM (" + ages + ") t", // this column has no order
		// ranks over all rows, groups of some
		"SELECT g, MIN(CASE WHEN rn >= 0.5 * n THEN age END) FROM (" + ages + ") t GROUP BY g",
		"SELECT MIN(CASE WHEN rn >= 0.5 * n THEN age END) FROM (" + bySex + ") t", // the ranks restart, the groups do not
		"SELECT AVG(CASE WHEN rn >= 0.5 * n THEN age END) FROM (" + ages + ") t",  // the mean of a part
		"SELECT MIN(CASE WHEN rn >= 5 THEN age END) FROM (" + ages + ") t",        // one row by its number
		// one row by its number from the end
		"SELECT MIN(CASE WHEN rn >= n - 5 THEN age END) FROM (" + ages + ") t WHERE rn > 3",
		// the value after the tie
		"SELECT MIN(year_of_birth) AS x FROM (SELECT year_of_birth, PERCENT_RANK() OVER (ORDER BY year_of_birth) AS p FROM person) t WHERE p >= 0.75",
		// the value before the tie
		"SELECT MAX(year_of_birth) AS x FROM (SELECT year_of_birth, CUME_DIST() OVER (ORDER BY year_of_birth) AS p FROM person) t WHERE p <= 0.75",
		"SELECT MAX(rn) FROM (" + ages + ") t",                                            // a rank itself
		"SELECT MIN(CASE WHEN rn * rn >= 0.5 * n * n THEN age END) FROM (" + ages + ") t", // not linear in the rank
		// fewer rows than were ranked
		"SELECT MIN(CASE WHEN rn >= 0.5 * n THEN age END) FROM (" + ages + ") t WHERE age > 50",
		"SELECT MIN(CASE WHEN rn >= 0.5 * n THEN x END) FROM (SELECT value_as_number AS x, ROW_NUMBER() OVER (ORDER BY value_as_number) AS rn, COUNT(*) OVER () AS n FROM measurement WHERE value_as_number < 9 AND value_as_number > 0 OR value_as_number IS NULL) t",
	} {
		if p, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}, Today: today}, fed); err == nil {
			t.Errorf("%s is answered:\n%s", sql, describeProgram(p))
		}
	}
}

// asked describes what a program asks, with the shares of its quantiles.
func asked(p *Program) string {
	text := regexp.MustCompile(`\b(derived|w)_?\d*\b`).ReplaceAllString(describeProgram(p), "…")
	for _, r := range p.Releases {
		for _, a := range r.Aggregates {
			text += fmt.Sprintf("argument   %g\n", a.argument)
		}
	}
	return text
}
