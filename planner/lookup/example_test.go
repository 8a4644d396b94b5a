package lookup_test

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/lookup"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/syntax"
)

// planner returns a planner for a statement over a catalog with one public table.
func planner() (*relational.Vocabulary, *lookup.Planner) {
	c, err := catalog.Parse([]byte(`
catalog: codes
tables:
  concept:
    public: true
    key: concept_id
    columns:
      concept_id: {type: int, nullable: false}
      name: {type: text}
`), "codes.yaml")
	if err != nil {
		panic(err)
	}
	v := relational.NewVocabulary(c, fragment.NewMemo(expr.NewBudget()))
	return v, lookup.NewPlanner(v)
}

// relation plans a query over the catalog's tables.
func relation(v *relational.Vocabulary, sql string) *fragment.Query {
	s, err := syntax.Parse(sql)
	if err != nil {
		panic(err)
	}
	return relational.New(v, relational.NewScope(), nil).Derive(s.Query, relational.NewScope(), s.Query.At).Query
}

// One lookup reads a relation of public tables.
func ExamplePlanner_Add() {
	v, p := planner()
	d := p.Add(fragment.Reading{Relation: relation(v, "SELECT name FROM concept WHERE concept_id < 10"), Limit: 3}, syntax.Position{})
	fmt.Println(d)
	fmt.Print(p.Lookups()[0].Describe())
	// Output:
	// SELECT public.name
	// FROM public 1 AS public
	//   SELECT concept.name
	//   FROM concept
	//   WHERE concept.concept_id < 10
	//   limit 3 offset 0
}

// In a computation over a release, a lookup replaces each public table. It reads only rows with released values.
func ExamplePlanner_Replace() {
	v, p := planner()
	v.Tables = append(v.Tables, &catalog.Table{
		Name: relational.Release.Table(1), Public: true,
		Columns: []*catalog.Column{{Name: "id", Type: value.TypeInt, Nullable: true}, {Name: "n", Type: value.TypeInt, Nullable: true}},
	})
	id, concept := expr.Column("r", "id", value.TypeInt), expr.Column("concept", "concept_id", value.TypeInt)
	same, err := expr.New(expr.OpEqual, id, concept)
	if err != nil {
		panic(err)
	}
	p.Replace(&fragment.Query{
		Relations: []fragment.Relation{
			{Name: "r", Table: relational.Release.Table(1)},
			{Name: "concept", Table: "concept", Join: fragment.JoinInner, On: same},
		},
		Columns: []fragment.Output{{Name: "name", Expr: expr.Column("concept", "name", value.TypeText)}},
	}, syntax.Position{})
	fmt.Print(p.Lookups()[0].Describe())
	// Output:
	// SELECT concept.concept_id, concept.name
	//   FROM concept
	//   where concept.concept_id is one of the values that are joined with it
}
