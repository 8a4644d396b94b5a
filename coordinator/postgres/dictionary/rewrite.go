package dictionary

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/sqltoken"
)

// rewriter rewrites PostgreSQL's SQL as DuckDB's.
type rewriter struct {
	d          *Dictionary
	session    Session
	schemaOnly bool // the federation's tables are read; they are empty
	sql        string
	tokens     []sqltoken.Token
	out        []string
	at         int               // the next token
	opened     []opening         // for each open parenthesis
	casts      []int             // for each open CAST(: where in out it begins
	texts      []int             // for each open SUBSTRING(: where in out it begins
	from       []bool            // for each open parenthesis and the whole: whether FROM is being read
	vectors    []bool            // for each open bracket: whether it counts from 0
	ranges     map[string]string // the system catalogs that are read, by alias
	selecting  bool              // the select list is being read
	operand    int               // where in out the current operand begins, or -1
}

// opening says what opened a parenthesis.
type opening int

const (
	other opening = iota
	byCast
	bySeries
	byRows
	byAncestors
	bySubstring // perhaps with a pattern
	byJSON
	byRow
)

// closeSeries writes the alias of a function in FROM also as the alias of its column.
func (r *rewriter) closeSeries(by opening) {
	r.at++
	r.emit(")", false)
	if !r.from[len(r.from)-1] {
		return
	}
	i := 0
	if r.peek(0).Is("as") {
		i = 1
	}
	name := r.peek(i)
	if name.Name() == "" || keywords[name.Text] || name.Is("cross") || r.peek(i+1).Is("(") {
		if by == byRow {
			r.emit(")", false)
		}
		return
	}
	r.at += i + 1
	alias := quoteName(name.Name())
	if by == byRow {
		r.emit("AS "+alias+" ) AS "+alias, false)
		return
	}
	r.emit("AS "+alias+"("+alias+")", false)
}

func (d *Dictionary) rewrite(sql string, tokens []sqltoken.Token, session Session, schemaOnly bool) (string, error) {
	for _, t := range tokens { // DuckDB reads these differently
		if t.Text[0] == '`' || t.Kind == sqltoken.Operator && t.Text[0] >= utf8.RuneSelf {
			return "", fmt.Errorf("%w: %s", ErrNotCovered, t.Text)
		}
	}
	r := &rewriter{d: d, session: session, schemaOnly: schemaOnly, sql: sql, tokens: tokens, operand: -1, from: []bool{false}, ranges: ranges(tokens)}
	for r.at < len(r.tokens) {
		if err := r.step(); err != nil {
			return "", err
		}
	}
	return strings.Join(r.out, " "), nil
}

func (r *rewriter) peek(n int) sqltoken.Token {
	if r.at+n < len(r.tokens) {
		return r.tokens[r.at+n]
	}
	return sqltoken.Token{Kind: sqltoken.Operator}
}

// emit writes text. If it is an operand, the operand begins with it.
func (r *rewriter) emit(text string, operand bool) {
	if !operand {
		r.operand = -1
	} else if r.operand < 0 || len(r.out) == 0 || r.out[len(r.out)-1] != "." {
		r.operand = len(r.out)
	}
	r.out = append(r.out, text)
}

