package duckdb

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/csv"
)

// The years 1 to 9999 as texts. Dates beyond are not dates of the catalog.
const (
	isoDay    = `(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}`
	isoTime   = `(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?`
	isoOffset = `Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?`
)

// texts writes SQL that converts texts to values, and to NULL if they do not convert. No text raises.
type texts struct {
	reading *csv.Reading
	zone    string // the hospital's
}

// local returns a local column of texts.
func local(name string, reading *csv.Reading, zone string) engine.Local {
	l := engine.Local{Name: name, Kind: "VARCHAR", Type: value.TypeText}
	quoted, err := compile.Name(name)
	if err != nil {
		return l
	}
	t := texts{reading, zone}
	l.As = map[value.Type]string{value.TypeText: quoted}
	for _, as := range []value.Type{value.TypeBool, value.TypeInt, value.TypeFloat, value.TypeDate, value.TypeTimestamp} {
		l.As[as] = t.as(quoted, as)
	}
	return l
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (t texts) as(column string, as value.Type) string {
	x := "NULLIF(trim(" + column + "), '')"
	switch as {
	case value.TypeBool:
		words := func(list []string) string {
			quoted := []string{"NULL"}
			for _, w := range list {
				quoted = append(quoted, "lower("+quote(w)+")")
			}
			return strings.Join(quoted, ", ")
		}
		return fmt.Sprintf("CASE WHEN lower(%[1]s) IN (%[2]s) THEN true WHEN lower(%[1]s) IN (%[3]s) THEN false END", x, words(t.reading.True), words(t.reading.False))
	case value.TypeInt:
		// 8507.0 is an int that a program stored as a float.
		x, whole, point := t.number(x)
		return when(x, "[+-]?"+whole+"("+point+"0*)?", "TRY_CAST("+t.plain(x)+" AS BIGINT)")
	case value.TypeFloat:
		x, whole, point := t.number(x)
		return when(x, "[+-]?("+whole+"("+point+"[0-9]{0,300})?|"+point+"[0-9]{1,300})([eE][+-]?[0-9]{1,3})?", "TRY_CAST("+t.plain(x)+" AS DOUBLE)")
	case value.TypeDate:
		day := when(x, isoDay, "TRY_CAST("+x+" AS DATE)")
		if f := t.reading.Date; f != nil {
			day = when(x, f.Pattern, "TRY_CAST("+iso(x, f)+" AS DATE)")
		}
		return "coalesce(" + day + ", CAST(" + t.instant(x) + " AS DATE))"
	}
	if t.reading.Date != nil {
		return "coalesce(" + t.instant(x) + ", CAST(" + when(x, t.reading.Date.Pattern, "TRY_CAST("+iso(x, t.reading.Date)+" AS DATE)") + " AS TIMESTAMP))"
	}
	return "coalesce(" + t.instant(x) + ", CAST(" + when(x, isoDay, "TRY_CAST("+x+" AS DATE)") + " AS TIMESTAMP))"
}

// number returns x, and patterns of a number's digits before the decimal mark and of the mark.
func (t texts) number(x string) (text, whole, point string) {
	whole, point = "[0-9]{1,300}", "["+t.reading.Decimal+"]"
	if s := t.reading.Thousands; s != "" {
		whole = "([0-9]{1,3}(" + regexp.QuoteMeta(s) + "[0-9]{3})+|[0-9]{1,300})"
	}
	return x, whole, point
}

// plain writes a number in the form of SQL.
func (t texts) plain(x string) string {
	if s := t.reading.Thousands; s != "" {
		x = "replace(" + x + ", " + quote(s) + ", '')"
	}
	if t.reading.Decimal != "." {
		x = "replace(" + x + ", " + quote(t.reading.Decimal) + ", '.')"
	}
	return x
}

func when(x, pattern, then string) string {
	return "CASE WHEN regexp_full_match(" + x + ", " + quote(pattern) + ") THEN " + then + " END"
}

var months = strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")

// iso rewrites a text of a format as SQL writes dates and timestamps.
func iso(x string, f *csv.Format) string {
	if f.Month {
		x = "lower(" + x + ")"
	}
	pattern := f.Pattern
	if f.Month { // a lower-case text, whose month becomes a number
		for i, m := range months {
			x = fmt.Sprintf("regexp_replace(%s, '(^|[^a-z])%s($|[^a-z])', '\\1%02d\\2')", x, m, i+1)
		}
		pattern = strings.Replace(strings.Replace(strings.Replace(pattern, "([A-Za-z]{3})", "([0-9]{2})", 1), "T", "t", 1), "Z", "z", 1)
	}
	return "regexp_replace(" + x + ", " + quote("^"+pattern+"$") + ", " + quote(f.ISO) + ")"
}

// instant reads a timestamp. With an offset or Z it is an instant, converted to the hospital's zone. Without one it is
// the time of day in the zone of the files.
func (t texts) instant(x string) string {
	if f := t.reading.Timestamp; f != nil {
		if f.Offset {
			return when(x, f.Pattern, t.zoned(iso(x, f)))
		}
		return when(x, f.Pattern, t.shifted("TRY_CAST("+iso(x, f)+" AS TIMESTAMP)"))
	}
	pattern := "(" + isoDay + ")[ T](" + isoTime + ")([.][0-9]{1,6})?[0-9]{0,3}"
	offset := " ?(" + isoOffset + ")"
	seconds := "regexp_replace(" + x + ", " + quote("^(.{10}[ T].{5})("+offset+")$") + `, '\1:00\2')` // DuckDB wants them before an offset
	return "CASE WHEN regexp_full_match(" + x + ", " + quote(pattern) + ") THEN " + t.shifted("TRY_CAST(regexp_replace("+x+", "+quote("^"+pattern+"$")+`, '\1 \2\3') AS TIMESTAMP)`) +
		" WHEN regexp_full_match(" + x + ", " + quote(pattern+offset) + ") THEN " + t.zoned("regexp_replace("+seconds+", "+quote("^"+pattern+offset+"$")+`, '\1 \2\3\4')`) + " END"
}

// zoned reads a text with an offset as the time of day at the hospital.
func (t texts) zoned(x string) string { return inZone("TRY_CAST("+x+" AS TIMESTAMPTZ)", t.zone) }

// shifted converts a time of day in the files' zone to that of the hospital.
func (t texts) shifted(x string) string {
	if t.reading.Zone == t.zone {
		return x
	}
	return inZone("(("+x+") AT TIME ZONE "+quote(t.reading.Zone)+")", t.zone)
}

// inZone converts an instant to the time of day in a zone. An instant beyond the years 1 to 9999 is not converted: it
// becomes the nearest bound later, or NULL.
func inZone(x, zone string) string {
	return fmt.Sprintf("CASE WHEN %[1]s BETWEEN TIMESTAMPTZ '0001-01-03 00:00:00+00' AND TIMESTAMPTZ '9999-12-29 00:00:00+00' THEN (%[1]s AT TIME ZONE %[2]s) WHEN isinf(%[1]s) THEN CAST(%[1]s AS TIMESTAMP) ELSE make_timestamp(epoch_us(%[1]s)) END", x, quote(zone))
}

// Convert implements engine.Driver.
func (d *driver) Convert(l engine.Local, t value.Type) (sql string, fits bool) {
	want := compile.DuckDB.Type(t)
	quoted, err := compile.Name(l.Name)
	if err != nil {
		return "CAST(NULL AS " + want + ")", false
	}
	if as, ok := l.As[t]; ok {
		return as, t == value.TypeText
	}
	switch {
	case t == value.TypeText && l.Kind == want:
		return "(" + quoted + " COLLATE C)", true // a column may be declared to compare otherwise than by its bytes
	case l.Kind == want:
		return quoted, true
	case l.Kind == "VARCHAR":
		return local(l.Name, d.reading, d.zone).As[t], false
	case l.Kind == "BLOB" && t == value.TypeText: // Parquet files of programs that mark no text as such
		return "TRY(decode(" + quoted + "))", false
	case l.Kind == "TIMESTAMP WITH TIME ZONE" && (t == value.TypeTimestamp || t == value.TypeDate):
		return "CAST(" + inZone(quoted, d.zone) + " AS " + want + ")", t == value.TypeTimestamp
	}
	return "TRY_CAST(" + quoted + " AS " + want + ")", converts(l.Kind, t)
}

// converts reports whether every value of a local type converts without a test.
func converts(kind string, t value.Type) bool {
	switch t {
	case value.TypeInt:
		return slices.Contains([]string{"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}, kind) || whole.MatchString(kind)
	case value.TypeFloat:
		return slices.Contains([]string{"FLOAT", "DOUBLE", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"}, kind) || strings.HasPrefix(kind, "DECIMAL")
	case value.TypeText:
		return kind == "VARCHAR" || strings.HasPrefix(kind, "ENUM") || kind == "UUID"
	case value.TypeTimestamp:
		return strings.HasPrefix(kind, "TIMESTAMP") || kind == "DATE"
	}
	return kind == compile.DuckDB.Type(t)
}

// whole are the DECIMAL types without decimals that fit in 64 bits. wholeDecimal are all DECIMAL types without
// decimals.
var (
	whole        = regexp.MustCompile(`^DECIMAL\((\d|1[0-8]),0\)$`)
	wholeDecimal = regexp.MustCompile(`^DECIMAL\(\d+,0\)$`)
)

// suits returns the catalog's type for a local type.
func suits(kind string) value.Type {
	switch {
	case kind == "BOOLEAN":
		return value.TypeBool
	case converts(kind, value.TypeInt) || kind == "HUGEINT" || kind == "UBIGINT" || wholeDecimal.MatchString(kind):
		return value.TypeInt
	case converts(kind, value.TypeFloat):
		return value.TypeFloat
	case kind == "DATE":
		return value.TypeDate
	case converts(kind, value.TypeTimestamp):
		return value.TypeTimestamp
	}
	return value.TypeText
}
