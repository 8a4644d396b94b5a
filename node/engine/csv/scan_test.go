package csv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// read returns the records of a file, with NULLs as "·", and the counts. parts is the size of the parts in which it is
// read.
func read(t testing.TB, s *Settings, content string, parts int64) (names []string, rows [][]string, tally Tally, problem string) {
	t.Helper()
	d, err := s.Dialect()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.csv")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := d.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range d.Parts(h, parts) {
		s, err := d.Scan(p, f)
		if err != nil {
			t.Fatal(err)
		}
		for {
			ok, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			var row []string
			for i := range s.Width() {
				text, null := s.Value(i)
				if null {
					text = []byte("·")
				}
				row = append(row, string(text))
			}
			rows = append(rows, row)
		}
		tally.Add(&s.Tally)
	}
	whole, err := d.Count(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	if !tally.Broken && whole != tally {
		t.Errorf("in parts of %d: %+v, as a whole: %+v", parts, tally, whole)
	}
	return h.Names, rows, tally, h.Problem
}

func text(s string) *string { return &s }

func TestRead(t *testing.T) {
	yes := true
	two := 2
	for _, test := range []struct {
		name     string
		settings Settings
		content  string
		want     string // names, then rows
		rejected string
	}{
		{"plain", Settings{}, "a,b\n1,x\n2,\n", "a,b|1,x|2,·", ""},
		{"no line feed at the end", Settings{}, "a,b\r\n1,x\r\n2,y", "a,b|1,x|2,y", ""},
		{"short and long", Settings{}, "a,b\n1\n2,x,y\n3,z\n", "a,b|3,z", "2 have another number of fields than the header"},
		{"quotes", Settings{}, "a,b\n1,\"x, \"\"y\"\"\"\n", `a,b|1,x, "y"`, ""},
		{"what follows a quote", Settings{}, "a,b,c\n9,\"fell from 3\" step,50\n8,\"ok\",51\n", `a,b,c|9,fell from 3 step,50|8,ok,51`, ""},
		{"a quote within", Settings{}, "a,b\n1,5\" nail\n", `a,b|1,5" nail`, ""},
		{"a quote that does not end", Settings{}, "a,b\n1,\"fell\n2,x\n", "a,b|2,x", "1 have a quote that does not end in the line (if fields hold line feeds, set csv: {multiline: true})"},
		{"line feeds in quotes", Settings{}, "a,b\n1,\"x\ny\"\n2,z\n", "a,b|2,z", "1 have a quote that does not end in the line (if fields hold line feeds, set csv: {multiline: true}); 1 have another number of fields than the header"},
		{"multiline", Settings{Multiline: &yes}, "a,b\n1,\"x\r\n\n\"\"y\"\"\"\n2,z\n", "a,b|1,x\r\n\n\"y\"|2,z", ""},
		{"multiline, broken", Settings{Multiline: &yes}, "a,b\n1,x\n2,\"fell from 3\" step\n3,z\n", "a,b|1,x", "1 have a quote that does not end in the line (if fields hold line feeds, set csv: {multiline: true})"},
		{"empty lines", Settings{}, "\na,b\n\n1,x\n\r\n", "a,b|1,x", ""},
		{"semicolon", Settings{Delimiter: ";"}, "a;b\n1;x,y\n", "a;b|1;x,y", ""},
		{"a delimiter of two bytes", Settings{Delimiter: "¤"}, "a¤b\n1¤\"¤\"\n", "a¤b|1¤¤", ""},
		{"nulls", Settings{Null: []string{"NA", "?"}}, "a,b\n,NA\n?,\"NA\"\n", "a,b|,·|·,·", ""},
		{"comments and skipped lines", Settings{Comment: "#", Skip: &two}, "exported by x\n,,,\n# a,b\na,b\n1,2\n#3,4\n", "a,b|1,2", ""},
		{"no header", Settings{Header: &Header{}}, "1,x\n2,y\n", "column1,column2|1,x|2,y", ""},
		{"names", Settings{Header: &Header{Names: []string{"id", "sex"}}}, "1,F\n2,M,x\n", "id,sex|1,F", "1 have another number of fields than the header"},
		{"no quote", Settings{Quote: text("")}, "a,b\n1,\"x\n", `a,b|1,"x`, ""},
		{"backslash", Settings{Escape: text(`\`)}, "a,b\n1,\"x \\\"y\\\" \\\\\"\n", `a,b|1,x "y" \`, ""},
		{"single quotes", Settings{Quote: text("'")}, "a,b\n1,'l''x, y'\n", "a,b|1,l'x, y", ""},
		{"BOM", Settings{}, "\ufeffa,b\n1,é\n", "a,b|1,é", ""},
		{"not UTF-8", Settings{}, "a,b\n1,\xe9\n2,x\n", "a,b|2,x", "1 are not utf-8 (files of Windows often are windows-1252: set csv: {encoding: windows-1252})"},
		{"windows-1252", Settings{Encoding: "windows-1252"}, "N\xb0;b\n1;\x80\n2;\x81\n", "N°;b|1;€", "1 are not windows-1252"},
		{"latin-9", Settings{Encoding: "iso-8859-15"}, "a,b\n1,\xa4\n", "a,b|1,€", ""},
		{"a BOM goes before the declaration", Settings{Encoding: "windows-1252"}, "\ufeffa,b\n1,é\n", "a,b|1,é", ""},
		{"NUL", Settings{}, "a,b\n1,x\x00\n2,y\n", "a,b|2,y", "1 hold the character U+0000, as a file does that was half written or is of another kind"},
		{"a carriage return", Settings{}, "a,b\n1,x\ry\n2,\"x\ry\"\n", "a,b|2,x\ry", "1 hold a carriage return that does not end them"},
		{"a very long line", Settings{}, "a,b\n1," + strings.Repeat("x", MaxLine) + "\n2,y\n", "a,b|2,y", "1 are longer than 16 MiB"},
		{"twice", Settings{}, "a,A\n1,2\n", "its header names one column twice", ""},
		{"nothing", Settings{}, "\n\n", "it is empty: it has no line of names", ""},
		{"a workbook", Settings{}, "PK\x03\x04\x14\x00xl/workbook.xml", "it is no CSV file but a ZIP archive, as a workbook of Excel (.xlsx) is: let the load write it as CSV or Parquet", ""},
		{"gzip", Settings{}, "\x1f\x8b\x08\x00", "it is no CSV file but compressed by gzip: let the load write it as CSV or Parquet", ""},
		{"SAS", Settings{}, strings.Repeat("\x00", 12) + "\xc2\xea\x81\x60\xb3\x14\x11\xcf\xbd\x92\x08\x00\x09\xc7\x31\x8c\x18\x1f\x10\x11\x00", "it is no CSV file but a table of SAS (.sas7bdat): let the load write it as CSV or Parquet", ""},
		{"UTF-32", Settings{}, "\xff\xfe\x00\x00a\x00\x00\x00", "it is no CSV file but a text in UTF-32: let the load write it as CSV or Parquet", ""},
		{"header not UTF-8", Settings{}, "\xe9,b\n1,2\n", "its header is not utf-8 (files of Windows often are windows-1252: set csv: {encoding: windows-1252})", ""},
	} {
		for _, parts := range []int64{1, 3, 7, 1 << 40} {
			if parts < 1<<40 && len(test.content) > 1000 {
				continue
			}
			names, rows, tally, problem := read(t, &test.settings, test.content, parts)
			d, _ := test.settings.Dialect()
			if test.name == "windows-1252" {
				d.Delimiter = ";"
				test.settings.Delimiter = ";"
				names, rows, tally, problem = read(t, &test.settings, test.content, parts)
			}
			got := problem
			if problem == "" {
				lines := []string{strings.Join(names, d.Delimiter)}
				for _, r := range rows {
					lines = append(lines, strings.Join(r, d.Delimiter))
				}
				got = strings.Join(lines, "|")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s, parts of %d:\n%.300s", test.name, parts, diff)
			}
			if why := d.Reasons(&tally); why != test.rejected {
				t.Errorf("%s, parts of %d: rejected %q, want %q", test.name, parts, why, test.rejected)
			}
			if tally.Rows != int64(len(rows)) || tally.Rows+tally.Lost() != tally.Lines {
				t.Errorf("%s: %+v", test.name, tally)
			}
		}
	}
}

func TestUTF16(t *testing.T) {
	content := "N°,b\n1,é\n2,\"x,\U0001f600\"\n"
	for _, test := range []struct {
		encoding string
		order    unicode.Endianness
		bom      unicode.BOMPolicy
	}{{"", unicode.LittleEndian, unicode.UseBOM}, {"", unicode.BigEndian, unicode.UseBOM}, {"utf-16le", unicode.LittleEndian, unicode.IgnoreBOM}, {"utf-16be", unicode.BigEndian, unicode.IgnoreBOM}} {
		encoded, err := unicode.UTF16(test.order, test.bom).NewEncoder().String(content)
		if err != nil {
			t.Fatal(err)
		}
		names, rows, tally, problem := read(t, &Settings{Encoding: test.encoding}, encoded, 3)
		if diff := cmp.Diff([][]string{{"N°", "b"}, {"1", "é"}, {"2", "x,\U0001f600"}}, append([][]string{names}, rows...)); diff != "" || problem != "" || tally.Lost() > 0 {
			t.Errorf("%v: %s %s", test, diff, problem)
		}
	}
}

// UTF-16 without a byte order mark is recognised: before a line is read, whatever names the columns, and in a draft.
func TestUTF16WithoutMark(t *testing.T) {
	for is, order := range map[string]unicode.Endianness{"utf-16le": unicode.LittleEndian, "utf-16be": unicode.BigEndian} {
		encoded, err := unicode.UTF16(order, unicode.IgnoreBOM).NewEncoder().String("N°,b\n1,é\n2,Ω\n")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []Settings{{}, {Encoding: "windows-1252"}, {Header: &Header{Names: []string{"a", "b"}}}} {
			d, err := s.Dialect()
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "x.csv")
			if err := os.WriteFile(path, []byte(encoded), 0o600); err != nil {
				t.Fatal(err)
			}
			h, err := d.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			if want := "it is UTF-16 without a byte order mark, and not " + d.Encoding + ": set csv: {encoding: " + is + "}"; h.Problem != want {
				t.Errorf("%+v: %q", s, h.Problem)
			}
			p, err := Propose(t.Context(), path, &Settings{})
			if err != nil || p.Settings.Encoding != is || p.Kinds["N°"] != "int" {
				t.Errorf("%s is drafted as %+v, %v", is, p, err)
			}
		}
	}
	// some zero bytes are not UTF-16
	for _, b := range []string{"", "a\x00,b\n", "a,b\n1,\x00\n2,\x00\x00\n" + strings.Repeat("3,4\n", 100), "id,b\n1,é\n"} {
		if is := unmarked([]byte(b)); is != "" {
			t.Errorf("%q is %s", b, is)
		}
	}
}

// TestOneLine checks that the content of one line does not change how other lines are read.
func TestOneLine(t *testing.T) {
	for _, line := range []string{`9,"fell`, `9,fell"`, `9,"fell from 3" step`, `"`, `""`, `9,"""`, `9,\"`, "9,\xff", `9,a,b,c`, "9,\"a\rb", "# ,", `9,'`, "\r", `,"` + strings.Repeat(`""`, 500)} {
		var with, without bytes.Buffer
		for i := range 5000 {
			fmt.Fprintf(&without, "%d,\"seen, well\"\n", i)
			fmt.Fprintf(&with, "%d,\"seen, well\"\n", i)
			if i == 2500 {
				with.WriteString(line + "\n")
			}
		}
		_, all, _, _ := read(t, &Settings{}, "id,note\n"+without.String(), 1<<12)
		_, rows, tally, _ := read(t, &Settings{}, "id,note\n"+with.String(), 1<<12)
		if int(tally.Rows) != len(rows) || tally.Lines > 5001 {
			t.Errorf("%q: %+v", line, tally)
		}
		if len(rows) == 5001 {
			rows = append(rows[:2501:2501], rows[2502:]...)
		}
		if diff := cmp.Diff(all, rows); diff != "" {
			t.Errorf("%q changes other lines: %.300s", line, diff)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, s := range []Settings{
		{Encoding: "utf-7"}, {Encoding: "ibm037"}, {Delimiter: ";;"}, {Delimiter: "\n"}, {Quote: text("é")}, {Quote: text(",")}, {Decimal: ";"}, {Decimal: ",", Thousands: ","},
		{DateFormat: "dd/mm/yy"}, {DateFormat: "dd/mm"}, {DateFormat: "dd/mm/yyyy hh:mm"}, {TimestampFormat: "yyyy-mm-dd"}, {DateFormat: "the day"}, {Timezone: "Paris"}, {Timezone: "Local"},
		{True: []string{"O"}, False: []string{"o"}}, {Header: &Header{Names: []string{"a", "A"}}}, {Multiline: new(bool), Quote: text("aa")},
	} {
		if _, err := s.Dialect(); !errors.Is(err, ErrSettings) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for text, want := range map[string]Format{
		"dd/mm/yyyy":            {Pattern: `([0-9]{2})/([0-9]{2})/([0-9]{4})`, ISO: `\3-\2-\1`},
		"d.m.yyyy":              {Pattern: `([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})`, ISO: `\3-\2-\1`},
		"yyyyMMdd":              {Pattern: `([0-9]{4})([0-9]{2})([0-9]{2})`, ISO: `\1-\2-\3`},
		"DD-MON-YYYY":           {Pattern: `([0-9]{2})-([A-Za-z]{3})-([0-9]{4})`, ISO: `\3-\2-\1`, Month: true},
		"dd/mm/yyyy hh:mm":      {Pattern: `([0-9]{2})/([0-9]{2})/([0-9]{4}) ([0-9]{2}):([0-9]{2})`, ISO: `\3-\2-\1 \4:\5:00`, Time: true},
		"DD/MM/YYYY HH24:MI:SS": {Pattern: `([0-9]{2})/([0-9]{2})/([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2})`, ISO: `\3-\2-\1 \4:\5:\6`, Time: true},
		"yyyy-MM-ddTHH:mm:ss.SSSXXX": {Pattern: `([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{1,6})(Z|[+-][0-9]{2}:?[0-9]{2}|[+-][0-9]{2})`,
			ISO: `\1-\2-\3 \4:\5:\6.\7\8`, Time: true, Offset: true},
	} {
		f, err := format(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, *f); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// FuzzScan checks that nothing is lost silently. Rows and rejected lines add up to the lines, in whatever parts a file
// is read, and no error or reason quotes the file.
func FuzzScan(f *testing.F) {
	f.Add([]byte("a,b\n1,\"x\"\n"), byte(0), int64(3))
	f.Add([]byte("a;b\n1;\"x\n\"\n\n2;\xe9\r\n"), byte(1), int64(5))
	cp1252, _ := charmap.Windows1252.NewEncoder().String("N°;Décès\n1;O\n")
	f.Add([]byte(cp1252), byte(2), int64(1))
	f.Add([]byte("\xff\xfea\x00,\x00b\x00\n\x00"), byte(3), int64(2))
	yes := true
	f.Fuzz(func(t *testing.T, content []byte, which byte, parts int64) {
		if len(content) > 1<<16 {
			return
		}
		s := []*Settings{{}, {Multiline: &yes}, {Encoding: "windows-1252", Delimiter: ";"}, {Quote: text("'"), Escape: text(`\`), Comment: "#"}, {Header: &Header{}}}[int(which)%5]
		names, rows, tally, problem := read(t, s, string(content), 1+parts&0xff)
		d, _ := s.Dialect()
		if tally.Rows != int64(len(rows)) || tally.Rows+tally.Lost() != tally.Lines {
			t.Fatalf("%d rows of %+v", len(rows), tally)
		}
		for _, r := range rows {
			if len(r) != len(names) {
				t.Fatalf("a row of %d fields under %d names", len(r), len(names))
			}
		}
		// An independent count: line feeds with anything after them, without lines that are not data.
		if problem == "" && s.Multiline == nil && s.Encoding == "" && len(content) > 1 && !bytes.HasPrefix(content, []byte{0xff, 0xfe}) && !bytes.HasPrefix(content, []byte{0xfe, 0xff}) {
			n := int64(0)
			for _, line := range bytes.Split(bytes.TrimPrefix(content, []byte("\ufeff")), []byte("\n")) {
				line = bytes.TrimSuffix(line, []byte("\r"))
				if len(line) > 0 && (s.Comment == "" || !bytes.HasPrefix(line, []byte(s.Comment))) {
					n++
				}
			}
			if s.Header == nil && n > 0 {
				n--
			}
			if n != tally.Lines {
				t.Fatalf("%d lines are counted, there are %d", tally.Lines, n)
			}
		}
		if why := d.Reasons(&tally) + problem; len(content) > 8 && strings.Contains(why, string(content)) {
			t.Fatalf("a reason quotes the file: %q", why)
		}
	})
}
