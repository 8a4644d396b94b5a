package dictionary_test

import (
	"context"
	"fmt"

	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/internal/value"
)

// A client reads a value in the form of its type's number.
func ExampleOIDOf() {
	fmt.Println(dictionary.OIDOf(value.TypeBool), dictionary.OIDOf(value.TypeInt), dictionary.OIDOf(value.TypeDate))
	// Output: 16 20 1082
}

// A client's question about the tables that there are is answered from the catalog.
func ExampleDictionary_Prepare() {
	ctx := context.Background()
	d, err := dictionary.Open(ctx, catalog.OMOP())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	statement := sqltoken.Statements("SELECT relname FROM pg_class WHERE relname LIKE 'drug%' AND relkind = 'r' ORDER BY 1")[0]
	q, err := d.Prepare(ctx, statement, dictionary.Session{User: "ada", Database: "trial"})
	if err != nil {
		fmt.Println(err)
		return
	}
	rows, err := q.Run(ctx, nil)
	fmt.Println(rows, err)
	// Output: [[drug_era] [drug_exposure] [drug_strength]] <nil>
}
