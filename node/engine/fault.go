package engine

import (
	"context"
	"errors"
)

// ErrDatabase means that the database could not answer. Its own message may quote
// values, so that it is not part of the text; errors.Unwrap gives it.
var ErrDatabase = errors.New("the database could not answer; this hospital's custodian may find the cause in free memory, disk space, rights, or tables that changed")

// Fault is a failure of the database. errors.Is(err, ErrDatabase) holds for it.
type Fault struct {
	class string
	cause error
}

// NewFault hides the cause of an error, unless it is that ctx ended. class names
// what happened, in words of our own.
func NewFault(ctx context.Context, class string, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &Fault{class, cause}
}

// Class names what happened, in words that quote no value.
func (f *Fault) Class() string { return f.class }

// Error is the text of ErrDatabase.
func (f *Fault) Error() string { return ErrDatabase.Error() }

// Is reports whether target is ErrDatabase.
func (f *Fault) Is(target error) bool { return target == ErrDatabase }

// Unwrap gives the database's own error, which may quote values.
func (f *Fault) Unwrap() error { return f.cause }
