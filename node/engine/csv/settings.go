package csv

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
	"gopkg.in/yaml.v3"

	_ "time/tzdata" // a node's machine may have none
)

// ErrSettings reports that settings are not valid or contradict each other.
var ErrSettings = errors.New("csv")

// Settings is the key `csv:` of a node's file, for all tables or for one. It says how the hospital writes its CSV
// files. Each field says its default.
type Settings struct {
	// Encoding is utf-8 or another encoding by its IANA name: windows-1252, iso-8859-1, iso-8859-15, ibm850, macintosh,
	// utf-16le, utf-16be and so on. A byte order mark in the file takes precedence. Default: utf-8.
	Encoding string `yaml:"encoding,omitempty"`
	// Delimiter is the character between fields. Default: a comma.
	Delimiter string `yaml:"delimiter,omitempty"`
	// Decimal is the decimal mark. Default: a point.
	Decimal string `yaml:"decimal,omitempty"`
	// Thousands is the character between groups of three digits. Default: none.
	Thousands string `yaml:"thousands,omitempty"`
	// DateFormat is the format of dates, such as dd/mm/yyyy. Default: yyyy-mm-dd.
	DateFormat string `yaml:"date_format,omitempty"`
	// TimestampFormat is the format of timestamps, such as "dd/mm/yyyy hh:mm". Default: ISO 8601.
	TimestampFormat string `yaml:"timestamp_format,omitempty"`
	// Timezone is the time zone of timestamps without a zone. Default: the hospital's.
	Timezone string `yaml:"timezone,omitempty"`
	// Null lists the texts that mean NULL, compared exactly. Default: an empty field.
	Null Words `yaml:"null,omitempty"`
	// True and False list the words for true and false, in any letter case. Default: true, t, yes, y, 1 and false, f,
	// no, n, 0.
	True  Words `yaml:"true,omitempty"`
	False Words `yaml:"false,omitempty"`
	// Header says whether the first line names the columns, or lists the names. Default: the first line names them.
	Header *Header `yaml:"header,omitempty"`
	// Comment is the text with which a comment line begins. Default: no line is a comment.
	Comment string `yaml:"comment,omitempty"`
	// Skip is the number of lines before the header. Default: 0.
	Skip *int `yaml:"skip,omitempty"`
	// Quote is the quotation mark around fields; "" for none. Default: ".
	Quote *string `yaml:"quote,omitempty"`
	// Escape is the character before a quotation mark within quotes. Default: the quotation mark itself.
	Escape *string `yaml:"escape,omitempty"`
	// Multiline allows line feeds in quoted fields. Each file must then be well-formed from beginning to end, or its
	// table is closed. Default: each line is a record.
	Multiline *bool `yaml:"multiline,omitempty"`
	// MaxRejected is the largest share of lines that may be lost because they do not fit, such as 0.1 %. Default: none.
	MaxRejected *Share `yaml:"max_rejected,omitempty"`
}

// Header says whether files have a line of names, or lists the names.
type Header struct {
	Line  bool
	Names []string // in the order of the fields; empty where Line, or where the columns are column1, column2 and so on
}

// UnmarshalYAML reads true, false or a list of names.
func (h *Header) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		h.Line = false
		return n.Decode(&h.Names)
	}
	if err := n.Decode(&h.Line); err != nil {
		return errors.New("give true, false, or a list of the columns' names")
	}
	return nil
}

// MarshalYAML writes what UnmarshalYAML reads.
func (h Header) MarshalYAML() (any, error) {
	if len(h.Names) > 0 {
		return h.Names, nil
	}
	return h.Line, nil
}

// Words are texts exactly as written in YAML, so NULL and NA need no quotes.
type Words []string

// UnmarshalYAML reads a list of scalars.
func (w *Words) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return errors.New("give a list of words")
	}
	*w = Words{}
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode {
			return errors.New("give a list of words")
		}
		*w = append(*w, item.Value)
	}
	return nil
}

// Share is a fraction from 0 to 1.
type Share float64

// UnmarshalYAML reads a percentage such as 0.1 %.
func (s *Share) UnmarshalYAML(n *yaml.Node) error {
	digits, ok := strings.CutSuffix(strings.TrimSpace(n.Value), "%")
	x, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || !(x >= 0 && x <= 100) {
		return errors.New("give a percentage from 0 % to 100 %, such as 0.1 %")
	}
	*s = Share(x / 100)
	return nil
}

// MarshalYAML writes what UnmarshalYAML reads.
func (s Share) MarshalYAML() (any, error) { return s.String(), nil }

func (s Share) String() string { return strconv.FormatFloat(float64(s)*100, 'g', 6, 64) + " %" }

// Over returns a table's settings, completed by the settings of all tables.
func (s *Settings) Over(all *Settings) *Settings {
	switch {
	case s == nil && all == nil:
		return &Settings{}
	case s == nil:
		return all
	case all == nil:
		return s
	}
	o := *all
	text := func(into *string, own string) {
		if own != "" {
			*into = own
		}
	}
	text(&o.Encoding, s.Encoding)
	text(&o.Delimiter, s.Delimiter)
	text(&o.Decimal, s.Decimal)
	text(&o.Thousands, s.Thousands)
	text(&o.DateFormat, s.DateFormat)
	text(&o.TimestampFormat, s.TimestampFormat)
	text(&o.Timezone, s.Timezone)
	text(&o.Comment, s.Comment)
	for _, list := range []struct{ into, own *Words }{{&o.Null, &s.Null}, {&o.True, &s.True}, {&o.False, &s.False}} {
		if *list.own != nil {
			*list.into = *list.own
		}
	}
	if s.Header != nil {
		o.Header = s.Header
	}
	if s.Skip != nil {
		o.Skip = s.Skip
	}
	if s.Quote != nil {
		o.Quote = s.Quote
	}
	if s.Escape != nil {
		o.Escape = s.Escape
	}
	if s.Multiline != nil {
		o.Multiline = s.Multiline
	}
	if s.MaxRejected != nil {
		o.MaxRejected = s.MaxRejected
	}
	return &o
}

