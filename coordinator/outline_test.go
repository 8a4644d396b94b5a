package coordinator

import (
	"errors"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/planner"
)

// An outline asks nobody, and knows what fits a parameter's place.
func TestOutline(t *testing.T) {
	f := newFederation(t, nil)
	for sql, want := range map[string]string{
		"SELECT COUNT(*) AS n FROM person":                                          "-> n",
		"SELECT COUNT(*) AS n FROM person WHERE age > ?":                            "1 int -> n",
		"SELECT COUNT(*) AS n FROM person WHERE sex = :s AND age BETWEEN :a AND :b": "s text, a int, b int -> n",
		"SELECT AVG(age) AS mean FROM person WHERE city = $1":                       "1 text -> mean",
		"SELECT sex, COUNT(*) AS n FROM person GROUP BY sex LIMIT ?":                "1 int -> sex n",
	} {
		o, err := f.Outline(asker("alice"), Request{SQL: sql, Study: "s"})
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		var parameters, columns []string
		for _, p := range o.Parameters {
			parameters = append(parameters, p.Name+" "+string(p.Type))
		}
		for _, c := range o.Columns {
			columns = append(columns, c.Name)
		}
		got := strings.TrimSpace(strings.Join(parameters, ", ") + " -> " + strings.Join(columns, " "))
		if got != want {
			t.Errorf("%s: %s, not %s", sql, got, want)
		}
	}
	for sql, code := range map[string]planner.Code{
		"SELECT COUNT(*) FROM nothing WHERE x = ?": planner.CodeTable, "SELECT city FROM person WHERE age = ?": planner.CodeRowLevel, "SELECT COUNT(* FROM": planner.CodeSyntax,
	} {
		if _, err := f.Outline(asker("alice"), Request{SQL: sql, Study: "s"}); !errors.Is(err, Code(code)) {
			t.Errorf("%s: %v, not %s", sql, err, code)
		}
	}
}
