package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
)

// Zone is the hospital's time zone in these tests.
const Zone = "Europe/Paris"

// StayCatalog is the catalog of Stays.
const StayCatalog = `
catalog: stay
max_groups: 5
max_rows: 5
tables:
  stay:
    patient: id
    columns:
      id: {type: int, nullable: false}
      code: {type: text}
      town: {type: text}
      weight: {type: float, bounds: [0, 200]}
      n: {type: int}
      day: {type: date}
      at: {type: timestamp}
      dead: {type: bool}
`

// Stays are the rows of table stay, as every engine must read them from every form of a hospital's data. They are the
// right values, in the order of the catalog's columns; empty means NULL.
var Stays = [][]string{
	{"1", "007", "Orléans", "74.5", "3", "2023-03-05", "2023-03-05T14:30:00", "true"},
	{"2", "0712", "", "", "", "", "", ""},
	{"3", "712", "Saint-Étienne", "0.5", "-4", "1931-12-31", "1931-12-31T00:00:00", "false"},
	{"9223372036854775807", "a b", `L'Haÿ, dit "les Roses"`, "120", "9223372036854775807", "9999-12-31", "2023-07-01T23:59:59.5", "false"},
}

// StayValues is Stays as a table of texts that the engines' databases understand.
func StayValues() string {
	var rows []string
	for _, r := range Stays {
		cells := make([]string, len(r))
		for i, c := range r {
			if cells[i] = "'" + strings.ReplaceAll(c, "'", "''") + "'"; c == "" {
				cells[i] = "NULL"
			}
		}
		rows = append(rows, "("+strings.Join(cells, ", ")+")")
	}
	return "(VALUES " + strings.Join(rows, ", ") + `) AS v (id, code, town, weight, n, "day", "at", dead)`
}

// Checker is an engine that compares its data with the catalog, as catalog check does.
type Checker interface {
	Verifier
	Verify(ctx context.Context) ([]engine.Finding, error)
}

// Findings lists the differences between an engine's data and its catalog, one line each.
func Findings(t testing.TB, e Checker) (lines []string) {
	t.Helper()
	found, err := e.Verify(context.Background())
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	for _, f := range found {
		lines = append(lines, fmt.Sprintf("%s %s.%s %s", f.Severity, f.Table, f.Column, f.Text))
	}
	return lines
}

// RightValues checks that an engine whose catalog is StayCatalog reads table stay as Stays, and has no findings for it.
func RightValues(t *testing.T, form string, e Checker, c *catalog.Catalog) {
	t.Helper()
	if diff := cmp.Diff(Stays, readRows(t, e, c, "stay")); diff != "" {
		t.Errorf("%s: %s", form, diff)
	}
	found, err := e.Verify(context.Background())
	if err != nil {
		t.Fatalf("%s: %v", form, err)
	}
	for _, f := range found {
		t.Errorf("%s: %s %s.%s %s", form, f.Severity, f.Table, f.Column, f.Text)
	}
}

// RawCatalog is the catalog of a table raw. All its columns except id are read from one column of texts, v. RawColumns
// maps them.
const RawCatalog = `
catalog: raw
max_groups: 5
max_rows: 5
tables:
  raw:
    patient: id
    columns:
      id: {type: int, nullable: false}
      b: {type: bool}
      i: {type: int}
      f: {type: float}
      d: {type: date}
      at: {type: timestamp}
`

// RawColumns maps the columns of RawCatalog to v.
var RawColumns = map[string]string{"b": "v", "i": "v", "f": "v", "d": "v", "at": "v"}

