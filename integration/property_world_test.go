package integration

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/duckdb"
)

var propertyCatalog = testcatalog.YAML(`catalog: property
max_sites: 2
hospital_column: true
max_groups: 2
max_rows: 3`,
	testcatalog.Person(
		"sex: {type: text, domain: [f, m]}",
		"born: {type: int, bounds: [1920, 2020]}",
		"place: {type: int, references: place.place}",
	),
	testcatalog.Keyed("stay",
		"unit: {type: text}",
		"days: {type: int, bounds: [0, 90]}",
		"began: {type: date, bounds: [2019-01-01, 2023-12-31]}",
	),
	testcatalog.Under("stay", "vital",
		"kind: {type: int, bounds: [1, 6]}",
		"x: {type: float, bounds: [-5, 200]}",
		"y: {type: float}",
		"wide: {type: int}",
	),
	testcatalog.Public("place", "place", "region: {type: text, domain: [north, south]}"),
)

func theCatalog(t testing.TB) *catalog.Catalog {
	t.Helper()
	c := testcatalog.Parse(t, propertyCatalog)
	return c
}

// datum is what a database holds, written as SQL. It may be more than a value of the catalog.
type datum string

// world is random data: the rows of each table at each hospital.
type world struct {
	*rand.Rand
	hospitals []string
	patients  int
	data      map[string]map[string][][]datum // by hospital and table
}

// declared are a table's columns as a database declares them.
var declared = map[string]string{
	"person": "id INTEGER, sex VARCHAR, born INTEGER, place INTEGER",
	"stay":   "stay BIGINT, id INTEGER, unit VARCHAR, days INTEGER, began DATE",
	"vital":  "stay BIGINT, kind SMALLINT, x DOUBLE, y DOUBLE, wide BIGINT",
	"place":  "place INTEGER, region VARCHAR",
}

// newWorld makes data in which odd values are likely. A large world has a patient with 10,000 rows.
func newWorld(r *rand.Rand, large bool) *world {
	w := &world{Rand: r, patients: 2 + r.IntN(12), data: map[string]map[string][][]datum{}}
	for i := range 1 + r.IntN(4) {
		w.hospitals = append(w.hospitals, "h"+strconv.Itoa(i))
	}
	seats := map[int]int{} // the number of hospitals of each patient: at most max_sites
	stay := 0
	for h, name := range w.hospitals {
		tables := map[string][][]datum{"person": {}, "stay": {}, "vital": {}, "place": {{"1", "'north'"}, {"2", "'south'"}}}
		for id := range w.patients {
			if seats[id] == 2 || r.IntN(2) == 0 && (h < len(w.hospitals)-1 || seats[id] > 0) {
				continue
			}
			seats[id]++
			tables["person"] = append(tables["person"], []datum{number64(id), w.pick("'f'", "'m'", "'x'", "NULL"), w.pick("1950", "1890", "2000", "NULL", "2147483647"), w.pick("1", "2", "3", "NULL")})
			extreme := id%3 == 0 // all of this patient's values are large, at all hospitals
			for range r.IntN(5) {
				stay++
				days := w.pick("0", "7", "90", "-4", "100000", "NULL")
				if extreme {
					days = "90"
				}
				tables["stay"] = append(tables["stay"], []datum{number64(stay), number64(id), w.pick("'a'", "'b'", "'c'", "'d'", "NULL", "''"),
					days, w.pick("DATE '2020-02-29'", "DATE '2023-12-31'", "DATE '1800-01-01'", "NULL")})
				vitals := r.IntN(1 + r.IntN(20))
				if large && stay == 1 {
					vitals = 10_000
				}
				for range vitals {
					x := w.pick("0", "0.1", "199.99", "1e300", "-1e300", "'nan'::double", "'inf'::double", "NULL")
					if extreme {
						x = "200"
					}
					tables["vital"] = append(tables["vital"], []datum{number64(stay), w.pick("1", "2", "3", "6", "9", "NULL"), x,
						w.pick("0", "1", "-0.5", "1e308", "'-inf'::double", "'nan'::double", "NULL"),
						w.pick("0", "1", "42", "9223372036854775807", "-9223372036854775808", "NULL")})
				}
			}
		}
		w.data[name] = tables
	}
	return w
}

func number64(i int) datum { return datum(strconv.Itoa(i)) }

func (w *world) pick(of ...datum) datum { return of[w.IntN(len(of))] }

