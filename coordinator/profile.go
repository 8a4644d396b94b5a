package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/estimate"
)

// Profile tells roughly how many rows a table's patients have, and between which powers of two the values of columns
// without bounds lie. Nobody may look these up exactly. A profile consists of ordinary queries that the study pays for.
// What is computed from their noisy answers is free (post-processing).
type Profile struct {
	Study string    `json:"study"`
	Table string    `json:"table"`
	Taken time.Time `json:"taken"`
	// Patients is roughly the number of patients with rows, counted by each hospital separately.
	Patients int `json:"patients"`
	// Half, NineInTen and NinetyNine are the numbers of rows at a hospital that half, 90 % and 99 % of the patients do
	// not exceed, rounded up to a power of two. 0: noise hides it, or the catalog says one row for each patient.
	Half       int `json:"half"`
	NineInTen  int `json:"nine_in_ten"`
	NinetyNine int `json:"ninety_nine"`
	// Steps tell roughly how many patients have how many rows, as far as noise does not hide them.
	Steps estimate.Ladder `json:"steps,omitempty"`
	// Hidden is roughly how many patients may be on a step unseen.
	Hidden float64 `json:"hidden,omitempty"`
	// Key is the usual key of the table: a column that refers to a public table. It is empty if there is none.
	Key string `json:"key,omitempty"`
	// Groups tell roughly how many patients have how many distinct values of the key; OfGroup tells, by value, how many
	// have how many rows with it.
	Groups  estimate.Ladder            `json:"groups,omitempty"`
	OfGroup map[string]estimate.Ladder `json:"of_group,omitempty"`
	// Bounds are, by column, the powers of two between which nearly all values lie.
	Bounds map[string][2]float64 `json:"bounds,omitempty"`
	// Closed: too few hospitals answer over the table, so nothing was asked or paid.
	Closed bool `json:"closed,omitempty"`
}

// ProfileRequest asks for profiles of tables.
type ProfileRequest struct {
	Study string
	// Tables to profile; empty: every table with patients that the study may read.
	Tables []string
	// Share is the share of the study's whole budget that all profiles may cost, in (0, 1); 0: DefaultProfileShare.
	Share float64
	// Again takes new profiles of tables that have one already.
	Again bool
}

// DefaultProfileShare is the default share of a study's budget for profiles.
const DefaultProfileShare = 0.02

// profileForm begins the keys of profiles in the store of answers.
const profileForm = "profile 1/"

// largestStep is the last step of the public ladder 1, 2, 4, … of rows per patient. One more step counts all above.
const largestStep = 1 << 14

// profiles are the profiles of all studies, in memory as on disk.
type profiles struct {
	mu sync.Mutex
	by map[string]map[string]Profile // by study and table, the newest
}

