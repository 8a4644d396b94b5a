package planner

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// source is one relation that a SELECT reads, and what the query calls it.
type source struct {
	fragment.Relation
	table *catalog.Table // of the catalog, or what is known of a derived relation
	at    Position
	// alias is the query's name for it; "" for one that no name reaches, because the
	// planner joined it.
	alias   string
	columns []column
	// merged lists the columns that JOIN … USING made one with those of a source before.
	merged []string
	// tables are those whose columns it holds where it is a FULL JOIN of them.
	tables  []string
	written int // its place in the text
	// parted is a condition on the one part that might be meant, where it is all parts of a table; else "".
	parted string
	// signature tells equal subqueries, which are joined once.
	signature string
}

// column is a column that a query can name.
type column struct {
	name   string // the query's
	column string // the relation's
	table  string // whose it is, where the source is a FULL JOIN; "" for a column of USING, and elsewhere
	joint  bool   // it is COALESCE of columns that a FULL JOIN says are equal, and not one of *
	// untyped: it is NULL and nothing else, and takes the type of what it meets.
	untyped bool
	// zero: it counts, and is 0 where the row that the left join lacks would be.
	zero bool
}

// column finds a column by its name, and by its table where the source is a FULL JOIN and a table is named.
func (s *source) column(table, name string) (*catalog.Column, bool) {
	for _, c := range s.columns {
		if c.answers(s, table, name) {
			return s.table.Column(c.column)
		}
	}
	return nil, false
}

// answers reports whether a column of a source is meant by a name, and a table where one is named.
func (c column) answers(s *source, table, name string) bool {
	return strings.EqualFold(c.name, name) && (s.tables == nil || table == "" || table == c.table)
}

// hasMerged reports whether USING of a FULL JOIN made one column of those of the name.
func (s *source) hasMerged(name string) bool {
	return slices.ContainsFunc(s.columns, func(c column) bool { return c.table == "" && strings.EqualFold(c.name, name) })
}

// called reports whether a table of a name, or any where it is empty, is this source, or joined within.
func (s *source) called(table string) bool {
	return table == "" || table == s.alias || slices.Contains(s.tables, table)
}

// untyped reports whether the column of the name is NULL and nothing else.
func (s *source) untyped(table, name string) bool {
	i := slices.IndexFunc(s.columns, func(c column) bool { return c.answers(s, table, name) })
	return i >= 0 && s.columns[i].untyped
}

// counts reports whether the column is a count, 0 where there is no row.
func (s *source) counts(table, name string) bool {
	i := slices.IndexFunc(s.columns, func(c column) bool { return c.answers(s, table, name) })
	return i >= 0 && s.columns[i].zero
}

// ambiguous reports whether two different columns have the name. That of USING, which stands first, is the only one.
func (s *source) ambiguous(table, name string) bool {
	first := ""
	for _, c := range s.columns {
		if !c.answers(s, table, name) {
			continue
		}
		if s.tables != nil && c.table == "" {
			return false
		}
		if first != "" && c.column != first {
			return true
		}
		if first == "" {
			first = c.column
		}
	}
	return false
}

func (s *source) expr(c *catalog.Column) *expr.Expr {
	return expr.Column(s.Name, c.Name, c.Type)
}

// named lists a table's columns under their own names.
func named(t *catalog.Table) []column {
	var all []column
	for _, c := range t.Columns {
		all = append(all, column{name: strings.ToLower(c.Name), column: c.Name})
	}
	return all
}

// scope is the queries that WITH names, the innermost first. The last of the list has no query.
type scope struct {
	syntax.With
	within *scope // where its query is planned
	next   *scope
	*memory
}

// memory is what is known of the queries of a statement while it is planned.
type memory struct {
	reads int // of names of WITH
	// kept holds the rows of queries that have been read to classify them, until they are planned.
	kept map[*syntax.Query]*resolver
}

// taken returns the rows of a query that has been read already, once, or nil.
func (s *scope) taken(q *syntax.Query) *resolver {
	in := s.kept[q]
	delete(s.kept, q)
	return in
}

// hand gives the rows of a query that has been read to another one, which takes its place.
func (s *scope) hand(from, to *syntax.Query) {
	if in := s.taken(from); in != nil {
		s.kept[to] = in
	}
}