// filter copies the data with the rows that keep accepts.
func (w *world) filter(keep func(hospital, table string, row int) bool) *world {
	o := *w
	o.data = map[string]map[string][][]datum{}
	for _, h := range w.hospitals {
		o.data[h] = map[string][][]datum{}
		for table, rows := range w.data[h] {
			for i, r := range rows {
				if keep(h, table, i) {
					o.data[h][table] = append(o.data[h][table], r)
				}
			}
		}
	}
	return &o
}

// without leaves out one patient: all rows, in all tables, at all hospitals.
func (w *world) without(patient int) *world {
	stays := map[datum]bool{}
	for _, h := range w.hospitals {
		for _, s := range w.data[h]["stay"] {
			stays[s[0]] = s[1] == number64(patient)
		}
	}
	return w.filter(func(h, table string, i int) bool {
		r := w.data[h][table][i]
		switch table {
		case "person":
			return r[0] != number64(patient)
		case "stay":
			return r[1] != number64(patient)
		case "vital":
			return !stays[r[0]]
		}
		return true
	})
}

// rows returns a table's rows as the catalog reads them: outliers as the nearest bound, NaN as NULL.
func (w *world) rows(c *catalog.Catalog, hospital, table string) fragment.Rows {
	t, _ := c.Table(table)
	var out fragment.Rows
	var columns []*catalog.Column
	for _, d := range strings.Split(declared[table], ", ") {
		name, _, _ := strings.Cut(d, " ")
		column, _ := t.Column(name)
		out.Names, columns = append(out.Names, name), append(columns, column)
	}
	for _, r := range w.data[hospital][table] {
		row := make([]value.Value, len(r))
		for i, d := range r {
			row[i] = read(columns[i], d)
		}
		out.Values = append(out.Values, row)
	}
	return out
}

func read(c *catalog.Column, d datum) value.Value {
	text := string(d)
	if text == "NULL" || text == "'nan'::double" {
		return value.Null(c.Type)
	}
	var v value.Value
	switch text {
	case "'inf'::double", "'-inf'::double":
		switch {
		case !c.Lower.Valid():
			return value.Null(c.Type)
		case text == "'inf'::double":
			return c.Upper
		}
		return c.Lower
	}
	var err error
	if text, _ = strings.CutPrefix(text, "DATE "); text[0] == '\'' {
		text = text[1 : len(text)-1]
	}
	if v, err = value.Parse(c.Type, text); err != nil {
		panic(err) // a mistake of the generator
	}
	if c.Lower.Valid() {
		if value.Compare(v, c.Lower) < 0 {
			return c.Lower
		}
		if value.Compare(v, c.Upper) > 0 {
			return c.Upper
		}
	}
	return v
}

// write writes the data into Parquet files, one folder for each hospital.
func (w *world) write(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, h := range w.hospitals {
		if err := os.MkdirAll(filepath.Join(folder, h), 0o700); err != nil {
			t.Fatal(err)
		}
		for table, columns := range declared {
			statements := []string{fmt.Sprintf("CREATE OR REPLACE TABLE t (%s)", columns)}
			for rows := range slices.Chunk(w.data[h][table], 1000) {
				var all []string
				for _, r := range rows {
					var cells []string
					for _, d := range r {
						cells = append(cells, string(d))
					}
					all = append(all, "("+strings.Join(cells, ", ")+")")
				}
				statements = append(statements, "INSERT INTO t VALUES "+strings.Join(all, ", "))
			}
			statements = append(statements, fmt.Sprintf("COPY t TO '%s' (FORMAT parquet)", filepath.Join(folder, h, table+".parquet")))
			for _, s := range statements {
				if _, err := db.Exec(s); err != nil {
					t.Fatalf("%.500s: %v", s, err)
				}
			}
		}
	}
	return folder
}

// open starts the real engine of each hospital over the data.
func (w *world) open(t testing.TB, c *catalog.Catalog) []*duckdb.Engine {
	t.Helper()
	folder := w.write(t)
	var engines []*duckdb.Engine
	for _, h := range w.hospitals {
		e, err := duckdb.Open(context.Background(), duckdb.Config{Folder: filepath.Join(folder, h), Threads: 1}, c, h, []byte("the key of the property test"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		engines = append(engines, e)
	}
	return engines
}

// String shows the data as one would type them into a database.
func (w *world) String() string {
	var b strings.Builder
	for _, h := range w.hospitals {
		for _, table := range []string{"person", "stay", "vital"} {
			for _, r := range w.data[h][table] {
				fmt.Fprintf(&b, "  %s %s %v\n", h, table, r)
			}
		}
	}
	return b.String()
}
