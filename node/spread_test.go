package node

import (
	"context"
	"errors"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

// TestSpread refuses joins with a public table that make too many rows, and asks the database once for each state of
// the data.
func TestSpread(t *testing.T) {
	c := testcatalog.Parse(t, catalogText+`  code:
    public: true
    key: [code, parent]
    columns:
      code: {type: text, nullable: false}
      parent: {type: text, nullable: false}
`)
	e := newEngine()
	s, p := &spreads{data: e, turn: func(context.Context) (func(), error) { return func() {}, nil }}, &policy{catalog: c}
	joined := func(n int, on func(name string) *expr.Expr) *fragment.Fragment {
		f := request(c, 1).Fragment
		for range n {
			name := "c" + string(rune('0'+len(f.Relations)))
			r := fragment.Relation{Name: name, Table: "code", Join: fragment.JoinCross}
			if on != nil {
				r.Join, r.On = fragment.JoinInner, on(name)
			}
			f.Relations = append(f.Relations, r)
		}
		return &f
	}
	byCode := func(name string) *expr.Expr {
		x, err := expr.New(expr.OpEqual, expr.Column(name, "code", value.TypeText), expr.Column("patient", "sex", value.TypeText))
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, at := range []struct {
		f       *fragment.Fragment
		version string
		refused bool
		asked   int32 // the number of questions to the database so far
	}{
		{joined(0, nil), "v1", false, 0},
		{joined(4, byCode), "v1", false, 1},
		{joined(5, byCode), "v1", true, 1},
		{joined(1, nil), "v1", true, 2},
		{joined(4, byCode), "v1", false, 2},
		{joined(4, byCode), "v2", false, 3},
	} {
		if _, err := fragment.Check(at.f, c); err != nil {
			t.Fatal(err)
		}
		err := s.check(t.Context(), p, at.f, &verified{version: at.version})
		if at.refused != errors.Is(err, CodeSpread) || !at.refused && err != nil || e.measured.Load() != at.asked {
			t.Errorf("%d tables: %v, and the database was asked %d times, not %d", len(at.f.Relations)-1, err, e.measured.Load(), at.asked)
		}
	}
}
