package engine

import (
	"context"
	"errors"
)

// ErrDatabase means that the database could not answer. Its own message may quote
// values, so that it is not part of the text; errors.Unwrap gives it.
var ErrDatabase = errors.New("the database could not answer; this hospital's custodian may find the cause in free memory, disk space, rights, or tables that changed")

// ErrKilled means that a statement was ended by force: with the process in which it ran, or with its connection.
// The data may have decided it. Every such error is a *Fault, whose Reason says why.
var ErrKilled = errors.New("the database was made to stop")

// Reason is why a statement was ended by force.
type Reason string

// The reasons.
const (
	// ReasonMemory: it took more memory than one statement may have.
	ReasonMemory Reason = "memory"
	// ReasonDeadline: its time was over, and it did not end when it was told to. errors.Is finds
	// context.DeadlineExceeded too.
	ReasonDeadline Reason = "deadline"
	// ReasonCancelled: nobody waits for it any more, and it did not end when it was told to. errors.Is finds
	// context.Canceled too.
	ReasonCancelled Reason = "cancelled"
	// ReasonLost: the process that computed it went away by itself, or somebody ended it.
	ReasonLost Reason = "lost"
)

// Fault is a failure of the database. errors.Is(err, ErrDatabase) holds for it.
type Fault struct {
	class  string
	reason Reason
	cause  error
	table  bool // it is of the table that was read, and of no other
}

// NewFault hides the cause of an error, unless it is that ctx ended. class names
// what happened, in words of our own.
func NewFault(ctx context.Context, class string, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &Fault{class: class, cause: cause}
}

// NewTableFault is NewFault for what is wrong with the table that was read: others can be read.
func NewTableFault(ctx context.Context, class string, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &Fault{class: class, cause: cause, table: true}
}

// NewKilled is a fault of a statement that was ended by force. class says so in words of our own; cause is the
// context's error where the context ended.
func NewKilled(reason Reason, class string, cause error) error {
	return &Fault{class: class, reason: reason, cause: cause}
}

// Contradiction reports whether the data contradicts the catalog, or changed while it was read. What was verified of it
// then holds no more.
func (f *Fault) Contradiction() bool {
	return errors.Is(f.cause, errBroken) || errors.Is(f.cause, errChanged)
}

// Class names what happened, in words that quote no value.
func (f *Fault) Class() string { return f.class }

// Reason says why the statement was ended by force; empty where it failed otherwise.
func (f *Fault) Reason() Reason { return f.reason }

// Error is the text of ErrDatabase.
func (f *Fault) Error() string { return ErrDatabase.Error() }

// Is reports whether target is ErrDatabase, or ErrKilled and there is a Reason.
func (f *Fault) Is(target error) bool {
	return target == ErrDatabase || target == ErrKilled && f.reason != ""
}

// Unwrap gives the database's own error, which may quote values.
func (f *Fault) Unwrap() error { return f.cause }
