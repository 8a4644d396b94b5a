package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/syntax"
)

// handle answers one message; false ends the connection.
func (c *conn) handle(m pgproto3.FrontendMessage) bool {
	switch m := m.(type) {
	case *pgproto3.Terminate:
		return false
	case *pgproto3.Sync:
		c.skipping = false
		if !c.inBlock { // a transaction of its own ends here, and its portals with it
			c.closePortals()
		}
		c.ready()
		return c.flush() == nil
	case *pgproto3.Query:
		c.skipping = false
		if err := c.still(m); err != nil {
			_ = c.refuse(err)
			return false
		}
		c.simple(m.String)
		c.ready()
		return c.flush() == nil
	case *pgproto3.Flush:
		return c.flush() == nil
	case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail:
		return true // of a copy that never began
	}
	if c.skipping {
		return true
	}
	if err := c.still(m); err != nil {
		_ = c.refuse(err)
		return false
	}
	whole, start := "", 0
	if err := c.extended(m, &whole, &start); err != nil {
		c.fail(err, whole, start)
		c.skipping = true
		return c.flush() == nil
	}
	return c.answered() == nil
}

// still tells whether what the connection began with is good now: a token may have expired, or been
// withdrawn, since. If not, or if nobody can tell, the connection ends.
func (c *conn) still(m pgproto3.FrontendMessage) error {
	switch m.(type) {
	case *pgproto3.Query, *pgproto3.Parse, *pgproto3.Bind, *pgproto3.Execute:
	default:
		return nil
	}
	who, err := c.credential(c.ctx)
	if err == nil && who.Name != c.who.Name {
		err = &coordinator.Error{Code: coordinator.CodeUnauthorized, Message: "the token is another person's now", Hint: "connect again"}
	}
	if err == nil {
		c.who = who
	}
	return err
}

// simple answers a text of statements one after the other, up to the first error.
func (c *conn) simple(text string) {
	statements := sqltoken.Statements(text)
	if len(statements) == 0 {
		c.backend.Send(&pgproto3.EmptyQueryResponse{})
		return
	}
	for _, s := range statements {
		p, err := c.prepare(s, text, nil, false)
		if err == nil && len(p.parameters) > 0 {
			err = &coordinator.Error{Code: coordinator.CodeInvalidRequest, Message: "the statement has parameters, and none can come with it"}
		}
		if err != nil {
			c.fail(err, text, s.Start)
			return
		}
		portal := &portal{statement: p}
		if err := c.run(portal); err != nil {
			c.fail(err, text, p.Start)
			return
		}
		if len(p.columns) > 0 && p.copy == nil {
			c.backend.Send(rowDescription(p.columns, nil))
		}
		if err := c.send(portal, 0); err != nil {
			c.fail(err, text, p.Start)
			return
		}
		if c.answered() != nil {
			return // the client is gone
		}
	}
}

// extended answers a message of the extended protocol. whole and start tell where
// the statement stands that an error is about.
func (c *conn) extended(m pgproto3.FrontendMessage, whole *string, start *int) error {
	switch m := m.(type) {
	case *pgproto3.Parse:
		*whole = strings.Clone(m.Query)
		return c.parse(m.Name, *whole, m.ParameterOIDs, start)
	case *pgproto3.Bind:
		if s, ok := c.statements[m.PreparedStatement]; ok {
			*whole, *start = s.whole, s.Start
		}
		return c.bind(m)
	case *pgproto3.Describe:
		if m.ObjectType == 'S' {
			s, ok := c.statements[m.Name]
			if !ok {
				return unknown("prepared statement", m.Name)
			}
			c.backend.Send(&pgproto3.ParameterDescription{ParameterOIDs: s.parameters})
			c.describe(s, nil)
			return nil
		}
		p, ok := c.portals[m.Name]
		if !ok {
			return unknown("portal", m.Name)
		}
		c.describe(p.statement, p.formats)
	case *pgproto3.Execute:
		p, ok := c.portals[m.Portal]
		if !ok {
			return unknown("portal", m.Portal)
		}
		*whole, *start = p.statement.whole, p.statement.Start
		if !p.ran {
			if err := c.run(p); err != nil {
				return err
			}
		}
		return c.send(p, int(m.MaxRows))
	case *pgproto3.Close:
		if m.ObjectType == 'S' {
			c.dropStatement(m.Name)
		} else {
			c.dropPortal(m.Name)
		}
		c.backend.Send(&pgproto3.CloseComplete{})
	default:
		return &coordinator.Error{Code: coordinator.Code(planner.CodeNotSupported), Message: "this message of the protocol is not answered"}
	}
	return nil
}

func unknown(what, name string) error {
	return &coordinator.Error{Code: coordinator.CodeInvalidRequest, Message: fmt.Sprintf("there is no %s %q", what, name)}
}