// find returns the query of the name, or nil.
func (s *scope) find(name string) *scope {
	for ; s != nil; s = s.next {
		if s.Query != nil && s.Name == name {
			return s
		}
	}
	return nil
}

// maxReads bounds how often names of WITH are read while a statement is planned: each stands for its whole query, so a chain
// in which each reads the one before twice would grow by powers of two.
const maxReads = 2000

func (s *scope) read(at Position) *syntax.Query {
	if s.reads++; s.reads > maxReads {
		refuse(CodeTooLarge, at, "ask it in fewer steps, or in several queries", "the queries of WITH stand for more than %d queries, since they read one another", maxReads)
	}
	return s.Query
}

// behind is the query that a table of FROM stands for, and where it is planned; nil where it is a table.
func (s *scope) behind(f syntax.From) (*syntax.Query, *scope) {
	if w := s.find(f.Table); f.Query == nil && w != nil {
		return w.Query, w.within
	}
	return f.Query, s
}

// with puts the queries of WITH in scope: each sees those before it.
func (s *scope) with(queries []syntax.With) *scope {
	for _, w := range queries {
		s = &scope{With: w, within: s, next: s, memory: s.memory}
	}
	return s
}

// resolver gives the names of one SELECT their columns and its terms their types.
type resolver struct {
	catalog *vocabulary
	scope   *scope
	outer   *resolver // of the SELECT around a subquery, whose columns it may read
	sources []*source
	filter  *expr.Expr
	patient *expr.Expr // the column of the patient's id; nil where all is public
	// joining: ON is being resolved, where a subquery has no place.
	joining bool
	// nullMatters is the depth of operators around the term that is being resolved, such as NOT, that distinguish NULL
	// from FALSE.
	nullMatters int
	depth       int // of queries within queries
	// composer plans the queries within as releases of their own; nil where they are rows of patients.
	composer *programPlanner
	where    *syntax.Expr // WHERE, before it is resolved; nil: there is none
	// constants are the queries of FROM that read no table, and conditions what their joins ask.
	constants  []*constants
	conditions []*syntax.Expr
	// behind has the names, where moved stands between the rows and what reads them (see countOnce).
	behind *resolver
	moved  *fragment.Derived
	// known is what is known of the relations of knownOf.
	known   *fragment.Scope
	knownOf []fragment.Relation
}

func (r *resolver) relations() []fragment.Relation {
	var all []fragment.Relation
	for _, s := range r.sources {
		all = append(all, s.Relation)
	}
	return all
}

// of returns the source of a relation, or nil where it is another SELECT's.
func (r *resolver) of(relation string) *source {
	if i := r.place(relation); i >= 0 {
		return r.sources[i]
	}
	return nil
}

func (r *resolver) place(relation string) int {
	return slices.IndexFunc(r.sources, func(s *source) bool { return s.Name == relation })
}

// isPatientID reports whether the column of a source holds the patient's id.
func (r *resolver) isPatientID(s *source, column string) bool {
	if s.Derived != nil {
		return !s.table.Public && strings.EqualFold(s.table.Patient, column)
	}
	return r.catalog.IsPatientID(s.table.Name, column)
}

// readsPatientID reports whether the expression is the patient's id, in a row that has one.
func (r *resolver) readsPatientID(e *expr.Expr) bool {
	if e.Op != expr.OpColumn {
		return false
	}
	s := r.of(e.Relation)
	return s != nil && s.Join != fragment.JoinLeft && r.isPatientID(s, e.Column)
}

// from resolves the tables and their joins.
func (r *resolver) from(tables []syntax.From, at Position) {
	for _, f := range tables {
		c := r.constantsOf(f)
		if c != nil && c.values {
			c = nil
		}
		first := len(r.sources) == 0 && len(r.constants) > 0
		if (c != nil || first) && (f.Join == syntax.LeftJoin || f.Using != nil || f.Natural) {
			refuse(CodeNotSupported, f.At, "write CROSS JOIN", "a query that reads no table is joined by CROSS JOIN, or JOIN … ON")
		}
		if c != nil || first {
			if f.On != nil {
				r.conditions = append(r.conditions, f.On)
			}
			f.On, f.Join = nil, syntax.NoJoin
		}
		if c != nil {
			r.constants = append(r.constants, c)
			continue
		}
		if f.Lateral {
			r.lateral(f)
			continue
		}
		r.join(r.source(f), f)
	}
	if len(r.sources) == 0 {
		refuse(CodeNoPatient, at, "write FROM and a table of the catalog", "the query reads no table")
	}
}

