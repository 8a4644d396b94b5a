package syntax

import (
	"slices"
	"strings"
)

// maxFullJoins bounds the FULL JOINs in one FROM. Each is written as two joins of its operands.
const maxFullJoins = 4

// fullJoin rewrites a FULL JOIN b ON c so that each row has the patient of one side:
//
//	SELECT * FROM a LEFT JOIN b ON c UNION ALL SELECT * FROM b LEFT JOIN a ON c WHERE a is not there
//
// To test that a is missing, it takes an equality in c with one side that reads only a and is NULL if a's columns are.
// That side is NULL exactly if a is missing.
func (p *parser) fullJoin(left, right []From, how From, at Position) From {
	if how.Natural {
		Refuse(CodeNotSupported, at, "write FULL JOIN … USING (column)", "a NATURAL FULL JOIN is not answered")
	}
	if len(left) > 1 || len(right) > 1 {
		Refuse(CodeNotSupported, at, "join derived tables instead: FULL JOIN (SELECT … FROM … JOIN …) AS d", "a FULL JOIN of joined tables is not answered")
	}
	l, r := left[0], right[0]
	if p.fullJoins++; p.fullJoins > maxFullJoins {
		Refuse(CodeTooLarge, at, "ask it in several queries", "a query has more than %d of FULL JOIN", maxFullJoins)
	}
	if l.Lateral || r.Lateral || l.Function != nil || r.Function != nil {
		Refuse(CodeNotSupported, at, "join tables or derived tables", "a FULL JOIN of these is not answered")
	}
	for _, f := range []From{l, r} {
		if f.Alias == "" && f.Tables == nil {
			Refuse(CodeSyntax, f.At, "write AS and a name after it", "a derived table of a FULL JOIN needs a name")
		}
	}
	var merged [2][]Item // for each side: the columns that USING merges
	on := how.On
	for _, c := range how.Using {
		if l.Tables != nil {
			Refuse(CodeNotSupported, c.At, "write ON with a condition", "USING after another FULL JOIN is not answered")
		}
		a, b := c.Of(l.Alias), c.Of(r.Alias)
		for i, x := range []*Expr{a, b} {
			merged[i] = append(merged[i], Item{Term: x, Alias: c.Name})
		}
		equal := NewOperator("=", a, b)
		if on != nil {
			equal = NewOperator("and", on, equal)
		}
		on = equal
	}
	var joint []jointColumn
	within := reader(slices.Concat(l.joint, r.joint))
	equalities(on, func(a, b *Expr) {
		if reads(b, l.Names(), true) {
			a, b = b, a
		}
		// of several candidates that may differ, the choice depends on the order
		one := within(a).Kind == Column && within(b).Kind == Column
		if of := append(coalesced(a), coalesced(b)...); one && !slices.Contains(of, "") && reads(a, l.Names(), true) && reads(b, r.Names(), true) {
			slices.Sort(of)
			j := jointColumn{name: strings.Join(of, " = "), of: of}
			joint = append(joint, j)
			for i, x := range []*Expr{a, b} {
				merged[i] = append(merged[i], Item{Term: within(x), Alias: j.name, Joint: true})
			}
		}
	})
	side := presence(on, l.Names(), func(e *Expr) bool { return strict(within(e)) })
	if side == nil {
		Refuse(CodeNotSupported, on.At, "write a.x = b.y, with each column's table before it, joined by AND with what else must hold",
			"ON of this FULL JOIN has no equality of a column of %s with one of the other table", l.Names()[0])
	}
	on, side = within(on), within(side)
	absent := NewOperator("is null", side)
	arm := func(first, second From, merged []Item, where *Expr) *Query {
		first.Join, first.On, first.Using = NoJoin, nil, nil
		second.Join, second.On, second.Using = LeftJoin, on, nil
		star := Item{Term: &Expr{Kind: Star, At: at}}
		return &Query{At: at, Select: &Select{At: at, Qualified: true, Items: append(slices.Clone(merged), star), From: []From{first, second}, Where: where}}
	}
	both := &SetOperation{At: at, Operator: "union", All: true, Left: arm(l, r, merged[0], nil), Right: arm(r, l, merged[1], absent)}
	return From{At: l.At, Query: &Query{At: at, SetOperation: both}, Tables: append(l.Names(), r.Names()...), joint: joint, Written: l.Written}
}

