package planner

import (
	"fmt"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/syntax"
)

// ahead holds releases whose numbers later ones compare patients with: WHERE x > (SELECT AVG(x) FROM t). The query is
// planned again with these numbers as constants. They are public, so all losses add up (adaptive composition).
type ahead struct {
	releases  []int         // indices of the releases, in order
	given     []value.Value // the numbers that the first of them have released so far
	constants []*expr.Expr
	of        []*syntax.Query // the subqueries that the constants replace
	apart     bool            // the query has more than one release, and its answer is computed from them
}

// first plans a subquery as a release that is made first. It returns the constant that stands for its number.
func (c *programPlanner) first(q *syntax.Query, within *relational.Scope) *expr.Expr {
	i := slices.Index(c.ahead.of, q)
	if i < 0 {
		of := c.release(q, within, false).Columns[0].Type
		i = len(c.ahead.of)
		c.ahead.of, c.ahead.constants = append(c.ahead.of, q), append(c.ahead.constants, relational.Opaque(of, i, c.ahead.given))
		c.ahead.releases = append(c.ahead.releases, len(c.releases)-1)
	}
	return c.ahead.constants[i]
}

// Awaits reports whether releases of the program read numbers that others have released; see Given.
func (p *Program) Awaits() bool { return len(p.ahead.releases) > 0 }

func (a *ahead) told() (notes []string) {
	for k, v := range a.given {
		notes = append(notes, fmt.Sprintf("patients are compared with the number of release %d, which is noisy: %s; intervals do not include that", a.releases[k]+1, v))
	}
	return notes
}

// Given returns the program with the numbers of the first releases put in. It returns an error if noise hides one.
func (p *Program) Given(cells [][]Cell, confidence float64) (next *Program, err error) {
	defer syntax.Catch(&err)
	var given []value.Value
	for _, i := range p.ahead.releases {
		if i >= len(cells) {
			break
		}
		a, err := p.Releases[i].Finish(cells[i], confidence)
		if err != nil {
			return nil, err
		}
		if len(a.Rows) != 1 || a.Rows[0][0].Value.IsNull() {
			refuse(CodeAccuracy, Position{Line: 1, Column: 1}, "ask with a larger epsilon; what was released is kept, and costs nothing again", "noise hides a number that the query compares with")
		}
		given = append(given, a.Rows[0][0].Value)
	}
	if slices.Equal(given, p.ahead.given) {
		return p, nil
	}
	if next, err = p.again(given); err == nil && !slices.EqualFunc(next.Releases, p.Releases, func(a, b *Plan) bool { return a.Loss == b.Loss }) {
		err = fmt.Errorf("the price of a program depends on what it has released")
	}
	return next, err
}
