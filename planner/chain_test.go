package planner

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/cputime"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/relational"
)

// A chain of UNIONs is one nesting level and one set operation, however long it is.
func TestUnionChain(t *testing.T) {
	fed := federation(t, "omop")
	chain := func(n int, operator, arm string) string {
		return strings.Repeat(arm+" "+operator+" ", n-1) + arm
	}
	compose := func(sql string) (*Program, error) {
		return Compose(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}}, fed)
	}
	for _, operator := range []string{"UNION", "UNION ALL"} {
		const arm = "SELECT person_id, visit_start_date AS d FROM visit_occurrence"
		p, err := compose("SELECT COUNT(*) FROM (" + chain(relational.MaxQueryTerms, operator, arm) + ") e")
		if err != nil {
			t.Fatal(err)
		}
		d := p.Releases[0].Fragment.Relations[0].Query
		if len(d.Inputs) != relational.MaxQueryTerms || d.SetOp != fragment.SetOp(strings.ToLower(operator)) {
			t.Errorf("%d arms, %s", len(d.Inputs), d.SetOp)
		}
	}
	p, err := compose(chain(maxReleases, "UNION ALL", "SELECT COUNT(*) AS n FROM death"))
	if err != nil || len(p.Releases) != maxReleases {
		t.Errorf("%v, not %d releases", err, maxReleases)
	}
	p, err = compose("SELECT SUM(n) FROM (" + chain(40, "UNION ALL", "SELECT COUNT(*) AS n FROM death") + ") c")
	if err != nil || len(p.Releases) != 40 {
		t.Errorf("%v, not 40 releases", err)
	}
	for _, long := range []string{
		"SELECT COUNT(*) FROM (" + chain(relational.MaxQueryTerms+1, "UNION", "SELECT person_id FROM death") + ") e",
		chain(maxReleases+1, "UNION ALL", "SELECT COUNT(*) AS n FROM death"),
		"SELECT COUNT(*) FROM " + strings.Repeat("(SELECT * FROM ", relational.MaxQueryDepth+1) + "death" + strings.Repeat(") a", relational.MaxQueryDepth+1),
	} {
		_, err := compose(long)
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != CodeTooLarge {
			t.Errorf("%.60s…: %v", long, err)
		}
	}
}

// TestDeepChains plans a query with as many steps of WITH as queries may nest, whatever the steps do.
func TestDeepChains(t *testing.T) {
	fed := federation(t, "omop")
	for step, most := range map[string]int{
		"SELECT * FROM before": 1,
		"SELECT person_id, d FROM before WHERE d > DATE '2001-02-03'":                                                                              1,
		"SELECT person_id, d + INTERVAL '1 day' AS d FROM before":                                                                                  relational.MaxQueryDepth,
		"SELECT person_id, MAX(d) AS d FROM before GROUP BY person_id":                                                                             3 * relational.MaxQueryDepth,
		"SELECT person_id, LAG(d) OVER (PARTITION BY person_id ORDER BY d) AS d FROM before":                                                       3 * relational.MaxQueryDepth,
		"SELECT person_id, d FROM (SELECT person_id, MIN(d) OVER (PARTITION BY person_id) AS d, COUNT(*) AS n FROM before GROUP BY 1, before.d) s": 3 * relational.MaxQueryDepth,
		"SELECT person_id, d FROM before WHERE d > (SELECT MIN(death_date) FROM death x WHERE x.person_id = before.person_id)":                     3 * relational.MaxQueryDepth,
	} {
		length := relational.MaxQueryDepth - 1
		if strings.Contains(step, "(SELECT") {
			length = relational.MaxQueryDepth - 2
		}
		if strings.Contains(step, "(SELECT person_id, MIN") {
			length = relational.MaxQueryDepth/2 - 1
		}
		sql := "WITH a0 AS (SELECT person_id, visit_start_date AS d FROM visit_occurrence)"
		for i := range length {
			sql += fmt.Sprintf(", a%d AS (%s)", i+1, strings.ReplaceAll(step, "before", "a"+strconv.Itoa(i)))
		}
		sql += fmt.Sprintf(" SELECT COUNT(*) FROM a%d WHERE d > DATE '2002-02-03'", length)
		p, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}}, fed)
		if err != nil {
			t.Errorf("%s: %v", step, err)
			continue
		}
		deep, at := 0, p.Releases[0].Fragment.Relations[0].Query
		for ; at != nil && len(at.Relations) > 0; deep++ {
			at = at.Relations[0].Query
		}
		if deep > most {
			t.Errorf("%s: %d levels, not %d", step, deep, most)
		}
	}
}

// TestChainsOfWITH plans chains of WITH in which each query reads the one before it several times, so that the number
// of reads grows exponentially. Planning must end soon, whatever they read.
func TestChainsOfWITH(t *testing.T) {
	fed := federation(t, "omop")
	const released = "(SELECT gender_concept_id AS g, COUNT(*) AS n FROM person GROUP BY 1) r"
	for _, base := range []string{
		"SELECT 1 AS x",
		"VALUES (1), (2)",
		"SELECT concept_id FROM concept",
		"SELECT person_id FROM death",
		"SELECT gender_concept_id FROM person GROUP BY 1 HAVING COUNT(*) > 100",
	} {
		for _, step := range []string{
			"SELECT p.x FROM before p JOIN before q ON p.x = q.x JOIN before r ON p.x = r.x JOIN before s ON p.x = s.x",
			"SELECT x FROM before UNION SELECT x FROM before EXCEPT SELECT x FROM before",
			"SELECT x FROM before WHERE x IN (SELECT x FROM before) AND x IN (SELECT x + 1 FROM before)",
		} {
			for _, last := range []string{
				"SELECT COUNT(*) FROM death JOIN last ON x = person_id",
				"SELECT r.n FROM " + released + " JOIN last ON x = r.g",
				"SELECT x FROM last",
			} {
				for _, length := range []int{7, 14} {
					sql := "WITH a0 (x) AS (" + base + ")"
					for i := range length {
						sql += fmt.Sprintf(", a%d (x) AS (%s)", i+1, strings.ReplaceAll(step, "before", "a"+strconv.Itoa(i)))
					}
					sql += " " + strings.ReplaceAll(last, "last", "a"+strconv.Itoa(length))
					began := cputime.Used(t)
					_, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}}, fed)
					if e := new(Error); errors.As(err, &e) && e.Code == CodeSyntax {
						t.Errorf("%v: %s", err, sql)
					}
					if took := cputime.Used(t) - began; took > time.Second*cputime.Slowness {
						t.Errorf("after %v: %v: %s", took, err, sql)
					}
				}
			}
		}
	}
}