func (r *rewriter) step() error {
	t := r.peek(0)
	name := t.Name()
	if n := len(r.opened); t.Is("from") && n > 0 && r.opened[n-1] == bySubstring && r.peek(1).Kind == sqltoken.String {
		r.out[r.texts[len(r.texts)-1]] = "pgc.substring_match" // with a pattern
		r.at++
		r.emit(",", false)
		return nil
	}
	if clauses[name] && t.Kind == sqltoken.Word {
		r.from[len(r.from)-1], r.selecting = name == "from", name == "select"
	}
	after := len(r.out) > 0 && r.out[len(r.out)-1] == "."
	switch {
	case t.Kind == sqltoken.String:
		text := quote(t.Value())
		if r.isList() {
			text = listOf(text)
		}
		r.at++
		r.emit(text, true)
		return nil
	case r.schemaOnly && r.table(after), r.systemColumn(name, after):
		return nil
	case t.Is("operator") && r.peek(1).Is("("):
		return r.operator()
	case t.Is("collate"):
		r.at += 2
		for r.peek(0).Is(".") {
			r.at += 2
		}
		return nil
	case t.Is("::"):
		r.at++
		return r.cast()
	case t.Is("as") && len(r.opened) > 0 && r.opened[len(r.opened)-1] == byCast:
		r.at++
		r.castAs(r.typeName())
		return nil
	case t.Is("("):
		r.open()
	case t.Is(")") && r.closed():
		return nil
	case t.Is("["):
		vector := r.at > 0 && vectorColumns[r.tokens[r.at-1].Name()]
		r.vectors = append(r.vectors, vector)
		if r.at++; vector {
			r.emit("[ 1 + (", false)
			return nil
		}
		r.emit("[", false)
		return nil
	case t.Is("]"):
		r.at++
		n := len(r.vectors)
		if n > 0 && r.vectors[n-1] {
			r.emit(")", false)
		}
		r.vectors = r.vectors[:max(0, n-1)]
		r.emit("]", false)
		return nil
	case r.isNoFunction(t):
		r.emit(r.sql[t.Start:t.End], false)
		r.emit("'-'", true)
		r.at += 2
		return nil
	case t.Is("=") && r.isAnyOf():
		r.anyOf()
		return nil
	case isMatch(t.Text) && t.Kind == sqltoken.Operator:
		r.at++
		r.match(t.Text)
		return nil
	case !after && (name == "pg_catalog" || name == "information_schema") && r.peek(1).Is("."):
		r.at += 2
		return r.system(name)
	case !after && name != "" && t.Kind == sqltoken.Word && r.whoAsks(name):
		return nil
	case !after && name != "" && r.peek(1).Is("(") && functions[name]:
		r.at++
		r.emit("pgc."+quoteName(name), false)
		return nil
	case !after && t.Kind != sqltoken.String && r.peek(1).Is("(") && renamed[name] != "":
		r.at++
		r.emit(renamed[name], false)
		return nil
	case name == "string_to_array" && r.peek(1).Is("(") && r.from[len(r.from)-1]:
		r.at++ // a function that returns one row
		r.emit("( SELECT string_to_array", false)
		return nil
	case !after && name == "format" && r.peek(1).Is("("):
		r.formatted()
		return nil
	case name != "" && r.peek(1).Is("(") && !keywords[name] && !builtins[name] && !r.isAliasList():
		return fmt.Errorf("%w: the function %s", ErrNotCovered, name)
	case !after && name != "" && relations[name] && (r.at == 0 || !r.tokens[r.at-1].Is("as")):
		r.at++
		r.emit("pgc."+quoteName(name), true)
		return nil
	case strings.HasPrefix(name, "duckdb_") || strings.HasPrefix(name, "sqlite_") || strings.HasPrefix(name, "pragma_"):
		return fmt.Errorf("%w: %s", ErrNotCovered, name)
	}
	r.at++
	text := r.sql[t.Start:t.End]
	if t.Kind == sqltoken.Word { // PostgreSQL folds names that are not quoted
		text = strings.ToLower(text)
		if words[text] && !(text == "at" && r.peek(0).Is("time")) {
			text = quoteName(text)
		}
	}
	switch {
	case t.Is("."):
		r.out = append(r.out, ".") // the operand before the dot continues
	case t.Kind == sqltoken.Word && keywords[name], t.Kind == sqltoken.Operator:
		r.emit(text, false)
	default:
		r.emit(text, true)
	}
	return nil
}

// open records what a parenthesis begins.
func (r *rewriter) open() {
	by := other
	switch {
	case r.at > 0 && r.tokens[r.at-1].Is("cast"):
		by = byCast
		r.casts = append(r.casts, len(r.out)-1)
	case r.at > 0 && series[r.tokens[r.at-1].Name()]:
		by = bySeries
		// rows; in DuckDB it would be a list
		if n := len(r.out) - 1; !r.from[len(r.from)-1] && r.out[n] == "generate_series" {
			r.out[n], by = "unnest ( generate_series", byRows
		}
	case r.at > 0 && r.tokens[r.at-1].Is("string_to_array") && r.from[len(r.from)-1]:
		by = byRow
	case r.at > 0 && r.tokens[r.at-1].Is("json_build_object"):
		by = byJSON
	case r.at > 0 && r.tokens[r.at-1].Is("substring"):
		by = bySubstring
		r.texts = append(r.texts, len(r.out)-1)
	case r.at > 0 && r.tokens[r.at-1].Is("pg_partition_ancestors"):
		by = byAncestors
	}
	r.opened, r.from = append(r.opened, by), append(r.from, false)
}

// closed ends what a parenthesis began, and reports whether it has been written.
func (r *rewriter) closed() bool {
	if n := len(r.opened); n > 0 {
		by := r.opened[n-1]
		r.opened, r.from = r.opened[:n-1], r.from[:n]
		switch by {
		case byCast:
			r.casts = r.casts[:len(r.casts)-1]
		case bySubstring:
			r.texts = r.texts[:len(r.texts)-1]
		}
		if by == byRows {
			r.at++
			r.emit(") )", false)
			return true
		}
		if by == byJSON {
			r.at++
			r.emit(") AS VARCHAR)", true)
			return true
		}
		if by == bySeries || by == byRow {
			r.closeSeries(by)
			return true
		}
		if by == byAncestors && r.peek(1).Is("with") && r.peek(2).Is("ordinality") {
			r.at += 3 // the macro returns it, because DuckDB does not number a macro's rows
			r.emit(")", false)
			return true
		}
	}
	return false
}

