package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/value"
)

// Request is a query as a researcher asks it.
type Request struct {
	SQL string
	Settings
	// Parameters are the values of the SQL's parameters: of ? and $1 by their number, "1".
	Parameters map[string]value.Value
	// StoredOnly accepts only a stored answer, which costs nothing. So an answer can be fetched in another form without
	// the risk of paying again because the data changed.
	StoredOnly bool
}

// admit checks that the researcher may ask this under the study, and fills in the study's defaults.
func (c *Coordinator) admit(who Researcher, req *Request) (*study.Document, error) {
	s, err := c.study(who, req.Study)
	if err != nil {
		return nil, err
	}
	d := s.Approved
	switch {
	case !c.now().Before(d.Expires):
		return nil, &Error{
			Code: CodeStudyExpired, Message: fmt.Sprintf("the study %s ended on %s", req.Study, d.Expires.Format("2006-01-02")),
			Hint: "ask the federation to extend it",
		}
	case !s.Open(c.now()):
		return nil, &Error{
			Code: CodeStudyClosed, Message: fmt.Sprintf("the study %s is %s", req.Study, s.Status), Hint: "ask the federation why",
		}
	}
	if strings.TrimSpace(req.SQL) == "" {
		return nil, &Error{Code: CodeInvalidRequest, Message: "the query is empty", Hint: "write SELECT …"}
	}
	if req.MaxGroups < 0 || req.MaxRows < 0 {
		return nil, &Error{Code: CodeInvalidRequest, Message: "max_groups and max_rows cannot be below 0", Hint: "leave them out to take the catalog's"}
	}
	switch {
	case req.Accuracy == nil && req.Epsilon == 0:
		req.Epsilon = max(d.DefaultEpsilon, d.LeastEpsilon())
	case req.Accuracy != nil && req.Epsilon != 0:
		return nil, &Error{
			Code: CodeInvalidRequest, Message: "epsilon and accuracy are both given, and each decides the other",
			Hint: "give the one that you care about",
		}
	}
	if req.Delta == 0 {
		req.Delta = d.DefaultDelta
	}
	if !(req.Epsilon <= d.MaxEpsilon) {
		return nil, &Error{
			Code: CodeEpsilonTooLarge, Message: fmt.Sprintf("epsilon %g is above what one query of the study %s may cost, %g", req.Epsilon, req.Study, d.MaxEpsilon),
			Hint: fmt.Sprintf("ask with at most %g", d.MaxEpsilon),
		}
	}
	return d, nil
}

// takesPart reports whether somebody may ask under a study.
func takesPart(who Researcher, s study.Study) bool {
	return s.Approved != nil && who.Has(identity.RoleResearcher) && s.Approved.Admits(who.Name)
}

// study returns a study. The error is the same whether the study does not exist or belongs to other people.
func (c *Coordinator) study(who Researcher, name string) (study.Study, error) {
	s, ok := c.studies.Study(name)
	if !ok || !takesPart(who, s) {
		hint := "you take part in no study; ask the federation"
		if mine := c.studiesOf(who); len(mine) > 0 {
			hint = "your studies: " + strings.Join(mine, ", ")
		}
		message := fmt.Sprintf("there is no study %q that you take part in", name)
		if name == "" {
			message = "no study is named"
		}
		return study.Study{}, &Error{Code: CodeStudyUnknown, Message: message, Hint: hint}
	}
	return s, nil
}

func (c *Coordinator) studiesOf(who Researcher) []string {
	var mine []string
	for _, s := range c.studies.All() {
		if takesPart(who, s) {
			mine = append(mine, s.ID)
		}
	}
	return mine
}

// Standing is a study and its state at each of its hospitals.
type Standing struct {
	study.Document
	Status    study.Status
	Hospitals map[string]study.Status // those that have been met; "" if the study is not known there
}

// Studies lists the studies that somebody takes part in. Operators and custodians see all studies.
func (c *Coordinator) Studies(who Researcher) []Standing {
	var all []Standing
	for _, s := range c.studies.All() {
		if s.Approved == nil || !takesPart(who, s) && !who.Has(identity.RoleOperator) && !who.Has(identity.RoleCustodian) {
			continue
		}
		st := Standing{*s.Approved, s.Status, map[string]study.Status{}}
		c.custody.mu.Lock()
		for _, h := range c.config.Hospitals {
			if statuses, met := c.custody.statuses[h]; met && s.Approved.IncludesHospital(h) {
				st.Hospitals[h] = statuses[s.ID]
			}
		}
		c.custody.mu.Unlock()
		all = append(all, st)
	}
	return all
}

// Account is the state of a study's budget, as this coordinator knows it. If a hospital allows less than the study, it
// is that of the hospital with the least left.
type Account struct {
	Study      string
	Budget     dp.Budget
	Remaining  dp.Remaining
	At         string   // the hospital whose budget it is; empty for the study's own
	Researcher *Balance // the researcher's own limit over all studies; nil if none
	MaxEpsilon float64  // of one query
	MinEpsilon float64  // the least price of a release: that of Laplace noise with this epsilon
	Expires    string   // RFC 3339
	Sealed     bool     // each hospital covers its own numbers
	own        dp.Budget
	whole      bool // it is the hospital's budget over all studies
}

// Budget returns what is left of a study.
func (c *Coordinator) Budget(ctx context.Context, who Researcher, name string) (*Account, error) {
	s, err := c.study(who, name)
	if err != nil {
		return nil, err
	}
	left, err := c.balances(ctx, c.caps(who, name, s.Approved))
	if err != nil {
		return nil, internalError(err)
	}
	hospitals := slices.DeleteFunc(slices.Clone(c.config.Hospitals), func(h string) bool { return !s.Approved.IncludesHospital(h) })
	all, err := c.limits(ctx, name, left[0], hospitals)
	if err != nil {
		return nil, internalError(err)
	}
	least, most, floor, expires := narrowest(all), s.Approved.MaxEpsilon, s.Approved.LeastEpsilon(), s.Approved.Expires
	for _, h := range hospitals {
		if t := c.heldAt(h, name); t != nil {
			most, floor = min(most, t.MaxEpsilon), max(floor, t.MinEpsilon)
			if t.Expires.Before(expires) {
				expires = t.Expires
			}
		}
	}
	a := &Account{
		Study: name, Budget: least.Budget, Remaining: least.Remaining, At: least.hospital, MaxEpsilon: most, MinEpsilon: floor,
		Expires: expires.Format(time.RFC3339), own: left[0].Budget, whole: least.whole, Sealed: s.Approved.Sealed,
	}
	if len(left) > 1 {
		a.Researcher = &left[1]
	}
	return a, nil
}
