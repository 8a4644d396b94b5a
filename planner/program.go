package planner

import (
	"fmt"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/lookup"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/syntax"
)

// maxReleases bounds the number of releases of one query.
const maxReleases = fragment.MaxReleases

// Program is a query ready to run: its releases, each charged by itself, and what is computed from them afterwards, at
// no cost.
type Program struct {
	Releases   []*Plan           // none if the query reads public tables only
	Lookups    []*lookup.Lookup  // reads of public tables, at no cost
	Columns    []Column          // the answer's columns, in order
	lifeTables map[int]*survival // by the number of the release, from 1
	// post computes the answer from the releases' rows. It is nil if the answer is that of the only release.
	post *postProcessing
	ahead
	again func(given []value.Value) (*Program, error) // the same, with what was released ahead
}

type postProcessing struct {
	*fragment.Query
	columns []outputColumn
	order   []fragment.Order // by columns of the Query
	limit   int              // -1: all
	offset  int
}

// outputColumn is one column of the answer: its label for people, and its name in the Query.
type outputColumn struct{ label, name string }

// programPlanner plans the releases of one query and what is computed from them.
type programPlanner struct {
	query      Query
	federation Federation
	catalog    *relational.Vocabulary // contains each release as a public table
	releases   []*builder
	lookups    *lookup.Planner
	lifeTables map[int]*survival    // by the number of the release, from 1
	exactly    map[exactColumn]bool // results of exact
	noisy      map[noisyColumn]bool
	kinds      map[*syntax.Query]kind
	derived    map[*syntax.Query]*relational.Derived // what Derive has planned
	ahead      ahead
}

// exactColumn is a column of a derived relation.
type exactColumn struct {
	of   *fragment.Query
	name string
}

// noisyColumn is a column of a release's table that depends on noise.
type noisyColumn struct{ table, column string }

// In a release's rows, the ends of a number's interval stand beside it, under names that no column can have.
func lowEnd(name string) string  { return syntax.Internal(name + " low") }
func highEnd(name string) string { return syntax.Internal(name + " high") }

// Describe writes the plan for a person: each release, and what is computed from them. It reads no data.
func (p *Program) Describe() string {
	if p.post == nil {
		return p.Releases[0].Describe()
	}
	var b strings.Builder
	for i, release := range p.Releases {
		fmt.Fprintf(&b, "release %d of %d\n", i+1, len(p.Releases))
		for _, line := range strings.Split(strings.TrimSuffix(release.Describe(), "\n"), "\n") {
			b.WriteString("  " + line + "\n")
		}
		if s := p.lifeTables[i+1]; s != nil {
			fmt.Fprintf(&b, "  life table %s\n", s)
		}
	}
	p.describeLookups(&b)
	if len(p.Releases) == 0 {
		return b.String()
	}
	b.WriteString("then, at no cost\n")
	for _, line := range strings.Split(p.post.Query.String(), "\n") {
		b.WriteString("  " + line + "\n")
	}
	text := b.String()
	for k, of := range p.ahead.releases {
		text = strings.ReplaceAll(text, p.ahead.constants[k].String(), fmt.Sprintf("(the number of release %d)", of+1))
	}
	return text
}

// Each query is classified once, by what its rows are: before it is planned, and after its inner queries.

// kind is what the rows of a query are.
type kind int

const (
	kindConstants kind = iota + 1 // constants of the text
	kindRows                      // rows of one patient each, or of public tables
	kindRelease                   // rows that aggregate over patients, or are computed from such
)

// survival computes a life table for each stratum, from one release that is a tree of times.
type survival struct {
	estimate.LifeTable
	partial int      // index of the tree
	strata  []string // names of the keys' columns, in the order of the SELECT
	keys    []int    // their indexes among the fragment's keys
}
