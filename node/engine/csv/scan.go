package csv

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxLine is the length of the longest line that is read, in bytes of UTF-8.
const MaxLine = 16 << 20

// Reason says why a line is not a record.
type Reason int

// The reasons.
const (
	ReasonFields   Reason = iota // more or fewer fields than the header
	ReasonQuote                  // a quote that does not end
	ReasonEncoding               // bytes that are not of the encoding
	ReasonZero                   // U+0000
	ReasonReturn                 // a carriage return outside of quotes
	ReasonLong                   // longer than MaxLine
	reasons
)

// Tally counts what a scan found. It counts lines of data only: no header, no comment, no empty line.
type Tally struct {
	Lines, Rows int64
	Rejected    [reasons]int64
	Odd         int64 // rows that are read although something follows a closing quote
	Broken      bool  // with Multiline: the file is not well-formed, and the rest was not read
}

// Lost returns the number of lines that are not records.
func (t *Tally) Lost() (n int64) {
	for _, r := range t.Rejected {
		n += r
	}
	return n
}

// Add adds the counts of another scan.
func (t *Tally) Add(o *Tally) {
	t.Lines += o.Lines
	t.Rows += o.Rows
	for i := range o.Rejected {
		t.Rejected[i] += o.Rejected[i]
	}
	t.Odd += o.Odd
	t.Broken = t.Broken || o.Broken
}

// lines splits bytes at line feeds.
type lines struct {
	r      io.Reader
	buf    []byte // its part from at to end is not cut yet
	at     int
	end    int
	offset int64 // of buf[at] in what r reads
	eof    bool
}

// next returns a line without its line feed, valid until the next call. With long the line was longer than limit, and
// is left out. The error io.EOF ends the file.
func (l *lines) next(limit int) (line []byte, long bool, err error) {
	searched := 0
	for {
		if i := bytes.IndexByte(l.buf[l.at+searched:l.end], '\n'); i >= 0 {
			line = l.buf[l.at : l.at+searched+i]
			l.at += searched + i + 1
			l.offset += int64(searched + i + 1)
			if long || len(line) > limit {
				return nil, true, nil
			}
			return line, false, nil
		}
		searched = l.end - l.at
		if l.eof {
			if searched == 0 && !long {
				return nil, false, io.EOF
			}
			line = l.buf[l.at:l.end]
			l.at = l.end
			l.offset += int64(searched)
			if long || len(line) > limit {
				return nil, true, nil
			}
			return line, false, nil
		}
		if searched > limit { // forget it
			long = true
			l.offset += int64(searched)
			l.at, l.end, searched = 0, 0, 0
		}
		if err := l.fill(); err != nil {
			return nil, false, err
		}
	}
}

// fill reads more bytes behind those that are not split yet.
func (l *lines) fill() error {
	if l.at > 0 {
		copy(l.buf, l.buf[l.at:l.end])
		l.end -= l.at
		l.at = 0
	}
	if l.end == len(l.buf) {
		l.buf = append(l.buf, make([]byte, max(256<<10, len(l.buf)))...)
	}
	for range 100 {
		n, err := l.r.Read(l.buf[l.end:])
		l.end += n
		if err == io.EOF {
			l.eof = true
			return nil
		}
		if err != nil || n > 0 {
			return err
		}
	}
	return io.ErrNoProgress
}

// field is the place of a field in a Scanner's line, or in its scratch.
type field struct {
	from, to int
	scratch  bool
}

// Scanner reads the records of a file, or of a part of it.
type Scanner struct {
	Tally  Tally
	d      *Dialect
	decode *[256]string // of a single-byte encoding; nil: UTF-8
	in     lines
	strict bool  // U+FFFD stands for what could not be decoded
	width  int   // fields of a record; 0: any number
	until  int64 // records that begin at this offset of in or later are another scanner's; -1: none are

	line    []byte
	decoded []byte
	scratch []byte
	fields  []field
}