// Dialect says how files are split into lines and fields. It is Settings with all defaults, and without contradiction.
type Dialect struct {
	Encoding  string
	Delimiter string // one character
	Null      []string
	Header    Header
	Comment   string
	Skip      int
	Quote     byte // 0: none
	Escape    byte // Quote: it is doubled
	Multiline bool
}

// Dialect returns the settings with their defaults. Errors wrap ErrSettings.
func (s *Settings) Dialect() (*Dialect, error) {
	d := &Dialect{Encoding: "utf-8", Delimiter: ",", Null: []string{""}, Header: Header{Line: true}, Comment: s.Comment, Quote: '"'}
	if s.Encoding != "" {
		d.Encoding = strings.ToLower(s.Encoding)
	}
	if _, _, err := encodingOf(d.Encoding); err != nil {
		return nil, err
	}
	if s.Delimiter != "" {
		d.Delimiter = s.Delimiter
	}
	if utf8.RuneCountInString(d.Delimiter) != 1 || strings.ContainsAny(d.Delimiter, "\r\n\x00\ufffd") {
		return nil, fmt.Errorf("%w: `delimiter` is one character, such as \",\", \";\" or \"\\t\"", ErrSettings)
	}
	if s.Null != nil {
		d.Null = s.Null
	}
	if s.Header != nil {
		d.Header = *s.Header
	}
	if problem := twice(d.Header.Names); problem != "" {
		return nil, fmt.Errorf("%w: `header` names %s", ErrSettings, problem)
	}
	if s.Skip != nil {
		d.Skip = *s.Skip
	}
	if d.Skip < 0 {
		return nil, fmt.Errorf("%w: `skip` is the number of lines before the header", ErrSettings)
	}
	one := func(name, text string) (byte, error) {
		if text == "" {
			return 0, nil
		}
		if len(text) != 1 || text[0] >= utf8.RuneSelf || strings.ContainsAny(text, "\r\n\x00") || text == d.Delimiter {
			return 0, fmt.Errorf("%w: `%s` is one ASCII character, other than the delimiter, or empty", ErrSettings, name)
		}
		return text[0], nil
	}
	var err error
	if s.Quote != nil {
		if d.Quote, err = one("quote", *s.Quote); err != nil {
			return nil, err
		}
	}
	d.Escape = d.Quote
	if s.Escape != nil && *s.Escape != "" {
		if d.Escape, err = one("escape", *s.Escape); err != nil {
			return nil, err
		}
	}
	d.Multiline = s.Multiline != nil && *s.Multiline
	if d.Multiline && d.Quote == 0 {
		return nil, fmt.Errorf("%w: `multiline` needs a `quote`", ErrSettings)
	}
	if strings.ContainsAny(d.Comment, "\r\n\x00") {
		return nil, fmt.Errorf("%w: `comment` is what comment lines begin with, such as \"#\"", ErrSettings)
	}
	if _, err := s.Reading(""); err != nil {
		return nil, err
	}
	return d, nil
}

// twice returns a complaint about a name that is not valid or occurs twice, or "".
func twice(names []string) string {
	for i, n := range names {
		if n == "" {
			continue // a field without a name cannot be read, and need not
		}
		if slices.ContainsFunc(names[:i], func(o string) bool { return strings.EqualFold(o, n) }) {
			return "one column twice"
		}
	}
	return ""
}

// encodingOf returns the table of a single-byte encoding, or the name of a UTF-16 encoding. Both are empty for UTF-8.
func encodingOf(name string) (*charmap.Charmap, string, error) {
	switch name {
	case "utf-8", "utf8":
		return nil, "", nil
	case "utf-16", "utf-16le":
		return nil, "utf-16le", nil
	case "utf-16be":
		return nil, "utf-16be", nil
	case "latin-1", "latin1":
		name = "iso-8859-1"
	case "latin-9", "latin9":
		name = "iso-8859-15"
	case "cp1252":
		name = "windows-1252"
	case "cp850":
		name = "ibm850"
	}
	e, err := ianaindex.IANA.Encoding(name)
	if m, ok := e.(*charmap.Charmap); ok && err == nil {
		for b := range byte(utf8.RuneSelf) {
			if m.DecodeByte(b) != rune(b) {
				m = nil // as EBCDIC: a line feed is not one
				break
			}
		}
		if m != nil {
			return m, "", nil
		}
	}
	return nil, "", fmt.Errorf("%w: there is no `encoding` %q; give utf-8, utf-16le, utf-16be, windows-1252, iso-8859-1, iso-8859-15, ibm850 or macintosh", ErrSettings, name)
}

// ZoneOr returns the name of a time zone, UTC for "".
func ZoneOr(name string) string {
	if name == "" {
		return "UTC"
	}
	return name
}

// Zone checks the name of a time zone, which may be "". Its error wraps ErrSettings.
func Zone(name string) error {
	if name == "" {
		return nil
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return fmt.Errorf("%w: there is no time zone %q; give a name such as Europe/Paris", ErrSettings, name)
	}
	return nil
}
