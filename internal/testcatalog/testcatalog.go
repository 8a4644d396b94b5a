// Package testcatalog writes catalogs for tests. The tables of most tests differ only in their columns: a person, rows
// of a person, and rows of these. A test gives the additional columns, as lines of a catalog's YAML. It writes out all
// other tables.
package testcatalog

import (
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
)

// YAML is a catalog with a head, such as "catalog: ward", and tables.
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

// Person is the table person: one row per patient, whose id is the key.
func Person(columns ...string) string {
	return table("person", []string{"key: id", "patient: id", "one_row_per_patient: true"}, []string{"id: {type: int, nullable: false}"}, columns)
}

const ofPerson = "id: {type: int, nullable: false, references: person.id}"

// Rows is a table with any number of rows per person, without a key.
func Rows(name string, columns ...string) string {
	return table(name, []string{"patient: id"}, []string{ofPerson}, columns)
}

// Keyed is a table of rows of a person, with a key that has the table's name.
func Keyed(name string, columns ...string) string {
	return table(name, []string{"key: " + name, "patient: id"}, []string{name + ": {type: int, nullable: false}", ofPerson}, columns)
}

// Under is a table of rows that belong to a row of a Keyed table, and reach their patient by its key.
func Under(of, name string, columns ...string) string {
	return table(name, []string{"patient: " + of}, []string{of + ": {type: int, nullable: false, references: " + of + "." + of + "}"}, columns)
}

// Public is a public table with an int key.
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
