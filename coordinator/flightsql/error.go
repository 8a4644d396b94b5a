package flightsql

import (
	"errors"
	"log/slog"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/intramuros/intramuros/coordinator"
)

// errorDomain is the domain in the details of every error.
const errorDomain = "intramuros"

// statusOf writes an error in the form that Flight clients read: code, position, message and hint in the text, and
// again in an ErrorInfo for programs.
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
	s := status.New(e.Code.Protocols().GRPC, e.Error())
	if detailed, err := s.WithDetails(&errdetails.ErrorInfo{Reason: string(e.Code), Domain: errorDomain, Metadata: facts}); err == nil {
		s = detailed
	}
	return s.Err()
}

// fail is statusOf for any error. An error that is not for the researcher goes to the log.
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
