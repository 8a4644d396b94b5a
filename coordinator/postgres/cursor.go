package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/planner"
)

// cursor is the content of DECLARE, FETCH, MOVE and CLOSE. A cursor is a portal with a name in SQL. Its question runs,
// and is paid, at the first FETCH, however much of the answer is then read.
type cursor struct {
	name  string
	query *statement // the query of DECLARE
	hold  bool       // WITH HOLD: it outlives the transaction
	rows  int        // of FETCH and MOVE; negative: all remaining rows
	move  bool       // MOVE: the rows are not returned
}

const (
	stateCursor    = "34000" // invalid_cursor_name
	stateDuplicate = "42P03" // duplicate_cursor
)

func noCursor(name string) error {
	return &stated{&coordinator.Error{Code: coordinator.CodeInvalidRequest, Message: fmt.Sprintf("there is no cursor %q", name), Hint: "DECLARE name CURSOR FOR SELECT …"}, stateCursor}
}

// readDeclare parses DECLARE name [BINARY] [INSENSITIVE] [NO SCROLL] CURSOR [{WITH | WITHOUT} HOLD] FOR query.
func (c *conn) readDeclare(p *statement, types []uint32) error {
	t := p.Tokens[1:]
	p.kind, p.tag = declare, "DECLARE CURSOR"
	if len(t) == 0 || t[0].Name() == "" {
		return unread("DECLARE", "DECLARE name CURSOR FOR SELECT …")
	}
	p.cursor.name = t[0].Name()
	for i, word := range t {
		switch {
		case word.Is("scroll") && !t[i-1].Is("no"):
			return &coordinator.Error{Code: coordinator.Code(planner.CodeNotSupported), Message: "a cursor goes forward only", Hint: "write NO SCROLL"}
		case word.Is("hold"):
			p.cursor.hold = t[i-1].Is("with")
		case word.Is("for"):
			query, err := c.prepare(sqltoken.Statement{Text: blanked(p.Text, word.End), Start: p.Start, Tokens: t[i+1:]}, p.whole, types, true)
			if err != nil {
				return err
			}
			if query.kind != patientQuery && query.kind != catalogQuery && query.kind != schemaOnly {
				return unread("DECLARE", "DECLARE name CURSOR FOR SELECT …")
			}
			p.cursor.query, p.parameters = query, query.parameters
			return nil
		}
	}
	return unread("DECLARE", "DECLARE name CURSOR FOR SELECT …")
}

// blanked replaces the text before a query by blanks. The query keeps its position, so errors point at it.
func blanked(text string, before int) string {
	blank := strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return ' '
	}, text[:before])
	return blank + strings.Repeat(" ", before-len(blank)) + text[before:] // letters may have several bytes
}

func unread(what, hint string) error {
	return &coordinator.Error{Code: coordinator.Code(planner.CodeSyntax), Message: what + " does not read", Hint: "write " + hint}
}

// readFetch parses FETCH or MOVE [NEXT | [FORWARD] [count | ALL]] [FROM | IN] name.
func (c *conn) readFetch(p *statement) error {
	t := p.Tokens
	p.kind, p.cursor.rows, p.cursor.move = fetch, 1, t[0].Is("move")
	t = t[1:]
	if begins(t, "forward") {
		t = t[1:]
	}
	switch {
	case begins(t, "next"):
		t = t[1:]
	case begins(t, "all"):
		p.cursor.rows, t = -1, t[1:]
	case len(t) > 0 && t[0].Kind == sqltoken.Number:
		n, err := strconv.Atoi(t[0].Text)
		if err != nil {
			return unread("FETCH", "FETCH FORWARD 100 FROM name")
		}
		p.cursor.rows, t = n, t[1:]
	case begins(t, "prior"), begins(t, "first"), begins(t, "last"), begins(t, "absolute"), begins(t, "relative"), begins(t, "backward"):
		return &coordinator.Error{Code: coordinator.Code(planner.CodeNotSupported), Message: "a cursor goes forward only", Hint: "write FETCH FORWARD n"}
	}
	if begins(t, "from") || begins(t, "in") {
		t = t[1:]
	}
	if len(t) != 1 || t[0].Name() == "" {
		return unread("FETCH", "FETCH FORWARD 100 FROM name")
	}
	p.cursor.name = t[0].Name()
	from, ok := c.portals[p.cursor.name]
	if !ok || !from.cursor {
		return noCursor(p.cursor.name)
	}
	if !p.cursor.move {
		p.columns = from.statement.columns
	}
	return nil
}

// runDeclare creates the cursor's portal. The parameters of DECLARE are those of its query.
func (c *conn) runDeclare(p *portal) error {
	at := p.statement.cursor
	if _, taken := c.portals[at.name]; taken {
		return &stated{&coordinator.Error{Code: coordinator.CodeInvalidRequest, Message: fmt.Sprintf("there is a cursor %q already", at.name), Hint: "close it first"}, stateDuplicate}
	}
	made := &portal{statement: at.query, arguments: p.arguments, cursor: true, withHold: at.hold, size: p.size + at.query.size}
	if at.query.kind == patientQuery {
		if err := c.bindValues(made); err != nil {
			return err
		}
	}
	return c.putPortal(at.name, made)
}

// runFetch returns the next rows of a cursor.
func (c *conn) runFetch(p *portal) error {
	at := p.statement.cursor
	from, ok := c.portals[at.name]
	if !ok || !from.cursor {
		return noCursor(at.name)
	}
	if !from.ran {
		if err := c.run(from); err != nil {
			return err
		}
	}
	n := len(from.rows)
	if at.rows >= 0 {
		n = min(n, at.rows)
	}
	if p.moved = n; !at.move {
		p.rows = from.rows[:n]
	}
	from.rows = from.rows[n:]
	return nil
}

// runClose closes a cursor, or all.
func (c *conn) runClose(name string) error {
	if name == "" {
		c.closeCursors(true)
		return nil
	}
	if from, ok := c.portals[name]; !ok || !from.cursor {
		return noCursor(name)
	}
	c.dropPortal(name)
	return nil
}

// closeCursors closes the cursors of the transaction; with held also those WITH HOLD.
func (c *conn) closeCursors(held bool) {
	for name, p := range c.portals {
		if p.cursor && (held || !p.withHold) {
			c.dropPortal(name)
		}
	}
}

// closePortals closes the portals that are not cursors.
func (c *conn) closePortals() {
	for name, p := range c.portals {
		if !p.cursor {
			c.dropPortal(name)
		}
	}
}
