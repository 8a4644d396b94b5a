package syntax

import (
	"fmt"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// Code names a kind of refusal. Codes are stable: programs may rely on them.
type Code string

// The codes of a query that cannot be planned.
const (
	CodeSyntax        Code = "SYNTAX"            // the text is no SQL that is read here
	CodeNotSupported  Code = "NOT_SUPPORTED"     // SQL that is not answered, or not yet
	CodeRowLevel      Code = "ROW_LEVEL"         // asks for rows of patients instead of aggregates
	CodeTable         Code = "UNKNOWN_TABLE"     // the catalog has no such table
	CodeColumn        Code = "UNKNOWN_COLUMN"    // no table of the query has such a column
	CodeAmbiguous     Code = "AMBIGUOUS_NAME"    // a name means two things
	CodeFunction      Code = "UNKNOWN_FUNCTION"  // there is no such function
	CodeType          Code = "TYPE"              // an operation does not fit its operands
	CodeNotGrouped    Code = "NOT_GROUPED"       // a column is neither grouped by nor aggregated
	CodeMisplaced     Code = "MISPLACED"         // an aggregate where none can stand, or one within another
	CodeBounds        Code = "BOUNDS_NEEDED"     // a sum of values that have no bounds
	CodePatientsMixed Code = "PATIENTS_MIXED"    // a join would put two patients into one row
	CodeNested        Code = "NESTED_RELEASE"    // a query within a query that aggregates over patients
	CodeNoPatient     Code = "NO_PATIENT"        // no private table, or a row without its patient
	CodeTooLarge      Code = "TOO_LARGE"         // too many groups, columns or nested parts; or too many rows would be computed from released ones
	CodeAccuracy      Code = "ACCURACY"          // the accuracy that is asked for cannot be reached, or foretold
	CodePrice         Code = "EPSILON_TOO_SMALL" // a release would cost less than the study's least price
	CodeParameter     Code = "INVALID_PARAMETER" // epsilon, delta or a limit out of range
	CodeSealed        Code = "SEALED"            // the study is sealed, and this cannot be answered so
)

// Error is a refusal, for the researcher to read.
type Error struct {
	Code Code
	Position
	Message string // what is wrong
	Hint    string // what to write instead; may be empty
	// Wanted is the type as which a text was read, and is none; empty: the refusal is another.
	Wanted value.Type
}

// Error gives code, place, message and hint on one line.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s at line %d, column %d: %s", e.Code, e.Line, e.Column, e.Message)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Caret shows the line of the SQL with a caret under the offending token.
func (e *Error) Caret(sql string) string { return e.Position.caret(sql) }

func (p Position) caret(sql string) string {
	start := strings.LastIndexByte(sql[:min(p.Offset, len(sql))], '\n') + 1
	line, _, _ := strings.Cut(sql[start:], "\n")
	var pad strings.Builder
	for _, r := range sql[start:min(p.Offset, len(sql))] {
		if r != '\t' {
			r = ' '
		}
		pad.WriteRune(r)
	}
	end := min(p.Offset+p.Length, start+len(line))
	width := 1
	if end > p.Offset {
		width = len([]rune(sql[p.Offset:end]))
	}
	return line + "\n" + pad.String() + strings.Repeat("^", width)
}

// Refuse gives up by a panic with *Error, which Catch recovers. A recursive descent over
// syntax has too many exits for anything else to stay readable.
func Refuse(code Code, at Position, hint, format string, args ...any) {
	panic(&Error{Code: code, Position: at, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// Catch turns a refusal into an error where it is deferred; other panics go on.
func Catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case *Error:
		*err = r
	default:
		panic(r)
	}
}
