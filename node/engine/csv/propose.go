package csv

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Proposal is a guess of a file's settings and types from its beginning. The custodian confirms it. No query uses it.
type Proposal struct {
	Settings *Settings // those that were declared, and those that are proposed
	// Kinds maps columns to int, float, bool, date, timestamp or text.
	Kinds map[string]string
	// Doubtful: nothing in the file tells whether its first line holds names. It must then not be shown, because it may
	// be a patient's row.
	Doubtful bool
}

// The bytes of a file and the records from which a proposal is made.
const (
	looked     = 1 << 20
	lookedRows = 2000
)

// Proposals are taken from these lists. No text of the file is ever proposed.
var (
	usualNulls = []string{"NA", "N/A", "#N/A", "NULL", "null", "NaN", "nan", "None", "?", "-", ".", `\N`}
	usualWords = [][2][]string{{{"O", "oui"}, {"N", "non"}}, {{"vrai", "V"}, {"faux", "F"}}, {{"J", "ja"}, {"N", "nein"}}, {{"S", "si"}, {"N", "no"}}}
	usualDates = []string{"dd/mm/yyyy", "mm/dd/yyyy", "dd.mm.yyyy", "dd-mm-yyyy", "yyyy/mm/dd", "d/m/yyyy", "dd-mon-yyyy"}
	usualTimes = []string{" hh:mm:ss", " hh:mm"}

	wholeText   = regexp.MustCompile(`^[+-]?(0|[1-9][0-9]{0,17})$`)
	pointText   = regexp.MustCompile(`^[+-]?(0|[1-9][0-9]*)?[.][0-9]+([eE][+-]?[0-9]{1,3})?$|^[+-]?(0|[1-9][0-9]*)([.][0-9]*)?([eE][+-]?[0-9]{1,3})?$`)
	commaText   = regexp.MustCompile(`^[+-]?(0|[1-9][0-9]*)(,[0-9]+)?$`)
	isoDateText = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	isoTimeText = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)? ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?$`)
)

// Propose guesses the settings that are not declared from the beginning of a file. Errors are those of reading it, and
// ErrSettings.
func Propose(ctx context.Context, path string, declared *Settings) (*Proposal, error) {
	s := *declared
	p := &Proposal{Settings: &s, Kinds: map[string]string{}}
	if s.Encoding == "" {
		encoding, err := proposeEncoding(path)
		if err != nil {
			return nil, err
		}
		s.Encoding = encoding
	}
	undecided := s.Header == nil
	if undecided {
		s.Header = &Header{Line: true}
	}
	delimiters := []string{s.Delimiter}
	if s.Delimiter == "" {
		delimiters = []string{",", ";", "\t", "|"}
	}
	var best sample
	for i, delimiter := range delimiters {
		try := s
		try.Delimiter = delimiter
		found, err := look(ctx, path, &try)
		if err != nil {
			return nil, err
		}
		if i == 0 || found.score() > best.score() {
			best = found
			s.Delimiter = delimiter
		}
	}
	if s.Delimiter == "," && declared.Delimiter == "" {
		s.Delimiter = ""
	}
	if undecided {
		s.Header = nil
	}
	if len(best.names) == 0 {
		return p, nil
	}
	kinds := make([]string, len(best.names))
	names := false // the values of some column have another type than its name
	for i := range best.names {
		kinds[i] = p.kind(best.columns[i])
		names = names || kinds[i] != "text" && kinds[i] != "" && (&Proposal{Settings: &Settings{Decimal: s.Decimal}}).kind([]string{best.names[i]}) == "text"
	}
	if undecided {
		for i, n := range best.names {
			like := (&Proposal{Settings: &Settings{Decimal: s.Decimal, DateFormat: s.DateFormat, TimestampFormat: s.TimestampFormat}}).kind([]string{n})
			if n != "" && (like != "text" || slices.Contains(best.columns[i], n)) {
				s.Header = &Header{} // a name that is a number, a day or a value of its own column is none
			}
		}
		p.Doubtful = s.Header == nil && !names
	}
	for i, n := range best.names {
		if s.Header != nil && !s.Header.Line && len(s.Header.Names) == 0 || p.Doubtful {
			n = "column" + strconv.Itoa(i+1)
		}
		if kinds[i] != "" {
			p.Kinds[n] = kinds[i]
		}
	}
	return p, nil
}

// proposeEncoding guesses an encoding from the beginning of a file. It returns "" for UTF-8 and for a byte order mark.
func proposeEncoding(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, looked)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	b = b[:n]
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return "", nil
	}
	if wide := unmarked(b[:min(n, 4096)]); wide != "" {
		return wide, nil
	}
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	if utf8.Valid(b) {
		return "", nil
	}
	return "windows-1252", nil
}

// sample is the beginning of a file.
type sample struct {
	names       []string
	columns     [][]string // without NULLs
	rows, lines int64
}

func (s sample) score() float64 {
	if len(s.names) < 2 || s.lines == 0 {
		return 0
	}
	return float64(s.rows)/float64(s.lines) + float64(min(len(s.names), 1000))/1e4
}

func look(ctx context.Context, path string, s *Settings) (found sample, _ error) {
	d, err := s.Dialect()
	if err != nil {
		return found, err
	}
	h, err := d.Read(path)
	if err != nil || h.Problem != "" {
		return found, err
	}
	f, err := os.Open(path)
	if err != nil {
		return found, err
	}
	defer f.Close()
	found.names, found.columns = h.Names, make([][]string, len(h.Names))
	for _, part := range d.Parts(h, 1<<62) {
		scan, err := d.Scan(part, f)
		if err != nil {
			return found, err
		}
		for scan.Tally.Lines < lookedRows && ctx.Err() == nil {
			ok, err := scan.Next()
			if err != nil {
				return found, err
			}
			if !ok {
				break
			}
			for i := range found.columns {
				if text, null := scan.Value(i); !null && len(text) < 1000 {
					if t := strings.TrimSpace(string(text)); t != "" {
						found.columns[i] = append(found.columns[i], t)
					}
				}
			}
		}
		found.rows, found.lines = scan.Tally.Rows, scan.Tally.Lines
	}
	return found, ctx.Err()
}

// kind returns the type of a column's values, and proposes the settings that read them. It returns "" if there are no
// values.
func (p *Proposal) kind(values []string) string {
	s := p.Settings
	var marks []string
	rest := values
	if s.Null == nil || len(s.Null) > 1 {
		rest = nil
		for _, v := range values {
			switch {
			case !slices.Contains(usualNulls, v):
				rest = append(rest, v)
			case !slices.Contains(marks, v):
				marks = append(marks, v)
			}
		}
	}
	if len(rest) == 0 {
		return ""
	}
	all := func(matches func(string) bool) bool {
		return !slices.ContainsFunc(rest, func(v string) bool { return !matches(v) })
	}
	var kind string
	switch {
	case all(wholeText.MatchString):
		kind = "int"
	case s.Decimal != "," && all(pointText.MatchString):
		kind = "float"
	case s.Decimal != "." && s.Delimiter != "," && s.Delimiter != "" && all(commaText.MatchString):
		kind, s.Decimal = "float", ","
	case all(isoDateText.MatchString):
		kind = "date"
	case all(isoTimeText.MatchString):
		kind = "timestamp"
	default:
		kind = p.dated(all)
		if kind == "text" {
			kind = p.worded(rest)
		}
	}
	if kind != "text" && len(marks) > 0 {
		if s.Null == nil {
			s.Null = Words{""}
		}
		for _, m := range marks {
			if !slices.Contains(s.Null, m) {
				s.Null = append(s.Null, m)
			}
		}
	}
	return kind
}

// dated reports whether the values are dates or timestamps of a usual format.
func (p *Proposal) dated(all func(func(string) bool) bool) string {
	fits := func(text string) bool {
		f, err := format(text)
		if err != nil {
			return false
		}
		pattern, err := regexp.Compile("^(?:" + f.Pattern + ")$")
		if err != nil {
			return false
		}
		month := strings.Index(f.ISO, "-") + 2 // the digit of the month's group
		return all(func(v string) bool {
			m := pattern.FindStringSubmatch(v)
			if m == nil {
				return false
			}
			n, err := strconv.Atoi(m[f.ISO[month]-'0'])
			return f.Month || err == nil && n >= 1 && n <= 12
		})
	}
	for _, d := range usualDates {
		if (p.Settings.DateFormat == "" || p.Settings.DateFormat == d) && fits(d) {
			p.Settings.DateFormat = d
			return "date"
		}
		for _, t := range usualTimes {
			if (p.Settings.TimestampFormat == "" || p.Settings.TimestampFormat == d+t) && fits(d+t) {
				p.Settings.TimestampFormat = d + t
				return "timestamp"
			}
		}
	}
	return "text"
}

// worded reports whether the values are words for true and false, and both occur.
func (p *Proposal) worded(values []string) string {
	is := func(list []string) func(string) bool {
		return func(v string) bool {
			return slices.ContainsFunc(list, func(w string) bool { return strings.EqualFold(w, v) })
		}
	}
	try := [][2][]string{{{"true", "t", "yes", "y"}, {"false", "f", "no", "n"}}}
	own := p.Settings.True != nil || p.Settings.False != nil
	if own {
		try = [][2][]string{{p.Settings.True, p.Settings.False}}
	} else {
		try = append(try, usualWords...)
	}
	for i, pair := range try {
		yes, no := is(pair[0]), is(pair[1])
		if !slices.ContainsFunc(values, yes) || !slices.ContainsFunc(values, no) || slices.ContainsFunc(values, func(v string) bool { return !yes(v) && !no(v) }) {
			continue
		}
		if i > 0 && !own {
			p.Settings.True, p.Settings.False = pair[0], pair[1]
		}
		return "bool"
	}
	return "text"
}
