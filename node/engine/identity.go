package engine

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// identityColumns lists, by table, the columns by which rows reach their patient: the patients' ids and the keys on the
// path there. If two of their values were read as one, two patients would be merged.
func identityColumns(c *catalog.Catalog) (map[string]map[string]bool, error) {
	all := map[string]map[string]bool{}
	for _, t := range c.Tables {
		if t.Public {
			continue
		}
		path, err := c.PatientPath(t)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		for _, step := range path {
			of, _ := c.Table(step.Table)
			for _, name := range []string{step.Column, step.Key} {
				if column, ok := of.Column(name); ok {
					if all[of.Name] == nil {
						all[of.Name] = map[string]bool{}
					}
					all[of.Name][column.Name] = true
				}
			}
		}
	}
	return all, nil
}

// through lists the other tables by whose keys rows of a table reach their patient.
func through(c *catalog.Catalog, t *catalog.Table) (tables []*catalog.Table) {
	path, _ := c.PatientPath(t) // a public table has none
	for _, step := range path {
		if of, ok := c.Table(step.Table); ok && of != t {
			tables = append(tables, of)
		}
	}
	return tables
}

// wholeNumber matches decimal types without digits after the point.
var wholeNumber = regexp.MustCompile(`^(?i:decimal|numeric)\(\d+, ?0\)$`)

// exactness says how faithfully the values of a local column are read.
type exactness int

const (
	inexact exactness = iota // two values may be read as one
	checked                  // no two values are read as one, but a value may be read as NULL
	exact                    // no two values are read as one, and none is lost
)

// read returns the SQL that reads a catalog column from a local one, and how exactly. A value of a column that
// identifies patients is NULL if it cannot be read exactly.
func (v *View) read(driver Driver, dialect *compile.Dialect, c *catalog.Column, l Local) (sql string, as exactness) {
	if !v.identity[c.Name] {
		sql, _ = driver.Convert(l, c.Type)
		return sql, exact
	}
	sql, fits := driver.Convert(l, c.Type)
	switch {
	case l.Type == c.Type && fits && c.Type == value.TypeText && dialect == compile.Trino:
		// The expression is computed, so that Trino itself compares it, not a database behind Trino with another collation.
		return "(" + sql + " || '')", exact
	case l.Type == c.Type && fits:
		return sql, exact
	case l.Type == value.TypeInt && c.Type == value.TypeText: // a whole number has one text
		return sql, exact
	// may be wider than 64 bits
	case c.Type == value.TypeInt && (l.Type == value.TypeInt || wholeNumber.MatchString(l.Kind)):
		return sql, checked
	// PostgreSQL's numeric may have a fraction: 712.2 is not 712
	case c.Type == value.TypeInt && strings.HasPrefix(l.Kind, "numeric"):
		if local, err := compile.Name(l.Name); err == nil {
			return "CASE WHEN CAST(" + sql + " AS NUMERIC) = " + local + " THEN " + sql + " END", checked
		}
	case l.Type == value.TypeText && c.Type == value.TypeInt:
		if text, whole := driver.Convert(l, value.TypeText); whole { // 0712, 712.0 and 7.12e2 are not 712
			return "CASE WHEN CAST(" + sql + " AS " + dialect.Type(value.TypeText) + ") = " + text + " THEN " + sql + " END", checked
		}
	}
	return "CAST(NULL AS " + dialect.Type(c.Type) + ")", inexact
}

// verifyIdentity finds columns that identify patients and cannot be read exactly.
func (e *Engine) verifyIdentity(ctx context.Context, t *catalog.Table) (found []Finding, _ error) {
	v := e.views[t.Name]
	for _, c := range t.Columns {
		l, ok := v.columns[c.Name]
		if !ok || !v.identity[c.Name] {
			continue
		}
		wrong := func(text string) {
			found = append(found, Finding{Table: t.Name, Column: c.Name, Severity: SeverityError, Text: text, Plain: true})
		}
		sql, as := v.read(e.driver, e.dialect, c, l)
		switch as {
		case exact:
			continue
		case inexact:
			wrong(fmt.Sprintf("tells patients apart, and is of type %s here and %s in the catalog: values that differ could be read as one; give a column of whole numbers or texts", l.Kind, c.Type))
			continue
		}
		filled, err := e.filled(l)
		if err != nil {
			return nil, err
		}
		lost, err := e.any(ctx, v.From(e.driver), filled+" AND ("+sql+") IS NULL")
		if err != nil {
			return nil, err
		}
		if lost {
			wrong(fmt.Sprintf("tells patients apart, and holds values that are no %s as one is written (without zeros, a sign, blanks or a point more than it needs): they could be one patient's or several's; mend them, or declare the column as text in all tables of the catalog", c.Type))
		}
	}
	return found, nil
}

// filled is the condition that a local column has a value: neither NULL nor a blank text.
func (e *Engine) filled(l Local) (string, error) {
	local, err := compile.Name(l.Name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if l.Type != value.TypeText {
		return local + " IS NOT NULL", nil
	}
	text, _ := e.driver.Convert(l, value.TypeText) // NULL for a value that is not a text, such as a list
	return "(" + local + " IS NOT NULL AND coalesce(trim(CAST(" + text + " AS " + e.dialect.Type(value.TypeText) + ")), '-') <> '')", nil
}

// blank is the condition that a local column has an empty or blank text.
func (e *Engine) blank(l Local) (string, error) {
	filled, err := e.filled(l)
	if err != nil {
		return "", err
	}
	local, err := compile.Name(l.Name)
	return local + " IS NOT NULL AND NOT " + filled, err
}

// any reports whether there is such a row.
func (e *Engine) any(ctx context.Context, from, where string) (there bool, err error) {
	err = e.driver.Query(ctx, "SELECT 1 FROM "+from+" WHERE "+where+" LIMIT 1", false, func([]any) error {
		there = true
		return nil
	})
	return there, err
}
