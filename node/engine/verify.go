package engine

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// Severity says how serious a finding is.
type Severity string

// The severities.
const (
	// SeverityError: the data contradicts something that a proof of privacy uses; the node must not answer before it is
	// corrected.
	SeverityError Severity = "error"
	// SeverityWarning: answers are private, but may be wrong or empty.
	SeverityWarning Severity = "warning"
)

// Finding is a difference between the data and the catalog. A warning's text has exact counts: it is for the hospital's
// custodian and stays there. An error's text has none, because it goes to the node's log.
type Finding struct {
	Table, Column string // Column is empty if the whole table is meant
	Severity      Severity
	Text          string
	Key           bool // the key does not hold; `key: none` helps if nothing relies on it
	Plain         bool // Text reveals nothing about the data, so a log may show it
}

// Verify compares the data with the catalog: keys and one_row_per_patient, which lower sensitivities, must hold, and
// columns must exist with the declared contents. It reads every offered table about twice. Its errors are ErrDatabase
// and name the table.
func (e *Engine) Verify(ctx context.Context) ([]Finding, error) {
	return e.verify(ctx, e.verifyShape, e.verifyIdentity, e.verifyValues)
}

// Contradictions finds what Verify calls errors, and the warnings that need no row. It reads only the keys, and not
// even them if the database itself guarantees them. It reads a whole table only if the first rows suggest that little
// of a column is usable.
func (e *Engine) Contradictions(ctx context.Context) ([]Finding, error) {
	return e.verify(ctx, e.verifyShape, e.verifyIdentity, e.verifyUsable)
}

func (e *Engine) verify(ctx context.Context, checks ...func(context.Context, *catalog.Table) ([]Finding, error)) ([]Finding, error) {
	var all []Finding
	state, err := e.name(ctx)
	if err != nil {
		return nil, err
	}
	sure := map[string]promises{}
	for _, t := range e.catalog.Tables {
		if e.views[t.Name] == nil {
			f := Finding{Table: t.Name, Severity: SeverityWarning, Text: "is not offered: there is no source for it here that the node may read", Plain: true}
			if closed, ok := e.closed[t.Name]; ok {
				f.Severity, f.Text = SeverityError, "is closed: "+closed.Why
			}
			all = append(all, f)
			continue
		}
		promised := func(ctx context.Context, t *catalog.Table) ([]Finding, error) {
			p, found, err := e.verifyPromises(ctx, t)
			sure[t.Name] = p
			return found, err
		}
		for _, check := range append(slices.Clone(checks), promised) {
			found, err := check(ctx, t)
			var fault *Fault
			if errors.As(err, &fault) && fault.table && ctx.Err() == nil {
				all = append(all, Finding{Table: t.Name, Severity: SeverityError, Text: "is closed: " + fault.class, Plain: true})
				break
			}
			if err != nil {
				return nil, fmt.Errorf("table %s: %w", t.Name, err)
			}
			all = append(all, found...)
		}
	}
	return all, e.remember(ctx, state, sure)
}

// count is a number of rows to determine, and what it means if it is above 0.
type count struct {
	sql     string
	finding Finding // its Text may have a %d
	of      string  // the condition of the rows to compare with; empty if any number is allowed
	most    float64 // the largest allowed share
	beyond  string  // what a larger share means; empty: too little of the column is left
}

// unusable is the default share of a column's values that may be lost. If more are lost, the rest no longer means what
// the catalog promises.
const unusable = 0.9

// undated is that share for days and instants. If more cannot be read, their format is another one, and some of the
// others are read as wrong days (06/05 for 05/06).
const undated = 0.5

// nobodys is that share for NULLs in the patient's column. No answer includes these rows, and no answer says so.
const nobodys = 0.1

// countIf counts rows of a FROM clause, all in one scan.
func (e *Engine) countIf(ctx context.Context, from string, counts []count) ([]Finding, error) {
	if len(counts) == 0 {
		return nil, nil
	}
	var columns []string
	for _, c := range counts {
		columns = append(columns, "count(*) FILTER (WHERE "+c.sql+")")
	}
	for _, c := range counts {
		if c.of == "" {
			c.of = "false"
		}
		columns = append(columns, "count(*) FILTER (WHERE "+c.of+")")
	}
	var found []Finding
	err := e.driver.Query(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+from, false, func(row []any) error {
		for i, c := range counts {
			if n, _ := row[i].(int64); n > 0 {
				if strings.Contains(c.finding.Text, "%") {
					c.finding.Text = fmt.Sprintf(c.finding.Text, n)
				}
				if all, _ := row[len(counts)+i].(int64); c.of != "" && float64(n) > c.most*float64(all) {
					c.finding.Severity = SeverityError
					if c.beyond == "" {
						c.beyond = fmt.Sprintf(": more than %g %% of them. Map another column, mend the catalog, or accept it in node.yaml by the table's max_unusable", c.most*100)
					}
					c.finding.Text += c.beyond
				}
				found = append(found, c.finding)
			}
		}
		return nil
	})
	return found, err
}

