package httpapi

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/tabular"
	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Request is the body of query and explain.
type Request struct {
	SQL string `json:"sql"`
	coordinator.Settings
	// StoredOnly accepts only an answer that costs nothing.
	StoredOnly bool `json:"stored_only,omitempty"`
	// Parameters are the values of ? and $1, by number, and of :name, by name.
	Parameters map[string]Parameter `json:"parameters,omitempty"`
}

// ProfileRequest is the body of profile.
type ProfileRequest struct {
	Study  string   `json:"study"`
	Tables []string `json:"tables,omitempty"` // absent: all that the study may read
	Share  float64  `json:"share,omitempty"`  // of the study's budget; absent: 0.02
	Again  bool     `json:"again,omitempty"`
}

// Profiles is the answer of profile.
type Profiles struct {
	Profiles []coordinator.Profile `json:"profiles"`
	Lines    []string              `json:"lines"` // the same in words, one line for each profile
}

// Parameter is the value of a parameter: in JSON a number, a text (also for dates), a
// boolean or null.
type Parameter struct{ value.Value }

// MarshalJSON writes the value as JSON.
func (p Parameter) MarshalJSON() ([]byte, error) {
	switch {
	case p.IsNull():
		return []byte("null"), nil
	case p.Type() == value.TypeText:
		return json.Marshal(p.Str())
	}
	return []byte(p.String()), nil
}

// UnmarshalJSON reads a number, a text, a boolean, null or a list of these.
func (p *Parameter) UnmarshalJSON(b []byte) error {
	var text string
	var list []Parameter
	switch {
	case string(b) == "null":
		p.Value = value.Null(value.TypeText)
	case string(b) == "true", string(b) == "false":
		p.Value = value.Bool(string(b) == "true")
	case json.Unmarshal(b, &text) == nil:
		p.Value = value.Text(text)
	case json.Unmarshal(b, &list) == nil: // for = ANY (…)
		var values []value.Value
		for _, of := range list {
			values = append(values, of.Value)
		}
		p.Value = syntax.Array(values)
	default:
		v, err := value.Parse(value.TypeInt, string(b))
		if err != nil {
			v, err = value.Parse(value.TypeFloat, string(b))
		}
		if err != nil {
			return errors.New("a parameter is a number, a text, a boolean, null or a list of such")
		}
		p.Value = v
	}
	return nil
}

func (r Request) plain() coordinator.Request {
	var parameters map[string]value.Value
	if len(r.Parameters) > 0 {
		parameters = map[string]value.Value{}
	}
	for name, p := range r.Parameters {
		parameters[name] = p.Value
	}
	return coordinator.Request{SQL: r.SQL, Settings: r.Settings, Parameters: parameters, StoredOnly: r.StoredOnly}
}

// Answer is the answer to a query.
type Answer struct {
	Columns []Column `json:"columns"`
	Rows    [][]Cell `json:"rows"`
	Facts
}

// Facts are what an answer says beside its rows.
type Facts = tabular.Facts

// Cost is coordinator.Cost.
type Cost = tabular.Cost

// Column describes a column of an answer.
type Column struct {
	Name string     `json:"name"`
	Type value.Type `json:"type"`
	// Noisy: the column's values are objects {value, low, high}; else plain values.
	Noisy bool `json:"noisy"`
}

// Cell is one value: plain JSON (null, true, 42, 4.2, "text", "2026-01-31"; whole numbers beyond 2^53 as text), or in a
// noisy column {"value": 41, "low": 38, "high": 44}, where low and high are null if
// the interval has no end there or the value is no number.
type Cell struct {
	Noisy            bool
	Value, Low, High any // nil, bool, json.Number, string
}

// MarshalJSON writes the wire form.
func (c Cell) MarshalJSON() ([]byte, error) {
	if !c.Noisy {
		return json.Marshal(c.Value)
	}
	return json.Marshal(noisyCell{c.Value, c.Low, c.High})
}

type noisyCell struct {
	Value any `json:"value"`
	Low   any `json:"low"`
	High  any `json:"high"`
}

// UnmarshalJSON reads the wire form; numbers become json.Number.
func (c *Cell) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return decodeNumber(b, &c.Value)
	}
	var n noisyCell
	if err := decodeNumber(b, &n); err != nil {
		return err
	}
	*c = Cell{Noisy: true, Value: n.Value, Low: n.Low, High: n.High}
	return nil
}

