package postgres

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/planner"
)

// copying is the format of COPY (SELECT …) TO STDOUT.
type copying struct {
	format    string // text, csv or binary
	delimiter string // one byte
	null      string
	quote     byte
	escape    byte
	header    bool
	all       bool // FORCE_QUOTE *
}

const copyHint = "write COPY (SELECT …) TO STDOUT WITH (FORMAT csv, HEADER), or ask the SELECT itself"

// readCopy prepares COPY (query) TO STDOUT. The query is asked like any other.
func (c *conn) readCopy(s sqltoken.Statement, whole string, types []uint32, planned bool) (*statement, error) {
	t := s.Tokens[1:]
	if !begins(t, "(") {
		return nil, &coordinator.Error{
			Code: coordinator.Code(planner.CodeNotSupported), Message: "COPY of a table is not answered: nothing is written here, and rows of patients are not shown", Hint: copyHint,
		}
	}
	depth, end := 0, -1
	for i, x := range t {
		if x.Is("(") {
			depth++
		} else if x.Is(")") {
			if depth--; depth == 0 {
				end = i
				break
			}
		}
	}
	if end < 2 {
		return nil, unread("COPY", "COPY (SELECT …) TO STDOUT")
	}
	how, err := readCopyOptions(t[end+1:])
	if err != nil {
		return nil, err
	}
	query := t[1:end]
	if !selects(query) {
		return nil, unread("COPY", "COPY (SELECT …) TO STDOUT")
	}
	p, err := c.prepare(sqltoken.Statement{Text: blanked(s.Text[:t[end].Start], query[0].Start), Start: s.Start, Tokens: query}, whole, types, planned)
	if err != nil {
		return nil, err
	}
	p.copy = how
	return p, nil
}

// readCopyOptions parses TO STDOUT and the options in PostgreSQL's two forms: WITH (FORMAT csv, …) and CSV ….
func readCopyOptions(t []sqltoken.Token) (*copying, error) {
	if !begins(t, "to", "stdout") {
		return nil, &coordinator.Error{Code: coordinator.Code(planner.CodeNotSupported), Message: "COPY writes to standard output only", Hint: copyHint}
	}
	t = t[2:]
	if begins(t, "with") {
		t = t[1:]
	}
	options := map[string]string{}
	listed := begins(t, "(")
	for i := 0; i < len(t); i++ {
		name := t[i].Name()
		if listed && (t[i].Is("(") || t[i].Is(",") || t[i].Is(")")) || name == "as" || t[i].Is("*") {
			continue
		}
		given := ""
		if i+1 < len(t) {
			next := t[i+1]
			switch {
			case next.Kind == sqltoken.String:
				given = next.Value()
				i++
			case listed && !next.Is(",") && !next.Is(")"), name == "force" || name == "force_quote":
				given = strings.ToLower(next.Text)
				i++
			}
		}
		if name == "csv" || name == "binary" {
			name, given = "format", name
		}
		options[name] = given
	}
	how := &copying{format: "text"}
	if f, ok := options["format"]; ok {
		how.format = f
	}
	how.delimiter, how.null = "\t", `\N`
	if how.format == "csv" {
		how.delimiter, how.null, how.quote = ",", "", '"'
	}
	return how, how.set(options)
}

// set applies the options, and refuses unknown ones.
func (w *copying) set(options map[string]string) error {
	one := func(text string) (byte, bool) {
		if len(text) != 1 || strings.ContainsAny(text, "\r\n") {
			return 0, false
		}
		return text[0], true
	}
	known := w.format == "text" || w.format == "csv" || w.format == "binary"
	for name, given := range options {
		ok := true
		switch name {
		case "format", "encoding":
			ok = name == "format" || strings.EqualFold(strings.ReplaceAll(given, "-", ""), "utf8")
		case "header":
			w.header = given == "" || given == "true" || given == "on" || given == "1"
		case "delimiter":
			w.delimiter = given
			_, ok = one(given)
		case "null":
			w.null = given
			ok = !strings.ContainsAny(given, "\r\n")
		case "quote":
			w.quote, ok = one(given)
		case "escape":
			w.escape, ok = one(given)
		case "force", "force_quote":
			w.all = true
		default:
			ok = false
		}
		known = known && ok
	}
	if w.escape == 0 {
		w.escape = w.quote
	}
	if !known {
		return &coordinator.Error{Code: coordinator.Code(planner.CodeNotSupported), Message: "an option of COPY is not read", Hint: copyHint}
	}
	return nil
}

