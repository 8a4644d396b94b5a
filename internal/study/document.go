package study

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/identity"
)

// Aggregate is a kind of aggregate that a study may ask for.
type Aggregate string

// The aggregates. Averages, variances and correlations are computed from sums. Medians, quantiles, extremes and
// histograms are computed from distributions.
const (
	Count        Aggregate = "count"
	Sum          Aggregate = "sum"
	Distribution Aggregate = "distribution"
)

// Any stands for every investigator, or for all columns of a table except identifying ones: its key, its patient, and
// columns that refer to another table's key.
const Any = "*"

// Document says what a study is and what it may do. docs/study.yaml explains each key.
type Document struct {
	ID         string `yaml:"id" json:"id"`
	Version    int    `yaml:"version" json:"version"` // of the proposal; each is greater than the previous one
	Title      string `yaml:"title" json:"title"`
	Purpose    string `yaml:"purpose" json:"purpose"`
	LegalBasis string `yaml:"legal_basis" json:"legal_basis"` // such as an ethics committee's reference
	// Investigators may ask. Their names are those that identity providers give them; "*" means all researchers.
	Investigators []string `yaml:"investigators" json:"investigators"`
	// Hospitals that are asked; empty means all.
	Hospitals []string `yaml:"hospitals" json:"hospitals,omitempty"`
	// Tables that may be read, with their columns. "*" is Any; as the name of a table it means every table.
	Tables     map[string][]string `yaml:"tables" json:"tables"`
	Aggregates []Aggregate         `yaml:"aggregates" json:"aggregates"`
	// Budget is the most that may ever be released, at each hospital and at the coordinator.
	Budget dp.Budget `yaml:"budget" json:"budget"`
	// MaxEpsilon: no query may cost more than Laplace noise of this epsilon.
	MaxEpsilon float64 `yaml:"max_epsilon" json:"max_epsilon"`
	// MinEpsilon: no release may cost less than Laplace noise of this epsilon; see LeastEpsilon. It is not encoded if
	// it is 0, so that documents that were signed before this key existed keep their digest.
	MinEpsilon     float64   `yaml:"min_epsilon" json:"min_epsilon,omitempty"`
	DefaultEpsilon float64   `yaml:"default_epsilon" json:"default_epsilon"` // of a query that does not name one
	DefaultDelta   float64   `yaml:"default_delta" json:"default_delta"`     // of a query that does not name one
	Expires        time.Time `yaml:"expires" json:"expires"`                 // no query from this instant on
	// Sealed: each hospital adds noise to its own numbers before they leave, or refuses. Like MinEpsilon, it is not
	// encoded if it is false.
	Sealed bool `yaml:"sealed" json:"sealed,omitempty"`
}

var idPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

// ValidID reports whether a text can be a study's id: ids appear in ledgers and URLs.
func ValidID(s string) bool { return idPattern.MatchString(s) }

// defaultLeast is the default of MinEpsilon.
const defaultLeast = 0.01

// Bounds of a document.
const (
	maxText  = 4000  // bytes of a text
	maxItems = 10000 // of a list
)

