package trino

import (
	"fmt"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
)

const wholeText = `[+-]?[0-9]{1,300}([.]0{0,300})?`

// read writes SQL that converts a text to a value, or to NULL, by the rules of all engines (enginetest.Raw). Trino's
// own cast accepts more, such as 1d and 0x1p3.
func (d *driver) read(x string, t value.Type) string {
	when := func(pattern, then string) string {
		return "CASE WHEN regexp_like(" + x + ", '^(?:" + pattern + `)\z') THEN ` + then + " END"
	}
	switch t {
	case value.TypeBool:
		return fmt.Sprintf("CASE WHEN lower(%[1]s) IN ('true', 't', 'yes', 'y', '1') THEN true WHEN lower(%[1]s) IN ('false', 'f', 'no', 'n', '0') THEN false END", x)
	case value.TypeInt:
		return when(wholeText, "TRY_CAST(regexp_replace("+x+", '[.].*', '') AS BIGINT)")
	case value.TypeFloat:
		return when(strings.Trim(expr.FloatPattern, "^$"), "TRY_CAST("+x+" AS DOUBLE)")
	case value.TypeDate:
		return "coalesce(" + when(compile.ExistingDate, "TRY_CAST("+x+" AS DATE)") + ", CAST(" + d.instant(x) + " AS DATE))"
	}
	return "coalesce(" + d.instant(x) + ", " + when(compile.ExistingDate, "CAST(TRY_CAST("+x+" AS DATE) AS TIMESTAMP(6))") + ")"
}

// instant reads a timestamp. With an offset or Z it is an instant, converted to the hospital's zone. Without one it is
// the time of day.
func (d *driver) instant(x string) string {
	stamp := "^(?:" + compile.ExistingDate + ")[ T]" + compile.TextTime
	exact := "regexp_replace(regexp_replace(" + x + ", 'T', ' '), '([.][0-9]{6})[0-9]+', '$1')" // what is finer is left out, not rounded
	// An offset must have the form +02:00 behind a blank.
	offset := "regexp_replace(regexp_replace(" + exact + `, ' ?([+-][0-9]{2}):?([0-9]{2})?\z', ' $1:$2'), ':\z', ':00')`
	offset = "regexp_replace(" + offset + `, ' ?Z\z', ' +00:00')`
	return fmt.Sprintf(`CASE WHEN regexp_like(%[1]s, '%[2]s\z') THEN TRY_CAST(%[3]s AS TIMESTAMP(6)) WHEN regexp_like(%[1]s, '%[2]s ?%[4]s\z') THEN CAST(TRY_CAST(%[5]s AS TIMESTAMP(6) WITH TIME ZONE) AT TIME ZONE '%[6]s' AS TIMESTAMP(6)) END`,
		x, stamp, exact, compile.TextOffset, offset, d.zone)
}
