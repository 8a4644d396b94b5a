package compile

import (
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// Names of the steps before a select in which a patient's rows multiply, see fragment.Cap. No table is likely to have
// these names.
const (
	many = "intramuros_many" // the patients whose rows are cut, and how many of each relation stay
	side = "intramuros_side" // and a number: a derived relation that is cut
)

// capped is a relation whose rows are capped.
type capped struct {
	*compiler // of its relations alone
	fragment.Cap
	columns []string // that are read of it
}

// caps writes the steps before a select that caps some of its relations, and records what replaces each of them. Most
// patients have too few rows to be in any step: their rows are read as usual. Only the rows of the others are sorted.
func (c *compiler) caps(relations []fragment.Relation, filter *expr.Expr) string {
	caps, err := fragment.Caps(relations, filter, c.target.Catalog, c.memo)
	if err != nil {
		c.fail(err)
	}
	if len(caps) == 0 || err != nil {
		return ""
	}
	var steps []string
	var sides []capped
	for k, at := range caps {
		s := capped{Cap: at, columns: c.columns(relations[at.At].Name)}
		if s.compiler, err = c.target.compiler(at.Relations, c.memo); err != nil {
			c.fail(err)
			return ""
		}
		s.written, s.variables = c.written, c.variables
		s.reads(at.Patient, at.Filter)
		r := at.Relations[0]
		s.read[r.Name] = append(s.read[r.Name], s.columns...)
		if r.Query != nil {
			name := side + strconv.Itoa(k)
			sql := s.relation(r)
			for column, size := range s.sizes {
				c.sizes[column] = size
			}
			steps = append(steps, name+" AS"+c.target.Dialect.stored+" "+sql)
			s.instead[r.Name] = name
		}
		sides = append(sides, s)
	}
	steps = append(steps, c.multiplied(sides))
	cut := (*capped).cut
	if c.target.Dialect.stored == "" && (c.nested || slices.ContainsFunc(caps, func(at fragment.Cap) bool { return at.Relations[0].Query != nil })) {
		cut = (*capped).cutOnce
	}
	for k, s := range sides {
		c.instead[s.Relations[0].Name] = "(\n  " + indent(cut(&s, k)) + "\n)"
		if s.err != nil {
			c.fail(s.err)
		}
	}
	return "WITH " + strings.Join(steps, ",\n") + "\n"
}

// multiplied writes the step that lists the patients whose rows multiply beyond the limit, with the number of rows of
// each relation that stay.
func (c *compiler) multiplied(sides []capped) string {
	var counts []string
	totals, most := []column{{"patient", "patient"}}, []column{{"patient", "whose"}}
	over := ""
	for k, s := range sides {
		id := []column{{s.byBytes(s.comparable(s.Patient), s.Patient.Type), "patient"}}
		columns := []column{{"patient", "patient"}}
		left := strconv.Itoa(fragment.MaxPatientRows)
		for other := range sides {
			n := "n" + strconv.Itoa(other)
			if other == k {
				columns = append(columns, column{"count(*)", n})
				continue
			}
			columns = append(columns, column{"1", n})
			left = "(" + left + " " + c.target.Dialect.division + " " + n + ")"
		}
		n := "n" + strconv.Itoa(k)
		totals = append(totals, column{"max(" + n + ")", n})
		root := strconv.FormatInt(fragment.Root(len(sides)), 10)
		most = append(most, column{"greatest(" + left + ", " + root + ")", "most" + strconv.Itoa(k)})
		if k == 0 {
			over = n + " > " + left
		}
		counts = append(counts, selectFrom(columns, "(\n  "+indent(s.selectAll(s.Relations, s.Filter, id))+"\n) AS r", "patient IS NOT NULL", []string{"patient"}))
	}
	all := selectFrom(totals, "(\n  "+indent(strings.Join(counts, "\nUNION ALL\n"))+"\n) AS n", "", []string{"patient"})
	return many + " AS" + c.target.Dialect.stored + " (\n  " + indent(selectFrom(most, "(\n  "+indent(all)+"\n) AS n", over, nil)) + "\n)"
}

// cut writes the rows of relation k that stay. Most patients keep all rows. The others keep the first rows by a keyed
// hash of the columns that are read, and then by these columns. Ties are rows that do not differ.
func (s *capped) cut(k int) string {
	o := s.ordered()
	all := s.selectAll(s.Relations, s.Filter, o.plainly, o.id+" NOT IN (SELECT whose FROM "+many+")")
	placed := "SELECT *, " + o.place + "\nFROM (\n  " + indent(o.chosen) + "\n) AS r JOIN " + many + " ON whose = patient"
	return all + "\nUNION ALL\n" + selectFrom(o.kept, "(\n  "+indent(placed)+"\n) AS r", "place <= most"+strconv.Itoa(k), nil)
}

// cutOnce is cut, but sorts every patient's rows and so reads each step once. An engine that does not materialize steps
// computes a step at each reading: with nested joins, as often as the product of the readings.
func (s *capped) cutOnce(k int) string {
	o := s.ordered()
	most := "most" + strconv.Itoa(k)
	placed := "SELECT *, " + o.place + "\nFROM (\n  " + indent(o.chosen) + "\n) AS r LEFT JOIN " + many + " ON whose = patient\nWHERE patient IS NOT NULL"
	return selectFrom(o.kept, "(\n  "+indent(placed)+"\n) AS r", "(whose IS NULL OR place <= "+most+")", nil)
}

// ordered holds the columns by which a relation's rows are sorted.
type ordered struct {
	id            string   // the patient's
	plainly, kept []column // what is read from the relation and from chosen
	chosen        string   // the rows, with their hash and what is read
	place         string   // the name of the column with the rank among the patient's rows
}

func (s *capped) ordered() ordered {
	name := s.Relations[0].Name
	o := ordered{id: s.byBytes(s.comparable(s.Patient), s.Patient.Type)}
	rows := []column{{o.id, "patient"}}
	var types []value.Type
	order := []string{"choice"}
	for i, n := range s.columns {
		col, _ := s.tables[name].Column(n)
		e := expr.Column(name, col.Name, col.Type)
		raw, _ := s.storedColumn(e)
		key, stays := "k"+strconv.Itoa(i), "c"+strconv.Itoa(i)
		rows = append(rows, column{s.byBytes(s.comparable(e), e.Type), key}, column{raw, stays})
		o.plainly, o.kept = append(o.plainly, column{raw, s.name(col.Name)}), append(o.kept, column{stays, s.name(col.Name)})
		types, order = append(types, e.Type), append(order, key)
	}
	o.chosen = "SELECT *, " + s.target.Dialect.choice(s.Patient.Type, types) + " AS choice\nFROM (\n  " + indent(s.selectAll(s.Relations, s.Filter, rows)) + "\n) AS r"
	o.place = "row_number() OVER (PARTITION BY patient ORDER BY " + strings.Join(order, ", ") + ") AS place"
	return o
}
