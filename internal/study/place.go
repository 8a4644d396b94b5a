package study

import (
	"encoding/json"
	"slices"

	"github.com/intramuros/intramuros/internal/ledger"
)

// Place is where a registry decides, and who may.
type Place struct {
	Federation string
	Hospital   string // empty: the coordinator, where proposals hold at once
	Operators  Keys   // may propose; at the coordinator, also approve, suspend and end
	Custodians Keys   // may approve, narrow, suspend, resume and end, at a hospital
	Required   int    // how many custodians must sign what opens a study; 0: one
	// Former are those of them who left: their keys are believed about what is recorded, and sign nothing new, under
	// whatever name.
	Former []string
}

// Left tells whether who decides under a name has left, by its key.
func (p Place) Left(custodian string) bool { return p.left(string(p.Custodians[custodian])) }

// left tells whether a key, as signer gives it, is of somebody who left.
func (p Place) left(key string) bool {
	return slices.ContainsFunc(p.Former, func(name string) bool {
		return name == key || key != "" && (string(p.Custodians[name]) == key || string(p.Operators[name]) == key)
	})
}

// signer is whose signature a record bears: the key, so that two names for one key are one custodian; the name for a
// reader without keys.
func (p Place) signer(r *Record) string {
	if key, ok := p.keys(r.Act)[r.By]; ok {
		return string(key)
	}
	return r.By
}

func (p Place) keys(a Act) Keys {
	if a == Propose || p.Hospital == "" {
		return p.Operators
	}
	return p.Custodians
}

// policy is what an entry about its daemon's policy tells of studies.
type policy struct {
	Custodians []string `json:"custodians"`
	Required   int      `json:"signatures_required"` // Place.Required; 0 where it is 1
	Former     []string `json:"former"`              // Place.Former
}

// policyOf is the policy from an entry of the ledger on; ok is false for one that is of something else.
func policyOf(e ledger.Entry) (p policy, ok bool) {
	if e.Kind != ledger.KindConfig || json.Unmarshal(e.Detail, &p) != nil || p.Custodians == nil {
		return policy{}, false
	}
	return p, true
}

// is checks that the record is of this place, and signed by one who may do so here.
func (r *Record) is(p Place) error {
	if r.Federation != p.Federation {
		return refuse("it is of federation %s", r.Federation)
	}
	if r.Act != Propose && r.Hospital != p.Hospital {
		return refuse("it is for %q", r.Hospital)
	}
	return r.verify(p.keys(r.Act))
}