// composite matches types whose values consist of several values or have several spellings as text.
var composite = regexp.MustCompile(`(?i)\]$|^(struct|map|union|row|array|list|json)\(|^(int4|int8|num|ts|tstz|date)(multi)?range$|^(bytea|hstore|interval|money|record)$`)

// verifyShape finds columns that are missing or of another type.
func (e *Engine) verifyShape(_ context.Context, t *catalog.Table) (found []Finding, _ error) {
	v := e.views[t.Name]
	for _, c := range t.Columns {
		warn := func(text string) {
			found = append(found, Finding{Table: t.Name, Column: c.Name, Severity: SeverityWarning, Text: text, Plain: true})
		}
		l, ok := v.columns[c.Name]
		switch {
		case !ok && c.Name == t.Patient:
			found = append(found, Finding{Table: t.Name, Column: c.Name, Severity: SeverityError, Text: "does not exist here, and leads to the patient: nothing can be answered without it; map it in node.yaml, `columns`", Plain: true})
		case !ok && slices.Contains(t.Key, c.Name) && !v.keyless:
			found = append(found, Finding{Table: t.Name, Column: c.Name, Severity: SeverityError, Text: "does not exist here, and is the key, which tells rows apart; map it in node.yaml, `columns`", Plain: true})
		case !ok:
			warn("does not exist here and reads as NULL")
		}
		if !ok {
			continue
		}
		if c.Type == value.TypeText && composite.MatchString(l.Kind) {
			warn(fmt.Sprintf("is of type %s here, whose text no two databases write alike; read what is needed of it by a `select`", l.Kind))
		}
		// Text is converted without a warning if every value converts, because CSV files are read so.
		if _, fits := e.driver.Convert(l, c.Type); !fits && l.Type != value.TypeText && l.Type != c.Type && !v.identity[c.Name] {
			warn(fmt.Sprintf("is of type %s here and %s in the catalog; values are converted", l.Kind, c.Type))
		}
	}
	return found, nil
}

