package duckdb

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

// No two patients are merged: see enginetest.Identities.
func TestIdentities(t *testing.T) {
	enginetest.Identities(t, append(enginetest.SpelledIDs("id VARCHAR"),
		enginetest.ID("id BIGINT", "int", "", "1", "-7", "9223372036854775807"),
		enginetest.ID("id UINTEGER", "int", "", "1", "4294967295"),
		enginetest.ID("id HUGEINT", "int", "", "1", "2"),
		enginetest.ID("id HUGEINT", "int", enginetest.Unspelled, "1", "9223372036854775808"),
		enginetest.ID("id DECIMAL(18,0)", "int", "", "1", "999999999999999999"),
		enginetest.ID("id DECIMAL(38,0)", "int", "", "1", "9223372036854775807"),
		enginetest.ID("id DECIMAL(38,0)", "int", enginetest.Unspelled, "1", "9223372036854775808"),
		enginetest.ID("id DECIMAL(18,1)", "int", enginetest.Mistyped("DECIMAL(18,1)", "int"), "712.2", "712.4"),
		enginetest.ID("id DOUBLE", "int", enginetest.Mistyped("DOUBLE", "int"), "712.2", "712.4"),
		enginetest.ID("id DOUBLE", "text", enginetest.Mistyped("DOUBLE", "text"), "1", "2"),
		enginetest.ID("id TIMESTAMP", "text", enginetest.Mistyped("TIMESTAMP", "text"), "'2020-01-01'"),
		enginetest.ID("id BLOB", "text", enginetest.Mistyped("BLOB", "text"), "'a'"),
		enginetest.ID("id BIGINT", "text", "", "1", "-7"),
		enginetest.ID("id UUID", "text", "", "'3f2504e0-4f89-11d3-9a0c-0305e82c3301'", "'3f2504e0-4f89-11d3-9a0c-0305e82c3302'"),
		enginetest.ID("id ENUM('a', 'A')", "text", "", "'a'", "'A'"),
		enginetest.ID("id VARCHAR", "text", "", "'712'", "'0712'", "' 712'", "'é'", "'e'"),
		enginetest.ID("id UBIGINT", "int", "", "1", "9223372036854775807"),
		enginetest.ID("id UBIGINT", "int", enginetest.Unspelled, "1", "18446744073709551615"),
		enginetest.ID("id BIT", "text", enginetest.Mistyped("BIT", "text"), "'0101'", "'101'"),
		enginetest.ID("id VARCHAR", "text", "", "'é'", "'é'", "'a'", "'a '", "'A'"),
		enginetest.ID("id VARCHAR COLLATE NOCASE", "text", "", "'abc'", "'ABC'", "'Abc'"),
		enginetest.ID("id VARCHAR COLLATE NOACCENT", "text", "", "'é'", "'e'"),
	), func(t testing.TB, c *catalog.Catalog, statements ...string) enginetest.Verifier {
		path := newDatabase(t, statements...)
		e, err := Open(t.Context(), Config{Database: path}, c, enginetest.Hospital, testKey)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e
	})
}

// The same for a CSV file, whose columns are texts.
func TestIdentitiesOfCSV(t *testing.T) {
	enginetest.Identities(t, []enginetest.Identity{
		enginetest.ID("id", "int", "", "712", "-3"),
		enginetest.ID("id", "text", "", "712", "0712", "712.0"),
		enginetest.ID("id", "int", enginetest.Unspelled, "712", "0712"),
		enginetest.ID("id", "int", enginetest.Unspelled, "712.2", "712.4"),
	}, func(t testing.TB, c *catalog.Catalog, statements ...string) enginetest.Verifier {
		folder, text := t.TempDir(), "id,x\n"
		for _, s := range statements[1:] {
			v := strings.TrimSuffix(strings.TrimPrefix(s, "INSERT INTO stay VALUES ("), ")")
			text += strings.ReplaceAll(v, " ", "") + "\n"
		}
		if err := os.WriteFile(filepath.Join(folder, "stay.csv"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := Open(t.Context(), Config{Folder: folder}, c, enginetest.Hospital, testKey)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e
	})
}

// Texts compare by their bytes: see enginetest.Collations.
func TestCollations(t *testing.T) {
	for _, ward := range []string{"ward VARCHAR COLLATE NOCASE", "ward VARCHAR COLLATE NOCASE.NOACCENT"} {
		enginetest.Collations(t, ward, func(t testing.TB, c *catalog.Catalog, statements ...string) enginetest.Verifier {
			e, err := Open(t.Context(), Config{Database: newDatabase(t, statements...)}, c, enginetest.Hospital, testKey)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close() })
			return e
		})
	}
}
