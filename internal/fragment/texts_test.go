package fragment

import (
	"errors"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/value"
)

// TestTexts uses up the limit on the texts of one row with derived relations that are each within it.
func TestTexts(t *testing.T) {
	c := testCatalog(t)
	grown := func(n int) *expr.Expr {
		e := expr.Column("person", "sex", value.TypeText)
		for range n {
			e = exprtest.New(t, expr.OpConcat, e, e)
		}
		return e
	}
	d := &Query{Relations: []Relation{{Name: "person", Table: "person"}}, Patient: "id", Columns: []Output{{Name: "id", Expr: personID("person")}}}
	for i := range 20 {
		d.Columns = append(d.Columns, Output{Name: "s" + strings.Repeat("x", i), Expr: grown(3)})
	}
	if _, err := d.Table("d", c, NewMemo(expr.NewBudget())); err != nil {
		t.Fatal(err)
	}
	var relations []Relation
	for i := range 20 {
		name := "d" + strings.Repeat("x", i)
		r := Relation{Name: name, Query: d}
		if i > 0 {
			r.Join, r.On = JoinInner, eq(t, personID("d"), personID(name))
		}
		relations = append(relations, r)
	}
	if _, err := NewScope(relations, c); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "characters in all") {
		t.Errorf("texts of %d columns: %v", 20*20, err)
	}
}
