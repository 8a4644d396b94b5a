package planner

import "strings"

// refuseUnplanned refuses what is read but not planned yet, so that no part of a
// statement is ever ignored.
func refuseUnplanned(s *statementSyntax) {
	if s.kind != statementSelect {
		refuse(CodeNotSupported, s.at, "write one SELECT", "this statement is not answered yet")
	}
	for _, h := range s.hints {
		refuse(CodeNotSupported, h.at, "set it beside the query", "hints are not answered yet")
	}
	for _, p := range s.parameters {
		refuse(CodeNotSupported, p.at, "write the value", "parameters are not answered yet")
	}
	q := s.query
	for _, w := range q.with {
		refuse(CodeNotSupported, w.at, "write the subquery's joins and conditions into one SELECT", "WITH is not answered yet")
	}
	if q.combined != nil {
		refuse(CodeNotSupported, q.combined.at, "run the queries one by one", "%s is not answered yet", strings.ToUpper(q.combined.operator))
	}
	x := q.selected
	if x.distinct {
		refuse(CodeNotSupported, x.at, "use GROUP BY", "SELECT DISTINCT is not answered yet")
	}
	for _, item := range x.items {
		refuseUnplannedTerm(item.term)
	}
	for _, f := range x.from {
		switch {
		case f.query != nil:
			refuse(CodeNotSupported, f.at, "write its joins and conditions into this SELECT", "a subquery in FROM is not answered yet")
		case f.function != nil:
			refuse(CodeNotSupported, f.at, "", "%s is not answered yet", strings.ToUpper(f.function.name))
		case f.columns != nil:
			refuse(CodeNotSupported, f.at, "use the catalog's names", "names for a table's columns are not answered yet")
		case f.using != nil || f.natural:
			refuse(CodeNotSupported, f.at, "write JOIN … ON a.column = b.column", "USING and NATURAL are not answered yet")
		}
		refuseUnplannedTerm(f.on)
	}
	refuseUnplannedTerm(x.where)
	for i, set := range x.groupBy {
		for _, t := range set {
			refuseUnplannedTerm(t)
			if i > 0 {
				refuse(CodeNotSupported, t.at, "group by each set in a query of its own", "several sets to group by are not answered yet")
			}
		}
		if len(x.groupBy) > 1 && len(set) == 0 {
			refuse(CodeNotSupported, x.at, "group by each set in a query of its own", "several sets to group by are not answered yet")
		}
	}
	refuseUnplannedTerm(x.having)
	if x.qualify != nil {
		refuse(CodeNotSupported, x.qualify.at, "window functions are not answered", "QUALIFY is not answered yet")
	}
	for _, o := range q.orderBy {
		refuseUnplannedTerm(o.term)
		if o.nulls != "" && (o.nulls == "first") != o.descending {
			refuse(CodeNotSupported, o.term.at, "leave it out", "NULLS %s is not answered yet in this direction", strings.ToUpper(o.nulls))
		}
	}
}

func refuseUnplannedTerm(t *termSyntax) {
	if t == nil {
		return
	}
	switch {
	case t.kind == termQuery || t.kind == termExists || t.kind == termInQuery:
		refuse(CodeNotSupported, t.at, "write the values, or join the table", "a subquery is not answered yet")
	case t.kind == termOperator && operators[t.name] == "":
		refuse(CodeNotSupported, t.at, "", "the operator %s is not answered yet", strings.ToUpper(t.name))
	case t.filter != nil:
		refuse(CodeNotSupported, t.filter.at, "write SUM(CASE WHEN condition THEN 1 ELSE 0 END)", "FILTER is not answered yet")
	case t.over != nil:
		refuse(CodeNotSupported, t.over.at, "aggregate with GROUP BY", "window functions are not answered yet")
	}
	for _, a := range t.args {
		refuseUnplannedTerm(a)
	}
}
