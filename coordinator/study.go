package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/planner"
)

// Request is a query as a researcher asks it.
type Request struct {
	SQL   string
	Study string
	// Epsilon and Delta are the privacy loss that the answer may cost; 0 takes the study's default.
	Epsilon, Delta float64
	// Accuracy, if not nil, asks for the smallest epsilon that is expected to reach it, up
	// to the study's cap for one query, in place of Epsilon. Its confidence is the answer's.
	Accuracy *planner.Accuracy
	// MaxGroups and MaxRows override the catalog's contribution limits where above 0.
	MaxGroups, MaxRows int
	// StoredOnly takes no answer but one that was given before, which costs nothing: another form of
	// it can be fetched without a risk to pay again because the data has changed meanwhile.
	StoredOnly bool
}

// maxSQL bounds a query's text, in bytes.
const maxSQL = 256 << 10

// admit checks that the researcher may ask this under the study, and fills in
// the study's defaults.
func (c *Coordinator) admit(who Researcher, req *Request) (Study, error) {
	study, err := c.study(who, req.Study)
	if err != nil {
		return Study{}, err
	}
	if !c.now().Before(study.Expires) {
		return Study{}, &Error{
			Code: CodeStudyExpired, Message: fmt.Sprintf("the study %s ended on %s", req.Study, study.Expires.Format("2006-01-02")),
			Hint: "ask the federation to extend it",
		}
	}
	if strings.TrimSpace(req.SQL) == "" || len(req.SQL) > maxSQL {
		return Study{}, &Error{Code: CodeInvalidRequest, Message: fmt.Sprintf("the query has %d bytes; give from 1 to %d", len(req.SQL), maxSQL)}
	}
	if req.MaxGroups < 0 || req.MaxRows < 0 {
		return Study{}, &Error{Code: CodeInvalidRequest, Message: "max_groups and max_rows cannot be below 0", Hint: "leave them out to take the catalog's"}
	}
	switch {
	case req.Accuracy == nil && req.Epsilon == 0:
		req.Epsilon = study.Epsilon
	case req.Accuracy != nil && req.Epsilon != 0:
		return Study{}, &Error{
			Code: CodeInvalidRequest, Message: "epsilon and accuracy are both given, and each decides the other",
			Hint: "give the one that you care about",
		}
	}
	if req.Delta == 0 {
		req.Delta = study.Delta
	}
	if !(req.Epsilon <= study.MaxEpsilon) {
		return Study{}, &Error{
			Code: CodeEpsilonTooLarge, Message: fmt.Sprintf("epsilon %g is above what one query of the study %s may cost, %g", req.Epsilon, req.Study, study.MaxEpsilon),
			Hint: fmt.Sprintf("ask with at most %g", study.MaxEpsilon),
		}
	}
	return study, nil
}

// study does not tell a study that does not exist from one of other people.
func (c *Coordinator) study(who Researcher, name string) (Study, error) {
	study, ok := c.config.Studies[name]
	if !ok || !slices.Contains(study.Researchers, who.Name) {
		hint := "you take part in no study; ask the federation"
		if mine := c.studiesOf(who); len(mine) > 0 {
			hint = "your studies: " + strings.Join(mine, ", ")
		}
		message := fmt.Sprintf("there is no study %q that you take part in", name)
		if name == "" {
			message = "no study is named"
		}
		return Study{}, &Error{Code: CodeStudyUnknown, Message: message, Hint: hint}
	}
	return study, nil
}

func (c *Coordinator) studiesOf(who Researcher) []string {
	var mine []string
	for name, s := range c.config.Studies {
		if slices.Contains(s.Researchers, who.Name) {
			mine = append(mine, name)
		}
	}
	slices.Sort(mine)
	return mine
}

// Account is the state of a study's budget, as this coordinator knows it.
type Account struct {
	Study      string
	Budget     dp.Budget
	Remaining  dp.Remaining
	Researcher *Balance // the researcher's own cap over all studies; nil: none
	MaxEpsilon float64  // of one query
	Expires    string   // RFC 3339
}

// Budget tells what is left of a study.
func (c *Coordinator) Budget(ctx context.Context, who Researcher, name string) (*Account, error) {
	study, err := c.study(who, name)
	if err != nil {
		return nil, err
	}
	left, err := c.balances(ctx, c.caps(who, name, study))
	if err != nil {
		return nil, internalError(err)
	}
	a := &Account{
		Study: name, Budget: left[0].Budget, Remaining: left[0].Remaining, MaxEpsilon: study.MaxEpsilon,
		Expires: study.Expires.Format("2006-01-02T15:04:05Z07:00"),
	}
	if len(left) > 1 {
		a.Researcher = &left[1]
	}
	return a, nil
}
