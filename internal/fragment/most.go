package fragment

import (
	"math"
	"reflect"
	"slices"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// MostRows bounds the number of rows that one patient has in a group of the keys, as far as keys, filters and the
// catalog's domains tell. For example, it is two if rows are numbered within the patient and the number is at most 2.
// It is infinite if nothing tells. It is believed, not proved. A limit of contributions may still follow it, because a
// patient's rows beyond the limit are cut in any case.
func (s *Scope) MostRows(filter *expr.Expr, keys ...*expr.Expr) float64 {
	d, known, least := s.careful(s.links(s.conditions(filter))), s.analysisWhere(filter), math.Inf(1)
	single := d.rows(d.patient)
	for i, r := range s.relations { // those whose rows determine the rows of all others
		switch {
		case r.table.Public || slices.Contains(d.rows(d.patient, i), false):
		case single[i]:
			return 1
		default:
			least = math.Min(least, s.mostOf(i, known, keys))
		}
	}
	return least
}

// mostOf bounds the number of rows of relation i per patient: the number of values of a key's columns, without the
// patient's id and the columns by which rows are grouped.
func (s *Scope) mostOf(i int, known *expr.RangeAnalysis, by []*expr.Expr) float64 {
	least := math.Inf(1)
	for _, key := range s.relations[i].keys {
		most := 1.0
		for _, name := range key {
			if s.isPatientID(i, name) {
				continue
			}
			c, ok := s.relations[i].table.Column(name)
			if !ok {
				most = math.Inf(1)
				continue
			}
			e := expr.Column(s.relations[i].Name, c.Name, c.Type)
			if slices.ContainsFunc(by, e.Equal) {
				continue
			}
			f := known.Range(e)
			most *= f.Size(c.Type == value.TypeInt || c.Type == value.TypeDate)
		}
		least = math.Min(least, most)
	}
	if d := s.relations[i].Query; d != nil && math.IsInf(least, 1) { // a query has no more rows than its inputs
		least = s.mostOfDerived(d)
	}
	return least
}

// mostOfDerived bounds the number of rows per patient that a derived relation takes from its inputs.
func (s *Scope) mostOfDerived(d *Query) float64 {
	of := func(relations []Relation, filter *expr.Expr) float64 {
		in, err := NewScopeWithin(relations, s.catalog, s.budget.Memo)
		if err != nil {
			return math.Inf(1)
		}
		return in.MostRows(filter)
	}
	if d.SetOp == "" {
		return of(d.Relations, d.Filter)
	}
	most := make([]float64, len(d.Inputs))
	for i, a := range d.Inputs {
		most[i] = of([]Relation{{Name: "arm", Query: a}}, nil)
	}
	switch {
	case d.SetOp == SetOpExcept:
		return most[0]
	case d.SetOp == SetOpIntersect:
		return slices.Min(most)
	case DisjointPatients(d.Inputs, s.catalog, s.budget.Memo):
		return slices.Max(most)
	}
	all := 0.0
	for _, n := range most {
		all += n
	}
	return all
}

// DisjointPatients reports whether each patient has rows in only one of two inputs. That is so where a FULL JOIN by
// patients' ids is written out: a LEFT JOIN b, and then the rows of b of patients without rows in a. It is believed, as
// MostRows is.
func DisjointPatients(inputs []*Query, c *catalog.Catalog, m *Memo) bool {
	if len(inputs) != 2 {
		return false
	}
	first, second := unprojected(inputs[0]), unprojected(inputs[1])
	if first.Grouped || first.Filter != nil || len(first.Relations) == 0 || len(second.Relations) != 2 {
		return false
	}
	present, absent := first.Relations[0], second.Relations[1]
	if absent.Join != JoinLeft || absent.On.Op != expr.OpEqual || present.Table != absent.Table || !reflect.DeepEqual(present.Query, absent.Query) ||
		slices.ContainsFunc(first.Relations[1:], func(r Relation) bool { return r.Join != JoinLeft }) {
		return false
	}
	in, err := NewScopeWithin(second.Relations, c, m)
	if err != nil {
		return false
	}
	for _, e := range absent.On.Args {
		if e.Op != expr.OpColumn || !in.isPatientID(in.index[e.Relation], e.Column) {
			return false
		}
	}
	return slices.ContainsFunc(expr.Conjuncts(second.Filter), func(e *expr.Expr) bool {
		return e.Op == expr.OpIsNull && e.Args[0].Op == expr.OpColumn && e.Args[0].Relation == absent.Name && in.isPatientID(1, e.Args[0].Column)
	})
}

// unprojected returns the relation whose rows a derived one returns, whatever it computes from their columns.
func unprojected(d *Query) *Query {
	for d.SetOp == "" && !d.Grouped && d.Filter == nil && len(d.Relations) == 1 && d.Relations[0].Query != nil {
		d = d.Relations[0].Query
	}
	return d
}
