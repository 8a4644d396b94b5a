package node

import (
	"context"
	"time"

	"github.com/intramuros/intramuros/dp"
)

// Description is a node's answer to describe. All of it is public in the federation.
type Description struct {
	Name        string                  `json:"name"`
	Engine      string                  `json:"engine"`
	Catalog     string                  `json:"catalog"` // digest
	DataVersion string                  `json:"data_version"`
	Wire        []int                   `json:"w"`       // the lowest and the highest version of requests that it reads
	Budget      dp.Remaining            `json:"budget"`  // left over all studies
	Studies     map[string]StudyBalance `json:"studies"` // the open studies
}

// StudyBalance is what a study may still spend at one node, without what is reserved.
type StudyBalance struct {
	Budget    dp.Budget    `json:"budget"`
	Remaining dp.Remaining `json:"remaining"`
	Expires   time.Time    `json:"expires"`
}

func (s *service) describe(ctx context.Context) (*Description, error) {
	version, err := s.version(ctx)
	if err != nil {
		return nil, err
	}
	d := &Description{Name: s.name, Engine: s.kind, Catalog: s.digest, DataVersion: version, Wire: speaks.Numbers(), Studies: map[string]StudyBalance{}}
	if d.Budget, err = s.left(ctx, scopeNode, s.budget); err != nil {
		return nil, err
	}
	for _, open := range s.studies.All() {
		if !open.Open(s.now()) {
			continue
		}
		left, err := s.left(ctx, scopeStudy(open.ID), open.Approved.Budget)
		if err != nil {
			return nil, err
		}
		d.Studies[open.ID] = StudyBalance{Budget: open.Approved.Budget, Remaining: left, Expires: open.Approved.Expires}
	}
	return d, nil
}

func (s *service) left(ctx context.Context, scope string, b dp.Budget) (dp.Remaining, error) {
	charged, reserved, err := s.ledger.Spent(ctx, scope)
	if err != nil {
		return dp.Remaining{}, refuse(CodeLedger, err)
	}
	spent, err := charged.Plus(reserved)
	if err != nil {
		return dp.Remaining{}, refuse(CodeLedger, err)
	}
	return b.Remaining(spent), nil
}
