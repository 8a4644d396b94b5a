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

// union makes a scan of Parquet files match columns by name. It opens all files, so it is used only if they differ.
const union = ", union_by_name = true"

// parquet returns the columns of Parquet files, each in a type that holds the values of all files. If the files differ,
// they are read by name, and a column that cannot be reconciled without loss has a Clash.
func (p *places) parquet(ctx context.Context, at *engine.Place) error {
	quoted, err := compile.DuckDB.Text(at.File)
	if err != nil {
		return err
	}
	// One file of each schema, with the number of files that have it.
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
	if at.Columns = columns; err != nil {
		return err
	}
	kinds := make([]map[string]int, len(columns)) // by column: how many files have each type
	all := 0
	for file, n := range files {
		all += n
		here, err := p.schema(ctx, file)
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
			if l.Clash != "" {
				columns[i].Clash = l.Clash
			}
		}
	}
	for i := range columns {
		there := 0
		for _, n := range kinds[i] {
			there += n
		}
		delete(kinds[i], nothing)
		if columns[i].Clash == "" {
			columns[i].Clash, columns[i].Exact = reconcile(columns[i].Kind, kinds[i])
		}
		columns[i].Note = absent(columns[i].Name, there, all)
	}
	return folders(at, columns, kinds)
}

// absent describes a column that only some files have. It is "" if all files have it, or if none has and the folders'
// names give it.
func absent(name string, there, all int) string {
	if there == 0 || there == all {
		return ""
	}
	return fmt.Sprintf("has no column %s in %d of its %d files, in whose rows it is NULL", name, all-there, all)
}

func both(name string) string {
	return "has the column " + name + " in its files and in the names of their folders, which count"
}

// folders adds the columns that the folders' names give. Such a column takes precedence over one in the files.
func folders(at *engine.Place, columns []engine.Local, kinds []map[string]int) error {
	files, err := glob(at.File)
	if err != nil || len(files) == 0 {
		return err
	}
	names, _ := where(at.File, files[0])
	for i, c := range columns {
		if len(kinds[i]) > 0 && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, c.Name) }) {
			columns[i].Note = both(c.Name)
		}
	}
	return nil
}

// nothing is the type of a column without values, as pandas writes it.
const nothing = "NULL"

// schema returns the columns of one Parquet file. A numeric column that DuckDB does not read exactly has a Clash.
func (p *places) schema(ctx context.Context, file string) ([]engine.Local, error) {
	quoted, err := compile.DuckDB.Text(file)
	if err != nil {
		return nil, err
	}
	columns, err := p.driver.describe(ctx, engine.Place{SQL: "read_parquet(" + quoted + ", hive_partitioning = false)"})
	if err != nil {
		return nil, err
	}
	err = p.driver.look(ctx, "SELECT name, coalesce(precision, 0), logical_type = 'NullType()' FROM parquet_schema("+quoted+") WHERE precision > 38 OR logical_type = 'NullType()'", nil, func(row []any) error {
		name, _ := row[0].(string)
		digits, _ := row[1].(int64)
		none, _ := row[2].(bool)
		i := slices.IndexFunc(columns, func(c engine.Local) bool { return c.Name == name })
		switch {
		case i < 0: // part of another column
		case none:
			columns[i].Kind = nothing
		default:
			columns[i].Clash = fmt.Sprintf("it holds decimals of %d digits, and no more than 38 are read; write it anew with fewer", digits)
		}
		return nil
	})
	return columns, err
}

var decimal = regexp.MustCompile(`^DECIMAL\((\d+),(\d+)\)$`)

// reconcile says why the types of one column, with the number of files that have each, do not fit into the common type.
// If they do, exact is the largest whole number that keeps its value in it; 0 means all do.
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
		case kind == "TIMESTAMP WITH TIME ZONE": // a time of day in one file is no instant in another
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
