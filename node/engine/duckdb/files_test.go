package duckdb

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal256"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

// readView returns all rows of the table from the engine's view, with NULLs as "".
func readView(t testing.TB, e *Engine, table string) (rows [][]string) {
	t.Helper()
	columns := []string{}
	tab, _ := e.catalog.Table(table)
	for _, c := range tab.Columns {
		columns = append(columns, `coalesce(CAST("`+c.Name+`" AS VARCHAR), '')`)
	}
	err := e.driver.Query(context.Background(), "SELECT "+strings.Join(columns, ", ")+" FROM "+schema+`."`+table+`" ORDER BY "id"`, false, func(row []any) error {
		var r []string
		for _, cell := range row {
			r = append(r, cell.(string))
		}
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	return rows
}

// openFolder opens an engine over files of a folder, by name, with the engine's part of node.yaml.
func openFolder(t testing.TB, catalog, settings string, files map[string][]byte) *Engine {
	t.Helper()
	cfg := newFolder(t, settings, files)
	e, err := Open(context.Background(), cfg, testcatalog.Parse(t, catalog), "A", testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// startFolder is openFolder with DuckDB in processes of its own, as a node uses it.
func startFolder(t testing.TB, catalog string, cfg Config) *Engine {
	t.Helper()
	e, err := Start(context.Background(), cfg, Workers{Most: 1}, testcatalog.Parse(t, catalog), "A", testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// newFolder creates a folder of files, and the engine's part of node.yaml that reads them.
func newFolder(t testing.TB, settings string, files map[string][]byte) Config {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var cfg Config
	if settings != "" {
		if err := config.Decode(strings.NewReader(settings), "node.yaml", &cfg); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Folder = folder
	return cfg
}

// testdata returns a file that stays.py wrote.
func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// write writes the right values as a CSV file. cell writes a cell in a program's form.
func write(delimiter, end string, cell func(column int, s string) string) string {
	var b strings.Builder
	b.WriteString(strings.Join([]string{"id", "code", "town", "weight", "n", "day", "at", "dead"}, delimiter) + end)
	for _, r := range enginetest.Stays {
		cells := make([]string, len(r))
		for i, s := range r {
			cells[i] = cell(i, s)
		}
		b.WriteString(strings.Join(cells, delimiter) + end)
	}
	return b.String()
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// TestRightValues checks that five dialects of CSV, Parquet files of three writers and a database have the same rows,
// without findings.
func TestRightValues(t *testing.T) {
	encode := func(e interface {
		String(string) (string, error)
	}, s string) []byte {
		out, err := e.String(s)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(out)
	}
	plain := func(i int, s string) string {
		if strings.ContainsAny(s, `",`) {
			return quoted(s)
		}
		return s
	}
	french := func(i int, s string) string {
		switch {
		case s == "":
			return "NA"
		case i == 3:
			return strings.Replace(s, ".", ",", 1)
		case i == 5:
			return s[8:10] + "/" + s[5:7] + "/" + s[0:4]
		case i == 6:
			return s[8:10] + "/" + s[5:7] + "/" + s[0:4] + " " + strings.Replace(s[11:], ".", ",", 1)
		case i == 7:
			return map[string]string{"true": "O", "false": "N"}[s]
		case strings.Contains(s, `"`):
			return quoted(s)
		}
		return s
	}
	zoned := func(i int, s string) string {
		switch {
		case i == 6 && strings.HasPrefix(s, "2023-03"):
			return s[:10] + "T13:30:00Z" // Paris, in winter
		case i == 6 && strings.HasPrefix(s, "2023-07"):
			return "2023-07-01T16:59:59.5-05:00" // Paris, in summer
		}
		return quoted(s)
	}
	frenchTimes := strings.Replace(write(";", "\r\n", french), "14:30:00;", "14:30:00,0;", 1)
	frenchTimes = strings.Replace(frenchTimes, "00:00:00;", "00:00:00,0;", 1)
	for _, test := range []struct {
		name, config string
		files        map[string][]byte
	}{
		{"plain", "", map[string][]byte{"stay.csv": []byte(write(",", "\n", plain))}},
		{"French, Windows", "csv: {encoding: windows-1252, delimiter: \";\", decimal: \",\", date_format: dd/mm/yyyy, timestamp_format: \"dd/mm/yyyy hh:mm:ss,f\", null: [NA], true: [O], false: [N]}", map[string][]byte{"stay.csv": encode(charmap.Windows1252.NewEncoder(), frenchTimes)}},
		{"all quoted, zones, a BOM", "timezone: Europe/Paris", map[string][]byte{"stay.csv": []byte("\ufeff" + write(",", "\r\n", zoned))}},
		{"tabs, UTF-16", "csv: {delimiter: \"\\t\", quote: \"\"}", map[string][]byte{"stay.csv": encode(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder(), write("\t", "\r\n", func(_ int, s string) string { return s }))}},
		{"two files with other columns, folders", "csv: {delimiter: \"|\"}", map[string][]byte{
			"stay/1/x.csv": []byte(strings.Join(strings.SplitAfter(write("|", "\n", func(_ int, s string) string { return quoted(s) }), "\n")[:3], "")),
			"stay/2/y.csv": []byte("dead|weight|id|more|code|n|day|at|town\nf|0.5|3|?|712|-4|1931-12-31|1931-12-31T00:00|Saint-Étienne\n0|1.2e2|9223372036854775807|?|a b|9223372036854775807|9999-12-31|2023-07-01 23:59:59.500|\"L'Haÿ, dit \"\"les Roses\"\"\"\n"),
		}},
		{"Parquet of arrow-go", "", map[string][]byte{"stay.parquet": arrowParquet(t, true)}},
		{"Parquet of arrow-go, zones", "timezone: Europe/Paris", map[string][]byte{"stay.parquet": arrowParquet(t, false)}},
		{"Parquet of pyarrow", "", map[string][]byte{"stay.parquet": testdata(t, "pyarrow.parquet")}},
		{"Parquet of pyarrow, zones", "timezone: Europe/Paris", map[string][]byte{"stay/1.parquet": testdata(t, "pyarrow-zones.parquet")}},
		{"Parquet of DuckDB", "", map[string][]byte{"stay.parquet": duckdbFile(t, "COPY (SELECT * FROM stay) TO 'FILE' (FORMAT parquet)")}},
		{"a select over a folder", "tables: {stay: {select: \"SELECT * REPLACE (CAST(weight AS DOUBLE) / 2 AS weight) FROM source.main.\\\"Séjour 2023\\\"\"}}", map[string][]byte{"Séjour 2023.csv": []byte(strings.NewReplacer("74.5", "149", ",0.5,", ",1,", ",120,", ",240,").Replace(write(",", "\n", plain)))}},
	} {
		e := openFolder(t, enginetest.StayCatalog, test.config, test.files)
		if len(e.closed) > 0 {
			t.Fatal(e.closed)
		}
		enginetest.RightValues(t, test.name, e, e.catalog)
	}
	for form, rows := range map[string][]string{
		"DuckDB": duckdbRows(),
		"DuckDB, zones": {"SET TimeZone = 'America/New_York'", "CREATE TABLE raw AS SELECT * FROM " + enginetest.StayValues(),
			`CREATE TABLE stay AS SELECT * REPLACE (CAST("at" AS TIMESTAMP) AT TIME ZONE 'Europe/Paris' AS "at") FROM raw`},
		"DuckDB, texts": {"CREATE TABLE stay AS SELECT * FROM " + enginetest.StayValues()},
	} {
		e, err := Open(context.Background(), Config{Database: newDatabase(t, rows...), Timezone: enginetest.Zone}, testcatalog.Parse(t, enginetest.StayCatalog), "A", testKey)
		if err != nil {
			t.Fatal(err)
		}
		enginetest.RightValues(t, form, e, e.catalog)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRawTexts checks that a column of texts is read in the same way from a database and from a file, and as on
// PostgreSQL and Trino.
func TestRawTexts(t *testing.T) {
	var rows []string
	file := "id,v\n"
	for i, r := range enginetest.Raw {
		rows = append(rows, fmt.Sprintf("(%d, %s)", i, quote(r[0])))
		file += fmt.Sprintf("%d,%s\n", i, quoted(r[0]))
	}
	cfg := newFolder(t, "", map[string][]byte{"raw.csv": []byte(file)})
	for form, cfg := range map[string]Config{
		"a database": {Database: newDatabase(t, "CREATE TABLE raw (id BIGINT, v VARCHAR)", "INSERT INTO raw VALUES "+strings.Join(rows, ", "))}, "CSV": cfg,
	} {
		cfg.Timezone, cfg.Tables = enginetest.Zone, map[string]engine.Source{"raw": {Columns: enginetest.RawColumns}}
		e, err := Open(context.Background(), cfg, testcatalog.Parse(t, enginetest.RawCatalog), "A", testKey)
		if err != nil {
			t.Fatal(err)
		}
		enginetest.RawTexts(t, form, e, e.catalog)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestFieldCases checks that cases from hospitals are read or reported in the same way in a database, Parquet and CSV.
func TestFieldCases(t *testing.T) {
	var rows []string
	file := strings.Join(enginetest.FieldColumns, ",") + "\n"
	for _, r := range enginetest.Letters() {
		cells := slices.Clone(r)
		for i, c := range r {
			cells[i] = quoted(c)
			r[i] = quote(c)
		}
		rows = append(rows, "("+r[0]+"::BIGINT, "+strings.Join(r[1:], ", ")+")")
		file += strings.Join(cells, ",") + "\n"
	}
	letters := "SELECT * FROM (VALUES " + strings.Join(rows, ", ") + ") AS v (" + strings.Join(enginetest.FieldColumns, ", ") + ")"
	const absent = "SELECT 1::BIGINT AS patient, 'yes' AS dead"
	for form, cfg := range map[string]Config{
		"a database": {Database: newDatabase(t, "CREATE TABLE letter AS "+letters, "CREATE TABLE absent AS "+absent)},
		"Parquet": newFolder(t, "", map[string][]byte{
			"letter.parquet": duckdbFile(t, "COPY ("+letters+") TO 'FILE' (FORMAT parquet)"), "absent.parquet": duckdbFile(t, "COPY ("+absent+") TO 'FILE' (FORMAT parquet)"),
		}),
		"CSV": newFolder(t, "csv: {multiline: true}", map[string][]byte{"letter.csv": []byte(file), "absent.csv": []byte("patient,dead\n1,yes\n")}),
	} {
		e, err := Open(context.Background(), cfg, testcatalog.Parse(t, enginetest.FieldCatalog), "A", testKey)
		if err != nil {
			t.Fatal(err)
		}
		enginetest.FieldCases(t, form, e, e.catalog)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOddTypes checks that amounts, days without end and lists are read or reported as on the other engines.
func TestOddTypes(t *testing.T) {
	cfg := Config{Timezone: enginetest.Zone, Database: newDatabase(t, "CREATE TABLE odd (id BIGINT, cost DECIMAL(18,2), until TIMESTAMP, day DATE, seen TIMESTAMPTZ, tags INT[])",
		"INSERT INTO odd VALUES (1, 1234.5, '2023-07-01 12:00', '2023-07-01', '2023-07-01 23:30:00+00', [1, 2]), (2, 1234.5, 'infinity', 'infinity', 'infinity', [1]), (3, 1234.5, '2023-07-01 12:00', '-infinity', '-infinity', [1])")}
	c := testcatalog.Parse(t, enginetest.OddCatalog)
	e, err := Open(t.Context(), cfg, c, "A", testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	enginetest.OddTypes(t, "DuckDB", "INTEGER[]", e, c)
}

// TestBlankIds checks that empty and blank ids count as one patient's, and are reported.
func TestBlankIds(t *testing.T) {
	c := testcatalog.Parse(t, "catalog: c\ntables: {stay: {patient: id, columns: {id: {type: text, nullable: false}}}}")
	e, err := Open(t.Context(), Config{Database: newDatabase(t, "CREATE TABLE stay AS SELECT * FROM (VALUES ('a'), (''), (' '), (NULL)) v(id)")}, c, "A", testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if found := enginetest.Findings(t, e); !slices.Contains(found, "warning stay.id tells patients apart, and has 2 values that are empty or blank, whose rows count as one patient's: let the load write NULL there") {
		t.Errorf("%q", found)
	}
}

// A time of day in another zone than the hospital's means that instant. A time that the clocks there skipped is an hour
// later, as if they had not been changed. A time that they showed twice means the second.
func TestSkippedHour(t *testing.T) {
	const catalog = `
catalog: times
tables:
  stay:
    patient: id
    columns:
      id: {type: int, nullable: false}
      at: {type: timestamp}
`
	file := "id,at\n1,2023-03-26 01:30\n2,2023-03-26 02:30\n3,2023-03-26 03:30\n4,2023-10-29 01:30\n5,2023-10-29 02:30\n6,2023-10-29 03:30\n"
	for zone, want := range map[string][]string{
		"Europe/Paris": {"01:30", "02:30", "03:30", "01:30", "02:30", "03:30"}, // unchanged
		"UTC":          {"00:30", "01:30", "01:30", "23:30", "01:30", "02:30"},
	} {
		e := openFolder(t, catalog, "csv: {timezone: Europe/Paris}\ntimezone: "+zone, map[string][]byte{"stay.csv": []byte(file)})
		if found := enginetest.Findings(t, e); len(found) > 0 {
			t.Errorf("%s: %v", zone, found)
		}
		rows := readView(t, e, "stay")
		if len(rows) != len(want) {
			t.Fatalf("%s: %v", zone, rows)
		}
		for i, row := range rows {
			if at := fmt.Sprint(row[1]); !strings.Contains(at, want[i]) {
				t.Errorf("%s, row %d: %s, not %s", zone, i+1, at, want[i])
			}
		}
	}
}

func duckdbRows() []string {
	return []string{"CREATE TABLE stay (id DECIMAL(19,0), code VARCHAR, town VARCHAR, weight DECIMAL(9,3), n BIGINT, day DATE, \"at\" TIMESTAMP, dead BOOLEAN)",
		"INSERT INTO stay FROM " + enginetest.StayValues()}
}

// duckdbFile returns the bytes of a file that DuckDB writes.
func duckdbFile(t testing.TB, statement string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	newDatabase(t, append(duckdbRows(), strings.ReplaceAll(statement, "FILE", path))...)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// arrowParquet writes the right values as arrow-go does: timestamps as the time of day, or as instants in UTC.
func arrowParquet(t testing.TB, local bool) []byte {
	t.Helper()
	instant := &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	if local {
		instant = &arrow.TimestampType{Unit: arrow.Microsecond}
	}
	s := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "code", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "town", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "weight", Type: arrow.PrimitiveTypes.Float64, Nullable: true}, {Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, {Name: "day", Type: arrow.FixedWidthTypes.Date32, Nullable: true},
		{Name: "at", Type: instant, Nullable: true}, {Name: "dead", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, s)
	defer b.Release()
	for _, r := range enginetest.Stays {
		for i, cell := range r {
			if i == 6 && !local { // Paris is an hour ahead of UTC in winter, two in summer, and was on UTC in 1931
				cell = map[string]string{"2023-03-05T14:30:00": "2023-03-05T13:30:00", "2023-07-01T23:59:59.5": "2023-07-01T21:59:59.5"}[cell]
				if r[0] == "3" {
					cell = r[6]
				}
			}
			if cell == "" {
				b.Field(i).AppendNull()
			} else if err := b.Field(i).AppendValueFromString(cell); err != nil {
				t.Fatal(err)
			}
		}
	}
	record := b.NewRecord()
	defer record.Release()
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(s, &out, nil, pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(record); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestFindings checks that what does not fit is reported before anything is answered, as counts, and closes its table.
func TestFindings(t *testing.T) {
	small := `
catalog: small
tables:
  stay:
    patient: id
    columns:
      id: {type: int, nullable: false}
      x: {type: float}
`
	parquet := func(statements ...string) map[string][]byte {
		files := map[string][]byte{}
		for i, s := range statements {
			files[fmt.Sprintf("stay/%d.parquet", i)] = duckdbFile(t, "COPY ("+s+") TO 'FILE' (FORMAT parquet)")
		}
		return files
	}
	absent := []string{"warning stay. has no column x in 1 of its 2 files, in whose rows it is NULL"}
	unread := func(file, beside string) string {
		return "error stay. is closed: FOLDER/" + file + " is not read" + beside + ": let all files of the table be of one kind (.parquet, or .csv in one letter case, not compressed) in folders of one depth, name them in node.yaml (`file`), or move it away"
	}
	lines := func(s string) map[string][]byte { return map[string][]byte{"stay.csv": []byte(s)} }
	for _, test := range []struct {
		name, config string
		files        map[string][]byte
		want         []string
		rows         int // -1: the table is not offered
	}{
		{"a line too long", "", lines("id,x\n1,2\n2,3,4\n3,4\n"), []string{"error stay. loses 1 of 3 lines, which do not fit: 1 have another number of fields than the header. Mend the files, or csv in node.yaml; or accept the loss there by max_rejected"}, 2},
		{"accepted", "csv: {max_rejected: 34 %}", lines("id,x\n1,2\n2,3,4\n3,4\n"), []string{"warning stay. loses 1 of 3 lines, which do not fit: 1 have another number of fields than the header; node.yaml accepts it"}, 2},
		{"more than accepted", "csv: {max_rejected: 30 %}", lines("id,x\n1,2\n2,3,4\n3,4\n"), []string{"error stay. loses 1 of 3 lines, which do not fit: 1 have another number of fields than the header. Mend the files, or csv in node.yaml; or accept the loss there by max_rejected"}, 2},
		{"ids that are none", "csv: {max_rejected: 100 %}", lines("id,x\n1,2\n01,3\n\"x\n"), []string{
			"warning stay. loses 1 of 3 lines, which do not fit: 1 have a quote that does not end in the line (if fields hold line feeds, set csv: {multiline: true}); node.yaml accepts it",
			"error stay.id tells patients apart, and holds values that are no int as one is written (without zeros, a sign, blanks or a point more than it needs): they could be one patient's or several's; mend them, or declare the column as text in all tables of the catalog",
			"error stay.id is declared not nullable and has 1 NULLs: more than 10 % of them. Map another column, mend the catalog, or accept it in node.yaml by the table's max_unusable"}, 2},
		{"another delimiter", "", lines("id;x\n1;2\n"), []string{
			"warning stay. has one column in FOLDER/stay.csv, whose name holds \";\": where fields end with it, set csv: {delimiter: \";\"} in node.yaml",
			"error stay. is closed: 1 of its 1 files name no column of the catalog: is their first line a line of names? See `header` and `columns` in docs/node.yaml",
			"error stay.id does not exist here, and leads to the patient: nothing can be answered without it; map it in node.yaml, `columns`",
			"warning stay.x does not exist here and reads as NULL"}, 1},
		{"no header", "", lines("1,2\n2,3\n"), []string{
			"error stay. is closed: 1 of its 1 files name no column of the catalog: is their first line a line of names? See `header` and `columns` in docs/node.yaml",
			"error stay.id does not exist here, and leads to the patient: nothing can be answered without it; map it in node.yaml, `columns`",
			"warning stay.x does not exist here and reads as NULL"}, 1},
		{"multiline, broken", "csv: {multiline: true, max_rejected: 100 %}", lines("id,x\n1,\"2\n3,4\n"), []string{"error stay. is closed: FOLDER/stay.csv is not well-formed from its first to its last character, as `multiline` needs: a quote is where it cannot be, or does not end"}, 0},
		{"whole and real", "", parquet("SELECT 1::BIGINT AS id, 7::BIGINT AS x", "SELECT 2::BIGINT AS id, 6.5::DOUBLE AS x"), nil, 2},
		{"an id that is whole and real", "", parquet("SELECT 9007199254740993::BIGINT AS id, 7::BIGINT AS x", "SELECT 2::DOUBLE AS id, 6.5::DOUBLE AS x"), []string{
			"error stay.id tells patients apart, and is of type DOUBLE here and int in the catalog: values that differ could be read as one; give a column of whole numbers or texts",
			"error stay.id is declared not nullable and has 2 NULLs: more than 10 % of them. Map another column, mend the catalog, or accept it in node.yaml by the table's max_unusable"}, 2},
		{"a file without the patient", "", parquet("SELECT 1::BIGINT AS id, 7::BIGINT AS x", "SELECT 6::BIGINT AS x"), []string{
			"warning stay. has no column id in 1 of its 2 files, in whose rows it is NULL",
			"error stay.id is declared not nullable and has 1 NULLs: more than 10 % of them. Map another column, mend the catalog, or accept it in node.yaml by the table's max_unusable"}, 2},
		{"a file without the patient, accepted", "tables: {stay: {max_unusable: 50 %}}", parquet("SELECT 1::BIGINT AS id, 7::BIGINT AS x", "SELECT 6::BIGINT AS x"), []string{
			"warning stay. has no column id in 1 of its 2 files, in whose rows it is NULL",
			"warning stay.id is declared not nullable and has 1 NULLs"}, 2},
		{"whole and real, too large", "", parquet("SELECT 1 AS id, 9007199254740995 AS x", "SELECT 2 AS id, 6.5::DOUBLE AS x"), []string{"error stay.x is whole in some files and real in others, and has 1 values too large to be read as both; write the files anew with one type"}, 2},
		{"text and number", "", parquet("SELECT 1 AS id, 7 AS x", "SELECT 2 AS id, '6.5' AS x"), []string{"error stay. is closed: column x of FOLDER/stay/*.parquet: its files disagree on the type: INTEGER in 1, VARCHAR in 1; write them anew with one type"}, -1},
		{"a time and an instant", "", parquet("SELECT 1 AS id, TIMESTAMP '2023-07-01 12:00:00' AS x", "SELECT 2 AS id, TIMESTAMPTZ '2023-07-01 12:00:00+00' AS x"), []string{"error stay. is closed: column x of FOLDER/stay/*.parquet: its files disagree on the type: TIMESTAMP WITH TIME ZONE in 1, TIMESTAMP in 1; write them anew with one type"}, -1},
		{"int32 and int64", "", parquet("SELECT 1::INT AS id, 7 AS x", "SELECT 3000000000 AS id, 6 AS x"), nil, 2},
		{"a column added", "", parquet("SELECT 1 AS id", "SELECT 2 AS id, 6.5::DOUBLE AS x"), absent, 2},
		{"a column lost", "", parquet("SELECT 2 AS id, 6.5::DOUBLE AS x", "SELECT 1 AS id"), absent, 2},
		{"a column lost, CSV", "", map[string][]byte{"stay/1.csv": []byte("id\n1\n"), "stay/2.csv": []byte("id,x\n2,6.5\n")}, absent, 2},
		{"a file of another kind beside", "", map[string][]byte{"stay/1.csv": []byte("id,x\n1,2\n"), "stay/2.csv.gz": nil}, []string{unread("stay/2.csv.gz", " beside FOLDER/stay/*.csv")}, -1},
		{"a file in other letters", "", map[string][]byte{"stay/1.csv": []byte("id,x\n1,2\n"), "stay/2.CSV": nil}, []string{unread("stay/2.CSV", " beside FOLDER/stay/*.csv")}, -1},
		{"files at two depths", "", map[string][]byte{"stay/1.csv": []byte("id,x\n1,2\n"), "stay/x=3/2.csv": nil}, []string{unread("stay/x=3/2.csv", " beside FOLDER/stay/*.csv")}, -1},
		{"a file and a folder", "", map[string][]byte{"stay.csv": []byte("id,x\n1,2\n"), "stay/2.csv": nil}, []string{unread("stay/2.csv", " beside FOLDER/stay.csv")}, -1},
		{"compressed", "", map[string][]byte{"stay.csv.gz": nil}, []string{unread("stay.csv.gz", "")}, -1},
		{"letters of Windows", "", map[string][]byte{"STAY.CSV": []byte("ID,X\n1,2\n")}, nil, 1},
		{"what an editor leaves", "", map[string][]byte{"stay/1.csv": []byte("id,x\n1,2\n"), "stay/1.csv.bak": nil, "stay/LISEZ-MOI.txt": nil, "stay/.1.csv.swp": nil, "stay/_SUCCESS": nil}, nil, 1},
		{"not finished", "", map[string][]byte{"stay/x=1/1.csv": []byte("id\n1\n"), "stay/_temporary/x=2/2.csv": []byte("id\n2\n")}, []string{"error stay. is closed: FOLDER/stay/_temporary/x=2/2.csv has the name of a file that is hidden, or not finished: move it away"}, -1},
		{"Delta Lake", "", map[string][]byte{"stay/1.parquet": duckdbFile(t, "COPY (SELECT 1 AS id, 2.0 AS x) TO 'FILE' (FORMAT parquet)"), "stay/_delta_log/00000000000000000000.json": nil}, []string{
			"error stay. is closed: its files are those of a table of Delta Lake, whose log in FOLDER/stay/ says which of them count: read it through Trino, or let the load write its rows out as Parquet elsewhere"}, -1},
		{"Parquet and CSV", "", map[string][]byte{"stay.parquet": duckdbFile(t, "COPY (SELECT 1 AS id, 2.0::DOUBLE AS x) TO 'FILE' (FORMAT parquet)"), "stay.csv": nil}, []string{
			"warning stay. FOLDER/stay.csv is not read: of a table's Parquet and CSV files the Parquet files are"}, 1},
		{"in files and in folders' names", "", map[string][]byte{"stay/x=3/1.csv": []byte("id,x\n1,2\n")}, []string{
			"warning stay. has the column x in its files and in the names of their folders, which count"}, 1},
	} {
		e := openFolder(t, small, test.config, test.files)
		found := enginetest.Findings(t, e)
		for i := range found {
			found[i] = strings.ReplaceAll(found[i], e.config.Folder, "FOLDER")
		}
		if diff := cmp.Diff(test.want, found); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
		// A node finds the same: a bad table closes itself, not the node.
		apart := enginetest.Findings(t, startFolder(t, small, e.config))
		for i := range apart {
			apart[i] = strings.ReplaceAll(apart[i], e.config.Folder, "FOLDER")
		}
		if diff := cmp.Diff(found, apart); diff != "" {
			t.Errorf("%s, in processes of its own: %s", test.name, diff)
		}
		if test.rows < 0 {
			continue
		}
		if rows := readView(t, e, "stay"); len(rows) != test.rows {
			t.Errorf("%s: %d rows", test.name, len(rows))
		}
	}
}

// TestDaysAndMonths checks the declaration of days and months in the wrong order: two in five days can still be read,
// as other days.
func TestDaysAndMonths(t *testing.T) {
	file := "id,day\n"
	for i := range 30 {
		file += fmt.Sprintf("%d,%02d/06/2023\n", i+1, i+1)
	}
	const catalog = "catalog: c\ntables: {stay: {patient: id, columns: {id: {type: int, nullable: false}, day: {type: date}}}}"
	const what = "stay.day has 18 values that are no date and read as NULL"
	for settings, want := range map[string]string{
		"csv: {date_format: dd/mm/yyyy}":                                         "",
		"csv: {date_format: mm/dd/yyyy}":                                         "error " + what + ": more than 50 % of them. Map another column, mend the catalog, or accept it in node.yaml by the table's max_unusable",
		"{csv: {date_format: mm/dd/yyyy}, tables: {stay: {max_unusable: 70 %}}}": "warning " + what,
	} {
		e := openFolder(t, catalog, settings, map[string][]byte{"stay.csv": []byte(file)})
		if said := strings.Join(enginetest.Findings(t, e), "\n"); said != want {
			t.Errorf("%s: %s", settings, said)
		}
	}
}

// TestOddParquet checks that Parquet files of other programs are read, or close their table before a query.
func TestOddParquet(t *testing.T) {
	const catalog = `
catalog: odd
tables:
  stay:
    patient: id
    columns:
      id: {type: int, nullable: false}
      x: {type: float}
      town: {type: text}
      day: {type: date}
`
	ids := arrow.Field{Name: "id", Type: arrow.PrimitiveTypes.Int64}
	file := func(field arrow.Field, fill func(array.Builder)) []byte {
		s := arrow.NewSchema([]arrow.Field{ids, field}, nil)
		b := array.NewRecordBuilder(memory.DefaultAllocator, s)
		defer b.Release()
		b.Field(0).(*array.Int64Builder).Append(1)
		fill(b.Field(1))
		record := b.NewRecord()
		defer record.Release()
		var out bytes.Buffer
		w, err := pqarrow.NewFileWriter(s, &out, nil, pqarrow.DefaultWriterProps())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Write(record), w.Close()); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	utf8 := func(s string) []byte {
		return file(arrow.Field{Name: "town", Type: arrow.BinaryTypes.String}, func(b array.Builder) { b.(*array.StringBuilder).Append(s) })
	}
	bytes := func(s string) []byte {
		return file(arrow.Field{Name: "town", Type: arrow.BinaryTypes.Binary}, func(b array.Builder) { b.(*array.BinaryBuilder).Append([]byte(s)) })
	}
	none := func(name string) []byte {
		return file(arrow.Field{Name: name, Type: arrow.Null, Nullable: true}, func(b array.Builder) { b.AppendNull() })
	}
	second := func(what string) []byte {
		return duckdbFile(t, "COPY (SELECT 2::BIGINT AS id, "+what+") TO 'FILE' (FORMAT parquet)")
	}
	for _, test := range []struct {
		name  string
		files map[string][]byte
		rows  [][]string
		want  string // the findings, without those on missing columns
	}{
		{"texts that no one marked as such", map[string][]byte{"stay.parquet": bytes("Orléans")}, [][]string{{"1", "", "Orléans", ""}}, ""},
		{"bytes that are no text", map[string][]byte{"stay.parquet": bytes("Orl\xe9ans")}, [][]string{{"1", "", "", ""}}, "error stay.town has 1 values that are no text and read as NULL: more than 90 % of them. Map another column, mend the catalog, or accept it in node.yaml by the table's max_unusable"},
		{"texts that are not UTF-8", map[string][]byte{"stay.parquet": utf8("Orl\xe9ans")}, nil, "error stay. is closed: a Parquet file holds texts that are not UTF-8: let the load write them in UTF-8"},
		{"numbers of 50 digits", map[string][]byte{"stay.parquet": file(arrow.Field{Name: "x", Type: &arrow.Decimal256Type{Precision: 50, Scale: 2}}, func(b array.Builder) { b.(*array.Decimal256Builder).Append(decimal256.FromI64(650)) })}, nil,
			"error stay. is closed: column x of FOLDER/stay.parquet: it holds decimals of 50 digits, and no more than 38 are read; write it anew with fewer"},
		{"a text column without a value, of no type", map[string][]byte{"stay/1.parquet": none("town"), "stay/2.parquet": second("'Sète' AS town")}, [][]string{{"1", "", "", ""}, {"2", "", "Sète", ""}}, ""},
		{"a day without a value, of no type", map[string][]byte{"stay/1.parquet": none("day"), "stay/2.parquet": second("DATE '2023-03-05' AS day")}, [][]string{{"1", "", "", ""}, {"2", "", "", "2023-03-05"}}, ""},
	} {
		e := openFolder(t, catalog, "", test.files)
		var found []string
		for _, f := range enginetest.Findings(t, e) {
			if !strings.Contains(f, "does not exist here") && !strings.Contains(f, "has no column") && !strings.Contains(f, "values are converted") {
				found = append(found, f)
			}
		}
		if said := strings.ReplaceAll(strings.Join(found, "\n"), e.config.Folder, "FOLDER"); said != test.want {
			t.Errorf("%s: %s", test.name, said)
		}
		if test.rows == nil {
			continue
		}
		if diff := cmp.Diff(test.rows, readView(t, e, "stay")); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// TestRelativeFolder checks that a relative path of a folder gives the same tables as its absolute path.
func TestRelativeFolder(t *testing.T) {
	const catalog = "catalog: c\ntables: {stay: {patient: id, columns: {id: {type: int, nullable: false}}}, lab: {patient: id, columns: {id: {type: int, nullable: false}}}}"
	cfg := newFolder(t, "", map[string][]byte{"stay.csv": []byte("id\n1\n"), "lab/day=1/1.csv": []byte("id\n2\n")})
	t.Chdir(filepath.Dir(cfg.Folder))
	cfg.Folder = filepath.Base(cfg.Folder)
	e, err := Open(t.Context(), cfg, testcatalog.Parse(t, catalog), "A", testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if found := enginetest.Findings(t, e); len(found) > 0 {
		t.Errorf("%q", found)
	}
	for table, id := range map[string]string{"stay": "1", "lab": "2"} {
		if diff := cmp.Diff([][]string{{id}}, readView(t, e, table)); diff != "" {
			t.Error(diff)
		}
	}
}

// TestFilesThatAppear checks files that appear while a node runs: those that fit are read, and one that is not read is
// noticed.
func TestFilesThatAppear(t *testing.T) {
	const catalog = "catalog: c\ntables: {stay: {patient: id, columns: {id: {type: int, nullable: false}, x: {type: int}}}}"
	e := openFolder(t, catalog, "", map[string][]byte{"stay/1.csv": []byte("id,x\n1,2\n")})
	put := func(name, content string) {
		if err := os.WriteFile(filepath.Join(e.config.Folder, "stay", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	version := func() string {
		s, err := e.DataVersion(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	put("2.csv", "more,id,x\n7,3,4\n") // a column that the catalog does not have
	if diff := cmp.Diff([][]string{{"1", "2"}, {"3", "4"}}, readView(t, e, "stay")); diff != "" {
		t.Error(diff)
	}
	if found := enginetest.Findings(t, e); len(found) > 0 {
		t.Errorf("%q", found)
	}
	before := version()
	put("notes.txt", "")
	if version() != before {
		t.Error("a text beside the table is new data")
	}
	put("3.csv.gz", "")
	if version() == before {
		t.Error("a file that is not read is no new data")
	}
	if found := enginetest.Findings(t, e); len(found) != 1 || !strings.HasPrefix(found[0], "error stay. is closed: "+e.config.Folder+"/stay/3.csv.gz is not read") {
		t.Errorf("%q", found)
	}
}

// TestLaterVersion checks that a file of a later DuckDB is refused with a way out.
func TestLaterVersion(t *testing.T) {
	path := newDatabase(t, "CREATE TABLE stay (id BIGINT)")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b[8:12]) != "DUCK" {
		t.Fatalf("the file begins with %q", b[:16])
	}
	// The test changes the storage version and corrects the header's checksum, which is the exclusive or of its words'
	// products.
	const factor = 0xbf58476d1ce4e5b9
	word := binary.LittleEndian.Uint64(b[8:])
	b[12] = 99
	binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word*factor^binary.LittleEndian.Uint64(b[8:])*factor)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(context.Background(), Config{Database: path}, testcatalog.Parse(t, enginetest.StayCatalog), "A", testKey)
	if !errors.Is(err, engine.ErrConfig) || !strings.Contains(err.Error(), "STORAGE_VERSION 'v1.4.0'") || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

// FuzzFiles checks that a node's messages quote nothing of a file, and that a query counts as many rows as the check.
func FuzzFiles(f *testing.F) {
	f.Add([]byte("id,code\n1,SECRET\n"))
	f.Add([]byte("id,code\n1,\"SECRET\n2,SECRET,SECRET\n\xe9\n"))
	f.Add([]byte("SECRET;SECRET\nSECRET;SECRET\n"))
	f.Add([]byte("\xff\xfeS\x00E\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		e := openFolder(t, enginetest.StayCatalog, "csv: {max_rejected: 100 %}", map[string][]byte{"stay.csv": content})
		said := strings.Join(enginetest.Findings(t, e), "\n")
		for _, c := range e.closed {
			said += c.Why
		}
		if strings.Contains(said, "SECRET") {
			t.Fatalf("%q: %s", content, said)
		}
		if len(e.closed) > 0 {
			return
		}
		for _, sql := range []string{"count(*)", "count(code IS NULL)", "count(weight IS NULL AND day IS NULL)"} {
			rows := int64(0)
			for _, c := range e.counted.files {
				rows = c.tally.Rows
				if c.tally.Rows+c.tally.Lost() != c.tally.Lines {
					t.Fatalf("%+v", c.tally)
				}
			}
			err := e.driver.Query(context.Background(), "SELECT "+sql+" FROM "+schema+".stay", false, func(row []any) error {
				if row[0].(int64) != rows {
					t.Errorf("%q: %s gives %v rows, check %d", content, sql, row[0], rows)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestKeyThatLeads checks a key by which other tables reach their patient. It may be `none` if these tables are not
// here; otherwise it closes them.
func TestKeyThatLeads(t *testing.T) {
	c := testcatalog.Parse(t, `
catalog: leads
tables:
  drug: {key: id, patient: pid, columns: {id: {type: int, nullable: false}, pid: {type: int, nullable: false}}}
  cost: {patient: drug, columns: {drug: {type: int, nullable: false, references: drug.id}}}
`)
	drug := []string{"CREATE TABLE drug AS SELECT * FROM (VALUES (1, 1), (1, 2)) v(id, pid)"}
	both := slices.Concat(drug, []string{"CREATE TABLE cost AS SELECT 1 AS drug"})
	twice := "error drug false the key id has values that are in several rows, where it must identify one"
	absent := "warning cost false is not offered: there is no source for it here that the node may read"
	for _, test := range []struct {
		name, key  string
		statements []string
		want       []string
	}{
		{"alone", "", drug, []string{strings.Replace(twice, "false", "true", 1), absent}},
		{"it leads", "", both, []string{twice}},
		{"alone and none", engine.KeyNone, drug, []string{absent}},
		{"it led", engine.KeyNone, both, []string{"error cost false is closed: it reaches its patient by drug, whose key is none here"}},
	} {
		cfg := Config{Database: newDatabase(t, test.statements...), Tables: map[string]engine.Source{"drug": {Key: test.key}}}
		if err := engine.ValidateTables(cfg.Tables, c); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		e, err := Open(t.Context(), cfg, c, "A", testKey)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		found, err := e.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found {
			got = append(got, fmt.Sprintf("%s %s %v %s", f.Severity, f.Table, f.Key, f.Text))
		}
		slices.Sort(got)
		slices.Sort(test.want)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, not %q", test.name, got, test.want)
		}
	}
}
