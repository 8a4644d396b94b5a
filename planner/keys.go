package planner

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// keys plans GROUP BY. A key is a position in SELECT, a name from SELECT, or an expression.
func (b *builder) keys() {
	for _, g := range b.grouping() {
		t := b.key(g)
		if name := t.Aggregate(); name != nil {
			refuse(CodeMisplaced, name.At, "put conditions on aggregates into HAVING", "%s cannot be grouped by", strings.ToUpper(name.Name))
		}
		e := b.Row(t)
		if e.Op == expr.OpColumn {
			if b.IsPatientID(b.Of(e.Relation), e.Column) {
				b.refusePatientGroups(g.At)
			}
		}
		b.addKey(e, g.At)
	}
	b.determinedKeys()
	// Keys have one order, whatever the query's, so that the same question has the same fragment.
	slices.SortFunc(b.fragment.Keys, func(x, y fragment.Key) int {
		return strings.Compare(scalar.Canonical(x.Expr), scalar.Canonical(y.Expr))
	})
	b.cells = 1
	for _, k := range b.fragment.Keys {
		if b.cells *= len(k.Domain); b.cells > fragment.MaxCells {
			refuse(CodeTooLarge, b.grouping()[0].At, "group by fewer or coarser keys", "the keys span more than %d groups", fragment.MaxCells)
		}
	}
}

// groupsAlone has the data tell which groups there are, where nothing else is asked of them, also of declared ones.
func (b *builder) groupsAlone() {
	ordered := slices.ContainsFunc(b.syntax.OrderBy, func(o syntax.Order) bool { return o.Term.Aggregate() != nil })
	if ordered || len(b.syntax.Select.Aggregates()) > 0 {
		return
	}
	for i, k := range b.fragment.Keys {
		if b.IsKey(k.Expr) {
			b.refusePatientGroups(b.grouping()[0].At)
		}
		b.cells, b.fragment.Keys[i].Domain = 0, nil
	}
}

func (b *builder) refusePatientGroups(at Position) {
	refuse(CodeRowLevel, at, "group by what patients share, such as sex, year of birth or diagnosis", "a group per patient would show rows of patients")
}

func (b *builder) addKey(e *expr.Expr, at Position) {
	if b.keyOf(e) >= 0 {
		return
	}
	domain := b.facts(e).Domain
	if domain != nil && len(domain) == 0 {
		refuse(CodeNotSupported, at, "change WHERE, or the key", "by the catalog, no row that fulfils WHERE has a key to group by")
	}
	if slices.ContainsFunc(domain, func(v value.Value) bool { return v != expr.Cut(v, expr.MaxKey) }) {
		domain = nil // a shortened text is none of the declared values
	}
	b.fragment.Keys = append(b.fragment.Keys, fragment.Key{Expr: e, Domain: domain})
}

// determinedKeys adds columns of public tables that the keys determine, such as a concept's name by its id. The query
// must show them, bare or as MAX(name). Each group has one value of such a column.
func (b *builder) determinedKeys() {
	if len(b.fragment.Keys) == 0 {
		return
	}
	s := b.syntax.Select
	terms := []*syntax.Expr{}
	for _, i := range s.Items {
		terms = append(terms, i.Term)
	}
	if s.Having != nil {
		terms = append(terms, s.Having)
	}
	for _, o := range b.syntax.OrderBy {
		terms = append(terms, o.Term)
	}
	for _, t := range terms {
		t.Walk(func(t *syntax.Expr) bool {
			if e := b.determined(t); e != nil {
				b.addKey(e, t.At)
			}
			return !t.IsAggregate()
		})
	}
}

// determined returns the column that t reads, bare or in MIN, MAX or ANY_VALUE, if the keys determine it; else nil.
func (b *builder) determined(t *syntax.Expr) *expr.Expr {
	if t.IsAggregate() && slices.Contains([]string{"min", "max", "any_value"}, t.Name) && len(t.Args) == 1 && t.Filter == nil && !t.Distinct {
		e := b.determined(t.Args[0])
		if e != nil && e.Type.Numeric() && t.Name != "any_value" {
			return nil // MIN and MAX of numbers are read from a tree
		}
		return e
	}
	if t.Kind != syntax.Column || b.counted != nil || !b.IsColumn(t) {
		return nil
	}
	e := b.Row(t)
	s := b.Of(e.Relation)
	if e.Op != expr.OpColumn || s == nil || !s.Schema.Public {
		return nil
	}
	var keys []*expr.Expr
	for _, k := range b.fragment.Keys {
		keys = append(keys, k.Expr)
	}
	if b.scope().Determines(s.Name, b.Filter, keys...) {
		return e
	}
	return nil
}

// key returns the term that a position or a name of SELECT stands for in GROUP BY.
func (b *builder) key(t *syntax.Expr) *syntax.Expr { return b.GroupKey(b.syntax.Select.Items, t) }

// grouping returns the keys of GROUP BY.
func (b *builder) grouping() []*syntax.Expr {
	if len(b.syntax.Select.GroupBy) == 0 {
		return nil
	}
	return b.syntax.Select.GroupBy[0]
}

func (b *builder) keyOf(e *expr.Expr) int {
	return slices.IndexFunc(b.fragment.Keys, func(k fragment.Key) bool { return k.Expr.Equal(e) })
}