// Explanation is what a query would do and cost.
type Explanation struct {
	Plan       string       `json:"plan"`
	Cost       Cost         `json:"cost"`
	MinEpsilon float64      `json:"min_epsilon"` // the least price of a release in this study
	Allowed    bool         `json:"allowed"`     // the budgets suffice
	Stored     bool         `json:"stored"`      // the answer is stored and costs nothing
	Public     bool         `json:"public"`      // only public tables are read, which costs nothing
	Remaining  dp.Remaining `json:"remaining"`
	Researcher *Balance     `json:"researcher"` // the researcher's own limit over all studies; null if none
	Confidence float64      `json:"confidence"`
	Expected   []Expected   `json:"expected"`
	SQL        []EngineSQL  `json:"sql"`
	// Keys are those of the hospitals that would mask, as this coordinator relays them.
	Keys     []coordinator.HospitalKey `json:"keys"`
	Problems []coordinator.Absence     `json:"problems"`
	Warnings []string                  `json:"warnings"` // what the answer would say, as far as it is known
}

// Outline is what can be said about a query without asking a hospital.
type Outline struct {
	Columns    []Column              `json:"columns"`
	Cost       Cost                  `json:"cost"`
	Confidence float64               `json:"confidence"`
	Expected   []Expected            `json:"expected"`
	Stored     bool                  `json:"stored"`
	Public     bool                  `json:"public"`
	Away       []coordinator.Absence `json:"away"`
	Warnings   []string              `json:"warnings"`
}

// Paid is what an answer cost, for forms that hold only rows.
type Paid struct {
	Study     string       `json:"study"`
	Stored    bool         `json:"stored"`
	Public    bool         `json:"public"` // only public tables were read, which costs nothing
	Cost      Cost         `json:"cost"`
	Remaining dp.Remaining `json:"remaining"`
}

// Me is the owner of the token.
type Me struct {
	Researcher string   `json:"researcher"`
	Federation string   `json:"federation"`
	Studies    []string `json:"studies"`
	// Roles are researcher, custodian, operator.
	Roles []identity.Role `json:"roles"`
}

// Spending is the history of a study's budget, oldest first.
type Spending struct {
	Charges []Charge `json:"charges"`
}

// Charge is coordinator.Spent.
type Charge struct {
	Time       time.Time    `json:"time"`
	Query      string       `json:"query"`
	Researcher string       `json:"researcher"`
	Epsilon    float64      `json:"epsilon"`
	Remaining  dp.Remaining `json:"remaining"`
}

// EngineSQL is what an engine would run, and where.
type EngineSQL struct {
	Engine    string   `json:"engine"`
	SQL       string   `json:"sql"`
	Hospitals []string `json:"hospitals"`
}

// Budget is the state of a study's budget.
type Budget struct {
	Study      string       `json:"study"`
	Budget     dp.Budget    `json:"budget"`
	Remaining  dp.Remaining `json:"remaining"`
	At         string       `json:"at"`         // the hospital whose budget it is; empty for the study's own
	Researcher *Balance     `json:"researcher"` // the researcher's own limit over all studies; null if none
	MaxEpsilon float64      `json:"max_epsilon"`
	MinEpsilon float64      `json:"min_epsilon"`
	Expires    string       `json:"expires"`
	Sealed     bool         `json:"sealed"` // each hospital covers its own numbers before they leave
}

// Balance is a budget and what is left of it.
type Balance struct {
	Budget    dp.Budget    `json:"budget"`
	Remaining dp.Remaining `json:"remaining"`
}

// Federation lists the hospitals and which of them are present.
type Federation struct {
	Federation string     `json:"federation"`
	Ready      bool       `json:"ready"`
	Required   int        `json:"required"`
	Hospitals  []Hospital `json:"hospitals"`
	// Certificates of the coordinator that end within 30 days, or have ended.
	Certificates []Certificate `json:"certificates"`
}

// Certificate says until when one of the coordinator's certificates is valid.
type Certificate struct {
	What string    `json:"what"` // https, nodes or authority
	Ends time.Time `json:"ends"`
}

