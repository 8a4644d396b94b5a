package catalog

import (
	"bytes"
	"testing"
)

// A divided table is written as its parts, which read back as the same catalog. With another value or another column,
// the catalog is different.
func TestPartsAreWritten(t *testing.T) {
	text := func(values string) *Catalog {
		t.Helper()
		c, err := Parse([]byte(`
catalog: c
tables:
  person: {key: id, patient: id, columns: {id: {type: int, nullable: false}}}
  visit: {key: visit, patient: id, columns: {visit: {type: int, nullable: false}, id: {type: int, nullable: false, references: person.id}}}
  bill: {key: bill, patient: event, parts: {column: what, values: {`+values+`}}, columns: {bill: {type: int}, event: {type: int}, what: {type: text}}}
`), "c.yaml")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := text("Visit: visit.visit, Visit detail: visit.visit")
	var b bytes.Buffer
	if err := c.WriteYAML(&b); err != nil {
		t.Fatal(err)
	}
	back, err := Parse(b.Bytes(), "c.yaml")
	if err != nil || back.Digest() != c.Digest() {
		t.Fatalf("%v\n%s", err, b.String())
	}
	parts := back.Parts("BILL")
	if len(parts) != 2 || parts[1].Name != "bill_visit_detail" || parts[1].Source() != "bill" || *parts[1].Part != (Part{"bill", "what", "Visit detail"}) {
		t.Errorf("%+v", parts)
	}
	if _, whole := back.Table("bill"); whole || back.Parts("visit") != nil {
		t.Error("bill is a table beside its parts, or visit is one of parts")
	}
	if text("Visit: visit.visit").Digest() == text("VISIT: visit.visit").Digest() {
		t.Error("another value is the same catalog")
	}
}
