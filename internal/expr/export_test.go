package expr

// What tests of this package see beside what all see.
const (
	MaxGrowth     = maxGrowth
	MaxCharacters = maxCharacters
)

var Written = written

// CharactersLeft is what is left of the budget for texts.
func (i *RangeAnalysis) CharactersLeft() int { return i.left.characters }
