package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
)

// recordPolicy writes into the ledger what the configuration allows, if that changed since the last record. So every
// charge stands after the policy that allowed it. Studies record their own terms.
func recordPolicy(ctx context.Context, book *ledger.Ledger, c Config, digest string, own ed25519.PublicKey, peers study.Keys) error {
	all := struct {
		Catalog       string    `json:"catalog"`
		Budget        dp.Budget `json:"budget"`
		Limits        Limits    `json:"limits"`
		Operators     []string  `json:"operators"`
		Custodians    []string  `json:"custodians"`
		LocalAccounts bool      `json:"local_accounts"`
		Issuers       []string  `json:"issuers"`
		Sealed        *sealing  `json:"sealed,omitempty"`
		Required      int       `json:"signatures_required,omitempty"` // the field that package study reads
		Former        []string  `json:"former,omitempty"`
	}{digest, c.Budget, c.Limits, c.present(c.Operators), c.present(c.Custodians), c.LocalAccounts, []string{}, nil, 0, slices.Sorted(slices.Values(c.Former))}
	if c.SignaturesRequired > 1 {
		all.Required = c.SignaturesRequired
	}
	if c.Sealed.Required || c.Sealed.Hospitals > 0 || len(peers) > 0 {
		all.Sealed = &sealing{c.Sealed.Required, c.Sealed.Hospitals, pki.Fingerprint(own), fingerprints(peers)}
	}
	for _, i := range c.Issuers {
		all.Issuers = append(all.Issuers, i.Issuer)
	}
	now, err := json.Marshal(all)
	if err != nil {
		return err
	}
	var last json.RawMessage
	if err := book.Entries(ctx, 1, func(e ledger.Entry) error {
		if _, _, hold := holdOf(e); e.Kind == ledger.KindConfig && !hold {
			last = e.Detail
		}
		return nil
	}); err != nil {
		return err
	}
	if bytes.Equal(now, last) {
		return nil
	}
	text := fmt.Sprintf("The policy is now: epsilon %g over all studies; %s may propose studies, %s decide about them.",
		c.Budget.Epsilon, list(all.Operators), list(all.Custodians))
	if all.Required > 0 {
		text += fmt.Sprintf(" What opens a study must be signed by %d of them.", all.Required)
	}
	if len(all.Former) > 0 {
		text += fmt.Sprintf(" %s left, and sign nothing more.", list(all.Former))
	}
	if all.Sealed != nil {
		text += fmt.Sprintf(" The key of this hospital, which others pin, is %s.", all.Sealed.Key)
	}
	if len(peers) > 0 {
		text += " It masks its numbers with those of"
		for i, name := range slices.Sorted(maps.Keys(peers)) {
			if i > 0 {
				text += ","
			}
			text += fmt.Sprintf(" %s (key %s)", name, all.Sealed.Peers[name])
		}
		text += "."
	}
	if c.Sealed.Required {
		text += " Nothing leaves that this hospital has not covered with its own noise."
	}
	return book.Record(ctx, ledger.Entry{Kind: ledger.KindConfig, Text: text, Detail: now})
}

// sealing is the policy on covered and masked numbers. It identifies this hospital and its peers by the fingerprints of
// their keys, which custodians compare by telephone.
type sealing struct {
	Required  bool              `json:"required"`
	Hospitals int               `json:"hospitals,omitempty"`
	Key       string            `json:"key"`
	Peers     map[string]string `json:"peers,omitempty"`
}

// loadPeers reads the keys in `sealed.peers`. No two may be equal: a hospital that can sign as two would count as two
// honest hospitals.
func loadPeers(c Config, own ed25519.PublicKey) (study.Keys, error) {
	peers, err := study.LoadKeys(c.Sealed.Peers)
	if err != nil {
		return nil, fmt.Errorf("`sealed.peers`: %w", err)
	}
	if _, itself := peers[c.Name]; itself {
		return nil, fmt.Errorf("`sealed.peers` has %s itself; list the other hospitals", c.Name)
	}
	whose := map[string]string{string(own): c.Name}
	for _, name := range slices.Sorted(maps.Keys(peers)) {
		key := string(peers[name])
		if other, twice := whose[key]; twice {
			return nil, fmt.Errorf("`sealed.peers` has for %s the key of %s; each hospital has its own", name, other)
		}
		whose[key] = name
	}
	return peers, nil
}

func fingerprints(keys study.Keys) map[string]string {
	prints := map[string]string{}
	for name, key := range keys {
		prints[name] = pki.Fingerprint(key)
	}
	return prints
}

func list(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}

// recordData writes into the ledger that the data has changed, if it has.
func recordData(ctx context.Context, book *ledger.Ledger, version string) error {
	now, err := json.Marshal(struct {
		DataVersion string `json:"data_version"`
	}{version})
	if err != nil {
		return err
	}
	var last json.RawMessage
	if err := book.Entries(ctx, 1, func(e ledger.Entry) error {
		if e.Kind == ledger.KindData {
			last = e.Detail
		}
		return nil
	}); err != nil {
		return err
	}
	if bytes.Equal(now, last) {
		return nil
	}
	return book.Record(ctx, ledger.Entry{Kind: ledger.KindData, Text: "The data is in a new state: " + version + ".", Detail: now})
}
