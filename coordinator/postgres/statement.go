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
	"github.com/intramuros/intramuros/coordinator/session"
	"github.com/intramuros/intramuros/coordinator/tabular"
	"github.com/intramuros/intramuros/internal/sqltoken"
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
	declare    // a cursor
	fetch      // from it, or MOVE
	closing    // it
	deallocate // a prepared statement, or all
	discard    // what the session has set: DISCARD, RESET ALL
	stop       // what another connection of the same person runs
	schemaOnly // a question whose answer has columns, and no row whatever the data is
	ignored    // accepted, and means nothing
)

// statement is one statement, prepared.
type statement struct {
	sqltoken.Statement
	whole      string // the text that it was a part of
	kind       kind
	tag        string // of CommandComplete, where it is no SELECT
	columns    []dictionary.Column
	parameters []uint32 // OIDs
	intervals  bool     // as columns, as they were when the columns were told
	lookup     *dictionary.Question
	name, text string // of SET, SHOW, CLOSE and DEALLOCATE
	cursor     cursor
	copy       *copying // nil: no COPY
	size       int      // bytes, about
}

// weigh tells how many bytes the statement takes, about.
func (p *statement) weigh() int {
	const token, column, fixed = 64, 64, 512
	return fixed + len(p.whole) + len(p.Text) + token*len(p.Tokens) + column*len(p.columns)
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
	moved     int  // rows that FETCH or MOVE went over
	cursor    bool // made by DECLARE
	hold      bool
	size      int  // bytes, about, beside the statement's
	kept      bool // until it is dropped
}

// begins reads the statement's first words.
func begins(tokens []sqltoken.Token, words ...string) bool {
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
	"savepoint": "SAVEPOINT", "release": "RELEASE", "listen": "LISTEN", "unlisten": "UNLISTEN", "checkpoint": "CHECKPOINT",
}

