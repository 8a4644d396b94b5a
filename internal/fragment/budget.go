package fragment

import "fmt"

// budget is what is left of what Check may spend on one fragment, with all relations within: a hostile one would ask for
// more than a machine has.
type budget struct {
	// combinations of values that are tried to find domains, and bytes of the texts that these make. With nothing
	// left, domains are not known.
	combinations, characters int
	// texts: see maxTexts.
	texts int
}

const (
	maxCombinations = 200_000
	maxCharacters   = 8 << 20
)

func newBudget() *budget {
	return &budget{combinations: maxCombinations, characters: maxCharacters, texts: maxTexts}
}

// spendText counts a text that each row makes.
func (b *budget) spendText(e *Expr) error {
	if b.texts -= min(e.Longest(), MaxGrown); b.texts < 0 {
		return fmt.Errorf("%w: the texts that are computed for one row have more than %d characters in all", ErrInvalid, maxTexts)
	}
	return nil
}
