package coordinator

import (
	"errors"
	"fmt"

	"github.com/intramuros/intramuros/planner"
)

// Code names a kind of refusal or failure. Codes are stable: programs may rely
// on them. The codes of package planner appear here too. A Code is an error so
// that errors.Is(err, CodeTimeout) tells what happened.
type Code string

// These codes come on top of those of package planner.
const (
	CodeUnauthorized        Code = "UNAUTHORIZED"         // no token, or one that nobody here has
	CodeIdentityUnavailable Code = "IDENTITY_UNAVAILABLE" // the token's provider cannot be reached
	CodeNotOperator         Code = "NOT_OPERATOR"         // of how the federation is run only its operators are told
	CodeStudyUnknown        Code = "STUDY_UNKNOWN"        // no such study, or not one of this researcher's
	CodeStudyClosed         Code = "STUDY_CLOSED"         // suspended or ended by the operator
	CodeTooMany             Code = "TOO_MANY_QUERIES"     // of this researcher or study, in a minute or at once; or too many connections, of this researcher or of all
	CodeLedgerRestored      Code = "LEDGER_RESTORED"      // a part of the coordinator's ledger is missing
	CodeCertificateExpired  Code = "CERTIFICATE_EXPIRED"  // the coordinator's own certificate, or the authority's
	CodeStudyExpired        Code = "STUDY_EXPIRED"        // the study's last day is over
	CodeEpsilonTooLarge     Code = "EPSILON_TOO_LARGE"    // above the study's cap for one query
	CodeBudgetExhausted     Code = "BUDGET_EXHAUSTED"     // the study has not enough left
	CodeHospitalMissing     Code = "HOSPITAL_MISSING"     // too few hospitals are there, or agree on the catalog
	CodeHospitalRefused     Code = "HOSPITAL_REFUSED"     // refused or unreachable before anything was charged
	CodeHospitalFailed      Code = "HOSPITAL_FAILED"      // failed while computing; the charge stays
	CodePublicDiffers       Code = "PUBLIC_DIFFERS"       // no majority of the hospitals holds the same rows of public tables
	CodeNotStored           Code = "NOT_STORED"           // only a stored answer was asked for, and there is none
	CodeTimeout             Code = "TIMEOUT"              // the query's time is up
	CodeCanceled            Code = "CANCELED"             // the caller went away
	CodeInvalidRequest      Code = "INVALID_REQUEST"      // not a request that this service reads
	CodeTooLong             Code = "TOO_LONG"             // a request larger than this service reads
	CodeInternal            Code = "INTERNAL"             // a fault of this coordinator; its log tells more
)

// Why a hospital is not part of an answer, beside what a node says itself.
const (
	absentNotJoined   = "NOT_JOINED"       // not in the network
	absentCatalog     = "CATALOG_MISMATCH" // has another catalog
	absentUnreachable = "UNREACHABLE"      // no connection
	absentCertificate = "CERTIFICATE"      // revoked, out of its time, or another's
	absentTimeout     = "NODE_TIMEOUT"     // too slow
	absentCanceled    = "CANCELED"         // told to stop
	absentFault       = "NODE_ERROR"       // an error without a code
	absentStudy       = "STUDY_NOT_OPEN"   // has not approved the study, or closed it
	absentFailures    = "NODE_FAILURES"    // has suspended the study, since too many of its queries failed there
	absentLedger      = "LEDGER_DIFFERS"   // its ledger is not what it was
	absentOld         = "OLD_VERSION"      // speaks no version of the wire in which the question can be said
	absentNew         = "NEW_VERSION"      // no longer speaks this coordinator's versions of the wire
	absentPrice       = "PRICE_DIFFERS"    // prices the query differently
	absentAnswer      = "ANSWER_INVALID"   // an answer that is not understood
	absentLost        = "LOST_AT_SEAL"     // was lost while a query was sealed, which cost the query
)

// Error gives the code.
func (c Code) Error() string { return string(c) }

// Error is a refusal or failure, for the researcher to read.
type Error struct {
	Code    Code
	Message string // what is wrong
	Hint    string // what to do instead; may be empty
	// Place in the SQL text. Line 0: none.
	planner.Position
	// Charged: the study has paid for the query although it failed.
	Charged bool
	// Hospitals tells which hospitals were the reason, and why.
	Hospitals []Absence
	cause     error
}

// Absence is a hospital that is not part of an answer.
type Absence struct {
	Name string `json:"name"`
	Code string `json:"code"` // stable, such as UNREACHABLE or NODE_BUDGET
	Why  string `json:"why"`  // in words
}

// code is "" where there is none.
func (a *Absence) code() string {
	if a == nil {
		return ""
	}
	return a.Code
}

// Error gives code, place, message and hint on one line.
func (e *Error) Error() string {
	s := string(e.Code)
	if e.Line > 0 {
		s += fmt.Sprintf(" at line %d, column %d", e.Line, e.Column)
	}
	s += ": " + e.Message
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap gives the code and the cause, if there is one.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.cause}
}

func planError(err error) error {
	var p *planner.Error
	if !errors.As(err, &p) {
		return internalError(err)
	}
	return &Error{Code: Code(p.Code), Message: p.Message, Hint: p.Hint, Position: p.Position, cause: err}
}

// Crowded is the error of a door that has too many connections, in all or of this person. err, of internal/lobby, says
// which.
func Crowded(err error) *Error {
	return &Error{Code: CodeTooMany, Message: err.Error(), Hint: "close some, let your tool share fewer, or try again in a moment", cause: err}
}

// internalError hides err from the researcher: it is for the log.
func internalError(err error) *Error {
	return &Error{
		Code: CodeInternal, Message: "the coordinator met a fault of its own",
		Hint: "the coordinator's log tells more to its operator", cause: err,
	}
}