// table writes a table of the federation: table, schema.table or catalog.schema.table. Before columns, schema and
// catalog are left out.
func (r *rewriter) table(after bool) bool {
	at := r.at
	if !after && r.peek(0).Name() == r.session.Database && r.peek(1).Is(".") {
		at += 2
	}
	if at+2 < len(r.tokens) && !after && r.tokens[at].Name() == "public" && r.tokens[at+1].Is(".") {
		at += 2
	} else {
		at = r.at
	}
	name := r.tokens[at].Name()
	if _, ok := r.d.tables[name]; !ok || after {
		return false
	}
	before := sqltoken.Token{}
	if r.at > 0 {
		before = r.tokens[r.at-1]
	}
	r.at = at + 1
	if r.from[len(r.from)-1] && (before.Is("from") || before.Is("join") || before.Is(",") || before.Is("(")) {
		r.emit("columns_only."+quoteName(name), true)
		return true
	}
	r.emit(quoteName(name), true)
	return true
}

// isAliasList reports whether the name before a parenthesis is an alias with columns, AS t(a, b), or the name of a
// common table expression.
func (r *rewriter) isAliasList() bool {
	if r.at == 0 {
		return false
	}
	before := r.tokens[r.at-1]
	return before.Is("as") || before.Is(")") || before.Is("with") || before.Is("recursive")
}

// system writes what follows pg_catalog. or information_schema.
func (r *rewriter) system(schema string) error {
	t := r.peek(0)
	name := t.Name()
	r.at++
	switch {
	case schema == "information_schema" && name != "_pg_expandarray":
		r.emit("isc."+quoteName(name), true)
	case r.peek(0).Is("(") && functions[name]:
		r.at--
		if r.whoAsks(name) {
			return nil
		}
		r.at++
		r.emit("pgc."+quoteName(name), false)
	case r.peek(0).Is("(") && renamed[name] != "":
		r.emit(renamed[name], false)
	case r.peek(0).Is("(") && name == "format":
		r.at--
		r.formatted()
	case r.peek(0).Is("(") && builtins[name]:
		r.emit(name, false)
	case r.peek(0).Is("("):
		return fmt.Errorf("%w: the function %s", ErrNotCovered, name)
	default:
		r.emit("pgc."+quoteName(name), true)
	}
	return nil
}

// whoAsks writes what depends on the session: current_user and the like, with or without parentheses, and
// current_setting of a constant.
func (r *rewriter) whoAsks(name string) bool {
	called := r.peek(1).Is("(")
	value := ""
	switch name {
	case "current_database", "current_catalog":
		value = r.session.Database
	case "current_user", "session_user", "current_role", "user":
		value = r.session.User
	case "pg_backend_pid":
		if !called {
			return false
		}
		value = strconv.FormatUint(uint64(r.session.Process), 10)
	case "current_schema":
		value = "public"
	case "current_setting":
		if !called || r.peek(2).Kind != sqltoken.String {
			return false
		}
		value = r.session.Setting(r.peek(2).Value())
	default:
		return false
	}
	switch {
	case called:
		for r.at++; !r.peek(0).Is(")") && r.at < len(r.tokens); r.at++ {
		}
		r.at++
	case name == "current_database" || name == "current_setting" || r.peek(1).Is("."):
		return false // an ordinary name
	default:
		r.at++
	}
	r.emit("pgc."+quoteName(name)+"("+quote(value)+")", true)
	return true
}

// operator writes OPERATOR(pg_catalog.~) as the operator itself.
func (r *rewriter) operator() error {
	r.at += 2
	if r.peek(0).Name() == "pg_catalog" && r.peek(1).Is(".") {
		r.at += 2
	}
	var symbol string
	for r.at < len(r.tokens) && !r.peek(0).Is(")") {
		symbol += r.peek(0).Text
		r.at++
	}
	r.at++
	switch {
	case isMatch(symbol):
		r.match(symbol)
	case slices.Contains([]string{"=", "<>", "<", ">", "<=", ">=", "+", "-", "*", "/", "||", "~~", "!~~"}, symbol):
		r.emit(symbol, false)
	default:
		return fmt.Errorf("%w: the operator %s", ErrNotCovered, symbol)
	}
	return nil
}

// isNoFunction recognizes a comparison of such a column with 0.
func (r *rewriter) isNoFunction(t sqltoken.Token) bool {
	compares := t.Is("=") || t.Is("<>") || t.Is("!=")
	return compares && r.at > 0 && functionColumns[r.tokens[r.at-1].Name()] && r.peek(1).Text == "0"
}