// Raw has texts of a column, and the value that each of RawCatalog's types reads, at a hospital in Zone: b, i, f, d,
// at.
var Raw = [][6]string{
	{"true", "true"}, {"T", "true"}, {" yes ", "true"}, {"Y", "true"}, {"FALSE", "false"}, {"n", "false"}, {"f", "false"}, {"no", "false"}, {"oui"}, {"on"}, {""}, {" "},
	{"1", "true", "1", "1"}, {"0", "false", "0", "0"}, {"-4", "", "-4", "-4"}, {"+5", "", "5", "5"}, {" 12 ", "", "12", "12"}, {"007", "", "7", "7"},
	{"8507.0", "", "8507", "8507"}, {"8507.", "", "8507", "8507"}, {"8507.5", "", "", "8507.5"}, {".5", "", "", "0.5"}, {"1e3", "", "", "1000"}, {"-1.5E-2", "", "", "-0.015"},
	{"9223372036854775807", "", "9223372036854775807", "9.223372036854775807e18"}, {"9223372036854775808", "", "", "9.223372036854775807e18"}, {"0000000000000000000000042", "", "42", "42"},
	{"74,5"}, {"1 000"}, {"NaN"}, {"inf"}, {"Infinity"}, {"1e999"}, {"0x1F"}, {"1d"}, {"1_000"}, {"٣"}, {"--1"}, {"."}, {"e5"},
	{"2023-03-05", "", "", "", "2023-03-05", "2023-03-05T00:00:00"}, {" 2024-02-29 ", "", "", "", "2024-02-29", "2024-02-29T00:00:00"}, {"2023-02-29"}, {"2023-02-30"}, {"2023-13-01"}, {"0000-01-01"},
	{"2023-3-5"}, {"20230305", "", "20230305", "20230305"}, {"05/03/2023"}, {"12023-03-05"},
	{"2023-03-05 14:30", "", "", "", "2023-03-05", "2023-03-05T14:30:00"}, {"2023-03-05T14:30:59", "", "", "", "2023-03-05", "2023-03-05T14:30:59"},
	{"2023-03-05 14:30:59.1234567", "", "", "", "2023-03-05", "2023-03-05T14:30:59.123456"}, {"2023-03-05 24:00:00"}, {"2023-03-05 14:60:00"}, {"2023-03-05 14"}, {"2023-03-05 14:30:60"},
	{"2023-03-05T23:30:00Z", "", "", "", "2023-03-06", "2023-03-06T00:30:00"}, {"2023-07-01T16:59:59.5-05:00", "", "", "", "2023-07-01", "2023-07-01T23:59:59.5"},
	{"2023-07-01 12:00 +0200", "", "", "", "2023-07-01", "2023-07-01T12:00:00"}, {"2023-07-01 12:00+02", "", "", "", "2023-07-01", "2023-07-01T12:00:00"},
	{"2023-07-01T12:00:00+0200", "", "", "", "2023-07-01", "2023-07-01T12:00:00"}, {"2023-07-01 12:00:00.25 -09", "", "", "", "2023-07-01", "2023-07-01T23:00:00.25"}, {"2023-07-01 12:00:00+16:00"},
	// 02:30 does not exist in spring: a text without a zone is kept as it is. In autumn it occurs twice, and an offset
	// says which.
	{"2023-03-26 02:30", "", "", "", "2023-03-26", "2023-03-26T02:30:00"}, {"2023-03-26T02:30:00+01:00", "", "", "", "2023-03-26", "2023-03-26T03:30:00"},
	{"2023-10-29 02:30 +02:00", "", "", "", "2023-10-29", "2023-10-29T02:30:00"}, {"2023-10-29 02:30+01:00", "", "", "", "2023-10-29", "2023-10-29T02:30:00"},
	{"2023-07-01 12:00+99:00"}, {"2023-07-01 12:00 Europe/Paris"}, {"2023-07-01 12:00 PM"},
}

// RawTexts checks that an engine whose catalog is RawCatalog reads the texts of Raw as stated there. Row i of its table
// raw has the text i of Raw in v, and the id i.
func RawTexts(t *testing.T, form string, e Engine, c *catalog.Catalog) {
	t.Helper()
	rows := readRows(t, e, c, "raw")
	if len(rows) != len(Raw) {
		t.Fatalf("%s: %d rows, not %d", form, len(rows), len(Raw))
	}
	for i, want := range Raw {
		for k, of := range []string{"bool", "int", "float", "date", "timestamp"} {
			if of == "float" && want[k+1] != "" {
				v, err := value.Parse(value.TypeFloat, want[k+1])
				if err != nil {
					t.Fatal(err)
				}
				want[k+1] = v.String()
			}
			if got := rows[i][k+1]; got != want[k+1] {
				t.Errorf("%s: %q as %s is %q, not %q", form, want[0], of, got, want[k+1])
			}
		}
	}
}

// readRows returns all rows of a table whose key is id, sorted by id. It reads them with fragments, one column at a
// time beside the id.
func readRows(t *testing.T, e Engine, c *catalog.Catalog, name string) (rows [][]string) {
	t.Helper()
	table, _ := c.Table(name)
	id := expr.Column("t", "id", value.TypeInt)
	var ids []int64
	cells := map[string]string{}
	for i, column := range table.Columns {
		f := &fragment.Fragment{Catalog: c.Digest(), Relations: []fragment.Relation{{Name: "t", Table: name}}, Patient: id, Norm: fragment.L2, MaxGroups: 5, MaxRows: 5, Partials: []fragment.Partial{{Kind: fragment.PartialRows}},
			Keys: []fragment.Key{{Expr: id}, {Expr: expr.Column("t", column.Name, column.Type)}}}
		got, keys, _ := Partials(t, e, c, f)
		for group, of := range keys {
			if n := got[group][0]; n != 1 {
				t.Errorf("%s %v is there %d times", column.Name, of, n)
			}
			if i == 0 {
				ids = append(ids, of[0].Int64())
			}
			if !of[1].IsNull() {
				cells[fmt.Sprint(of[0].Int64(), column.Name)] = strings.TrimSpace(of[1].String())
			}
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		var row []string
		for _, column := range table.Columns {
			row = append(row, cells[fmt.Sprint(id, column.Name)])
		}
		rows = append(rows, row)
	}
	return rows
}
