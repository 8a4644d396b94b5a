package expr_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/value"
)

func TestCut(t *testing.T) {
	for _, s := range []string{"", "a", "abc", "éé", "😀😀😀", "a😀é"} {
		for n := range 5 {
			want := string([]rune(s)[:min(n, len([]rune(s)))])
			if got := expr.Cut(value.Text(s), n); got != value.Text(want) {
				t.Errorf("the first %d of %q are %q", n, s, got.Str())
			}
		}
	}
	if got := expr.Cut(value.Null(value.TypeText), 0); !got.IsNull() {
		t.Errorf("a NULL is cut to %v", got)
	}
}

// TestLongest makes a text longer step by step, and compares its length with the bound that was computed before.
func TestLongest(t *testing.T) {
	x := expr.Column("p", "s", value.TypeText)
	row := func(*expr.Expr) value.Value { return value.Text(strings.Repeat("x", 2*expr.MaxText)) }
	grow := map[string]func(e *expr.Expr) *expr.Expr{
		"concat": func(e *expr.Expr) *expr.Expr { return exprtest.New(t, expr.OpConcat, e, e) },
		"replace": func(e *expr.Expr) *expr.Expr {
			return exprtest.New(t, expr.OpReplace, e, exprtest.Text("x"), exprtest.Text(strings.Repeat("x", expr.MaxGrowth)))
		},
		"case": func(e *expr.Expr) *expr.Expr {
			return exprtest.New(t, expr.OpCase, expr.Literal(value.Bool(true)), e, x)
		},
		"lower": func(e *expr.Expr) *expr.Expr { return exprtest.New(t, expr.OpLower, e) },
	}
	for name, f := range grow {
		e := x
		for range 6 {
			e = f(e)
			if n := len(expr.Evaluate(e, row).Str()); n > e.Longest() || e.Grows() && n > expr.MaxGrown {
				t.Errorf("%s: %d characters, and at most %d are expected", name, n, e.Longest())
			}
		}
	}
	if _, err := expr.New(expr.OpReplace, x, exprtest.Text("x"), exprtest.Text(strings.Repeat("x", expr.MaxGrowth+1))); !errors.Is(err, expr.ErrExpression) {
		t.Errorf("a longer replacement gives %v", err)
	}
}
