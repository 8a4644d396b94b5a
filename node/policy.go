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
		Sealed        *Sealed   `json:"sealed,omitempty"`
	}{digest, c.Budget, c.Limits, slices.Sorted(maps.Keys(c.Operators)), slices.Sorted(maps.Keys(c.Custodians)), c.LocalAccounts, []string{}, nil}
	if c.Sealed != (Sealed{}) {
		all.Sealed = &c.Sealed
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
	if c.Sealed.Required {
		text += " Nothing leaves that this hospital has not covered with its own noise."
	}
	return book.Record(ctx, ledger.Entry{Kind: ledger.KindConfig, Text: text, Detail: now})
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
