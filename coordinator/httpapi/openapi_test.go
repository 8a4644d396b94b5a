package httpapi

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/tabular"
	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/planner/estimate"
)

// TestOpenAPI checks that the API's description has the paths that are served, and that each of its objects has the
// members of the type that is sent. Members that may be missing are not required.
func TestOpenAPI(t *testing.T) {
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var described struct {
		Paths      map[string]map[string]any
		Components struct {
			Schemas map[string]struct {
				Properties json.RawMessage
				Required   []string
			}
		}
	}
	if err := json.Unmarshal(text, &described); err != nil {
		t.Fatal(err)
	}
	types := map[string]any{
		"Request": Request{}, "Answer": Answer{}, "Column": Column{}, "Cost": Cost{}, "Remaining": dp.Remaining{}, "Hospitals": tabular.Hospitals{},
		"Absence": coordinator.Absence{}, "Explanation": Explanation{}, "Expected": Expected{}, "EngineSQL": EngineSQL{}, "HospitalKey": coordinator.HospitalKey{}, "Budget": Budget{},
		"Limit": dp.Budget{}, "Balance": Balance{}, "Federation": Federation{}, "Catalog": Catalog{}, "Table": Table{}, "Failure": Failure{},
		"Error": Error{}, "Status": status{}, "Outline": Outline{}, "Me": Me{}, "ProfileRequest": ProfileRequest{}, "Profiles": Profiles{}, "Profile": coordinator.Profile{}, "Step": estimate.Step{}, "Spending": Spending{}, "Permits": Permits{}, "Operation": Operation{}, "Charge": Charge{},
	}
	for name, schema := range described.Components.Schemas {
		if name == "Cell" || name == "Event" { // one of several forms
			continue
		}
		of, ok := types[name]
		if !ok {
			t.Errorf("no type is sent as %s", name)
			continue
		}
		all, required := members(reflect.TypeOf(of))
		if got := keys(t, schema.Properties); !slices.Equal(sorted(got), sorted(all)) {
			t.Errorf("%s is described with %v, and sent with %v", name, got, all)
		}
		if !slices.Equal(sorted(schema.Required), sorted(required)) {
			t.Errorf("%s is described to have always %v, and has %v", name, schema.Required, required)
		}
	}
	for name := range types {
		if _, ok := described.Components.Schemas[name]; !ok {
			t.Errorf("%s is not described", name)
		}
	}
	served, err := os.ReadFile("server.go")
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for _, m := range regexp.MustCompile(`HandleFunc\("([A-Z]+) ([^"]+)"`).FindAllStringSubmatch(string(served), -1) {
		paths[m[2]] = true
		if described.Paths[m[2]][strings.ToLower(m[1])] == nil {
			t.Errorf("%s %s is served and not described", m[1], m[2])
		}
	}
	for path := range described.Paths {
		if !paths[path] {
			t.Errorf("%s is described and not served", path)
		}
	}
}

// members lists the members of a type's JSON, and those that are always present.
func members(of reflect.Type) (all, required []string) {
	for i := range of.NumField() {
		f := of.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			more, always := members(f.Type)
			all, required = append(all, more...), append(required, always...)
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		all = append(all, name)
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
		}
	}
	return all, required
}

// keys lists the members of a JSON object.
func keys(t *testing.T, object json.RawMessage) []string {
	t.Helper()
	var of map[string]any
	if err := json.Unmarshal(object, &of); err != nil {
		t.Fatal(err)
	}
	var all []string
	for name := range of {
		all = append(all, name)
	}
	return all
}

func sorted(all []string) []string { return slices.Sorted(slices.Values(all)) }
