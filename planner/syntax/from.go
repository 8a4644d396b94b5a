package syntax

import (
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/internal/value"
)

// from reads the list of FROM.
func (p *parser) from(s *Select) {
	for {
		p.comma(s, p.tableReference())
		if !p.accept(",") {
			return
		}
	}
}

// tableReference reads a table and its joins. Each JOIN has its condition before the next JOIN, so the reading is
// unambiguous.
func (p *parser) tableReference() []From {
	left := p.tableFactor()
	for {
		t := p.here()
		if p.semiJoin(left) {
			continue
		}
		how, mirrored, ok := p.joinWords()
		if !ok {
			if p.comesOneOf("on", "using") {
				p.unexpected("it belongs to a JOIN before it")
			}
			return left
		}
		right := p.tableFactor()
		if how.Lateral { // APPLY
			right[0].Lateral = right[0].Query != nil
		}
		how.At = right[0].At
		conditional := !how.Natural && how.Join != CrossJoin && !how.Lateral
		switch on := p.here(); {
		case conditional && p.accept("on"):
			how.On = p.expression()
		case conditional && p.accept("using"):
			how.Using = p.usingColumns(on)
		case conditional && p.dialect.bareJoin && how.Join == InnerJoin:
			how.Join = CrossJoin
		case conditional:
			if _, _, another := p.joinWords(); another {
				Refuse(CodeNotSupported, on.at, "write the ON of each JOIN before the next JOIN",
					"a join within a join is not read without parentheses")
			}
			Refuse(CodeSyntax, t.at, "add ON and the columns that are equal, or write CROSS JOIN",
				"this JOIN lacks its condition")
		}
		if p.semi != nil && (how.Join == FullJoin || mirrored) {
			Refuse(CodeNotSupported, t.at, "write WHERE EXISTS (SELECT …) in its place", "a SEMI or ANTI JOIN before this join is not answered")
		}
		if how.Join == FullJoin {
			left = []From{p.fullJoin(left, right, how, t.at)}
			continue
		}
		if mirrored { // a RIGHT JOIN b equals b LEFT JOIN a
			p.reordered = p.reordered || how.Natural
			left, right = right, left
		}
		left = p.flatten(left, right, how)
	}
}

// joinWords reads the words of a join; mirrored is set for RIGHT JOIN.
func (p *parser) joinWords() (how From, mirrored, ok bool) {
	t := p.here()
	how.Natural = p.accept("natural")
	switch side := p.here(); {
	case p.accept("join"), p.accept("inner", "join"):
		how.Join = InnerJoin
		return how, false, true
	case !how.Natural && p.accept("cross", "join"):
		how.Join = CrossJoin
		return how, false, true
	case p.accept("left", "join"), p.accept("left", "outer", "join"), p.accept("right", "join"),
		p.accept("right", "outer", "join"):
		how.Join = LeftJoin
		return how, side.is("right"), true
	case p.accept("full", "join"), p.accept("full", "outer", "join"):
		how.Join = FullJoin
		return how, false, true
	case p.accept("cross", "apply"):
		how.Join, how.Lateral = CrossJoin, true
		return how, false, true
	case p.accept("outer", "apply"):
		how.Join, how.Lateral = LeftJoin, true
		return how, false, true
	}
	if how.Natural {
		p.unexpected("write NATURAL JOIN")
	}
	if t.is("full") {
		p.unexpected("")
	}
	return how, false, false
}

// usingColumns reads the columns of USING (a, b).
func (p *parser) usingColumns(at token) []*Expr {
	if !p.comes("(") {
		p.unexpected("write USING (column)")
	}
	p.i++
	var columns []*Expr
	for {
		t := p.name("write USING (column)")
		columns = append(columns, &Expr{Kind: Column, Name: t.text, At: t.at})
		if !p.accept(",") {
			break
		}
	}
	p.expect(")", "write USING (column)")
	if p.comes("as") {
		Refuse(CodeNotSupported, at.at, "give the tables names of their own", "USING takes no name")
	}
	return columns
}

