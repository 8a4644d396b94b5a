package httpapi_test

import (
	"encoding/json"
	"fmt"

	"github.com/intramuros/intramuros/coordinator/httpapi"
)

// This is the body of POST /v1/query. What it leaves out has the study's default.
func ExampleRequest() {
	var r httpapi.Request
	err := json.Unmarshal([]byte(`{"sql": "SELECT COUNT(*) FROM person WHERE age > :age", "study": "sepsis", "epsilon": 0.5,
		"parameters": {"age": 65}}`), &r)
	fmt.Println(r.Study, r.Epsilon, r.MaxRows, len(r.Parameters), err)
	// Output: sepsis 0.5 0 1 <nil>
}

// A noisy number comes with its interval. An open end is null.
func ExampleCell() {
	var c httpapi.Cell
	err := json.Unmarshal([]byte(`{"value": 41, "low": 38, "high": null}`), &c)
	fmt.Println(c.Noisy, c.Value, c.Low, c.High, err)
	// Output: true 41 38 <nil> <nil>
}
