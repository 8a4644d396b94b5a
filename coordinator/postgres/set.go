package postgres

import (
	"fmt"
	"strings"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
	"github.com/intramuros/intramuros/coordinator/session"
	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/planner"
)

// readName reads the name that ends a statement. ALL is the empty name.
func (p *statement) readName(t []sqltoken.Token, hint string) error {
	if len(t) != 1 || t[0].Name() == "" {
		return unread(p.tag, hint)
	}
	if !t[0].Is("all") {
		p.name = t[0].Name()
	}
	return nil
}

// readSet parses SET [SESSION | LOCAL] name {= | TO} value, SET TRANSACTION …, RESET name.
func (p *statement) readSet() error {
	t := p.Tokens[1:]
	p.kind, p.tag = set, "SET"
	if begins(p.Tokens, "reset") {
		p.tag = "RESET"
		if len(t) == 0 || begins(t, "all") {
			p.kind, p.name = discard, "settings"
			return nil
		}
		p.name, _ = dotted(t)
		return nil
	}
	if begins(t, "session", "characteristics") || begins(t, "transaction") || begins(t, "constraints") || begins(t, "role") || begins(t, "session", "authorization") {
		p.kind = noEffect
		return nil
	}
	if begins(t, "session") || begins(t, "local") {
		t = t[1:]
	}
	name, t := dotted(t)
	p.name = name
	switch {
	case begins(t, "=") || begins(t, "to"):
		t = t[1:]
	case name == "time" && begins(t, "zone"):
		p.name, t = "timezone", t[1:]
	case name == "names":
	default:
		t = nil
	}
	if name == "" || len(t) == 0 {
		return &coordinator.Error{Code: coordinator.Code(planner.CodeSyntax), Message: "SET does not read", Hint: "write SET name = value"}
	}
	if len(t) == 1 && t[0].Kind == sqltoken.String {
		p.text = t[0].Value()
	} else {
		p.text = p.Text[t[0].Start:t[len(t)-1].End]
	}
	return nil
}

// dotted reads a name such as intramuros.epsilon.
func dotted(t []sqltoken.Token) (string, []sqltoken.Token) {
	name := ""
	for len(t) > 0 && t[0].Name() != "" {
		name += t[0].Name()
		t = t[1:]
		if !begins(t, ".") {
			break
		}
		name += "."
		t = t[1:]
	}
	return name, t
}

// isMetadata reports whether SHOW asks for something that the coordinator itself answers.
func isMetadata(t []sqltoken.Token) bool {
	return len(t) == 2 && (t[1].Is("tables") || t[1].Is("hospitals") || t[1].Is("budget") || t[1].Is("permissions") || t[1].Is("functions"))
}

func (c *conn) readShow(p *statement) error {
	p.kind, p.tag = show, "SHOW"
	t := p.Tokens[1:]
	switch {
	case begins(t, "all"):
		p.name = "all"
		p.columns = []dictionary.Column{{Name: "name", OID: dictionary.OIDText}, {Name: "setting", OID: dictionary.OIDText}, {Name: "description", OID: dictionary.OIDText}}
		return nil
	case begins(t, "transaction", "isolation", "level"):
		p.name = "transaction_isolation"
	case begins(t, "time", "zone"):
		p.name = "timezone"
	default:
		p.name, _ = dotted(t)
	}
	plain := strings.TrimPrefix(strings.ToLower(p.name), "intramuros.")
	_, known := defaults[plain]
	if !known && !session.Known(plain) && c.show(plain) == "" {
		return &coordinator.Error{
			Code: coordinator.CodeInvalidRequest, Message: fmt.Sprintf("there is no setting %q", p.name), Hint: "the settings are " + strings.Join(session.Names, ", "),
		}
	}
	p.columns = []dictionary.Column{{Name: p.name, OID: dictionary.OIDText}}
	return nil
}

// forgetStatements deallocates a prepared statement, or all.
func (c *conn) forgetStatements(name string) {
	if name != "" {
		c.dropStatement(name)
		return
	}
	for name := range c.statements {
		c.dropStatement(name)
	}
}

// discard resets what the session has set, as connection pools do between two users.
func (c *conn) discard(what string) {
	if what == "all" || what == "settings" {
		c.settings = c.initial
		for name := range c.variables {
			if name != "application_name" {
				delete(c.variables, name)
			}
		}
	}
	if what == "all" {
		c.forgetStatements("")
		c.closeCursors(true)
	}
}
