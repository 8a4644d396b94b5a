package study

import (
	"fmt"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
)

// What a coordinator and a node tell each other about studies and ledgers.

// ActionExchange is the name of the action, whose body is an Offer and whose answer a State.
const ActionExchange = "exchange"

// ActionCharges is the name of the action by which a coordinator that lost a part of its ledger asks what a node has
// charged. Its body is a ChargesAfter, its answer Charges. All of it was the coordinator's to know when it asked.
const ActionCharges = "charges"

// ChargesAfter asks for the charges in a node's ledger after an entry.
type ChargesAfter struct {
	Entry int64 `json:"entry"` // 0: from the beginning
}

// Charges are some of a node's charges, in order.
type Charges struct {
	Charges []Paid `json:"charges"`
	Next    int64  `json:"next"` // the entry after which there are more; 0: there are none
}

// Paid is what a node charged for a query. Not when: its time tells how long others' queries computed.
type Paid struct {
	Study      string  `json:"study"`
	Researcher string  `json:"researcher"`
	Query      string  `json:"query"`
	Loss       dp.Loss `json:"loss"`
}

// The gRPC metadata that carry checkpoints beside a query, as JSON.
const (
	// MetadataKnown, with prepare: the latest checkpoint of the node that the coordinator keeps.
	MetadataKnown = "intramuros-known-bin"
	// MetadataCheckpoint, with execute: the coordinator's, after its own charge; and in the
	// trailer of the answer the node's, after its charge.
	MetadataCheckpoint = "intramuros-checkpoint-bin"
)

// Offer is what the coordinator tells a node.
type Offer struct {
	Proposals  []*Record          `json:"proposals"`
	Known      *ledger.Checkpoint `json:"known,omitempty"` // of the node, as the coordinator keeps it
	Checkpoint *ledger.Checkpoint `json:"checkpoint"`      // the coordinator's own
}

// Terms are what a node allows a study that is open there; all of it is public in the federation.
type Terms struct {
	Budget     dp.Budget `json:"budget"`      // of the study, as it was approved there
	Whole      dp.Budget `json:"whole"`       // of the hospital, over all studies
	MaxEpsilon float64   `json:"max_epsilon"` // of one query
	MinEpsilon float64   `json:"min_epsilon"` // the least price of a release
	Expires    time.Time `json:"expires"`
	// What may be read there, as in Document, and how many rows and groups of a patient a query may count in full; an
	// older node says none of it.
	Tables     map[string][]string `json:"tables,omitempty"`
	Aggregates []Aggregate         `json:"aggregates,omitempty"`
	MaxRows    int                 `json:"max_rows,omitempty"`
	MaxGroups  int                 `json:"max_groups,omitempty"`
}

// State is what a node answers.
type State struct {
	Terms      map[string]Terms   `json:"terms,omitempty"` // of the studies that are open; an older node says none
	Studies    map[string]Status  `json:"studies"`
	Known      *ledger.Checkpoint `json:"known,omitempty"`   // of the coordinator, as the node keeps it
	Checkpoint *ledger.Checkpoint `json:"checkpoint"`        // the node's own
	Program    string             `json:"program,omitempty"` // the node's release; an older node says none
}

// LoadKeys reads public keys: files, by the names of those whose keys they are.
func LoadKeys(files map[string]string) (Keys, error) {
	keys := Keys{}
	for name, file := range files {
		key, err := pki.LoadPublicKey(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		keys[name] = key
	}
	return keys, nil
}
