package study

import (
	"fmt"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
)

// A coordinator and a node exchange these messages about studies and ledgers.

// ActionExchange is the name of the action. Its body is an Offer, and its answer is a State.
const ActionExchange = "exchange"

// ActionCharges is the action by which a coordinator that lost a part of its ledger asks for a node's charges. Its body
// is a ChargesAfter, and its answer is Charges. The coordinator knew all of it when it asked its queries.
const ActionCharges = "charges"

// ChargesAfter asks for the charges in a node's ledger after an entry.
type ChargesAfter struct {
	Entry int64 `json:"entry"` // 0: from the beginning
}

// Charges are some of a node's charges, in order.
type Charges struct {
	Charges []Paid `json:"charges"`
	Next    int64  `json:"next"` // more charges come after this entry; 0: there are none
}

// Paid is a node's charge for a query. It leaves out the time, which would tell how long the queries of others took.
type Paid struct {
	Study      string  `json:"study"`
	Researcher string  `json:"researcher"`
	Query      string  `json:"query"`
	Loss       dp.Loss `json:"loss"`
}

// gRPC metadata with checkpoints, in JSON, beside a query.
const (
	// MetadataKnown comes with prepare: the latest checkpoint of the node that the coordinator keeps.
	MetadataKnown = "intramuros-known-bin"
	// MetadataCheckpoint comes with execute: the coordinator's checkpoint after its own charge. In the trailer of the
	// answer it is the node's checkpoint after its charge.
	MetadataCheckpoint = "intramuros-checkpoint-bin"
)

// Offer is the message of the coordinator to a node.
type Offer struct {
	Proposals  []*Record          `json:"proposals"`
	Known      *ledger.Checkpoint `json:"known,omitempty"` // of the node, as the coordinator keeps it
	Checkpoint *ledger.Checkpoint `json:"checkpoint"`      // the coordinator's own
}

// Terms are what a node allows for a study that is open there. All of it is public in the federation.
type Terms struct {
	Budget     dp.Budget `json:"budget"`      // of the study, as approved there
	Whole      dp.Budget `json:"whole"`       // of the hospital, over all studies
	MaxEpsilon float64   `json:"max_epsilon"` // of one query
	MinEpsilon float64   `json:"min_epsilon"` // the least price of a release
	Expires    time.Time `json:"expires"`
	// What may be read there, as in Document, and how many rows and groups of a patient a query may count in full. An
	// older node sends none of this.
	Tables     map[string][]string `json:"tables,omitempty"`
	Aggregates []Aggregate         `json:"aggregates,omitempty"`
	MaxRows    int                 `json:"max_rows,omitempty"`
	MaxGroups  int                 `json:"max_groups,omitempty"`
}

// State is the answer of a node.
type State struct {
	Terms      map[string]Terms   `json:"terms,omitempty"` // of the open studies; an older node sends none
	Studies    map[string]Status  `json:"studies"`
	Known      *ledger.Checkpoint `json:"known,omitempty"`   // of the coordinator, as the node keeps it
	Checkpoint *ledger.Checkpoint `json:"checkpoint"`        // the node's own
	Program    string             `json:"program,omitempty"` // the node's release; an older node sends none
}

// LoadKeys reads public keys from files, by the names of their owners.
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
