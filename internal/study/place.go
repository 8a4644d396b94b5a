package study

import (
	"encoding/json"
	"slices"

	"github.com/intramuros/intramuros/internal/ledger"
)

// Place is where a registry decides, and the people who may decide there.
type Place struct {
	Federation string
	Hospital   string // empty: the coordinator, where proposals take effect at once
	Operators  Keys   // may propose; at the coordinator, also approve, suspend and end
	Custodians Keys   // may approve, narrow, suspend, resume and end, at a hospital
	Required   int    // how many custodians must sign an act that opens a study; 0: one
	// Former lists operators and custodians who left. Their keys still verify recorded acts, but sign nothing new,
	// under any name.
	Former []string
}

// Left reports whether the custodian of this name has left, judged by the key.
func (p Place) Left(custodian string) bool { return p.left(string(p.Custodians[custodian])) }

// left reports whether a key, as signer returns it, belongs to somebody who left.
func (p Place) left(key string) bool {
	return slices.ContainsFunc(p.Former, func(name string) bool {
		return name == key || key != "" && (string(p.Custodians[name]) == key || string(p.Operators[name]) == key)
	})
}

// signer identifies the signer of a record: by key, so that two names for one key are one custodian; or by name for a
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

// policy is the part of a ledger entry about the daemon's policy that concerns studies.
type policy struct {
	Custodians []string `json:"custodians"`
	Required   int      `json:"signatures_required"` // Place.Required; 0 means 1
	Former     []string `json:"former"`              // Place.Former
}

// policyOf is the policy in effect from a ledger entry on. ok is false if the entry is about something else.
func policyOf(e ledger.Entry) (p policy, ok bool) {
	if e.Kind != ledger.KindConfig || json.Unmarshal(e.Detail, &p) != nil || p.Custodians == nil {
		return policy{}, false
	}
	return p, true
}

// is checks that the record is for this place, and signed by a person who may do so here.
func (r *Record) is(p Place) error {
	if r.Federation != p.Federation {
		return refuse("it is of federation %s", r.Federation)
	}
	if r.Act != Propose && r.Hospital != p.Hospital {
		return refuse("it is for %q", r.Hospital)
	}
	return r.verify(p.keys(r.Act))
}