// Next advances to the next record. It returns false at the end, and with an error of reading the file.
func (s *Scanner) Next() (bool, error) {
	for {
		if s.until >= 0 && s.in.offset >= s.until {
			return false, nil
		}
		reason, record, err := s.read()
		if err == io.EOF { //nolint:errorlint // ours
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if !record {
			continue
		}
		s.Tally.Lines++
		if reason < 0 {
			s.Tally.Rows++
			return true, nil
		}
		s.Tally.Rejected[reason]++
		if s.Tally.Broken {
			return false, nil
		}
	}
}

const fits Reason = -1

// read reads a line, or with Multiline a record. record is false for an empty line and for a comment.
func (s *Scanner) read() (reason Reason, record bool, err error) {
	line, long, err := s.in.next(MaxLine)
	if err != nil {
		return fits, false, err
	}
	if long {
		if s.d.Multiline { // where it ends cannot be told
			s.Tally.Broken = true
		}
		return ReasonLong, true, nil
	}
	whole := line
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if len(line) == 0 || s.d.Comment != "" && bytes.HasPrefix(line, []byte(s.d.Comment)) {
		return fits, false, nil
	}
	if !s.d.Multiline {
		s.line = line
		if reason := s.decodeLine(); reason != fits {
			return reason, true, nil
		}
		return s.split(), true, nil
	}
	return s.readMultiline(whole)
}

// readMultiline reads a record that may span several lines. line is the first of them.
func (s *Scanner) readMultiline(line []byte) (Reason, bool, error) {
	record := line // becomes a copy where it goes on
	open := bytes.Count(line, []byte{s.d.Quote})%2 == 1
	for copied := false; ; {
		// Where quotes are doubled, an odd number of quotes means an open one. So the record is not split again for
		// each line.
		if s.d.Escape != s.d.Quote || !open {
			s.line = bytes.TrimSuffix(record, []byte{'\r'})
			reason := s.decodeLine()
			if reason != fits {
				s.Tally.Broken = true
				return reason, true, nil
			}
			reason = s.split()
			if reason != ReasonQuote || s.Tally.Broken {
				return reason, true, nil
			}
		}
		// A quote is open: the record continues in the next line.
		if !copied {
			record, copied = slices.Clone(record), true
		}
		more, long, err := s.in.next(MaxLine - min(MaxLine, len(record)))
		if err == io.EOF || long { //nolint:errorlint // ours
			s.Tally.Broken = true
			if long {
				return ReasonLong, true, nil
			}
			return ReasonQuote, true, nil
		}
		if err != nil {
			return fits, false, err
		}
		open = open != (bytes.Count(more, []byte{s.d.Quote})%2 == 1)
		record = append(append(record, '\n'), more...)
	}
}

// decodeLine converts the line to UTF-8, or returns the reason why it is not text.
func (s *Scanner) decodeLine() Reason {
	if bytes.IndexByte(s.line, 0) >= 0 {
		return ReasonZero
	}
	if s.decode == nil {
		if !utf8.Valid(s.line) || s.strict && bytes.Contains(s.line, []byte("\ufffd")) {
			return ReasonEncoding
		}
		return fits
	}
	s.decoded = s.decoded[:0]
	for _, b := range s.line {
		if b < utf8.RuneSelf {
			s.decoded = append(s.decoded, b)
			continue
		}
		if s.decode[b] == "" {
			return ReasonEncoding
		}
		s.decoded = append(s.decoded, s.decode[b]...)
	}
	s.line = s.decoded
	return fits
}

// split splits the line into fields.
func (s *Scanner) split() Reason {
	s.fields, s.scratch = s.fields[:0], s.scratch[:0]
	delimiter := s.d.Delimiter
	if s.d.Quote == 0 || bytes.IndexByte(s.line, s.d.Quote) < 0 {
		if bytes.IndexByte(s.line, '\r') >= 0 {
			return ReasonReturn
		}
		from := 0
		for {
			i := s.index(from, delimiter)
			if i < 0 {
				break
			}
			s.fields = append(s.fields, field{from, i, false})
			from = i + len(delimiter)
		}
		s.fields = append(s.fields, field{from, len(s.line), false})
		return s.fit()
	}
	odd := false
	for at := 0; ; {
		if at < len(s.line) && s.line[at] == s.d.Quote {
			from := len(s.scratch)
			end := s.unquote(at + 1)
			if end < 0 {
				return ReasonQuote
			}
			// Text between the closing quote and the delimiter belongs to the field.
			next := s.index(end, delimiter)
			stop := next
			if next < 0 {
				stop = len(s.line)
			}
			if stop > end {
				if s.d.Multiline {
					s.Tally.Broken = true
					return ReasonQuote
				}
				if bytes.IndexByte(s.line[end:stop], '\r') >= 0 {
					return ReasonReturn
				}
				odd = true
				s.scratch = append(s.scratch, s.line[end:stop]...)
			}
			s.fields = append(s.fields, field{from, len(s.scratch), true})
			if next < 0 {
				break
			}
			at = next + len(delimiter)
			continue
		}
		next := s.index(at, delimiter)
		stop := next
		if next < 0 {
			stop = len(s.line)
		}
		if bytes.IndexByte(s.line[at:stop], '\r') >= 0 {
			return ReasonReturn
		}
		if s.d.Multiline && bytes.IndexByte(s.line[at:stop], s.d.Quote) >= 0 {
			s.Tally.Broken = true
			return ReasonQuote
		}
		s.fields = append(s.fields, field{at, stop, false})
		if next < 0 {
			break
		}
		at = next + len(delimiter)
	}
	reason := s.fit()
	if reason == fits && odd {
		s.Tally.Odd++
	}
	return reason
}

func (s *Scanner) fit() Reason {
	if s.width > 0 && len(s.fields) != s.width {
		return ReasonFields
	}
	return fits
}

// index returns the position of a text in the line, at or behind from, or -1.
func (s *Scanner) index(from int, text string) int {
	var i int
	if len(text) == 1 {
		i = bytes.IndexByte(s.line[from:], text[0])
	} else {
		i = bytes.Index(s.line[from:], []byte(text))
	}
	if i < 0 {
		return -1
	}
	return from + i
}

// unquote appends the quoted text to the scratch and returns the position behind the closing quote, or -1 if there is
// none.
func (s *Scanner) unquote(at int) int {
	quote, escape := s.d.Quote, s.d.Escape
	for at < len(s.line) {
		switch b := s.line[at]; {
		case b == escape && at+1 < len(s.line) && (s.line[at+1] == quote || escape != quote && s.line[at+1] == escape):
			s.scratch = append(s.scratch, s.line[at+1])
			at += 2
		case b == quote:
			return at + 1
		default:
			s.scratch = append(s.scratch, b)
			at++
		}
	}
	return -1
}

// Width returns the number of fields of the record.
func (s *Scanner) Width() int { return len(s.fields) }

// Value returns field i of the record, valid until Next. null: the field means NULL.
func (s *Scanner) Value(i int) (text []byte, null bool) {
	f := s.fields[i]
	text = s.line[min(f.from, len(s.line)):min(f.to, len(s.line))]
	if f.scratch {
		text = s.scratch[f.from:f.to]
	}
	return text, slices.Contains(s.d.Null, string(text))
}

// names returns the record as names of columns, or a problem that says why it does not name them.
func (s *Scanner) names() (names []string, problem string) {
	for i := range s.fields {
		text, _ := s.Value(i)
		names = append(names, strings.TrimSpace(string(text)))
	}
	if twice(names) != "" {
		return nil, "its header names one column twice"
	}
	if !slices.ContainsFunc(names, func(n string) bool { return n != "" }) {
		return nil, "its header names no column"
	}
	return names, ""
}
