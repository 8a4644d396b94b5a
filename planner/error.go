package planner

import "github.com/intramuros/intramuros/planner/syntax"

// Code names a kind of refusal.
type Code = syntax.Code

// Position is a place in the SQL text.
type Position = syntax.Position

// Error is a refusal, for the researcher to read.
type Error = syntax.Error

// The codes of queries that cannot be planned: see package syntax.
const (
	CodeSyntax        = syntax.CodeSyntax
	CodeNotSupported  = syntax.CodeNotSupported
	CodeRowLevel      = syntax.CodeRowLevel
	CodeTable         = syntax.CodeTable
	CodeColumn        = syntax.CodeColumn
	CodeAmbiguous     = syntax.CodeAmbiguous
	CodeFunction      = syntax.CodeFunction
	CodeType          = syntax.CodeType
	CodeNotGrouped    = syntax.CodeNotGrouped
	CodeMisplaced     = syntax.CodeMisplaced
	CodeBounds        = syntax.CodeBounds
	CodePatientsMixed = syntax.CodePatientsMixed
	CodeNested        = syntax.CodeNested
	CodeNoPatient     = syntax.CodeNoPatient
	CodeTooLarge      = syntax.CodeTooLarge
	CodeAccuracy      = syntax.CodeAccuracy
	CodePrice         = syntax.CodePrice
	CodeParameter     = syntax.CodeParameter
	CodeSealed        = syntax.CodeSealed
)

// refuse stops planning. Compose returns the refusal as its error.
func refuse(code Code, at Position, hint, format string, args ...any) {
	syntax.Refuse(code, at, hint, format, args...)
}
