package node

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Code names a kind of refusal or failure. Codes are stable. Each has one text that says what the hospital did.
type Code string

// The codes.
const (
	CodePeer       Code = "NODE_PEER"       // the caller is not a coordinator of the federation
	CodeRequest    Code = "NODE_REQUEST"    // not a request that this version can read
	CodeCatalog    Code = "NODE_CATALOG"    // planned with another catalog
	CodeFragment   Code = "NODE_FRAGMENT"   // the fragment or its noise breaks a rule
	CodeSource     Code = "NODE_SOURCE"     // no SQL for it, or a table is not mapped or contradicts the catalog
	CodeLimit      Code = "NODE_LIMIT"      // larger contribution limits or epsilon than the custodian allows
	CodeSealed     Code = "NODE_SEALED"     // this hospital's numbers must be covered, and the request would not
	CodePrice      Code = "NODE_PRICE"      // it costs less than the study's least price
	CodeFailures   Code = "NODE_FAILURES"   // suspended: too many queries of the study failed after their charge
	CodeStudy      Code = "NODE_STUDY"      // the study is unknown here or over
	CodeToken      Code = "NODE_TOKEN"      // no token that tells this node who asks
	CodeResearcher Code = "NODE_RESEARCHER" // the researcher does not belong to the study here
	CodeScope      Code = "NODE_SCOPE"      // the study may not use a table, column or aggregate here, or asks for one patient
	CodeSpread     Code = "NODE_SPREAD"     // joins with public tables multiply a patient's rows too much
	CodeTooLarge   Code = "NODE_TOO_LARGE"  // an expression is too large for the engine, or too many groups to cover
	CodePublic     Code = "NODE_PUBLIC"     // too many rows of public tables at once, or none may leave
	CodeRate       Code = "NODE_RATE"       // too many queries of this researcher in a minute or at once
	CodeRestored   Code = "NODE_RESTORED"   // the node's ledger is older than others know it
	CodeSuspended  Code = "NODE_SUSPENDED"  // the custodian has stopped the hospital
	CodeBudget     Code = "NODE_BUDGET"     // the budget of the study or node is too small
	CodeBusy       Code = "NODE_BUSY"       // too many reservations are held
	CodeTicket     Code = "NODE_TICKET"     // no such reservation of this coordinator: used, expired, or never made
	CodeStale      Code = "NODE_STALE"      // the data changed between prepare and execute; nothing was charged
	CodeData       Code = "NODE_DATA"       // the data is new and not yet verified; a charge stays
	CodeLedger     Code = "NODE_LEDGER"     // the ledger cannot be written
	CodeEngine     Code = "NODE_ENGINE"     // the database failed; a charge stays, and the failure counts
	CodeTimeout    Code = "NODE_TIMEOUT"    // the deadline of the caller or of the node passed
	CodeCanceled   Code = "NODE_CANCELED"   // the caller ended the call
)

