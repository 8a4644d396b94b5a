package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/intramuros/intramuros/internal/value"
)

// digestForm changes when the meaning of a catalog's settings changes, so that equal digests of daemons of two versions
// never hide a different meaning.
const digestForm = "intramuros catalog 1"

// The canonical form has everything that affects meaning, and nothing else. A default limit is written as its value.
type (
	canonicalCatalog struct {
		Form           string
		Name           string
		MaxSites       int
		HospitalColumn bool
		MaxGroups      int
		MaxRows        int
		Tables         []canonicalTable
	}
	canonicalTable struct {
		Name             string
		Public           bool
		Key              []string
		Patient          string
		OneRowPerPatient bool
		RowLimit         int
		Columns          []canonicalColumn
		Part             *Part `json:",omitempty"`
	}
	canonicalColumn struct {
		Name       string
		Type       value.Type
		Nullable   bool
		Bounds     []value.Value
		Domain     []value.Value
		References string
		Identifier bool `json:",omitempty"`
	}
)

// Digest returns the SHA-256, as 64 hexadecimal digits, of everything in the catalog that affects what a query means or
// costs: names, types, nullability, bounds, domains, keys, references, patients and limits. These do not count:
// descriptions, comments, expected sizes, steady columns, the order of tables and columns, and whether the file extends
// a built-in catalog or writes it out.
func (c *Catalog) Digest() string {
	form := canonicalCatalog{
		Form: digestForm, Name: c.Name, MaxSites: c.MaxSites, HospitalColumn: c.HospitalColumn,
		MaxGroups: c.MaxGroups, MaxRows: c.MaxRows,
	}
	for _, t := range c.Tables {
		table := canonicalTable{
			Name: t.Name, Public: t.Public, Key: slices.Sorted(slices.Values(t.Key)), Patient: t.Patient,
			OneRowPerPatient: t.OneRowPerPatient, RowLimit: c.RowLimit(t), Part: t.Part,
		}
		for _, col := range t.Columns {
			column := canonicalColumn{
				Name: col.Name, Type: col.Type, Nullable: col.Nullable,
				Domain: slices.SortedFunc(slices.Values(col.Domain), value.Compare), References: col.References, Identifier: col.Identifier,
			}
			if col.Lower.Valid() {
				column.Bounds = []value.Value{col.Lower, col.Upper}
			}
			table.Columns = append(table.Columns, column)
		}
		slices.SortFunc(table.Columns, func(a, b canonicalColumn) int { return cmp.Compare(a.Name, b.Name) })
		form.Tables = append(form.Tables, table)
	}
	slices.SortFunc(form.Tables, func(a, b canonicalTable) int { return cmp.Compare(a.Name, b.Name) })
	b, err := json.Marshal(form)
	if err != nil {
		panic(err) // strings, numbers and values can always be encoded
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
