package relational_test

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/syntax"
)

// wards is a catalog of patients and their visits.
func wards() *catalog.Catalog {
	c, err := catalog.Parse([]byte(`
catalog: wards
tables:
  person:
    key: person_id
    patient: person_id
    one_row_per_patient: true
    columns:
      person_id: {type: int, nullable: false}
      birth: {type: date}
  visit:
    key: visit_id
    patient: person_id
    columns:
      visit_id: {type: int, nullable: false}
      person_id: {type: int, nullable: false, references: person.person_id}
      ward: {type: text}
      days: {type: int, bounds: [0, 100]}
`), "wards.yaml")
	if err != nil {
		panic(err)
	}
	return c
}

// read parses a query and returns a resolver for it.
func read(sql string) (*syntax.Query, *relational.Resolver) {
	s, err := syntax.Parse(sql)
	if err != nil {
		panic(err)
	}
	return s.Query, relational.New(relational.NewVocabulary(wards(), fragment.NewMemo(expr.NewBudget())), relational.NewScope(), nil)
}

// Rows of two tables belong to one patient, because a foreign key of the catalog joins them.
func ExampleResolver_Read() {
	q, r := read("SELECT COUNT(*) FROM person p JOIN visit v ON v.person_id = p.person_id WHERE v.days > 3")
	r.Read(q.Select)
	r.LinkByForeignKeys()
	for _, s := range r.Sources {
		fmt.Println(s.Alias, "is", s.Name)
	}
	fmt.Println("where", r.Filter)
	fmt.Println("patient", r.Patient)
	// Output:
	// p is person
	// v is visit
	// where visit.days > 3
	// patient person.person_id
}

// An inner query becomes a relation. It has the patient's id in addition to what the query shows.
func ExampleResolver_Derive() {
	q, r := read("SELECT ward, SUM(days) AS days FROM visit GROUP BY person_id, ward")
	d := r.Derive(q, r.Scope, q.At)
	fmt.Println(d)
	for _, c := range d.Named {
		fmt.Println(c.Name, "is its column", c.Column)
	}
	fmt.Println("patient", d.Schema.Patient)
	// Output:
	// SELECT visit.person_id, visit.ward, SUM(visit.days) AS sum_days
	// FROM visit
	// GROUP BY person_id, ward
	// ward is its column ward
	// days is its column sum_days
	// patient person_id
}
