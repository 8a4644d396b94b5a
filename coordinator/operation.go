package coordinator

import (
	"context"
	"time"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/telemetry"
)

// Operation is what operators see of the federation. It has nothing exact about patients, and shows nothing before
// researchers are told it. Like metrics, budgets do not change while a query of their study runs.
type Operation struct {
	Program      string // the version of this coordinator's program
	Wire         membership.Wire
	Certificates []pki.Term // of this coordinator
	Running      int        // queries whose answer has not left
	Ready        bool       // the required number of hospitals is present
	Required     int
	Hospitals    []Operated
	Studies      []OperatedStudy
}

// Operated is a hospital as operators see it.
type Operated struct {
	Name string
	// Absent says why it cannot be asked; nil if it can.
	Absent      *Absence
	DataVersion string
	Outward     bool            // it opens no port
	Wire        membership.Wire // versions of requests that it reads; zero if it is absent
	Program     string          // the version of its program; empty if it has not told, as older ones do not
	Certificate time.Time       // end of the certificate that it last showed; zero: none was seen
	Ledger      string          // what is wrong with its ledger; empty if nothing
	Met         time.Time       // when it last answered about its state; zero: not yet
}

// OperatedStudy is a study as operators see it.
type OperatedStudy struct {
	Standing
	// Left is the share of the study's budget that is left here, from 1 to 0. It is nil while a query of the study runs
	// and no earlier value was shown.
	Left *float64
}

// Operation returns the state of the federation, to operators only.
func (c *Coordinator) Operation(ctx context.Context, who Researcher) (*Operation, error) {
	if !who.Has(identity.RoleOperator) {
		return nil, &Error{Code: CodeNotOperator, Message: "only operators see how the federation is run", Hint: "`roles: [operator]` in coordinator.yaml makes one"}
	}
	f := c.Federation()
	o := &Operation{
		Program: telemetry.Running().Version, Wire: membership.Wire{Least: fragment.Oldest, Most: fragment.Version}, Certificates: c.terms(),
		Running: int(c.metrics.now.Load()), Ready: f.Ready, Required: f.Required,
	}
	ends := c.nodes.ends()
	for _, h := range f.Hospitals {
		w := Operated{Name: h.Name, Absent: h.Absent, DataVersion: h.DataVersion, Outward: h.outward, Wire: h.wire, Certificate: ends[h.Name]}
		c.custody.mu.Lock()
		w.Program, w.Ledger = c.custody.programs[h.Name], c.custody.alarms[h.Name]
		if e := c.custody.exchange[h.Name+h.address]; e.vain == 0 {
			w.Met = e.asked
		}
		c.custody.mu.Unlock()
		o.Hospitals = append(o.Hospitals, w)
	}
	for _, s := range c.Studies(who) {
		left, err := c.metrics.quiet(s.ID, func() (float64, error) {
			left, err := c.balances(ctx, c.caps(Researcher{}, s.ID, &s.Document))
			if err != nil {
				return 0, err
			}
			return 1 - left[0].Remaining.Spent, nil
		})
		if err != nil {
			return nil, internalError(err)
		}
		o.Studies = append(o.Studies, OperatedStudy{s, left})
	}
	return o, nil
}
