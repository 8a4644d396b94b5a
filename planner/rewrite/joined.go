package rewrite

import (
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/planner/syntax"
)

// If a SELECT aggregates over patients and joins them with rows that belong to no patient, the same release can be
// joined afterwards:
//
//	SELECT k, COUNT(t.x) FROM public p LEFT JOIN patients t ON c WHERE w GROUP BY k
//	SELECT k, n FROM (SELECT DISTINCT k FROM public p WHERE w) LEFT JOIN
//	  (SELECT k, COUNT(t.x) AS n FROM public p JOIN patients t ON c WHERE w GROUP BY k) USING (k)
//
//	SELECT k, COUNT(*) FROM patients t
//	JOIN (SELECT k AS top, COUNT(*) FROM … GROUP BY k ORDER BY 2 DESC LIMIT 5) a ON k = top GROUP BY k
//	SELECT k, n FROM (SELECT k, COUNT(*) AS n FROM patients t GROUP BY k) JOIN (SELECT … LIMIT 5) a ON k = top
//
// In the first form, k and w read only p, and the aggregates read columns of t. If groups are not declared, a group
// with too few patients to be shown gives NULL, because it may have some. The second form is how some tools ask for the
// largest groups.

// Columns returns the names of a table's columns, in lower case; nil if there is no such table.
type Columns func(table string) []string

var (
	groups  = syntax.Internal("groups")  // the release
	present = syntax.Internal("present") // the groups of the public rows
	largest = syntax.Internal("largest") // the largest groups
)

// joining is a SELECT that is asked as a release and then joined.
type joining struct {
	columns Columns
	s       *syntax.Select
	keys    []*syntax.Expr
	values  []*syntax.Expr // aggregates
	padded  bool           // a group may have no row in the release
	shown   []*syntax.Expr // aggregates of the public rows alone, if padded
	names   []syntax.With
	one     []syntax.From // of one row each, which the release is joined with: see OneRow
	failed  bool
}

// PublicFirst moves LEFT JOINs from public tables to patients' rows after the release. It reports whether it found one.
func PublicFirst(q *syntax.Query, columns Columns) (*syntax.Query, bool) {
	return apart(q, nil, columns, (*joining).publicFirst)
}

// LargestGroups moves joins of patients with their largest groups after the release. It reports whether it found one.
func LargestGroups(q *syntax.Query, columns Columns) (*syntax.Query, bool) {
	q, _ = each(q, nil, largestJoined)
	return apart(q, nil, columns, (*joining).largestGroups)
}

// apart rewrites the outermost SELECTs that fit, among queries of these names.
func apart(q *syntax.Query, names []syntax.With, columns Columns, rewrite func(*joining) []syntax.From) (*syntax.Query, bool) {
	return each(q, names, func(q *syntax.Query, names []syntax.With) *syntax.Query {
		s := q.Select
		if len(s.From) < 2 || len(s.GroupBy) > 1 || !s.IsGrouped() || s.Qualify != nil || s.Distinct {
			return nil
		}
		j := &joining{columns: columns, s: s, names: names}
		from := j.with(q, rewrite)
		if from == nil {
			return nil
		}
		out := *q
		out.Select, out.OrderBy = from, nil
		for _, o := range q.OrderBy {
			o.Term = j.outer(syntax.Ordered(s.Items, o.Term))
			out.OrderBy = append(out.OrderBy, o)
		}
		if j.failed {
			return nil
		}
		return &out
	})
}

// each returns the query with SELECTs replaced for which write gives another, of those within WITH, FROM and set
// operations, and whether there is one. It does not look into what write gives.
func each(q *syntax.Query, names []syntax.With, write func(*syntax.Query, []syntax.With) *syntax.Query) (*syntax.Query, bool) {
	names = slices.Concat(names, q.With)
	if q.Select != nil {
		if other := write(q, names); other != nil {
			return other, true
		}
	}
	out, found := *q, false
	in := func(of *syntax.Query) *syntax.Query {
		other, ok := each(of, names, write)
		found = found || ok
		return other
	}
	out.With = slices.Clone(q.With)
	for i, w := range q.With {
		out.With[i].Query = in(w.Query)
	}
	if o := q.SetOperation; o != nil {
		both := *o
		both.Left, both.Right = in(o.Left), in(o.Right)
		out.SetOperation = &both
		return &out, found
	}
	s := *q.Select
	s.From = slices.Clone(s.From)
	for i, f := range s.From {
		if f.Query != nil && !f.Lateral {
			s.From[i].Query = in(f.Query)
		}
	}
	out.Select = &s
	return &out, found
}

