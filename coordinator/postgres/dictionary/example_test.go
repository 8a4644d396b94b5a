package dictionary_test

import (
	"fmt"

	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
	"github.com/intramuros/intramuros/internal/value"
)

// A client reads a value in the form of its type's number.
func ExampleOIDOf() {
	fmt.Println(dictionary.OIDOf(value.TypeBool), dictionary.OIDOf(value.TypeInt), dictionary.OIDOf(value.TypeDate))
	// Output: 16 20 1082
}
