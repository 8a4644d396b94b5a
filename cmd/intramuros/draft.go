package main

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/csv"
)

// patientNames are usual names of a column with the patient's id.
var patientNames = []string{"person_id", "patient_id", "patient_num", "subject_id", "uniquepid", "patientid", "pid", "ipp"}

// draft is a catalog in preparation, with what a person must decide.
type draft struct {
	catalog  catalog.Catalog
	patient  string
	local    map[string]engine.Table // by the table's name in the catalog
	decide   map[string]string       // by table or table.column
	mappings []string                // lines for node.yaml
	faults   []string                // about tables that are not drafted
}

// draftCatalog writes a catalog for the tables that were found.
func draftCatalog(name, patient string, tables []engine.Table) (string, error) {
	d := &draft{
		catalog: catalog.Catalog{Name: name, MaxGroups: catalog.DefaultMaxGroups, MaxRows: catalog.DefaultMaxRows},
		patient: strings.ToLower(patient), local: map[string]engine.Table{}, decide: map[string]string{},
	}
	for _, t := range tables {
		if t.Fault != "" {
			d.faults = append(d.faults, t.Name+": "+t.Fault)
			continue
		}
		if err := d.table(t); err != nil {
			return "", err
		}
	}
	slices.SortFunc(d.catalog.Tables, func(a, b *catalog.Table) int { return strings.Compare(a.Name, b.Name) })
	if err := d.guessPatient(); err != nil {
		return "", err
	}
	d.guessKeys()
	d.guessPaths()
	for _, t := range d.catalog.Tables {
		d.guessValues(t)
	}
	d.guessFilled()
	return d.text()
}

