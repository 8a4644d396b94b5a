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
	CodeSyntax        Code = "SYNTAX"            // the text is not SQL that is read here
	CodeNotSupported  Code = "NOT_SUPPORTED"     // SQL that is not supported, or not yet
	CodeRowLevel      Code = "ROW_LEVEL"         // the query asks for rows of patients, not for aggregates
	CodeTable         Code = "UNKNOWN_TABLE"     // the catalog has no such table
	CodeColumn        Code = "UNKNOWN_COLUMN"    // no table of the query has such a column
	CodeAmbiguous     Code = "AMBIGUOUS_NAME"    // a name has two meanings
	CodeFunction      Code = "UNKNOWN_FUNCTION"  // there is no such function
	CodeType          Code = "TYPE"              // an operation does not fit its operands
	CodeNotGrouped    Code = "NOT_GROUPED"       // a column is neither grouped by nor aggregated
	CodeMisplaced     Code = "MISPLACED"         // an aggregate in a wrong place, or within another one
	CodeBounds        Code = "BOUNDS_NEEDED"     // a sum of values without bounds
	CodePatientsMixed Code = "PATIENTS_MIXED"    // a join would combine two patients in one row
	CodeNested        Code = "NESTED_RELEASE"    // a subquery aggregates over patients where it cannot
	CodeNoPatient     Code = "NO_PATIENT"        // no private table, or a row without its patient
	CodeTooLarge      Code = "TOO_LARGE"         // too many groups, columns or nested parts, or computed rows
	CodeAccuracy      Code = "ACCURACY"          // the accuracy cannot be reached or predicted
	CodePrice         Code = "EPSILON_TOO_SMALL" // a release would cost less than the study's least price
	CodeParameter     Code = "INVALID_PARAMETER" // epsilon, delta or a limit out of range
	CodeSealed        Code = "SEALED"            // the study is sealed and does not allow this
)

// Error is a refusal, for the researcher to read.
type Error struct {
	Code Code
	Position
	Message string // what is wrong
	Hint    string // what to write instead; may be empty
	// Wanted is the type that a text could not be read as. It is empty for other refusals.
	Wanted value.Type
}

// Error writes code, position, message and hint on one line.
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

// Refuse stops by a panic with an *Error, which Catch recovers. A recursive-descent parser has too many exits for
// errors as results.
func Refuse(code Code, at Position, hint, format string, args ...any) {
	panic(&Error{Code: code, Position: at, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// Catch turns a refusal into an error; it must be deferred. Other panics continue.
func Catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case *Error:
		*err = r
	default:
		panic(r)
	}
}
