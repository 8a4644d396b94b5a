package postgres

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
	"github.com/intramuros/intramuros/coordinator/postgres/lex"
	"github.com/intramuros/intramuros/coordinator/session"
	"github.com/intramuros/intramuros/coordinator/tabular"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// kind is what is to be done with a statement.
type kind int

const (
	empty    kind = iota
	question      // about patients
	lookup        // about the catalog
	set
	show
	begin
	commit
	ignored // accepted, and means nothing
)

// statement is one statement, prepared.
type statement struct {
	lex.Statement
	whole      string // the text that it was a part of
	kind       kind
	tag        string // of CommandComplete, where it is no SELECT
	columns    []dictionary.Column
	parameters []uint32 // OIDs
	intervals  bool     // as columns, as they were when the columns were told
	lookup     *dictionary.Question
	name, text string // of SET and SHOW
}

// portal is a statement with its parameters, and its answer once it has run.
type portal struct {
	statement *statement
	arguments []any                  // of a question about the catalog
	values    map[string]value.Value // of one about patients
	formats   []int16
	ran       bool
	rows      [][]any
	sent      int
}

// begins reads the statement's first words.
func begins(tokens []lex.Token, words ...string) bool {
	for i, w := range words {
		if i >= len(tokens) || !tokens[i].Is(w) {
			return false
		}
	}
	return true
}

// ignoredTags are statements that mean nothing where nothing is written and each
// session has little to forget.
var ignoredTags = map[string]string{
	"savepoint": "SAVEPOINT", "release": "RELEASE", "discard": "DISCARD ALL", "deallocate": "DEALLOCATE", "close": "CLOSE CURSOR", "listen": "LISTEN", "unlisten": "UNLISTEN", "checkpoint": "CHECKPOINT",
}

