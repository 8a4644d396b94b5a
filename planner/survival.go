package planner

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// maxSteps bounds the steps of a life table, and reported ones.
const (
	maxSteps    = 20_000
	maxReported = 1000
)

// TableFunction plans a function in FROM, whose first argument is a query of one row a patient.
func (c *programPlanner) TableFunction(t *syntax.Expr, within *relational.Scope) *relational.Derived {
	name := strings.ToUpper(t.Name)
	if t.Name != "kaplan_meier" && t.Name != "incidence_rate" {
		refuse(CodeFunction, t.At, syntax.Nearest(t.Name, []string{"kaplan_meier", "incidence_rate"}), "there is no table function %s", name)
	}
	if len(t.Args) == 0 || t.Args[0].Kind != syntax.Subquery {
		refuse(CodeSyntax, t.At, "write "+name+"((SELECT time, event, strata … FROM …), option => value)", "%s takes a query", name)
	}
	options := map[string]float64{"horizon": 0, "step": 1, "every": 0}
	if t.Name == "incidence_rate" {
		options = map[string]float64{"horizon": 0, "per": 1}
	}
	var known []string
	for option := range options {
		known = append(known, option)
	}
	slices.Sort(known)
	for _, a := range t.Args[1:] {
		if a.Kind != syntax.Operator || a.Name != "=>" || a.Args[1].Kind != syntax.Literal || !a.Args[1].Literal.Type().Numeric() {
			refuse(CodeSyntax, a.At, "write option => number; the options are "+strings.Join(known, ", "), "this is no option")
		}
		if _, ok := options[a.Args[0].Name]; !ok {
			refuse(CodeParameter, a.Args[0].At, syntax.Nearest(a.Args[0].Name, known), "%s has no option %s", name, a.Args[0].Name)
		}
		x := a.Args[1].Literal.Float64()
		if !(x > 0) || x > 1e9 {
			refuse(CodeParameter, a.Args[1].At, "give a number above 0", "%s is out of range", a.Args[0].Name)
		}
		options[a.Args[0].Name] = x
	}
	if options["horizon"] == 0 {
		refuse(CodeBounds, t.At, "add horizon => the last time of interest, in the unit of time", "%s needs a horizon, since the largest time is a private value", name)
	}
	if t.Name == "incidence_rate" {
		return c.incidence(t, options, within)
	}
	return c.kaplanMeier(t, options, within)
}

// subjects plans the query that a table function reads, up to its keys: time, event,
// and the strata.
func (c *programPlanner) subjects(t *syntax.Expr, within *relational.Scope) (b *builder, timeColumn, event *syntax.Expr, strata []syntax.Item) {
	s := &syntax.Select{At: t.At, From: []syntax.From{{At: t.Args[0].At, Query: t.Args[0].Query, Alias: "subjects"}}}
	q := &syntax.Query{At: t.At, Select: s}
	rows := relational.New(c.federation.vocabulary(), within, nil)
	rows.Read(s)
	b = &builder{
		Resolver: rows, query: c.query, federation: c.federation, syntax: q,
		plan: &Plan{limit: -1}, fragment: &fragment.Fragment{Version: fragment.Oldest, Catalog: c.federation.digest()},
	}
	b.read()
	subjects := b.Sources[0]
	if !subjects.Schema.OneRowPerPatient {
		refuse(CodeNotSupported, t.Args[0].At, "GROUP BY the patient's id, or keep one row with ROW_NUMBER", "%s needs one row a patient", strings.ToUpper(t.Name))
	}
	if len(subjects.Named) < 2 {
		refuse(CodeType, t.Args[0].At, "select the time, the event, and then the strata, if any", "%s needs a time and an event", strings.ToUpper(t.Name))
	}
	// By number, since columns need no names to be read here.
	b.syntax.Select.From[0].Columns = nil
	for i := range subjects.Named {
		name := subjects.Named[i].Name
		subjects.Named[i].Name = subjectColumn(i)
		b.syntax.Select.From[0].Columns = append(b.syntax.Select.From[0].Columns, subjects.Named[i].Name)
		if c, _ := subjects.Schema.Column(subjects.Named[i].Column); i > 1 && !b.IsPatientID(subjects, c.Name) {
			strata = append(strata, syntax.Item{Term: b.numbered(t, i), Alias: name})
		}
	}
	return b, b.numbered(t, 0), b.numbered(t, 1), strata
}

// subjectColumn names the i-th column of the query that a table function reads, whatever the query calls it.
func subjectColumn(i int) string { return syntax.Internal(strconv.Itoa(i)) }

func (b *builder) numbered(t *syntax.Expr, i int) *syntax.Expr {
	return &syntax.Expr{Kind: syntax.Column, At: t.Args[0].At, Qualifier: "subjects", Name: subjectColumn(i)}
}

// happened is the condition that the subject had the event: a boolean, or 1.
func (b *builder) happened(event *syntax.Expr) *expr.Expr {
	e := b.Row(event)
	if e.Type == value.TypeInt {
		return scalar.Apply(event.At, expr.OpEqual, e, expr.Literal(value.Int(1)))
	}
	if e.Type != value.TypeBool {
		refuse(CodeType, event.At, "select a condition, or 1 and 0, as the second column", "the event is a %s", e.Type)
	}
	return e
}