func (d *draft) table(local engine.Table) error {
	own := local.Name[strings.LastIndex(local.Name, ".")+1:]
	if isFile(local.Name) {
		path := local.Name
		if i := strings.IndexAny(path, "*?["); i >= 0 { // files of one table, in a folder with its name
			path = filepath.Dir(path[:i] + "x")
		}
		own = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	t := &catalog.Table{Name: engine.Plain(own)}
	if other, twice := d.local[t.Name]; twice {
		d.faults = append(d.faults, fmt.Sprintf("%s: it would be the table %s, as %s is; rename one, or move it elsewhere", local.Name, t.Name, other.Name))
		return nil
	}
	var renamed []string
	local.Columns = slices.Clone(local.Columns)
	plain, shared := plainNames(local.Columns)
	for i, c := range local.Columns {
		if local.Draft != nil && c.Type != value.TypeText {
			d.note(t.Name+"."+plain[i], "is every value "+article(c.Type)+" here?")
		}
		// a code of i2b2 is not a number
		if c.Type == value.TypeText && c.Local != engine.KindCode && !strings.HasSuffix(strings.ToLower(c.Name), "_cd") {
			if c = typed(c); c.Type != value.TypeText {
				d.note(t.Name+"."+plain[i], "is every value "+article(c.Type)+" here?")
			}
			local.Columns[i] = c
		}
		col := &catalog.Column{Name: plain[i], Type: c.Type, Nullable: true}
		if slices.Contains(shared, engine.Plain(c.Name)) { // otherwise its own name finds it
			renamed = append(renamed, col.Name+": "+strconv.Quote(c.Name))
		}
		t.Columns = append(t.Columns, col)
	}
	d.local[t.Name] = local
	var parts []string
	if !isFile(local.Name) && !strings.EqualFold(own, t.Name) { // a file is found by its own name
		parts = append(parts, "table: "+strconv.Quote(local.Name))
	}
	if len(renamed) > 0 {
		parts = append(parts, "columns: {"+strings.Join(renamed, ", ")+"}")
	}
	if local.Draft != nil {
		settings, err := flow(local.Draft.CSV)
		if err != nil {
			return err
		}
		if settings != "{}" {
			parts = append(parts, "csv: "+settings)
		}
		if local.Draft.Note != "" {
			d.note(t.Name, local.Draft.Note)
		}
	}
	if len(parts) > 0 {
		d.mappings = append(d.mappings, t.Name+": {"+strings.Join(parts, ", ")+"}")
	}
	d.catalog.Tables = append(d.catalog.Tables, t)
	return nil
}

// plainNames gives each column its own name in the catalog. It also returns the plain names that several columns share.
func plainNames(columns []engine.Column) (names, shared []string) {
	for _, c := range columns {
		name := engine.Plain(c.Name)
		for n := 2; slices.Contains(names, name); n++ {
			shared = append(shared, engine.Plain(c.Name))
			name = engine.Plain(c.Name) + "_" + strconv.Itoa(n)
		}
		names = append(names, name)
	}
	return names, shared
}

// typed guesses the type of a text column, like those of a CSV file, from its known values. Sorted texts are sorted
// values only for dates, so other extremes are kept only if all values are known.
func typed(c engine.Column) engine.Column {
	known := c.Values
	if len(known) == 0 {
		known = []string{c.Min, c.Max}
	}
	for _, t := range []value.Type{value.TypeInt, value.TypeFloat, value.TypeDate, value.TypeTimestamp} {
		var values []value.Value
		for _, s := range known {
			v, err := value.Parse(t, s)
			// 007 is a code, not a number.
			if err != nil || t.Numeric() && len(s) > 1 && s[0] == '0' && s[1] != '.' {
				break
			}
			values = append(values, v)
		}
		if len(values) < len(known) {
			continue
		}
		c.Type = t
		switch {
		case len(c.Values) > 0:
			c.Min, c.Max = slices.MinFunc(values, value.Compare).String(), slices.MaxFunc(values, value.Compare).String()
		case t.Numeric():
			c.Min, c.Max = "", ""
		}
		return c
	}
	return c
}

// flow writes settings in one line.
func flow(s *csv.Settings) (string, error) {
	var n yaml.Node
	if err := n.Encode(s); err != nil {
		return "", err
	}
	n.Style = yaml.FlowStyle
	b, err := yaml.Marshal(&n)
	return strings.Join(strings.Fields(string(b)), " "), err
}

func article(t value.Type) string {
	if t == value.TypeInt {
		return "a whole number"
	}
	return "a " + string(t)
}

func isFile(name string) bool {
	return slices.Contains([]string{".parquet", ".csv", ".tsv", ".txt"}, strings.ToLower(filepath.Ext(name)))
}

// guessPatient decides which column holds the patient's id.
func (d *draft) guessPatient() error {
	has := func(name string) bool {
		return slices.ContainsFunc(d.catalog.Tables, func(t *catalog.Table) bool { _, ok := t.Column(name); return ok })
	}
	if d.patient != "" {
		if !has(d.patient) {
			d.patient = engine.Plain(d.patient) // the draft's name for it
		}
		if !has(d.patient) {
			return fmt.Errorf("no table has a column %s, which --patient names; draft without it to see the columns", d.patient)
		}
		return nil
	}
	if i := slices.IndexFunc(patientNames, has); i >= 0 {
		d.patient = patientNames[i]
	}
	return nil
}

// guessKeys chooses a column that the database keeps unique, or one that is named after its table, or else a first
// column that has the name of an id.
func (d *draft) guessKeys() {
	for _, t := range d.catalog.Tables {
		if i := slices.IndexFunc(d.local[t.Name].Columns, func(c engine.Column) bool { return c.Unique }); i >= 0 {
			t.Key = []string{t.Columns[i].Name}
			continue
		}
		for _, name := range []string{t.Name + "_id", t.Name + "id", "id"} {
			if _, ok := t.Column(name); ok && d.filled(t, name) {
				t.Key = []string{name}
				break
			}
		}
		if first := t.Columns[0]; t.Key == nil && strings.HasSuffix(first.Name, "id") && first.Name != d.patient && first.Type != value.TypeFloat && d.filled(t, first.Name) {
			t.Key = []string{first.Name}
		}
		if t.Key == nil && slices.Contains([]string{"person", "patient", "patients", "persons"}, t.Name) {
			if _, ok := t.Column(d.patient); ok {
				t.Key = []string{d.patient}
			}
		}
	}
}

// filled reports whether no NULL was found in a column.
func (d *draft) filled(t *catalog.Table, column string) bool {
	i := slices.IndexFunc(t.Columns, func(c *catalog.Column) bool { return c.Name == column })
	return i >= 0 && !d.local[t.Name].Columns[i].Nullable
}

// guessFilled declares that columns that identify rows or refer to other rows have no NULL, if none was found. It
// declares nothing for other columns, because another hospital may have NULLs there.
func (d *draft) guessFilled() {
	for _, t := range d.catalog.Tables {
		for _, c := range t.Columns {
			if (slices.Contains(t.Key, c.Name) || c.Name == t.Patient || c.References != "") && d.filled(t, c.Name) {
				c.Nullable = false
				d.note(t.Name+"."+c.Name, "is it never NULL?")
			}
		}
	}
}

// tableWithKey returns the only table other than t that a column of that name identifies.
func (d *draft) tableWithKey(t *catalog.Table, column string) *catalog.Table {
	var found *catalog.Table
	for _, other := range d.catalog.Tables {
		// A table whose name is in the column's name is preferred.
		if other != t && len(other.Key) == 1 && other.Key[0] == column {
			if found == nil || strings.HasPrefix(column, other.Name) {
				found = other
			}
		}
	}
	return found
}

// guessPaths decides how each table reaches its patient.
func (d *draft) guessPaths() {
	for _, t := range d.catalog.Tables {
		if _, ok := t.Column(d.patient); ok && d.patient != "" {
			t.Patient = d.patient
		}
	}
	for _, t := range d.catalog.Tables {
		for _, c := range t.Columns {
			if slices.Equal(t.Key, []string{c.Name}) {
				continue
			}
			to := d.tableWithKey(t, c.Name)
			if to == nil || slices.ContainsFunc(to.Columns, func(o *catalog.Column) bool { return o.Name == c.Name && o.Type != c.Type }) {
				continue
			}
			c.References = to.Name + "." + c.Name
			d.note(t.Name+"."+c.Name, "does it reference "+to.Name+"?")
			if t.Patient == "" && to.Patient != "" && (slices.Equal(to.Key, []string{to.Patient}) || strings.HasSuffix(c.Name, "id")) {
				t.Patient = c.Name
			}
		}
	}
	for _, t := range d.catalog.Tables {
		switch {
		case t.Patient == "":
			d.note(t.Name, "does it say anything about patients? if not, `public: true`; else `patient: COLUMN`, the one that leads to the patient")
			continue
		case slices.Equal(t.Key, []string{t.Patient}):
			t.OneRowPerPatient = true
			d.note(t.Name, "is there one row a patient? is "+t.Patient+" the patient?")
		default:
			d.note(t.Name, "does "+t.Patient+" lead to the patient? is the key right? would another max_rows suit it? which typical_rows?")
		}
	}
}

func (d *draft) note(place, text string) {
	if d.decide[place] != "" {
		text = d.decide[place] + " " + text
	}
	d.decide[place] = text
}

// guessValues proposes bounds, and says which values a domain could have.
func (d *draft) guessValues(t *catalog.Table) {
	for i, c := range t.Columns {
		place, local := t.Name+"."+c.Name, d.local[t.Name].Columns[i]
		if local.Key && (c.Type == value.TypeInt || c.Type == value.TypeText) || c.Name == d.patient || c.References != "" || slices.Contains(t.Key, c.Name) || strings.HasSuffix(c.Name, "_id") || c.Type == value.TypeInt && strings.HasSuffix(c.Name, "id") {
			continue
		}
		if d.local[t.Name].Draft != nil && d.local[t.Name].Draft.Note != "" {
			continue // its values are not known
		}
		if why := singlesOut(local); why != "" {
			c.Identifier = true
			d.note(place, why+"; a study's \"*\" leaves it out while it is an identifier. Does no value point to anybody?")
			continue
		}
		if lower, upper, ok := roundBounds(c.Type, local.Min, local.Max); ok {
			c.Lower, c.Upper = lower, upper
			d.note(place, "do these bounds hold in every hospital?")
		}
		if c.Type == value.TypeText && !local.Rare && len(local.Values) > 0 && len(local.Values) <= 20 && len(strings.Join(local.Values, "")) <= 400 {
			quoted := make([]string, len(local.Values))
			for i, v := range local.Values {
				quoted[i] = strconv.Quote(v)
			}
			d.note(place, "may all know that these values exist? then domain: ["+strings.Join(quoted, ", ")+"]")
		}
	}
}

// singlesOut says how a column's values identify somebody; empty if they do not seem to.
func singlesOut(c engine.Column) string {
	switch {
	case c.Prose:
		return "these are long texts"
	case c.Singles:
		return "most of these values stand in a row or two"
	}
	return ""
}

// roundBounds widens the extremes of a column to round numbers or whole years, because the exact extremes are
// somebody's values.
func roundBounds(t value.Type, least, most string) (lower, upper value.Value, ok bool) {
	a, err1 := value.Parse(t, least)
	b, err2 := value.Parse(t, most)
	if err1 != nil || err2 != nil || a.IsNull() || b.IsNull() {
		return lower, upper, false
	}
	switch t {
	case value.TypeInt, value.TypeFloat:
		low, high := roundNumber(a.Float64(), false), roundNumber(b.Float64(), true)
		if math.Abs(low) > 1e15 || math.Abs(high) > 1e15 || low >= high {
			return lower, upper, false
		}
		lower, upper = value.Float(low), value.Float(high)
		if t == value.TypeInt {
			lower, upper = value.Int(int64(low)), value.Int(int64(high))
		}
	case value.TypeDate, value.TypeTimestamp:
		from, to := decade(least, 0)+"-01-01", decade(most, 9)+"-12-31"
		if t == value.TypeTimestamp {
			from, to = from+"T00:00:00", to+"T23:59:59"
		}
		if lower, err1 = value.Parse(t, from); err1 != nil {
			return lower, upper, false
		}
		if upper, err2 = value.Parse(t, to); err2 != nil {
			return lower, upper, false
		}
	default:
		return lower, upper, false
	}
	return lower, upper, true
}

func decade(s string, year int) string {
	if len(s) < 4 {
		return ""
	}
	return s[:3] + strconv.Itoa(year)
}

// roundNumber returns 0, or the next number of 1, 2, 5, 10, … times a power of ten, upward or downward. A number of at
// least 0 is rounded down to 0.
func roundNumber(x float64, up bool) float64 {
	switch {
	case x < 0:
		return -roundNumber(-x, !up)
	case x == 0 || !up:
		return 0
	}
	base := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if m*base > x {
			return math.Max(m*base, 1)
		}
	}
	return math.Max(10*base, 1)
}

