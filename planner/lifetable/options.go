package lifetable

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Limits of the number of steps of a life table, and of steps shown.
const (
	maxSteps    = 20_000
	maxReported = 1000
)

// Options are the arguments after the query of a table function, option => number, in the unit of the subjects' time.
type Options struct {
	Horizon     float64 // the last time of interest
	Step, Every float64 // of KAPLAN_MEIER: the step of the curve and how often it is shown; Every 0 shows 20 times
	Per         float64 // of INCIDENCE_RATE: the person-time that the rate refers to
}

// ReadOptions reads the options of KAPLAN_MEIER or INCIDENCE_RATE. It refuses other functions and calls without a
// query.
func ReadOptions(t *syntax.Expr) Options {
	name := strings.ToUpper(t.Name)
	if t.Name != "kaplan_meier" && t.Name != "incidence_rate" {
		syntax.Refuse(syntax.CodeFunction, t.At, syntax.Nearest(t.Name, []string{"kaplan_meier", "incidence_rate"}), "there is no table function %s", name)
	}
	if len(t.Args) == 0 || t.Args[0].Kind != syntax.Subquery {
		syntax.Refuse(syntax.CodeSyntax, t.At, "write "+name+"((SELECT time, event, strata … FROM …), option => value)", "%s takes a query", name)
	}
	options := map[string]float64{"horizon": 0, "step": 1, "every": 0}
	if t.Name == "incidence_rate" {
		options = map[string]float64{"horizon": 0, "per": 1}
	}
	known := slices.Sorted(maps.Keys(options))
	for _, a := range t.Args[1:] {
		if a.Kind != syntax.Operator || a.Name != "=>" || a.Args[1].Kind != syntax.Literal || !a.Args[1].Literal.Type().Numeric() {
			syntax.Refuse(syntax.CodeSyntax, a.At, "write option => number; the options are "+strings.Join(known, ", "), "this is no option")
		}
		if _, ok := options[a.Args[0].Name]; !ok {
			syntax.Refuse(syntax.CodeParameter, a.Args[0].At, syntax.Nearest(a.Args[0].Name, known), "%s has no option %s", name, a.Args[0].Name)
		}
		x := a.Args[1].Literal.Float64()
		if !(x > 0) || x > 1e9 {
			syntax.Refuse(syntax.CodeParameter, a.Args[1].At, "give a number above 0", "%s is out of range", a.Args[0].Name)
		}
		options[a.Args[0].Name] = x
	}
	if options["horizon"] == 0 {
		syntax.Refuse(syntax.CodeBounds, t.At, "add horizon => the last time of interest, in the unit of time", "%s needs a horizon, since the largest time is a private value", name)
	}
	return Options{Horizon: options["horizon"], Step: options["step"], Every: options["every"], Per: options["per"]}
}

// Table is the life table that KAPLAN_MEIER asks for; at is its position in the text.
func (o Options) Table(at syntax.Position) estimate.LifeTable {
	steps, every := math.Ceil(o.Horizon/o.Step), o.Every
	if every == 0 {
		every = o.Step * math.Ceil(steps/20)
	}
	if steps > maxSteps || o.Horizon/every > maxReported || every < o.Step || math.Mod(every, o.Step) != 0 {
		syntax.Refuse(syntax.CodeParameter, at, "give a larger step, or an every that is a multiple of it", "a life table has at most %d steps and shows at most %d", maxSteps, maxReported)
	}
	return estimate.LifeTable{Steps: int(steps), Step: o.Step, Every: every}
}
