package expr

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
		"concat": func(e *Expr) *Expr { return must(t, OpConcat, e, e) },
		"replace": func(e *Expr) *Expr {
			return must(t, OpReplace, e, str("x"), str(strings.Repeat("x", maxGrowth)))
		},
		"case":  func(e *Expr) *Expr { return must(t, OpCase, Literal(value.Bool(true)), e, x) },
		"lower": func(e *Expr) *Expr { return must(t, OpLower, e) },
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
	if _, err := New(OpReplace, x, str("x"), str(strings.Repeat("x", maxGrowth+1))); !errors.Is(err, ErrExpression) {
		t.Errorf("a longer replacement gives %v", err)
	}
}