func (c *programPlanner) kaplanMeier(t *syntax.Expr, options map[string]float64, within *relational.Scope) *relational.Derived {
	steps := math.Ceil(options["horizon"] / options["step"])
	every := options["every"]
	if every == 0 {
		every = options["step"] * math.Ceil(steps/20)
	}
	if steps > maxSteps || options["horizon"]/every > maxReported || every < options["step"] || math.Mod(every, options["step"]) != 0 {
		refuse(CodeParameter, t.At, "give a larger step, or an every that is a multiple of it", "a life table has at most %d steps and shows at most %d", maxSteps, maxReported)
	}
	b, timeTerm, event, strata := c.subjects(t, within)
	b.syntax.Select.Items = strata
	if len(strata) > 0 {
		var keys []*syntax.Expr
		for _, i := range strata {
			keys = append(keys, i.Term)
		}
		b.syntax.Select.GroupBy = [][]*syntax.Expr{keys}
	}
	b.limits()
	b.keys()
	s := &survival{LifeTable: estimate.LifeTable{Steps: int(steps), Step: options["step"], Every: every}}
	for _, i := range strata {
		s.strata = append(s.strata, i.Alias)
		k := b.keyOf(b.Row(i.Term))
		s.keys = append(s.keys, k)
		b.plan.Columns = append(b.plan.Columns, Column{Name: i.Alias, Type: b.fragment.Keys[k].Expr.Type, expr: ref{refKey, k}.expr(b.fragment.Keys[k].Expr.Type)})
	}
	back := b.back(timeTerm, s)
	buckets := s.Buckets(b.fragment.Norm)
	half := expr.Literal(value.Int(int64(buckets.Leaves() / 2)))
	tree := fragment.Partial{Kind: fragment.PartialBuckets, Buckets: &buckets}
	tree.Expr = scalar.Apply(event.At, expr.OpCase, b.happened(event), scalar.Apply(event.At, expr.OpAdd, half, back), back)
	b.partial(tree)
	b.selection()
	b.canonicalize()
	b.prove()
	s.partial = b.partial(tree)
	c.releases = append(c.releases, b)
	c.lifeTables[len(c.releases)] = s
	return c.table(s.table(b.plan))
}

// back is the bucket of a subject's time: see survival. A subject without a time is in none.
func (b *builder) back(t *syntax.Expr, s *survival) *expr.Expr {
	x := b.Row(t)
	if !x.Type.Numeric() {
		refuse(CodeType, t.At, "select a number of days, such as a difference of dates, as the first column", "the time is a %s", x.Type)
	}
	whole := func(n float64) *expr.Expr { return expr.Literal(value.Int(int64(n))) }
	end := float64(s.Steps+1) * s.Step
	var bucket *expr.Expr
	if x.Type == value.TypeInt && s.Step == math.Trunc(s.Step) {
		// From the time first clamped, so that nothing overflows; past the end is bucket 0.
		within := scalar.Apply(t.At, expr.OpLeast, scalar.Apply(t.At, expr.OpGreatest, x, whole(0)), whole(end))
		bucket = scalar.Apply(t.At, expr.OpIntDivide, scalar.Apply(t.At, expr.OpSubtract, whole(end), within), whole(s.Step))
	} else {
		within := scalar.Apply(t.At, expr.OpLeast, scalar.Apply(t.At, expr.OpGreatest, x, expr.Literal(value.Float(0))), expr.Literal(value.Float(end)))
		rest := scalar.Apply(t.At, expr.OpDivide, scalar.Apply(t.At, expr.OpSubtract, expr.Literal(value.Float(end)), within), expr.Literal(value.Float(s.Step)))
		floor, err := expr.Cast(scalar.Apply(t.At, expr.OpFloor, rest), value.TypeInt)
		if err != nil {
			scalar.Mistyped(t.At, err, "")
		}
		bucket = floor
	}
	bucket = scalar.Apply(t.At, expr.OpLeast, bucket, whole(float64(s.Steps)))
	return scalar.Apply(t.At, expr.OpCase, scalar.Apply(t.At, expr.OpIsNull, x), expr.Literal(value.Null(value.TypeInt)), bucket)
}

// incidence plans events per person-time: sum of events / sum of time, by stratum. The
// time of one subject counts up to the horizon.
func (c *programPlanner) incidence(t *syntax.Expr, options map[string]float64, within *relational.Scope) *relational.Derived {
	b, timeTerm, event, strata := c.subjects(t, within)
	at := t.At
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
	within01 := &syntax.Expr{Kind: syntax.Operator, Name: "case", At: at, Args: []*syntax.Expr{
		syntax.NewOperator("=", &syntax.Expr{Kind: syntax.Cast, At: at, Type: value.TypeInt, Args: []*syntax.Expr{event}}, syntax.NewLiteral(at, value.Int(1))),
		syntax.NewLiteral(at, value.Int(1)), syntax.NewLiteral(at, value.Int(0)),
	}}
	personTime := call("sum", call("clamp", timeTerm, number(0), number(options["horizon"])))
	hits := call("sum", within01)
	s := &syntax.Select{At: at, From: b.syntax.Select.From}
	s.Items = append(slices.Clone(strata), syntax.Item{Term: hits, Alias: "events"}, syntax.Item{Term: personTime, Alias: "person_time"},
		syntax.Item{Term: syntax.NewOperator(syntax.Divide, syntax.NewOperator("*", number(options["per"]), hits), personTime), Alias: "rate"})
	var keys []*syntax.Expr
	for _, i := range strata {
		keys = append(keys, i.Term)
	}
	if len(keys) > 0 {
		s.GroupBy = [][]*syntax.Expr{keys}
	}
	return c.table(c.release(&syntax.Query{At: at, Select: s}, within, false))
}