// tableFactor reads a table, a derived table, a table function, or joined tables
// in parentheses.
func (p *parser) tableFactor() []From {
	t := p.here()
	f := From{At: t.at}
	switch {
	case p.queryComes(p.i):
		f.Query = p.subquery()
	case p.comes("lateral") && p.queryComes(p.i+1):
		p.i++
		f.Query, f.Lateral = p.subquery(), true
	case p.accept("("):
		semi := len(p.semi)
		group := p.tableReference()
		if len(p.semi) > semi {
			Refuse(CodeNotSupported, t.at, "write WHERE EXISTS (SELECT …) in its place", "a SEMI or ANTI JOIN in parentheses is not answered")
		}
		if p.comes(",") {
			Refuse(CodeNotSupported, p.here().at, "write CROSS JOIN", "a list of tables in parentheses is not read")
		}
		p.expect(")", "join the tables with JOIN … ON")
		if !p.here().isName() && !p.comes("as") {
			return group
		}
		f.Query = p.everything(group, t.at) // an alias for joined tables hides their names
	case p.comes("generate_series", "("):
		return p.series(f)
	case p.comes("table", "(") && p.listAt(2):
		p.i += 2
		list := p.listComes()
		p.expect(")", "close TABLE(…) there")
		f.Columns = []string{"value"}
		return p.list(f, t, list)
	case !p.comes("generate_series", "(") && p.listAt(0):
		return p.list(f, t, p.listComes())
	case t.isName() && p.token(1).is("(") && t.text != "values" && !p.token(2).is("nolock"):
		f.Function = p.tableFunction()
		f.Alias = t.text
	case t.isName() && t.text == "values":
		p.unexpected("")
	default:
		f.Table, f.At = p.tableName()
		f.Alias = f.Table
	}
	if p.comes("pivot", "(") {
		p.pivot(&f)
	}
	p.tableAlias(&f)
	if p.comes("pivot", "(") {
		p.pivot(&f)
		p.tableAlias(&f)
	}
	f.Written = p.tables
	p.tables++
	return []From{f}
}

// everything is SELECT * over the tables.
func (p *parser) everything(group []From, at Position) *Query {
	return &Query{At: at, Select: &Select{At: at, Items: []Item{{Term: &Expr{Kind: Star, At: at}}}, From: group}}
}

// tableAlias reads [AS] name [(columns)].
func (p *parser) tableAlias(f *From) {
	p.lockHint()
	if p.accept("as") {
		f.Alias = p.name("write a name after AS").text
	} else if t := p.here(); t.isName() && !p.comes("semi", "join") && !p.comes("anti", "join") && !p.comes("pivot", "(") {
		if _, elsewhere := unsupported[t.text]; elsewhere && t.kind == tokenWord {
			p.unexpected("")
		}
		p.i++
		f.Alias = t.text
	} else {
		return
	}
	p.lockHint()
	f.Columns = p.columnList()
	if p.comes("with", "(") || p.comesOneOf("tablesample", "option") {
		Refuse(CodeNotSupported, p.here().at, "leave it out", "hints and samples of tables are not read")
	}
}

// tableName reads table, schema.table, catalog.schema.table or @schema.table. Tables have no schema here. The tables
// are those of the federation, whatever schema a hospital keeps them in, and tools write the schema that a door's
// metadata names. It is refused if two schemas would make one name mean two tables, or if the name is one of WITH.
func (p *parser) tableName() (string, Position) {
	template := p.comes("@") && p.token(1).isName() && p.token(2).is(".")
	if template {
		p.i++
	}
	t := p.dashed(p.name("write the name of a table"))
	schema := token{}
	if i := strings.LastIndexByte(t.text, '.'); t.kind == tokenName && i > 0 { // `project.dataset.table`
		schema, t.text = t, t.text[i+1:]
		schema.text = schema.text[:i]
		if t.text == "" || p.comes(".") {
			Refuse(CodeTable, t.at, "write the table's name alone", "this is no table's name")
		}
	}
	if p.accept(".") {
		schema = t
		if template {
			schema.text = "@" + schema.text
		}
		t = p.name("write schema.table")
		if !template && p.accept(".") {
			schema.text += "." + t.text
			schema.at = span(schema.at, t.at)
			t = p.name("write catalog.schema.table")
		}
		if p.comes(".") {
			Refuse(CodeTable, schema.at, "write schema.table, or the table's name alone",
				"a table's name has three parts at most")
		}
	}
	if schema.text != "" && slices.Contains(p.common, t.text) {
		Refuse(CodeAmbiguous, t.at, "give the query of WITH another name", "%s is a query of WITH and a table of %s", t.text,
			schema.text)
	}
	if other, seen := p.schemas[t.text]; seen && schema.text != "" && !sameSchema(other.text, schema.text) {
		Refuse(CodeAmbiguous, t.at, "read it from one schema",
			"%s is read from two schemas, and there is one table of that name here", t.text)
	}
	if schema.text != "" {
		p.schemas[t.text] = schema
	}
	return t.text, t.at
}

