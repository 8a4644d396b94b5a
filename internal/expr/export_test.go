package expr

// Names that only the tests of this package see.
const (
	MaxGrowth     = maxGrowth
	MaxCharacters = maxCharacters
)

var Written = bytesWritten

// CharactersLeft is the rest of the budget for texts.
func (i *RangeAnalysis) CharactersLeft() int { return i.left.characters }
