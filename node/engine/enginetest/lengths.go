package enginetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

// lengths compares operations on texts with Evaluate for texts whose lengths are at the limits, a little longer, and
// far beyond.
func (k Kind) lengths(t *testing.T) {
	c := testcatalog.Parse(t, nastyCatalog)
	table := Table{Name: "t", Columns: []Column{{"id", value.TypeInt}, {"s", value.TypeText}, {"u", value.TypeText}}}
	for _, letters := range []string{"x", "é", "😀x", "aB c"} {
		for _, n := range []int{0, 1, expr.MaxKey - 1, expr.MaxKey, expr.MaxKey + 1, expr.MaxGrown - 1, expr.MaxGrown, expr.MaxGrown + 1, 2 * expr.MaxGrown,
			expr.MaxText - 1, expr.MaxText, expr.MaxText + 1, 2*expr.MaxText + 7} {
			if n > 2*expr.MaxGrown && k.Slow {
				continue
			}
			text := string([]rune(strings.Repeat(letters, n))[:n])
			table.Rows = append(table.Rows, []any{int64(len(table.Rows)), text + "1", text})
		}
	}
	for i, c := range c.Tables[0].Columns { // the others are NULL
		if i > 0 && c.Name != "s" && c.Name != "u" {
			table.Columns = append(table.Columns, Column{c.Name, c.Type})
			for r := range table.Rows {
				table.Rows[r] = append(table.Rows[r], nil)
			}
		}
	}
	e := k.Open(t, c, "a secret of the node, for tests only", table)
	rows := read(c, table)
	s, u, none := expr.Column("T", "s", value.TypeText), expr.Column("T", "u", value.TypeText), expr.Literal(value.Null(value.TypeText))
	of := map[string]*expr.Expr{
		"itself": s, "lower": op(expr.OpLower, s), "upper": op(expr.OpUpper, s), "concat": op(expr.OpConcat, s, u), "concat of one short": op(expr.OpConcat, str("-"), u),
		"concat of many": op(expr.OpConcat, s, str("-"), u, op(expr.OpUpper, s), s, s, s, s, s, s), "replace by more": op(expr.OpReplace, s, str("x"), str(strings.Repeat("y", 64))),
		"replace by as many": op(expr.OpReplace, s, str("x"), str("y")), "replace by less": op(expr.OpReplace, s, str("xx"), str("é")),
		"left trim": op(expr.OpLeftTrim, u, str("x")), "right trim": op(expr.OpRightTrim, s, str("1")), "split": op(expr.OpSplit, s, str("1"), integer(1)),
		"substring": op(expr.OpSubstring, s, integer(10), integer(1<<31-1)), "case": op(expr.OpCase, op(expr.OpIsNull, s), none, s),
		"coalesce": op(expr.OpCoalesce, none, s), "least": op(expr.OpLeast, s, u), "greatest": op(expr.OpGreatest, s, u), "cast": must(expr.Cast(s, value.TypeText)),
	}
	grown := s
	for range 6 {
		grown = op(expr.OpReplace, grown, str("x"), str(strings.Repeat("x", 64)))
	}
	of["replace again and again"] = grown
	for name, x := range of {
		exprs := []*expr.Expr{x, op(expr.OpLength, x), op(expr.OpPosition, str("1"), x), op(expr.OpLike, x, str("%1")), op(expr.OpLike, x, str("%x_%1")),
			op(expr.OpRegexp, x, str("1$")), op(expr.OpEqual, x, s), op(expr.OpLess, u, x), op(expr.OpIn, x, str("x1"), str("")), op(expr.OpDistinct, x, u),
			must(expr.Cast(x, value.TypeInt)), must(expr.Cast(x, value.TypeFloat)), must(expr.Cast(x, value.TypeDate))}
		for i := 0; i < len(exprs); i += 6 {
			if err := k.differ(t, e, rows, exprs[i:min(i+6, len(exprs))]...); err != nil {
				t.Errorf("%s: %.3000s", name, fmt.Sprint(err))
			}
		}
	}
}

// multiplicity counts the rows of a public table that agree.
func (k Kind) multiplicity(t *testing.T) {
	table := Table{Name: "kinds", Columns: wardColumns["kinds"]}
	for i, label := range []any{"p", "q", "p", nil, "p", nil, nil, nil, "q"} {
		table.Rows = append(table.Rows, []any{string(rune('a' + i)), label})
	}
	e := k.Open(t, testcatalog.Parse(t, WardCatalog), "a secret of the node, for tests only", table, Table{Name: "person", Columns: wardColumns["person"]}, Table{Name: "event", Columns: wardColumns["event"]})
	of, ok := e.(interface {
		Multiplicity(ctx context.Context, table string, columns []string) (float64, error)
	})
	if !ok {
		t.Fatal("the engine does not tell of public tables")
	}
	for _, at := range []struct {
		columns []string
		want    float64
	}{{nil, 9}, {[]string{"label"}, 3}, {[]string{"kind"}, 1}, {[]string{"kind", "label"}, 1}} {
		if got, err := of.Multiplicity(t.Context(), "kinds", at.columns); err != nil || got != at.want {
			t.Errorf("rows that agree in %v: %g, %v; want %g", at.columns, got, err, at.want)
		}
	}
}