// sameSchema reports whether two names may mean one schema: they are equal, or one also names the catalog.
func sameSchema(a, b string) bool {
	return a == b || strings.HasSuffix(a, "."+b) || strings.HasSuffix(b, "."+a)
}

// dashed reads the rest of a BigQuery project's name, in which dashes need no quotes:
// physionet-data.mimiciv_icu.icustays.
func (p *parser) dashed(t token) token {
	adjacent := func(a, b token) bool { return a.at.Offset+a.at.Length == b.at.Offset }
	for t.kind == tokenWord && p.comes("-") && adjacent(t, p.here()) && adjacent(p.here(), p.token(1)) && p.token(1).isName() {
		p.i++
		next := p.take()
		t.text, t.at = t.text+"-"+next.text, span(t.at, next.at)
	}
	return t
}

// lockHint skips WITH (NOLOCK). It asks not to wait for locks, and there are none.
func (p *parser) lockHint() {
	if p.accept("with", "(", "nolock", ")") || p.comes("(", "nolock", ")") {
		p.accept("(", "nolock", ")")
	}
}

// series reads GENERATE_SERIES(from, to[, step]) with constant arguments as rows of constants. The column has the
// table's name.
func (p *parser) series(f From) []From {
	t := p.take()
	p.i++
	args := p.expressions()
	p.expect(")", "write GENERATE_SERIES(1, 10)")
	return p.list(f, t, seriesOf(t, args))
}

// list turns values into a table. The column has the table's name.
func (p *parser) list(f From, t token, values []*Expr) []From {
	f.Query, f.Alias = &Query{At: t.at, Select: &Select{At: t.at}}, t.text
	named := f.Columns
	if p.tableAlias(&f); f.Columns == nil {
		f.Columns = named
	}
	for _, v := range values {
		f.Query.Select.Values = append(f.Query.Select.Values, []*Expr{v})
	}
	f.Query.Select.Items = []Item{{Term: f.Query.Select.Values[0][0], Alias: f.Alias}}
	if f.Columns != nil {
		f.Query.Select.Items[0].Alias = f.Columns[0]
	}
	f.Written = p.tables
	p.tables++
	return []From{f}
}

