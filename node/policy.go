package node

import (
	"bytes"
	"context"
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

// recordPolicy writes into the ledger what the configuration allows, if that is not
// what was recorded last: every charge stands below the policy that let it pass. What
// the studies allow is recorded with them.
func recordPolicy(ctx context.Context, book *ledger.Ledger, c Config, digest string) error {
	all := struct {
		Catalog       string    `json:"catalog"`
		Budget        dp.Budget `json:"budget"`
		Limits        Limits    `json:"limits"`
		Operators     []string  `json:"operators"`
		Custodians    []string  `json:"custodians"`
		LocalAccounts bool      `json:"local_accounts"`
		Issuers       []string  `json:"issuers"`
		Sealed        *sealing  `json:"sealed,omitempty"`
	}{digest, c.Budget, c.Limits, slices.Sorted(maps.Keys(c.Operators)), slices.Sorted(maps.Keys(c.Custodians)), c.LocalAccounts, []string{}, nil}
	peers, err := study.LoadKeys(c.Sealed.Peers)
	if err != nil {
		return fmt.Errorf("`sealed.peers`: %w", err)
	}
	if c.Sealed.Required || c.Sealed.Hospitals > 0 || len(peers) > 0 {
		all.Sealed = &sealing{c.Sealed.Required, c.Sealed.Hospitals, fingerprints(peers)}
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
		if _, hold := holdOf(e); e.Kind == ledger.KindConfig && !hold {
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

// sealing is what a policy says of covered and masked numbers; the peers by the fingerprints of their keys, which
// custodians compare by telephone.
type sealing struct {
	Required  bool              `json:"required"`
	Hospitals int               `json:"hospitals,omitempty"`
	Peers     map[string]string `json:"peers,omitempty"`
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

// recordData writes into the ledger that the data is in another state, if it is.
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
