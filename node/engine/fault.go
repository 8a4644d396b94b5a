package engine

import (
	"context"
	"errors"
)

// ErrDatabase means that the database could not answer. The database's own message may quote values, so it is not in
// the text; errors.Unwrap returns it.
var ErrDatabase = errors.New("the database could not answer; this hospital's custodian may find the cause in free memory, disk space, rights, or tables that changed")

// ErrKilled means that a statement was ended by force: with its process or its connection. The data may have caused
// that. Every such error is a *Fault, whose Reason says why.
var ErrKilled = errors.New("the database was made to stop")

// Reason is why a statement was ended by force.
type Reason string

// The reasons.
const (
	// ReasonMemory: it took more memory than one statement may use.
	ReasonMemory Reason = "memory"
	// ReasonDeadline: its time was over, and it did not end when it was cancelled. errors.Is finds
	// context.DeadlineExceeded too.
	ReasonDeadline Reason = "deadline"
	// ReasonCancelled: nobody waits for it any more, and it did not end when it was cancelled. errors.Is finds
	// context.Canceled too.
	ReasonCancelled Reason = "cancelled"
	// ReasonLost: its process ended by itself, or somebody ended it.
	ReasonLost Reason = "lost"
)

// Fault is a failure of the database. errors.Is(err, ErrDatabase) is true for it.
type Fault struct {
	class  string
	reason Reason
	cause  error
	table  bool // it concerns only the table that was read
}

// NewFault hides the cause of an error, unless the cause is the end of ctx. class names what happened, in our own
// words.
func NewFault(ctx context.Context, class string, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &Fault{class: class, cause: cause}
}

// NewTableFault is NewFault for an error of the table that was read. Other tables can be read.
func NewTableFault(ctx context.Context, class string, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &Fault{class: class, cause: cause, table: true}
}

// NewKilled is the fault of a statement that was ended by force. class says so in our own words; cause is the context's
// error if the context ended.
func NewKilled(reason Reason, class string, cause error) error {
	return &Fault{class: class, reason: reason, cause: cause}
}

// Contradiction reports whether the data contradicts the catalog or changed while it was read. Then the earlier
// verification no longer holds.
func (f *Fault) Contradiction() bool {
	return errors.Is(f.cause, errBroken) || errors.Is(f.cause, errChanged)
}

// Class names what happened, without values.
func (f *Fault) Class() string { return f.class }

// Reason says why the statement was ended by force; empty if it failed in another way.
func (f *Fault) Reason() Reason { return f.reason }

// Error is the text of ErrDatabase.
func (f *Fault) Error() string { return ErrDatabase.Error() }

// Is reports whether target is ErrDatabase, or ErrKilled if there is a Reason.
func (f *Fault) Is(target error) bool {
	return target == ErrDatabase || target == ErrKilled && f.reason != ""
}

// Unwrap returns the database's own error, which may quote values.
func (f *Fault) Unwrap() error { return f.cause }
