package planner

import "testing"

// BenchmarkPrice is what the console asks for at each pause in typing: plan, price and expected errors, over the
// built-in OMOP catalog.
func BenchmarkPrice(b *testing.B) {
	fed := federation(b, "omop")
	fed.Digest = fed.Catalog.Digest()
	for name, sql := range map[string]string{
		"count": "SELECT COUNT(*) AS n FROM person",
		"join": `SELECT FLOOR((2024 - p.year_of_birth) / 20) * 20 AS age_from, COUNT(DISTINCT patient) AS patients, 100.0 * COUNT(DISTINCT c.person_id) / COUNT(DISTINCT patient) AS percent
			FROM person p LEFT JOIN condition_era c ON c.person_id = p.person_id AND c.condition_concept_id = 320128 WHERE p.year_of_birth BETWEEN 1925 AND 2024 GROUP BY age_from`,
		"histogram": "SELECT HISTOGRAM(value_as_number, 80, 200, 12) AS systolic FROM measurement WHERE measurement_concept_id = 3004249",
		"survival": `SELECT * FROM KAPLAN_MEIER((
  SELECT DATEDIFF('day', o.start_date, COALESCE(d.death_date, o.end_date)) AS t,
         d.death_date IS NOT NULL AS died,
         CASE p.gender_concept_id WHEN 8532 THEN 'women' ELSE 'men' END AS sex
  FROM person p
  JOIN (SELECT person_id, MIN(observation_period_start_date) AS start_date,
               MAX(observation_period_end_date) AS end_date
        FROM observation_period GROUP BY person_id) o ON o.person_id = p.person_id
  LEFT JOIN death d ON d.person_id = p.person_id
), step => 30, horizon => 1800, every => 90)`,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: 0.5, Delta: 1e-8}}, fed)
				if err != nil {
					b.Fatal(err)
				}
				p.Expected(0.95)
			}
		})
	}
}
