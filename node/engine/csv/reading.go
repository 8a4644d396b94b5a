package csv

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// Reading says how the texts of fields become values.
type Reading struct {
	Decimal, Thousands string // Thousands: "" for none
	True, False        []string
	Date, Timestamp    *Format // nil: ISO 8601
	Zone               string  // of timestamps that name none
}

// Format is a format of dates or timestamps.
type Format struct {
	Pattern string // a regular expression of the whole text, with groups; every text that it matches is tried
	ISO     string // the groups, \1 to \9, as yyyy-mm-dd hh:mm:ss.ffffff+hh:mm
	Month   bool   // a group is the English name of a month, three letters long
	Time    bool   // it has hours
	Offset  bool   // it has an offset from UTC
}

// Reading returns the settings with their defaults. hospital is the hospital's time zone. Errors wrap ErrSettings.
func (s *Settings) Reading(hospital string) (*Reading, error) {
	r := &Reading{Decimal: ".", Thousands: s.Thousands, True: []string{"true", "t", "yes", "y", "1"}, False: []string{"false", "f", "no", "n", "0"}, Zone: hospital}
	if s.Decimal != "" {
		r.Decimal = s.Decimal
	}
	if r.Decimal != "." && r.Decimal != "," || r.Thousands == r.Decimal || len([]rune(r.Thousands)) > 1 || strings.ContainsAny(r.Thousands, "0123456789+-eE") {
		return nil, fmt.Errorf("%w: `decimal` is \".\" or \",\", and `thousands` another sign", ErrSettings)
	}
	if s.Timezone != "" {
		r.Zone = s.Timezone
	}
	if err := Zone(r.Zone); err != nil {
		return nil, err
	}
	if s.True != nil {
		r.True = s.True
	}
	if s.False != nil {
		r.False = s.False
	}
	for _, t := range r.True {
		for _, f := range r.False {
			if strings.EqualFold(t, f) {
				return nil, fmt.Errorf("%w: a word is both `true` and `false`", ErrSettings)
			}
		}
	}
	var err error
	if s.DateFormat != "" {
		if r.Date, err = format(s.DateFormat); err == nil && r.Date.Time {
			err = fmt.Errorf("%w: `date_format` has hours; give `timestamp_format`", ErrSettings)
		}
	}
	if err == nil && s.TimestampFormat != "" {
		if r.Timestamp, err = format(s.TimestampFormat); err == nil && !r.Timestamp.Time {
			err = fmt.Errorf("%w: `timestamp_format` has no hours; give `date_format`", ErrSettings)
		}
	}
	return r, err
}

// format parses a format such as dd/mm/yyyy hh:mm:ss.
func format(text string) (*Format, error) {
	f := &Format{}
	var pattern strings.Builder
	groups := map[byte]int{} // by y, n (month), d, h, i (minute), s, f, z
	n := 0
	group := func(part byte, p string) error {
		if groups[part] > 0 {
			return fmt.Errorf("%w: the format %q has a part twice", ErrSettings, text)
		}
		n++
		groups[part] = n
		pattern.WriteString("(" + p + ")")
		return nil
	}
	runes := []rune(text)
	for i := 0; i < len(runes); {
		c := unicode.ToLower(runes[i])
		length := 1
		for i+length < len(runes) && unicode.ToLower(runes[i+length]) == c {
			length++
		}
		rest := strings.ToLower(string(runes[i:min(i+3, len(runes))]))
		digits := "[0-9]{2}"
		if length == 1 {
			digits = "[0-9]{1,2}"
		}
		var err error
		switch {
		case c == 'y' && length == 4:
			err = group('y', "[0-9]{4}")
		case c == 'y':
			return nil, fmt.Errorf("%w: the format %q has years of %d digits, which name no century; give yyyy, or read the column by a `select`", ErrSettings, text, length)
		case rest == "mon":
			length = 3
			f.Month = true
			err = group('n', "[A-Za-z]{3}")
		case strings.HasPrefix(rest, "mi"):
			length = 2
			err = group('i', "[0-9]{2}")
		case c == 'm' && length == 3:
			f.Month = true
			err = group('n', "[A-Za-z]{3}")
		case c == 'm' && length <= 2 && groups['h'] > 0 && groups['i'] == 0:
			err = group('i', digits)
		case c == 'm' && length <= 2:
			err = group('n', digits)
		case c == 'd' && length <= 2:
			err = group('d', digits)
		case c == 'h' && length <= 2:
			f.Time = true
			err = group('h', digits)
			if strings.HasPrefix(string(runes[i+length:]), "24") {
				length += 2
			}
		case c == 's' && length <= 2 && groups['s'] == 0:
			err = group('s', digits)
		case c == 's' || c == 'f':
			err = group('f', "[0-9]{1,6}")
		case c == 'z' || c == 'x':
			f.Offset = true
			err = group('z', "Z|[+-][0-9]{2}:?[0-9]{2}|[+-][0-9]{2}")
		case runes[i] == 'T' && length == 1:
			pattern.WriteString("T")
		case unicode.IsLetter(c):
			return nil, fmt.Errorf("%w: the format %q has a letter that means nothing; it may hold yyyy, mm, dd, hh, mm after hh, ss, fff and zzz", ErrSettings, text)
		default:
			pattern.WriteString(regexp.QuoteMeta(string(runes[i : i+length])))
		}
		if err != nil {
			return nil, err
		}
		i += length
	}
	if groups['y'] == 0 || groups['n'] == 0 || groups['d'] == 0 || groups['i'] > 0 && groups['h'] == 0 || groups['h'] > 0 && groups['i'] == 0 || groups['s'] > 0 && groups['i'] == 0 || groups['f'] > 0 && groups['s'] == 0 {
		return nil, fmt.Errorf("%w: the format %q lacks a part; it needs yyyy, mm and dd, and hours need minutes", ErrSettings, text)
	}
	part := func(p byte, before string) string {
		if groups[p] == 0 {
			return ""
		}
		return fmt.Sprintf("%s\\%d", before, groups[p])
	}
	f.Pattern = pattern.String()
	f.ISO = part('y', "") + part('n', "-") + part('d', "-")
	if f.Time {
		f.ISO += part('h', " ") + part('i', ":")
		if groups['s'] > 0 {
			f.ISO += part('s', ":") + part('f', ".")
		} else {
			f.ISO += ":00"
		}
		f.ISO += part('z', "")
	}
	return f, nil
}
