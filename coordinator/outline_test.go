package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/planner"
)

// The outline and the explanation show what to know before paying: how many patients a group needs to be shown, who is
// away, which bias is expected, and whether an answer is free.
func TestWhatToKnowBeforePaying(t *testing.T) {
	f := newFederation(t, func(c *Config) { c.Require = Require{2} })
	const sql = "SELECT city, COUNT(*) FROM person GROUP BY city"
	request := Request{SQL: sql, Settings: Settings{Study: "s"}}
	q, err := f.plan(asker("alice"), read(request))
	must(t, err)
	threshold := fmt.Sprintf("shown from a noisy number of %d patients on", q.plan.Selection.Threshold)
	last := f.members[len(f.members)-1]
	f.members = f.members[:len(f.members)-1]
	o, err := f.Outline(t.Context(), asker("alice"), request)
	must(t, err)
	e, err := f.Explain(t.Context(), asker("alice"), request)
	must(t, err)
	for what, warnings := range map[string][]string{"outline": o.Warnings, "explanation": e.Warnings} {
		if !strings.Contains(strings.Join(warnings, "; "), threshold) {
			t.Errorf("the %s does not say %q: %q", what, threshold, warnings)
		}
	}
	if len(o.Away) != 1 || o.Away[0].Name != last.Name || len(e.Problems) != 1 || o.Stored || e.Stored {
		t.Errorf("away %v, %v; stored %v, %v", o.Away, e.Problems, o.Stored, e.Stored)
	}
	f.settled(t, 0) // and nothing was spent
	f.mustAsk(t, sql)
	o, err = f.Outline(t.Context(), asker("alice"), request)
	must(t, err)
	if !o.Stored {
		t.Error("the answer is stored, and the outline does not say so")
	}
	o, err = f.Outline(t.Context(), asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "s"}})
	must(t, err)
	if o.Stored || len(o.Warnings) != 0 {
		t.Errorf("another question: stored %v, warnings %q", o.Stored, o.Warnings)
	}
}

// An outline asks no hospital, and knows what fits a parameter's place.
func TestOutline(t *testing.T) {
	f := newFederation(t, nil)
	for sql, want := range map[string]string{
		"SELECT COUNT(*) AS n FROM person":                                          "-> n",
		"SELECT COUNT(*) AS n FROM person WHERE age > ?":                            "1 int -> n",
		"SELECT COUNT(*) AS n FROM person WHERE sex = :s AND age BETWEEN :a AND :b": "s text, a int, b int -> n",
		"SELECT AVG(age) AS mean FROM person WHERE city = $1":                       "1 text -> mean",
		"SELECT sex, COUNT(*) AS n FROM person GROUP BY sex LIMIT ?":                "1 int -> sex n",
		// A column's own type is chosen, even if another value would be accepted or the sample is refused.
		"SELECT COUNT(*) AS n FROM person WHERE age * 0.5 > $1":                                  "1 float -> n",
		"SELECT COUNT(*) AS n FROM person WHERE age * 0.5 = ANY($1) AND age = ANY($2)":           "1 float[], 2 int[] -> n",
		"SELECT sex, COUNT(*) AS n FROM person WHERE sex = ANY($1) AND age > $2 GROUP BY sex":    "1 text[], 2 int -> sex n",
		"SELECT COUNT(*) AS n FROM person WHERE MAKE_DATE(age, 1, 1) BETWEEN $1 AND $2 LIMIT $3": "1 date, 2 date, 3 int -> n",
	} {
		o, err := f.Outline(t.Context(), asker("alice"), Request{SQL: sql, Settings: Settings{Study: "s"}})
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		var parameters, columns []string
		for _, p := range o.Parameters {
			list := ""
			if p.Array {
				list = "[]"
			}
			parameters = append(parameters, p.Name+" "+string(p.Type)+list)
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
		if _, err := f.Outline(t.Context(), asker("alice"), Request{SQL: sql, Settings: Settings{Study: "s"}}); !errors.Is(err, Code(code)) {
			t.Errorf("%s: %v, not %s", sql, err, code)
		}
	}
}

// The plan is shown before anything is spent. Whoever cancels then has paid nothing.
func TestForewarned(t *testing.T) {
	f := newFederation(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	_, err := f.Forewarned(ctx, asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "s"}}, func(o *Outline) {
		told++
		if o.Stored || len(o.Columns) != 2 || o.Cost.Epsilon == 0 {
			t.Errorf("%+v", o)
		}
		cancel()
	})
	if e := wantCode(t, err, CodeCanceled); e.Charged || told != 1 || f.hospital("a").executed != 0 {
		t.Errorf("charged %v, told %d times, executed %d", e.Charged, told, f.hospital("a").executed)
	}
	f.mustAsk(t, bySex)
	a, err := f.Forewarned(t.Context(), asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "s"}}, func(o *Outline) {
		if !o.Stored {
			t.Error("the outline does not say that the answer is stored")
		}
	})
	must(t, err)
	if !a.Stored {
		t.Error("it was bought again")
	}
	if _, err := f.Forewarned(t.Context(), asker("alice"), Request{SQL: "SHOW BUDGET", Settings: Settings{Study: "s"}}, func(*Outline) { t.Error("SHOW is told of") }); err != nil {
		t.Error(err)
	}
}