func (c *conn) parse(name, text string, types []uint32, start *int) error {
	statements := sqltoken.Statements(text)
	if len(statements) > 1 {
		return &coordinator.Error{Code: coordinator.Code(planner.CodeSyntax), Message: "a prepared statement is one statement"}
	}
	statements = append(statements, sqltoken.Statement{}) // of an empty text
	*start = statements[0].Start
	s, err := c.prepare(statements[0], text, types, true)
	if err != nil {
		return err
	}
	if err := c.putStatement(name, s); err != nil {
		return err
	}
	c.backend.Send(&pgproto3.ParseComplete{})
	return nil
}

func (c *conn) bind(m *pgproto3.Bind) error {
	s, ok := c.statements[m.PreparedStatement]
	if !ok {
		return unknown("prepared statement", m.PreparedStatement)
	}
	if len(m.Parameters) != len(s.parameters) {
		return &coordinator.Error{Code: coordinator.CodeInvalidRequest, Message: fmt.Sprintf("%d parameters are given, and the statement has %d", len(m.Parameters), len(s.parameters))}
	}
	if len(m.ResultFormatCodes) > 1 && len(m.ResultFormatCodes) != len(s.columns) {
		return &coordinator.Error{Code: coordinator.CodeInvalidRequest, Message: "the number of formats is not that of columns"}
	}
	p := &portal{statement: s, formats: append([]int16(nil), m.ResultFormatCodes...)}
	for i, raw := range m.Parameters {
		format := int16(pgtype.TextFormatCode)
		switch {
		case len(m.ParameterFormatCodes) == 1:
			format = m.ParameterFormatCodes[0]
		case i < len(m.ParameterFormatCodes):
			format = m.ParameterFormatCodes[i]
		}
		v, err := c.argument(s.parameters[i], format, raw)
		if errors.Is(err, errLong) {
			return &coordinator.Error{Code: coordinator.CodeTooLong, Message: fmt.Sprintf("the parameter $%d lists more than %d values", i+1, maxList), Hint: "ask in parts, or join a public table that lists them"}
		}
		if err != nil {
			return &coordinator.Error{Code: coordinator.Code(planner.CodeParameter), Message: fmt.Sprintf("the parameter $%d is not understood", i+1)}
		}
		p.arguments = append(p.arguments, v)
	}
	if s.kind == question {
		if err := c.bindValues(p); err != nil {
			return err
		}
	}
	for i, raw := range m.Parameters {
		p.size += argumentBytes + len(raw)
		if list, ok := p.arguments[i].([]any); ok {
			p.size += argumentBytes * len(list)
		}
	}
	if err := c.putPortal(m.DestinationPortal, p); err != nil {
		return err
	}
	c.backend.Send(&pgproto3.BindComplete{})
	return nil
}

// bindValues turns a portal's arguments into values, and plans its question with them.
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

// arrayOIDs are the types of lists of values of a type.
var arrayOIDs = map[value.Type]uint32{
	value.TypeBool: pgtype.BoolArrayOID, value.TypeInt: pgtype.Int8ArrayOID, value.TypeFloat: pgtype.Float8ArrayOID,
	value.TypeText: pgtype.TextArrayOID, value.TypeDate: pgtype.DateArrayOID, value.TypeTimestamp: pgtype.TimestampArrayOID,
}

// readTime reads a date or timestamp as clients write one whose type they leave open: with
// a zone, which PostgreSQL ignores where the type has none, and with a time for a date.
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
	// maxList is how many values a parameter may list.
	maxList = 20_000
	// argumentBytes is about what a value of a parameter takes beside its bytes.
	argumentBytes = 64
)

var errLong = errors.New("a list is too long")

// argument reads a parameter: nil, bool, int64, float64, string or time.Time.
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

// unspaced leaves out the blanks around an array's elements, as PostgreSQL does and pgtype does not: ADBC sends {"p", "f"}.
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

// plainArgument gives a decoded value in the few types that are used further on.
func plainArgument(v any) (any, error) {
	switch x := v.(type) {
	case int16:
		return int64(x), nil
	case int32:
		return int64(x), nil
	case uint32:
		return int64(x), nil
	case float32:
		return float64(x), nil
	case pgtype.Numeric:
		if x.NaN || x.InfinityModifier != pgtype.Finite {
			return nil, errors.New("no number")
		}
		if n, err := x.Int64Value(); err == nil && n.Valid { // also beyond what a float64 holds
			return n.Int64, nil
		}
		f, err := x.Float64Value()
		return f.Float64, err
	case [16]byte: // as a table of text ids holds it
		return fmt.Sprintf("%x-%x-%x-%x-%x", x[:4], x[4:6], x[6:8], x[8:10], x[10:]), nil
	case nil, bool, int64, float64, string, time.Time:
		return v, nil
	}
	return nil, fmt.Errorf("a value of Go's type %T has no type here", v) // it must not pass for a NULL
}

