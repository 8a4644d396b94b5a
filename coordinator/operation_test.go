package coordinator

import (
	"errors"
	"fmt"
	"testing"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/identity"
)

// Operators see who is present and what is left; nobody else does. A budget does not change while a query of its study
// runs.
func TestOperation(t *testing.T) {
	f := newFederation(t, nil)
	if _, err := f.Operation(t.Context(), asker("alice")); !errors.Is(err, CodeNotOperator) {
		t.Fatalf("a researcher: %v", err)
	}
	olga := Researcher{Name: "olga", Roles: []identity.Role{identity.RoleOperator}}
	see := func() *Operation {
		t.Helper()
		o, err := f.Operation(t.Context(), olga)
		must(t, err)
		return o
	}
	o := see()
	if len(o.Hospitals) != 3 || len(o.Studies) == 0 || o.Wire.Most != fragment.Version || o.Running != 0 || o.Program == "" {
		t.Errorf("%+v", o)
	}
	left := func(o *Operation) string {
		t.Helper()
		for _, s := range o.Studies {
			if s.ID == "s" && s.Left != nil {
				return fmt.Sprint(*s.Left)
			}
		}
		return "not shown"
	}
	before := left(o)
	leave := f.metrics.enter("s")
	_, err := f.ask(t.Context(), t, bySex)
	must(t, err)
	if now := left(see()); now != before || before == "not shown" {
		t.Errorf("while a query runs %s is shown, and before it %s", now, before)
	}
	leave()
	if now := left(see()); now == before {
		t.Error("what was spent does not show when the query has ended")
	}
	f.custody.programs["a"] = "v9"
	f.custody.alarms["b"] = "has lost a part of its ledger"
	o = see()
	if o.Hospitals[0].Program != "v9" || o.Hospitals[1].Ledger == "" {
		t.Errorf("%+v", o.Hospitals)
	}
}
