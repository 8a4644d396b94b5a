package planner

import (
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
)

// What is computed over undeclared groups is of the groups that are shown. The answer says so, where it would be read
// as of all: a count of groups, a total, a share of the total.
func TestUnseenGroupsAreTold(t *testing.T) {
	const groups = "SELECT care_site_id AS k, COUNT(*) AS n FROM person GROUP BY care_site_id"
	for sql, told := range map[string]bool{
		"SELECT COUNT(*) AS sites FROM (SELECT DISTINCT care_site_id FROM person) d":                               true,
		"SELECT SUM(n) AS people FROM (" + groups + ") g":                                                          true,
		"SELECT care_site_id, 100.0 * COUNT(*) / SUM(COUNT(*)) OVER () AS share FROM person GROUP BY care_site_id": true,
		"WITH g AS (" + groups + ") SELECT k, n, n / (SELECT AVG(n) FROM g) AS of_mean FROM g":                     true,
		"SELECT DISTINCT care_site_id FROM person":                                                                 true,
		groups: false,
		"SELECT k, n, RANK() OVER (ORDER BY n DESC) AS place FROM (" + groups + ") g":                       false,
		"SELECT SUM(n) AS people FROM (SELECT month_of_birth AS k, COUNT(*) AS n FROM person GROUP BY 1) g": false,
	} {
		p, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-8}}, Federation{Catalog: catalog.OMOP(), Hospitals: []string{"a"}})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		cells := exactCells(t, p, 1000)
		for i, release := range p.Releases {
			if release.Selection != nil {
				cells[i] = []Cell{{Keys: []value.Value{value.Int(1)}, Noisy: exactPartials(release, 1000)}}
			}
		}
		answer, err := p.Finish(cells, 0.95)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		said := strings.Join(append(answer.Bias, answer.Notes...), "\n")
		if strings.Contains(said, "are not shown") != told {
			t.Errorf("%s: the answer says %q", sql, said)
		}
	}
}