// source resolves one table, a query named by WITH, or a derived table.
func (r *resolver) source(f syntax.From) *source {
	s := &source{at: f.At, alias: f.Alias, written: f.Written}
	query, within := f.Query, r.scope
	columns := f.Columns
	if f.Function != nil && r.composer == nil {
		refuse(CodeNotSupported, f.At, "", "%s cannot be joined", strings.ToUpper(f.Function.Name))
	}
	if w := r.scope.find(f.Table); query == nil && w != nil {
		query, within = w.read(f.At), w.within
		if columns == nil {
			columns = w.Columns
		}
	}
	if f.Function != nil {
		d := r.composer.tableFunction(f.Function, r.scope)
		s.Relation = fragment.Relation{Name: r.freshName("derived"), Derived: d.Derived}
		s.table, s.columns = d.table, d.columns
		if s.alias == "" {
			s.alias = f.Function.Name
		}
		return s
	}
	if t, ok := r.catalog.Table(f.Table); query == nil && r.composer != nil && (ok && !t.Public || len(r.catalog.Parts(f.Table)) > 0) {
		refuse(CodeNested, f.At, "ask for the inner aggregate in a query of its own, and write its number here; or join "+f.Table+" within the query that aggregates",
			"%s has rows of patients, and is joined here with an aggregate over patients, whose noisy answer is needed first", f.Table)
	}
	if parts := r.parts(f); query == nil && len(parts) > 1 {
		d := r.united(parts, f.At)
		s.Relation = fragment.Relation{Name: r.freshName("derived"), Derived: d.Derived}
		s.table, s.columns, s.parted = d.table, d.columns, parts[0].Part.Column+" = '"+parts[0].Part.Value+"'"
	} else if query == nil {
		t, ok := r.catalog.Table(f.Table)
		if len(parts) == 1 {
			t, ok = parts[0], true
		}
		if !ok {
			var names []string
			for _, t := range r.catalog.Tables {
				names = append(names, t.Name)
			}
			for w := r.scope; w.next != nil; w = w.next {
				names = append(names, w.Name)
			}
			refuse(CodeTable, f.At, cmp.Or(syntax.Nearest(f.Table, names), "SHOW TABLES lists them"), "the catalog has no table %s", f.Table)
		}
		s.table, s.columns = t, named(t)
		s.Relation = fragment.Relation{Name: r.freshName(t.Name), Table: t.Name}
	} else {
		d := r.derive(query, within, f.At)
		s.Relation = fragment.Relation{Name: r.freshName("derived"), Derived: d.Derived}
		s.columns = d.columns
		s.table = d.table
	}
	if len(columns) > len(s.columns) {
		refuse(CodeColumn, f.At, "name as many columns as the query has", "%s has %d columns", f.Alias, len(s.columns))
	}
	s.columns = slices.Clone(s.columns)
	if s.tables = f.Tables; s.tables != nil {
		for i, c := range s.columns {
			for _, t := range s.tables {
				if name, ok := strings.CutPrefix(c.name, t+"."); ok {
					s.columns[i].name, s.columns[i].table = name, t
				}
			}
			if name, ok := strings.CutPrefix(c.name, "."); ok {
				s.columns[i].name = name
			}
			if name, ok := strings.CutPrefix(c.name, "="); ok {
				s.columns[i].name, s.columns[i].joint = name, true
			}
		}
	}
	for i, name := range columns {
		s.columns[i].name = name
	}
	for _, o := range r.sources {
		if o.alias == f.Alias && f.Alias != "" {
			refuse(CodeAmbiguous, f.At, "give one of them another name with AS", "%s is used for two tables", f.Alias)
		}
	}
	if s.alias == "" {
		s.alias = " " + s.Name // a derived table without a name: its columns can be named, it cannot
	}
	return s
}

