package flightsql

import (
	"errors"
	"log/slog"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/intramuros/intramuros/coordinator"
)

// errorDomain stands in the details of every error.
const errorDomain = "intramuros"

// statusOf gives an error the form that Flight clients read: code, place, message and
// hint in the text, and again in an ErrorInfo for programs.
func statusOf(e *coordinator.Error) error {
	facts := map[string]string{"message": e.Message, "charged": strconv.FormatBool(e.Charged)}
	if e.Hint != "" {
		facts["hint"] = e.Hint
	}
	if e.Line > 0 {
		facts["line"], facts["column"] = strconv.Itoa(e.Line), strconv.Itoa(e.Column)
		facts["offset"], facts["length"] = strconv.Itoa(e.Offset), strconv.Itoa(e.Length)
	}
	for _, h := range e.Hospitals {
		facts["hospital."+h.Name] = h.Code + ": " + h.Why
	}
	s := status.New(codeOf(e.Code), e.Error())
	if detailed, err := s.WithDetails(&errdetails.ErrorInfo{Reason: string(e.Code), Domain: errorDomain, Metadata: facts}); err == nil {
		s = detailed
	}
	return s.Err()
}

// codeOf gives a code's gRPC code. Codes that are not here are the planner's: the query
// is at fault. Only what has cost nothing may be UNAVAILABLE, since some clients then
// try again by themselves.
func codeOf(code coordinator.Code) codes.Code {
	switch code {
	case coordinator.CodeUnauthorized:
		return codes.Unauthenticated
	case coordinator.CodeStudyUnknown, coordinator.CodeStudyClosed, coordinator.CodeStudyExpired, coordinator.CodeEpsilonTooLarge, coordinator.CodeHospitalRefused:
		return codes.PermissionDenied
	case coordinator.CodeBudgetExhausted, coordinator.CodeTooMany:
		return codes.ResourceExhausted
	case coordinator.CodeLedgerRestored:
		return codes.FailedPrecondition
	case coordinator.CodeNotStored:
		return codes.NotFound
	case coordinator.CodeHospitalMissing, coordinator.CodeIdentityUnavailable:
		return codes.Unavailable
	case coordinator.CodeTimeout:
		return codes.DeadlineExceeded
	case coordinator.CodeCanceled:
		return codes.Canceled
	case coordinator.CodeHospitalFailed, coordinator.CodeInternal:
		return codes.Internal
	}
	return codes.InvalidArgument
}

// fail is statusOf for any error; what is not for the researcher stays in the log.
func (d *door) fail(err error) error {
	var e *coordinator.Error
	if !errors.As(err, &e) {
		d.log.Error("call ended by a fault", slog.Any("error", err))
		e = &coordinator.Error{Code: coordinator.CodeInternal, Message: "the coordinator met a fault of its own"}
	}
	return statusOf(e)
}

func invalid(message, hint string) error {
	return statusOf(&coordinator.Error{Code: coordinator.CodeInvalidRequest, Message: message, Hint: hint})
}
