package postgres

import (
	"errors"
	"log/slog"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
	"github.com/intramuros/intramuros/planner"
)

// stated is an error with a SQLSTATE of its own, for cases that the code does not distinguish.
type stated struct {
	err   *coordinator.Error
	state string
}

func (s *stated) Error() string { return s.err.Error() }
func (s *stated) Unwrap() error { return s.err }

// explained returns the error for the researcher. Everything else goes to the log.
func (c *conn) explained(err error) *coordinator.Error {
	var e *coordinator.Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, dictionary.ErrNotCovered):
		e = &coordinator.Error{Code: coordinator.Code(planner.CodeNotSupported), Message: err.Error()}
	default:
		c.server.log.Error("message ended by a fault", slog.Any("error", err))
		e = &coordinator.Error{Code: coordinator.CodeInternal, Message: "the coordinator met a fault of its own"}
	}
	return e
}

// fail writes an error. text is the whole text that the client sent, in which the
// statement begins at start.
func (c *conn) fail(err error, text string, start int) {
	e := c.explained(err)
	r := &pgproto3.ErrorResponse{
		Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: e.Code.Protocols().SQLState, Message: string(e.Code) + ": " + e.Message, Hint: e.Hint,
	}
	if e.Line > 0 {
		r.Position = int32(utf8.RuneCountInString(text[:min(start+e.Offset, len(text))]) + 1) //nolint:gosec // a message is at most 1 MiB
	}
	var own *stated
	if errors.As(err, &own) {
		r.Code = own.state
	}
	for _, h := range e.Hospitals {
		if r.Detail != "" {
			r.Detail += "\n"
		}
		r.Detail += h.Name + " " + h.Why + " (" + h.Code + ")"
	}
	if e.Charged {
		if r.Detail != "" {
			r.Detail += "\n"
		}
		r.Detail += "The study has paid for the query nonetheless."
	}
	c.backend.Send(r)
}
