package coordinator

import (
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/notify"
	"github.com/intramuros/intramuros/internal/study"
)

// The operators are told about budgets that are nearly spent, hospitals that closed a study, and ledgers that lost a
// part.
func TestNotices(t *testing.T) {
	f := newFederation(t, nil)
	keys := func() (all []string) {
		t.Helper()
		events, err := f.notices(t.Context())
		must(t, err)
		for _, e := range events {
			if e.Kind != notify.Certificate {
				all = append(all, e.Key)
			}
			if e.Subject == "" || e.Text == "" || strings.ContainsAny(e.Subject, "\n") {
				t.Errorf("%+v", e)
			}
		}
		return all
	}
	if got := keys(); len(got) > 0 {
		t.Errorf("at first it tells %q", got)
	}
	s, _ := f.studies.Study("s")
	spend := func(share float64) {
		t.Helper()
		left := s.Approved.Budget.Remaining(dp.Loss{})
		loss := dp.Loss{Epsilon: 1, Rho: int64(share * left.Rho * 1e9)}
		if s.Approved.Budget.Accounting == dp.Pure {
			loss = dp.Loss{Epsilon: int64(share * left.Epsilon * 1e9)}
		}
		id, err := f.ledger.Reserve(t.Context(), ledger.Reservation{Study: "s", Researcher: "alice", Query: "00", Loss: loss,
			Caps: []ledger.Cap{{Scope: "study:s", Budget: s.Approved.Budget}}, Text: "Asked.", Expires: f.now().AddDate(1, 0, 0)})
		must(t, err)
		if got := keys(); len(got) > 0 && share < 0.5 {
			t.Errorf("of what is only reserved it tells %q", got)
		}
		must(t, f.ledger.Charge(t.Context(), id, nil))
	}
	spend(0.45)
	if got := keys(); len(got) > 0 {
		t.Errorf("of less than 80 %% it tells %q", got)
	}
	spend(0.4)
	f.custody.mu.Lock()
	f.custody.statuses["b"] = map[string]study.Status{"s": study.Suspended}
	f.custody.alarms["a"] = "has lost a part of its ledger"
	f.custody.mu.Unlock()
	if got := keys(); len(got) != 3 || !strings.HasPrefix(got[0], "budget/s/") || !slices.Equal(got[1:], []string{"ledger/a", "suspended/s/b"}) {
		t.Errorf("it tells %q", got)
	}
}
