package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
)

func formatOf(formats []int16, i int) int16 {
	switch {
	case len(formats) == 1:
		return formats[0]
	case i < len(formats):
		return formats[i]
	}
	return pgtype.TextFormatCode
}

// sizes are the sizes of types in bytes. Other types have no fixed size.
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

// send writes rows, at most most of them if most is above 0, and the completion message.
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
	case patientQuery, catalogQuery, schemaOnly, cancelQuery:
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

// encode encodes a value of the column's type; nil is NULL.
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
			// In binary form a vector is an array.
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

// array converts a list for pgtype.
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
