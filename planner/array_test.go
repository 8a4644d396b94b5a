package planner

import (
	"errors"
	"testing"

	"github.com/intramuros/intramuros/internal/value"
)

// TestArrays checks that a list that a client passes as an array is the same question as IN, whatever its elements.
func TestArrays(t *testing.T) {
	fed := federation(t, "omop")
	plan := func(sql string, parameters map[string]value.Value) (*Program, error) {
		return Compose(Query{SQL: sql, Parameters: parameters, Ask: Ask{Epsilon: 1, Delta: 1e-6}}, fed)
	}
	text := func(s string) map[string]value.Value { return map[string]value.Value{"1": value.Text(s)} }
	const count = "SELECT COUNT(*) FROM person WHERE "
	for _, c := range []struct {
		is, as     string
		parameters map[string]value.Value
	}{
		{"gender_concept_id IN (8507, 8532)", "gender_concept_id = ANY($1)", text("{8507,8532}")},
		{"gender_concept_id IN (8507, 8532)", "gender_concept_id = ANY($1::int[])", text(`{"8507", "8532"}`)},
		{"gender_concept_id IN (8507, 8532)", "gender_concept_id = ANY('{8507,8532}'::int8[])", nil},
		{"gender_concept_id IN (8507, 8532)", "gender_concept_id = ANY(ARRAY[8507, 8532]::int[])", nil},
		{"gender_concept_id NOT IN (8507)", "gender_concept_id <> ALL($1)", text("{8507}")},
		{"gender_concept_id IN (8507)", "gender_concept_id = ANY($1)", map[string]value.Value{"1": value.Int(8507)}},
		{"gender_concept_id NOT IN (8507, NULL)", "gender_concept_id <> ALL($1)", text("{8507,NULL}")},
		{"gender_concept_id IN (NULL)", "gender_concept_id = ANY($1)", map[string]value.Value{"1": value.Null(value.TypeText)}},
		{"gender_source_value IN ('a, b', 'c\"', 'NULL', 'd')", "gender_source_value = ANY($1)", text(`{"a, b","c\"","NULL",d}`)},
		{"birth_datetime IN (TIMESTAMP '1980-01-02 00:00:00')", "birth_datetime = ANY($1)", text(`{"1980-01-02 00:00:00"}`)},
		{"year_of_birth > 1950 AND gender_concept_id IN (1, 2)", "year_of_birth > $2 AND gender_concept_id = ANY($1)", map[string]value.Value{"1": value.Text("{1,2}"), "2": value.Int(1950)}},
		{"person_id IN (SELECT person_id FROM death WHERE cause_concept_id IN (1, 2))", "person_id IN (SELECT person_id FROM death WHERE cause_concept_id = ANY($1))", text("{1,2}")},
		{"FALSE", "gender_concept_id = ANY($1)", text("{}")},
		{"NOT FALSE", "gender_concept_id <> ALL($1)", text(" { } ")},
	} {
		want, err := plan(count+c.is, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.is, err)
		}
		got, err := plan(count+c.as, c.parameters)
		if err != nil {
			t.Errorf("%s: %v", c.as, err)
			continue
		}
		if got.Releases[0].Fingerprint() != want.Releases[0].Fingerprint() {
			t.Errorf("%s (%v) is another question than %s", c.as, c.parameters, c.is)
		}
	}
	for _, wrong := range []string{"8507", "{8507", "{8507,}", "{{1},{2}}", "{1}{2}", `{"1}`, `{"1"2}`, "{a}", ""} {
		_, err := plan(count+"gender_concept_id = ANY($1)", text(wrong))
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeType {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