// Names are the names by which the columns of this element of FROM can be read.
func (f From) Names() []string {
	if f.Tables != nil {
		return slices.Clone(f.Tables)
	}
	return []string{f.Alias}
}

// Of is a column of the table.
func (t *Expr) Of(table string) *Expr {
	copied := *t
	copied.Qualifier = table
	return &copied
}

// equalities calls fn with both sides of each equality that must hold.
func equalities(on *Expr, fn func(a, b *Expr)) {
	for _, c := range on.Conjuncts() {
		if c.Kind == Operator && c.Name == "=" {
			fn(c.Args[0], c.Args[1])
		}
	}
}

// presence returns a side of an equality that reads columns of these tables only, while the other side reads none of
// them. It is NULL if these columns are. It returns nil if there is none.
func presence(on *Expr, tables []string, strict func(*Expr) bool) (side *Expr) {
	equalities(on, func(a, b *Expr) {
		switch {
		case reads(a, tables, true) && reads(b, tables, false) && strict(a):
			side = a
		case reads(b, tables, true) && reads(a, tables, false) && strict(b):
			side = b
		}
	})
	return side
}

// strict reports whether an expression is NULL if a column that it reads is NULL. COALESCE is not strict.
func strict(e *Expr) bool {
	switch {
	case e.Kind == Column:
		return true
	case e.Kind == Literal:
		return e.Literal.Valid()
	case e.Kind == Cast, e.Kind == Operator && slices.Contains([]string{"+", "-", "*", "/", "%", "neg"}, e.Name):
		return !slices.ContainsFunc(e.Args, func(a *Expr) bool { return !strict(a) })
	}
	return false
}

// coalesced lists the columns in COALESCE, or the column itself. It is empty for any other expression.
func coalesced(e *Expr) []string {
	switch {
	case e.Kind == Column && e.Qualifier != "":
		return []string{e.Qualifier + "." + e.Name}
	case e.Kind == Call && slices.Contains([]string{"coalesce", "ifnull", "nvl"}, e.Name) && e.Over == nil && e.Filter == nil:
		var all []string
		for _, a := range e.Args {
			all = append(all, coalesced(a)...)
		}
		return all
	}
	return []string{""}
}

// readJoint replaces COALESCE of columns that a FULL JOIN says are equal by the column that holds it. So a patient's id
// is recognised on either side.
func (s *Select) readJoint() {
	var joint []jointColumn
	for _, f := range s.From {
		joint = append(joint, f.joint...)
	}
	if joint == nil {
		return
	}
	read := reader(joint)
	for i, item := range s.Items {
		if item.Term.Kind == Call { // may become a column, which has another name
			s.Items[i].Alias = item.Name()
		}
		s.Items[i].Term = read(item.Term)
	}
	s.Where, s.Having, s.Qualify = read(s.Where), read(s.Having), read(s.Qualify)
	for _, set := range s.GroupBy {
		for i, e := range set {
			set[i] = read(e)
		}
	}
	for i := range s.From {
		s.From[i].On = read(s.From[i].On)
	}
}

// reader returns a function that replaces COALESCE by the joint column that holds it; nil stays nil.
func reader(joint []jointColumn) func(*Expr) *Expr {
	read := func(e *Expr) *Expr {
		if e.Kind != Call {
			return nil
		}
		of := coalesced(e)
		slices.Sort(of)
		for _, j := range joint {
			if slices.Equal(of, j.of) {
				return &Expr{Kind: Column, At: e.At, Name: j.name}
			}
		}
		return nil
	}
	return func(e *Expr) *Expr {
		if e == nil || joint == nil {
			return e
		}
		return e.Rewrite(read)
	}
}

// reads reports whether an expression reads at least one column, and only columns of these tables, or (if ofThese is
// false) none of these tables.
func reads(e *Expr, tables []string, ofThese bool) bool {
	columns, all := 0, true
	e.Walk(func(t *Expr) bool {
		switch t.Kind {
		case Column:
			columns++
			all = all && t.Qualifier != "" && slices.Contains(tables, t.Qualifier) == ofThese
		case Subquery, Exists, InSubquery, Star:
			all = false
		}
		return true
	})
	return all && columns > 0
}
