// Package testcatalog writes catalogs of tests. The tables that most tests have differ in their columns alone: a
// person, rows of a person, and rows of these. A test says which columns it adds, as lines of a catalog's YAML; what it
// has of its own it writes out.
package testcatalog

import (
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
)

// YAML is a catalog of tables under its head, such as "catalog: ward".
func YAML(head string, tables ...string) string {
	return head + "\ntables:\n" + strings.Join(tables, "")
}

// Parse reads a catalog.
func Parse(t testing.TB, yaml string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse([]byte(yaml), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Person is the table person: one row a patient, whose id is the key.
func Person(columns ...string) string {
	return table("person", []string{"key: id", "patient: id", "one_row_per_patient: true"}, []string{"id: {type: int, nullable: false}"}, columns)
}

const ofPerson = "id: {type: int, nullable: false, references: person.id}"

// Rows is a table of any number of rows a person, without a key.
func Rows(name string, columns ...string) string {
	return table(name, []string{"patient: id"}, []string{ofPerson}, columns)
}

// Keyed is a table of rows of a person with a key of its own, which is named as the table is.
func Keyed(name string, columns ...string) string {
	return table(name, []string{"key: " + name, "patient: id"}, []string{name + ": {type: int, nullable: false}", ofPerson}, columns)
}

// Under is a table of rows of a Keyed table's, by whose key they belong to a patient.
func Under(of, name string, columns ...string) string {
	return table(name, []string{"patient: " + of}, []string{of + ": {type: int, nullable: false, references: " + of + "." + of + "}"}, columns)
}

// Public is a table of no patient's, of an int key.
func Public(name, key string, columns ...string) string {
	return table(name, []string{"public: true", "key: " + key}, []string{key + ": {type: int, nullable: false}"}, columns)
}

func table(name string, properties, own, added []string) string {
	var b strings.Builder
	b.WriteString("  " + name + ":\n")
	for _, p := range properties {
		b.WriteString("    " + p + "\n")
	}
	b.WriteString("    columns:\n")
	for _, c := range append(own[:len(own):len(own)], added...) {
		b.WriteString("      " + c + "\n")
	}
	return b.String()
}
