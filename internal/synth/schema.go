package synth

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed omop54.txt
var omop54 string

// column is one column of OMOP CDM 5.4, with its DuckDB type.
type column struct {
	name, kind string
	required   bool
}

// table is one OMOP table, with its columns in the order of the specification.
type table struct {
	name    string
	columns []column
}

// tables reads the table definitions: one line per table, and then an indented line per column with its name, its type,
// and "required" where OMOP says NOT NULL.
func tables() []table {
	var all []table
	for line := range strings.Lines(omop54) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || strings.HasPrefix(line, "#"):
		case !strings.HasPrefix(line, " "):
			all = append(all, table{name: fields[0]})
		default:
			t := &all[len(all)-1]
			t.columns = append(t.columns, column{fields[0], fields[1], len(fields) > 2})
		}
	}
	return all
}

// complete wraps a query that yields some of the table's columns into one that yields all of them, in order and with
// their types, with NULL where the query has none.
func (t table) complete(query string, yields []string) (string, error) {
	given := make(map[string]bool, len(yields))
	for _, name := range yields {
		given[name] = true
	}
	var list []string
	for _, c := range t.columns {
		value := "NULL"
		if given[c.name] {
			value = c.name
			delete(given, c.name)
		} else if c.required {
			return "", fmt.Errorf("table %s: the query leaves out %s, which OMOP CDM 5.4 requires", t.name, c.name)
		}
		list = append(list, fmt.Sprintf("CAST(%s AS %s) AS %s", value, c.kind, c.name))
	}
	for name := range given {
		return "", fmt.Errorf("table %s: the query yields %s, which OMOP CDM 5.4 does not have", t.name, name)
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM (" + query + ")", nil
}