// join adds a source as FROM joins it.
func (r *resolver) join(s *source, f syntax.From) {
	using := f.Using
	if f.Natural {
		using = nil
		for _, o := range r.sources {
			for _, c := range o.columns {
				if _, ok := s.column("", c.name); ok && !slices.ContainsFunc(using, func(t *syntax.Expr) bool { return strings.EqualFold(t.Name, c.name) }) {
					using = append(using, &syntax.Expr{Kind: syntax.Column, At: f.At, Name: strings.ToLower(c.name)})
				}
			}
		}
	}
	switch f.Join {
	case syntax.CrossJoin:
		s.Join = fragment.JoinCross
	case syntax.InnerJoin:
		s.Join = fragment.JoinInner
	case syntax.LeftJoin:
		s.Join = fragment.JoinLeft
	}
	var conditions []*expr.Expr
	for _, t := range using {
		left := r.column(t)
		c, ok := s.column("", t.Name)
		if !ok {
			refuse(CodeColumn, t.At, "", "the joined table has no column %s", t.Name)
		}
		conditions = append(conditions, expr.Conjuncts(scalar.Apply(t.At, expr.OpEqual, left, s.expr(c)))...)
		s.merged = append(s.merged, t.Name)
	}
	r.sources = append(r.sources, s)
	if f.On != nil {
		r.joining = true
		conditions = append(conditions, expr.Conjuncts(r.condition(f.On, "ON"))...)
		r.joining = false
	}
	switch {
	case len(conditions) > 0:
		s.On = scalar.Conjunction(conditions)
		if s.Join == fragment.JoinCross {
			s.Join = fragment.JoinInner
		}
	case s.Join == fragment.JoinInner:
		s.Join = fragment.JoinCross
	case s.Join == fragment.JoinLeft:
		refuse(CodeSyntax, f.At, "add ON and the columns that are equal", "LEFT JOIN lacks its condition")
	}
}

// freshName names a relation by its table, so that plans read well and aliases
// do not tell equal queries apart.
func (r *resolver) freshName(table string) string {
	name := table
	for n := 2; ; n++ {
		taken := false
		for scope := r; scope != nil; scope = scope.outer {
			taken = taken || scope.of(name) != nil
		}
		if !taken {
			return name
		}
		name = table + "_" + strconv.Itoa(n)
	}
}

// row resolves a term over the columns of a row; aggregates have no place in it.
func (r *resolver) row(t *syntax.Expr) *expr.Expr {
	if r.behind != nil {
		return r.over(t.At, r.behind.row(t))
	}
	switch t.Kind {
	case syntax.Column:
		return r.column(t)
	case syntax.Star:
		refuse(CodeRowLevel, t.At, "ask for aggregates, such as COUNT(*) or AVG(x)", "rows of patients are never shown")
	case syntax.Subquery, syntax.Exists, syntax.InSubquery:
		if t.Kind == syntax.Subquery {
			if e := r.ofConstants(t.Query); e != nil {
				return e
			}
		}
		return r.subquery(t)
	case syntax.Call:
		if t.Over != nil {
			refuse(CodeMisplaced, t.At, "compute it in a query of its own, in FROM, over the rows of one patient",
				"%s OVER (…) cannot stand here", strings.ToUpper(t.Name))
		}
		if syntax.IsAggregate(t.Name) {
			refuse(CodeMisplaced, t.At, "use it in SELECT, HAVING or ORDER BY", "%s cannot stand here", strings.ToUpper(t.Name))
		}
	}
	return scalar.Build(t, func(a *syntax.Expr) *expr.Expr {
		if distinguishesNull(t, a) {
			r.nullMatters++
			defer func() { r.nullMatters-- }()
		}
		return r.row(a)
	})
}

// condition resolves a term that must be a condition.
func (r *resolver) condition(t *syntax.Expr, where string) *expr.Expr {
	e := r.row(t)
	if e.Type != value.TypeBool {
		refuse(CodeType, t.At, "write a comparison, such as "+t.Describe()+" = …", "%s needs a condition, and this is a %s", where, e.Type)
	}
	return e
}

