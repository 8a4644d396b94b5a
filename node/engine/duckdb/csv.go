package duckdb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/csv"
)

// reader is the table function that reads CSV files. DuckDB's own reader guesses and drops lines.
const reader = "hospital_csv"

// part is the number of bytes of a file that one thread reads at a time.
const part = 8 << 20

// csvTable is a table of CSV files. As JSON it is the argument of the table function.
type csvTable struct {
	Pattern string
	Dialect *csv.Dialect
	Columns []string // its columns, all texts; a file without one has NULLs there
}

// sql returns the table for a FROM clause.
func (t *csvTable) sql() (string, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	text, err := compile.DuckDB.Text(string(b))
	return reader + "(" + text + ")", err
}

// heads reads the heads of the existing files, sorted by name.
func (t *csvTable) heads() ([]*csv.Head, error) {
	files, err := glob(t.Pattern)
	if err != nil {
		return nil, err
	}
	var heads []*csv.Head
	for _, f := range files {
		h, err := t.Dialect.Read(f)
		if err != nil {
			return nil, err
		}
		heads = append(heads, h)
	}
	return heads, nil
}

// where returns the columns and values of a file's folders below the pattern, such as day=2027-01-31, in the order of
// the path.
func where(pattern, file string) (names, values []string) {
	inside, err := filepath.Rel(folder(pattern), filepath.Dir(file))
	if err != nil || folder(pattern) == "" {
		return nil, nil
	}
	for _, step := range strings.Split(inside, string(filepath.Separator)) {
		name, v, ok := strings.Cut(step, "=")
		if !ok || name == "" {
			continue
		}
		if plain, err := url.PathUnescape(v); err == nil {
			v = plain
		}
		names, values = append(names, name), append(values, v)
	}
	return names, values
}

// union lists the columns of all files: first those of the headers in the order of their first appearance, then those
// of folders.
func (t *csvTable) union(heads []*csv.Head) []string {
	var all, folders []string
	add := func(list *[]string, names []string) {
		for _, n := range names {
			if n != "" && !slices.ContainsFunc(*list, func(o string) bool { return strings.EqualFold(o, n) }) {
				*list = append(*list, n)
			}
		}
	}
	for _, h := range heads {
		add(&all, h.Names)
		names, _ := where(t.Pattern, h.Path)
		add(&folders, names)
	}
	add(&all, folders)
	return all
}

// note describes a column that is in the headers of some files only.
func (t *csvTable) note(heads []*csv.Head, column string) string {
	same := func(n string) bool { return strings.EqualFold(n, column) }
	all, there, told := 0, 0, false
	for _, h := range heads {
		if h.Problem != "" {
			continue
		}
		all++
		if slices.ContainsFunc(h.Names, same) {
			there++
		}
		names, _ := where(t.Pattern, h.Path)
		told = told || slices.ContainsFunc(names, same)
	}
	switch {
	case told && there > 0:
		return both(column)
	case told:
		return ""
	}
	return absent(column, there, all)
}

// csvTables knows the CSV tables that SQL may read. Until it is closed, SQL may read all.
type csvTables struct {
	mu     sync.Mutex
	closed bool
	open   map[string]bool // by the table function's argument
}

func (g *csvTables) allow(argument string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.open[argument] = true
	}
	return g.open[argument]
}

// close closes the gate.
func (g *csvTables) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// register registers the table function. Once the gate is closed, it reads only tables that it has read before.
func (g *csvTables) register(ctx context.Context, db *sql.DB, threads int) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	text, err := duckdb.NewTypeInfo(duckdb.TYPE_VARCHAR)
	if err != nil {
		return err
	}
	if threads == 0 {
		threads = runtime.NumCPU()
	}
	return duckdb.RegisterTableUDF(conn, reader, duckdb.ParallelChunkTableFunction{
		Config: duckdb.TableFunctionConfig{Arguments: []duckdb.TypeInfo{text}},
		BindArguments: func(_ map[string]any, args ...any) (duckdb.ParallelChunkTableSource, error) {
			argument, _ := args[0].(string)
			s := &csvSource{text: text, threads: threads}
			if err := json.Unmarshal([]byte(argument), &s.table); err != nil || s.table.Dialect == nil || len(s.table.Columns) == 0 || !g.allow(argument) {
				return nil, errors.New("permission denied: no table of this hospital")
			}
			return s, nil
		},
	})
}