// sendCopy writes rows as COPY does.
func (c *conn) sendCopy(p *portal) error {
	w, columns := p.statement.copy, p.statement.columns
	format := int16(pgtype.TextFormatCode)
	out := &pgproto3.CopyOutResponse{ColumnFormatCodes: make([]uint16, len(columns))}
	if w.format == "binary" {
		format, out.OverallFormat = pgtype.BinaryFormatCode, 1
		for i := range columns {
			out.ColumnFormatCodes[i] = 1
		}
	}
	c.backend.Send(out)
	cells := make([][]byte, len(columns))
	var head []byte // comes in one message with what follows, as PostgreSQL sends it
	switch {
	case format == pgtype.BinaryFormatCode:
		head = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	case w.header:
		for i, column := range columns {
			cells[i] = []byte(column.Name)
		}
		c.backend.Send(&pgproto3.CopyData{Data: w.line(cells)})
	}
	for ; p.sent < len(p.rows); p.sent++ {
		for i, v := range p.rows[p.sent] {
			var err error
			if cells[i], err = c.encode(columns[i].OID, format, v); err != nil {
				return err
			}
		}
		c.backend.Send(&pgproto3.CopyData{Data: append(head, w.line(cells)...)})
		head = nil
		if p.sent%1000 == 999 { // what is sent takes no memory
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	if format == pgtype.BinaryFormatCode {
		c.backend.Send(&pgproto3.CopyData{Data: append(head, 0xff, 0xff)})
	}
	c.backend.Send(&pgproto3.CopyDone{})
	c.backend.Send(&pgproto3.CommandComplete{CommandTag: fmt.Appendf(nil, "COPY %d", len(p.rows))})
	return nil
}

// line writes a row; a nil cell is NULL.
func (w *copying) line(cells [][]byte) []byte {
	var b []byte
	if w.format == "binary" {
		b = binary.BigEndian.AppendUint16(b, uint16(len(cells))) //nolint:gosec // an answer has fewer columns
	}
	for i, cell := range cells {
		switch {
		case w.format == "binary" && cell == nil:
			b = append(b, 0xff, 0xff, 0xff, 0xff)
		case w.format == "binary":
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(cell))), cell...) //nolint:gosec // nor as long ones
		case i == 0:
			b = append(b, w.cell(cell)...)
		default:
			b = append(append(b, w.delimiter...), w.cell(cell)...)
		}
	}
	if w.format != "binary" {
		b = append(b, '\n')
	}
	return b
}

var copyEscapes = strings.NewReplacer(`\`, `\\`, "\b", `\b`, "\f", `\f`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\v", `\v`)

// cell writes a value in text or CSV.
func (w *copying) cell(cell []byte) string {
	text := string(cell)
	switch {
	case cell == nil:
		return w.null
	case w.format == "text":
		text = copyEscapes.Replace(text)
		if w.delimiter != "\t" {
			text = strings.ReplaceAll(text, w.delimiter, `\`+w.delimiter)
		}
		return text
	case !w.all && text != w.null && text != `\.` && !strings.ContainsAny(text, w.delimiter+string(w.quote)+"\r\n"):
		return text
	}
	quote, escape := string(w.quote), string(w.escape)
	if escape != quote {
		text = strings.ReplaceAll(text, escape, escape+escape)
	}
	return quote + strings.ReplaceAll(text, quote, escape+quote) + quote
}
