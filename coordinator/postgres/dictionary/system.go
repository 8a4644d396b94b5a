package dictionary

import (
	"strconv"

	"github.com/intramuros/intramuros/internal/sqltoken"
)

// systemColumns are columns that every table of PostgreSQL has and SELECT * leaves out, with their values here. Rows
// have neither place nor version here. tableoid is the OID of the row's system catalog.
var systemColumns = map[string]string{
	"ctid": "'(0,1)'", "xmin": "CAST(0 AS UINTEGER)", "xmax": "CAST(0 AS UINTEGER)", "cmin": "CAST(0 AS UINTEGER)", "cmax": "CAST(0 AS UINTEGER)", "tableoid": "",
}

// ranges finds the system catalogs that a statement reads, by their aliases and names.
func ranges(tokens []sqltoken.Token) map[string]string {
	found := map[string]string{}
	for i, t := range tokens {
		name := t.Name()
		if !relations[name] {
			continue
		}
		before := i - 1
		if before > 0 && tokens[before].Is(".") {
			before -= 2
		}
		if before < 0 || !tokens[before].Is("from") && !tokens[before].Is("join") && !tokens[before].Is(",") && !tokens[before].Is("(") {
			continue
		}
		found[name] = name
		next := i + 1
		if next < len(tokens) && tokens[next].Is("as") {
			next++
		}
		if next < len(tokens) && tokens[next].Name() != "" && !keywords[tokens[next].Name()] && !clauses[tokens[next].Name()] {
			found[tokens[next].Name()] = name
		}
	}
	return found
}

// systemColumn writes a system column of a system catalog, with or without an alias before it.
func (r *rewriter) systemColumn(name string, after bool) bool {
	held, ok := systemColumns[name]
	if !ok || r.peek(1).Is("(") || r.at > 0 && r.tokens[r.at-1].Is("as") {
		return false
	}
	of := ""
	switch {
	case after && r.at >= 2:
		of = r.ranges[r.tokens[r.at-2].Name()]
	case len(r.ranges) > 0: // of the only catalog that is read, or of any
		for _, relation := range r.ranges {
			of = max(of, relation)
		}
	}
	if of == "" {
		return false
	}
	if name == "tableoid" {
		held = "CAST(" + strconv.FormatUint(uint64(wellKnown[of]), 10) + " AS UINTEGER)"
	}
	if after {
		r.out = r.out[:len(r.out)-2] // the alias and the dot
		r.operand = -1
	}
	bare := r.listed()
	r.at++
	if r.emit(held, true); bare {
		r.emit("AS "+name, false)
	}
	return true
}

// listed reports whether the column stands alone in a select list, and so names the answer's column.
func (r *rewriter) listed() bool {
	before := r.at - 1
	if before > 0 && r.tokens[before].Is(".") {
		before -= 2
	}
	next := r.peek(1)
	return !r.from[len(r.from)-1] && r.selecting && before >= 0 && (r.tokens[before].Is("select") || r.tokens[before].Is(",")) && (next.Is(",") || next.Is("from"))
}