// Hospital is one expected hospital.
type Hospital struct {
	Name        string `json:"name"`
	Present     bool   `json:"present"`
	DataVersion string `json:"data_version"`
	Code        string `json:"code"` // why it is absent, also in Why as words
	Why         string `json:"why"`
}

// Catalog is the federation's data dictionary.
type Catalog struct {
	Name        string  `json:"name"`
	Description string  `json:"description"`
	Digest      string  `json:"digest"`
	MaxSites    int     `json:"max_sites"` // 0: every hospital that is asked
	MaxGroups   int     `json:"max_groups"`
	MaxRows     int     `json:"max_rows"`
	Hospital    bool    `json:"hospital_column"`
	Tables      []Table `json:"tables"`
}

// Table is one table of the catalog.
type Table struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Public      bool            `json:"public"`
	Patient     string          `json:"patient"`
	OneRow      bool            `json:"one_row_per_patient"`
	Columns     []CatalogColumn `json:"columns"`
}

// CatalogColumn is one column of a table.
type CatalogColumn struct {
	Name        string     `json:"name"`
	Description string     `json:"description"`
	Type        value.Type `json:"type"`
	Nullable    bool       `json:"nullable"`
	Lower       any        `json:"lower"`
	Upper       any        `json:"upper"`
	Domain      []any      `json:"domain"`
	References  string     `json:"references"`
}

// Failure is the body of every refusal.
type Failure struct {
	Error Error `json:"error"`
}

// Error is a refusal for the researcher to read.
type Error struct {
	Code    coordinator.Code `json:"code"`
	Message string           `json:"message"`
	Hint    string           `json:"hint"`
	// of the SQL, from 1; 0: there is no position, also for the next fields
	Line      int                   `json:"line"`
	Column    int                   `json:"column"`
	Offset    int                   `json:"offset"` // bytes
	Length    int                   `json:"length"`
	Charged   bool                  `json:"charged"` // the study has paid although the query failed
	Hospitals []coordinator.Absence `json:"hospitals"`
}

// Event is one line of an NDJSON answer: progress lines, then one answer or error.
type Event struct {
	Event    string    `json:"event"` // progress, answer, error
	Progress *Progress `json:"progress,omitempty"`
	Answer   *Answer   `json:"answer,omitempty"`
	Error    *Error    `json:"error,omitempty"`
}

// Progress is a step of one hospital.
type Progress struct {
	Hospital string            `json:"hospital"`
	State    coordinator.State `json:"state"`
	Seconds  float64           `json:"seconds"` // from the query's start to when this is told
	Code     string            `json:"code"`    // why it failed, also in Why as words
	Why      string            `json:"why"`
}

// exact is the largest whole number that JavaScript, and other readers of JSON, read exactly. Larger ones are sent as
// texts. In noisy numbers the last digits are noise anyway.
const exact = 1 << 53

func newAnswer(study string, a *coordinator.Answer) *Answer {
	w := &Answer{Columns: []Column{}, Rows: make([][]Cell, 0, len(a.Rows)), Facts: tabular.NewFacts(study, a)}
	for _, c := range a.Columns {
		w.Columns = append(w.Columns, Column{c.Name, c.Type, c.Noisy})
	}
	for _, row := range a.Rows {
		cells := make([]Cell, len(row))
		for i, e := range row {
			cells[i] = Cell{Noisy: a.Columns[i].Noisy, Value: plain(e.Value), Low: plain(e.Low), High: plain(e.High)}
			if v := e.Value; !a.Columns[i].Noisy && v.Type() == value.TypeInt && !v.IsNull() && (v.Int64() > exact || v.Int64() < -exact) {
				cells[i].Value = v.String()
			}
		}
		w.Rows = append(w.Rows, cells)
	}
	return w
}

func newExplanation(e *coordinator.Explanation) *Explanation {
	w := &Explanation{
		Plan: e.Plan, Cost: Cost(e.Cost), MinEpsilon: e.MinEpsilon, Allowed: e.Allowed, Stored: e.Stored, Public: e.Public, Remaining: e.Remaining, Researcher: newBalance(e.Researcher), Confidence: e.Confidence,
		Expected: []Expected{}, SQL: []EngineSQL{}, Keys: list(e.Keys), Problems: list(e.Problems), Warnings: list(e.Warnings),
	}
	for _, x := range e.Expected {
		w.Expected = append(w.Expected, newExpected(x))
	}
	for _, s := range e.Engines {
		w.SQL = append(w.SQL, EngineSQL(s))
	}
	return w
}