// answers gives each code its gRPC code and its text. The text follows the hospital's name. It is fixed, except for
// what refusal.told allows.
var answers = map[Code]struct {
	grpc codes.Code
	text string
}{
	CodePeer:       {codes.PermissionDenied, "answers coordinators of its federation only"},
	CodeRequest:    {codes.InvalidArgument, "cannot read the request; the versions may differ"},
	CodeCatalog:    {codes.FailedPrecondition, "has another catalog than the query was planned with"},
	CodeFragment:   {codes.InvalidArgument, "refuses the fragment: it breaks a rule that protects patients"},
	CodeSource:     {codes.FailedPrecondition, "answers nothing over a table of the query: it lacks the table, or closed it because its data is not as the catalog says; intramuros catalog check tells its custodian which"},
	CodeLimit:      {codes.PermissionDenied, "allows no epsilon, max_groups or max_rows as large as this query's"},
	CodeSealed:     {codes.PermissionDenied, "covers its numbers with its own noise before they leave, and this query would not have it do so, or with too little"},
	CodePrice:      {codes.PermissionDenied, "takes no release that costs as little as this query's; ask with a larger epsilon"},
	CodeFailures:   {codes.PermissionDenied, "has suspended this study, since too many of its queries failed there; its custodian has to resume it"},
	CodeStudy:      {codes.PermissionDenied, "has not approved this study, or it is suspended or over there"},
	CodeToken:      {codes.Unauthenticated, "does not accept the researcher's token; log in again"},
	CodeScope:      {codes.PermissionDenied, "does not allow the study a table, a column or an aggregate of this query"},
	CodeSpread:     {codes.InvalidArgument, "refuses joins with public tables that would make too many rows of one"},
	CodeTooLarge:   {codes.InvalidArgument, "cannot compute an expression of the query, or that many groups"},
	CodePublic:     {codes.InvalidArgument, "gives out fewer rows of public tables at once than this asks for, or none; ask for fewer, with WHERE or LIMIT"},
	CodeRate:       {codes.ResourceExhausted, "takes no more queries of this researcher for now; ask again in a minute"},
	CodeRestored:   {codes.FailedPrecondition, "answers nothing until its custodian has looked at its privacy ledger, of which a part is missing"},
	CodeSuspended:  {codes.FailedPrecondition, "answers nothing for now: its custodian has stopped it"},
	CodeResearcher: {codes.PermissionDenied, "does not list this researcher for the study"},
	CodeBudget:     {codes.ResourceExhausted, "has not enough privacy budget left for this; ask with a smaller epsilon"},
	CodeBusy:       {codes.Unavailable, "is busy; ask again in a while"},
	CodeTicket:     {codes.NotFound, "holds no such reservation: it was used before, ran out or was given back; ask again"},
	CodeStale:      {codes.Aborted, "got new data after the query was prepared, and charged nothing; ask again"},
	CodeData:       {codes.Unavailable, "has not yet verified its newest data against the catalog; ask again in a while"},
	CodeLedger:     {codes.Unavailable, "cannot write its privacy ledger, and so answers nothing"},
	CodeEngine:     {codes.Internal, "met a fault in its database; its own log tells more to its custodian"},
	CodeTimeout:    {codes.DeadlineExceeded, "did not finish in time"},
	CodeCanceled:   {codes.Canceled, "was told to stop"},
}

// Error returns the code, so errors.Is(err, CodeBudget) works.
func (c Code) Error() string { return string(c) }

// beforeToken reports whether the refusal comes before the researcher's token is verified.
func (c Code) beforeToken() bool {
	switch c {
	case CodePeer, CodeRequest, CodeSuspended, CodeRestored, CodeFailures, CodeStudy, CodeToken, CodeResearcher:
		return true
	}
	return false
}

// GRPCStatus is what the coordinator gets.
func (c Code) GRPCStatus() *status.Status {
	a := answers[c]
	return status.New(a.grpc, string(c)+": "+a.text)
}

// refusal is a code with its cause. The cause stays in this node unless told is set.
type refusal struct {
	Code
	cause error
	told  bool // the cause has only names of the catalog and the study, so the coordinator gets it too
	// recorded: the ledger already has the refusal as the end of a charged execution.
	recorded bool
}

func refuse(c Code, cause error) *refusal { return &refusal{Code: c, cause: cause} }

// GRPCStatus is what the coordinator gets.
func (r *refusal) GRPCStatus() *status.Status {
	s := r.Code.GRPCStatus()
	if !r.told {
		return s
	}
	return status.New(s.Code(), s.Message()+": "+r.cause.Error())
}

// Error writes the code and the cause, for the node's own log.
func (r *refusal) Error() string {
	if r.cause == nil {
		return string(r.Code)
	}
	return string(r.Code) + ": " + r.cause.Error()
}

// Unwrap returns the code and the cause.
func (r *refusal) Unwrap() []error {
	if r.cause == nil {
		return []error{r.Code}
	}
	return []error{r.Code, r.cause}
}
