package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/csv"
	"github.com/intramuros/intramuros/node/engine/stream"
)

// ErrConfig means that the configuration does not fit the data or the catalog.
var ErrConfig = errors.New("the engine's configuration is wrong")

// minKey is the least length of the secret key in bytes.
const minKey = 16

// Keys derives two keys of the node's secret: one chooses which rows of a patient stay
// where a join makes too many, the other keys the data's version, so that it tells nothing of the data. An error
// is ErrConfig.
func Keys(secret []byte) (groups, version [sha256.Size]byte, err error) {
	if len(secret) < minKey {
		return groups, version, fmt.Errorf("%w: the node's key has %d bytes; it needs %d", ErrConfig, len(secret), minKey)
	}
	derive := func(use string) [sha256.Size]byte {
		return sha256.Sum256(append([]byte("intramuros: "+use+"\n"), secret...))
	}
	return derive("choice of groups"), derive("version of data"), nil
}

// Driver is the connection to a database. Its methods may be called from any goroutine.
type Driver interface {
	// Query runs one SELECT, which reads and does nothing else, and calls fn for each
	// row: nil, bool, int64, float64, string, and time.Time for dates and timestamps.
	// keyed: the SQL has the two halves of the node's secret key as parameters. fn's
	// error ends the query and comes back as it is; the end of ctx ends it at the
	// server within a second. Other errors are a *Fault.
	Query(ctx context.Context, sql string, keyed bool, fn func(row []any) error) error
	// Convert gives the SQL that reads a local column as a type, NULL where a value
	// does not convert, and whether every value converts as it is.
	Convert(l Local, t value.Type) (sql string, fits bool)
}

// Streamer is a Driver beside whose database rows can be added up: see package stream.
type Streamer interface {
	// Stream runs the SELECT of the rows of a plan, adds them up, and calls fn for each group as Query does for each row of the
	// fragment's SQL. guard may be a SELECT of whether a promise is broken, for the snapshot in which the rows are read: then the
	// error is Broken's. Where an error is stream.ErrTooMuch, fn was not called. The rest is as in Query.
	Stream(ctx context.Context, guard, rows string, plan *stream.Plan, keyed bool, fn func(row []any) error) error
}

// Engine runs fragments over one hospital's data. It may be used by any number of
// goroutines.
type Engine struct {
	driver   Driver
	dialect  *compile.Dialect
	catalog  *catalog.Catalog
	hospital string
	views    map[string]*View
	closed   map[string]Closed
	state    func(context.Context) (string, error)
	known    knowledge
}

// New makes an engine of a connection, of the views of the tables that are offered, and of those that are closed. state names
// the state that the data is in, such that in two of one name the rows of all lasting places are the same; nil: no state has a name.
func New(driver Driver, dialect *compile.Dialect, c *catalog.Catalog, hospital string, views []*View, closed []Closed, state func(context.Context) (string, error)) *Engine {
	e := &Engine{driver: driver, dialect: dialect, catalog: c, hospital: hospital, views: map[string]*View{}, closed: map[string]Closed{}, state: state,
		known: knowledge{turn: make(chan struct{}, 1)}}
	for _, v := range views {
		e.views[v.Table.Name] = v
	}
	for _, t := range closed {
		e.closed[t.Table] = t
	}
	return e
}

// Compile returns the SQL that Run would run, for a custodian to read (after Streamed, that of the rows, and then that of
// the whole), where the data is as the
// catalog says, and what of the tables that it reads the hospital has less of than the catalog. Errors are those of
// compile.Target.
func (e *Engine) Compile(f *fragment.Fragment, p *fragment.Proof) (string, []fragment.Caveat, error) {
	at, err := e.prepare(f, p, e.assumed(f))
	if err != nil {
		return "", nil, err
	}
	if at.plan != nil {
		return Streamed + "\n" + at.rows + ";\n" + instead + "\n" + at.sql, e.caveats(at.read), nil
	}
	return at.sql, e.caveats(at.read), nil
}

// Streamed begins what Compile gives of a fragment whose rows are added up beside the database.
const Streamed = "-- the node reads these rows, and adds them up itself, patient by patient"

// instead stands before the SQL of such a fragment.
const instead = "-- where they do not fit into its memory, the database runs this instead, which gives the same integers"

// target is this database as SQL is written for it.
func (e *Engine) target() *compile.Target {
	return &compile.Target{Dialect: e.dialect, Catalog: e.catalog, Hospital: e.hospital, Table: func(t *catalog.Table, columns []string) (string, bool) {
		v, ok := e.views[t.Name]
		if !ok {
			return "", false
		}
		if v.Stored != "" {
			return v.Stored, true
		}
		return "(" + v.Select(e.driver, e.dialect, columns) + ")", true
	}}
}

