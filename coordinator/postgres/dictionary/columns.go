package dictionary

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/internal/value"
)

// OIDOf returns the OID of a column's type.
func OIDOf(t value.Type) uint32 {
	switch t {
	case value.TypeBool:
		return OIDBool
	case value.TypeInt:
		return OIDInt8
	case value.TypeFloat:
		return OIDFloat8
	case value.TypeDate:
		return OIDDate
	case value.TypeTimestamp:
		return OIDTimestamp
	}
	return OIDText
}

// describe returns what is known of the statement before it runs.
func describe(s *duckdb.Stmt) (*result, error) {
	kind, err := s.StatementType()
	if err != nil {
		return nil, err
	}
	if kind != duckdb.STATEMENT_TYPE_SELECT {
		return nil, errors.New("it is no SELECT")
	}
	t := &result{Parameters: s.NumInput()}
	n, err := s.ColumnCount()
	if err != nil {
		return nil, err
	}
	for i := range n {
		name, err := s.ColumnName(i)
		if err != nil {
			return nil, err
		}
		if kind, err := s.ColumnType(i); err == nil && kind == duckdb.TYPE_INVALID {
			return &result{Parameters: t.Parameters, Untyped: true}, nil
		}
		kind, err := s.ColumnTypeInfo(i)
		if err != nil {
			return nil, err
		}
		t.Columns = append(t.Columns, Column{columnName(name), oidOf(kind)})
	}
	return t, nil
}

// withoutParameters replaces each parameter by NULL.
func withoutParameters(text string) string {
	var b strings.Builder
	end := 0
	for _, t := range sqltoken.Tokens(text) {
		if t.Kind == sqltoken.Parameter {
			b.WriteString(text[end:t.Start] + "NULL")
			end = t.End
		}
	}
	return b.String() + text[end:]
}

// named finds the column's name in a name of DuckDB's for a cast to regclass.
var named = regexp.MustCompile(`^pgc\.regclass_name\((?:.*\.)?"?([a-z_]+)"?\)$`)

// called finds the function's name in DuckDB's name of a column without an alias.
var called = regexp.MustCompile(`(?s)^(?:pgc\.)?"?([a-z_]+)"?\(.*\)$`)

// ours maps our functions to the casts or functions of PostgreSQL that they implement.
var ours = map[string]string{"to_class": "regclass", "to_type": "regtype", "to_name": "text", "regclass_name": "regclass", "printf": "format", "count_star": "count"}

// In DuckDB's name of a column, cast finds the operand of a cast, field the field of a row, and bare a column with its
// table.
var (
	cast  = regexp.MustCompile(`(?s)^CAST\((.+) AS [A-Z_]+(?:\[\])*\)$`)
	field = regexp.MustCompile(`(?s)^\(.+\)\."?([a-z_]+)"?$`)
	bare  = regexp.MustCompile(`^(?:"?[a-z_0-9]+"?\.)*"?([a-z_][a-z_0-9]*)"?$`)
)

func columnName(name string) string {
	if m := cast.FindStringSubmatch(name); m != nil && !strings.HasPrefix(name, "CAST(json_object(") {
		if of := bare.FindStringSubmatch(m[1]); len(of) > 1 && of[1] != "null" {
			return of[1]
		}
		return columnName(m[1])
	}
	if m := field.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	if m := named.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	if strings.HasPrefix(name, "CAST(json_object(") {
		return "json_build_object"
	}
	if m := called.FindStringSubmatch(name); m != nil {
		if theirs, ok := ours[m[1]]; ok {
			return theirs
		}
		return m[1]
	}
	if name == "" || strings.IndexByte("'(0123456789", name[0]) >= 0 || strings.HasPrefix(name, "CAST(") || strings.HasPrefix(name, "CASE ") {
		return "?column?"
	}
	return name
}

func oidOf(t duckdb.TypeInfo) uint32 {
	switch t.InternalType() {
	case duckdb.TYPE_BOOLEAN:
		return OIDBool
	case duckdb.TYPE_TINYINT, duckdb.TYPE_SMALLINT, duckdb.TYPE_USMALLINT:
		return OIDInt2
	case duckdb.TYPE_INTEGER:
		return OIDInt4
	case duckdb.TYPE_BIGINT, duckdb.TYPE_HUGEINT:
		return OIDInt8
	case duckdb.TYPE_UINTEGER:
		return OIDOid
	case duckdb.TYPE_FLOAT:
		return OIDFloat4
	case duckdb.TYPE_DOUBLE, duckdb.TYPE_DECIMAL:
		return OIDFloat8
	case duckdb.TYPE_DATE:
		return OIDDate
	case duckdb.TYPE_TIMESTAMP:
		return OIDTimestamp
	case duckdb.TYPE_UBIGINT:
		return OIDOid
	case duckdb.TYPE_LIST:
		return listOID(t)
	}
	return OIDText
}

// listOID returns the OID of a list type. Lists of USMALLINT and UBIGINT stand for PostgreSQL's vectors (schema.sql).
func listOID(t duckdb.TypeInfo) uint32 {
	details, ok := t.Details().(*duckdb.ListDetails)
	if !ok {
		return OIDTextArray
	}
	switch details.Child.InternalType() {
	case duckdb.TYPE_USMALLINT:
		return OIDInt2Vector
	case duckdb.TYPE_UBIGINT:
		return OIDOidVector
	case duckdb.TYPE_SMALLINT:
		return OIDInt2Array
	case duckdb.TYPE_INTEGER:
		return OIDInt4Array
	case duckdb.TYPE_BIGINT:
		return OIDInt8Array
	case duckdb.TYPE_UINTEGER:
		return OIDOidArray
	}
	return OIDTextArray
}

// intervalText writes an interval as PostgreSQL does.
func intervalText(span duckdb.Interval) string {
	var parts []string
	say := func(n int32, one string) {
		if n == 0 {
			return
		}
		if n != 1 {
			one += "s"
		}
		parts = append(parts, strconv.Itoa(int(n))+" "+one)
	}
	say(span.Months/12, "year")
	say(span.Months%12, "mon")
	say(span.Days, "day")
	if span.Micros != 0 || len(parts) == 0 {
		sign, micros := "", span.Micros
		if micros < 0 {
			sign, micros = "-", -micros
		}
		clock := fmt.Sprintf("%s%02d:%02d:%02d", sign, micros/3_600_000_000, micros/60_000_000%60, micros/1_000_000%60)
		if rest := micros % 1_000_000; rest > 0 {
			clock += strings.TrimRight(fmt.Sprintf(".%06d", rest), "0")
		}
		parts = append(parts, clock)
	}
	return strings.Join(parts, " ")
}
