package enginetest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
	"golang.org/x/sync/errgroup"
)

// expressions compares the engine with expr.Evaluate, value by value and bit by bit, for random expressions over nasty
// rows. Nothing may raise an error.
func (k Kind) expressions(t *testing.T) {
	c := testcatalog.Parse(t, nastyCatalog)
	table := k.nastyTable(300)
	e := k.Open(t, c, "a secret of the node, for tests only", table)
	rows := read(c, table)
	n := k.times(3000)
	if s, err := strconv.Atoi(os.Getenv("ENGINE_EXPRESSIONS")); err == nil {
		n = s
	}
	g := generator{rand.New(rand.NewPCG(3, uint64(n)))}
	const together = 8
	var tooLarge atomic.Int64
	check := func(exprs ...*expr.Expr) error {
		err := k.differ(t, e, rows, exprs...)
		if errors.Is(err, compile.ErrTooLarge) {
			tooLarge.Add(1)
			return nil
		}
		return err
	}
	var flight errgroup.Group
	flight.SetLimit(k.Together)
	for done := 0; done < n && !t.Failed(); done += together {
		var exprs []*expr.Expr
		for range together {
			exprs = append(exprs, g.expr(pick(g, allTypes...), 1+g.IntN(4)))
		}
		flight.Go(func() error {
			if check(exprs...) == nil {
				return nil
			}
			for _, x := range exprs {
				if err := check(x); err != nil {
					x, err = k.smallest(t, e, rows, x, err)
					t.Errorf("%s: %v", x, err)
					return nil
				}
			}
			t.Error("expressions fail together, and not each alone")
			return nil
		})
	}
	flight.Wait()
	if tooLarge.Load()*20 > int64(n/together) {
		t.Errorf("%d of %d queries are too large to compile", tooLarge.Load(), n/together)
	}
}

// transcendental: operations that engines do not compute to the last bit, and SQRT, agree with expr.Evaluate to a few
// units in the last place, whatever the row has, and nothing raises an error.
func (k Kind) transcendental(t *testing.T) {
	c := testcatalog.Parse(t, nastyCatalog)
	table := k.nastyTable(300)
	e := k.Open(t, c, "a secret of the node, for tests only", table)
	rows := read(c, table)
	column := func(name string) *expr.Expr { return expr.Column("T", name, value.TypeFloat) }
	number := func(x float64) *expr.Expr { return expr.Literal(value.Float(x)) }
	whole := expr.Column("T", "i", value.TypeInt)
	for _, x := range []*expr.Expr{column("f"), column("fb"), whole} {
		var exprs []*expr.Expr
		for _, s := range signatures {
			float := !slices.ContainsFunc(s.Args, func(t value.Type) bool { return t != value.TypeFloat })
			switch {
			case !float || s.Op.Exact() && s.Op != expr.OpSqrt:
			case len(s.Args) == 1:
				exprs = append(exprs, op(s.Op, x))
			default:
				for _, y := range []*expr.Expr{column("g"), number(2), number(-1), number(0.5), number(0), number(1e9), whole} {
					exprs = append(exprs, op(s.Op, x, y), op(s.Op, y, x))
				}
			}
		}
		for some := range slices.Chunk(exprs, 6) {
			if err := k.near(t, e, rows, 1e-12, some...); err != nil {
				t.Error(err)
			}
		}
	}
}

// smallest finds the smallest failing part of a failing expression.
func (k Kind) smallest(t *testing.T, e Engine, rows []map[string]value.Value, x *expr.Expr, err error) (*expr.Expr, error) {
	for _, a := range x.Args {
		if err := k.differ(t, e, rows, a); err != nil {
			return k.smallest(t, e, rows, a, err)
		}
	}
	return x, err
}

// differ reports how the engine's values of expressions differ from Evaluate's. The values come as keys of groups,
// beside the row's number.
func (k Kind) differ(t *testing.T, e Engine, rows []map[string]value.Value, exprs ...*expr.Expr) error {
	t.Helper()
	return k.compare(t, e, rows, 0, exprs...)
}

// near is differ with a tolerance, relative to the expected number.
func (k Kind) near(t *testing.T, e Engine, rows []map[string]value.Value, tolerance float64, exprs ...*expr.Expr) error {
	t.Helper()
	return k.compare(t, e, rows, tolerance, exprs...)
}

func (k Kind) compare(t *testing.T, e Engine, rows []map[string]value.Value, tolerance float64, exprs ...*expr.Expr) error {
	t.Helper()
	c := testcatalog.Parse(t, nastyCatalog)
	id := expr.Column("T", "id", value.TypeInt)
	f := &fragment.Fragment{Relations: []fragment.Relation{{Name: "T", Table: "t"}}, Patient: id, Norm: fragment.L2, MaxGroups: 1, MaxRows: 1,
		Keys: []fragment.Key{{Expr: id}}, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}}}
	for _, x := range exprs {
		f.Keys = append(f.Keys, fragment.Key{Expr: x})
	}
	_, keys, p, err := partials(t, e, c, f)
	text, _, compileError := e.Compile(f, p)
	if compileError != nil {
		return compileError
	}
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause
		}
		return fmt.Errorf("%w\n%.4000s", err, text)
	}
	if len(keys) != len(rows) {
		return fmt.Errorf("%d rows, not %d\n%s", len(keys), len(rows), text)
	}
	for _, got := range keys {
		row := rows[got[0].Int64()]
		for i, x := range exprs {
			want := expr.Cut(evaluate(x, row), expr.MaxKey)
			close := !got[i+1].IsNull() && !want.IsNull() && math.Abs(got[i+1].Float64()-want.Float64()) <= tolerance*math.Abs(want.Float64())
			if got[i+1] != want && !close && !(k.Narrow && extreme(x, row)) {
				return fmt.Errorf("%v of row %d is %v, want %v\n%v\n%.4000s", x, got[0].Int64(), got[i+1], want, row, text)
			}
		}
	}
	return nil
}

func evaluate(x *expr.Expr, row map[string]value.Value) value.Value {
	return expr.Evaluate(x, func(col *expr.Expr) value.Value {
		if col.Op == expr.OpHospital {
			return value.Text(Hospital)
		}
		return row[col.Column]
	})
}

// extreme reports whether an expression or a part of it comes near the limits of float64.
func extreme(x *expr.Expr, row map[string]value.Value) bool {
	if v := evaluate(x, row); v.Type() == value.TypeFloat && !v.IsNull() {
		if m := math.Abs(v.Float64()); m > 8e307 || m > 0 && m < 2e-150 {
			return true
		}
	}
	for _, a := range x.Args {
		if extreme(a, row) {
			return true
		}
	}
	return false
}
