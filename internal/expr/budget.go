package expr

// Budget is what is left of what may be spent on looking at fragments. combinations of values that are tried, and
// characters of the texts that these make, find domains: with none left, domains are not known. visits are of
// operations of expressions, each time that one is looked at: with none left, the fragment is refused.
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

// NewScopeBudget is what may be spent on expressions over the columns of one scope.
func NewScopeBudget() *Budget {
	return &Budget{combinations: maxCombinations, characters: maxCharacters, visits: maxVisits}
}

// Visit counts a look at one operation.
func (b *Budget) Visit() { b.visits-- }

// Left is how many visits are left; below 0, none.
func (b *Budget) Left() int { return b.visits }

// Spend counts visits at once.
func (b *Budget) Spend(visits int) { b.visits -= visits }

// Spent reports whether no visit is left.
func (b *Budget) Spent() bool { return b.visits < 0 }
