package fragment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
)

// Limits of a lookup's answer.
const (
	// MaxLookupRows is the largest number of rows of a lookup.
	MaxLookupRows = 10_000
	// MaxLookupBytes bounds its texts and numbers, written out.
	MaxLookupBytes = 3 << 20
	// maxOffset bounds Reading.Offset.
	maxOffset = 1 << 40
)

// Lookup asks a node for rows of its copy of public tables, by the action lookup. It reads nothing of a patient, so it
// costs nothing, and its rows leave without noise.
type Lookup struct {
	Query      string `json:"query"` // as in Request
	Study      string `json:"study"`
	Researcher string `json:"researcher"`
	Token      string `json:"token,omitempty"`
	Catalog    string `json:"catalog"` // digest of the catalog it was planned with
	Reading
}

// Reading describes rows of a relation that reads only public tables, in an order that does not depend on the database.
// Ties of Order are sorted by all columns, from the first, with NULL last and texts by their bytes.
type Reading struct {
	Relation *Query  `json:"relation"`
	Order    []Place `json:"order,omitempty"`
	// Limit is the number of rows, from 1 to MaxLookupRows + 1. More than MaxLookupRows rows are an error.
	Limit  int `json:"limit"`
	Offset int `json:"offset,omitempty"` // rows before them
}

// Place is a column to sort by.
type Place struct {
	Column     string `json:"column"` // of the Relation
	Descending bool   `json:"descending,omitempty"`
	NullsFirst bool   `json:"nulls_first,omitempty"`
}

// Found is a node's answer to a lookup.
type Found struct {
	// Rows have the columns of the relation, in the notation of package value; nil is NULL.
	Rows [][]*string `json:"rows"`
}

// Table checks a reading before a node reads: the relation must be valid, and public by the catalog, so that no row
// depends on a patient. It returns a description of the relation. The error wraps ErrInvalid.
func (r *Reading) Table(c *catalog.Catalog) (*catalog.Table, error) {
	if r.Relation == nil {
		return nil, fmt.Errorf("%w: a lookup without a relation", ErrInvalid)
	}
	t, err := r.Relation.Table("answer", c, NewMemo(nil))
	switch {
	case err != nil:
		return nil, err
	case !t.Public:
		return nil, fmt.Errorf("%w: a lookup reads public tables alone", ErrInvalid)
	case r.Limit < 1 || r.Limit > MaxLookupRows+1 || r.Offset < 0 || r.Offset > maxOffset || len(r.Order) > maxDerivedColumns:
		return nil, fmt.Errorf("%w: a lookup's limit, offset or order is out of range", ErrInvalid)
	}
	if err := checkSums([]Relation{{Name: "answer", Query: r.Relation}}); err != nil {
		return nil, err
	}
	for _, o := range r.Order {
		if _, ok := t.Column(o.Column); !ok {
			return nil, fmt.Errorf("%w: a lookup is ordered by no column of its own", ErrInvalid)
		}
	}
	return t, nil
}

// Tables lists the tables of the catalog that are read, sorted.
func (r *Reading) Tables() []string {
	f := Fragment{Relations: []Relation{{Name: "answer", Query: r.Relation}}}
	return f.Tables()
}

// Places returns all columns of the relation in sorting order: those of Order, then the others to break ties.
func (r *Reading) Places(t *catalog.Table) []Place {
	all := slices.Clone(r.Order)
	for _, c := range t.Columns {
		if !slices.ContainsFunc(r.Order, func(o Place) bool { return strings.EqualFold(o.Column, c.Name) }) {
			all = append(all, Place{Column: c.Name})
		}
	}
	return all
}

// Append adds a row.
func (f *Found) Append(row []value.Value) {
	texts := make([]*string, len(row))
	for i, v := range row {
		if !v.IsNull() {
			s := v.String()
			texts[i] = &s
		}
	}
	f.Rows = append(f.Rows, texts)
}

// Read returns the rows in the types of the relation's columns.
func (f *Found) Read(t *catalog.Table) (Rows, error) {
	var out Rows
	for _, c := range t.Columns {
		out.Names = append(out.Names, c.Name)
	}
	for _, texts := range f.Rows {
		if len(texts) != len(t.Columns) {
			return Rows{}, fmt.Errorf("%w: a row of %d columns, not %d", ErrRecord, len(texts), len(t.Columns))
		}
		row := make([]value.Value, len(texts))
		for i, s := range texts {
			row[i] = value.Null(t.Columns[i].Type)
			if s == nil {
				continue
			}
			var err error
			if row[i], err = value.Parse(t.Columns[i].Type, *s); err != nil {
				return Rows{}, fmt.Errorf("%w: %w", ErrRecord, err)
			}
		}
		out.Values = append(out.Values, row)
	}
	return out, nil
}

// DecodeLookup decodes a lookup strictly, as DecodeRequest does with a request.
func DecodeLookup(b []byte) (*Lookup, error) {
	if len(b) > MaxWireBytes {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrInvalid, len(b), MaxWireBytes)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var l Lookup
	if err := d.Decode(&l); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if d.More() {
		return nil, fmt.Errorf("%w: bytes after its end", ErrInvalid)
	}
	return &l, nil
}