// prepare tells what a statement is, and plans it where that is needed. It costs nothing.
func (c *conn) prepare(s lex.Statement, whole string, types []uint32) (*statement, error) {
	p := &statement{Statement: s, whole: whole}
	for _, t := range s.Tokens {
		if t.Kind != lex.Parameter {
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
		p.kind, p.tag = ignored, "ROLLBACK"
	case begins(t, "rollback"), begins(t, "abort"):
		p.kind, p.tag = commit, "ROLLBACK"
	case begins(t, "set"), begins(t, "reset"):
		return p, p.readSet()
	case begins(t, "show") && !informs(t):
		return p, c.readShow(p)
	case ignoredTags[t[0].Text] != "" && t[0].Kind == lex.Word:
		p.kind, p.tag = ignored, ignoredTags[t[0].Text]
	case dictionary.About(t) && (begins(t, "select") || begins(t, "with") || begins(t, "values") || begins(t, "(") || begins(t, "table")):
		p.kind = lookup
		q, err := c.server.dictionary.Prepare(c.ctx, s, dictionary.Session{User: c.who.Name, Database: c.settings.Study, Setting: c.show})
		if err != nil {
			return nil, err
		}
		p.lookup, p.columns = q, q.Columns
	default:
		p.kind = question
		o, err := c.outline(p, nil)
		if err != nil {
			return nil, err
		}
		for i, q := range o.Parameters {
			n, err := strconv.Atoi(q.Name)
			if err != nil || n > len(p.parameters) {
				return nil, &coordinator.Error{Code: coordinator.Code(planner.CodeNotSupported), Message: "the parameter " + q.Name + " has no number", Hint: "write $1, $2 and so on"}
			}
			if n > len(types) || types[n-1] == 0 {
				p.parameters[n-1] = dictionary.OIDOf(o.Parameters[i].Type)
			}
		}
	}
	return p, nil
}

// outline plans a question, and leaves its columns, as far as they are known.
func (c *conn) outline(p *statement, parameters map[string]value.Value) (*coordinator.Outline, error) {
	o, err := c.server.asker.Outline(c.who, c.settings.Request(p.Text, parameters))
	if err != nil {
		return nil, err
	}
	p.intervals, p.columns = c.settings.Intervals, nil
	for _, column := range tabular.Columns(o.Columns, p.intervals) {
		p.columns = append(p.columns, dictionary.Column{Name: column.Name, OID: dictionary.OIDOf(column.Type)})
	}
	return o, nil
}

// readSet reads SET [SESSION | LOCAL] name {= | TO} value, SET TRANSACTION …, RESET name.
func (p *statement) readSet() error {
	t := p.Tokens[1:]
	p.kind, p.tag = set, "SET"
	if begins(p.Tokens, "reset") {
		p.tag = "RESET"
		if len(t) == 0 || begins(t, "all") {
			p.kind = ignored
			return nil
		}
		p.name, _ = dotted(t)
		return nil
	}
	if begins(t, "session", "characteristics") || begins(t, "transaction") || begins(t, "constraints") || begins(t, "role") || begins(t, "session", "authorization") {
		p.kind = ignored
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
	if len(t) == 1 && t[0].Kind == lex.String {
		p.text = t[0].Value()
	} else {
		p.text = p.Text[t[0].Start:t[len(t)-1].End]
	}
	return nil
}

// dotted reads a name such as intramuros.epsilon.
func dotted(t []lex.Token) (string, []lex.Token) {
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

// informs tells what the coordinator itself shows.
func informs(t []lex.Token) bool {
	return len(t) == 2 && (t[1].Is("tables") || t[1].Is("hospitals") || t[1].Is("budget") || t[1].Is("functions"))
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

// run does what the statement says, once, and leaves its rows in the portal.
func (c *conn) run(p *portal) error {
	s := p.statement
	p.ran = true
	switch s.kind {
	case begin:
		c.inBlock = true
	case commit:
		c.inBlock = false
	case set:
		return c.set(s.name, s.text)
	case show:
		c.showRows(p)
	case lookup:
		ctx, done := c.work()
		defer done()
		rows, err := s.lookup.Run(ctx, p.arguments)
		p.rows = rows
		return err
	case question:
		return c.ask(p)
	}
	return nil
}

func (c *conn) showRows(p *portal) {
	if p.statement.name != "all" {
		p.rows = [][]any{{c.show(p.statement.name)}}
		return
	}
	for _, name := range session.Names {
		p.rows = append(p.rows, []any{name, c.show(name), "of Intramuros"})
	}
	var names []string
	for name := range defaults {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p.rows = append(p.rows, []any{name, c.show(name), ""})
	}
}

// ask runs a question about patients.
func (c *conn) ask(p *portal) error {
	ctx, done := c.work()
	defer done()
	a, err := c.server.asker.Query(ctx, c.who, c.settings.Request(p.statement.Text, p.values), nil)
	if err != nil {
		return err
	}
	columns := tabular.Columns(a.Columns, p.statement.intervals)
	for _, row := range a.Rows {
		line := make([]any, len(columns))
		for i, column := range columns {
			line[i] = plain(column.Of(row))
		}
		p.rows = append(p.rows, line)
	}
	if a.Informs {
		return nil
	}
	c.notice(fmt.Sprintf("cost: %s; the study %s has epsilon %s left", costOf(a), c.settings.Study, short(a.Remaining.Epsilon)), hospitals(a))
	if text := intervals(a); text != "" {
		c.notice(text, "")
	}
	for _, w := range a.Warnings {
		c.warn(w)
	}
	return nil
}

func costOf(a *coordinator.Answer) string {
	if a.Stored {
		return "nothing, the same question was answered before"
	}
	s := "epsilon " + short(a.Cost.Epsilon)
	if a.Cost.Delta > 0 {
		s += ", delta " + short(a.Cost.Delta)
	}
	return s
}

func hospitals(a *coordinator.Answer) string {
	s := "answered by " + strings.Join(a.Answered, ", ")
	for _, m := range a.Missing {
		s += "; " + m.Name + " " + m.Why
	}
	return s
}

// intervals tells how far the intervals of each noisy column reach.
func intervals(a *coordinator.Answer) string {
	var parts []string
	for i, column := range a.Columns {
		if !tabular.Ranged(column) {
			continue
		}
		least, most := math.Inf(1), math.Inf(-1)
		for _, row := range a.Rows {
			e := row[i]
			half := math.Inf(1)
			if e.Low.Valid() && e.High.Valid() && !e.Low.IsNull() && !e.High.IsNull() {
				half = (e.High.Float64() - e.Low.Float64()) / 2
			}
			least, most = math.Min(least, half), math.Max(most, half)
		}
		switch {
		case math.IsInf(most, -1):
		case short(least) == short(most):
			parts = append(parts, column.Name+" ± "+short(most))
		default:
			parts = append(parts, column.Name+" ± "+short(least)+" to "+short(most))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("%s %% intervals: %s; SET intervals = columns shows each", short(100*a.Confidence), strings.Join(parts, ", "))
}

func short(x float64) string {
	if math.IsInf(x, 0) {
		return "without end"
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}

// plain is a value as pgtype encodes it.
func plain(v value.Value) any {
	if !v.Valid() || v.IsNull() {
		return nil
	}
	switch v.Type() {
	case value.TypeBool:
		return v.True()
	case value.TypeInt:
		return v.Int64()
	case value.TypeFloat:
		return v.Float64()
	case value.TypeDate:
		return time.Unix(v.Int64()*86400, 0).UTC()
	case value.TypeTimestamp:
		return time.UnixMicro(v.Int64()).UTC()
	}
	return v.Str()
}
