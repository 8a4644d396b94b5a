package syntax

// parser reads one statement by recursive descent. It leaves the precedence of AND, OR, NOT
// and of arithmetic to a grammar; see sequence.
type parser struct {
	tokens  []token
	i       int         // the token to read next
	partner map[int]int // of an opening parenthesis, the closing one

	statement *Statement
	schemas   map[string]token // the schema that each table is read from
	common    []string         // names of WITH in scope
	windows   windowScope      // of the SELECT that is being read
	unnamed   []baseWindow     // windows of the query being read that refer to another by name
	settled   int              // sequences of operators that sqlparser has read
	first     *Expr            // what DISTINCT ON keeps of the last SELECT
	marker    byte             // how parameters are written: ?, $ or :
	reordered bool             // a NATURAL join of the FROM that is being read has its tables in another order
	semi      []*Expr          // what SEMI and ANTI joins of the FROM that is being read require
	fullJoins int              // how many have been read
	tables    int              // how many have been read
	inner     int              // how many parentheses the query being read stands in
	depth     int              // of expressions being read
	dialect   differences

	subscripts bool // q[OFFSET(k)] has been read of a column
}

// Parse reads one statement of PostgreSQL's dialect. The error is always an *Error.
func Parse(sql string) (s *Statement, err error) { return ParseIn(sql, PostgreSQL) }

// ParseIn reads one statement of a dialect; the zero value is PostgreSQL's. What the dialect decides is decided here:
// the statement has one meaning. The error is always an *Error.
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

// baseWindow is a window that takes another by its name, whole or but for its order.
type baseWindow struct {
	*Window
	base  token
	whole bool
}