// verifyValues counts what columns hold but the catalog does not declare.
func (e *Engine) verifyValues(ctx context.Context, t *catalog.Table) (found []Finding, _ error) {
	scans, err := e.scans(t)
	if err != nil {
		return nil, err
	}
	for _, s := range scans {
		more, err := e.countIf(ctx, s.from, s.counts)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// firstRows is the number of rows from which verifyUsable estimates.
const firstRows = 10_000

// verifyUsable returns verifyValues' errors about columns with few usable values. It reads a whole table only if its
// first rows show such an error.
func (e *Engine) verifyUsable(ctx context.Context, t *catalog.Table) ([]Finding, error) {
	scans, err := e.scans(t)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, s := range scans {
		of := slices.DeleteFunc(slices.Clone(s.counts), func(c count) bool { return c.of == "" })
		first, err := e.countIf(ctx, fmt.Sprintf("(SELECT * FROM %s LIMIT %d) AS t", s.from, firstRows), of)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(first, severe) {
			continue
		}
		all, err := e.countIf(ctx, s.from, of)
		if err != nil {
			return nil, err
		}
		found = append(found, slices.DeleteFunc(all, func(f Finding) bool { return !severe(f) })...)
	}
	return found, nil
}

func severe(f Finding) bool { return f.Severity == SeverityError }

// scan says what to count in the rows of a FROM clause.
type scan struct {
	from   string
	counts []count
}

// scans are the scans of a table: its values in the source, and its values as fragments read them.
func (e *Engine) scans(t *catalog.Table) ([]scan, error) {
	v := e.views[t.Name]
	var counts, conversions []count
	for _, c := range t.Columns {
		warn := func(text string) Finding {
			return Finding{Table: t.Name, Column: c.Name, Severity: SeverityWarning, Text: text, Plain: false}
		}
		l, ok := v.columns[c.Name]
		if !ok {
			continue
		}
		q := `"` + c.Name + `"`
		if as, fits := e.driver.Convert(l, c.Type); !fits || c.Type == value.TypeFloat && as != q {
			if filled, err := e.filled(l); err == nil && !v.identity[c.Name] { // verifyIdentity checks those
				most := v.unusable
				if (c.Type == value.TypeDate || c.Type == value.TypeTimestamp) && !v.declared {
					most = undated
				}
				conversions = append(conversions, count{filled + " AND " + as + " IS NULL", warn("has %d values that are no " + string(c.Type) + " and read as NULL"), filled, most, ""})
				if c.Type == value.TypeBool {
					conversions = append(conversions, e.foreign(l, as, warn, v.declared)...)
				}
			}
		}
		if blank, err := e.blank(l); err == nil && v.identity[c.Name] && c.Type == value.TypeText && l.Type == value.TypeText {
			conversions = append(conversions, count{blank, warn("tells patients apart, and has %d values that are empty or blank, whose rows count as one patient's: let the load write NULL there"), "", 0, ""})
		}
		if l.Exact > 0 {
			number, _ := e.driver.Convert(l, value.TypeFloat)
			conversions = append(conversions, count{fmt.Sprintf("abs(%s) > %.0f", number, l.Exact), Finding{Table: t.Name, Column: c.Name, Severity: SeverityError, Text: "is whole in some files and real in others, and has %d values too large to be read as both; write the files anew with one type", Plain: false}, "", 0, ""})
		}
		if !c.Nullable {
			most := v.unusable
			if c.Name == t.Patient && !v.declared {
				most = nobodys
			}
			counts = append(counts, count{q + " IS NULL", warn("is declared not nullable and has %d NULLs"), "true", most, ""})
		}
		if c.Lower.Valid() {
			lower, err1 := e.dialect.Literal(c.Lower)
			upper, err2 := e.dialect.Literal(c.Upper)
			if err1 != nil || err2 != nil {
				return nil, fmt.Errorf("%w: bounds of %s.%s", ErrConfig, t.Name, c.Name)
			}
			number := "true"
			if c.Type == value.TypeFloat {
				number = "NOT " + e.dialect.NaN(q)
				counts = append(counts, count{e.dialect.NaN(q), warn("has %d values that are NaN and read as NULL"), "", 0, ""})
			}
			counts = append(counts, count{number + " AND (" + q + " < " + lower + " OR " + q + " > " + upper + ")", warn(fmt.Sprintf("has %%d values outside of its bounds [%s, %s], which count as the nearest bound", percent(c.Lower.String()), percent(c.Upper.String()))), q + " IS NOT NULL", v.unusable, ""})
		}
		if first, last, ok := years(c.Type); ok && !c.Lower.Valid() {
			lower, err1 := e.dialect.Literal(first)
			upper, err2 := e.dialect.Literal(last)
			if err := errors.Join(err1, err2); err != nil {
				return nil, err
			}
			counts = append(counts, count{q + " < " + lower + " OR " + q + " > " + upper, warn("has %d values beyond the years 1 to 9999, which read as NULL"), "", 0, ""})
		}
		if len(c.Domain) > 0 {
			in := make([]string, len(c.Domain))
			for i, d := range c.Domain {
				var err error
				if in[i], err = e.dialect.Literal(d); err != nil {
					return nil, err
				}
			}
			counts = append(counts, count{q + " NOT IN (" + strings.Join(in, ", ") + ")", warn("has %d values outside of its domain, which no group shows"), "", 0, ""})
		}
	}
	return []scan{{v.From(e.driver), conversions}, {e.from(t, nil, "t"), counts}}, nil
}

// years returns the first and the last value of a type of days or instants; false for another type.
func years(t value.Type) (first, last value.Value, ok bool) {
	switch t {
	case value.TypeDate:
		return value.Date(value.MinDate), value.Date(value.MaxDate), true
	case value.TypeTimestamp:
		return value.Timestamp(value.MinTimestamp), value.Timestamp(value.MaxTimestamp), true
	}
	return first, last, false
}

// foreignWords are words for true and false in the languages of hospitals' software. They are read only if they are
// declared. Of a pair such as O and N, one may be read: N.
var foreignWords = map[bool]string{
	true:  "'o', 'oui', 'v', 'vrai', 'j', 'ja', 'w', 'wahr', 's', 'si', 'sí', 'sì', 'vero', 'verdadero'",
	false: "'non', 'faux', 'nein', 'falsch', 'falso'",
}

// foreign counts such words in a column that as reads as a bool. If there are more of them than of the words that are
// read as the same value, the column would have one value only. So its table is closed, unless node.yaml allows that
// share to be lost. A single such word does not close the table, because then one patient could decide it.
func (e *Engine) foreign(l Local, as string, warn func(string) Finding, accepted bool) (both []count) {
	text, _ := e.driver.Convert(l, value.TypeText)
	for _, is := range []bool{true, false} {
		c := count{sql: "lower(trim(" + text + ")) IN (" + foreignWords[is] + ") AND " + as + " IS NULL",
			finding: warn(fmt.Sprintf("has %%d values that are words for %t in another language, and read as NULL", is))}
		if !accepted {
			c.of, c.most = as, 1
			if !is {
				c.of = "NOT (" + as + ")"
			}
			c.beyond = fmt.Sprintf(": more than are read as %t. Give them in node.yaml, `csv: {true: […], false: […]}`, or read the column by a `select`; or accept the loss by the table's max_unusable", is)
		}
		both = append(both, c)
	}
	return both
}

func percent(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// from returns what follows FROM to read a catalog table.
func (e *Engine) from(t *catalog.Table, columns []string, as string) string {
	sql, _ := e.target().Table(t, columns)
	return sql + " AS " + as
}

// reading returns the SQL by which fragments read columns of a relation of that name.
func (e *Engine) reading(relation string, t *catalog.Table, names ...string) ([]string, error) {
	var columns []*expr.Expr
	for _, n := range names {
		c, ok := t.Column(n)
		if !ok {
			return nil, fmt.Errorf("%w: table %s has no column %s", ErrConfig, t.Name, n)
		}
		columns = append(columns, expr.Column(relation, c.Name, c.Type))
	}
	return e.target().Expressions([]fragment.Relation{{Name: relation, Table: t.Name}}, columns...)
}

// verifyKey checks that the key, as fragments read it, identifies a row.
func (e *Engine) verifyKey(ctx context.Context, t *catalog.Table) ([]Finding, error) {
	v := e.views[t.Name]
	if v.keyless || len(t.Key) == 0 || !slices.ContainsFunc(t.Key, func(k string) bool { _, ok := v.columns[k]; return ok }) || v.identified(e.driver, t) {
		return nil, nil
	}
	key, err := e.reading("t", t, t.Key...)
	if err != nil {
		return nil, err
	}
	what := "the key " + strings.Join(t.Key, ", ")
	optional := !slices.ContainsFunc(t.Key, func(k string) bool { return strings.EqualFold(k, t.Patient) })
	for _, other := range e.views {
		optional = optional && !slices.Contains(through(e.catalog, other.Table), t)
	}
	wrong := func(text string) Finding {
		return Finding{Table: t.Name, Severity: SeverityError, Text: what + " " + text, Key: optional, Plain: true}
	}
	group := "(SELECT count(*) AS n, " + strings.Join(key, " IS NULL OR ") + " IS NULL AS missing FROM " + e.from(t, t.Key, "t") + " GROUP BY " + strings.Join(key, ", ") + ") AS g"
	return e.countIf(ctx, group, []count{
		{"n > 1 AND NOT missing", wrong("has values that are in several rows, where it must identify one"), "", 0, ""},
		{"missing", wrong("has values with a NULL, where it must identify a row"), "", 0, ""},
	})
}

// identified reports whether the database itself guarantees the catalog's key: its columns, read unchanged, have a
// unique constraint and are never NULL.
func (v *View) identified(driver Driver, t *catalog.Table) bool {
	var local []string
	for _, k := range t.Key {
		c, ok := t.Column(k)
		if !ok || c.Lower.Valid() || c.Type != value.TypeInt && c.Type != value.TypeText {
			return false
		}
		l, ok := v.columns[c.Name]
		if !ok {
			return false
		}
		if _, fits := driver.Convert(l, c.Type); !fits {
			return false
		}
		local = append(local, l.Name)
	}
	slices.Sort(local)
	return slices.ContainsFunc(v.Unique, func(u []string) bool {
		u = slices.Clone(u)
		slices.Sort(u)
		return slices.Equal(u, local)
	})
}

// verifyOneRow checks that no patient has two rows in a table that promises one.
func (e *Engine) verifyOneRow(ctx context.Context, t *catalog.Table) ([]Finding, error) {
	if !t.OneRowPerPatient || e.enforced(t).oneRow {
		return nil, nil
	}
	path, err := e.catalog.PatientPath(t)
	if err != nil {
		return nil, err
	}
	from, patient := "", ""
	for i, s := range path {
		step, ok := e.catalog.Table(s.Table)
		if !ok || e.views[step.Name] == nil {
			return []Finding{{Table: t.Name, Severity: SeverityWarning, Text: "leads to its patient by table " + s.Table + ", which is not offered", Plain: true}}, nil
		}
		name := "s" + strconv.Itoa(i)
		names := []string{s.Column}
		if s.Key != "" {
			names = append(names, s.Key)
		}
		columns, err := e.reading(name, step, names...)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			from = e.from(step, names, `"s0"`)
		} else {
			from += " JOIN " + e.from(step, names, `"`+name+`"`) + " ON " + patient + " = " + columns[1]
		}
		patient = columns[0]
	}
	return e.countIf(ctx, "(SELECT count(*) AS n FROM "+from+" WHERE "+patient+" IS NOT NULL GROUP BY "+patient+") AS g", []count{
		{"n > 1", Finding{Table: t.Name, Severity: SeverityError, Text: "has several rows for some patients and is declared one_row_per_patient", Plain: true}, "", 0, ""},
	})
}