// with is the SELECT over what the rewriting joins; nil if it does not fit.
func (j *joining) with(q *syntax.Query, rewrite func(*joining) []syntax.From) *syntax.Select {
	s := j.s
	if len(s.GroupBy) == 1 {
		for _, t := range s.GroupBy[0] {
			j.keys = append(j.keys, j.key(t))
		}
	}
	if slices.ContainsFunc(s.Items, func(i syntax.Item) bool { return i.Term.Kind == syntax.Star }) {
		return nil
	}
	from := rewrite(j)
	if from == nil {
		return nil
	}
	out := &syntax.Select{At: s.At, From: from}
	for _, i := range s.Items {
		out.Items = append(out.Items, syntax.Item{Term: j.outer(i.Term), Alias: i.Name()})
	}
	if s.Having != nil {
		out.Where = j.outer(s.Having)
	}
	for _, o := range q.OrderBy {
		j.outer(syntax.Ordered(s.Items, o.Term))
	}
	release := &out.From[slices.IndexFunc(out.From, func(f syntax.From) bool { return f.Alias == groups })]
	for i, v := range j.values { // now all values are known
		release.Query.Select.Items = append(release.Query.Select.Items, syntax.Item{Term: v, Alias: valueName(i)})
	}
	if len(j.shown) > 0 {
		all := out.From[0].Query.Select
		all.Distinct, all.GroupBy = false, [][]*syntax.Expr{j.keys}
		for i, t := range j.shown {
			all.Items = append(all.Items, syntax.Item{Term: t, Alias: shownName(i)})
		}
	}
	if len(release.Query.Select.Items) == 0 || j.failed {
		return nil
	}
	return out
}

func keyName(i int) string   { return "k" + strconv.Itoa(i) }
func valueName(i int) string { return "v" + strconv.Itoa(i) }
func shownName(i int) string { return "p" + strconv.Itoa(i) }

// key returns the term that a position or a name of an item stands for in GROUP BY.
func (j *joining) key(t *syntax.Expr) *syntax.Expr {
	if t.Kind == syntax.Literal {
		return syntax.Ordinal(j.s.Items, t, "GROUP BY")
	}
	if named := syntax.Aliased(j.s.Items, t); named != nil && j.owner(t) < 0 {
		return named
	}
	return t
}

// owner is the index in FROM of the only table that may have a column; -1 if there is none or several.
func (j *joining) owner(t *syntax.Expr) int {
	at := -1
	for i, f := range j.s.From {
		var names []string
		switch {
		case t.Qualifier != "" && t.Qualifier != f.Alias, t.Qualifier == "" && f.Alias == largest:
			continue
		case t.Qualifier != "":
			return i
		case f.Columns != nil:
			names = f.Columns
		default:
			names = j.columnsOf(f)
		}
		if slices.Contains(names, strings.ToLower(t.Name)) {
			if at >= 0 {
				return -1
			}
			at = i
		}
	}
	return at
}

// columnsOf names the columns of a table or of a query, as far as its text tells.
func (j *joining) columnsOf(f syntax.From) (names []string) {
	q := f.Query
	if w, _ := f.Named(j.names); w != nil {
		if w.Columns != nil {
			return w.Columns
		}
		q = w.Query
	}
	if q == nil {
		return j.columns(f.Table)
	}
	for q.Select == nil {
		q = q.SetOperation.Left
	}
	for _, item := range q.Select.Items {
		names = append(names, strings.ToLower(item.Name()))
	}
	return names
}

// reads reports whether an expression reads only columns of the FROM tables for which of is true. It may also read
// none.
func (j *joining) reads(t *syntax.Expr, of func(i int) bool) bool {
	all := true
	t.Walk(func(t *syntax.Expr) bool {
		switch t.Kind {
		case syntax.Column:
			i := j.owner(t)
			all = all && i >= 0 && of(i)
		case syntax.Subquery, syntax.Exists, syntax.InSubquery:
			all = false
		}
		return all
	})
	return all
}

