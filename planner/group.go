package planner

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// grouping is a GROUP BY of one patient's rows.
type grouping struct {
	in    *resolver
	d     *fragment.Derived
	terms []syntax.Item // of SELECT, for names and numbers in GROUP BY
	next  *resolver     // over the groups
	name  string        // of the groups as a relation of next
}

func (r *resolver) grouped(s *syntax.Select, terms []syntax.Item) *grouping {
	g := &grouping{in: r, terms: terms, d: &fragment.Derived{Relations: r.relations(), Filter: r.filter, Grouped: true}, name: "derived"}
	var keys []*expr.Expr
	determined := r.patient == nil
	if len(s.GroupBy) > 0 {
		for _, t := range s.GroupBy[0] {
			e := r.row(r.groupKey(terms, t))
			determined = determined || r.determinesPatient(e)
			keys = append(keys, e)
		}
	}
	if !determined {
		refuse(CodeNested, s.At, "group by the patient's id, too; or ask for this aggregate in a query of its own", "this query within a query aggregates over patients")
	}
	if r.patient != nil {
		keys = append(keys, r.patient)
	}
	for _, e := range scalar.SortedUnique(keys) { // one order, whatever the query's
		name := valueOutput(g.d, e)
		if r.patient != nil && g.d.Patient == "" && r.readsPatientID(e) {
			g.d.Patient = name
		}
	}
	// All aggregates, so that the groups are known before anything reads them.
	all := slices.Clone(terms)
	if s.Having != nil {
		all = append(all, syntax.Item{Term: s.Having})
	}
	if s.Qualify != nil {
		all = append(all, syntax.Item{Term: s.Qualify})
	}
	for _, i := range all {
		g.collect(i.Term)
	}
	if len(g.d.Columns) == 0 {
		refuse(CodeSyntax, s.At, "", "the query asks for nothing")
	}
	d := r.settleDerived(g.d, nil, s.At)
	g.next = &resolver{catalog: r.catalog, depth: r.depth}
	g.next.adopt(d, "", s.At)
	g.name = g.next.sources[0].Name
	return g
}

// collect adds the aggregates within a term to the groups' columns.
func (g *grouping) collect(t *syntax.Expr) {
	t.Walk(func(t *syntax.Expr) bool {
		aggregate := t.IsAggregate()
		if aggregate {
			g.aggregate(t)
		}
		return !aggregate
	})
}

// output resolves a term over the groups.
func (g *grouping) output(t *syntax.Expr) *expr.Expr {
	if t.IsAggregate() {
		name := g.aggregate(t)
		for _, c := range g.next.sources[0].table.Columns {
			if c.Name == name {
				return expr.Column(g.name, c.Name, c.Type)
			}
		}
	}
	if t.Aggregate() == nil && t.Kind != syntax.Literal {
		if g.in.resolves(t) {
			e := g.in.row(t)
			for _, o := range g.d.Columns {
				if o.Function == "" && scalar.Same(o.Expr, e) {
					return expr.Column(g.name, o.Name, e.Type)
				}
			}
		}
		if named := syntax.Aliased(g.terms, t); named != nil && named != t && !g.in.isColumn(t) {
			return g.output(named)
		}
	}
	if t.Kind == syntax.Column {
		g.in.row(t) // an unknown name is refused as such
		refuse(CodeNotGrouped, t.At, "add it to GROUP BY, or aggregate it, such as MAX("+t.Describe()+")", "%s differs from row to row within a group", t.Describe())
	}
	return scalar.Build(t, g.output)
}

// The functions of one patient's rows, by their SQL names.
var rowFunctions = map[string]fragment.Function{
	"count": fragment.FunctionCount, "sum": fragment.FunctionSum, "avg": fragment.FunctionAverage, "min": fragment.FunctionMin, "max": fragment.FunctionMax,
	"bool_and": fragment.FunctionEvery, "every": fragment.FunctionEvery, "bool_or": fragment.FunctionAny, "any_value": fragment.FunctionMin,
}

// aggregate adds an aggregate of one patient's rows, and returns its column.
func (g *grouping) aggregate(t *syntax.Expr) string {
	o, name := g.in.function(t, g.in.row)
	return functionOutput(g.d, o, name)
}

// function plans a function of one patient's rows, and what to call its column.
func (r *resolver) function(t *syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) (fragment.Output, string) {
	f, ok := rowFunctions[t.Name]
	if !ok {
		refuse(CodeNotSupported, t.At, "within one patient's rows, use COUNT, SUM, AVG, MIN, MAX, BOOL_AND or BOOL_OR", "%s is not answered within one patient's rows", strings.ToUpper(t.Name))
	}
	t = t.Unfiltered()
	star := t.Star && f == fragment.FunctionCount
	if !star && len(t.Args) != 1 || t.Star && !star {
		refuse(CodeType, t.At, "", "%s takes one argument", strings.ToUpper(t.Name))
	}
	if star {
		return fragment.Output{Function: fragment.FunctionRows}, "rows"
	}
	x := resolve(t.Args[0])
	o := fragment.Output{Function: f, Expr: x}
	name := t.Name
	if x.Op == expr.OpColumn {
		name += "_" + x.Column
	}
	switch {
	case t.Distinct && f == fragment.FunctionCount:
		o.Function = fragment.FunctionDistinct
	case t.Distinct && (f == fragment.FunctionSum || f == fragment.FunctionAverage):
		refuse(CodeNotSupported, t.At, "write "+strings.ToUpper(t.Name)+"(x) over (SELECT DISTINCT patient, x FROM …)", "%s(DISTINCT …) is not answered", strings.ToUpper(t.Name))
	case f == fragment.FunctionSum || f == fragment.FunctionAverage:
		if !x.Type.Numeric() {
			refuse(CodeType, t.Args[0].At, asNumber(t.Args[0].Describe(), x.Type), "%s needs a number, and this is a %s", strings.ToUpper(t.Name), x.Type)
		}
		if x.Type == value.TypeFloat {
			facts := r.facts(x)
			if !facts.Bounded() && r.ofReleases() {
				return o, name // the coordinator adds them up itself, row by row
			}
			if !facts.Bounded() {
				refuse(CodeBounds, t.Args[0].At, "write "+strings.ToUpper(t.Name)+"(CLAMP("+t.Args[0].Describe()+", lower, upper))",
					"%s needs bounds, so that the sum of floats is exact", strings.ToUpper(t.Name))
			}
			g, err := fragment.NewGrid(facts.Lower, facts.Upper, false, false, 1)
			if err != nil {
				scalar.Mistyped(t.Args[0].At, err, "")
			}
			o.Grid = &g
		}
	case (f == fragment.FunctionEvery || f == fragment.FunctionAny) && x.Type != value.TypeBool:
		refuse(CodeType, t.Args[0].At, "write a comparison, such as "+strings.ToUpper(t.Name)+"("+t.Args[0].Describe()+" = …)", "%s needs a condition, and this is a %s", strings.ToUpper(t.Name), x.Type)
	}
	return o, name
}

// ofReleases reports whether what is read has been released, with public tables or without, so that no hospital
// computes with it.
func (r *resolver) ofReleases() bool {
	f := fragment.Fragment{Relations: r.relations()}
	tables := f.Tables()
	return len(tables) == 0 || slices.ContainsFunc(tables, func(name string) bool { return strings.HasPrefix(name, releaseTable) })
}
