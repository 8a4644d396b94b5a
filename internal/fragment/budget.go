package fragment

import "fmt"

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
	*Budget
	// texts: see maxTexts.
	texts int
	// most tells of public tables; nil: nothing is known of them.
	most Multiplicity
	// capped: rows of a patient are cut somewhere, see Cap.
	capped bool
}

// Budget is what is left of what may be spent on looking at fragments. combinations of values that are tried, and
// characters of the texts that these make, find domains: with none left, domains are not known. visits are of operations
// of expressions, each time that one is looked at: with none left, the fragment is refused.
type Budget struct {
	combinations, characters int
	visits                   int
}

// Limits of a Budget: of one scope, and of a statement, whose many scopes share one.
const (
	maxCombinations = 200_000
	maxCharacters   = 8 << 20
	maxVisits       = 400_000

	statementScopes = 2
)

// NewBudget is what one statement may spend.
func NewBudget() *Budget {
	return &Budget{combinations: statementScopes * maxCombinations, characters: statementScopes * maxCharacters, visits: maxVisits}
}

func newBudget() *budget {
	return &budget{Budget: &Budget{combinations: maxCombinations, characters: maxCharacters, visits: maxVisits}, texts: maxTexts}
}

// over refuses what takes too long to look at: a relation is looked at again at each level above it, and where it is read
// many times.
func (b *Budget) over() error {
	if b.visits >= 0 {
		return nil
	}
	return &Limit{Message: "its queries have too many operations, with those of the queries that they read each time that these are read", Hint: "ask it in several queries, or read a long query of WITH fewer times"}
}

// spendText counts a text that each row makes.
func (b *budget) spendText(e *Expr) error {
	if b.texts -= min(e.Longest(), MaxGrown); b.texts < 0 {
		return &Limit{Message: fmt.Sprintf("the texts that are computed for one row have more than %d characters in all", maxTexts), Hint: "compute fewer or shorter texts"}
	}
	return nil
}
