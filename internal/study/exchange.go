package study

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
)

// What a coordinator and a node tell each other about studies and ledgers.

// ActionExchange is the name of the action, whose body is an Offer and whose answer a State.
const ActionExchange = "exchange"

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

// State is what a node answers.
type State struct {
	Studies    map[string]Status  `json:"studies"`
	Known      *ledger.Checkpoint `json:"known,omitempty"` // of the coordinator, as the node keeps it
	Checkpoint *ledger.Checkpoint `json:"checkpoint"`      // the node's own
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
