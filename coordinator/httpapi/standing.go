package httpapi

import (
	"time"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/study"
)

// Permits lists what each hospital of a study permits.
type Permits struct {
	Hospitals []Permit `json:"hospitals"`
}

// Permit is what one hospital permits.
type Permit struct {
	Hospital string       `json:"hospital"`
	Status   study.Status `json:"status"` // empty: it has not been met yet
	Terms    *Terms       `json:"terms"`  // null: the study is not open there
}

// Terms are the terms under which a study is open at a hospital.
type Terms struct {
	// the columns that may be read, "*": all that identify nobody; empty: not told
	Tables     map[string][]string `json:"tables"`
	Aggregates []study.Aggregate   `json:"aggregates"`
	Study      Balance             `json:"study"` // of the study at this hospital
	Whole      Balance             `json:"whole"` // of the hospital over all studies
	MaxEpsilon float64             `json:"max_epsilon"`
	MinEpsilon float64             `json:"min_epsilon"`
	MaxRows    int                 `json:"max_rows"` // of one patient in one query; 0: not told
	MaxGroups  int                 `json:"max_groups"`
	Expires    time.Time           `json:"expires"`
}

func newPermits(all []coordinator.Permit) Permits {
	out := Permits{Hospitals: []Permit{}}
	for _, p := range all {
		w := Permit{Hospital: p.Hospital, Status: p.Status}
		if t := p.Terms; t != nil && p.Left != nil && p.Whole != nil {
			w.Terms = &Terms{
				Tables: t.Tables, Aggregates: list(t.Aggregates), Study: Balance{t.Budget, *p.Left}, Whole: Balance{t.Whole, *p.Whole},
				MaxEpsilon: t.MaxEpsilon, MinEpsilon: t.MinEpsilon, MaxRows: t.MaxRows, MaxGroups: t.MaxGroups, Expires: t.Expires,
			}
			if w.Terms.Tables == nil {
				w.Terms.Tables = map[string][]string{}
			}
		}
		out.Hospitals = append(out.Hospitals, w)
	}
	return out
}

// Operation is the state of the federation, for its operators.
type Operation struct {
	Program      string           `json:"program"`
	Wire         Wire             `json:"wire"`
	Ready        bool             `json:"ready"`
	Required     int              `json:"required"`
	Running      int              `json:"running"` // queries whose answer has not left
	Certificates []Certificate    `json:"certificates"`
	Hospitals    []OperatedMember `json:"hospitals"`
	Studies      []OperatedStudy  `json:"studies"`
}

// Wire is the range of wire versions that a program reads or writes.
type Wire struct {
	Least int `json:"least"`
	Most  int `json:"most"`
}

// OperatedMember is a hospital.
type OperatedMember struct {
	Hospital
	Outward     bool       `json:"outward"`     // it opens no port
	Wire        *Wire      `json:"wire"`        // null if it is absent
	Program     string     `json:"program"`     // empty if unknown
	Certificate *time.Time `json:"certificate"` // end of the last certificate seen; null: none was seen
	Ledger      string     `json:"ledger"`      // what is wrong with it; empty if nothing
	Met         *time.Time `json:"met"`         // when it last told its state; null: not yet
}

// OperatedStudy is a study.
type OperatedStudy struct {
	Study   string       `json:"study"`
	Title   string       `json:"title"`
	Version int          `json:"version"`
	Status  study.Status `json:"status"`
	Sealed  bool         `json:"sealed"`
	Budget  dp.Budget    `json:"budget"`
	// as a share; null while a query of it runs and no earlier value was shown
	Left      *float64                `json:"left"`
	Expires   time.Time               `json:"expires"`
	Hospitals map[string]study.Status `json:"hospitals"` // those that have been met
}

func newOperation(o *coordinator.Operation) Operation {
	out := Operation{
		Program: o.Program, Wire: Wire(o.Wire), Ready: o.Ready, Required: o.Required, Running: o.Running,
		Certificates: []Certificate{}, Hospitals: []OperatedMember{}, Studies: []OperatedStudy{},
	}
	for _, t := range o.Certificates {
		out.Certificates = append(out.Certificates, Certificate{t.What, t.Ends})
	}
	known := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		return &t
	}
	for _, h := range o.Hospitals {
		w := OperatedMember{
			Hospital: Hospital{Name: h.Name, Present: h.Absent == nil, DataVersion: h.DataVersion}, Outward: h.Outward, Program: h.Program,
			Certificate: known(h.Certificate), Ledger: h.Ledger, Met: known(h.Met),
		}
		if h.Absent != nil {
			w.Code, w.Why = h.Absent.Code, h.Absent.Why
		} else {
			wire := Wire(h.Wire)
			w.Wire = &wire
		}
		out.Hospitals = append(out.Hospitals, w)
	}
	for _, s := range o.Studies {
		out.Studies = append(out.Studies, OperatedStudy{s.ID, s.Title, s.Version, s.Status, s.Sealed, s.Budget, s.Left, s.Expires, s.Hospitals})
	}
	return out
}
