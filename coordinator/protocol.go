package coordinator

import (
	"net/http"

	"google.golang.org/grpc/codes"

	"github.com/intramuros/intramuros/planner"
)

// Protocols is a code as the doors' protocols express it.
type Protocols struct {
	HTTP     int        // status
	GRPC     codes.Code // Unavailable only if nothing was charged, because some clients then retry by themselves
	SQLState string     // of PostgreSQL
}

// statusClientClosed is nginx's status for a client that has disconnected.
const statusClientClosed = 499

// protocols has every code, of this package and of the planner.
var protocols = map[Code]Protocols{
	Code(planner.CodeSyntax):        {http.StatusBadRequest, codes.InvalidArgument, "42601"}, // syntax_error
	Code(planner.CodeNotSupported):  {http.StatusBadRequest, codes.InvalidArgument, "0A000"}, // feature_not_supported
	Code(planner.CodeRowLevel):      {http.StatusBadRequest, codes.InvalidArgument, "0A000"},
	Code(planner.CodeTable):         {http.StatusBadRequest, codes.InvalidArgument, "42P01"}, // undefined_table
	Code(planner.CodeColumn):        {http.StatusBadRequest, codes.InvalidArgument, "42703"}, // undefined_column
	Code(planner.CodeAmbiguous):     {http.StatusBadRequest, codes.InvalidArgument, "42702"}, // ambiguous_column
	Code(planner.CodeFunction):      {http.StatusBadRequest, codes.InvalidArgument, "42883"}, // undefined_function
	Code(planner.CodeType):          {http.StatusBadRequest, codes.InvalidArgument, "42804"}, // datatype_mismatch
	Code(planner.CodeNotGrouped):    {http.StatusBadRequest, codes.InvalidArgument, "42803"}, // grouping_error
	Code(planner.CodeMisplaced):     {http.StatusBadRequest, codes.InvalidArgument, "42803"},
	Code(planner.CodeBounds):        {http.StatusBadRequest, codes.InvalidArgument, "42000"}, // syntax_error_or_access_rule_violation
	Code(planner.CodePatientsMixed): {http.StatusBadRequest, codes.InvalidArgument, "42000"},
	Code(planner.CodeNested):        {http.StatusBadRequest, codes.InvalidArgument, "42000"},
	Code(planner.CodeNoPatient):     {http.StatusBadRequest, codes.InvalidArgument, "42000"},
	Code(planner.CodeTooLarge):      {http.StatusBadRequest, codes.InvalidArgument, "54000"}, // program_limit_exceeded
	Code(planner.CodeAccuracy):      {http.StatusBadRequest, codes.InvalidArgument, "22023"}, // invalid_parameter_value
	Code(planner.CodePrice):         {http.StatusBadRequest, codes.InvalidArgument, "22023"},
	Code(planner.CodeSealed):        {http.StatusBadRequest, codes.InvalidArgument, "0A000"},
	Code(planner.CodeParameter):     {http.StatusBadRequest, codes.InvalidArgument, "22023"},

	CodeUnauthorized:        {http.StatusUnauthorized, codes.Unauthenticated, "28P01"},   // invalid_password
	CodeIdentityUnavailable: {http.StatusServiceUnavailable, codes.Unavailable, "57P03"}, // cannot_connect_now
	CodeNotOperator:         {http.StatusForbidden, codes.PermissionDenied, "42501"},
	CodeStudyUnknown:        {http.StatusForbidden, codes.PermissionDenied, "42501"}, // insufficient_privilege
	CodeStudyClosed:         {http.StatusForbidden, codes.PermissionDenied, "42501"},
	CodeTooMany:             {http.StatusTooManyRequests, codes.ResourceExhausted, "53000"}, // insufficient_resources
	CodeLedgerRestored:      {http.StatusServiceUnavailable, codes.FailedPrecondition, "57P03"},
	CodeCertificateExpired:  {http.StatusServiceUnavailable, codes.FailedPrecondition, "57P03"},
	CodeStudyExpired:        {http.StatusForbidden, codes.PermissionDenied, "42501"},
	CodeEpsilonTooLarge:     {http.StatusForbidden, codes.PermissionDenied, "42501"},
	CodeBudgetExhausted:     {http.StatusForbidden, codes.ResourceExhausted, "53400"}, // configuration_limit_exceeded
	CodeHospitalMissing:     {http.StatusServiceUnavailable, codes.Unavailable, "57P03"},
	CodeHospitalRefused:     {http.StatusForbidden, codes.PermissionDenied, "42501"},
	CodeHospitalFailed:      {http.StatusBadGateway, codes.Internal, "58000"}, // system_error
	CodePublicDiffers:       {http.StatusConflict, codes.FailedPrecondition, "58000"},
	CodeNotStored:           {http.StatusNotFound, codes.NotFound, "42000"},
	CodeTimeout:             {http.StatusGatewayTimeout, codes.DeadlineExceeded, "57014"}, // query_canceled
	CodeCanceled:            {statusClientClosed, codes.Canceled, "57014"},
	CodeInvalidRequest:      {http.StatusBadRequest, codes.InvalidArgument, "22023"},
	CodeTooLong:             {http.StatusRequestEntityTooLarge, codes.InvalidArgument, "54000"},
	CodeInternal:            {http.StatusInternalServerError, codes.Internal, "XX000"}, // internal_error
}

// Protocols returns the code as the doors' protocols express it.
func (c Code) Protocols() Protocols {
	if p, ok := protocols[c]; ok {
		return p
	}
	return protocols[CodeInternal]
}
