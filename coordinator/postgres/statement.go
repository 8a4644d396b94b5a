package postgres

import (
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
	"github.com/intramuros/intramuros/coordinator/tabular"
	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// kind says how a statement is executed.
type kind int

const (
	empty        kind = iota
	patientQuery      // about patients
	catalogQuery      // about the catalog
	set
	show
	begin
	commit
	declare     // a cursor
	fetch       // from it, or MOVE
	closeCursor // of a cursor
	deallocate  // a prepared statement, or all
	discard     // what the session has set: DISCARD, RESET ALL
	cancelQuery // what another connection of the same person runs
	schemaOnly  // a question whose answer has columns but never a row
	noEffect    // accepted, without effect
)

// statement is a prepared statement.
type statement struct {
	sqltoken.Statement
	whole      string // the text of which it is a part
	kind       kind
	tag        string // for CommandComplete, unless it is a SELECT
	columns    []dictionary.Column
	parameters []uint32 // OIDs
	intervals  bool     // as columns, when the columns were announced
	lookup     *dictionary.Question
	name, text string // of SET, SHOW, CLOSE and DEALLOCATE
	cursor     cursor
	copy       *copying // nil if it is no COPY
	size       int      // approximate bytes
}

// weigh estimates the bytes of the statement.
func (p *statement) weigh() int {
	const token, column, fixed = 64, 64, 512
	return fixed + len(p.whole) + len(p.Text) + token*len(p.Tokens) + column*len(p.columns)
}

// begins reports whether a statement begins with these words.
func begins(tokens []sqltoken.Token, words ...string) bool {
	for i, w := range words {
		if i >= len(tokens) || !tokens[i].Is(w) {
			return false
		}
	}
	return true
}

// ignoredTags are statements that have no effect here, because nothing is written and a session has little state.
var ignoredTags = map[string]string{
	"savepoint": "SAVEPOINT", "release": "RELEASE", "listen": "LISTEN", "unlisten": "UNLISTEN", "checkpoint": "CHECKPOINT",
}

// prepare classifies a statement, and plans it if its columns are asked for before it runs. It costs nothing.
func (c *conn) prepare(s sqltoken.Statement, whole string, types []uint32, planned bool) (*statement, error) {
	p := &statement{Statement: s, whole: whole}
	for _, t := range s.Tokens {
		if t.Kind != sqltoken.Parameter {
			continue
		}
		n, err := strconv.Atoi(t.Text[1:])
		if err != nil || n < 1 || n > 1000 {
			return nil, &coordinator.Error{Code: coordinator.Code(planner.CodeParameter), Message: "parameters go from $1 to $1000"}
		}
		for len(p.parameters) < n {
			p.parameters = append(p.parameters, dictionary.OIDText)
		}
	}
	for i, oid := range types {
		if i < len(p.parameters) && oid != 0 {
			p.parameters[i] = oid
		}
	}
	t := s.Tokens
	switch {
	case len(t) == 0:
		p.kind = empty
	case begins(t, "begin"), begins(t, "start", "transaction"):
		p.kind, p.tag = begin, "BEGIN"
	case begins(t, "commit"), begins(t, "end"):
		p.kind, p.tag = commit, "COMMIT"
	case begins(t, "rollback", "to"), begins(t, "rollback", "transaction", "to"):
		p.kind, p.tag = noEffect, "ROLLBACK"
	case begins(t, "rollback"), begins(t, "abort"):
		p.kind, p.tag = commit, "ROLLBACK"
	case begins(t, "set"), begins(t, "reset"):
		return p, p.readSet()
	case begins(t, "declare"):
		return p, c.readDeclare(p, types)
	case begins(t, "fetch"), begins(t, "move"):
		return p, c.readFetch(p)
	case begins(t, "close"):
		p.kind, p.tag = closeCursor, "CLOSE CURSOR"
		return p, p.readName(t[1:], "CLOSE name")
	case begins(t, "deallocate", "prepare"):
		p.kind, p.tag = deallocate, "DEALLOCATE"
		return p, p.readName(t[2:], "DEALLOCATE name")
	case begins(t, "deallocate"):
		p.kind, p.tag = deallocate, "DEALLOCATE"
		return p, p.readName(t[1:], "DEALLOCATE name")
	case begins(t, "discard"):
		p.kind, p.tag, p.name = discard, "DISCARD", "all"
		if len(t) == 2 && !t[1].Is("all") {
			p.name = t[1].Name()
		}
		p.tag += " " + strings.ToUpper(p.name)
	case begins(t, "copy"):
		return c.readCopy(s, whole, types, planned)
	case begins(t, "show") && !isMetadata(t):
		return p, c.readShow(p)
	case ignoredTags[t[0].Text] != "" && t[0].Kind == sqltoken.Word:
		p.kind, p.tag = noEffect, ignoredTags[t[0].Text]
	case stops(t):
		p.kind, p.columns = cancelQuery, []dictionary.Column{{Name: t[1].Name(), OID: dictionary.OIDBool}}
	case dictionary.About(t) && selects(t):
		p.kind = catalogQuery
		p.listParameters(types)
		q, err := c.server.dictionary.Prepare(c.ctx, s, c.session())
		if err != nil {
			return nil, err
		}
		p.lookup, p.columns = q, q.Columns
		p.typeParameters()
	default:
		p.kind = patientQuery
		if selects(t) && rowless(t) {
			p.kind = schemaOnly
		}
		if p.kind == patientQuery && !planned {
			return p, nil
		}
		o, err := c.outline(p, nil)
		if err != nil && p.kind == schemaOnly && len(p.parameters) == 0 {
			// Tools ask in this way for the columns of rows that are never shown: of a table, or of patients' rows.
			if q, e := c.server.dictionary.PrepareSchema(c.ctx, s, c.session()); e == nil {
				p.columns = q.Columns
				return p, nil
			}
		}
		if err != nil {
			return nil, err
		}
		for _, q := range o.Parameters {
			n, err := strconv.Atoi(q.Name)
			if err != nil || n > len(p.parameters) {
				return nil, &coordinator.Error{Code: coordinator.Code(planner.CodeNotSupported), Message: "the parameter " + q.Name + " has no number", Hint: "write $1, $2 and so on"}
			}
			if n > len(types) || types[n-1] == 0 {
				p.parameters[n-1] = dictionary.OIDOf(q.Type)
				if q.Array {
					p.parameters[n-1] = arrayOIDs[q.Type]
				}
			}
		}
	}
	return p, nil
}

func (c *conn) session() dictionary.Session {
	return dictionary.Session{User: c.who.Name, Database: c.settings.Study, Process: c.id, Setting: c.show}
}

// selects reports whether a statement may be a query.
func selects(t []sqltoken.Token) bool {
	return begins(t, "select") || begins(t, "with") || begins(t, "values") || begins(t, "(") || begins(t, "table")
}

// rowless reports whether a query ends in LIMIT 0, or has no aggregate such as COUNT(*) and an outermost condition that
// is a false constant. Tools ask for columns in this way. Its answer has no row, whatever the data is.
func rowless(t []sqltoken.Token) bool {
	n := len(t)
	if n > 2 && t[n-2].Is("limit") && t[n-1].Text == "0" {
		return true
	}
	depth, where, listing := 0, -1, false
	for i, x := range t {
		switch {
		case depth == 0 && x.Is("select"), depth == 0 && x.Is("from"):
			listing = x.Is("select")
		case x.Is("("):
			if listing {
				return false
			}
			depth++
		case x.Is(")"):
			depth--
		case x.Is("union"), x.Is("intersect"), x.Is("except"):
			return false
		case depth == 0 && x.Is("where"):
			where = i
		}
	}
	if where < 0 {
		return false
	}
	for t = t[where+1:]; len(t) > 2 && t[0].Is("(") && t[len(t)-1].Is(")"); {
		t = t[1 : len(t)-1]
	}
	switch {
	case len(t) == 1:
		return t[0].Is("false")
	case len(t) == 3 && t[0].Kind == sqltoken.Number && t[2].Kind == sqltoken.Number:
		return t[1].Is("=") && t[0].Text != t[2].Text && !strings.ContainsAny(t[0].Text+t[2].Text, ".eE") ||
			(t[1].Is("<>") || t[1].Is("!=")) && t[0].Text == t[2].Text
	}
	return false
}

// stops recognizes SELECT pg_cancel_backend(n) and pg_terminate_backend(n), which cancel the query of another
// connection.
func stops(t []sqltoken.Token) bool {
	return len(t) > 2 && begins(t, "select") && (t[1].Is("pg_cancel_backend") || t[1].Is("pg_terminate_backend")) && t[2].Is("(")
}

// outline plans a query, and keeps its columns as far as they are known.
func (c *conn) outline(p *statement, parameters map[string]value.Value) (*coordinator.Outline, error) {
	ctx, done := c.work()
	defer done()
	o, err := c.server.asker.Outline(ctx, c.who, c.settings.Request(p.Text, parameters))
	if err != nil {
		return nil, err
	}
	p.tell(o.Columns, c.settings.Intervals)
	return o, nil
}

// tell sets the columns that the client is told.
func (p *statement) tell(columns []planner.Column, intervals bool) {
	p.intervals, p.columns = intervals, nil
	for _, column := range tabular.Columns(columns, intervals) {
		p.columns = append(p.columns, dictionary.Column{Name: column.Name, OID: dictionary.OIDOf(column.Type)})
	}
}