// Profile returns the profiles of the tables. It first asks for those that the study does not have. Each release is a
// query of the researcher under the study, which is admitted, priced, charged and recorded as any other. Finished
// profiles are kept if a later one fails. If no table is named, tables that hospitals lack are returned as closed,
// without an error. Errors are of type *Error.
func (c *Coordinator) Profile(ctx context.Context, who Researcher, req ProfileRequest) ([]Profile, error) {
	s, err := c.study(who, req.Study)
	if err != nil {
		return nil, err
	}
	if req.Share == 0 {
		req.Share = DefaultProfileShare
	}
	if !(req.Share > 0 && req.Share < 1) {
		return nil, &Error{Code: CodeInvalidRequest, Message: "the share must be above 0 and below 1", Hint: "leave it out to spend 2 % of the study's budget"}
	}
	tables, err := c.toProfile(s.Approved, req)
	if err != nil {
		return nil, err
	}
	var questions []profiling
	for _, t := range tables {
		if _, ok := c.profiles.of(req.Study, t.Name); !ok || req.Again {
			questions = append(questions, c.profiling(t, s.Approved))
		}
	}
	ask := func(ctx context.Context, question parsedRequest) (*Answer, error) {
		return c.entered(ctx, who, req.Study, func() (*Answer, error) { return c.ask(ctx, who, question, nil, nil) })
	}
	releases := 0
	for _, q := range questions {
		releases += len(q.questions())
	}
	var closed []Profile
	for _, q := range questions {
		p, err := c.profile(ctx, req.Study, q, epsilonOfShare(s.Approved, req.Share, releases), ask)
		if len(req.Tables) == 0 && lacking(err) {
			p.Closed = true
			closed = append(closed, p)
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := c.keepProfile(ctx, p); err != nil {
			return nil, internalError(err)
		}
	}
	all := []Profile{}
	for _, t := range tables {
		if p, ok := c.profiles.of(req.Study, t.Name); ok {
			all = append(all, p)
		}
	}
	return append(all, closed...), nil
}

// lacking reports whether hospitals refused because they lack the table or have closed it. That happens before anything
// is charged.
func lacking(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == CodeHospitalRefused && !e.Charged &&
		!slices.ContainsFunc(e.Hospitals, func(a Absence) bool { return a.Code != noSource })
}

// toProfile lists the named tables, or all tables with patients that the study may read.
func (c *Coordinator) toProfile(d *study.Document, req ProfileRequest) ([]*catalog.Table, error) {
	var all []*catalog.Table
	for _, name := range req.Tables {
		t, ok := c.catalog.Table(name)
		if !ok || t.Public {
			return nil, &Error{
				Code: Code(planner.CodeTable), Message: fmt.Sprintf("there is no table %s with patients", name), Hint: "SHOW TABLES lists the tables",
			}
		}
		all = append(all, t)
	}
	if len(all) > 0 {
		return all, nil
	}
	for _, t := range c.catalog.Tables {
		_, named := d.Tables[t.Name]
		_, any := d.Tables[study.Any]
		if !t.Public && (named || any) && (!t.OneRowPerPatient || len(unbounded(t, d)) > 0) {
			all = append(all, t)
		}
	}
	return all, nil
}

// unbounded lists the columns of a table that need bounds before they can be added up, as far as the study may read
// them.
func unbounded(t *catalog.Table, d *study.Document) []string {
	var all []string
	for _, c := range t.Columns {
		singles := c.Identifier || c.References != "" || c.Name == t.Patient || slices.Contains(t.Key, c.Name) || strings.HasSuffix(c.Name, "_id")
		if lists(d, t, c) && !singles && c.Type.Numeric() && !c.Lower.Valid() && c.Domain == nil && len(all) < mostProfiled {
			all = append(all, c.Name)
		}
	}
	return all
}

// lists reports whether a study may read a column.
func lists(d *study.Document, t *catalog.Table, c *catalog.Column) bool {
	allowed, named := d.Tables[t.Name]
	if !named {
		allowed = d.Tables[study.Any]
	}
	return slices.Contains(allowed, study.Any) || slices.Contains(allowed, c.Name)
}

// usualKey is the first column that every row has and that refers to a public table, as a diagnosis refers to its
// concept. It is empty if there is none, or if undeclared groups are not allowed.
func (c *Coordinator) usualKey(t *catalog.Table, d *study.Document) string {
	if t.OneRowPerPatient || !(d.DefaultDelta > 0) {
		return ""
	}
	return usualKey(c.catalog, t, func(of *catalog.Column) bool { return lists(d, t, of) })
}

func usualKey(all *catalog.Catalog, t *catalog.Table, allowed func(*catalog.Column) bool) string {
	for _, c := range t.Columns {
		name, _, refers := strings.Cut(c.References, ".")
		if of, ok := all.Table(name); refers && ok && of.Public && !c.Nullable && !c.Identifier && allowed(c) {
			return c.Name
		}
	}
	return ""
}

// mostProfiled is the largest number of columns of a table whose bounds are searched, because they share one release.
const mostProfiled = 8

// epsilonOfShare is the epsilon of each of n releases that together cost that share of a study's budget, but at most
// what a query may cost.
func epsilonOfShare(d *study.Document, share float64, n int) float64 {
	whole := d.Budget.Remaining(dp.Loss{}).Epsilon
	if d.Budget.Accounting == dp.ZCDP { // rho is proportional to the square of epsilon
		share = math.Sqrt(share)
	}
	return min(d.MaxEpsilon, dp.ShareEpsilon(whole*share, max(n, 1), d.Budget.Accounting))
}

// profiling describes the questions of a profile about one table.
type profiling struct {
	table   *catalog.Table
	columns []string // those whose bounds are searched
	key     string   // the usual key, or ""
}

func (c *Coordinator) profiling(t *catalog.Table, d *study.Document) profiling {
	return profiling{table: t, columns: unbounded(t, d), key: c.usualKey(t, d)}
}

// profileQuestion is one query of a profile, and how its answer is read.
type profileQuestion struct {
	sql    string
	groups int // max_groups; 0: the default
	read   func(p *Profile, rows [][]planner.Estimate)
}

// keysInFull is how many values of a table's usual key a patient may have and still count in full, when patients are
// counted by key.
const keysInFull = 8

// questions are: rows per patient over the ladder; the same by the usual key, and how many values of the key a patient
// has; and where values lie.
func (q profiling) questions() []profileQuestion {
	var all []profileQuestion
	var steps strings.Builder
	for n := 1; n <= largestStep; n *= 2 {
		fmt.Fprintf(&steps, " WHEN n <= %d THEN %d", n, n)
	}
	step := fmt.Sprintf("CASE%s ELSE %d END AS up_to", steps.String(), 2*largestStep)
	if !q.table.OneRowPerPatient {
		all = append(all, profileQuestion{
			sql:  fmt.Sprintf(`SELECT %s, COUNT(*) AS patients FROM (SELECT patient, COUNT(*) AS n FROM "%s" GROUP BY patient) AS r GROUP BY 1`, step, q.table.Name),
			read: (*Profile).rows,
		})
	}
	if q.key != "" {
		all = append(all,
			profileQuestion{
				sql: fmt.Sprintf(`SELECT %s, COUNT(*) AS patients FROM (SELECT patient, COUNT(DISTINCT "%s") AS n FROM "%s" GROUP BY patient) AS r GROUP BY 1`, step, q.key, q.table.Name),
				read: func(p *Profile, rows [][]planner.Estimate) {
					p.Key = q.key
					seen, hidden := readSteps(rows)
					p.Groups = seen.With(hidden)
				},
			},
			profileQuestion{
				sql: fmt.Sprintf(`SELECT %s, COUNT(DISTINCT patient) AS patients, k FROM (SELECT patient, "%s" AS k, COUNT(*) AS n FROM "%s" GROUP BY patient, "%[2]s") AS r GROUP BY 1, 3`,
					step, q.key, q.table.Name),
				groups: keysInFull, read: (*Profile).byKey,
			})
	}
	if len(q.columns) > 0 {
		var items []string
		for _, c := range q.columns {
			items = append(items, fmt.Sprintf(`APPROX_BOUNDS("%s")`, c))
		}
		all = append(all, profileQuestion{
			sql: fmt.Sprintf(`SELECT %s FROM "%s"`, strings.Join(items, ", "), q.table.Name),
			read: func(p *Profile, rows [][]planner.Estimate) {
				if len(rows) == 1 {
					p.bounds(q.columns, rows[0])
				}
			},
		})
	}
	return all
}

// request asks the question under a study.
func (q profileQuestion) request(study string, epsilon float64) parsedRequest {
	return read(Request{SQL: q.sql, Settings: Settings{Study: study, Ask: planner.Ask{Epsilon: epsilon, MaxGroups: q.groups}}})
}

// profile asks the questions of one table.
func (c *Coordinator) profile(
	ctx context.Context, name string, q profiling, epsilon float64, ask func(context.Context, parsedRequest) (*Answer, error),
) (Profile, error) {
	p := Profile{Study: name, Table: q.table.Name, Taken: c.now().UTC()}
	for _, question := range q.questions() {
		a, err := ask(ctx, question.request(name, epsilon))
		if err != nil {
			return p, err
		}
		question.read(&p, a.Rows)
	}
	return p, nil
}

// surely is how many half-widths of its 95 % interval a step's count must be above 0. Under Gaussian noise that is 3.3
// standard deviations. Noise alone reaches it in one of 2000 steps, so in less than one of a hundred profiles with 16
// steps.
const surely = 1.7

// rows reads quantiles from noisy counts.
func (p *Profile) rows(steps [][]planner.Estimate) {
	p.Steps, p.Hidden = readSteps(steps)
	total := 0.0
	for _, s := range p.Steps {
		total += s.Patients
	}
	p.Patients = int(math.Round(total))
	p.Half, p.NineInTen, p.NinetyNine = p.Steps.Quantile(0.5), p.Steps.Quantile(0.9), p.Steps.Quantile(0.99)
}

// byKey reads the steps of each value of the usual key.
func (p *Profile) byKey(rows [][]planner.Estimate) {
	by := map[string][][]planner.Estimate{}
	for _, row := range rows {
		k := row[2].Value.String()
		by[k] = append(by[k], row)
	}
	p.OfGroup = map[string]estimate.Ladder{}
	for k, steps := range by {
		if seen, hidden := readSteps(steps); len(seen) > 0 {
			p.OfGroup[k] = seen.With(hidden)
		}
	}
}

// readSteps reads noisy counts. A step counts only if noise alone would not reach it. Otherwise the noise of many empty
// steps would look like a tail. hidden is a third of the patients that could be on a step unseen.
func readSteps(rows [][]planner.Estimate) (seen estimate.Ladder, hidden float64) {
	for _, row := range rows {
		e := row[1]
		if e.Value.IsNull() || e.High.IsNull() {
			continue
		}
		half := e.High.Float64() - e.Value.Float64()
		hidden = half / 3
		if e.Value.Float64() > surely*half {
			seen = append(seen, estimate.Step{Rows: int(row[0].Value.Int64()), Patients: e.Value.Float64()})
		}
	}
	slices.SortFunc(seen, func(a, b estimate.Step) int { return a.Rows - b.Rows })
	return seen, hidden
}

func (p *Profile) bounds(columns []string, row []planner.Estimate) {
	for i, c := range columns {
		if 2*i+1 >= len(row) || row[2*i].Value.IsNull() || row[2*i+1].Value.IsNull() {
			continue
		}
		if low, high := row[2*i].Value.Float64(), row[2*i+1].Value.Float64(); low < high {
			if p.Bounds == nil {
				p.Bounds = map[string][2]float64{}
			}
			p.Bounds[c] = [2]float64{low, high}
		}
	}
}

// String describes the profile in one line for people.
func (p Profile) String() string {
	if p.Closed {
		return p.Table + ": no profile, since too few hospitals answer over this table; nothing was paid for it"
	}
	text := fmt.Sprintf("%s, from the profile of %s:", p.Table, p.Taken.Format(time.DateOnly))
	if p.Half > 0 {
		text += fmt.Sprintf(" of about %d patients, half have up to %d rows, nine in ten up to %d, 99 in 100 up to %d", p.Patients, p.Half, p.NineInTen, p.NinetyNine)
		if p.Half < p.NinetyNine {
			text += fmt.Sprintf(": with max_rows %d nearly all count whole, with %d means and shares have less noise", p.NinetyNine, p.Half)
			text += "; a query that gives none has what the profile advises for it"
		}
	} else if len(p.Bounds) == 0 {
		text += " too few patients to tell more"
	}
	for i, c := range slices.Sorted(maps.Keys(p.Bounds)) {
		if i == 0 && p.Half > 0 {
			text += ";"
		}
		text += fmt.Sprintf(" %s lies within [%g, %g]", c, p.Bounds[c][0], p.Bounds[c][1])
	}
	return text
}

// keepProfile stores a profile with the answers, durably.
func (c *Coordinator) keepProfile(ctx context.Context, p Profile) error {
	if err := c.keepAs(ctx, profileForm, p); err != nil {
		return err
	}
	c.profiles.take(p)
	return nil
}

// loadProfiles reads the stored profiles.
func (c *Coordinator) loadProfiles(ctx context.Context) error {
	return eachKept(ctx, c.ledger, profileForm, c.profiles.take)
}

func (k *profiles) of(study, table string) (Profile, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.by[study][table]
	return p, ok
}

func (k *profiles) take(p Profile) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.by == nil {
		k.by = map[string]map[string]Profile{}
	}
	if k.by[p.Study] == nil {
		k.by[p.Study] = map[string]Profile{}
	}
	if have, ok := k.by[p.Study][p.Table]; !ok || !p.Taken.Before(have.Taken) {
		k.by[p.Study][p.Table] = p
	}
}