// describe tells the columns.
func (c *conn) describe(s *statement, formats []int16) {
	if len(s.columns) == 0 || s.copy != nil {
		c.backend.Send(&pgproto3.NoData{})
		return
	}
	c.backend.Send(rowDescription(s.columns, formats))
}

func formatOf(formats []int16, i int) int16 {
	switch {
	case len(formats) == 1:
		return formats[0]
	case i < len(formats):
		return formats[i]
	}
	return pgtype.TextFormatCode
}

// sizes of types in bytes; others vary.
var sizes = map[uint32]int16{
	dictionary.OIDBool: 1, dictionary.OIDInt2: 2, dictionary.OIDInt4: 4, dictionary.OIDInt8: 8, dictionary.OIDOid: 4, dictionary.OIDFloat4: 4, dictionary.OIDFloat8: 8,
	dictionary.OIDDate: 4, dictionary.OIDTimestamp: 8,
}

func rowDescription(columns []dictionary.Column, formats []int16) *pgproto3.RowDescription {
	d := &pgproto3.RowDescription{}
	for i, column := range columns {
		size, ok := sizes[column.OID]
		if !ok {
			size = -1
		}
		d.Fields = append(d.Fields, pgproto3.FieldDescription{
			Name: []byte(column.Name), DataTypeOID: column.OID, DataTypeSize: size, TypeModifier: -1, Format: formatOf(formats, i),
		})
	}
	return d
}

// send writes rows, at most that many where most is above 0, and how it ended.
func (c *conn) send(p *portal, most int) error {
	s := p.statement
	if s.kind == empty {
		c.backend.Send(&pgproto3.EmptyQueryResponse{})
		return nil
	}
	if s.copy != nil {
		return c.sendCopy(p)
	}
	begun := p.sent
	for ; p.sent < len(p.rows); p.sent++ {
		if most > 0 && p.sent-begun == most {
			c.backend.Send(&pgproto3.PortalSuspended{})
			return nil
		}
		row := &pgproto3.DataRow{}
		for i, v := range p.rows[p.sent] {
			b, err := c.encode(s.columns[i].OID, formatOf(p.formats, i), v)
			if err != nil {
				return err
			}
			row.Values = append(row.Values, b)
		}
		c.backend.Send(row)
		if p.sent%1000 == 999 { // what is sent takes no memory
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	tag := s.tag
	switch s.kind {
	case question, lookup, schemaOnly, stop:
		tag = fmt.Sprintf("SELECT %d", p.sent-begun)
	case fetch:
		tag = fmt.Sprintf("FETCH %d", p.moved)
		if s.cursor.move {
			tag = fmt.Sprintf("MOVE %d", p.moved)
		}
	}
	c.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
	return nil
}

// encode writes a value of the column's type; nil is NULL.
func (c *conn) encode(oid uint32, format int16, v any) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	if list, ok := v.([]any); ok {
		switch oid {
		case dictionary.OIDInt2Vector, dictionary.OIDOidVector:
			words := make([]string, len(list))
			for i, x := range list {
				words[i] = fmt.Sprint(x)
			}
			if format == pgtype.TextFormatCode {
				return []byte(strings.Join(words, " ")), nil
			}
			// In binary a vector is an array.
			oid = map[uint32]uint32{dictionary.OIDInt2Vector: dictionary.OIDInt2Array, dictionary.OIDOidVector: dictionary.OIDOidArray}[oid]
		}
		v = array(oid, list)
	} else if oid == dictionary.OIDText {
		return []byte(fmt.Sprint(v)), nil
	} else if text, ok := v.(string); ok && oid == pgtype.UUIDOID { // a parameter that comes back
		var id pgtype.UUID
		if err := id.Scan(text); err != nil {
			return nil, err
		}
		v = id
	}
	b, err := c.types.Encode(oid, format, v, nil)
	if err == nil && b == nil {
		b = []byte{}
	}
	return b, err
}

// array is a list as pgtype encodes it.
func array(oid uint32, list []any) any {
	if oid == dictionary.OIDTextArray {
		texts := make([]string, len(list))
		for i, x := range list {
			texts[i] = fmt.Sprint(x)
		}
		return texts
	}
	numbers := make([]int64, len(list))
	for i, x := range list {
		numbers[i], _ = strconv.ParseInt(fmt.Sprint(x), 10, 64) // an integer of one kind or another
	}
	return numbers
}

// notice tells something beside the answer.
func (c *conn) notice(message, detail string) {
	c.backend.Send(&pgproto3.NoticeResponse{Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: "00000", Message: message, Detail: detail})
}

func (c *conn) warn(message string) {
	c.backend.Send(&pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "01000", Message: message})
}
