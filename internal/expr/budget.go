package expr

// Budget is the remaining work for analysing fragments. combinations of values, and characters of the texts computed
// from them, are spent on finding domains; without any left, domains are unknown. visits are spent on operations of
// expressions, each time an operation is examined; without any left, the fragment is refused.
type Budget struct {
	combinations, characters int
	visits                   int
}

// Limits of a Budget of one scope. A statement has many scopes, which share statementScopes times the combinations and
// characters.
const (
	maxCombinations = 200_000
	maxCharacters   = 8 << 20
	maxVisits       = 400_000

	statementScopes = 2
)

// NewBudget is the budget of one statement.
func NewBudget() *Budget {
	return &Budget{combinations: statementScopes * maxCombinations, characters: statementScopes * maxCharacters, visits: maxVisits}
}

// NewScopeBudget is the budget for expressions over the columns of one scope.
func NewScopeBudget() *Budget {
	return &Budget{combinations: maxCombinations, characters: maxCharacters, visits: maxVisits}
}

// Visit spends one visit.
func (b *Budget) Visit() { b.visits-- }

// Left is the number of remaining visits; it is negative if they are spent.
func (b *Budget) Left() int { return b.visits }

// Spend spends several visits.
func (b *Budget) Spend(visits int) { b.visits -= visits }

// Spent reports whether the visits are used up.
func (b *Budget) Spent() bool { return b.visits < 0 }
