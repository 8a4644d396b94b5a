package dictionary

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/sqltoken"
)

// types maps PostgreSQL's types to DuckDB's.
var types = map[string]string{
	"bool": "BOOLEAN", "boolean": "BOOLEAN", "int2": "SMALLINT", "smallint": "SMALLINT", "int4": "INTEGER", "int": "INTEGER", "integer": "INTEGER", "int8": "BIGINT", "bigint": "BIGINT",
	"float4": "FLOAT", "real": "FLOAT", "float8": "DOUBLE", "text": "VARCHAR", "varchar": "VARCHAR", "name": "VARCHAR", "char": "VARCHAR", "bpchar": "VARCHAR",
	"oid": "UINTEGER", "regproc": "VARCHAR", "regprocedure": "VARCHAR", "regnamespace": "VARCHAR", "regrole": "VARCHAR", "regoper": "VARCHAR", "date": "DATE", "timestamp": "TIMESTAMP",
	"numeric": "DOUBLE", "anyarray": "VARCHAR", "cstring": "VARCHAR", "xid": "UINTEGER", "sql_identifier": "VARCHAR", "character_data": "VARCHAR", "cardinal_number": "INTEGER",
	"int2vector": "SMALLINT[]", "oidvector": "UINTEGER[]", "unknown": "VARCHAR", "json": "VARCHAR", "jsonb": "VARCHAR",
}

// isList reports whether a text is the whole operand of ANY or ALL, and so an array.
func (r *rewriter) isList() bool {
	if r.at < 2 || !r.tokens[r.at-1].Is("(") || !r.peek(1).Is(")") || !strings.HasPrefix(r.peek(0).Value(), "{") {
		return false
	}
	by := r.tokens[r.at-2]
	return by.Is("any") || by.Is("all") || by.Is("some")
}

// isAnyOf reports = ANY(list) after a simple operand, if the list is a column.
func (r *rewriter) isAnyOf() bool {
	if r.operand < 0 || !r.peek(1).Is("any") || !r.peek(2).Is("(") || r.peek(3).Name() == "" {
		return false
	}
	return r.peek(4).Is(")") || r.peek(4).Is(".") && r.peek(5).Name() != "" && r.peek(6).Is(")")
}

// anyOf writes = ANY(list) as a function. For DuckDB it would be a subquery, which an outer join may not have.
func (r *rewriter) anyOf() {
	from := r.operand
	operand := strings.Join(r.out[from:], " ")
	r.out = r.out[:from]
	list := r.sql[r.peek(3).Start:r.peek(3).End]
	r.at += 5
	if r.tokens[r.at-1].Is(".") {
		list += "." + r.sql[r.peek(0).Start:r.peek(0).End]
		r.at += 2
	}
	r.emit("list_contains( "+list+" , "+operand+" )", false)
}

// isMatch reports whether an operator matches a regular expression.
func isMatch(symbol string) bool {
	return symbol == "~" || symbol == "~*" || symbol == "!~" || symbol == "!~*"
}

// match writes a match of a regular expression. DuckDB's ~ matches the whole text, so a constant pattern without
// anchors is widened.
func (r *rewriter) match(symbol string) {
	fold := strings.HasSuffix(symbol, "*")
	if strings.HasPrefix(symbol, "!") {
		r.emit("!~", false)
	} else {
		r.emit("~", false)
	}
	t := r.peek(0)
	if t.Kind != sqltoken.String {
		return
	}
	r.at++
	pattern := t.Value()
	if !strings.HasPrefix(pattern, "^") {
		pattern = ".*(" + pattern
	} else {
		pattern = "(" + pattern
	}
	if strings.HasSuffix(pattern, "$") {
		pattern += ")"
	} else {
		pattern += ").*"
	}
	if fold {
		pattern = "(?i)" + pattern
	}
	r.emit(quote(pattern), true)
}

// castAs writes AS type within CAST( ). DuckDB has no regclass. A name or a number becomes a table's OID, and the name
// again if that is cast to a text.
func (r *rewriter) castAs(name string) {
	start := r.casts[len(r.casts)-1]
	class := len(r.out) > start+2 && r.out[start+2] == toClass
	switch {
	case name == "regclass":
		r.out[start] = toClass
	case name == "regtype":
		r.out[start] = toType
	case name == "VARCHAR" && class:
		r.out[start+2] = "pgc.to_name"
		r.emit("AS", false)
		r.emit(name, false)
	default:
		r.emit("AS", false)
		r.emit(name, false)
	}
}