// Validate lists the faults, one per line.
func (d *Document) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !ValidID(d.ID) {
		problem("`id` %q: up to 63 lower-case letters, digits, '.', '_' and '-'", d.ID)
	}
	if d.Version < 1 {
		problem("`version` is %d; begin with 1, and count up with each proposal", d.Version)
	}
	for _, t := range []struct{ key, text string }{{"title", d.Title}, {"purpose", d.Purpose}, {"legal_basis", d.LegalBasis}} {
		if strings.TrimSpace(t.text) == "" || len(t.text) > maxText || strings.ContainsRune(t.text, 0) {
			problem("`%s` is empty or longer than %d bytes", t.key, maxText)
		}
	}
	if len(d.Investigators) == 0 || len(d.Investigators) > maxItems {
		problem("`investigators` is empty; name who may ask")
	}
	for _, i := range d.Investigators {
		if i != Any && !identity.ValidName(i) {
			problem("`investigators`: %q is no name as identity providers give it", i)
		}
	}
	if len(d.Tables) == 0 || len(d.Tables) > maxItems {
		problem("`tables` is empty; name the tables and columns that may be read")
	}
	spelled := map[string]bool{}
	for t, columns := range d.Tables {
		if spelled[strings.ToLower(t)] {
			problem("`tables`: %q is there in two spellings; which of them counts, nobody could tell", strings.ToLower(t))
		}
		spelled[strings.ToLower(t)] = true
		if len(columns) == 0 || t == "" {
			problem("`tables`: %q has no columns; list them, or \"*\"", t)
		}
	}
	if len(d.Aggregates) == 0 {
		problem("`aggregates` is empty; give some of count, sum, distribution")
	}
	for _, a := range d.Aggregates {
		if a != Count && a != Sum && a != Distribution {
			problem("`aggregates`: %q; give count, sum, distribution", a)
		}
	}
	if err := d.Budget.Validate(); err != nil {
		problem("`budget`: %w", err)
	}
	if _, err := d.MaxLoss(); err != nil {
		problem("`max_epsilon`, the most that one query may cost, is not set or out of range: %w", err)
	}
	if d.MinEpsilon != 0 && !(d.MinEpsilon >= 1e-9 && d.MinEpsilon <= d.MaxEpsilon) {
		problem("`min_epsilon`, the least that one release costs, must be from 1e-9 to `max_epsilon`")
	}
	if !(d.DefaultEpsilon > 0 && d.DefaultEpsilon <= d.MaxEpsilon && d.DefaultEpsilon >= d.MinEpsilon) {
		problem("`default_epsilon` must be above 0, at least `min_epsilon` and at most `max_epsilon`")
	}
	if !(d.DefaultDelta >= 0 && d.DefaultDelta < 1) {
		problem("`default_delta` must be from 0 to below 1")
	}
	if d.Sealed && d.Budget.Accounting == dp.Pure {
		problem("`sealed` needs `accounting: zcdp`: a hospital's share of Laplace noise covers nothing by itself")
	}
	if d.Expires.IsZero() {
		problem("`expires` is not set; write a date such as 2027-12-31")
	}
	return errors.Join(problems...)
}

// MaxLoss is the price of the most expensive allowed query, without its thresholds: under either accounting, Laplace
// noise of MaxEpsilon.
func (d *Document) MaxLoss() (dp.Loss, error) {
	return dp.Noise{Mechanism: dp.Laplace, Epsilon: d.MaxEpsilon, Limit: 1}.Loss(0)
}

// LeastEpsilon is MinEpsilon, or its default if the document has none: 0.01, or MaxEpsilon if that is smaller.
func (d *Document) LeastEpsilon() float64 {
	if d.MinEpsilon > 0 {
		return d.MinEpsilon
	}
	return min(defaultLeast, d.MaxEpsilon)
}

// Cheapest is the least price of a release, deltas aside: Laplace noise of LeastEpsilon. A release costs enough if its
// loss is not Cheaper than this under the study's accounting. So Gaussian noise pays as much rho.
func (d *Document) Cheapest() (dp.Loss, error) {
	return dp.Noise{Mechanism: dp.Laplace, Epsilon: d.LeastEpsilon(), Limit: 1}.Loss(0)
}

// Admits reports whether a researcher of this name may ask.
func (d *Document) Admits(name string) bool {
	return slices.Contains(d.Investigators, Any) || slices.Contains(d.Investigators, name)
}

// IncludesHospital reports whether the hospital takes part.
func (d *Document) IncludesHospital(hospital string) bool {
	return len(d.Hospitals) == 0 || slices.Contains(d.Hospitals, hospital)
}

// Reads reports whether a table may be read, and which of its columns are named.
func (d *Document) Reads(table string) (columns []string, ok bool) {
	for name, columns := range d.Tables {
		if strings.EqualFold(name, table) {
			return columns, true
		}
	}
	columns, ok = d.Tables[Any]
	return columns, ok
}