// csvSource is one scan of a csvTable.
type csvSource struct {
	table   csvTable
	text    duckdb.TypeInfo
	threads int

	mu  sync.Mutex
	run *csvRun
}

// csvRun is the state that the threads of a scan share.
type csvRun struct {
	err   error
	parts []csv.Part
	next  atomic.Int64
}

// csvState is the state of one thread. If a query ends early, the garbage collector closes its file.
type csvState struct {
	run     *csvRun
	file    *os.File
	scanner *csv.Scanner
	from    []int    // by column: the field, -1: NULL, -2: fixed
	fixed   []string // by column
}

// ColumnInfos implements duckdb.ParallelChunkTableSource.
func (s *csvSource) ColumnInfos() []duckdb.ColumnInfo {
	var columns []duckdb.ColumnInfo
	for _, c := range s.table.Columns {
		columns = append(columns, duckdb.ColumnInfo{Name: c, T: s.text})
	}
	return columns
}

// Cardinality implements duckdb.ParallelChunkTableSource. The number of rows is not known.
func (s *csvSource) Cardinality() *duckdb.CardinalityInfo { return nil }

// Init implements duckdb.ParallelChunkTableSource.
func (s *csvSource) Init() duckdb.ParallelTableSourceInfo {
	run := &csvRun{}
	heads, err := s.table.heads()
	run.err = err
	for _, h := range heads {
		run.parts = append(run.parts, s.table.Dialect.Parts(h, part)...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = run
	return duckdb.ParallelTableSourceInfo{MaxThreads: max(1, min(s.threads, len(run.parts)))}
}

// NewLocalState implements duckdb.ParallelChunkTableSource.
func (s *csvSource) NewLocalState() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &csvState{run: s.run}
}

var errUnreadable = errors.New("a CSV file cannot be read; it may be gone")

// FillChunk implements duckdb.ParallelChunkTableSource. Its errors quote nothing of a file.
func (s *csvSource) FillChunk(local any, chunk duckdb.DataChunk) error {
	state := local.(*csvState)
	if state.run.err != nil {
		return errUnreadable
	}
	capacity := duckdb.GetDataChunkCapacity()
	if err := chunk.SetSize(capacity); err != nil {
		return err
	}
	type out struct {
		column int
		writer duckdb.VectorWriter[string]
	}
	var outs []out
	for i := range s.table.Columns {
		v, err := chunk.GetVector(i)
		if err != nil {
			continue // nothing reads this column
		}
		w, err := duckdb.GetVectorWriter[string](v)
		if err != nil {
			return err
		}
		outs = append(outs, out{i, w})
	}
	rows, size := 0, 0
	for rows < capacity && size < 4<<20 {
		if state.scanner == nil {
			more, err := s.advance(state)
			if err != nil {
				return errUnreadable
			}
			if !more {
				break
			}
		}
		ok, err := state.scanner.Next()
		if err != nil {
			return errUnreadable
		}
		if !ok {
			state.close()
			continue
		}
		for _, o := range outs {
			var text []byte
			null := false
			switch from := state.from[o.column]; from {
			case -1:
				null = true
			case -2:
				text = []byte(state.fixed[o.column])
			default:
				text, null = state.scanner.Value(from)
			}
			if null {
				err = o.writer.SetNull(rows)
			} else {
				err = o.writer.Set(rows, unsafe.String(unsafe.SliceData(text), len(text))) // copied at once
				size += len(text)
			}
			if err != nil {
				return err
			}
		}
		rows++
	}
	return chunk.SetSize(rows)
}

func (s *csvState) close() {
	s.file.Close()
	s.file, s.scanner = nil, nil
}

// advance goes to the next part. It returns false at the end.
func (s *csvSource) advance(state *csvState) (bool, error) {
	i := int(state.run.next.Add(1)) - 1
	if i >= len(state.run.parts) {
		return false, nil
	}
	p := state.run.parts[i]
	f, err := os.Open(p.Head.Path)
	if err != nil {
		return false, err
	}
	if state.scanner, err = s.table.Dialect.Scan(p, f); err != nil {
		return false, errors.Join(err, f.Close())
	}
	state.file = f
	names, values := where(s.table.Pattern, p.Head.Path)
	state.from, state.fixed = make([]int, len(s.table.Columns)), make([]string, len(s.table.Columns))
	for i, c := range s.table.Columns {
		same := func(n string) bool { return strings.EqualFold(n, c) }
		state.from[i] = slices.IndexFunc(p.Head.Names, same)
		if j := slices.IndexFunc(names, same); j >= 0 {
			state.from[i], state.fixed[i] = -2, values[j]
			if values[j] == "__HIVE_DEFAULT_PARTITION__" {
				state.from[i] = -1
			}
		}
	}
	return true, nil
}

// csv returns the place of CSV files, of which file is one. For a draft, settings that are not declared are guessed
// from that file.
func (p *places) csv(ctx context.Context, pattern, file string, settings *csv.Settings) (engine.Place, error) {
	if !p.drafts {
		return csvPlace(pattern, settings, p.config.zone())
	}
	guess, err := csv.Propose(ctx, file, settings)
	if err != nil {
		return engine.Place{}, err
	}
	read := *guess.Settings
	if guess.Doubtful {
		read.Header = &csv.Header{}
	}
	at, err := csvPlace(pattern, &read, p.config.zone())
	at.Draft = &engine.Draft{CSV: guess.Settings}
	switch {
	case guess.Doubtful:
		at.Draft.Note = "are the first lines of its files names? Nothing in them tells, so that they are not shown here. If so, set header: true in its csv in node.yaml, and draft again."
	case read.Header != nil && !read.Header.Line && len(read.Header.Names) == 0:
		at.Draft.Note = "the first lines of its files are no names. Give them in its csv in node.yaml, header: [NAME, …], and draft again."
	}
	for i, c := range at.Columns {
		switch t := value.Type(guess.Kinds[c.Name]); t {
		case value.TypeText:
			at.Columns[i].Kind = engine.KindCode
		case value.TypeInt, value.TypeFloat, value.TypeBool, value.TypeDate, value.TypeTimestamp:
			at.Columns[i].Type = t
		}
	}
	return at, err
}

// csvPlace returns the place of CSV files.
func csvPlace(pattern string, settings *csv.Settings, timezone string) (engine.Place, error) {
	at := engine.Place{Name: pattern, File: pattern, Lasting: true}
	d, err := settings.Dialect()
	if err != nil {
		return at, err
	}
	reading, err := settings.Reading(timezone)
	if err != nil {
		return at, err
	}
	t := &csvTable{Pattern: pattern, Dialect: d}
	heads, err := t.heads()
	if err != nil {
		return at, fmt.Errorf("a file cannot be read: %w", err)
	}
	for _, h := range heads {
		if h.Problem == "" {
			t.Columns = t.union(heads)
			break
		}
	}
	if len(t.Columns) == 0 { // a table must have columns
		if len(heads) > 0 && heads[0].Problem != "" {
			return at, fmt.Errorf("no line can be read: %s", heads[0].Problem)
		}
		return at, errors.New("it names no column")
	}
	for _, c := range t.Columns {
		l := local(c, reading, timezone)
		l.Note = t.note(heads, c)
		at.Columns = append(at.Columns, l)
	}
	if settings.MaxRejected != nil {
		at.Rejected = float64(*settings.MaxRejected)
	}
	at.SQL, err = t.sql()
	return at, err
}
