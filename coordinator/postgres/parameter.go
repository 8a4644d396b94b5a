package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// typeParameters gives columns that consist of a parameter the parameter's type. If the client leaves it open, it is
// text, as in PostgreSQL.
func (p *statement) typeParameters() {
	t := p.Tokens
	if !t[0].Is("select") {
		return
	}
	column, depth := 0, 0
	for i := 1; i < len(t) && !(depth == 0 && t[i].Is("from")); i++ {
		switch {
		case t[i].Is("("):
			depth++
		case t[i].Is(")"):
			depth--
		case t[i].Is(",") && depth == 0:
			column++
		case t[i].Kind == sqltoken.Parameter && depth == 0 && (i == 1 || t[i-1].Is(",")) && column < len(p.columns):
			alone := i+1 == len(t) || t[i+1].Is(",") || t[i+1].Is("as") || t[i+1].Is("from") || t[i+1].Is(";")
			if n, err := strconv.Atoi(t[i].Text[1:]); err == nil && alone {
				columns := slices.Clone(p.columns)
				columns[column].OID = p.parameters[n-1]
				p.columns = columns
			}
		}
	}
}

// castLists maps the element types in casts of arrays to list types.
var castLists = map[string]uint32{
	"oid": dictionary.OIDOidArray, "regclass": dictionary.OIDOidArray, "regtype": dictionary.OIDOidArray, "int2": dictionary.OIDInt2Array, "smallint": dictionary.OIDInt2Array,
	"int": dictionary.OIDInt4Array, "int4": dictionary.OIDInt4Array, "integer": dictionary.OIDInt4Array, "int8": dictionary.OIDInt8Array, "bigint": dictionary.OIDInt8Array,
}

// listParameters types the parameters of a question about the catalog that stand for lists, as in = ANY($1), and whose
// type the client leaves open. The type is that of their cast, or of what they are compared with.
func (p *statement) listParameters(types []uint32) {
	t := p.Tokens
	for i := 2; i < len(t); i++ {
		n, err := strconv.Atoi(strings.TrimPrefix(t[i].Text, "$"))
		if t[i].Kind != sqltoken.Parameter || err != nil || n <= len(types) && types[n-1] != 0 ||
			!t[i-1].Is("(") || !t[i-2].Is("any") && !t[i-2].Is("some") && !t[i-2].Is("all") {
			continue
		}
		p.parameters[n-1] = dictionary.OIDTextArray
		if before := t[max(0, i-4)].Name(); strings.HasSuffix(before, "oid") || strings.HasSuffix(before, "relid") || strings.HasSuffix(before, "namespace") {
			p.parameters[n-1] = dictionary.OIDOidArray
		}
		if i+2 < len(t) && t[i+1].Is("::") && castLists[t[i+2].Name()] != 0 {
			p.parameters[n-1] = castLists[t[i+2].Name()]
		}
	}
}

// bindValues converts a portal's arguments to values, and plans its question with them.
func (c *conn) bindValues(p *portal) error {
	if len(p.arguments) == 0 {
		return nil
	}
	p.values = map[string]value.Value{}
	for i, a := range p.arguments {
		p.values[strconv.Itoa(i+1)] = valueOf(a, p.statement.parameters[i])
	}
	planned := *p.statement // its columns may depend on the values
	if _, err := c.outline(&planned, p.values); err != nil {
		return err
	}
	p.statement = &planned
	return nil
}

func valueOf(a any, oid uint32) value.Value {
	switch a := a.(type) {
	case bool:
		return value.Bool(a)
	case int64:
		return value.Int(a)
	case float64:
		return value.Float(a)
	case string:
		return value.Text(a)
	case time.Time:
		if oid == dictionary.OIDDate || oid == arrayOIDs[value.TypeDate] {
			return value.Date(a.Unix() / 86400)
		}
		return value.Timestamp(a.UnixMicro())
	case []any: // for = ANY (…)
		list := make([]value.Value, len(a))
		for i, x := range a {
			x, _ = plainArgument(x) // argument has tried
			list[i] = valueOf(x, oid)
		}
		return syntax.Array(list)
	}
	return value.Null(value.TypeText)
}

// arrayOIDs maps types to the OIDs of their lists.
var arrayOIDs = map[value.Type]uint32{
	value.TypeBool: pgtype.BoolArrayOID, value.TypeInt: pgtype.Int8ArrayOID, value.TypeFloat: pgtype.Float8ArrayOID,
	value.TypeText: pgtype.TextArrayOID, value.TypeDate: pgtype.DateArrayOID, value.TypeTimestamp: pgtype.TimestampArrayOID,
}

