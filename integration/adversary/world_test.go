package adversary

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
)

const dictionary = `
catalog: adversary
max_groups: 2
max_rows: 3
tables:
  person:
    key: id
    patient: id
    one_row_per_patient: true
    columns:
      id: {type: ID, nullable: false}
      age: {type: float, bounds: [0, 120], nullable: false}
      k: {type: int, bounds: [0, 10], nullable: false}
      m: {type: int, bounds: [-3, 7]}
      tiny: {type: float, bounds: [1e-160, 1.0001e-160], nullable: false}
      half: {type: float, bounds: [0.5, 0.50001], nullable: false}
      vast: {type: float, bounds: [4e150, 4.00001e150], nullable: false}
      near: {type: float, bounds: [-1e-155, 1e-155]}
      cost: {type: float, bounds: [0, 1000000]}
      free: {type: float}
      n: {type: int}
      sex: {type: text, domain: [F, M], nullable: false}
      grade: {type: text, domain: [a, b, c]}
      born: {type: date, bounds: [1900-01-01, 2020-12-31], nullable: false}
      seen: {type: timestamp}
      dead: {type: bool, nullable: false}
      note: {type: text}
  event:
    key: event
    patient: id
    columns:
      event: {type: int, nullable: false}
      id: {type: ID, nullable: false, references: person.id}
      n: {type: int}
      k: {type: int, bounds: [1, 10], nullable: false}
      x: {type: float, bounds: [-10, 10], nullable: false}
      y: {type: float}
      code: {type: text}
      grade: {type: text, domain: [a, b, c], nullable: false}
      day: {type: date, bounds: [2015-01-01, 2020-12-31], nullable: false}
      at: {type: timestamp}
      flag: {type: bool}
  lab:
    patient: event
    columns:
      event: {type: int, nullable: false, references: event.event}
      x: {type: float, bounds: [0.1, 200], nullable: false}
      n: {type: int, nullable: false}
      unit: {type: text}
  last:
    key: [id, code]
    patient: id
    columns:
      id: {type: ID, nullable: false}
      code: {type: text, nullable: false}
      x: {type: float, bounds: [-100, 100], nullable: false}
  stay:
    patient: id
    columns:
      id: {type: ID, nullable: false}
      ward: {type: text}
      x: {type: float, bounds: [-100, 100], nullable: false}
  place:
    public: true
    key: place
    columns:
      place: {type: int, nullable: false}
      w: {type: float, bounds: [0.25, 1], nullable: false}
      name: {type: text, domain: [north, south]}
`

