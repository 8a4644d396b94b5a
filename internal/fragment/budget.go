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

// Budget is what is left of what may be spent on finding domains: combinations of values that are tried, and bytes of the
// texts that these make. With nothing left, domains are not known.
type Budget struct {
	combinations, characters int
}

// Limits of a Budget: of one scope, and of a statement, whose many scopes share one.
const (
	maxCombinations = 200_000
	maxCharacters   = 8 << 20

	statementScopes = 2
)

// NewBudget is what one statement may spend.
func NewBudget() *Budget {
	return &Budget{combinations: statementScopes * maxCombinations, characters: statementScopes * maxCharacters}
}

func newBudget() *budget {
	return &budget{Budget: &Budget{combinations: maxCombinations, characters: maxCharacters}, texts: maxTexts}
}

// spendText counts a text that each row makes.
func (b *budget) spendText(e *Expr) error {
	if b.texts -= min(e.Longest(), MaxGrown); b.texts < 0 {
		return &Limit{Message: fmt.Sprintf("the texts that are computed for one row have more than %d characters in all", maxTexts), Hint: "compute fewer or shorter texts"}
	}
	return nil
}
