package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/planner"
)

// handle answers one message. It returns false if the connection ends.
func (c *conn) handle(m pgproto3.FrontendMessage) bool {
	switch m := m.(type) {
	case *pgproto3.Terminate:
		return false
	case *pgproto3.Sync:
		c.skipping = false
		if !c.inBlock { // an implicit transaction ends here, with its portals
			c.closePortals()
		}
		c.ready()
		return c.flush() == nil
	case *pgproto3.Query:
		c.skipping = false
		if err := c.checkCredential(m); err != nil {
			_ = c.refuse(err)
			return false
		}
		c.simple(m.String)
		c.ready()
		return c.flush() == nil
	case *pgproto3.Flush:
		return c.flush() == nil
	case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail:
		return true // for a copy that never began
	}
	if c.skipping {
		return true
	}
	if err := c.checkCredential(m); err != nil {
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

// checkCredential checks that the connection's credential is still valid: a token may have expired or been revoked. If
// it is not, or if that is unknown, the connection ends.
func (c *conn) checkCredential(m pgproto3.FrontendMessage) error {
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

// extended answers a message of the extended protocol. It sets whole and start to the statement that an error is about.
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
		if errors.Is(err, errNoNumber) {
			return &coordinator.Error{Code: coordinator.Code(planner.CodeParameter), Message: fmt.Sprintf("the parameter $%d is no finite number", i+1), Hint: "bind a number; what is missing is IS NULL"}
		}
		if err != nil {
			return &coordinator.Error{Code: coordinator.Code(planner.CodeParameter), Message: fmt.Sprintf("the parameter $%d is not understood%s", i+1, c.ofType(s.parameters[i])), Hint: "bind a bool, a number, a text, a date, a timestamp, a uuid or a list of these"}
		}
		p.arguments = append(p.arguments, v)
	}
	if s.kind == patientQuery {
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

// describe sends the columns.
func (c *conn) describe(s *statement, formats []int16) {
	if len(s.columns) == 0 || s.copy != nil {
		c.backend.Send(&pgproto3.NoData{})
		return
	}
	c.backend.Send(rowDescription(s.columns, formats))
}

// notice sends a NOTICE beside the answer.
func (c *conn) notice(message, detail string) {
	c.backend.Send(&pgproto3.NoticeResponse{Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: "00000", Message: message, Detail: detail})
}

func (c *conn) warn(message string) {
	c.backend.Send(&pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "01000", Message: message})
}
