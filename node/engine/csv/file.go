package csv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Head describes the beginning of a file: the names of its columns, and where its records begin.
type Head struct {
	Path    string
	Names   []string // in the order of the fields; empty where the header names nothing
	Problem string   // why no record of the file can be read; empty: all is well
	data    int64    // the offset of the first record, in bytes of the file or, of UTF-16, of its UTF-8
	wide    bool     // the file is UTF-16
	mark    string   // the encoding of its byte order mark, else empty
	size    int64
}

var errNames = errors.New("csv: the file has no columns")

// Read reads the head of a file. Its error is one of reading the file. If the file itself is wrong, Head.Problem says
// so.
func (d *Dialect) Read(path string) (*Head, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := &Head{Path: path}
	if h.size, err = f.Seek(0, io.SeekEnd); err != nil {
		return nil, err
	}
	first := make([]byte, 4096)
	n, err := f.ReadAt(first, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if what := other(first[:n]); what != "" {
		h.Problem = "it is no CSV file but " + what + ": let the load write it as CSV or Parquet"
		return h, nil
	}
	if h.mark = marked(first[:n]); h.mark == "" {
		_, wide, err := encodingOf(d.Encoding)
		if err != nil {
			return nil, err
		}
		if is := unmarked(first[:n]); is != "" && wide == "" {
			h.Problem = "it is UTF-16 without a byte order mark, and not " + d.Encoding + ": set csv: {encoding: " + is + "}"
			return h, nil
		}
	}
	s, err := d.scanner(h, f, 0, -1)
	if err != nil {
		return nil, err
	}
	for range d.Skip {
		if _, _, err := s.in.next(MaxLine); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
	}
	if !d.Header.Line {
		h.Names = d.Header.Names
		h.data = s.in.offset
		if len(h.Names) > 0 {
			return h, nil
		}
	}
	for {
		reason, record, err := s.read()
		switch {
		case errors.Is(err, io.EOF):
			if !d.Header.Line {
				return h, nil // no record: no column, and none is needed
			}
			h.Problem = "it is empty: it has no line of names"
			return h, nil
		case err != nil:
			return nil, err
		case !record:
			continue
		case reason != fits:
			what := "its header"
			if !d.Header.Line {
				what = "its first line, which tells how many fields there are,"
			}
			h.Problem = what + " " + d.why(reason)
			return h, nil
		}
		if !d.Header.Line {
			for i := range s.Width() {
				h.Names = append(h.Names, fmt.Sprintf("column%d", i+1))
			}
			return h, nil
		}
		h.Names, h.Problem = s.names()
		h.data = s.in.offset
		return h, nil
	}
}

// other names the other format that the first bytes of a file belong to, or "".
func other(b []byte) string {
	for _, kind := range []struct {
		begins string
		at     int
		what   string
	}{
		{"PK\x03\x04", 0, "a ZIP archive, as a workbook of Excel (.xlsx) is"},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, "a workbook of an old Excel (.xls)"},
		{"\x1f\x8b", 0, "compressed by gzip"},
		{"BZh", 0, "compressed by bzip2"},
		{"\xfd7zXZ\x00", 0, "compressed by xz"},
		{"\x28\xb5\x2f\xfd", 0, "compressed by zstd"},
		{"PAR1", 0, "a Parquet file, whose name must end with .parquet"},
		{"\xc2\xea\x81\x60\xb3\x14\x11\xcf\xbd\x92\x08\x00\x09\xc7\x31\x8c\x18\x1f\x10\x11", 12, "a table of SAS (.sas7bdat)"},
		{"HEADER RECORD*******LIBRARY HEADER", 0, "a transport file of SAS (.xpt)"},
		{"$FL", 0, "a file of SPSS (.sav)"},
		{"<stata_dta>", 0, "a file of Stata (.dta)"},
		{"SQLite format 3\x00", 0, "a database of SQLite"},
		{"DUCK", 8, "a database of DuckDB, which node.yaml names as `database`"},
		{"%PDF-", 0, "a PDF document"},
		{"\xff\xfe\x00\x00", 0, "a text in UTF-32"},
		{"\x00\x00\xfe\xff", 0, "a text in UTF-32"},
	} {
		if len(b) >= kind.at && bytes.HasPrefix(b[kind.at:], []byte(kind.begins)) {
			return kind.what
		}
	}
	return ""
}

// marked returns the encoding of the byte order mark at the beginning of a file, or "".
func marked(b []byte) string {
	for _, m := range [][2]string{{"\xef\xbb\xbf", "utf-8"}, {"\xff\xfe", "utf-16le"}, {"\xfe\xff", "utf-16be"}} {
		if bytes.HasPrefix(b, []byte(m[0])) {
			return m[1]
		}
	}
	return ""
}

