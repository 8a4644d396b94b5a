package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/dp"
)

// Difference is a query on which two ledgers disagree.
type Difference struct {
	Query string
	// Harmless: a charge for a query that did not run, so nothing is unpaid.
	Harmless bool
	What     string
}

// Reconcile compares what a hospital charged with what its coordinator charged, query by query. A node charges before
// it runs, and the coordinator charges before it asks. So a charge only at the coordinator belongs to a query that
// failed, and a charge only at the node belongs to a query that the coordinator did not pay for.
func Reconcile(ctx context.Context, node, coordinator *Ledger) ([]Difference, error) {
	hospital, ok := strings.CutPrefix(node.Owner(), "node ")
	if !ok || !strings.HasPrefix(coordinator.Owner(), "coordinator ") {
		return nil, fmt.Errorf("these are the ledgers of %q and %q; give a node's and its coordinator's", node.Owner(), coordinator.Owner())
	}
	here, err := charges(ctx, node, "")
	if err != nil {
		return nil, err
	}
	there, err := charges(ctx, coordinator, hospital)
	if err != nil {
		return nil, err
	}
	queries := map[string]bool{}
	for q := range here {
		queries[q] = true
	}
	for q := range there {
		queries[q] = true
	}
	var found []Difference
	for _, q := range slices.Sorted(maps.Keys(queries)) {
		n, c := here[q], there[q]
		switch {
		case len(n) > 1:
			found = append(found, Difference{q, false, fmt.Sprintf("%s ran it %d times: it was asked again under one id", hospital, len(n))})
		case len(c) == 0:
			found = append(found, Difference{q, false, fmt.Sprintf("%s ran it for %s under study %s, and the coordinator did not charge it", hospital, n[0].Researcher, n[0].Study)})
		case len(n) == 0:
			found = append(found, Difference{q, true, fmt.Sprintf("the coordinator charged it, and %s did not run it: it failed before", hospital)})
		case n[0].Study != c[0].Study || n[0].Researcher != c[0].Researcher:
			found = append(found, Difference{q, false, fmt.Sprintf("%s was told that %s asks under study %s, and the coordinator recorded %s under %s",
				hospital, n[0].Researcher, n[0].Study, c[0].Researcher, c[0].Study)})
		case n[0].Loss != c[0].Loss:
			found = append(found, Difference{q, false, fmt.Sprintf("%s charged %s, and the coordinator %s", hospital, lossOf(n[0].Loss), lossOf(c[0].Loss))})
		}
	}
	return found, nil
}

func lossOf(l dp.Loss) string { return cmp.Or(lossWords(KindCharge, l), "nothing") }

// charges returns a ledger's charges by query. If a hospital is given, it returns the charges that say that this
// hospital was asked.
func charges(ctx context.Context, l *Ledger, hospital string) (map[string][]Entry, error) {
	all := map[string][]Entry{}
	err := l.Entries(ctx, 1, func(e Entry) error {
		if e.Kind != KindCharge {
			return nil
		}
		if hospital != "" {
			var detail struct {
				Hospitals []string `json:"hospitals"`
			}
			if err := json.Unmarshal(e.Detail, &detail); err != nil || !slices.Contains(detail.Hospitals, hospital) {
				return err
			}
		}
		all[e.Query] = append(all[e.Query], e)
		return nil
	})
	return all, err
}