func newOutline(o *coordinator.Outline) *Outline {
	w := &Outline{Columns: []Column{}, Cost: Cost(o.Cost), Confidence: o.Confidence, Expected: []Expected{}, Stored: o.Stored, Public: o.Public, Away: list(o.Away), Warnings: list(o.Warnings)}
	for _, c := range o.Columns {
		w.Columns = append(w.Columns, Column{c.Name, c.Type, c.Noisy})
	}
	for _, x := range o.Expected {
		w.Expected = append(w.Expected, newExpected(x))
	}
	return w
}

func newSpending(all []coordinator.Spent) Spending {
	w := Spending{Charges: []Charge{}}
	for _, s := range all {
		w.Charges = append(w.Charges, Charge(s))
	}
	return w
}

func newBudget(a *coordinator.Account) *Budget {
	return &Budget{
		Study: a.Study, Budget: a.Budget, Remaining: a.Remaining, At: a.At, Researcher: newBalance(a.Researcher), MaxEpsilon: a.MaxEpsilon, MinEpsilon: a.MinEpsilon, Expires: a.Expires, Sealed: a.Sealed,
	}
}

func newBalance(b *coordinator.Balance) *Balance {
	if b == nil {
		return nil
	}
	return &Balance{b.Budget, b.Remaining}
}

func newFederation(f coordinator.Federation) Federation {
	w := Federation{Federation: f.Name, Ready: f.Ready, Required: f.Required, Hospitals: []Hospital{}, Certificates: []Certificate{}}
	for _, t := range f.Certificates {
		w.Certificates = append(w.Certificates, Certificate{t.What, t.Ends})
	}
	for _, h := range f.Hospitals {
		x := Hospital{Name: h.Name, Present: h.Absent == nil, DataVersion: h.DataVersion}
		if h.Absent != nil {
			x.Code, x.Why = h.Absent.Code, h.Absent.Why
		}
		w.Hospitals = append(w.Hospitals, x)
	}
	return w
}

func newCatalog(c *catalog.Catalog) Catalog {
	w := Catalog{
		Name: c.Name, Description: c.Description, Digest: c.Digest(), MaxSites: c.MaxSites, MaxGroups: c.MaxGroups, MaxRows: c.MaxRows,
		Hospital: c.HospitalColumn, Tables: []Table{},
	}
	for _, t := range c.Tables {
		table := Table{Name: t.Name, Description: t.Description, Public: t.Public, Patient: t.Patient, OneRow: t.OneRowPerPatient, Columns: []CatalogColumn{}}
		for _, col := range t.Columns {
			x := CatalogColumn{
				Name: col.Name, Description: col.Description, Type: col.Type, Nullable: col.Nullable,
				Lower: plain(col.Lower), Upper: plain(col.Upper), References: col.References,
			}
			for _, v := range col.Domain {
				x.Domain = append(x.Domain, plain(v))
			}
			table.Columns = append(table.Columns, x)
		}
		w.Tables = append(w.Tables, table)
	}
	return w
}

func newError(e *coordinator.Error) Error {
	return Error{
		Code: e.Code, Message: e.Message, Hint: e.Hint, Line: e.Line, Column: e.Column, Offset: e.Offset, Length: e.Length,
		Charged: e.Charged, Hospitals: list(e.Hospitals),
	}
}

func newProgress(p coordinator.Progress) *Progress {
	w := &Progress{Hospital: p.Hospital, State: p.State, Seconds: p.Seconds}
	if p.Absent != nil {
		w.Code, w.Why = p.Absent.Code, p.Absent.Why
	}
	return w
}

// plain is a value in its JSON form.
func plain(v value.Value) any {
	switch {
	case !v.Valid() || v.IsNull():
		return nil
	case v.Type() == value.TypeBool:
		return v.True()
	case v.Type().Numeric():
		return json.Number(v.String())
	}
	return v.String()
}

// list turns nil into an empty JSON array.
func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
