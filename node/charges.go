package node

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/study"
)

// chargesAtOnce is the number of charges in one answer. It keeps an answer well below the largest size of an action's
// result.
const chargesAtOnce = 2000

// charges tells a coordinator what was charged here after an entry.
func (s *service) charges(ctx context.Context, body []byte) (*study.Charges, error) {
	var after study.ChargesAfter
	if err := json.Unmarshal(body, &after); err != nil {
		return nil, refuse(CodeRequest, err)
	}
	page, full := &study.Charges{Charges: []study.Paid{}}, errors.New("the page is full")
	var last int64
	err := s.ledger.Entries(ctx, after.Entry+1, func(e ledger.Entry) error {
		if e.Kind != ledger.KindCharge {
			return nil
		}
		if len(page.Charges) == chargesAtOnce {
			page.Next = last
			return full
		}
		page.Charges = append(page.Charges, study.Paid{Study: e.Study, Researcher: e.Researcher, Query: e.Query, Loss: e.Loss})
		last = e.Sequence
		return nil
	})
	if err != nil && !errors.Is(err, full) {
		return nil, refuse(CodeLedger, err)
	}
	return page, nil
}
