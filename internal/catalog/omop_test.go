package catalog

import (
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/value"
)

func TestOMOP(t *testing.T) {
	c := OMOP()
	if c.Name != "omop-5.4" || !c.HospitalColumn || c.MaxSites != 0 || c.MaxGroups != 5 {
		t.Errorf("settings: %s, hospital %t, max_sites %d, max_groups %d", c.Name, c.HospitalColumn, c.MaxSites, c.MaxGroups)
	}
	public := map[string]bool{}
	for _, name := range strings.Fields(`care_site cdm_source concept concept_ancestor concept_class concept_relationship
		concept_synonym domain drug_strength location provider relationship vocabulary`) {
		public[name] = true
	}
	private := strings.Fields(`person observation_period visit_occurrence visit_detail condition_occurrence drug_exposure
		procedure_occurrence device_exposure measurement observation death specimen payer_plan_period condition_era drug_era
		dose_era episode episode_event cost_visit cost_condition cost_drug cost_procedure cost_device cost_measurement cost_observation`)
	if want := len(public) + len(private); len(c.Tables) != want {
		t.Errorf("%d tables, want %d", len(c.Tables), want)
	}
	for _, name := range private {
		table, ok := c.Table(name)
		if !ok {
			t.Errorf("no table %s", name)
			continue
		}
		path, err := c.PatientPath(table)
		if err != nil {
			t.Error(err)
			continue
		}
		if last := path[len(path)-1]; last.Column != "person_id" {
			t.Errorf("%s ends at %v", name, last)
		}
		if got := c.IsPatientID(name, "person_id"); got != (name != "episode_event" && !strings.HasPrefix(name, "cost_")) {
			t.Errorf("IsPatientID(%s, person_id) = %t", name, got)
		}
		if one := name == "person" || name == "death"; table.OneRowPerPatient != one {
			t.Errorf("%s: one row a patient: %t", name, !one)
		}
	}
	for _, table := range c.Tables {
		if table.Public != public[table.Name] {
			t.Errorf("%s: public: %t", table.Name, table.Public)
		}
		if table.Description == "" {
			t.Errorf("%s has no description", table.Name)
		}
		for _, col := range table.Columns {
			checkOMOPColumn(t, table, col)
		}
	}
}

// checkOMOPColumn checks a column against the conventions of the model.
func checkOMOPColumn(t *testing.T, table *Table, col *Column) {
	t.Helper()
	what := table.Name + "." + col.Name
	want := col.Type
	switch {
	case strings.HasSuffix(col.Name, "_date"):
		want = value.TypeDate
	case strings.HasSuffix(col.Name, "_datetime"):
		want = value.TypeTimestamp
	case strings.HasSuffix(col.Name, "_source_value"):
		want = value.TypeText
	case strings.HasSuffix(col.Name, "concept_id"), col.Name == "person_id":
		want = value.TypeInt
	}
	if col.Type != want {
		t.Errorf("%s is %s, want %s", what, col.Type, want)
	}
	isKey := len(table.Key) == 1 && table.Key[0] == col.Name
	switch {
	case table.Name != "concept" && strings.HasSuffix(col.Name, "concept_id") && col.References != "concept.concept_id":
		t.Errorf("%s references %q", what, col.References)
	case table.Name != "person" && col.Name == "person_id" && (col.References != "person.person_id" || col.Nullable):
		t.Errorf("%s references %q, nullable %t", what, col.References, col.Nullable)
	case !isKey && col.Name == "visit_occurrence_id" && col.References != "visit_occurrence.visit_occurrence_id":
		t.Errorf("%s references %q", what, col.References)
	case isKey && col.Nullable:
		t.Errorf("%s is the key and nullable", what)
	case !table.Public && (col.Type == value.TypeDate || col.Type == value.TypeTimestamp || col.Type == value.TypeFloat) && !col.Lower.Valid():
		t.Errorf("%s has no bounds", what)
	}
}

func TestBuiltin(t *testing.T) {
	if c, ok := Builtin("omop-5.4"); !ok || c.Name != "omop-5.4" {
		t.Errorf("Builtin(omop-5.4) = %v, %t", c, ok)
	}
	if _, ok := Builtin("omop-5.3"); ok {
		t.Error("there is a built-in omop-5.3")
	}
	for _, name := range builtinNames() {
		if c, ok := Builtin(name); !ok || c.Name != name {
			t.Errorf("extends: %s is offered, and Builtin does not know it", name)
		}
	}
}
