package syntax

// parser reads one statement by recursive descent. The precedence of AND, OR, NOT and arithmetic is left to a grammar:
// see sequence.
type parser struct {
	tokens  []token
	i       int         // the token to read next
	partner map[int]int // the closing parenthesis of each opening one

	statement *Statement
	schemas   map[string]token // the schema named for each table
	common    []string         // the names of WITH in scope
	windows   windowScope      // the windows of the SELECT that is being read
	unnamed   []baseWindow     // windows of the current query that refer to another by name
	settled   int              // the number of operator sequences that sqlparser has read
	first     *Expr            // the condition of the last SELECT's DISTINCT ON
	marker    byte             // how parameters are written: ?, $ or :
	reordered bool             // a NATURAL join of the current FROM has reordered its tables
	semi      []*Expr          // conditions of SEMI and ANTI joins of the current FROM
	fullJoins int              // the number read so far
	tables    int              // the number read so far
	inner     int              // the number of parentheses around the current query
	depth     int              // nesting depth of expressions
	dialect   differences

	subscripts bool // q[OFFSET(k)] of a column has been read
}

// Parse reads one statement in PostgreSQL's dialect. The error is always an *Error.
func Parse(sql string) (s *Statement, err error) { return ParseIn(sql, PostgreSQL) }

// ParseIn reads one statement in a dialect; the zero value means PostgreSQL. All that depends on the dialect is decided
// here, so the statement has one meaning. The error is always an *Error.
func ParseIn(sql string, d Dialect) (s *Statement, err error) {
	defer Catch(&err)
	d, ok := ParseDialect(string(d))
	if !ok {
		Refuse(CodeParameter, Position{Line: 1, Column: 1}, "write postgres, mysql, bigquery, snowflake, tsql or spark",
			"there is no dialect %q", d)
	}
	p := &parser{tokens: scan(sql, dialects[d]), schemas: map[string]token{}, dialect: dialects[d]}
	p.partner = partners(p.tokens)
	p.statement = &Statement{Kind: KindSelect, At: p.tokens[0].at}
	p.read()
	if p.subscripts && p.statement.Query != nil {
		subscripts(p.statement.Query)
	}
	return p.statement, nil
}

// windowScope holds the windows that a SELECT names.
type windowScope map[string]*Window

// baseWindow is a window that refers to another by name and may add an order.
type baseWindow struct {
	*Window
	base  token
	whole bool
}