// prepare tells what a statement is, and plans it where its columns are asked for before it runs. It costs nothing.
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
		p.kind, p.tag = ignored, "ROLLBACK"
	case begins(t, "rollback"), begins(t, "abort"):
		p.kind, p.tag = commit, "ROLLBACK"
	case begins(t, "set"), begins(t, "reset"):
		return p, p.readSet()
	case begins(t, "declare"):
		return p, c.readDeclare(p, types)
	case begins(t, "fetch"), begins(t, "move"):
		return p, c.readFetch(p)
	case begins(t, "close"):
		p.kind, p.tag = closing, "CLOSE CURSOR"
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
	case begins(t, "show") && !informs(t):
		return p, c.readShow(p)
	case ignoredTags[t[0].Text] != "" && t[0].Kind == sqltoken.Word:
		p.kind, p.tag = ignored, ignoredTags[t[0].Text]
	case stops(t):
		p.kind, p.columns = stop, []dictionary.Column{{Name: t[1].Name(), OID: dictionary.OIDBool}}
	case dictionary.About(t) && selects(t):
		p.kind = lookup
		p.listParameters(types)
		q, err := c.server.dictionary.Prepare(c.ctx, s, c.session())
		if err != nil {
			return nil, err
		}
		p.lookup, p.columns = q, q.Columns
		p.typeParameters()
	default:
		p.kind = question
		if selects(t) && rowless(t) {
			p.kind = schemaOnly
		}
		if p.kind == question && !planned {
			return p, nil
		}
		o, err := c.outline(p, nil)
		if err != nil && p.kind == schemaOnly && len(p.parameters) == 0 {
			// Tools ask so for the columns of what is never shown: a table, the rows of patients.
			if q, e := c.server.dictionary.PrepareHollow(c.ctx, s, c.session()); e == nil {
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

// typeParameters gives a column that is a parameter and nothing else the parameter's type, which is text where the client leaves
// it open, as PostgreSQL has it.
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

// castLists are the types of lists of what a cast of an array names.
var castLists = map[string]uint32{
	"oid": dictionary.OIDOidArray, "regclass": dictionary.OIDOidArray, "regtype": dictionary.OIDOidArray, "int2": dictionary.OIDInt2Array, "smallint": dictionary.OIDInt2Array,
	"int": dictionary.OIDInt4Array, "int4": dictionary.OIDInt4Array, "integer": dictionary.OIDInt4Array, "int8": dictionary.OIDInt8Array, "bigint": dictionary.OIDInt8Array,
}

// listParameters gives the parameters of a question about the catalog that stand for lists, as in = ANY($1), and whose type the
// client leaves open, the type of their cast, or that of what they are compared with.
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

func (c *conn) session() dictionary.Session {
	return dictionary.Session{User: c.who.Name, Database: c.settings.Study, Process: c.id, Setting: c.show}
}

// selects tells a statement that may be a question.
func selects(t []sqltoken.Token) bool {
	return begins(t, "select") || begins(t, "with") || begins(t, "values") || begins(t, "(") || begins(t, "table")
}

// rowless tells a question that ends in LIMIT 0, or that computes nothing, COUNT(*) say, and whose outermost
// condition is a constant that is never true: so tools ask for columns. Its answer has no row, whatever the data is.
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

// stops tells SELECT pg_cancel_backend(n) and pg_terminate_backend(n), which stop what another connection runs.
func stops(t []sqltoken.Token) bool {
	return len(t) > 2 && begins(t, "select") && (t[1].Is("pg_cancel_backend") || t[1].Is("pg_terminate_backend")) && t[2].Is("(")
}

// readName reads the name that is the rest of a statement; ALL is none.
func (p *statement) readName(t []sqltoken.Token, hint string) error {
	if len(t) != 1 || t[0].Name() == "" {
		return unread(p.tag, hint)
	}
	if !t[0].Is("all") {
		p.name = t[0].Name()
	}
	return nil
}

// outline plans a question, and leaves its columns, as far as they are known.
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

// tell notes the columns that a client is told of.
func (p *statement) tell(columns []planner.Column, intervals bool) {
	p.intervals, p.columns = intervals, nil
	for _, column := range tabular.Columns(columns, intervals) {
		p.columns = append(p.columns, dictionary.Column{Name: column.Name, OID: dictionary.OIDOf(column.Type)})
	}
}

// readSet reads SET [SESSION | LOCAL] name {= | TO} value, SET TRANSACTION …, RESET name.
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

// informs tells what the coordinator itself shows.
func informs(t []sqltoken.Token) bool {
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

// run does what the statement says, once, and leaves its rows in the portal.
func (c *conn) run(p *portal) error {
	p.ran = true
	if err := c.answer(p); err != nil {
		return err
	}
	if p.kept && p.statement.kind != fetch { // whose rows are the cursor's
		size := weighRows(p.rows)
		p.size += size
		c.server.holdings.hold(c, size)
	}
	return nil
}

// weighRows tells how many bytes rows take, about.
func weighRows(rows [][]any) int {
	const cell = 32
	size := 0
	for _, row := range rows {
		size += cell * (len(row) + 1)
		for _, v := range row {
			if text, ok := v.(string); ok {
				size += len(text)
			}
		}
	}
	return size
}

// answer does what the statement says.
func (c *conn) answer(p *portal) error {
	s := p.statement
	switch s.kind {
	case begin:
		c.inBlock = true
	case commit:
		c.inBlock = false
		c.closeCursors(false)
	case declare:
		return c.runDeclare(p)
	case fetch:
		return c.runFetch(p)
	case closing:
		return c.runClose(s.name)
	case deallocate:
		c.forgetStatements(s.name)
	case discard:
		c.discard(s.name)
	case stop:
		p.rows = [][]any{{c.server.stop(c.who.Name, s.Tokens)}}
	case schemaOnly:
		c.notice("cost: nothing, the columns were asked for and no row", "")
	case set:
		return c.set(s.name, s.text)
	case show:
		c.showRows(p)
	case lookup, question:
		// Before anything is paid for: an answer is kept however large it is.
		if err := c.server.holdings.room(c, 0); err != nil {
			return err
		}
		if s.kind == question {
			return c.ask(p)
		}
		ctx, done := c.work()
		defer done()
		rows, err := s.lookup.Run(ctx, p.arguments)
		p.rows = rows
		return err
	}
	return nil
}

// forgetStatements forgets a prepared statement, or all.
func (c *conn) forgetStatements(name string) {
	if name != "" {
		c.dropStatement(name)
		return
	}
	for name := range c.statements {
		c.dropStatement(name)
	}
}

// discard takes back what the session has set, as pools of connections do between two of their users.
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
	a, err := c.server.asker.Forewarned(ctx, c.who, c.settings.Request(p.statement.Text, p.values), c.forewarn)
	if err != nil {
		return err
	}
	if p.statement.columns == nil {
		p.statement.tell(a.Columns, c.settings.Intervals)
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
	if a.Public {
		c.notice("cost: nothing, public tables only", "")
		for _, w := range a.Warnings {
			c.warn(w)
		}
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

// forewarn tells, and sends at once, what to know before anything is spent, and may be canceled for: what the answer will not
// be, and who is away. Of a stored answer, which costs nothing, there is nothing to tell.
func (c *conn) forewarn(o *coordinator.Outline) {
	if o.Stored || len(o.Warnings)+len(o.Away) == 0 {
		return
	}
	told := slices.Clone(o.Warnings)
	for _, a := range o.Away {
		told = append(told, a.Name+" "+a.Why)
	}
	c.notice(fmt.Sprintf("before epsilon %s is spent: %s", short(o.Cost.Epsilon), strings.Join(told, "; ")), "")
	if c.flush() != nil { // the client is gone, and for nobody nothing is spent
		c.stop()
	}
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
				if column.Type == value.TypeTimestamp {
					half /= 1e6 // seconds
				}
			}
			least, most = math.Min(least, half), math.Max(most, half)
		}
		unit := map[value.Type]string{value.TypeDate: " days", value.TypeTimestamp: " seconds"}[column.Type]
		switch {
		case math.IsInf(most, -1):
		case short(least) == short(most):
			parts = append(parts, column.Name+" ± "+short(most)+unit)
		default:
			parts = append(parts, column.Name+" ± "+short(least)+" to "+short(most)+unit)
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
