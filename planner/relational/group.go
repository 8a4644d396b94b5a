package relational

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
	in    *Resolver
	d     *fragment.Query
	terms []syntax.Item // items of SELECT, for names and positions in GROUP BY
	next  *Resolver     // over the groups
	name  string        // the groups' name as a relation of next
}

func (r *Resolver) grouped(s *syntax.Select, terms []syntax.Item) *grouping {
	g := &grouping{in: r, terms: terms, d: &fragment.Query{Relations: r.Relations(), Filter: r.Filter, Grouped: true}, name: "derived"}
	var keys []*expr.Expr
	determined := r.Patient == nil
	if len(s.GroupBy) > 0 {
		for _, t := range s.GroupBy[0] {
			e := r.Row(r.GroupKey(terms, t))
			determined = determined || r.determinesPatient(e)
			keys = append(keys, e)
		}
	}
	if !determined {
		syntax.Refuse(syntax.CodeNested, s.At, "group by the patient's id, too; or ask for this aggregate in a query of its own", "this query within a query aggregates over patients")
	}
	if r.Patient != nil {
		keys = append(keys, r.Patient)
	}
	for _, e := range scalar.SortedUnique(keys) { // one order, whatever the query's
		name := AddValue(g.d, e)
		if r.Patient != nil && g.d.Patient == "" && r.ReadsPatientID(e) {
			g.d.Patient = name
		}
	}
	// All aggregates are collected first, so that the groups are known before anything reads them.
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
		syntax.Refuse(syntax.CodeSyntax, s.At, "", "the query asks for nothing")
	}
	d := r.checkDerived(g.d, nil, s.At)
	g.next = &Resolver{Catalog: r.Catalog, Depth: r.Depth}
	g.next.Adopt(d, "", s.At)
	g.name = g.next.Sources[0].Name
	return g
}

// collect adds the aggregates in a term to the groups' columns.
func (g *grouping) collect(t *syntax.Expr) {
	t.Walk(func(t *syntax.Expr) bool {
		aggregate := t.IsAggregate()
		switch moments := byMoments(t); {
		case aggregate && moments != nil:
			g.collect(moments)
		case aggregate:
			g.aggregate(t)
		}
		return !aggregate
	})
}

// output resolves a term over the groups' columns.
func (g *grouping) output(t *syntax.Expr) *expr.Expr {
	if moments := byMoments(t); moments != nil && t.IsAggregate() {
		return g.output(moments)
	}
	if t.IsAggregate() {
		name := g.aggregate(t)
		for _, c := range g.next.Sources[0].Schema.Columns {
			if c.Name == name {
				return expr.Column(g.name, c.Name, c.Type)
			}
		}
	}
	if t.Aggregate() == nil && t.Kind != syntax.Literal {
		if g.in.Resolves(t) {
			e := g.in.Row(t)
			for _, o := range g.d.Columns {
				if o.Function == "" && o.Expr.Equal(e) {
					return expr.Column(g.name, o.Name, e.Type)
				}
			}
		}
		if named := syntax.Aliased(g.terms, t); named != nil && named != t && !g.in.IsColumn(t) {
			return g.output(named)
		}
	}
	if t.Kind == syntax.Column {
		g.in.Row(t) // refuses an unknown name
		syntax.Refuse(syntax.CodeNotGrouped, t.At, "add it to GROUP BY, or aggregate it, such as MAX("+t.Describe()+")", "%s differs from row to row within a group", t.Describe())
	}
	if t.Kind == syntax.Subquery { // it reads no row here: it is released first
		if e := g.in.Row(t); !ReadsAny(e, func(string) bool { return true }) {
			return e
		}
	}
	return scalar.Build(t, g.output)
}

// rowFunctions are the functions of one patient's rows, by their SQL names.
var rowFunctions = map[string]fragment.Function{
	"count": fragment.FunctionCount, "sum": fragment.FunctionSum, "avg": fragment.FunctionAverage, "min": fragment.FunctionMin, "max": fragment.FunctionMax,
	"bool_and": fragment.FunctionEvery, "every": fragment.FunctionEvery, "bool_or": fragment.FunctionAny, "any_value": fragment.FunctionMin,
}

// aggregate adds an aggregate of one patient's rows and returns the name of its column.
func (g *grouping) aggregate(t *syntax.Expr) string {
	o, name := g.in.function(t, g.in.Row)
	return functionOutput(g.d, o, name)
}

// function plans a function of one patient's rows, and a name for its column.
func (r *Resolver) function(t *syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) (fragment.Output, string) {
	f, ok := rowFunctions[t.Name]
	if !ok {
		syntax.Refuse(syntax.CodeNotSupported, t.At, "within one patient's rows, use COUNT, SUM, AVG, MIN, MAX, STDDEV, VARIANCE, BOOL_AND or BOOL_OR", "%s is not answered within one patient's rows", strings.ToUpper(t.Name))
	}
	t = t.Unfiltered()
	star := t.Star && f == fragment.FunctionCount
	if !star && len(t.Args) != 1 || t.Star && !star {
		syntax.Refuse(syntax.CodeType, t.At, "", "%s takes one argument", strings.ToUpper(t.Name))
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
		syntax.Refuse(syntax.CodeNotSupported, t.At, "write "+strings.ToUpper(t.Name)+"(x) over (SELECT DISTINCT patient, x FROM …)", "%s(DISTINCT …) is not answered", strings.ToUpper(t.Name))
	case f == fragment.FunctionSum || f == fragment.FunctionAverage:
		if !x.Type.Numeric() {
			syntax.Refuse(syntax.CodeType, t.Args[0].At, scalar.AsNumber(t.Args[0].Describe(), x.Type), "%s needs a number, and this is a %s", strings.ToUpper(t.Name), x.Type)
		}
		if x.Type == value.TypeFloat {
			facts := r.facts(x)
			if !facts.Bounded() && r.ofReleases() {
				return o, name // the coordinator adds them up row by row
			}
			if !facts.Bounded() {
				syntax.Refuse(syntax.CodeBounds, t.Args[0].At, "write "+strings.ToUpper(t.Name)+"(CLAMP("+t.Args[0].Describe()+", lower, upper))",
					"%s needs bounds, so that the sum of floats is exact", strings.ToUpper(t.Name))
			}
			g, err := fragment.NewGrid(facts.Lower, facts.Upper, false, false, 1)
			if err != nil {
				scalar.Mistyped(t.Args[0].At, err, "")
			}
			o.Grid = &g
		}
	case (f == fragment.FunctionEvery || f == fragment.FunctionAny) && x.Type != value.TypeBool:
		syntax.Refuse(syntax.CodeType, t.Args[0].At, "write a comparison, such as "+strings.ToUpper(t.Name)+"("+t.Args[0].Describe()+" = …)", "%s needs a condition, and this is a %s", strings.ToUpper(t.Name), x.Type)
	}
	return o, name
}

// ofReleases reports whether the rows have been released, possibly joined with public tables. Then no hospital computes
// with them.
func (r *Resolver) ofReleases() bool {
	f := fragment.Fragment{Relations: r.Relations()}
	tables := f.Tables()
	return len(tables) == 0 || slices.ContainsFunc(tables, func(name string) bool {
		_, released := Release.Of(name)
		return released
	})
}
