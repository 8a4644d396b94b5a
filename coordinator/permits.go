package coordinator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/study"
)

// Permit is what a hospital last said that it permits a study. All of it is public in the federation.
type Permit struct {
	Hospital string
	// Status is that of the study there; empty if the hospital has not been met since this coordinator started.
	Status study.Status
	// Terms are nil if the study is not open there.
	Terms *study.Terms
	// Left is what the hospital has left for the study, and Whole what it has left over all studies, by the charges of
	// this coordinator. Both are nil if Terms is.
	Left, Whole *dp.Remaining
}

// Permits returns what each hospital of a study permits, in the order of the configuration.
func (c *Coordinator) Permits(ctx context.Context, who Researcher, name string) ([]Permit, error) {
	s, err := c.study(who, name)
	if err != nil {
		return nil, err
	}
	left, err := c.balances(ctx, c.caps(who, name, s.Approved))
	if err != nil {
		return nil, internalError(err)
	}
	var all []Permit
	for _, h := range c.config.Hospitals {
		if !s.Approved.IncludesHospital(h) {
			continue
		}
		p := Permit{Hospital: h, Terms: c.heldAt(h, name)}
		c.custody.mu.Lock()
		p.Status = c.custody.statuses[h][name]
		c.custody.mu.Unlock()
		limits, err := c.limits(ctx, name, left[0], []string{h})
		if err != nil {
			return nil, internalError(err)
		}
		if len(limits) == 3 { // the study's here, the study's there, the hospital's over all studies
			p.Left, p.Whole = &limits[1].Remaining, &limits[2].Remaining
		}
		all = append(all, p)
	}
	return all, nil
}

// permitRows are the rows of SHOW PERMISSIONS.
func permitRows(all []Permit) [][]string {
	var rows [][]string
	for _, p := range all {
		t := p.Terms
		if t == nil {
			state := string(p.Status)
			if state == "" {
				state = "not heard of yet"
			}
			rows = append(rows, []string{p.Hospital, state, "", "", "", "", "", ""})
			continue
		}
		limits := ""
		if t.MaxRows > 0 {
			limits = fmt.Sprintf("%d rows, %d groups of a patient", t.MaxRows, t.MaxGroups)
		}
		rows = append(rows, []string{
			p.Hospital, string(p.Status), readable(t.Tables), join(t.Aggregates),
			fmt.Sprintf("epsilon %s, delta %s; over all studies epsilon %s", number(t.Budget.Epsilon), number(t.Budget.Delta), number(t.Whole.Epsilon)),
			fmt.Sprintf("%.4g %%; over all studies %.4g %%", 100*(1-p.Left.Spent), 100*(1-p.Whole.Spent)),
			fmt.Sprintf("epsilon %s to %s", number(t.MinEpsilon), number(t.MaxEpsilon)), strings.Join(slices.DeleteFunc([]string{limits, "until " + t.Expires.UTC().Format("2006-01-02")}, func(s string) bool { return s == "" }), "; "),
		})
	}
	return rows
}

func join(all []study.Aggregate) string {
	var words []string
	for _, a := range all {
		words = append(words, string(a))
	}
	return strings.Join(words, ", ")
}

// readable names tables and their columns. It names only the table if every column may be read.
func readable(tables map[string][]string) string {
	var all []string
	for _, t := range slices.Sorted(maps.Keys(tables)) {
		name := t
		if t == study.Any {
			name = "every table"
		}
		if columns := tables[t]; !slices.Contains(columns, study.Any) {
			name += " (" + strings.Join(columns, ", ") + ")"
		}
		all = append(all, name)
	}
	return strings.Join(all, ", ")
}