// formatted writes format(…) as printf, in which names are ordinary texts.
func (r *rewriter) formatted() {
	r.at++
	r.emit("printf", false)
	if t := r.peek(1); t.Kind == sqltoken.String {
		r.at += 2
		r.opened, r.from = append(r.opened, other), append(r.from, false)
		r.emit("(", false)
		r.emit(quote(strings.ReplaceAll(t.Value(), "%I", "%s")), true)
	}
}

// typeName reads a type and returns DuckDB's name of it.
func (r *rewriter) typeName() string {
	if (r.peek(0).Name() == "pg_catalog" || r.peek(0).Name() == "information_schema") && r.peek(1).Is(".") {
		r.at += 2
	}
	name := r.peek(0).Name()
	r.at++
	switch {
	case name == "double" && r.peek(0).Is("precision"), name == "character" && r.peek(0).Is("varying"):
		r.at++
		name = map[string]string{"double": "float8", "character": "text"}[name]
	case name == "timestamp" && (r.peek(0).Is("without") || r.peek(0).Is("with")):
		r.at += 3
	}
	if r.peek(0).Is("(") { // varchar(63)
		for r.at < len(r.tokens) && !r.peek(0).Is(")") {
			r.at++
		}
		r.at++
	}
	mapped, ok := types[name]
	if !ok {
		mapped = name
	}
	if r.peek(0).Is("[") && r.peek(1).Is("]") {
		r.at += 2
		mapped += "[]"
	}
	return mapped
}

// cast writes ::type after an operand. A name that is cast to regclass or regtype is looked up now. A number becomes
// the name.
func (r *rewriter) cast() error {
	start := r.at
	if start >= len(r.tokens) {
		return fmt.Errorf("%w: a cast to nothing", ErrNotCovered)
	}
	name := r.typeName()
	r.at = min(r.at, len(r.tokens))
	if list := strings.HasSuffix(name, "[]"); list && r.operand == len(r.out)-1 && strings.HasPrefix(r.out[r.operand], "'{") {
		r.out[r.operand] = "CAST(" + listOf(r.out[r.operand]) + " AS " + name + ")"
		return nil
	}
	if name == "UINTEGER" && r.operand >= 0 && functionColumns[r.tokens[start-2].Name()] { // a function's number, and none is here
		r.out = append(r.out[:r.operand], "CAST(0 AS UINTEGER)")
		return nil
	}
	if name != "regclass" && name != "regtype" {
		if name != strings.ToLower(name) || types[name] != "" || strings.HasSuffix(name, "[]") {
			r.out = append(r.out, "::"+name)
			return nil
		}
		return fmt.Errorf("%w: the type %s", ErrNotCovered, r.sql[r.tokens[start].Start:r.tokens[r.at-1].End])
	}
	if r.operand < 0 {
		r.out = append(r.out, "::VARCHAR")
		return nil
	}
	operand := strings.Join(r.out[r.operand:], " ")
	from := r.operand
	r.out = r.out[:from]
	switch {
	case strings.HasPrefix(operand, "'"):
		text := strings.ReplaceAll(strings.Trim(operand, "'"), "''", "'")
		oid := "NULL::UINTEGER"
		if n, err := strconv.ParseUint(text, 10, 32); err == nil {
			oid = strconv.FormatUint(n, 10) + "::UINTEGER"
		} else if n, ok := r.d.lookup(name, text); ok {
			oid = strconv.FormatUint(uint64(n), 10) + "::UINTEGER"
		}
		r.out = append(r.out, oid)
	case operand[0] == '$': // as a name or a number comes
		r.out = append(r.out, map[string]string{"regclass": toClass, "regtype": toType}[name]+"( "+operand+" )")
	case name == "regclass":
		r.out = append(r.out, "pgc.regclass_name( "+operand+" )")
	default:
		r.out = append(r.out, "pgc.format_type( "+operand+" , -1)")
	}
	r.operand = from
	return nil
}

// listOf writes '{a,b}' as a list.
func listOf(literal string) string {
	inner := strings.Trim(literal, "'{}")
	if inner == "" {
		return "[]"
	}
	return "['" + strings.ReplaceAll(inner, ",", "', '") + "']"
}
