package notify

import (
	"fmt"

	"github.com/intramuros/intramuros/dp"
)

// nearlySpent is the share of a budget from which on people are told.
const nearlySpent = 0.8

// BudgetNotices tell that of a budget so large a share is spent that people should know; nothing, of a smaller one. whose
// names the budget in a sentence, study is the study's id or empty.
func BudgetNotices(whose, study string, spent float64, of dp.Budget) []Event {
	if spent < nearlySpent {
		return nil
	}
	return []Event{{
		Key: fmt.Sprintf("budget/%s/%g/%g", study, of.Epsilon, of.Delta), Kind: Budget, Study: study,
		Subject: fmt.Sprintf("%.0f %% of the budget of %s is spent", 100*spent, whose),
		Text: fmt.Sprintf("It is epsilon %g and delta %g (%s). What is left is all that can be released; queries that need more are refused.",
			of.Epsilon, of.Delta, of.Accounting),
	}}
}
