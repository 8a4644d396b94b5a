package duckdb

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

const unspelled = "tells patients apart, and holds values that are no int as one is written (without zeros, a sign, blanks or a point more than it needs): " +
	"they could be one patient's or several's; mend them, or declare the column as text in all tables of the catalog"

func mistyped(local, in string) string {
	return "tells patients apart, and is of type " + local + " here and " + in + " in the catalog: values that differ could be read as one; give a column of whole numbers or texts"
}

func ids(column, of, refuse string, values ...string) enginetest.Identity {
	return enginetest.Identity{Column: column, Type: of, Values: values, Refuse: refuse}
}

// No two patients become one: see enginetest.Identities.
func TestIdentities(t *testing.T) {
	enginetest.Identities(t, []enginetest.Identity{
		ids("id BIGINT", "int", "", "1", "-7", "9223372036854775807"),
		ids("id UINTEGER", "int", "", "1", "4294967295"),
		ids("id HUGEINT", "int", "", "1", "2"),
		ids("id HUGEINT", "int", unspelled, "1", "9223372036854775808"),
		ids("id DECIMAL(18,0)", "int", "", "1", "999999999999999999"),
		ids("id DECIMAL(38,0)", "int", "", "1", "9223372036854775807"),
		ids("id DECIMAL(38,0)", "int", unspelled, "1", "9223372036854775808"),
		ids("id DECIMAL(18,1)", "int", mistyped("DECIMAL(18,1)", "int"), "712.2", "712.4"),
		ids("id DOUBLE", "int", mistyped("DOUBLE", "int"), "712.2", "712.4"),
		ids("id DOUBLE", "text", mistyped("DOUBLE", "text"), "1", "2"),
		ids("id TIMESTAMP", "text", mistyped("TIMESTAMP", "text"), "'2020-01-01'"),
		ids("id BLOB", "text", mistyped("BLOB", "text"), "'a'"),
		ids("id BIGINT", "text", "", "1", "-7"),
		ids("id UUID", "text", "", "'3f2504e0-4f89-11d3-9a0c-0305e82c3301'", "'3f2504e0-4f89-11d3-9a0c-0305e82c3302'"),
		ids("id ENUM('a', 'A')", "text", "", "'a'", "'A'"),
		ids("id VARCHAR", "text", "", "'712'", "'0712'", "' 712'", "'é'", "'e'"),
		ids("id UBIGINT", "int", "", "1", "9223372036854775807"),
		ids("id UBIGINT", "int", unspelled, "1", "18446744073709551615"),
		ids("id BIT", "text", mistyped("BIT", "text"), "'0101'", "'101'"),
		ids("id VARCHAR", "text", "", "'é'", "'é'", "'a'", "'a '", "'A'"),
		ids("id VARCHAR COLLATE NOCASE", "text", "", "'abc'", "'ABC'", "'Abc'"),
		ids("id VARCHAR COLLATE NOACCENT", "text", "", "'é'", "'e'"),
		ids("id VARCHAR", "int", "", "'712'", "'-3'", "'0'"),
		ids("id VARCHAR", "int", unspelled, "'712'", "'0712'"),
		ids("id VARCHAR", "int", unspelled, "'712.2'", "'712.4'"),
		ids("id VARCHAR", "int", unspelled, "'1e3'", "'1000'"),
		ids("id VARCHAR", "int", unspelled, "'+712'", "'712'"),
		ids("id VARCHAR", "int", unspelled, "' 712'", "'712'"),
		ids("id VARCHAR", "int", unspelled, "'-0'", "'0'"),
		ids("id VARCHAR", "int", unspelled, "'0x10'", "'16'"),
		ids("id VARCHAR", "int", unspelled, "'1_000'", "'1000'"),
		ids("id VARCHAR", "int", unspelled, "'true'", "'1'"),
	}, func(t testing.TB, c *catalog.Catalog, statements ...string) enginetest.Verifier {
		path := newDatabase(t, statements...)
		e, err := Open(t.Context(), Config{Database: path}, c, enginetest.Hospital, testKey)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e
	})
}

// The same of a CSV file, whose columns are texts.
func TestIdentitiesOfCSV(t *testing.T) {
	enginetest.Identities(t, []enginetest.Identity{
		ids("id", "int", "", "712", "-3"),
		ids("id", "text", "", "712", "0712", "712.0"),
		ids("id", "int", unspelled, "712", "0712"),
		ids("id", "int", unspelled, "712.2", "712.4"),
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