// outer rewrites a term over the release.
func (j *joining) outer(t *syntax.Expr) *syntax.Expr {
	return t.Rewrite(func(t *syntax.Expr) *syntax.Expr {
		if x := j.ofOne(t); x != nil {
			return x
		}
		if i := slices.IndexFunc(j.keys, func(k *syntax.Expr) bool { return sameTerm(k, t) }); i >= 0 {
			of := groups
			if j.padded {
				of = present
			}
			return column(of, keyName(i), t.At)
		}
		switch {
		case t.IsAggregate():
			return j.value(t)
		case t.Kind == syntax.Column:
			if named := syntax.Aliased(j.s.Items, t); named != nil && named != t && j.owner(t) < 0 {
				return j.outer(named)
			}
			j.failed = true
		case t.Kind == syntax.Subquery, t.Kind == syntax.Exists, t.Kind == syntax.InSubquery:
			j.failed = true
		}
		return nil
	})
}

func column(table, name string, at syntax.Position) *syntax.Expr {
	return &syntax.Expr{Kind: syntax.Column, At: at, Qualifier: table, Name: name}
}

// value is the release's column for an aggregate.
func (j *joining) value(t *syntax.Expr) *syntax.Expr {
	if j.ofPublic(t) {
		i := slices.IndexFunc(j.shown, t.Equal)
		if i < 0 {
			i = len(j.shown)
			j.shown = append(j.shown, t)
		}
		return column(present, shownName(i), t.At)
	}
	i := slices.IndexFunc(j.values, t.Equal)
	if i < 0 {
		i = len(j.values)
		j.values = append(j.values, t)
	}
	if len(j.one) > 0 && t.Find(func(t *syntax.Expr) bool { return j.ofOne(t) != nil }) != nil {
		j.failed = true // it is another value for each row
	}
	last := len(j.s.From) - 1
	if j.padded && (len(t.Args) == 0 || t.Args[0].Kind != syntax.Column || !j.reads(t, func(i int) bool { return i == last })) {
		j.failed = true // it may count a row without a patient, in which all columns are NULL
	}
	return column(groups, valueName(i), t.At)
}

// ofPublic reports whether an aggregate of the joined rows is that of the public rows before the join, each of which is
// joined at least once: it counts each value once.
func (j *joining) ofPublic(t *syntax.Expr) bool {
	last := len(j.s.From) - 1
	each := t.Name == "count" && t.Distinct || t.Name == "min" || t.Name == "max"
	return j.padded && j.keys != nil && each && len(t.Args) == 1 && t.Filter == nil && j.reads(t, func(i int) bool { return i < last })
}

// release is the query over these tables for the groups that have rows.
func (j *joining) release(from []syntax.From) syntax.From {
	in := &syntax.Select{At: j.s.At, From: from, Where: j.s.Where}
	for i, k := range j.keys {
		in.Items = append(in.Items, syntax.Item{Term: k, Alias: keyName(i)})
	}
	if j.keys != nil {
		in.GroupBy = [][]*syntax.Expr{j.keys}
	}
	return syntax.From{At: j.s.At, Query: &syntax.Query{At: j.s.At, Select: in}, Alias: groups}
}

func (j *joining) publicFirst() []syntax.From {
	s := j.s
	last := len(s.From) - 1
	t := s.From[last]
	if t.Join != syntax.LeftJoin || t.On == nil || t.Lateral || slices.ContainsFunc(s.From[:last], func(f syntax.From) bool { return f.Lateral || f.Using != nil || f.Natural }) {
		return nil
	}
	before := func(i int) bool { return i < last }
	if s.Where != nil && !j.reads(s.Where, before) {
		return nil
	}
	for _, k := range j.keys {
		if !j.reads(k, before) {
			return nil
		}
	}
	joined := slices.Clone(s.From)
	joined[last].Join = syntax.InnerJoin
	release := j.release(joined)
	if j.keys == nil {
		j.padded = true
		return []syntax.From{release}
	}
	all := &syntax.Select{At: s.At, Distinct: true, From: s.From[:last], Where: s.Where}
	var on *syntax.Expr
	for i, k := range j.keys {
		all.Items = append(all.Items, syntax.Item{Term: k, Alias: keyName(i)})
		differ := syntax.NewOperator("is distinct from", column(present, keyName(i), k.At), column(groups, keyName(i), k.At))
		same := syntax.NewOperator("not", differ)
		if on != nil {
			same = syntax.NewOperator("and", on, same)
		}
		on = same
	}
	j.padded = true
	release.Join, release.On = syntax.LeftJoin, on
	return []syntax.From{{At: s.At, Query: &syntax.Query{At: s.At, Select: all}, Alias: present}, release}
}

