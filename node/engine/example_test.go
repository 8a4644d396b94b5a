package engine_test

import (
	"errors"
	"fmt"

	"github.com/intramuros/intramuros/node/engine"
)

// A catalog name is made from a local name.
func ExamplePlain() {
	fmt.Println(engine.Plain("Décès (2023)"), engine.Plain("PATIENT"))
	// Output: deces_2023 patient
}

// A source says where a catalog table is, in one of three ways.
func ExampleSource() {
	for _, s := range []engine.Source{
		{Table: "clinic.patients", Columns: map[string]string{"person_id": "ipp"}},
		{File: "labs/*.parquet"},
		{Table: "clinic.patients", Select: "SELECT ipp FROM clinic.patients"},
	} {
		fmt.Println(s, errors.Is(s.Validate("person"), engine.ErrConfig))
	}
	// Output:
	// table clinic.patients false
	// file labs/*.parquet false
	// table clinic.patients true
}