// Source is where one table of the catalog is, at this hospital. At most one of
// Table, File and Select is given.
type Source struct {
	// Table is a table or view of the database, as "name" or "schema.name".
	Table string `yaml:"table,omitempty"`
	// File is a Parquet or CSV file, or a pattern such as "labs/*.parquet",
	// relative to the engine's folder unless absolute; DuckDB only.
	File string `yaml:"file,omitempty"`
	// Select is a SELECT of the custodian's own, run with the rights of the node.
	Select string `yaml:"select,omitempty"`
	// Columns gives the local column of a catalog's column where names differ.
	Columns map[string]string `yaml:"columns,omitempty"`
	// Key is "none" where the catalog's key does not tell rows apart here, so that nothing may rest on it.
	Key string `yaml:"key,omitempty"`
	// CSV says how the table's CSV files are written, where they differ from the others; DuckDB only.
	CSV *csv.Settings `yaml:"csv,omitempty"`
	// MaxUnusable is the share of a column's values that may be unreadable, out of bounds, or NULL where the catalog says
	// none is, such as 95 %. Beyond it the table is closed. Nil: 90 %, and 10 % of the patient's column.
	MaxUnusable *csv.Share `yaml:"max_unusable,omitempty"`
}

// KeyNone is the Key of a Source whose key is none.
const KeyNone = "none"