// catalogs are the catalog with numbers as ids, and with texts.
func catalogs(t testing.TB) []*catalog.Catalog {
	t.Helper()
	var all []*catalog.Catalog
	for _, of := range []value.Type{value.TypeInt, value.TypeText} {
		c, err := catalog.Parse([]byte(strings.ReplaceAll(dictionary, "type: ID", "type: "+string(of))), "adversary.yaml")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// storage is how a database declares a column, whatever the catalog says.
type storage string

const (
	asInt       storage = "bigint"
	asFloat     storage = "double"
	asNumeric   storage = "numeric"
	asText      storage = "text"
	asLoose     storage = "loose" // texts with a collation in which several are equal
	asDate      storage = "date"
	asTimestamp storage = "timestamp"
	asBool      storage = "bool"
	missing     storage = "" // the hospital does not have the column
)

// row is a row of a table. A cell is a text that the database casts to the column's storage, or null.
type row struct {
	cells  []string
	victim bool // it belongs to the patient who is left out
}

const null = "\x00null"

// table is one of a hospital's tables.
type table struct {
	name    string
	columns []string
	stored  []storage
	rows    []row
	// How the database declares it: see the engines.
	inherited, selected bool
}

// world is the data of one hospital. One patient may be left out. It breaks promises of the catalog.
type world struct {
	*rand.Rand
	catalog *catalog.Catalog
	tables  []*table
	// The storage of ids and of the keys of events, which is the same in all tables: the database decides who a patient
	// is.
	ids, events storage
	texts       bool // ids are texts in the catalog
	broken      int  // one of this many values is odd
}

func (w *world) pick(of ...string) string { return of[w.IntN(len(of))] }

func (w *world) one(in int) bool { return w.IntN(in) == 0 }

func pickStorage(w *world, of ...storage) storage { return of[w.IntN(len(of))] }

// newWorld makes random data.
func newWorld(r *rand.Rand, c *catalog.Catalog) *world {
	w := &world{Rand: r, catalog: c, broken: 3 + r.IntN(10)}
	person, _ := c.Table("person")
	if id, _ := person.Column("id"); id.Type == value.TypeText {
		w.ids, w.texts = pickStorage(w, asText, asLoose), true
	} else {
		w.ids = pickStorage(w, asInt, asInt, asInt, asInt, asInt, asInt, asInt, asText, asFloat, asNumeric)
	}
	w.events = pickStorage(w, asInt, asInt, asInt, asInt, asInt, asInt, asInt, asText)
	for _, t := range c.Tables {
		if t.Name != "person" && w.one(25) {
			continue // the hospital does not have it
		}
		made := &table{name: t.Name, inherited: t.Name == "person" && w.one(6), selected: w.one(4)}
		for _, column := range t.Columns {
			made.columns = append(made.columns, column.Name)
			made.stored = append(made.stored, w.storage(t, column))
		}
		w.tables = append(w.tables, made)
	}
	others := 3 + r.IntN(6)
	for p := range others {
		w.patient(p, false)
	}
	w.patient(others, true)
	if place := w.table("place"); place != nil {
		for p := range 3 {
			place.rows = append(place.rows, row{cells: []string{strconv.Itoa(p), w.pick("0.25", "0.5", "1"), w.pick("north", "south")}})
		}
	}
	for _, t := range w.tables { // in random order
		r.Shuffle(len(t.rows), func(i, j int) { t.rows[i], t.rows[j] = t.rows[j], t.rows[i] })
	}
	return w
}

func (w *world) table(name string) *table {
	for _, t := range w.tables {
		if t.name == name {
			return t
		}
	}
	return nil
}

// storage chooses how a column is stored.
func (w *world) storage(t *catalog.Table, c *catalog.Column) storage {
	natural := map[value.Type]storage{value.TypeInt: asInt, value.TypeFloat: asFloat, value.TypeText: asText, value.TypeDate: asDate, value.TypeTimestamp: asTimestamp, value.TypeBool: asBool}[c.Type]
	switch {
	case t.Public:
		return natural
	case c.Name == "id":
		return w.ids
	case c.Name == "event":
		return w.events
	case c.Type == value.TypeText && w.one(3):
		return asLoose
	case c.Name == "code" || !w.one(3):
		return natural
	case w.one(4):
		return missing
	}
	switch c.Type {
	case value.TypeInt:
		return pickStorage(w, asText, asFloat, asNumeric)
	case value.TypeFloat:
		return pickStorage(w, asText, asText, asNumeric)
	case value.TypeDate:
		return pickStorage(w, asText, asTimestamp)
	case value.TypeTimestamp, value.TypeBool:
		return asText
	}
	return natural
}

// identity writes the id of a patient. The victim's may be one that a careless conversion confuses with another.
func (w *world) identity(p int, victim bool) string {
	id := strconv.Itoa(100 + p)
	if w.texts {
		if victim && w.one(2) {
			return w.pick("P0", "p0 ", "P1", "p0\u0301")
		}
		return "p" + strconv.Itoa(p)
	}
	if !victim {
		return id
	}
	other := strconv.Itoa(100 + w.IntN(p))
	switch {
	case w.ids == asText && w.one(2):
		return w.pick("0"+other, "+"+other, other+".2", other+"e0", " "+other)
	case (w.ids == asFloat || w.ids == asNumeric) && w.one(2):
		return other + w.pick(".2", ".4", ".5")
	}
	return id
}

func (w *world) patient(p int, victim bool) {
	id := w.identity(p, victim)
	add := func(table string, fixed map[string]string) {
		t := w.table(table)
		if t == nil {
			return
		}
		r := row{victim: victim}
		described, _ := w.catalog.Table(table)
		for i, column := range described.Columns {
			cell, ok := fixed[column.Name]
			if !ok {
				cell = w.cell(column, t.stored[i], victim)
			}
			r.cells = append(r.cells, cell)
		}
		t.rows = append(t.rows, r)
	}
	persons := 1
	if inherited := w.table("person").inherited; victim && (w.one(12) || inherited && w.one(2)) {
		persons = 2 + w.IntN(40) // the key does not hold
	}
	for range persons {
		add("person", map[string]string{"id": id})
	}
	events := w.IntN(5)
	if victim {
		events = 1 + w.IntN(12)
	}
	for e := range events {
		key := strconv.Itoa(1000*p + e)
		if victim && w.events == asText && w.one(3) {
			key = "0" + w.pick("0", "1", "1000")
		}
		fixed := map[string]string{"id": id, "event": key}
		add("event", fixed)
		if victim && w.one(60) {
			add("event", fixed) // this key does not hold either
		}
		for range w.IntN(4) {
			add("lab", map[string]string{"event": key})
		}
	}
	if p == 0 { // so that a case has groups of two other patients to merge with
		add("event", map[string]string{"id": id, "event": "999999"})
	}
	for range w.IntN(3) + 2*b2i(victim) {
		add("stay", map[string]string{"id": id, "ward": w.pick("north", "south", "North", "")})
	}
	codes := []string{"hba1c", "crp"}
	if victim && w.one(2) {
		codes = []string{"hba1c", "HbA1c", "HBA1C", "hba1C"}
	}
	for _, code := range codes {
		add("last", map[string]string{"id": id, "code": code})
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// cell makes a value. The victim's values are odd more often.
func (w *world) cell(c *catalog.Column, s storage, victim bool) string {
	odd := w.one(4 * w.broken)
	if victim {
		odd = !w.one(3)
	}
	if odd {
		return w.odd(c, s)
	}
	switch c.Type {
	case value.TypeInt:
		return w.pick("1", "2", "3", "5", "7", "4")
	case value.TypeFloat:
		if c.Lower.Valid() {
			return w.pick(c.Lower.String(), c.Upper.String(), c.Lower.String())
		}
		return w.pick("0.5", "2", "40", "-3")
	case value.TypeDate:
		return w.pick("2015-06-01", "2020-02-29", "2019-12-31", "2000-01-01")
	case value.TypeTimestamp:
		return w.pick("2015-06-01 10:00:00", "2020-02-29 23:59:59.5", "2000-01-01 00:00:00")
	case value.TypeBool:
		return w.pick("true", "false")
	}
	if len(c.Domain) > 0 {
		return c.Domain[w.IntN(len(c.Domain))].Str()
	}
	return w.pick("a", "b", "x", "12", "3.5")
}

// odd makes a value that the catalog excludes, or at which arithmetic fails.
func (w *world) odd(c *catalog.Column, s storage) string {
	if w.one(4) {
		return null
	}
	switch s {
	case asInt:
		return w.pick("9223372036854775807", "-9223372036854775808", "0", "-1", "11", "9000000000000000000", "3037000500", "9007199254740993", "4611686018427387904")
	case asFloat:
		list := []string{"NaN", "Infinity", "-Infinity", "-0.0", "5e-324", "2e-308", "1.7976931348623157e308", "-1.7976931348623157e308", "1e-160", "1e-155", "-1e-151", "1e150", "1e300", "1e11", "-1e11", "0", "0.49"}
		return w.pick(list...)
	case asNumeric:
		return w.pick("1000000000000000000000", "-99999999999999999999", "0.5", "1e-30", "0", "123456789.5", "2.5")
	case asText, asLoose:
		switch c.Type {
		case value.TypeText:
			if w.one(12) {
				return strings.Repeat(w.pick("x", "é", "ab"), 20_000)
			}
			return w.pick("", "A", "X", "a ", "0712", "1e3", "-9223372036854775808", "9223372036854775807", "NaN", "xxxxxxxx", "2020-02-30", "z'z", "%_\\", "\u0130\ufb01", "e\u0301")
		case value.TypeDate, value.TypeTimestamp:
			return w.pick("", "2020-02-30", "infinity", "20200101", "0000-01-01", "10000-01-01", "2020-01-01 25:00:00", "now", "2020-01-01")
		}
		return w.pick("", "abc", "1e400", "-1e400", "--1", " 5 ", "0x10", "NaN", "inf", "1e3", "0012", "9223372036854775808", "9223372036854775807", "1e-400", "5e-324", "t", "yes", "2", "1_000", "1,5")
	case asDate:
		return w.pick("infinity", "-infinity", "0001-01-01", "9999-12-31", "99999-01-01", "1492-10-12")
	case asTimestamp:
		return w.pick("infinity", "-infinity", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "99999-01-01 00:00:00", "2020-02-29 24:00:00")
	case asBool:
		return w.pick("true", "false")
	}
	return null
}

// inserts writes the rows of a table as SQL, with or without the victim's. cast writes a cell.
func (t *table) inserts(name string, without bool, types func(storage) string, cast string) []string {
	var lines []string
	for _, r := range t.rows {
		if r.victim && without {
			continue
		}
		var cells []string
		for i, cell := range r.cells {
			switch {
			case t.stored[i] == missing:
			case cell == null:
				cells = append(cells, "NULL")
			default:
				to, _, _ := strings.Cut(types(t.stored[i]), " COLLATE")
				cells = append(cells, cast+"('"+strings.ReplaceAll(cell, "'", "''")+"' AS "+to+")")
			}
		}
		lines = append(lines, "("+strings.Join(cells, ", ")+")")
	}
	if len(lines) == 0 {
		return nil
	}
	return []string{"INSERT INTO " + name + " VALUES " + strings.Join(lines, ", ")}
}

// declaration lists the columns for CREATE TABLE.
func (t *table) declaration(types func(storage) string) string {
	var columns []string
	for i, name := range t.columns {
		if t.stored[i] != missing {
			columns = append(columns, `"`+name+`" `+types(t.stored[i]))
		}
	}
	return strings.Join(columns, ", ")
}

// String shows the victim's rows and how everything is stored.
func (w *world) String() string {
	var b strings.Builder
	for _, t := range w.tables {
		fmt.Fprintf(&b, "  %s (inherited %v, selected %v)", t.name, t.inherited, t.selected)
		for i, c := range t.columns {
			fmt.Fprintf(&b, " %s:%s", c, t.stored[i])
		}
		others := 0
		for _, r := range t.rows {
			if !r.victim {
				others++
				continue
			}
			b.WriteString("\n    ")
			for i, cell := range r.cells {
				if len(cell) > 40 {
					cell = cell[:20] + "…"
				}
				if cell == null {
					cell = "NULL"
				}
				if t.stored[i] != missing {
					fmt.Fprintf(&b, "%s=%q ", t.columns[i], cell)
				}
			}
		}
		fmt.Fprintf(&b, "\n    and %d rows of others\n", others)
	}
	return b.String()
}
