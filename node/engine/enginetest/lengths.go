package enginetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// lengths compares operations on texts with Evaluate where texts are as long as the limits, a little longer, and far beyond.
func (k Kind) lengths(t *testing.T) {
	c := parse(t, nastyCatalog)
	table := Table{Name: "t", Columns: []Column{{"id", value.TypeInt}, {"s", value.TypeText}, {"u", value.TypeText}}}
	for _, letters := range []string{"x", "é", "😀x", "aB c"} {
		for _, n := range []int{0, 1, fragment.MaxKey - 1, fragment.MaxKey, fragment.MaxKey + 1, fragment.MaxGrown - 1, fragment.MaxGrown, fragment.MaxGrown + 1, 2 * fragment.MaxGrown,
			fragment.MaxText - 1, fragment.MaxText, fragment.MaxText + 1, 2*fragment.MaxText + 7} {
			if n > 2*fragment.MaxGrown && k.Slow {
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
	s, u, none := fragment.Column("T", "s", value.TypeText), fragment.Column("T", "u", value.TypeText), fragment.Literal(value.Null(value.TypeText))
	of := map[string]*fragment.Expr{
		"itself": s, "lower": op(fragment.OpLower, s), "upper": op(fragment.OpUpper, s), "concat": op(fragment.OpConcat, s, u), "concat of one short": op(fragment.OpConcat, str("-"), u),
		"concat of many": op(fragment.OpConcat, s, str("-"), u, op(fragment.OpUpper, s), s, s, s, s, s, s), "replace by more": op(fragment.OpReplace, s, str("x"), str(strings.Repeat("y", 64))),
		"replace by as many": op(fragment.OpReplace, s, str("x"), str("y")), "replace by less": op(fragment.OpReplace, s, str("xx"), str("é")),
		"left trim": op(fragment.OpLeftTrim, u, str("x")), "right trim": op(fragment.OpRightTrim, s, str("1")), "split": op(fragment.OpSplit, s, str("1"), integer(1)),
		"substring": op(fragment.OpSubstring, s, integer(10), integer(1<<31-1)), "case": op(fragment.OpCase, op(fragment.OpIsNull, s), none, s),
		"coalesce": op(fragment.OpCoalesce, none, s), "least": op(fragment.OpLeast, s, u), "greatest": op(fragment.OpGreatest, s, u), "cast": must(fragment.Cast(s, value.TypeText)),
	}
	grown := s
	for range 6 {
		grown = op(fragment.OpReplace, grown, str("x"), str(strings.Repeat("x", 64)))
	}
	of["replace again and again"] = grown
	for name, x := range of {
		exprs := []*fragment.Expr{x, op(fragment.OpLength, x), op(fragment.OpPosition, str("1"), x), op(fragment.OpLike, x, str("%1")), op(fragment.OpLike, x, str("%x_%1")),
			op(fragment.OpRegexp, x, str("1$")), op(fragment.OpEqual, x, s), op(fragment.OpLess, u, x), op(fragment.OpIn, x, str("x1"), str("")), op(fragment.OpDistinct, x, u),
			must(fragment.Cast(x, value.TypeInt)), must(fragment.Cast(x, value.TypeFloat)), must(fragment.Cast(x, value.TypeDate))}
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
	e := k.Open(t, parse(t, WardCatalog), "a secret of the node, for tests only", table, Table{Name: "person", Columns: wardColumns["person"]}, Table{Name: "event", Columns: wardColumns["event"]})
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
