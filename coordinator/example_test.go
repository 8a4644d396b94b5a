package coordinator_test

import (
	"fmt"

	"github.com/intramuros/intramuros/coordinator"
)

// A setting says which hospitals a query asks, in a person's words.
func ExampleParseSelection() {
	for _, text := range []string{"all", "lyon, lille", "all but rennes", "all but"} {
		s, err := coordinator.ParseSelection(text)
		fmt.Println(s, err)
	}
	// Output:
	//  <nil>
	// lille, lyon <nil>
	// all but rennes <nil>
	//  give all, all but lyon, or the names of hospitals with commas between them
}

// All doors have the same settings of a query.
func ExampleUsage() {
	fmt.Println(coordinator.Usage("epsilon"))
	fmt.Println(coordinator.Usage("max_rows"))
	// Output:
	// privacy `loss` to spend; without it, the study's default
	// how many `rows` in all a patient may have at a hospital who counts in full; without it, the catalog's
}
