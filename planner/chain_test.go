package planner

import (
	"errors"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/fragment"
)

// A chain of UNIONs is one level of queries, and one combination, however long.
func TestUnionChain(t *testing.T) {
	fed := federation(t, "omop")
	chain := func(n int, operator, arm string) string {
		return strings.Repeat(arm+" "+operator+" ", n-1) + arm
	}
	compose := func(sql string) (*Program, error) {
		return Compose(Query{SQL: sql, Epsilon: 1, Delta: 1e-6}, fed)
	}
	for _, operator := range []string{"UNION", "UNION ALL"} {
		const arm = "SELECT person_id, visit_start_date AS d FROM visit_occurrence"
		p, err := compose("SELECT COUNT(*) FROM (" + chain(maxQueryTerms, operator, arm) + ") e")
		if err != nil {
			t.Fatal(err)
		}
		d := p.Releases[0].Fragment.Relations[0].Derived
		if len(d.Arms) != maxQueryTerms || d.Combine != fragment.Combine(strings.ToLower(operator)) {
			t.Errorf("%d arms, %s", len(d.Arms), d.Combine)
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
		"SELECT COUNT(*) FROM (" + chain(maxQueryTerms+1, "UNION", "SELECT person_id FROM death") + ") e",
		chain(maxReleases+1, "UNION ALL", "SELECT COUNT(*) AS n FROM death"),
		"SELECT COUNT(*) FROM " + strings.Repeat("(SELECT * FROM ", maxQueryDepth) + "death" + strings.Repeat(") a", maxQueryDepth),
	} {
		_, err := compose(long)
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != CodeTooLarge {
			t.Errorf("%.60s…: %v", long, err)
		}
	}
}
