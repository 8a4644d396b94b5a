package engine

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/csv"
)

// Source says where a catalog table is at this hospital. At most one of Table, File and Select is given.
type Source struct {
	// Table is a table or view of the database, as "name" or "schema.name".
	Table string `yaml:"table,omitempty"`
	// File is a Parquet or CSV file, or a pattern such as "labs/*.parquet",
	// relative to the engine's folder unless absolute; DuckDB only.
	File string `yaml:"file,omitempty"`
	// Select is the custodian's own SELECT, run with the rights of the node.
	Select string `yaml:"select,omitempty"`
	// Columns maps catalog columns to local columns where the names differ.
	Columns map[string]string `yaml:"columns,omitempty"`
	// Key is "none" if the catalog's key does not identify rows here. Then nothing may rely on it.
	Key string `yaml:"key,omitempty"`
	// CSV says how the table's CSV files are written if they differ from the others; DuckDB only.
	CSV *csv.Settings `yaml:"csv,omitempty"`
	// MaxUnusable is the share of a column's values that may be unreadable, out of bounds, or NULL although the catalog
	// says that none is, such as 95 %. If there are more, the table is closed. Nil means 90 %, but 50 % for days and
	// instants that cannot be read, and 10 % for NULLs in the patient's column.
	MaxUnusable *csv.Share `yaml:"max_unusable,omitempty"`
}

// KeyNone is the Key of a Source without a valid key.
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

// Validate refuses a source with two kinds of location.
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

// Place is a local table that a catalog table is read from.
type Place struct {
	Name string // the hospital's name
	SQL  string // what follows FROM
	File string // the absolute path or pattern of its files, if it consists of files; DuckDB only
	// Settings is the table of node.yaml whose CSV settings apply, if it is not the catalog's; DuckDB only.
	Settings string
	// Rejected is the share of lost CSV lines that node.yaml accepts, in [0, 1]; DuckDB only.
	Rejected float64
	// Note tells the custodian about files beside its own; empty if there is nothing to tell. DuckDB only.
	Note    string
	Sample  string // the same for a sample of its rows, if it is very large; else empty
	Columns []Local
	Draft   *Draft     // for a draft of a catalog; else nil
	Fault   string     // from All: why it cannot be read, without values; else empty
	Unique  [][]string // sets of columns that the database itself keeps unique and not NULL
	// Enforced returns the condition that the database still does so for such a set, in the snapshot of a statement; nil
	// if Unique is empty.
	Enforced func(columns []string) string
	// Alone follows FROM to read only the rows that Enforced is about. SQL may also read other rows, of a table that
	// another session makes a child while a statement begins. Empty: it cannot.
	Alone string
	// Lasting: the rows are the same in all states with one name; see New. A view or a SELECT is not lasting, because it
	// may read the clock.
	Lasting bool
}

// KindCode is the Kind of a text column in a draft if some texts are neither numbers nor days.
const KindCode = "code"

// Draft is what a draft of a catalog says in addition to the columns.
type Draft struct {
	CSV  *csv.Settings // how its files seem to be written
	Note string        // what a person must look at; may be empty
}

// Local is a column of a local table.
type Local struct {
	Name string
	Kind string     // the database's type
	Type value.Type // the catalog's type that fits best
	// As is the SQL that reads it as a type, if it differs from other columns of its Kind.
	As map[value.Type]string
	// Clash says why the files cannot be read as one column; empty if they can.
	Clash string
	// Note tells the custodian that the column differs between files; empty if there is nothing to tell.
	Note string
	// Exact is the largest whole number that keeps its value when the column's files are combined. 0: all do.
	Exact float64
}

// column finds a column by its exact name, or else without regard to letter case, or else as the only one with that
// Plain name; -1: none.
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

// letters are letters that Unicode does not decompose.
var letters = strings.NewReplacer("œ", "oe", "æ", "ae", "ß", "ss", "ø", "o", "đ", "d", "ł", "l", "ı", "i", "þ", "th", "ð", "d")

// Plain turns a local name into a catalog name of lower-case ASCII letters, digits and _. Décès (2023) becomes
// deces_2023.
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

// PlainTable finds a catalog table among local names, as the only one with that Plain name; -1: none or several.
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
	// All lists the tables for a draft of a catalog, sorted by name. A table that cannot be read has a Fault.
	All(ctx context.Context) ([]Place, error)
	// Reader is the end of the error for a source that is not found, such as " that the role may read".
	Reader() string
}

// locate is Find, but a table that node.yaml maps must exist.
func locate(ctx context.Context, local Finder, tables map[string]Source, name string) (Place, bool, error) {
	s, mapped := tables[name]
	at, ok, err := local.Find(ctx, name, s)
	if err == nil && !ok && mapped {
		err = fmt.Errorf("%w: tables: there is no %s for table %s%s", ErrConfig, s, name, local.Reader())
	}
	return at, ok, err
}
