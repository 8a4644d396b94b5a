package duckdb

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// Severity says what a finding means.
type Severity string

// The severities.
const (
	// SeverityError: a proof of privacy rests on what the data contradicts; the
	// node must not answer before it is mended.
	SeverityError Severity = "error"
	// SeverityWarning: answers are private, and may be wrong or empty.
	SeverityWarning Severity = "warning"
)

// Finding is something in the data that is not as the catalog says. Its text
// holds exact counts, so it is for the hospital's custodian and stays there.
type Finding struct {
	Table, Column string // Column is empty where the whole table is meant
	Severity      Severity
	Text          string
}

// Verify compares the data with the catalog: that keys and one_row_per_patient,
// which lower sensitivities, are true, and that columns exist and hold what they
// declare. It reads every offered table about twice. Its errors are ErrDatabase.
func (e *Engine) Verify(ctx context.Context) ([]Finding, error) {
	var all []Finding
	for _, t := range e.catalog.Tables {
		if !e.offered[t.Name] {
			all = append(all, Finding{t.Name, "", SeverityWarning, "is not offered: there is no source for it here"})
			continue
		}
		for _, check := range []func(context.Context, *catalog.Table) ([]Finding, error){e.verifyColumns, e.verifyKey, e.verifyOneRow} {
			found, err := check(ctx, t)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	return all, nil
}

// count is a number of rows to find out, and what it means if it is above 0.
type count struct {
	sql     string
	finding Finding // its Text has a %d
}

// countIf counts rows of a FROM clause, all in one scan.
func (e *Engine) countIf(ctx context.Context, from string, counts []count) ([]Finding, error) {
	if len(counts) == 0 {
		return nil, nil
	}
	var columns []string
	for _, c := range counts {
		columns = append(columns, "count_if("+c.sql+")::BIGINT")
	}
	var found []Finding
	err := e.query(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+from, nil, func(row []driver.Value) error {
		for i, c := range counts {
			if n, _ := row[i].(int64); n > 0 {
				c.finding.Text = fmt.Sprintf(c.finding.Text, n)
				found = append(found, c.finding)
			}
		}
		return nil
	})
	return found, err
}

func (e *Engine) verifyColumns(ctx context.Context, t *catalog.Table) ([]Finding, error) {
	v := e.views[t.Name]
	var found []Finding
	var counts, conversions []count
	for _, c := range t.Columns {
		warn := func(text string) Finding { return Finding{t.Name, c.Name, SeverityWarning, text} }
		l, ok := v.columns[c.Name]
		if !ok {
			found = append(found, warn("does not exist here and reads as NULL"))
			continue
		}
		q, err := compile.Name(c.Name)
		if err != nil {
			return nil, err
		}
		if lq, err := compile.Name(l.name); err == nil && !l.fits(c.Type) {
			if l.kind != "VARCHAR" {
				found = append(found, warn(fmt.Sprintf("is of type %s here and %s in the catalog; values are converted", l.kind, c.Type)))
			}
			filled := lq + " IS NOT NULL"
			if l.kind == "VARCHAR" {
				filled = "trim(" + lq + ") <> ''"
			}
			conversions = append(conversions, count{"(" + filled + ") AND " + l.as(c.Type) + " IS NULL", warn("has %d values that are no " + string(c.Type) + " and read as NULL")})
		}
		if !c.Nullable {
			counts = append(counts, count{q + " IS NULL", warn("is declared not nullable and has %d NULLs")})
		}
		if c.Lower.Valid() {
			lower, err1 := compile.DuckDB.Literal(c.Lower)
			upper, err2 := compile.DuckDB.Literal(c.Upper)
			if err1 != nil || err2 != nil {
				return nil, fmt.Errorf("%w: bounds of %s.%s", ErrConfig, t.Name, c.Name)
			}
			number := "true"
			if c.Type == value.TypeFloat {
				number = "NOT isnan(" + q + ")"
				counts = append(counts, count{"isnan(" + q + ")", warn("has %d values that are NaN and read as NULL")})
			}
			counts = append(counts, count{number + " AND (" + q + " < " + lower + " OR " + q + " > " + upper + ")", warn(fmt.Sprintf("has %%d values outside of its bounds [%s, %s], which count as the nearest bound", percent(c.Lower.String()), percent(c.Upper.String())))})
		}
		if len(c.Domain) > 0 {
			in := make([]string, len(c.Domain))
			for i, d := range c.Domain {
				if in[i], err = compile.DuckDB.Literal(d); err != nil {
					return nil, err
				}
			}
			counts = append(counts, count{q + " NOT IN (" + strings.Join(in, ", ") + ")", warn("has %d values outside of its domain, which no group shows")})
		}
	}
	for _, scan := range []struct {
		from   string
		counts []count
	}{{v.sql, conversions}, {schema + `."` + t.Name + `"`, counts}} {
		more, err := e.countIf(ctx, scan.from, scan.counts)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

func percent(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// verifyKey checks that the key, as fragments read it, identifies a row.
func (e *Engine) verifyKey(ctx context.Context, t *catalog.Table) ([]Finding, error) {
	if len(t.Key) == 0 || !slices.ContainsFunc(t.Key, func(k string) bool { _, ok := e.views[t.Name].columns[k]; return ok }) {
		return nil, nil
	}
	var columns []*fragment.Expr
	for _, k := range t.Key {
		if col, ok := t.Column(k); ok {
			columns = append(columns, fragment.Column("t", col.Name, col.Type))
		}
	}
	key, err := e.target().Expressions([]fragment.Relation{{Name: "t", Table: t.Name}}, columns...)
	if err != nil {
		return nil, err
	}
	what := "the key " + strings.Join(t.Key, ", ")
	wrong := func(text string) Finding { return Finding{t.Name, "", SeverityError, what + " " + text} }
	group := "(SELECT count(*) AS n, " + strings.Join(key, " IS NULL OR ") + " IS NULL AS missing FROM " + schema + `."` + t.Name + `" AS t GROUP BY ` + strings.Join(key, ", ") + ")"
	return e.countIf(ctx, group, []count{
		{"n > 1 AND NOT missing", wrong("has %d values that are in several rows, where it must identify one")},
		{"missing", wrong("has %d values with a NULL, where it must identify a row")},
	})
}

// verifyOneRow checks that no patient has two rows of a table that says so.
func (e *Engine) verifyOneRow(ctx context.Context, t *catalog.Table) ([]Finding, error) {
	if !t.OneRowPerPatient {
		return nil, nil
	}
	path, err := e.catalog.PatientPath(t)
	if err != nil {
		return nil, err
	}
	from, patient := "", ""
	for i, s := range path {
		if !e.offered[s.Table] {
			return []Finding{{t.Name, "", SeverityWarning, "leads to its patient by table " + s.Table + ", which is not offered"}}, nil
		}
		at := schema + `."` + s.Table + `" AS s` + fmt.Sprint(i)
		if i == 0 {
			from = at
		} else {
			from += " JOIN " + at + " ON " + patient + fmt.Sprintf(` = s%d."%s"`, i, s.Key)
		}
		patient = fmt.Sprintf(`s%d."%s"`, i, s.Column)
	}
	return e.countIf(ctx, "(SELECT count(*) AS n FROM "+from+" WHERE "+patient+" IS NOT NULL GROUP BY "+patient+")", []count{
		{"n > 1", Finding{t.Name, "", SeverityError, "has several rows for %d patients and is declared one_row_per_patient"}},
	})
}
