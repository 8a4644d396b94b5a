package planner

import (
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/lifetable"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// TableFunction plans a function in FROM. Its first argument is a query with one row for each patient.
func (c *programPlanner) TableFunction(t *syntax.Expr, within *relational.Scope) *relational.Derived {
	options := lifetable.ReadOptions(t)
	if t.Name == "incidence_rate" {
		return c.incidence(t, options, within)
	}
	return c.kaplanMeier(t, options, within)
}

// subjects plans the query that a table function reads, up to its keys: time, event and strata.
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
		refuse(CodeNotSupported, t.Args[0].At, "select the time, the event and the strata FROM … GROUP BY the patient's id, which need not be selected; or keep one row with ROW_NUMBER", "%s needs one row a patient", strings.ToUpper(t.Name))
	}
	if len(subjects.Named) < 2 {
		refuse(CodeType, t.Args[0].At, "select the time, the event, and then the strata, if any", "%s needs a time and an event", strings.ToUpper(t.Name))
	}
	for i := range 2 {
		if c, _ := subjects.Schema.Column(subjects.Named[i].Column); b.IsPatientID(subjects, c.Name) {
			refuse(CodeType, t.Args[0].At, "select the time first, then the event, then the strata; the patient's id comes after them, or is not selected", "the %s of %s is the patient's id", [2]string{"time", "event"}[i], strings.ToUpper(t.Name))
		}
	}
	// Columns are read by number, since they need no names here.
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

func (c *programPlanner) kaplanMeier(t *syntax.Expr, options lifetable.Options, within *relational.Scope) *relational.Derived {
	table := options.Table(t.At)
	b, timeTerm, event, strata := c.subjects(t, within)
	b.syntax.Select.Items = strata
	b.syntax.Select.GroupBy = lifetable.Grouped(strata)
	b.limits()
	b.keys()
	s := &survival{LifeTable: table}
	for _, i := range strata {
		s.strata = append(s.strata, i.Alias)
		k := b.keyOf(b.Row(i.Term))
		s.keys = append(s.keys, k)
		b.plan.Columns = append(b.plan.Columns, Column{Name: i.Alias, Type: b.fragment.Keys[k].Expr.Type, expr: ref{refKey, k}.expr(b.fragment.Keys[k].Expr.Type)})
	}
	back := lifetable.Back(b.Row(timeTerm), timeTerm.At, table)
	buckets := s.Buckets(b.fragment.Norm)
	half := expr.Literal(value.Int(int64(buckets.Leaves() / 2)))
	tree := fragment.Partial{Kind: fragment.PartialBuckets, Buckets: &buckets}
	tree.Expr = scalar.Apply(event.At, expr.OpCase, lifetable.Happened(b.Row(event), event.At), scalar.Apply(event.At, expr.OpAdd, half, back), back)
	b.partial(tree)
	b.selection()
	b.canonicalize()
	b.prove()
	s.partial = b.partial(tree)
	c.releases = append(c.releases, b)
	c.lifeTables[len(c.releases)] = s
	return c.table(s.table(b.plan))
}

// incidence plans events per person-time, sum of events / sum of time, by stratum. A subject's time counts up to the
// horizon.
func (c *programPlanner) incidence(t *syntax.Expr, options lifetable.Options, within *relational.Scope) *relational.Derived {
	b, timeTerm, event, strata := c.subjects(t, within)
	s := &syntax.Select{At: t.At, From: b.syntax.Select.From, GroupBy: lifetable.Grouped(strata)}
	s.Items = append(slices.Clone(strata), options.Incidence(timeTerm, event, t.At)...)
	return c.table(c.release(&syntax.Query{At: t.At, Select: s}, within, false))
}
