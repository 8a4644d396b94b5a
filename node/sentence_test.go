package node

import (
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// Whatever the length of one part, the ledger's sentence has the conditions and the grouping.
func TestSentenceHasEachPart(t *testing.T) {
	r := request(testCatalog(t), 0.25)
	sex := expr.Column("patient", "sex", value.TypeText)
	r.Fragment.Filter = operation(t, expr.OpEqual, sex, expr.Literal(value.Text("F")))
	for range 500 {
		r.Fragment.Relations = append(r.Fragment.Relations, fragment.Relation{Name: "visit", Table: "visit", On: r.Fragment.Filter})
	}
	got := sentence(r)
	for _, want := range []string{"Asks for the number of patients", ", from patient", " …, where patient.sex = 'F', for each patient.sex; laplace noise of epsilon 0.25."} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
	if len(got) > maxSentence {
		t.Errorf("%d bytes", len(got))
	}
	r.Fragment.Filter = operation(t, expr.OpEqual, sex, expr.Literal(value.Text(strings.Repeat("é\x00", 5000))))
	if got := sentence(r); len(got) > maxSentence || !strings.Contains(got, " …, for each patient.sex;") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}
