package fragment

import (
	"errors"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/value"
)

func TestCut(t *testing.T) {
	for _, s := range []string{"", "a", "abc", "éé", "😀😀😀", "a😀é"} {
		for n := range 5 {
			want := string([]rune(s)[:min(n, len([]rune(s)))])
			if got := Cut(value.Text(s), n); got != value.Text(want) {
				t.Errorf("the first %d of %q are %q", n, s, got.Str())
			}
		}
	}
	if got := Cut(value.Null(value.TypeText), 0); !got.IsNull() {
		t.Errorf("a NULL is cut to %v", got)
	}
}

// TestLongest grows a text again and again, and compares its length with what is said beforehand.
func TestLongest(t *testing.T) {
	x := Column("p", "s", value.TypeText)
	row := func(*Expr) value.Value { return value.Text(strings.Repeat("x", 2*MaxText)) }
	grow := map[string]func(e *Expr) *Expr{
		"concat":  func(e *Expr) *Expr { return must(t, OpConcat, e, e) },
		"replace": func(e *Expr) *Expr { return must(t, OpReplace, e, text("x"), text(strings.Repeat("x", maxGrowth))) },
		"case":    func(e *Expr) *Expr { return must(t, OpCase, Literal(value.Bool(true)), e, x) },
		"lower":   func(e *Expr) *Expr { return must(t, OpLower, e) },
	}
	for name, f := range grow {
		e := x
		for range 6 {
			e = f(e)
			if n := len(Evaluate(e, row).Str()); n > e.Longest() || e.Grows() && n > MaxGrown {
				t.Errorf("%s: %d characters, and at most %d are expected", name, n, e.Longest())
			}
		}
	}
	if _, err := New(OpReplace, x, text("x"), text(strings.Repeat("x", maxGrowth+1))); !errors.Is(err, ErrExpression) {
		t.Errorf("a longer replacement gives %v", err)
	}
}

// TestTexts spends what texts one row may make, over derived relations that are each within the limit.
func TestTexts(t *testing.T) {
	c := testCatalog(t)
	grown := func(n int) *Expr {
		e := Column("person", "sex", value.TypeText)
		for range n {
			e = must(t, OpConcat, e, e)
		}
		return e
	}
	d := &Derived{Relations: []Relation{{Name: "person", Table: "person"}}, Patient: "id", Columns: []Output{{Name: "id", Expr: personID("person")}}}
	for i := range 20 {
		d.Columns = append(d.Columns, Output{Name: "s" + strings.Repeat("x", i), Expr: grown(3)})
	}
	if _, err := d.Table("d", c, NewBudget()); err != nil {
		t.Fatal(err)
	}
	var relations []Relation
	for i := range 20 {
		name := "d" + strings.Repeat("x", i)
		r := Relation{Name: name, Derived: d}
		if i > 0 {
			r.Join, r.On = JoinInner, eq(t, personID("d"), personID(name))
		}
		relations = append(relations, r)
	}
	if _, err := NewScope(relations, c); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "characters in all") {
		t.Errorf("texts of %d columns: %v", 20*20, err)
	}
}

func text(s string) *Expr { return Literal(value.Text(s)) }