// seriesOf lists the values of a series of ints, or of dates by an interval.
func seriesOf(t token, args []*Expr) (all []*Expr) {
	wrong := func() {
		Refuse(CodeNotSupported, t.at, "write whole numbers, GENERATE_SERIES(2010, 2020), or dates and an interval, "+
			"GENERATE_SERIES(DATE '2020-01-01', DATE '2020-12-01', INTERVAL '1 month')",
			"a series of 1 to %d constants is read here", maxValues)
	}
	if len(args) < 2 || len(args) > 3 || args[0].Kind != Literal || args[1].Kind != Literal {
		wrong()
	}
	dated := func(x *Expr) value.Value { // BigQuery's dates may be texts
		if v, err := value.Parse(value.TypeDate, x.Literal.String()); err == nil && x.Text && t.text == "generate_date_array" {
			return v
		}
		return x.Literal
	}
	from, to, step := dated(args[0]), dated(args[1]), int64(1)
	months := false
	switch {
	case len(args) == 3 && args[2].Kind == Interval && len(args[2].Args) == 1 && args[2].Args[0].Kind == Literal:
		size := map[string]int64{"day": 1, "week": 7, "month": 1, "quarter": 3, "year": 12}[args[2].Name]
		if size == 0 || from.Type() != value.TypeDate || args[2].Args[0].Literal.Type() != value.TypeInt {
			wrong()
		}
		step, months = args[2].Args[0].Literal.Int64()*size, args[2].Name != "day" && args[2].Name != "week"
	case len(args) == 3 && args[2].Kind == Literal && args[2].Literal.Type() == value.TypeInt && from.Type() == value.TypeInt:
		step = args[2].Literal.Int64()
	case len(args) == 2 && from.Type() == value.TypeDate && t.text == "generate_date_array":
	case len(args) == 3, from.Type() != value.TypeInt:
		wrong()
	}
	if from.Type() != to.Type() || step < 1 || step > 1<<31 {
		wrong()
	}
	for n := int64(0); ; n++ {
		v := value.Int(from.Int64() + n*step)
		switch {
		case months:
			first := time.Unix(from.Int64()*24*60*60, 0).UTC()
			// the last day of the month
			day := time.Date(first.Year(), first.Month()+time.Month(n*step)+1, 0, 0, 0, 0, 0, time.UTC)
			day = day.AddDate(0, 0, min(first.Day(), day.Day())-day.Day())
			v = value.Date(day.Unix() / (24 * 60 * 60))
		case from.Type() == value.TypeDate:
			v = value.Date(from.Int64() + n*step)
		}
		if value.Compare(v, to) > 0 {
			if len(all) == 0 {
				wrong()
			}
			return all
		}
		if all = append(all, NewLiteral(t.at, v)); len(all) > maxValues {
			wrong()
		}
	}
}

// tableFunction reads FUNCTION(argument, …, option => value) in FROM.
func (p *parser) tableFunction() *Expr {
	t := p.take()
	end := p.partner[p.i]
	p.i++
	x := &Expr{Kind: Call, Name: t.text, At: t.at}
	for p.i < end {
		switch name := p.here(); {
		case name.is("select"), name.is("with"):
			Refuse(CodeSyntax, name.at, "write "+strings.ToUpper(t.text)+"((SELECT …))",
				"a query as an argument stands in parentheses of its own")
		case name.isName() && p.token(1).is("=>"):
			p.i += 2
			option := &Expr{Kind: Column, Name: name.text, At: name.at}
			x.Args = append(x.Args, NewOperator("=>", option, p.expression()))
		default:
			x.Args = append(x.Args, p.expression())
		}
		if !p.accept(",") {
			break
		}
		if p.i == end {
			p.unexpected("write another argument")
		}
	}
	p.expect(")", "separate the arguments by commas")
	return x
}

// flatten joins the tables on the right, one by one, to those on the left, if LEFT and INNER joins may be reordered so.
// how.At is the position of the join.
func (p *parser) flatten(left, right []From, how From) []From {
	join := func(left []From, last From) []From {
		last.Join, last.On, last.Using, last.Natural = how.Join, how.On, how.Using, how.Natural
		return append(left, last)
	}
	switch {
	case len(right) == 1:
		return join(left, right[0])
	case how.Join == LeftJoin:
		Refuse(CodeNotSupported, how.At, "join a derived table instead: LEFT JOIN (SELECT … FROM … JOIN …) AS d",
			"an outer join of joined tables is not answered")
	case len(left) == 1: // a JOIN (b JOIN c): an inner join commutes
		p.reordered = p.reordered || how.Natural
		return join(right, left[0])
	}
	Refuse(CodeNotSupported, how.At, "write one JOIN after the other, without parentheses",
		"a join of joined tables is not answered")
	return nil
}

// comma adds an element of FROM's list to the earlier ones.
func (p *parser) comma(s *Select, group []From) {
	if len(s.From) > 0 {
		group[0].Join = CrossJoin
		for _, f := range group {
			if f.Natural || f.Using != nil {
				Refuse(CodeNotSupported, f.At, "write JOIN … ON",
					"after a comma, it would be unclear which tables the columns of USING and NATURAL belong to")
			}
		}
	}
	s.From = append(s.From, group...)
}
