package coordinator

import (
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/fragment"
)

// TestCaveats checks that what a hospital has less of than the catalog is shown before payment, with the answer, and
// with the stored answer of the same question. What a hospital says about anything outside the catalog is shown to
// nobody.
func TestCaveats(t *testing.T) {
	f := newFederation(t, nil)
	f.hospital("a").caveats = []fragment.Caveat{{Kind: fragment.CaveatRejected, Table: "person", Share: 0.001}}
	f.hospital("c").caveats = []fragment.Caveat{
		{Kind: fragment.CaveatAbsent, Table: "PERSON", Column: "Sex"}, {Kind: fragment.CaveatAbsent, Table: "person", Column: "sex"},
		{Kind: fragment.CaveatRejected, Table: "person", Share: 0.02}, {Kind: fragment.CaveatUnusable, Table: "person", Share: 0.95},
		{Kind: fragment.CaveatAbsent, Table: "person", Column: "SECRET"}, {Kind: fragment.CaveatAbsent, Table: "SECRET", Column: "sex"},
		{Kind: fragment.CaveatRejected, Table: "person", Share: 2}, {Kind: "SECRET", Table: "person"},
	}
	want := []string{
		"at 1 of 3 hospitals (c) the column person.sex is absent, and is NULL in every row there",
		"at 1 of 3 hospitals (c) up to 95 % of a column's values in person may be unreadable, beyond their bounds or NULL",
		"at 2 of 3 hospitals (a, c) up to 2 % of the lines of person may be missing, since they do not fit the rest of their files",
	}
	e, err := f.Explain(t.Context(), asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "s"}})
	must(t, err)
	if !slices.Equal(e.Warnings, want) {
		t.Errorf("explain says %q", e.Warnings)
	}
	said := ""
	for _, row := range f.mustAsk(t, "EXPLAIN "+bySex).Rows {
		said += row[0].Value.Str() + "\n"
	}
	if !strings.Contains(said, "\nmind       "+want[0]+"\n") {
		t.Errorf("EXPLAIN says %s", said)
	}
	first := f.mustAsk(t, bySex)
	if !slices.Equal(first.Warnings, want) {
		t.Errorf("the answer says %q", first.Warnings)
	}
	for _, h := range f.hospitals {
		h.caveats = nil // another mapping would be other data, with another version
	}
	if again := f.mustAsk(t, bySex); !again.Stored || !slices.Equal(again.Warnings, want) {
		t.Errorf("the stored answer (%v) says %q", again.Stored, again.Warnings)
	}
	f.settled(t, 0.5)
}
