package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/ledger"
)

// recordPolicy writes into the ledger what the custodian allows, if that is not
// what was recorded last: every charge stands below the policy that let it pass.
func recordPolicy(ctx context.Context, book *ledger.Ledger, c Config, digest string) error {
	type study struct {
		Budget      dp.Budget `json:"budget"`
		MaxEpsilon  float64   `json:"max_epsilon"`
		Researchers []string  `json:"researchers"`
		Expires     time.Time `json:"expires"`
	}
	all := struct {
		Catalog   string           `json:"catalog"`
		Budget    dp.Budget        `json:"budget"`
		MaxGroups int              `json:"max_groups"`
		MaxRows   int              `json:"max_rows"`
		Studies   map[string]study `json:"studies"`
	}{digest, c.Budget, c.Limits.MaxGroups, c.Limits.MaxRows, map[string]study{}}
	for name, s := range c.Studies {
		all.Studies[name] = study{s.Budget, s.MaxEpsilon, s.Researchers, s.Expires.UTC()}
	}
	now, err := json.Marshal(all)
	if err != nil {
		return err
	}
	var last json.RawMessage
	if err := book.Entries(ctx, 1, func(e ledger.Entry) error {
		if e.Kind == ledger.KindConfig {
			last = e.Detail
		}
		return nil
	}); err != nil {
		return err
	}
	if bytes.Equal(now, last) {
		return nil
	}
	text := fmt.Sprintf("The policy is now: epsilon %g over all studies; no study is open.", c.Budget.Epsilon)
	if len(c.Studies) > 0 {
		text = fmt.Sprintf("The policy is now: epsilon %g over all studies; open are %s.", c.Budget.Epsilon, strings.Join(slices.Sorted(maps.Keys(c.Studies)), ", "))
	}
	return book.Record(ctx, ledger.Entry{Kind: ledger.KindConfig, Text: text, Detail: now})
}