// readTime parses a date or timestamp of a client that leaves the type open. It may have a zone, which PostgreSQL
// ignores if the type has none, and a date may have a time.
func readTime(text string) (time.Time, error) {
	text = strings.Replace(text, "T", " ", 1)
	if i := strings.LastIndexAny(text, "+-Z "); i >= len(time.DateOnly) && text[i] != ' ' {
		text = strings.TrimRight(text[:i], " ")
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04:05.999999999", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("no date or timestamp")
}

const (
	// maxList is the largest number of values in a list parameter.
	maxList = 20_000
	// argumentBytes is about the overhead of a parameter's value, in bytes.
	argumentBytes = 64
)

var (
	errLong     = errors.New("a list is too long")
	errNoNumber = errors.New("it is no finite number")
)

// argument decodes a parameter: nil, bool, int64, float64, string or time.Time.
func (c *conn) argument(oid uint32, format int16, raw []byte) (any, error) {
	if raw == nil {
		return nil, nil
	}
	t, ok := c.types.TypeForOID(oid)
	if !ok || format == pgtype.TextFormatCode && oid == dictionary.OIDText {
		if format != pgtype.TextFormatCode {
			return nil, fmt.Errorf("binary of type %d", oid)
		}
		return string(raw), nil
	}
	if format == pgtype.TextFormatCode && (oid == dictionary.OIDDate || oid == dictionary.OIDTimestamp) {
		return readTime(string(raw))
	}
	times := format == pgtype.TextFormatCode && slices.Contains([]uint32{pgtype.DateArrayOID, pgtype.TimestampArrayOID, pgtype.TimestamptzArrayOID}, oid)
	if times { // each as readTime reads one
		oid = pgtype.TextArrayOID
		t, _ = c.types.TypeForOID(oid)
	}
	if _, list := t.Codec.(*pgtype.ArrayCodec); list && format == pgtype.TextFormatCode {
		if bytes.Count(raw, []byte{','}) >= 8*maxList { // a text may hold some, too; before each takes memory
			return nil, errLong
		}
		raw = unspaced(raw)
	}
	v, err := t.Codec.DecodeValue(c.types, oid, format, raw)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return plainArgument(v)
	}
	if len(list) > maxList {
		return nil, errLong
	}
	for i, x := range list { // else they stay as they are: a question about the catalog wants them of the list's own type
		if text, ok := x.(string); ok && times {
			if list[i], err = readTime(text); err != nil {
				return nil, err
			}
		} else if _, err := plainArgument(x); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// ofType names a type that clients send and that has no values here.
func (c *conn) ofType(oid uint32) string {
	t, ok := c.types.TypeForOID(oid)
	if !ok || oid == dictionary.OIDText {
		return ""
	}
	return " as " + t.Name
}

// unspaced removes the blanks around an array's elements, as PostgreSQL does and pgtype does not: ADBC sends {"p",
// "f"}.
func unspaced(array []byte) []byte {
	out := make([]byte, 0, len(array))
	quoted, held := false, 0 // blanks held back
	for i := 0; i < len(array); i++ {
		c := array[i]
		if !quoted && strings.IndexByte(" \t\n\r\v\f", c) >= 0 {
			held++
			continue
		}
		if held > 0 && len(out) > 0 && out[len(out)-1] != '{' && out[len(out)-1] != ',' && c != ',' && c != '}' {
			out = append(out, array[i-held:i]...)
		}
		held = 0
		switch {
		case c == '\\' && i+1 < len(array):
			out = append(out, c)
			i++
			c = array[i]
		case c == '"':
			quoted = !quoted
		}
		out = append(out, c)
	}
	return out
}

// plainArgument converts a decoded value to one of the few types that are used further on.
func plainArgument(v any) (any, error) {
	switch x := v.(type) {
	case int16:
		return int64(x), nil
	case int32:
		return int64(x), nil
	case uint32:
		return int64(x), nil
	case float32:
		return plainArgument(float64(x))
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) { // it must not pass for a NULL either
			return nil, errNoNumber
		}
		return x, nil
	case pgtype.Numeric:
		if x.NaN || x.InfinityModifier != pgtype.Finite {
			return nil, errNoNumber
		}
		if n, err := x.Int64Value(); err == nil && n.Valid { // also beyond what a float64 holds
			return n.Int64, nil
		}
		f, err := x.Float64Value()
		return f.Float64, err
	case [16]byte: // as a table of text ids holds it
		return fmt.Sprintf("%x-%x-%x-%x-%x", x[:4], x[4:6], x[6:8], x[8:10], x[10:]), nil
	case nil, bool, int64, string, time.Time:
		return v, nil
	}
	return nil, fmt.Errorf("a value of Go's type %T has no type here", v) // it must not pass for a NULL
}
