package duckdb

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/value"
)

// errLiteral means that a value or a name cannot be written as SQL.
var errLiteral = errors.New("a constant or a name cannot be written in DuckDB's SQL")

var sqlTypes = map[value.Type]string{
	value.TypeBool: "BOOLEAN", value.TypeInt: "BIGINT", value.TypeFloat: "DOUBLE",
	value.TypeText: "VARCHAR", value.TypeDate: "DATE", value.TypeTimestamp: "TIMESTAMP",
}

// literal writes a value such that DuckDB gives it exactly the value's type,
// unless it is bare: then a whole number has the smallest type that holds it,
// which is as good beside a BIGINT and nicer to read.
func literal(v value.Value, bare bool) (string, error) {
	if v.IsNull() {
		return "CAST(NULL AS " + sqlTypes[v.Type()] + ")", nil
	}
	switch v.Type() {
	case value.TypeInt:
		s := strconv.FormatInt(v.Int64(), 10)
		if v.Int64() < 0 {
			s = "(" + s + ")"
		}
		if !bare {
			s += "::BIGINT"
		}
		return s, nil
	case value.TypeFloat:
		return number(v.Float64()), nil
	case value.TypeText:
		return text(v.Str())
	case value.TypeDate, value.TypeTimestamp:
		return sqlTypes[v.Type()] + " '" + v.String() + "'", nil
	}
	return v.String(), nil
}

// number writes a finite float64 as a DOUBLE: without an exponent DuckDB would
// read a decimal.
func number(x float64) string {
	s := strconv.FormatFloat(x, 'g', -1, 64)
	if !strings.ContainsRune(s, 'e') {
		s += "e0"
	}
	if x < 0 {
		s = "(" + s + ")"
	}
	return s
}

// text quotes a string. SQL text ends at a NUL, so one is spelled.
func text(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("%w: a text that is not UTF-8", errLiteral)
	}
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.ContainsRune(s, 0) {
		return "(" + strings.ReplaceAll(quoted, "\x00", "' || chr(0) || '") + ")", nil
	}
	return quoted, nil
}

// name quotes an identifier.
func name(s string) (string, error) {
	if s == "" || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("%w: the name %q", errLiteral, s)
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`, nil
}
