package notify

import (
	"fmt"

	"github.com/intramuros/intramuros/dp"
)

// nearlySpent is the spent share of a budget from which on people are told.
const nearlySpent = 0.8

// BudgetNotices is the event for a budget of which a large share is spent; none for a smaller share. study is the id of
// the budget's study; empty means the hospital's budget, over all studies.
func (l Language) BudgetNotices(study string, spent float64, of dp.Budget) []Event {
	if spent < nearlySpent {
		return nil
	}
	subject := l.Say("%.0f %% of the budget of this hospital, over all studies, is spent", "%.0f %% du budget de cet hôpital, toutes études confondues, sont dépensés", 100*spent)
	if study != "" {
		subject = l.Say("%.0f %% of the budget of the study %s is spent", "%.0f %% du budget de l’étude %s sont dépensés", 100*spent, study)
	}
	return []Event{{
		Key: fmt.Sprintf("budget/%s/%g/%g", study, of.Epsilon, of.Delta), Kind: Budget, Study: study, Subject: subject,
		Text: l.Say("It is epsilon %s and delta %s (%s). What is left is all that can be released; queries that need more are refused.",
			"Il est d’epsilon %s et delta %s (%s). Seul le reste peut encore être publié ; une requête qui demande davantage est refusée.",
			l.Number(of.Epsilon), l.Number(of.Delta), of.Accounting),
	}}
}
