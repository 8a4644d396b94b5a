package compile

import (
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
)

// Trino compiles the condition and the outputs of a join into one method of the JVM and fails if that method is larger
// than 64 KiB. Expressions above the join count as well: the optimizer moves a condition down to the join and replaces
// each column by its definition. So a select that computes much computes its long expressions beside the join, in an
// UNNEST. The optimizer moves no condition through an UNNEST. The length of the SQL decides, and that depends on the
// statement alone, never on data.

// beside is the alias of the relation that is computed beside a join.
const beside = "intramuros_beside"

// short is the length in bytes up to which a column or a condition stays in its place.
const short = 256

// joined holds the columns and conditions of a select.
type joined struct {
	columns []column
	on      []string // of each relation; empty: none
	where   []string
	arrays  []string // what is computed beside the joins
}

// join returns the columns and conditions of a select.
func (c *compiler) join(relations []fragment.Relation, filter *expr.Expr, columns []column) joined {
	j := joined{columns: columns, on: make([]string, len(relations))}
	total := 0
	for i, r := range relations {
		if r.On != nil {
			j.on[i] = c.finiteOrNull(r.On)
			total += len(j.on[i])
		}
	}
	if filter != nil {
		j.where = []string{c.finiteOrNull(filter)}
		total += len(j.where[0])
	}
	for _, col := range columns {
		total += len(col.sql)
	}
	if most := c.target.Dialect.joins; most > 0 && total > most && (len(relations) > 1 || relations[0].Query != nil) {
		c.moveIntoUnnest(&j, relations, filter)
	}
	return j
}

// moveIntoUnnest moves long expressions of the joins into the UNNEST. The condition of a left join says which rows
// match, so it cannot move.
func (c *compiler) moveIntoUnnest(j *joined, relations []fragment.Relation, filter *expr.Expr) {
	moved := func(sql string) string {
		if len(sql) <= short {
			return sql
		}
		j.arrays = append(j.arrays, "ARRAY["+sql+"]")
		return beside + ".z" + strconv.Itoa(len(j.arrays)-1)
	}
	j.where = nil
	for i, r := range relations {
		if r.Join == fragment.JoinLeft && len(j.on[i]) > c.target.Dialect.joins {
			c.fail(tooLarge(r.On))
		}
		if r.Join != fragment.JoinInner || len(j.on[i]) <= short {
			continue
		}
		stay := []string{"TRUE"}
		for _, e := range expr.Conjuncts(r.On) {
			if sql := c.finiteOrNull(e); len(sql) <= short {
				stay = append(stay, sql)
			} else {
				j.where = append(j.where, moved(sql))
			}
		}
		j.on[i] = strings.Join(stay, " AND ")
	}
	for _, e := range expr.Conjuncts(filter) {
		j.where = append(j.where, moved(c.finiteOrNull(e)))
	}
	j.columns = slices.Clone(j.columns)
	for i, col := range j.columns {
		if !c.folded[col.name] {
			j.columns[i].sql = moved(col.sql)
		}
	}
}

// unnest returns the relation that computes beside the joins, or "" if there is none.
func (j *joined) unnest() string {
	if len(j.arrays) == 0 {
		return ""
	}
	names := make([]string, len(j.arrays))
	for i := range names {
		names[i] = "z" + strconv.Itoa(i)
	}
	return "\nCROSS JOIN UNNEST(" + strings.Join(j.arrays, ", ") + ") AS " + beside + " (" + strings.Join(names, ", ") + ")"
}
