package relational

import (
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
)

// BaseTable returns the table that bounds a relation's rows: a patient has at most as many rows in the relation as in
// the table. It returns nil if there is none. grouped says that several rows of the table may become one.
func (r *Resolver) BaseTable(of fragment.Relation, t *catalog.Table) (base *catalog.Table, grouped bool) {
	d := of.Query
	switch {
	case d == nil:
		return t, false
	case d.SetOp != "" || t.OneRowPerPatient:
		return nil, false
	case d.Grouped:
		if counted := r.countedIn(d, t); counted != nil {
			return counted, false
		}
	}
	i := fragment.Base(d.Relations, d.Filter, r.Catalog.Catalog, r.Catalog.Memo)
	if i < 0 {
		return nil, false
	}
	known := r.tableOf(d.Relations[i])
	if known == nil {
		return nil, false
	}
	if base, grouped = r.BaseTable(d.Relations[i], known); base == nil {
		return nil, false
	}
	return base, grouped || d.Grouped
}

// countedIn returns the table whose rows are the groups of a relation, such as visits if it groups a patient's rows by
// visit id; else nil.
func (r *Resolver) countedIn(d *fragment.Query, t *catalog.Table) *catalog.Table {
	var counted *catalog.Table
	for _, o := range d.Columns {
		if o.Function != "" || o.Name == d.Patient {
			continue
		}
		c, ok := t.Column(o.Name)
		if !ok || counted != nil {
			return nil
		}
		name, _, _ := strings.Cut(c.References, ".")
		if !r.private(name) {
			return nil
		}
		counted, _ = r.Catalog.Table(name)
	}
	return counted
}

// tableOf returns a relation as a table; nil if that fails.
func (r *Resolver) tableOf(of fragment.Relation) *catalog.Table {
	if of.Query == nil {
		t, _ := r.Catalog.Table(of.Table)
		return t
	}
	t, err := of.Query.Table(of.Name, r.Catalog.Catalog, r.Catalog.Memo)
	if err != nil {
		return nil
	}
	return t
}

// RowLimit returns how many rows of a relation one patient may have that count in full, by the catalog's limits of
// tables. A derived relation has at most the rows of what it reads.
func (r *Resolver) RowLimit(of fragment.Relation, t *catalog.Table) int {
	d := of.Query
	switch {
	case t == nil:
		return r.Catalog.MaxRows
	case d == nil || t.OneRowPerPatient:
		return r.Catalog.RowLimit(t)
	case d.SetOp != "":
		return r.rowLimitOf(d)
	}
	if base, _ := r.BaseTable(of, t); base != nil {
		return r.Catalog.RowLimit(base)
	}
	limit := 1
	for _, within := range d.Relations {
		if known := r.tableOf(within); known == nil || !known.Public {
			limit = max(limit, r.RowLimit(within, known))
		}
	}
	return limit
}

// rowLimitOf is the limit of a set operation. Inputs that select different rows of one table share that table's limit.
func (r *Resolver) rowLimitOf(d *fragment.Query) int {
	limit, seen := 0, map[string]bool{}
	apart := d.SetOp == fragment.SetOpUnionAll && fragment.DisjointPatients(d.Inputs, r.Catalog.Catalog, r.Catalog.Memo)
	for i, arm := range d.Inputs {
		of := fragment.Relation{Name: "arm", Query: arm}
		known := r.tableOf(of)
		one := r.RowLimit(of, known)
		table := ""
		if known != nil {
			if base, _ := r.BaseTable(of, known); base != nil {
				table = base.Source()
			}
		}
		switch {
		case d.SetOp == fragment.SetOpExcept && i > 0:
		case d.SetOp == fragment.SetOpIntersect && i > 0:
			limit = min(limit, one)
		case apart || seen[table]:
			limit = max(limit, one)
		default:
			limit = min(limit+one, MaxRows)
			seen[table] = table != ""
		}
	}
	return limit
}

// MaxRows is the largest allowed limit of rows, and of groups, for one patient.
const MaxRows = 1_000_000