// distinguishesNull reports whether t differs where an argument, a condition, is NULL and where it is FALSE. In a
// condition, AND and OR differ no more than the argument itself.
func distinguishesNull(t, argument *syntax.Expr) bool {
	if t.Kind != syntax.Operator {
		return true
	}
	switch t.Name {
	case "and", "or":
		return false
	case "case":
		i := slices.Index(t.Args, argument)
		return i%2 == 1 || i == len(t.Args)-1
	}
	return true
}

// column resolves a name: a column of the SELECT, else one of the SELECT around it.
func (r *resolver) column(t *syntax.Expr) *expr.Expr {
	if e := r.lookup(t); e != nil {
		return e
	}
	for o := r.outer; o != nil; o = o.outer {
		if e := o.lookup(t); e != nil {
			return e
		}
	}
	var names, aliases []string
	known := false
	for _, s := range r.sources {
		aliases = append(append(aliases, s.alias), s.tables...)
		if s.alias != "" && s.called(t.Qualifier) {
			known = true
			for _, c := range s.columns {
				names = append(names, c.name)
			}
		}
	}
	switch {
	case t.Qualifier != "" && !known:
		refuse(CodeTable, t.At, cmp.Or(syntax.Nearest(t.Qualifier, aliases), "its tables are "+listed(aliases)), "the query has no table called %s", t.Qualifier)
	case t.Qualifier == "" && t.Name == "hospital" && r.composer == nil:
		if !r.catalog.HospitalColumn {
			refuse(CodeColumn, t.At, "ask without it", "this federation does not tell its hospitals apart")
		}
		return expr.Hospital()
	}
	if slices.Contains(rowColumns, t.Name) {
		refuse(CodeColumn, t.At, "group by what the columns hold", "%s would tell rows apart, and there are no rows of patients to be seen", t.Describe())
	}
	refuse(CodeColumn, t.At, cmp.Or(syntax.Nearest(t.Name, names), "DESCRIBE with a table's name lists its columns"), "there is no column %s", t.Describe())
	return nil
}