// unmarked recognizes UTF-16 without a byte order mark, by the beginning of a file; "" if it is not UTF-16. In UTF-16,
// delimiters, digits and Latin letters have a zero byte, always on the same side. A few zero bytes do not count.
func unmarked(b []byte) string {
	var zeros [2]int // at even and at odd offsets
	for i, c := range b {
		if c == 0 {
			zeros[i%2]++
		}
	}
	switch many := max(2, len(b)/32); {
	case zeros[0] == 0 && zeros[1] >= many:
		return "utf-16le"
	case zeros[1] == 0 && zeros[0] >= many:
		return "utf-16be"
	}
	return ""
}

// why says why a line does not fit, and what to do.
func (d *Dialect) why(r Reason) string {
	switch r {
	case ReasonQuote:
		return "has a quote that does not end in its line"
	case ReasonEncoding:
		return "is not " + d.Encoding + d.elsewise()
	case ReasonZero:
		return "holds the character U+0000"
	case ReasonReturn:
		return "holds a carriage return that does not end it: lines end with a line feed"
	case ReasonLong:
		return "is longer than 16 MiB"
	}
	return "has another number of fields than the header"
}

func (d *Dialect) elsewise() string {
	if d.Encoding == "utf-8" {
		return " (files of Windows often are windows-1252: set csv: {encoding: windows-1252})"
	}
	return ""
}

// Reasons says in words why lines do not fit, and how many lines that are.
func (d *Dialect) Reasons(t *Tally) string {
	var parts []string
	for r, what := range map[Reason]string{
		ReasonFields:   "have another number of fields than the header",
		ReasonQuote:    "have a quote that does not end in the line (if fields hold line feeds, set csv: {multiline: true})",
		ReasonEncoding: "are not " + d.Encoding + d.elsewise(),
		ReasonZero:     "hold the character U+0000, as a file does that was half written or is of another kind",
		ReasonReturn:   "hold a carriage return that does not end them",
		ReasonLong:     "are longer than 16 MiB",
	} {
		if n := t.Rejected[r]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

// scanner reads a part of a file. from is the offset of its first byte, which must follow a line feed or begin the
// file. Records that begin at until or later are left out (-1: none).
func (d *Dialect) scanner(h *Head, f *os.File, from, until int64) (*Scanner, error) {
	name := d.Encoding
	skip := int64(0)
	if h.mark != "" {
		name = h.mark
		if skip = 2; name == "utf-8" {
			skip = 3
		}
	}
	single, wide, err := encodingOf(name)
	if err != nil {
		return nil, err
	}
	s := &Scanner{d: d, until: until}
	if wide != "" {
		h.wide, s.strict = true, true
		order := unicode.LittleEndian
		if wide == "utf-16be" {
			order = unicode.BigEndian
		}
		whole := io.NewSectionReader(f, skip, h.size-skip)
		s.in.r = transform.NewReader(whole, unicode.UTF16(order, unicode.IgnoreBOM).NewDecoder())
		if from > 0 { // an offset of the decoded text
			if _, err := io.CopyN(io.Discard, s.in.r, from); err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
		}
		s.in.offset = from
		return s, nil
	}
	if single != nil {
		s.decode = new([256]string)
		for b := range s.decode {
			if r := single.DecodeByte(byte(b)); r != utf8.RuneError {
				s.decode[b] = string(r)
			}
		}
	}
	from = max(from, skip)
	s.in.r, s.in.offset = io.NewSectionReader(f, from, h.size-from), from
	return s, nil
}

// Part is a range of a file that one Scanner reads.
type Part struct {
	Head        *Head
	from, until int64
}

// Parts divides a file into ranges of about size bytes, so that several Scanners may read it at once.
func (d *Dialect) Parts(h *Head, size int64) []Part {
	if h.Problem != "" || len(h.Names) == 0 {
		return nil
	}
	if h.wide || d.Multiline {
		return []Part{{h, h.data, -1}}
	}
	var parts []Part
	for from := h.data; from < h.size; from += size {
		parts = append(parts, Part{h, from, min(from+size, h.size)})
	}
	return parts
}

// Scan returns a Scanner of a part of an open file.
func (d *Dialect) Scan(p Part, f *os.File) (*Scanner, error) {
	if len(p.Head.Names) == 0 {
		return nil, errNames
	}
	from := p.from
	inside := from > p.Head.data
	if inside {
		from-- // the line feed before the first record may be there
	}
	s, err := d.scanner(p.Head, f, from, p.until)
	if err != nil {
		return nil, err
	}
	s.width = len(p.Head.Names)
	if inside { // the line in which the part begins is the previous part's
		if _, _, err := s.in.next(MaxLine); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	return s, nil
}

// Count reads a whole file and counts its records and lost lines.
func (d *Dialect) Count(ctx context.Context, h *Head) (t Tally, err error) {
	f, err := os.Open(h.Path)
	if err != nil {
		return t, err
	}
	defer f.Close()
	for _, p := range d.Parts(h, 1<<62) {
		s, err := d.Scan(p, f)
		if err != nil {
			return t, err
		}
		for ok := true; ok; {
			if ok, err = s.Next(); err != nil {
				return t, err
			}
			if s.Tally.Lines&0xfff == 0 && ctx.Err() != nil {
				return t, ctx.Err()
			}
		}
		t.Add(&s.Tally)
	}
	return t, nil
}
