package planner

import (
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// distinct plans COUNT(DISTINCT patient), also as COUNT(DISTINCT CASE WHEN c THEN patient END). It returns the
// condition c, or nil if every row counts.
func (b *builder) distinct(t *syntax.Expr) *expr.Expr {
	x := t.Args[0]
	hint := "write COUNT(DISTINCT patient), which counts patients; or name the values: WHERE x IN (…); or count the values that enough of them have: " +
		"SELECT COUNT(*) FROM (SELECT x, COUNT(*) AS n FROM … GROUP BY x) g"
	switch t.Name {
	case "count":
	case "sum", "avg":
		refuse(CodeNotSupported, t.At, "write CLAMP(x, low, high) of whole numbers that are not far apart; or "+strings.ToUpper(t.Name)+"(x) over (SELECT DISTINCT patient, x FROM …), where each patient's count",
			"%s(DISTINCT x) is answered where at most %d values of x are known beforehand", strings.ToUpper(t.Name), distinctLimit)
	default:
		refuse(CodeNotSupported, t.At, "write "+strings.ToUpper(t.Name)+"(x) over (SELECT DISTINCT patient, x FROM …)", "%s(DISTINCT …) is not answered", strings.ToUpper(t.Name))
	}
	if x.Kind == syntax.Operator && x.Name == "case" && len(x.Args) <= 3 {
		if len(x.Args) == 3 && (x.Args[2].Kind != syntax.Literal || x.Args[2].Literal.Valid()) {
			refuse(CodeNotSupported, x.Args[2].At, "leave out ELSE", "patients are counted where the condition holds")
		}
		condition := b.Condition(x.Args[0], "CASE WHEN")
		if present := b.patientColumn(x.Args[1], hint); present != nil {
			condition = scalar.Apply(x.At, expr.OpAnd, condition, present)
		}
		return condition
	}
	return b.patientColumn(x, hint)
}

// patientColumn checks that the term is the patient's id. It returns the condition under which the id is not NULL, or
// nil if it never is.
func (b *builder) patientColumn(t *syntax.Expr, hint string) *expr.Expr {
	if t.Kind == syntax.Column && t.Qualifier == "" && t.Name == "patient" && !b.IsColumn(t) {
		return nil
	}
	e := b.Row(t)
	if e.Op == expr.OpColumn {
		s := b.Of(e.Relation)
		if b.IsPatientID(s, e.Column) {
			if s.Join != fragment.JoinLeft {
				return nil
			}
			return scalar.Apply(t.At, expr.OpNot, scalar.Apply(t.At, expr.OpIsNull, e))
		}
	}
	if b.IsKey(e) {
		hint = "ask for COUNT(DISTINCT " + t.Describe() + ") in a query of its own, without other aggregates"
	}
	refuse(CodeNotSupported, t.At, hint, "%s is neither the patient's id nor of values that are known beforehand", t.Describe())
	return nil
}
