package coordinator

import (
	"errors"
	"fmt"

	"github.com/intramuros/intramuros/planner"
)

// Code names a kind of refusal or failure. Codes are stable: programs may rely on them. The codes of package planner
// appear here too. A Code is an error, so that errors.Is(err, CodeTimeout) works.
type Code string

// The codes in addition to those of package planner.
const (
	CodeUnauthorized        Code = "UNAUTHORIZED"         // no token, or an unknown one
	CodeIdentityUnavailable Code = "IDENTITY_UNAVAILABLE" // the token's provider cannot be reached
	CodeNotOperator         Code = "NOT_OPERATOR"         // only operators are told how the federation is run
	CodeStudyUnknown        Code = "STUDY_UNKNOWN"        // no such study, or the researcher is not in it
	CodeStudyClosed         Code = "STUDY_CLOSED"         // suspended or ended by the operator
	CodeTooMany             Code = "TOO_MANY_QUERIES"     // too many queries (researcher or study) or connections
	CodeLedgerRestored      Code = "LEDGER_RESTORED"      // a part of the coordinator's ledger is missing
	CodeCertificateExpired  Code = "CERTIFICATE_EXPIRED"  // a certificate of the coordinator or the authority has expired
	CodeStudyExpired        Code = "STUDY_EXPIRED"        // the study's last day has passed
	CodeEpsilonTooLarge     Code = "EPSILON_TOO_LARGE"    // above the study's cap for one query
	CodeBudgetExhausted     Code = "BUDGET_EXHAUSTED"     // the study has too little left
	CodeHospitalMissing     Code = "HOSPITAL_MISSING"     // too few hospitals are present or agree on the catalog
	CodeHospitalRefused     Code = "HOSPITAL_REFUSED"     // refused or unreachable before anything was charged
	CodeHospitalFailed      Code = "HOSPITAL_FAILED"      // a hospital failed while computing; the charge stays
	CodePublicDiffers       Code = "PUBLIC_DIFFERS"       // no majority of the hospitals has the same rows of public tables
	CodeNotStored           Code = "NOT_STORED"           // only a stored answer was accepted, and there is none
	CodeTimeout             Code = "TIMEOUT"              // the query took too long
	CodeCanceled            Code = "CANCELED"             // the caller ended the query
	CodeInvalidRequest      Code = "INVALID_REQUEST"      // not a request that this service can read
	CodeTooLong             Code = "TOO_LONG"             // a request that is too large
	CodeInternal            Code = "INTERNAL"             // a fault of this coordinator; its log tells more
)

// Why a hospital is not part of an answer, apart from what a node says itself.
const (
	absentNotJoined   = "NOT_JOINED"       // not in the network
	absentCatalog     = "CATALOG_MISMATCH" // has another catalog
	absentUnreachable = "UNREACHABLE"      // no connection
	absentCertificate = "CERTIFICATE"      // revoked, expired, not valid yet, or another hospital's
	absentTimeout     = "NODE_TIMEOUT"     // too slow
	absentCanceled    = "CANCELED"         // it was told to stop
	absentFault       = "NODE_ERROR"       // an error without a code
	absentStudy       = "STUDY_NOT_OPEN"   // it has not approved the study, or has closed it
	absentFailures    = "NODE_FAILURES"    // it has suspended the study because too many of its queries failed there
	absentLedger      = "LEDGER_DIFFERS"   // its ledger has lost a part
	absentOld         = "OLD_VERSION"      // it reads no version of the wire that can express the question
	absentNew         = "NEW_VERSION"      // it no longer reads this coordinator's versions of the wire
	absentPrice       = "PRICE_DIFFERS"    // it computes another price for the query
	absentAnswer      = "ANSWER_INVALID"   // its answer is not valid
	absentLost        = "LOST_AT_SEAL"     // it was lost while a query was sealed, which made the query fail
)

// Error returns the code.
func (c Code) Error() string { return string(c) }

// Error is a refusal or failure, for the researcher to read.
type Error struct {
	Code    Code
	Message string // what is wrong
	Hint    string // what to do instead; may be empty
	// The position in the SQL text. Line 0: none.
	planner.Position
	// Charged: the study has paid for the query although it failed.
	Charged bool
	// Hospitals says which hospitals were the reason, and why.
	Hospitals []Absence
	cause     error
}

// Absence is a hospital that is not part of an answer.
type Absence struct {
	Name string `json:"name"`
	Code string `json:"code"` // stable, such as UNREACHABLE or NODE_BUDGET
	Why  string `json:"why"`  // in words
}

// code is "" if there is no absence.
func (a *Absence) code() string {
	if a == nil {
		return ""
	}
	return a.Code
}

// Error writes code, position, message and hint on one line.
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

// Unwrap returns the code and the cause, if there is one.
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

// Crowded is the error of a door with too many connections, in total or of this person. err, of internal/lobby, says
// which.
func Crowded(err error) *Error {
	return &Error{Code: CodeTooMany, Message: err.Error(), Hint: "close some, let your tool share fewer, or try again in a moment", cause: err}
}

// internalError hides err from the researcher; it goes to the log.
func internalError(err error) *Error {
	return &Error{
		Code: CodeInternal, Message: "the coordinator met a fault of its own",
		Hint: "the coordinator's log tells more to its operator", cause: err,
	}
}
