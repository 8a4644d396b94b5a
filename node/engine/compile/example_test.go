package compile_test

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// An expression is written in each engine's SQL.
func ExampleTarget_Expressions() {
	c, err := catalog.Parse([]byte(`
catalog: example
tables:
  person:
    key: id
    patient: id
    columns:
      id: {type: int, nullable: false}
      sex: {type: text}
`), "example.yaml")
	if err != nil {
		panic(err)
	}
	women, err := expr.New(expr.OpEqual, expr.Column("person", "sex", value.TypeText), expr.Literal(value.Text("f")))
	if err != nil {
		panic(err)
	}
	for _, d := range []*compile.Dialect{compile.DuckDB, compile.Trino} {
		target := &compile.Target{Dialect: d, Catalog: c}
		sql, err := target.Expressions([]fragment.Relation{{Name: "person", Table: "person"}}, women)
		fmt.Println(d, sql, err)
	}
	// Output:
	// DuckDB [("person"."sex" = 'f')] <nil>
	// Trino [("person"."sex" = 'f')] <nil>
}

// Constants are quoted in each engine's way. What no engine can hold is refused.
func ExampleDialect_Literal() {
	for _, d := range []*compile.Dialect{compile.DuckDB, compile.PostgreSQL, compile.Trino} {
		sql, err := d.Literal(value.Text("l'hôpital"))
		fmt.Println(d, sql, err)
	}
	_, err := compile.PostgreSQL.Literal(value.Text("a\x00b"))
	fmt.Println(err)
	// Output:
	// DuckDB 'l''hôpital' <nil>
	// PostgreSQL 'l''hôpital' <nil>
	// Trino 'l''hôpital' <nil>
	// a constant or a name cannot be written in this engine's SQL: a text that is not UTF-8, or holds the character U+0000
}
