package fragment

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/expr"
)

// Limit is a fragment beyond one of the limits that all fragments have; it is ErrInvalid.
type Limit struct {
	Relation string // where it is of joins, the relation that is joined
	Message  string // what is too much
	Hint     string // what to write instead
}

// Error says what is too much and what to write instead.
func (l *Limit) Error() string { return ErrInvalid.Error() + ": " + l.Message + "; " + l.Hint }

// Is makes it ErrInvalid.
func (l *Limit) Is(target error) bool { return target == ErrInvalid }

// budget is what is left of what Check may spend on one fragment, with all relations within: a hostile one would ask for
// more than a machine has.
type budget struct {
	*expr.Budget
	// texts: see maxTexts.
	texts int
	// most tells of public tables; nil: nothing is known of them.
	most Multiplicity
	// capped: rows of a patient are cut somewhere, see Cap.
	capped bool
}

// maxTexts bounds the texts that a fragment computes for one row, all together: each counts with the most characters that it
// can have, and up to MaxGrown. An engine computes a few thousand rows at once, and keeps them all.
const maxTexts = 1 << 19

func newBudget() *budget {
	return &budget{Budget: expr.NewScopeBudget(), texts: maxTexts}
}

// over refuses what takes too long to look at: a relation is looked at again at each level above it, and where it is read
// many times.
func (b *budget) over() error {
	if !b.Spent() {
		return nil
	}
	return &Limit{Message: "its queries have too many operations, with those of the queries that they read each time that these are read", Hint: "ask it in several queries, or read a long query of WITH fewer times"}
}

// spendText counts a text that each row makes.
func (b *budget) spendText(e *expr.Expr) error {
	if b.texts -= min(e.Longest(), expr.MaxGrown); b.texts < 0 {
		return &Limit{Message: fmt.Sprintf("the texts that are computed for one row have more than %d characters in all", maxTexts), Hint: "compute fewer or shorter texts"}
	}
	return nil
}