var (
	draftTable  = regexp.MustCompile(`^  "?([a-z0-9_]+)"?:$`)
	draftColumn = regexp.MustCompile(`^      "?([a-z0-9_]+)"?: \{.*\}$`)
)

// text writes the draft, with a remark on what to decide at the end of each line.
func (d *draft) text() (string, error) {
	var yaml, b strings.Builder
	if err := d.catalog.WriteYAML(&yaml); err != nil {
		return "", err
	}
	b.WriteString("# A draft. Decide every line with DECIDE, then remove the comment. The federation shares\n# this file: it must hold nothing that only this hospital's patients tell.\n")
	if omop := []string{"person", "visit_occurrence", "condition_occurrence"}; !slices.ContainsFunc(omop, func(n string) bool { _, ok := d.local[n]; return !ok }) {
		b.WriteString("# DECIDE: these tables look like OMOP; `catalog: builtin:omop-5.4` in node.yaml may be all you need.\n")
	}
	b.WriteString("# DECIDE: bounds are this hospital's extremes, rounded, and one patient may have made them: better is what is known of\n# the matter. typical_rows, about how many rows a patient has who has many, is left to you; once a study is open,\n# intramuros profile tells it with noise.\n")
	b.WriteString("# DECIDE: max_sites, at how many hospitals one patient may be; absent: at every one asked.\n")
	table := ""
	for line := range strings.Lines(yaml.String()) {
		line = strings.TrimSuffix(line, "\n")
		place := ""
		if m := draftTable.FindStringSubmatch(line); m != nil {
			table, place = m[1], m[1]
		} else if m := draftColumn.FindStringSubmatch(line); m != nil {
			place = table + "." + m[1]
		}
		b.WriteString(line)
		if note := d.decide[place]; note != "" {
			b.WriteString(" # DECIDE: " + note)
		}
		b.WriteString("\n")
	}
	if len(d.mappings) > 0 {
		b.WriteString("\n# To read the data so, in node.yaml, below the engine. DECIDE: is that how it is written?\n#     tables:\n")
		for _, m := range d.mappings {
			b.WriteString("#       " + m + "\n")
		}
	}
	if len(d.faults) > 0 {
		b.WriteString("\n# Not drafted:\n")
		for _, f := range d.faults {
			b.WriteString("#   " + strings.ReplaceAll(f, "\n", " ") + "\n")
		}
	}
	return b.String(), nil
}