// Keyless lists the tables whose key is none, sorted.
func Keyless(tables map[string]Source) (names []string) {
	for name, s := range tables {
		if s.Key == KeyNone {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Validate refuses a source of two kinds.
func (s Source) Validate(table string) error {
	n := 0
	for _, given := range []string{s.Table, s.File, s.Select} {
		if given != "" {
			n++
		}
	}
	if s.Key != "" && s.Key != KeyNone {
		return fmt.Errorf("%w: table %s: `key` may only be none; the catalog says what it is", ErrConfig, table)
	}
	if n > 1 {
		return fmt.Errorf("%w: table %s has more than one of `table`, `file` and `select`; give one", ErrConfig, table)
	}
	return nil
}

func (s Source) String() string {
	switch {
	case s.Table != "":
		return "table " + s.Table
	case s.File != "":
		return "file " + s.File
	case s.Select != "":
		return "select of its own"
	}
	return "table or file of that name"
}

// ValidateTables refuses sources of tables that the catalog does not have.
func ValidateTables(tables map[string]Source, c *catalog.Catalog) error {
	for name, s := range tables {
		i := slices.IndexFunc(c.Tables, func(t *catalog.Table) bool { return t.Source() == name })
		if i < 0 {
			return fmt.Errorf("%w: tables: the catalog has no table %s (letter case counts here)", ErrConfig, name)
		}
		if err := s.Validate(name); err != nil {
			return err
		}
		t := c.Tables[i]
		if s.Key == KeyNone && slices.ContainsFunc(t.Key, func(k string) bool { return strings.EqualFold(k, t.Patient) }) {
			return fmt.Errorf("%w: table %s: its key tells patients apart, and cannot be none; mend the data", ErrConfig, name)
		}
		for logical := range s.Columns {
			if c, ok := t.Column(logical); !ok || c.Name != logical {
				return fmt.Errorf("%w: columns of table %s: the catalog's table has no column %s", ErrConfig, name, logical)
			}
		}
	}
	return nil
}

// Place is a local table.
type Place struct {
	Name string // as the hospital calls it
	SQL  string // what stands after FROM
	File string // the absolute path or pattern of its files, where it is no table; DuckDB only
	// Settings is the table of node.yaml whose settings of CSV hold, where it is not the catalog's; DuckDB only.
	Settings string
	// Rejected is the share of the lines of its CSV files that node.yaml accepts to lose, in [0, 1]; DuckDB only.
	Rejected float64
	Sample   string // the same for some of its rows, where it is very large; else empty
	Columns  []Local
	Draft    *Draft     // for a draft of a catalog; else nil
	Fault    string     // of All: why it cannot be read, in words that quote no value; else empty
	Unique   [][]string // sets of columns that the database itself keeps unique and not NULL
	// Enforced gives the condition that it still does so with such a set, for the snapshot in which a statement reads; nil: where
	// Unique is empty.
	Enforced func(columns []string) string
	// Alone stands after FROM for the rows that Enforced is about, where SQL may come to give others: those of a table that another
	// session makes a child while a statement begins. Empty: SQL gives no others.
	Alone string
	// Lasting: the rows are the same in all states of one name; see New. Not of a view or a SELECT, which may read the clock.
	Lasting bool
}

// KindCode is the Kind of a column of texts of which some are no numbers and no days, in a draft.
const KindCode = "code"

// Draft is what a draft of a catalog says beside the columns.
type Draft struct {
	CSV  *csv.Settings // how its files seem to be written
	Note string        // what a person must look at; may be empty
}

// Local is a column of a local table.
type Local struct {
	Name string
	Kind string     // the database's type
	Type value.Type // the catalog's type that suits it best
	// As is the SQL that reads it as a type, where it is not read as others of its Kind are.
	As map[value.Type]string
	// Clash says why what its files hold cannot be read as one column; empty: it can.
	Clash string
	// Exact is the largest whole number that keeps its value among those of other files; 0: all do.
	Exact float64
}

// column finds a column by its name, or else without regard to letter case, or else the only one whose Plain name
// is that; -1: none.
func (p Place) column(name string) int {
	i := slices.IndexFunc(p.Columns, func(l Local) bool { return l.Name == name })
	if i < 0 {
		i = slices.IndexFunc(p.Columns, func(l Local) bool { return strings.EqualFold(l.Name, name) })
	}
	if i >= 0 {
		return i
	}
	for j, l := range p.Columns {
		if Plain(l.Name) != Plain(name) {
			continue
		}
		if i >= 0 {
			return -1
		}
		i = j
	}
	return i
}

var noIdentifier = regexp.MustCompile(`[^a-z0-9]+`)

// letters are those that Unicode does not take apart.
var letters = strings.NewReplacer("œ", "oe", "æ", "ae", "ß", "ss", "ø", "o", "đ", "d", "ł", "l", "ı", "i", "þ", "th", "ð", "d")

// Plain makes a catalog's name of a local one: lower-case ASCII letters, digits and _, so that Décès (2023) is deces_2023.
func Plain(local string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(letters.Replace(strings.ToLower(local))) {
		if !unicode.Is(unicode.Mn, r) {
			b.WriteRune(r)
		}
	}
	s := b.String()
	trimmed := strings.Trim(noIdentifier.ReplaceAllString(s, "_"), "_")
	if strings.HasPrefix(s, "_") {
		trimmed = "_" + trimmed
	}
	if trimmed == "" || trimmed[0] >= '0' && trimmed[0] <= '9' {
		trimmed = "_" + trimmed
	}
	return trimmed
}

// PlainTable finds a table of the catalog among local names, as the only one whose Plain name is that; -1: there is none, or several.
func PlainTable(table string, names []string) int {
	found := -1
	for i, n := range names {
		if Plain(n) != Plain(table) {
			continue
		}
		if found >= 0 {
			return -1
		}
		found = i
	}
	return found
}

// Finder knows the local tables of a database.
type Finder interface {
	// Find finds the source of a table of the catalog, and whether the node can read it.
	Find(ctx context.Context, table string, s Source) (at Place, ok bool, err error)
	// All lists the tables to draft a catalog of, sorted by name; one that cannot be read has a Fault.
	All(ctx context.Context) ([]Place, error)
	// Reader ends the error of a source that is not found, such as " that the role may read".
	Reader() string
}

// locate is Find's, for a table that may be mapped: then it must be there.
func locate(ctx context.Context, local Finder, tables map[string]Source, name string) (Place, bool, error) {
	s, mapped := tables[name]
	at, ok, err := local.Find(ctx, name, s)
	if err == nil && !ok && mapped {
		err = fmt.Errorf("%w: tables: there is no %s for table %s%s", ErrConfig, s, name, local.Reader())
	}
	return at, ok, err
}

// Closed is a table of the catalog that is not offered, since its source cannot be read as it is.
type Closed struct {
	Table string
	Why   string // for the custodian; it quotes no value
}

// Close closes a table for what an error says of its source.
func Close(table string, err error) Closed {
	return Closed{table, strings.ReplaceAll(err.Error(), ErrConfig.Error()+": ", "")}
}

// Map makes the views of the tables that are offered, in the catalog's order: those that
// tables maps, and those that are found by their names. A source that cannot be read closes its table
// and no other. Errors are the finder's, but those that wrap ErrConfig.
func Map(ctx context.Context, c *catalog.Catalog, tables map[string]Source, local Finder) (views []*View, closed []Closed, err error) {
	identities, err := identityColumns(c)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range c.Tables {
		source := tables[t.Source()]
		at, ok, err := locate(ctx, local, tables, t.Source())
		var v *View
		if i := slices.IndexFunc(through(c, t), func(x *catalog.Table) bool { return tables[x.Source()].Key == KeyNone }); err == nil && ok && i >= 0 {
			err = fmt.Errorf("%w: it reaches its patient by %s, whose key is none here", ErrConfig, through(c, t)[i].Name)
		}
		if err == nil && ok {
			v, err = newView(t, at, source.Columns)
		}
		switch {
		case errors.Is(err, ErrConfig) && ctx.Err() == nil:
			closed = append(closed, Close(t.Name, err))
		case err != nil:
			return nil, nil, err
		case ok:
			v.identity, v.keyless = identities[t.Name], source.Key == KeyNone
			if most := source.MaxUnusable; most != nil {
				v.unusable, v.declared = float64(*most), true
			}
			views = append(views, v)
		}
	}
	return views, closed, nil
}

// View is how one table of the catalog reads its source.
type View struct {
	Place
	Table   *catalog.Table   // as the catalog has it
	Stored  string           // a view that the database has already: what stands after FROM; else empty
	columns map[string]Local // by the catalog's name; a column that is missing here is absent
	// identity are the columns by which rows reach their patient; see identify.
	identity map[string]bool
	keyless  bool    // the catalog's key does not hold here, and nothing rests on it
	unusable float64 // the share of a column's values that may be lost
	declared bool    // node.yaml says that share
}

// newView matches the columns of a table of the catalog with local ones, by names.
func newView(t *catalog.Table, at Place, names map[string]string) (*View, error) {
	v := &View{Place: at, Table: t, columns: map[string]Local{}, unusable: unusable}
	for _, c := range t.Columns {
		want, renamed := names[c.Name]
		if !renamed {
			want = c.Name
		}
		i := at.column(want)
		if i < 0 && renamed {
			return nil, fmt.Errorf("%w: columns of table %s: %s has no column %s (any more); name the one that it has, or leave the line out to read NULL", ErrConfig, t.Name, at.Name, want)
		}
		if i < 0 {
			continue
		}
		if l := at.Columns[i]; l.Clash != "" {
			return nil, fmt.Errorf("%w: column %s of %s: %s", ErrConfig, l.Name, at.Name, l.Clash)
		}
		v.columns[c.Name] = at.Columns[i]
	}
	if p := t.Part; p != nil {
		if _, ok := v.columns[p.Column]; !ok {
			return nil, fmt.Errorf("%w: %s has no column %s, which tells whose its rows are", ErrConfig, at.Name, p.Column)
		}
	}
	return v, nil
}

// From is what stands after FROM for the rows of the table, with the hospital's columns: of a part of a table, its rows. The value
// that tells them is compared as fragments read it, by its bytes: in another collation a row might be of two parts, and two patients'.
func (v *View) From(driver Driver) string {
	p := v.Table.Part
	if p == nil {
		return v.SQL
	}
	is, _ := driver.Convert(v.columns[p.Column], value.TypeText)
	return "(SELECT * FROM " + v.SQL + " WHERE " + is + " = '" + strings.ReplaceAll(p.Value, "'", "''") + "') AS part"
}

// Changed tells what of the columns that are read is no more as it was, given the place as it is now; empty: nothing.
func (v *View) Changed(now Place) string {
	if now.SQL != v.SQL {
		return "they have other columns, or columns of other types"
	}
	for _, c := range v.Table.Columns {
		l, ok := v.columns[c.Name]
		if !ok {
			if i := now.column(c.Name); i >= 0 {
				return "column " + c.Name + " is there now"
			}
			continue
		}
		i := slices.IndexFunc(now.Columns, func(o Local) bool { return o.Name == l.Name })
		switch {
		case i < 0:
			return "column " + l.Name + " is gone"
		case now.Columns[i].Clash != "":
			return "column " + l.Name + ": " + now.Columns[i].Clash
		case now.Columns[i].Kind != l.Kind:
			return "column " + l.Name + " is " + now.Columns[i].Kind + " now, and was " + l.Kind
		}
	}
	return ""
}

// Reads tells whether a column of the catalog is read from a local one of that name.
func (v *View) Reads(local string) bool {
	for _, l := range v.columns {
		if strings.EqualFold(l.Name, local) {
			return true
		}
	}
	return false
}

// local gives the local names of columns.
func (v *View) local(names []string) []string {
	var local []string
	for _, n := range names {
		if c, ok := v.Table.Column(n); ok {
			local = append(local, v.columns[c.Name].Name)
		}
	}
	return local
}

// Select writes the SELECT of the named columns of the catalog's table, or of all for nil.
func (v *View) Select(driver Driver, dialect *compile.Dialect, names []string) string {
	var columns []string
	for _, c := range v.Table.Columns {
		if names != nil && !slices.Contains(names, c.Name) {
			continue
		}
		sql := "CAST(NULL AS " + dialect.Type(c.Type) + ")"
		if l, ok := v.columns[c.Name]; ok {
			sql, _ = v.read(driver, dialect, c, l)
		}
		if quoted := `"` + c.Name + `"`; sql != quoted {
			sql += " AS " + quoted
		}
		columns = append(columns, sql)
	}
	if len(columns) == 0 {
		columns = []string{"1 AS nothing"}
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + v.From(driver)
}
