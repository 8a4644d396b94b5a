package compile

import (
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
)

// Trino compiles what a join tests into one method, and fails where that is larger than the JVM's methods may be (64
// KiB). Into it goes whatever is asked of the joined rows, at any place above: a condition that reads a column is moved
// down to the join and reads what the column is computed from. So of a select that computes much, what is long is
// computed beside the join, by an UNNEST, which no condition passes. How long the SQL is decides it, thus the statement
// alone.

// beside names the relation of what is computed beside a join.
const beside = "intramuros_beside"

// short is how long a column or a condition may be that stays in its place even where there is much.
const short = 256

// joined is what a select gives, and what it tests.
type joined struct {
	columns []column
	on      []string // of each relation; empty: none
	where   []string
	arrays  []string // what is computed beside the joins
}

// join writes the columns and tests of a select.
func (c *compiler) join(relations []fragment.Relation, filter *expr.Expr, columns []column) joined {
	j := joined{columns: columns, on: make([]string, len(relations))}
	total := 0
	for i, r := range relations {
		if r.On != nil {
			j.on[i] = c.strict(r.On)
			total += len(j.on[i])
		}
	}
	if filter != nil {
		j.where = []string{c.strict(filter)}
		total += len(j.where[0])
	}
	for _, col := range columns {
		total += len(col.sql)
	}
	if most := c.target.Dialect.joins; most > 0 && total > most && (len(relations) > 1 || relations[0].Query != nil) {
		c.moveBeside(&j, relations, filter)
	}
	return j
}

// moveBeside computes beside the joins what is long. The condition of a left join says which rows are joined, and can
// be nowhere else.
func (c *compiler) moveBeside(j *joined, relations []fragment.Relation, filter *expr.Expr) {
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
			if sql := c.strict(e); len(sql) <= short {
				stay = append(stay, sql)
			} else {
				j.where = append(j.where, moved(sql))
			}
		}
		j.on[i] = strings.Join(stay, " AND ")
	}
	for _, e := range expr.Conjuncts(filter) {
		j.where = append(j.where, moved(c.strict(e)))
	}
	j.columns = slices.Clone(j.columns)
	for i, col := range j.columns {
		if !c.folded[col.name] {
			j.columns[i].sql = moved(col.sql)
		}
	}
}

// unnest is the relation of what is computed beside the joins; empty: there is none.
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
