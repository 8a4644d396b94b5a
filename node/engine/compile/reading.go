package compile

import (
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// Reading returns the SQL of a lookup: the columns of its relation, which t describes, in their order. Errors are those
// of Fragment.
func (t *Target) Reading(r *fragment.Reading, columns *catalog.Table) (string, error) {
	relation := fragment.Relation{Name: "answer", Query: r.Relation}
	c, err := t.compiler([]fragment.Relation{relation}, fragment.NewMemo(nil))
	if err != nil {
		return "", err
	}
	all := make([]*expr.Expr, len(columns.Columns))
	answer := make([]column, len(all))
	places := map[string]*expr.Expr{}
	for i, col := range columns.Columns {
		all[i] = expr.Column(relation.Name, col.Name, col.Type)
		places[strings.ToLower(col.Name)] = all[i]
	}
	c.reads(all...)
	for i, e := range all {
		sql := c.comparable(e)
		if t.Dialect.days && isDay(e.Type) {
			sql = "CAST(" + sql + " AS " + c.sqlType(value.TypeText) + ")"
		}
		answer[i] = column{sql, "c" + strconv.Itoa(i)}
	}
	var order []string
	for _, place := range r.Places(columns) {
		e := places[strings.ToLower(place.Column)]
		s := c.byBytes(c.comparable(e), e.Type)
		if place.Descending {
			s += " DESC"
		}
		if place.NullsFirst {
			s += " NULLS FIRST"
		} else {
			s += " NULLS LAST"
		}
		order = append(order, s)
	}
	sql := c.selectAll([]fragment.Relation{relation}, nil, answer) + "\nORDER BY " + strings.Join(order, ", ")
	if r.Offset > 0 {
		sql += "\nOFFSET " + strconv.Itoa(r.Offset)
	}
	sql += "\nLIMIT " + strconv.Itoa(r.Limit)
	return unmarked(sql), c.err
}