// largestJoined writes k IN (SELECT k … GROUP BY k … LIMIT 5) in WHERE as a join; nil where there is none. No row is
// joined twice: the query has each k once.
func largestJoined(q *syntax.Query, names []syntax.With) *syntax.Query {
	s := q.Select
	if len(s.GroupBy) != 1 || len(s.From) == 0 {
		return nil
	}
	one := *s
	one.Where = nil
	found := false
	for _, t := range s.Where.Conjuncts() {
		if t.Kind == syntax.InSubquery && len(t.Args) == 1 && !found {
			if top := passed(t.Query, names); top.Limit != nil && top.Select != nil && len(top.Select.GroupBy) == 1 && len(t.Query.Select.Items) == 1 {
				on := syntax.NewOperator("=", t.Args[0], column(largest, t.Query.Select.Items[0].Name(), t.At))
				one.From = append(slices.Clone(s.From), syntax.From{At: t.At, Query: top, Alias: largest, Join: syntax.InnerJoin, On: on, Written: len(s.From)})
				found = true
				continue
			}
		}
		if one.Where != nil {
			t = syntax.NewOperator("and", one.Where, t)
		}
		one.Where = t
	}
	if !found {
		return nil
	}
	out := *q
	out.Select = &one
	return &out
}

// passed is the query of WITH whose rows a query passes on, by the same names; else the query itself.
func passed(q *syntax.Query, names []syntax.With) *syntax.Query {
	s := q.Select
	if s == nil || !q.Bare() || len(s.From) != 1 || s.Where != nil || s.IsGrouped() || s.Distinct || s.Qualify != nil {
		return q
	}
	of := named(s.From[0], names)
	if of == nil || slices.ContainsFunc(s.Items, func(i syntax.Item) bool { return i.Term.Kind != syntax.Column || i.Name() != i.Term.Name }) {
		return q
	}
	return of
}

func (j *joining) largestGroups() []syntax.From {
	s := j.s
	last := len(s.From) - 1
	a := s.From[last]
	if a.Join != syntax.InnerJoin || a.On == nil || a.Query == nil || a.Query.Select == nil || a.Alias == "" || j.keys == nil || a.Lateral {
		return nil
	}
	inner := a.Query.Select
	if len(inner.GroupBy) != 1 || len(inner.GroupBy[0]) != 1 || a.Query.Limit == nil {
		return nil
	}
	on := a.On
	if on.Kind != syntax.Operator || on.Name != "=" {
		return nil
	}
	key, top := on.Args[0], on.Args[1]
	if j.owner(key) == last {
		key, top = top, key
	}
	at := slices.IndexFunc(j.keys, func(k *syntax.Expr) bool { return sameTerm(k, key) })
	if at < 0 || top.Kind != syntax.Column || j.owner(top) != last {
		return nil
	}
	// Each row has another key, so no row is joined twice.
	of := &joining{columns: j.columns, s: inner}
	k := of.key(inner.GroupBy[0][0])
	if !slices.ContainsFunc(inner.Items, func(i syntax.Item) bool {
		return strings.EqualFold(i.Name(), top.Name) && sameTerm(i.Term, k)
	}) {
		return nil
	}
	others := func(i int) bool { return i < last }
	if s.Where != nil && !j.reads(s.Where, others) || slices.ContainsFunc(j.keys, func(k *syntax.Expr) bool { return !j.reads(k, others) }) {
		return nil
	}
	a.Join, a.On = syntax.InnerJoin, syntax.NewOperator("=", column(groups, keyName(at), on.At), top)
	return []syntax.From{j.release(s.From[:last]), a}
}
