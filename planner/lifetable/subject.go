package lifetable

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Happened is the condition that the subject had the event. The event is a boolean, or an int that is 1.
func Happened(event *expr.Expr, at syntax.Position) *expr.Expr {
	if event.Type == value.TypeInt {
		return scalar.Apply(at, expr.OpEqual, event, expr.Literal(value.Int(1)))
	}
	if event.Type != value.TypeBool {
		syntax.Refuse(syntax.CodeType, at, "select a condition, or 1 and 0, as the second column", "the event is a %s", event.Type)
	}
	return event
}

// Back is the subject's bucket in either half of estimate.LifeTable's tree: how many steps its time x is before the
// horizon, at most table.Steps. It is 0 beyond the horizon. A subject without a time has no bucket: NULL.
func Back(x *expr.Expr, at syntax.Position, table estimate.LifeTable) *expr.Expr {
	if !x.Type.Numeric() {
		syntax.Refuse(syntax.CodeType, at, "select a number of days, such as a difference of dates, as the first column", "the time is a %s", x.Type)
	}
	whole := func(n float64) *expr.Expr { return expr.Literal(value.Int(int64(n))) }
	end := float64(table.Steps+1) * table.Step
	var bucket *expr.Expr
	if x.Type == value.TypeInt && table.Step == math.Trunc(table.Step) {
		// The time is clamped first, so that nothing overflows. A time beyond the horizon is in bucket 0.
		within := scalar.Apply(at, expr.OpLeast, scalar.Apply(at, expr.OpGreatest, x, whole(0)), whole(end))
		bucket = scalar.Apply(at, expr.OpIntDivide, scalar.Apply(at, expr.OpSubtract, whole(end), within), whole(table.Step))
	} else {
		within := scalar.Apply(at, expr.OpLeast, scalar.Apply(at, expr.OpGreatest, x, expr.Literal(value.Float(0))), expr.Literal(value.Float(end)))
		rest := scalar.Apply(at, expr.OpDivide, scalar.Apply(at, expr.OpSubtract, expr.Literal(value.Float(end)), within), expr.Literal(value.Float(table.Step)))
		floor, err := expr.Cast(scalar.Apply(at, expr.OpFloor, rest), value.TypeInt)
		if err != nil {
			scalar.Mistyped(at, err, "")
		}
		bucket = floor
	}
	bucket = scalar.Apply(at, expr.OpLeast, bucket, whole(float64(table.Steps)))
	return scalar.Apply(at, expr.OpCase, scalar.Apply(at, expr.OpIsNull, x), expr.Literal(value.Null(value.TypeInt)), bucket)
}

// Incidence lists the items that INCIDENCE_RATE returns after the strata: the events, the person-time, and o.Per times
// their quotient. A subject's time counts up to the horizon.
func (o Options) Incidence(time, event *syntax.Expr, at syntax.Position) []syntax.Item {
	number := func(x float64) *syntax.Expr {
		literal := value.Float(x)
		if x == math.Trunc(x) {
			literal = value.Int(int64(x))
		}
		return syntax.NewLiteral(at, literal)
	}
	call := func(name string, args ...*syntax.Expr) *syntax.Expr {
		return &syntax.Expr{Kind: syntax.Call, Name: name, At: at, Args: args}
	}
	happened := &syntax.Expr{Kind: syntax.Operator, Name: "case", At: at, Args: []*syntax.Expr{
		syntax.NewOperator("=", &syntax.Expr{Kind: syntax.Cast, At: at, Type: value.TypeInt, Args: []*syntax.Expr{event}}, number(1)),
		number(1), number(0),
	}}
	events, personTime := call("sum", happened), call("sum", call("clamp", time, number(0), number(o.Horizon)))
	rate := syntax.NewOperator(syntax.Divide, syntax.NewOperator("*", number(o.Per), events), personTime)
	return []syntax.Item{{Term: events, Alias: "events"}, {Term: personTime, Alias: "person_time"}, {Term: rate, Alias: "rate"}}
}

// Grouped is GROUP BY all strata; nil if there are none.
func Grouped(strata []syntax.Item) [][]*syntax.Expr {
	if len(strata) == 0 {
		return nil
	}
	var keys []*syntax.Expr
	for _, i := range strata {
		keys = append(keys, i.Term)
	}
	return [][]*syntax.Expr{slices.Clip(keys)}
}
