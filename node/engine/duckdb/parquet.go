package duckdb

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// union makes a scan of Parquet files read them by name. It opens them all, so it is only there where they differ.
const union = ", union_by_name = true"

// parquet gives the columns of Parquet files, each in the type that holds what all files have. Where the files differ, they
// are read by name, and a column that cannot be reconciled without loss has a Clash.
func (p *places) parquet(ctx context.Context, at *engine.Place) error {
	quoted, err := compile.DuckDB.Text(at.File)
	if err != nil {
		return err
	}
	// One file of each schema, and how many have it.
	files := map[string]int{}
	err = p.driver.look(ctx, "SELECT min(file_name), count(*) FROM (SELECT file_name, string_agg(concat_ws(' ', name, type, converted_type, logical_type, precision, scale), ',' ORDER BY schema_index) AS columns FROM (SELECT *, row_number() OVER (PARTITION BY file_name) AS schema_index FROM parquet_schema("+quoted+")) GROUP BY file_name) GROUP BY columns", nil, func(row []any) error {
		file, _ := row[0].(string)
		n, _ := row[1].(int64)
		files[file] = int(n)
		return nil
	})
	if err != nil {
		return err
	}
	if len(files) > 1 {
		at.SQL = strings.TrimSuffix(at.SQL, ")") + union + ")"
	}
	columns, err := p.driver.describe(ctx, *at)
	if at.Columns = columns; err != nil || len(files) < 2 {
		return err
	}
	kinds := make([]map[string]int, len(columns)) // how many files have a column as which type
	for file, n := range files {
		quoted, err := compile.DuckDB.Text(file)
		if err != nil {
			return err
		}
		here, err := p.driver.describe(ctx, engine.Place{SQL: "read_parquet(" + quoted + ", hive_partitioning = false)"})
		if err != nil {
			return err
		}
		for _, l := range here {
			i := slices.IndexFunc(columns, func(c engine.Local) bool { return strings.EqualFold(c.Name, l.Name) })
			if i < 0 {
				continue
			}
			if kinds[i] == nil {
				kinds[i] = map[string]int{}
			}
			kinds[i][l.Kind] += n
		}
	}
	for i := range columns {
		columns[i].Clash, columns[i].Exact = reconcile(columns[i].Kind, kinds[i])
	}
	return nil
}

var decimal = regexp.MustCompile(`^DECIMAL\((\d+),(\d+)\)$`)

// reconcile tells why types of one column, by the number of files that have them, do not fit into the one in which all are
// read; or up to which size whole numbers keep their value in it, 0 for all.
func reconcile(as string, kinds map[string]int) (clash string, exact float64) {
	if len(kinds) < 2 {
		return "", 0
	}
	families := map[string]bool{}
	whole, fraction := 0, 0
	for kind := range kinds {
		switch {
		case slices.Contains([]string{"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT"}, kind):
			families["whole"] = true
			whole = max(whole, 20)
		case kind == "FLOAT" || kind == "DOUBLE":
			families["real"] = true
		case decimal.MatchString(kind):
			m := decimal.FindStringSubmatch(kind)
			digits, _ := strconv.Atoi(m[1])
			scale, _ := strconv.Atoi(m[2])
			families["decimal"] = true
			whole, fraction = max(whole, digits-scale), max(fraction, scale)
		case kind == "TIMESTAMP WITH TIME ZONE": // one file's time of the day is no instant of another's
			families["instant"] = true
		case kind == "DATE" || strings.HasPrefix(kind, "TIMESTAMP"):
			families["time"] = true
		case kind == "VARCHAR" || strings.HasPrefix(kind, "ENUM"):
			families["text"] = true
		default:
			families[kind] = true
		}
	}
	numbers := !slices.ContainsFunc([]string{"time", "instant", "text"}, func(f string) bool { return families[f] })
	switch {
	case len(families) == 1 && !families["decimal"]:
		return "", 0
	case numbers && len(families) <= 3 && !families["real"] && families["decimal"] && whole+fraction <= 38 && (len(families) == 1 || families["whole"] && len(families) == 2):
		return "", 0
	case numbers && families["real"] && (len(families) == 2 && (families["whole"] || families["decimal"]) || len(families) == 3 && families["whole"] && families["decimal"]):
		if as == "FLOAT" {
			return "", 1 << 24
		}
		return "", 1 << 53
	}
	var parts []string
	for kind, n := range kinds {
		parts = append(parts, fmt.Sprintf("%s in %d", kind, n))
	}
	slices.Sort(parts)
	return "its files disagree on the type: " + strings.Join(parts, ", ") + "; write them anew with one type", 0
}