// rowColumns are the columns that PostgreSQL adds to each table.
var rowColumns = []string{"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}

// listed writes the names that a query gave to its tables.
func listed(aliases []string) string {
	var names []string
	for _, a := range aliases {
		if a != "" && a[0] != ' ' {
			names = append(names, a)
		}
	}
	return strings.Join(names, ", ")
}

// lookup finds a column of this SELECT, or the patient; nil where there is none. A name of two columns is refused.
func (r *resolver) lookup(t *syntax.Expr) *expr.Expr {
	e, ambiguity := r.find(t)
	if ambiguity != nil {
		panic(ambiguity)
	}
	return e
}

// isColumn reports whether the term is the name of one column of this SELECT.
func (r *resolver) isColumn(t *syntax.Expr) bool {
	if t.Kind != syntax.Column {
		return false
	}
	e, ambiguity := r.find(t)
	return e != nil && ambiguity == nil
}

// resolves reports whether row reads the term: all its names are columns, and it holds no aggregate and no window.
func (r *resolver) resolves(t *syntax.Expr) bool {
	return t.Find(func(t *syntax.Expr) bool {
		switch t.Kind {
		case syntax.Column:
			known := t.Qualifier == "" && t.Name == "hospital" && r.catalog.HospitalColumn
			for o := r; o != nil && !known; o = o.outer {
				known = o.isColumn(t)
			}
			return !known
		case syntax.Call:
			return t.Over != nil || syntax.IsAggregate(t.Name)
		}
		return t.Kind == syntax.Star
	}) == nil
}

// find is lookup, with the refusal of a name of two columns beside.
func (r *resolver) find(t *syntax.Expr) (found *expr.Expr, ambiguity *Error) {
	if r.behind != nil {
		return r.behind.find(t)
	}
	for _, s := range r.sources {
		if s.alias == "" || !s.called(t.Qualifier) || t.Qualifier == "" && slices.Contains(s.merged, t.Name) {
			continue
		}
		c, ok := s.column(t.Qualifier, t.Name)
		if !ok {
			continue
		}
		if found != nil || s.ambiguous(t.Qualifier, t.Name) {
			return nil, ambiguous(t, "write "+strings.TrimSpace(s.alias)+"."+t.Name)
		}
		found = s.expr(c)
		if s.counts(t.Qualifier, t.Name) {
			found = scalar.Apply(t.At, expr.OpCoalesce, found, expr.Literal(value.Int(0)))
		}
		if s.untyped(t.Qualifier, t.Name) {
			found = expr.Literal(value.Null(c.Type))
		}
	}
	if c, ambiguity := r.constant(t); c != nil || ambiguity != nil {
		if c != nil && found != nil {
			return nil, ambiguous(t, "put the table before the name")
		}
		return c, ambiguity
	}
	if found == nil && t.Qualifier == "" && t.Name == "patient" && r.patient != nil {
		return r.patient, nil
	}
	if found == nil && t.Qualifier != "" && t.Name == "hospital" && r.catalog.HospitalColumn && r.composer == nil && // a column of every table
		slices.ContainsFunc(r.sources, func(s *source) bool { return s.called(t.Qualifier) }) {
		return expr.Hospital(), nil
	}
	return found, nil
}

func ambiguous(t *syntax.Expr, hint string) *Error {
	return &Error{Code: CodeAmbiguous, Position: t.At, Hint: hint, Message: t.Name + " is a column of more than one table here"}
}

// rows plans which rows a SELECT reads, and whose they are.
func (r *resolver) rows(s *syntax.Select) {
	r.where = s.Where
	r.from(s.From, s.At)
	r.findPatient()
	for _, on := range r.conditions {
		r.filter = scalar.Normalized(r.and(r.condition(on, "ON")))
	}
	if s.Where != nil {
		r.filter = scalar.Normalized(r.and(r.condition(s.Where, "WHERE")))
		r.refuseBeyond(s.Where)
	}
}

// refuseBeyond refuses a condition of WHERE that lies beyond the bounds of a column, which reads what is beyond them as the
// nearest: no row fulfils it, whatever the table holds, and an answer of 0 would say more than is known.
func (r *resolver) refuseBeyond(where *syntax.Expr) {
	conditions := []*syntax.Expr{where}
	if where.Kind == syntax.Operator && where.Name == "and" {
		conditions = where.Args
	}
	for _, t := range conditions {
		if t.Kind != syntax.Operator || !syntax.IsComparison(t.Name) || t.Name == "<>" || t.Args[0].Kind != syntax.Column || t.Args[1].Kind != syntax.Literal {
			continue
		}
		e := r.row(t.Args[0])
		s := r.of(e.Relation)
		if e.Op != expr.OpColumn || s == nil || s.Derived != nil {
			continue
		}
		c, ok := s.table.Column(e.Column)
		if !ok || !c.Lower.Valid() || !c.Type.Numeric() {
			continue
		}
		known, err := fragment.NewScope([]fragment.Relation{{Name: s.Name, Table: s.Table}}, r.catalog.Catalog)
		if err != nil {
			r.tooMuch(err)
		}
		if f := known.RangeWhere(e, r.row(t)); f.Lower > f.Upper {
			refuse(CodeBounds, t.At, "ask for what is within the bounds; or ask the federation's operator for wider ones",
				"no row fulfils this: by the catalog, %s lies from %s to %s, and what is beyond counts as the nearest of these", t.Args[0].Describe(), c.Lower, c.Upper)
		}
	}
}

// and adds a condition to those of WHERE.
func (r *resolver) and(e *expr.Expr) *expr.Expr {
	if r.filter == nil {
		return e
	}
	return scalar.Conjunction(append(expr.Conjuncts(r.filter), expr.Conjuncts(e)...))
}

// findPatient names the column that holds the patient's id, and joins the tables
// on the way to it where the query has none that does. Without private tables,
// there is no patient.
func (r *resolver) findPatient() {
	first := -1
	for i, s := range r.sources {
		if s.table.Public {
			continue
		}
		if first < 0 || r.sources[first].Join == fragment.JoinLeft {
			first = i
		}
		if s.Join != fragment.JoinLeft && r.isPatientID(s, s.table.Patient) {
			c, _ := s.table.Column(s.table.Patient)
			r.patient = s.expr(c)
			return
		}
	}
	if first < 0 {
		return
	}
	from := r.sources[first]
	if from.Join == fragment.JoinLeft {
		refuse(CodeNoPatient, from.at, "put the table with patients first", "a row of this LEFT JOIN may have no patient")
	}
	r.joinPath(from)
}

// joinPath joins the tables on the way from a table to its patient.
func (r *resolver) joinPath(from *source) {
	path, err := r.catalog.PatientPath(from.table)
	if err != nil {
		refuse(CodeNoPatient, from.at, "ask the federation's operator to mend the catalog", "%s", err)
	}
	for k, step := range path {
		table, _ := r.catalog.Table(step.Table)
		if k > 0 {
			foreign, _ := from.table.Column(path[k-1].Column)
			key, _ := table.Column(step.Key)
			next := &source{table: table, at: from.at, Relation: fragment.Relation{Name: r.freshName(table.Name), Table: table.Name, Join: fragment.JoinInner}}
			next.On = scalar.Apply(from.at, expr.OpEqual, from.expr(foreign), next.expr(key))
			// Right after the table that it belongs to, so that joins after it can be tied to the patient.
			r.sources = slices.Insert(r.sources, r.place(from.Name)+1, next)
			from = next
		}
		if c, ok := table.Column(step.Column); ok {
			r.patient = from.expr(c)
		}
	}
}

// linkByForeignKeys makes sure that all private relations are of one patient. Where a foreign
// key of the catalog joins two tables, it adds that the patients' ids are equal,
// since the key means it.
func (r *resolver) linkByForeignKeys() {
	if r.patient == nil {
		return
	}
	for { // each time, one relation fewer is untied, or the patient is found by another way, which happens once
		names, err := fragment.Unlinked(r.relations(), r.filter, r.catalog.Catalog, r.catalog.domains)
		if err != nil {
			r.tooMuch(err)
		}
		if len(names) == 0 {
			return
		}
		tied := false
		for _, name := range names {
			tied = tied || r.tieByKey(name, names)
		}
		for _, name := range names {
			tied = tied || r.derivePath(name)
		}
		if tied {
			continue
		}
		s := r.of(names[0])
		hint := "join it along the foreign keys that lead to the patient"
		if i := slices.IndexFunc(r.sources, func(s *source) bool { return s.parted != "" }); i >= 0 {
			refuse(CodePatientsMixed, s.at, "say which, such as "+strings.TrimSpace(r.sources[i].alias)+"."+r.sources[i].parted,
				"a row of %s is of one of several tables, and may be another patient's than the rows that it joins", strings.TrimSpace(r.sources[i].alias))
		}
		p := r.of(r.patient.Relation)
		if r.isPatientID(s, s.table.Patient) && p.alias != "" && slices.ContainsFunc(s.columns, func(c column) bool { return strings.EqualFold(c.column, s.table.Patient) }) {
			hint = "add " + p.alias + "." + r.patient.Column + " = " + s.alias + "." + s.table.Patient
		}
		refuse(CodePatientsMixed, s.at, hint, "a row of %s may be another patient's than the rows that it joins", strings.TrimSpace(s.alias))
	}
}

// derivePath puts a derived relation in the place of a table that reaches its patient through others, and is joined by a
// foreign key: the table's rows with their patient's id, which can then be tied, in whatever order and kind of join.
func (r *resolver) derivePath(name string) bool {
	s := r.of(name)
	if s.Derived != nil || r.isPatientID(s, s.table.Patient) || !slices.ContainsFunc(r.joinedBy(s), func(p keyPair) bool {
		return !p.of.table.Public && r.sameKey(s, p.column, p.of, p.other)
	}) {
		return false
	}
	in := &resolver{catalog: r.catalog, depth: r.depth}
	whole := &source{table: s.table, at: s.at, alias: s.alias, columns: named(s.table), Relation: fragment.Relation{Name: s.table.Name, Table: s.table.Name}}
	in.sources = []*source{whole}
	in.findPatient()
	var items []item
	for _, c := range s.table.Columns {
		items = append(items, item{c.Name, whole.expr(c)})
	}
	d := in.project(items, false)
	s.Table, s.Derived, s.table = "", d.Derived, d.table
	return true
}

// keyPair is an equality of a column with one of another source.
type keyPair struct {
	column string
	of     *source
	other  string
}

// joinedBy lists the equalities that hold where a source's rows are joined with others'.
func (r *resolver) joinedBy(s *source) []keyPair {
	i := r.place(s.Name)
	conditions := expr.Conjuncts(s.On)
	if s.Join != fragment.JoinLeft {
		conditions = append(conditions, expr.Conjuncts(r.filter)...)
		for _, o := range r.sources[i+1:] {
			if o.Join == fragment.JoinInner {
				conditions = append(conditions, expr.Conjuncts(o.On)...)
			}
		}
	}
	var all []keyPair
	for _, c := range conditions {
		if c.Op != expr.OpEqual || c.Args[0].Op != expr.OpColumn || c.Args[1].Op != expr.OpColumn {
			continue
		}
		x, y := c.Args[0], c.Args[1]
		if x.Relation != s.Name {
			x, y = y, x
		}
		if o := r.of(y.Relation); x.Relation == s.Name && o != nil && o != s {
			all = append(all, keyPair{x.Column, o, y.Column})
		}
	}
	return all
}

func (r *resolver) tieByKey(name string, unowned []string) bool {
	i := r.place(name)
	s := r.sources[i]
	if !r.isPatientID(s, s.table.Patient) {
		return false
	}
	for _, pair := range r.joinedBy(s) {
		o := pair.of
		if o.table.Public || slices.Contains(unowned, o.Name) || !r.sameKey(s, pair.column, o, pair.other) {
			continue
		}
		id := r.patient
		if r.isPatientID(o, o.table.Patient) && o.Join != fragment.JoinLeft {
			c, _ := o.table.Column(o.table.Patient)
			id = o.expr(c)
		}
		if id.Relation == name { // the patient's id is this relation's own: the other needs its own way to the patient
			if o.Derived != nil || o.Join == fragment.JoinLeft {
				continue
			}
			r.joinPath(o)
			return true
		}
		mine, _ := s.table.Column(s.table.Patient)
		same := scalar.Apply(s.at, expr.OpEqual, s.expr(mine), id)
		before := r.place(id.Relation) < i
		switch {
		case s.Join == fragment.JoinLeft && !before:
			continue
		case !before || s.On == nil && i == 0:
			r.filter = scalar.Conjunction(append(expr.Conjuncts(r.filter), same))
		case s.On == nil:
			s.Join, s.On = fragment.JoinInner, same
		default:
			s.On = scalar.Conjunction(append(expr.Conjuncts(s.On), same))
		}
		return true
	}
	return false
}

// sameKey reports whether equal values of the two columns mean the same row of
// some private table: one is a foreign key to the other, or both are to the same key.
func (r *resolver) sameKey(s *source, x string, o *source, y string) bool {
	if s == nil || o == nil {
		return false
	}
	a := keyOfColumn(s, x)
	return a != "" && strings.EqualFold(a, keyOfColumn(o, y)) && r.privateKey(a)
}

func keyOfColumn(s *source, column string) string {
	c, ok := s.table.Column(column)
	switch {
	case !ok:
		return ""
	case c.References != "":
		return c.References
	case s.Derived == nil && len(s.table.Key) == 1 && strings.EqualFold(s.table.Key[0], column):
		return s.table.Name + "." + c.Name
	}
	return ""
}

// tooMuch refuses relations of which a scope cannot be made.
func (r *resolver) tooMuch(err error) {
	if limit := new(fragment.Limit); errors.As(err, &limit) {
		r.invalid(err, r.sources[0].at)
	}
	_, message, _ := strings.Cut(err.Error(), ": ")
	refuse(CodeTooLarge, r.sources[0].at, "read fewer tables", "%s", message)
}

// facts infers what is known of an expression on the rows that are read.
func (r *resolver) facts(e *expr.Expr) expr.Range {
	if all := r.relations(); r.known == nil || !slices.Equal(all, r.knownOf) {
		s, err := fragment.NewScopeWithin(all, r.catalog.Catalog, r.catalog.domains)
		if err != nil {
			r.tooMuch(err)
		}
		r.known, r.knownOf = s, all
	}
	return r.known.RangeWhere(e, r.filter)
}

// reads reports whether the expression reads a relation of which f says so.
func reads(e *expr.Expr, f func(relation string) bool) bool {
	found := false
	e.Columns(func(relation, _ string) { found = found || f(relation) })
	return found
}