// profiled is what planning under a study knows from profiles: how many rows a patient has, if the catalog does not
// say; which bounds a column may need; and by table how many patients have how many rows.
func (c *Coordinator) profiled(name string) (*catalog.Catalog, map[planner.ColumnOf]planner.Likely, map[planner.LadderOf]estimate.Ladder) {
	copied, likely, ladders := *c.catalog, map[planner.ColumnOf]planner.Likely{}, map[planner.LadderOf]estimate.Ladder{}
	copied.Tables = slices.Clone(c.catalog.Tables)
	for i, t := range copied.Tables {
		p, ok := c.profiles.of(name, t.Name)
		if !ok {
			continue
		}
		table := *t
		if table.TypicalRows == 0 && !table.OneRowPerPatient {
			table.TypicalRows = p.NineInTen
		}
		if table.ExpectedPatients == 0 {
			table.ExpectedPatients = p.Patients
		}
		copied.Tables[i] = &table
		if len(p.Steps) > 0 {
			ladders[planner.LadderOf{Table: t.Name}] = p.Steps.With(p.Hidden)
		}
		p.addLadders(ladders)
		for column, b := range p.Bounds {
			likely[planner.ColumnOf{Table: t.Name, Column: column}] = planner.Likely{Lower: b[0], Upper: b[1], Taken: p.Taken.Format(time.DateOnly)}
		}
	}
	return &copied, likely, ladders
}

// addLadders adds what is known by the table's usual key, under the names of planner.Federation.
func (p Profile) addLadders(ladders map[planner.LadderOf]estimate.Ladder) {
	if len(p.Groups) > 0 {
		ladders[planner.LadderOf{Table: p.Table, Column: p.Key, Groups: true}] = p.Groups
	}
	for k, l := range p.OfGroup {
		ladders[planner.LadderOf{Table: p.Table, Column: p.Key, Value: k}] = l
	}
}

// profileLines say what profiles tell about the tables of an explained query.
func (q *query) profileLines() []string {
	var lines []string
	for _, release := range q.program.Releases {
		for _, table := range release.Fragment.Tables() {
			if p, ok := q.c.profiles.of(q.name, table); ok && !slices.Contains(lines, p.String()) {
				lines = append(lines, p.String())
			}
		}
	}
	return lines
}
