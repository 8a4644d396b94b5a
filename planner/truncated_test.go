package planner

import (
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
)

// A quotient of two whole numbers is truncated, as in PostgreSQL. A warning says so before payment.
func TestTruncatedQuotientsAreTold(t *testing.T) {
	for sql, column := range map[string]string{
		"SELECT SUM(days_supply) / COUNT(*) AS mean FROM drug_exposure":                                                            "mean",
		"SELECT ROUND(SUM(days_supply) / COUNT(*)) AS mean FROM drug_exposure":                                                     "mean",
		"WITH q AS (SELECT SUM(days_supply) AS s, COUNT(*) AS n FROM drug_exposure) SELECT s / n AS mean FROM q":                   "mean",
		"SELECT 1.0 * SUM(days_supply) / COUNT(*) AS mean FROM drug_exposure":                                                      "",
		"SELECT SUM(days_supply) / 10 AS tens FROM drug_exposure":                                                                  "",
		"SELECT care_site_id, NTILE(4) OVER (ORDER BY COUNT(*)) AS part FROM person GROUP BY care_site_id":                         "",
		"SELECT care_site_id, ROW_NUMBER() OVER (ORDER BY COUNT(*)) / COUNT(*) OVER () AS place FROM person GROUP BY care_site_id": "place",
		"SELECT year_of_birth / 10 AS decade, COUNT(*) FROM person WHERE year_of_birth BETWEEN 1950 AND 1969 GROUP BY 1":           "",
	} {
		p, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-8}}, Federation{Catalog: catalog.OMOP(), Hospitals: []string{"a"}})
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		told := strings.Contains(strings.Join(p.Warnings(), "\n"), column+" divides two whole numbers")
		if told != (column != "") {
			t.Errorf("%s: the warnings are %q", sql, p.Warnings())
		}
	}
}
