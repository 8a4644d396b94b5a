package postgres

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// Regular expressions of texts that are numbers. A repetition counts to 255 at most.
const (
	wholeText = `^[+-]?[0-9]{1,150}[0-9]{0,150}([.]0{0,150}0{0,150})?$`
	realText  = `^[+-]?([0-9]{1,150}[0-9]{0,150}([.][0-9]{0,150}[0-9]{0,150})?|[.][0-9]{1,150}[0-9]{0,150})([eE][+-]?[0-9]{1,3})?$`
)

// read writes SQL that converts a text to a value, or to NULL, by the rules of all engines (enginetest.Raw). No text
// raises.
func (d *driver) read(x string, t value.Type) string {
	when := func(pattern, then string) string {
		return "CASE WHEN " + x + " ~ '" + pattern + "' THEN " + then + " END"
	}
	switch t {
	case value.TypeBool:
		return fmt.Sprintf("CASE WHEN lower(%[1]s) IN ('true', 't', 'yes', 'y', '1') THEN true WHEN lower(%[1]s) IN ('false', 'f', 'no', 'n', '0') THEN false END", x)
	case value.TypeInt:
		number := "CAST(" + x + " AS NUMERIC)"
		return when(wholeText, "CASE WHEN "+number+" BETWEEN -9223372036854775808 AND 9223372036854775807 THEN CAST("+number+" AS BIGINT) END")
	case value.TypeFloat:
		return when(realText, compile.PostgreSQL.Narrow("CAST("+x+" AS NUMERIC)"))
	case value.TypeDate:
		return "coalesce(" + when("^"+compile.ExistingDate+"$", "CAST("+x+" AS DATE)") + ", CAST(" + d.instant(x) + " AS DATE))"
	}
	return "coalesce(" + d.instant(x) + ", " + when("^"+compile.ExistingDate+"$", "CAST("+x+" AS TIMESTAMP)") + ")"
}

// instant reads a timestamp. With an offset or Z it is an instant, converted to the hospital's zone. Without one it is
// the time of day.
func (d *driver) instant(x string) string {
	stamp := "^" + compile.ExistingDate + "[ T]" + compile.TextTime
	exact := "regexp_replace(" + x + ", '([.][0-9]{6})[0-9]+', '\\1')" // what is finer is left out, not rounded
	return fmt.Sprintf("CASE WHEN %[1]s ~ '%[2]s$' THEN CAST(%[3]s AS TIMESTAMP) WHEN %[1]s ~ '%[2]s ?%[4]s$' THEN CAST(%[3]s AS TIMESTAMPTZ) AT TIME ZONE '%[5]s' END",
		x, stamp, exact, compile.TextOffset, d.zone)
}