// normal is the document in its one canonical form: lists sorted without duplicates, and the time in UTC.
func (d *Document) normal() *Document {
	n := *d
	n.Investigators = sorted(d.Investigators)
	n.Hospitals = sorted(d.Hospitals)
	n.Aggregates = sorted(d.Aggregates)
	n.Expires = d.Expires.UTC().Truncate(time.Second)
	n.Tables = map[string][]string{}
	for t, columns := range d.Tables {
		n.Tables[t] = sorted(columns)
	}
	return &n
}

func sorted[S ~string](all []S) []S {
	if len(all) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

// Digest is the SHA-256 of the document's canonical encoding, in hexadecimal digits: JSON without white space, with
// keys in the order of Document and tables sorted, lists sorted without duplicates, and numbers as encoding/json writes
// them.
func (d *Document) Digest() string {
	b, err := json.Marshal(d.normal())
	if err != nil {
		panic(err) // texts and finite numbers always encode
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// ErrWider says that a custodian's document allows more than the proposal.
var ErrWider = errors.New("it allows more than the proposal")

// Narrows returns nil if d allows nothing that the proposal does not allow. Otherwise the error wraps ErrWider and
// names what is wider.
func (d *Document) Narrows(proposal *Document) error {
	wider := func(what string) error { return fmt.Errorf("%w: %s", ErrWider, what) }
	p := proposal
	switch {
	case d.ID != p.ID || d.Version != p.Version || d.Title != p.Title || d.Purpose != p.Purpose || d.LegalBasis != p.LegalBasis:
		return wider("it is another study; only limits can be narrowed")
	case d.Budget.Accounting != p.Budget.Accounting:
		return wider("the accounting differs")
	case !(d.Budget.Epsilon <= p.Budget.Epsilon) || !(d.Budget.Delta <= p.Budget.Delta):
		return wider("the budget")
	case !(d.MaxEpsilon <= p.MaxEpsilon):
		return wider("max_epsilon")
	case !(d.LeastEpsilon() >= min(p.LeastEpsilon(), d.MaxEpsilon)):
		return wider("min_epsilon: the least price can be raised and not lowered")
	case p.Sealed && !d.Sealed:
		return wider("it is not sealed, and the proposal is; `sealed` can be added and not taken away")
	case d.Sealed && !slices.Equal(sorted(d.Hospitals), sorted(p.Hospitals)):
		return wider("the hospitals of a sealed study are those of the proposal: how much noise each adds follows from how many there are")
	case d.Expires.After(p.Expires):
		return wider("it expires later")
	case !within(d.Investigators, p.Investigators):
		return wider("the investigators")
	case len(p.Hospitals) > 0 && (len(d.Hospitals) == 0 || !within(d.Hospitals, p.Hospitals)):
		return wider("the hospitals")
	case !within(d.Aggregates, p.Aggregates):
		return wider("the aggregates")
	}
	for _, table := range slices.Sorted(maps.Keys(d.Tables)) {
		allowed, ok := p.Reads(table)
		if table == Any {
			allowed, ok = p.Tables[Any]
		}
		if !ok || !within(d.Tables[table], allowed) {
			return wider("the columns of table " + table)
		}
	}
	if _, every := d.Tables[Any]; every { // a narrower entry of the proposal for one table must not be replaced by its entry for every table
		for _, table := range slices.Sorted(maps.Keys(p.Tables)) {
			if columns, _ := d.Reads(table); !within(columns, p.Tables[table]) {
				return wider("the columns of table " + table)
			}
		}
	}
	return nil
}

// within reports whether the proposal's list allows all of these. Any allows everything.
func within[S ~string](these, allowed []S) bool {
	for _, s := range these {
		if !slices.Contains(allowed, s) && !slices.Contains(allowed, Any) {
			return false
		}
	}
	return true
}
