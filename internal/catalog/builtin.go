package catalog

import (
	_ "embed" // the built-in catalogs
	"fmt"
	"maps"
	"slices"
	"sync"
)

//go:embed omop-5.4.yaml
var omop54 []byte

var builtins = map[string][]byte{"omop-5.4": omop54}

func builtinNames() []string { return slices.Sorted(maps.Keys(builtins)) }

// Builtin returns the built-in catalog of that name. It is shared by all callers.
func Builtin(name string) (*Catalog, bool) {
	if name == "omop-5.4" {
		return omop(), true
	}
	return nil, false
}

// OMOP returns the built-in catalog of the OMOP Common Data Model 5.4, which all callers share. Its file says what it
// leaves out, and why.
func OMOP() *Catalog { return omop() }

var omop = sync.OnceValue(func() *Catalog {
	c, err := Parse(omop54, "omop-5.4.yaml")
	if err != nil {
		panic(fmt.Sprintf("the built-in catalog is not valid:\n%v", err)) // a test parses it
	}
	return c
})
