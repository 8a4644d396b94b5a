package integration

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/duckdb"
	"github.com/intramuros/intramuros/planner"
)

// Federated SQL is compared with the same SQL in one DuckDB over the union of all rows. The engines and the planner are
// the real ones. Only noise is left out, which no program can do.

// pairing is the same data twice: split over hospitals, and in one database.
type pairing struct {
	catalog   *catalog.Catalog
	hospitals []string
	folders   map[string]string
	engines   []runner
	union     *sql.DB
	spell     func(string) string // writes the SQL in DuckDB's dialect
}

// Contribution limits that no patient here reaches, so that nothing is left out.
const (
	wideRows   = 2_000
	wideGroups = 500
)

// openPairing opens a node's engine over each folder, by the hospital's name, and one database over all. A patient at
// two hospitals is two patients, as in the federation: in the union, keys of patients and of what belongs to them
// include the hospital.
func openPairing(t testing.TB, c *catalog.Catalog, folders map[string]string) *pairing {
	t.Helper()
	p := &pairing{catalog: c, hospitals: slices.Sorted(maps.Keys(folders)), folders: folders, spell: duckWords}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	p.union = db
	for _, s := range []string{
		"SET threads = 2", "SET integer_division = true",
		"SET default_null_order = 'nulls_last_on_asc_first_on_desc'", // the federation's order
		"CREATE SCHEMA public", // for tools that write it
		"CREATE MACRO clamp(x, low, high) AS CASE WHEN x IS NOT NULL THEN greatest(least(x, high), low) END",
	} {
		p.do(t, s)
	}
	for i, h := range p.hospitals {
		e, err := duckdb.Open(context.Background(), duckdb.Config{Folder: folders[h], Threads: 2}, c, h, []byte("the key of the differential tests"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		p.engines = append(p.engines, e)
		whole := map[string]bool{} // tables of which a part was seen
		for _, table := range c.Tables {
			name := table.Source()
			path := filepath.Join(folders[h], name+".parquet")
			if _, err := os.Stat(path); err != nil {
				if path = filepath.Join(folders[h], name, "*.parquet"); !exists(path) {
					continue
				}
			}
			switch {
			case whole[name]:
			case i == 0:
				p.do(t, fmt.Sprintf("CREATE TABLE %s AS %s", name, p.rows(t, table, i, path)))
				p.do(t, fmt.Sprintf("CREATE VIEW public.%[1]s AS FROM main.%[1]s", name))
			case !table.Public:
				p.do(t, fmt.Sprintf("INSERT INTO %s %s", name, p.rows(t, table, i, path)))
			}
			if table.Part != nil {
				whole[name] = true
				p.do(t, fmt.Sprintf("CREATE OR REPLACE VIEW %s AS FROM %s WHERE %s = '%s'", table.Name, name, table.Part.Column, table.Part.Value))
			}
		}
	}
	return p
}

func exists(pattern string) bool {
	files, err := filepath.Glob(pattern)
	return err == nil && len(files) > 0
}

func (p *pairing) do(t testing.TB, statement string) {
	t.Helper()
	if _, err := p.union.Exec(statement); err != nil {
		t.Fatalf("%v\n%s", err, statement)
	}
}

var duckTypes = map[value.Type]string{
	value.TypeBool: "BOOLEAN", value.TypeInt: "BIGINT", value.TypeFloat: "DOUBLE", value.TypeText: "VARCHAR",
	value.TypeDate: "DATE", value.TypeTimestamp: "TIMESTAMP",
}

// rows selects a hospital's rows of a table as the catalog reads them: in its types, clamped to its bounds.
func (p *pairing) rows(t testing.TB, table *catalog.Table, hospital int, path string) string {
	t.Helper()
	described, err := p.union.Query(fmt.Sprintf("SELECT lower(column_name) FROM (DESCRIBE SELECT * FROM read_parquet('%s'))", path))
	if err != nil {
		t.Fatal(err)
	}
	defer described.Close()
	there := map[string]bool{}
	for described.Next() {
		var name string
		if err := described.Scan(&name); err != nil {
			t.Fatal(err)
		}
		there[name] = true
	}
	var columns []string
	for _, c := range table.Columns {
		kind := duckTypes[c.Type]
		x := fmt.Sprintf("TRY_CAST(%s AS %s)", c.Name, kind)
		switch {
		case !there[strings.ToLower(c.Name)]:
			x = "CAST(NULL AS " + kind + ")"
		case !table.Public && p.ofPatients(table, c) && c.Type == value.TypeInt:
			x = fmt.Sprintf("%s * 256 + %d", x, hospital)
		case !table.Public && p.ofPatients(table, c):
			x = fmt.Sprintf("'%d ' || %s", hospital, x)
		case c.Lower.Valid() && c.Upper.Valid():
			literal := func(v value.Value) string {
				return fmt.Sprintf("CAST('%s' AS %s)", strings.Trim(v.String(), "'"), kind)
			}
			x = fmt.Sprintf("CASE WHEN %[1]s IS NOT NULL THEN least(greatest(%[1]s, %[2]s), %[3]s) END", x, literal(c.Lower), literal(c.Upper))
		}
		columns = append(columns, x+" AS "+c.Name)
	}
	return fmt.Sprintf("SELECT %s FROM read_parquet('%s')", strings.Join(columns, ", "), path)
}

// ofPatients reports whether a column is a key of something that belongs to a patient.
func (p *pairing) ofPatients(table *catalog.Table, c *catalog.Column) bool {
	if c.Name == table.Patient || slices.Contains(table.Key, c.Name) {
		return true
	}
	name, _, _ := strings.Cut(c.References, ".")
	of, ok := p.catalog.Table(name)
	return ok && !of.Public
}

// compose plans a query with limits that nobody reaches.
func (p *pairing) compose(text string) (*planner.Program, error) {
	return planner.Compose(planner.Query{SQL: text, Ask: planner.Ask{Epsilon: 9e9, Delta: 1e-6, MaxGroups: wideGroups, MaxRows: wideRows}, Today: time.Now()},
		planner.Federation{Catalog: p.catalog, Hospitals: p.hospitals, Accounting: dp.Pure})
}

// answer runs a program at all hospitals, without noise.
func (p *pairing) answer(t *testing.T, program *planner.Program) *planner.Answer {
	t.Helper()
	var cells [][]planner.Cell
	for i := range program.Releases {
		release := program.Releases[i]
		found := exact(t, release, p.engines)
		all := slices.Collect(maps.Values(found))
		if len(all) == 0 && len(release.Fragment.Keys) == 0 { // without rows there is still one group
			width := 0
			for _, partial := range release.Fragment.Partials {
				width += partial.Width()
			}
			all = append(all, planner.Cell{Noisy: coordinates(release, make([]int64, width))})
		}
		cells = append(cells, all)
		var err error
		if program, err = program.Given(cells, 0.95); err != nil {
			t.Fatal(err)
		}
	}
	a, err := program.Finish(cells, 0.95, p.found(t, program, cells)...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// found reads what a program needs from public tables at the first hospital.
func (p *pairing) found(t *testing.T, program *planner.Program, cells [][]planner.Cell) (all []fragment.Rows) {
	t.Helper()
	for i, l := range program.Lookups {
		reading, err := program.Read(i, cells, 0.95, all)
		if err != nil {
			t.Fatal(err)
		}
		rows := l.Empty()
		if reading != nil {
			if err := p.engines[0].Look(t.Context(), reading, func(row []value.Value) error {
				rows.Values = append(rows.Values, row)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, rows)
	}
	return all
}

// step is the coarsest grid of a program's sums. Rounding to it changes a number by less than 100 steps. Trees of
// quantiles are coarser.
func step(program *planner.Program) float64 {
	widest := 0.0
	for _, release := range program.Releases {
		for _, partial := range release.Fragment.Partials {
			if partial.Grid != nil && partial.Grid.Shift != 0 { // whole numbers are exact
				widest = math.Max(widest, partial.Grid.Number(1))
			}
			if partial.Buckets != nil {
				widest = math.Max(widest, partial.Buckets.Width()/40)
			}
		}
	}
	return widest
}

// want returns the answer of one DuckDB.
func (p *pairing) want(text string) ([][]any, error) {
	rows, err := p.union.Query(p.spell(text))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	all := [][]any{}
	for rows.Next() {
		row, into := make([]any, len(names)), make([]any, len(names))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// duckWords replaces words for which DuckDB has another one.
func duckWords(text string) string {
	for _, w := range dialect {
		text = w.pattern.ReplaceAllString(text, w.duck)
	}
	return text
}

var dialect = []struct {
	pattern *regexp.Regexp
	duck    string
}{
	{regexp.MustCompile(`(?i)\bDATEDIFF\((year|month|day|hour), `), "DATEDIFF('$1', "},
	{regexp.MustCompile(`(?i) DIV `), " // "},
	{regexp.MustCompile(`'\{([\d,]+)\}'::int\[\]`), "[$1]"},
	{regexp.MustCompile(`([\w.]+) LIKE ANY \('a%', '%b'\)`), "($1 LIKE 'a%' OR $1 LIKE '%b')"},
	{regexp.MustCompile(`SIMILAR TO '\(a\|f\)%'`), "SIMILAR TO '(a|f).*'"},
	{regexp.MustCompile(`TO_CHAR\((\w+), 'YYYY-MM'\)`), "STRFTIME($1, '%Y-%m')"},
	{regexp.MustCompile(`TO_CHAR\((\w+), 'YYYY-MM-DD'\)`), "STRFTIME($1, '%Y-%m-%d')"},
}

// comparison says how close a federated answer is to the union's.
type comparison struct {
	difference string // "" if there is none
	rows       int
	substance  bool // a number other than 0 was compared
}

// compare matches rows one to one, in order if ordered. A noisy NULL of the union matches anything: SQL's sum of no
// rows is NULL, the federation's is 0, and a mean of nothing means nothing in either.
func (p *pairing) compare(program *planner.Program, a *planner.Answer, want [][]any, ordered bool) comparison {
	c := comparison{rows: len(a.Rows)}
	left := slices.Clone(want)
	slack := 100 * step(program)
	unmatched := []int{}
	for n, row := range a.Rows {
		for k, e := range row {
			c.substance = c.substance || (a.Columns[k].Noisy || len(program.Releases) == 0) && !e.Value.IsNull() && e.Value.Type().Numeric() && e.Value.Float64() != 0
		}
		if i := slices.IndexFunc(left, func(w []any) bool { return sameRow(a.Columns, row, w, slack, ordered) }); i == 0 || i > 0 && !ordered {
			left = slices.Delete(left, i, i+1)
		} else {
			unmatched = append(unmatched, n)
		}
	}
	for _, n := range unmatched { // rows without NULLs are matched already
		i := slices.IndexFunc(left, func(w []any) bool { return !ordered && sameRow(a.Columns, a.Rows[n], w, slack, true) })
		if i < 0 {
			c.difference = fmt.Sprintf("row %d of the federation, %s, is not in the union's\n%s", n+1, show(a.Rows[n]), table(want))
			return c
		}
		left = slices.Delete(left, i, i+1)
	}
	if len(left) > 0 {
		c.difference = fmt.Sprintf("the union has rows that the federation lacks\n%s\nthe federation has %d rows", table(left), len(a.Rows))
	}
	return c
}

func sameRow(columns []planner.Column, row []planner.Estimate, want []any, slack float64, loosely bool) bool {
	if len(row) != len(want) {
		return false
	}
	for i, e := range row {
		if !sameValue(e.Value, want[i], columns[i].Noisy, loosely, slack) {
			return false
		}
	}
	return true
}

func sameValue(got value.Value, want any, noisy, loosely bool, slack float64) bool {
	switch {
	case want == nil:
		return noisy && loosely || got.IsNull()
	case got.IsNull():
		return false
	case got.Type().Numeric():
		w, ok := numeric(want)
		if got.Type() == value.TypeInt && !noisy {
			return ok && got.Float64() == w
		}
		return ok && math.Abs(got.Float64()-w) <= slack+1e-6*(1+math.Abs(w))
	}
	if day, ok := want.(time.Time); ok {
		text := got.String()
		return strings.Contains(text, day.Format(time.DateOnly)) && (got.Type() == value.TypeDate || strings.Contains(text, day.Format(time.TimeOnly)))
	}
	if b, ok := want.(bool); ok {
		return got.Type() == value.TypeBool && got.True() == b
	}
	s, ok := want.(string)
	return ok && got.Type() == value.TypeText && got.Str() == s
}

func numeric(x any) (float64, bool) {
	switch x := x.(type) {
	case *big.Int:
		f, _ := new(big.Float).SetInt(x).Float64()
		return f, true
	case interface{ Float64() float64 }: // a decimal
		return x.Float64(), true
	}
	switch x := plain(x).(type) {
	case int64:
		return float64(x), true
	case float32:
		return float64(x), true
	case float64:
		return x, true
	case uint64:
		return float64(x), true
	}
	return 0, false
}

func show(row []planner.Estimate) string {
	var all []string
	for _, e := range row {
		all = append(all, e.Value.String())
	}
	return strings.Join(all, " | ")
}

func table(rows [][]any) string {
	var b strings.Builder
	for i, row := range rows {
		if i == 12 {
			fmt.Fprintf(&b, "… %d rows\n", len(rows))
			break
		}
		for _, x := range row {
			if n, ok := numeric(x); ok {
				x = n
			}
			fmt.Fprintf(&b, "%v | ", plain(x))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
