package postgres

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// large is the number of rows, by the server's estimate, above which Describe reads a sample of a table.
const large = 2_000_000

// place is a table or view.
type place struct {
	engine.Place
	schema, table string
	oid           uint32
}

// places are all tables and views that the role may read. They implement engine.Finder.
type places struct {
	driver *driver
	config Config
	all    []place
}

// enforces is the condition that index i keeps the rows of a SELECT from its table distinct. The index must be unique
// at all times, cover all rows and hold no NULL. Its table must not have inheriting tables, which the index does not
// cover, unless these are partitions.
const enforces = `i.indisunique AND i.indisvalid AND i.indimmediate AND NOT i.indisexclusion AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnatts = i.indnkeyatts
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS b WHERE b.attrelid = i.indrelid AND b.attnum = ANY (i.indkey::int2[]) AND NOT b.attnotnull)
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS n WHERE n.conrelid = i.indrelid AND n.contype = 'n' AND NOT n.convalidated AND n.conkey && i.indkey::int2[])
		AND (EXISTS (SELECT FROM pg_catalog.pg_class AS h WHERE h.oid = i.indrelid AND h.relkind = 'p') OR NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS h WHERE h.inhparent = i.indrelid))`

// enforced returns what writes the test that such an index exists on columns of a table: see engine.Place.
func enforced(table string) func(columns []string) string {
	return func(columns []string) string {
		names := make([]string, len(columns))
		for i, c := range columns {
			names[i], _ = compile.PostgreSQL.Text(c) // a name that the server gave
		}
		of, _ := compile.PostgreSQL.Text(table)
		return fmt.Sprintf("EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = %s::pg_catalog.regclass AND i.indnkeyatts = %d"+
			" AND (SELECT count(*) FROM pg_catalog.pg_attribute AS b WHERE b.attrelid = i.indrelid AND b.attnum = ANY (i.indkey::int2[]) AND b.attname IN (%s)) = %d\n\t\tAND %s)",
			of, len(columns), strings.Join(names, ", "), len(columns), enforces)
	}
}

// places lists all tables and views that the role may read, with the columns that it may read.
func (d *driver) places(ctx context.Context, cfg Config) (*places, error) {
	var all []place
	err := d.look(ctx, `SELECT n.nspname, c.relname, CAST(c.oid AS BIGINT), c.relkind IN ('r', 'm', 'p'), CAST(c.reltuples AS BIGINT),
	a.attname, format_type(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END)
		|| CASE WHEN NOT coalesce(o.collisdeterministic, true) THEN ' (not deterministic)' ELSE '' END,
	coalesce((SELECT string_agg((SELECT string_agg(CAST(k.attnum AS TEXT), ',') FROM unnest(i.indkey::int2[]) AS k(attnum)), ' ')
		FROM pg_index AS i WHERE i.indrelid = c.oid AND `+enforces+`), ''),
	CAST(a.attnum AS BIGINT), c.relkind = 'r'
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_attribute AS a ON a.attrelid = c.oid JOIN pg_type AS t ON t.oid = a.atttypid
	LEFT JOIN pg_collation AS o ON o.oid = a.attcollation
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
	AND a.attnum > 0 AND NOT a.attisdropped AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
ORDER BY n.nspname, c.relname, a.attnum`, func(row []any) error {
		schema, table := row[0].(string), row[1].(string)
		if len(all) == 0 || all[len(all)-1].schema != schema || all[len(all)-1].table != table {
			qs, err1 := compile.Name(schema)
			qt, err2 := compile.Name(table)
			if err1 != nil || err2 != nil {
				return nil
			}
			at := place{schema: schema, table: table, oid: uint32(row[2].(int64))} //nolint:gosec // an oid has 32 bits
			at.Name, at.SQL = schema+"."+table, qs+"."+qt
			if rows := row[4].(int64); row[3].(bool) && rows > large {
				at.Sample = fmt.Sprintf("%s TABLESAMPLE SYSTEM (%g) REPEATABLE (1)", at.SQL, 100*large/float64(rows))
			}
			at.Enforced = enforced(at.SQL)
			if row[9].(bool) {
				at.Alone = "ONLY " + at.SQL
			}
			all = append(all, at)
		}
		at := &all[len(all)-1]
		kind := row[6].(string)
		at.Columns = append(at.Columns, engine.Local{Name: row[5].(string), Kind: kind, Type: suits(kind)})
		// The sets of attribute numbers that are unique. Their names are known once all columns are read.
		number := strconv.FormatInt(row[8].(int64), 10)
		if at.Unique == nil {
			for set := range strings.FieldsSeq(row[7].(string)) {
				at.Unique = append(at.Unique, strings.Split(set, ","))
			}
		}
		for _, set := range at.Unique {
			for i, member := range set {
				if member == number {
					set[i] = row[5].(string)
				}
			}
		}
		return nil
	})
	return &places{d, cfg, all}, err
}

// Find implements engine.Finder.
func (p *places) Find(ctx context.Context, table string, s engine.Source) (engine.Place, bool, error) {
	if s.Select != "" {
		at, err := p.driver.selected(ctx, table, s.Select)
		return at, err == nil, err
	}
	if s.Table != "" {
		table = s.Table
	}
	schema := p.config.schema()
	if before, after, ok := strings.Cut(table, "."); ok {
		schema, table = before, after
	}
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		if i := slices.IndexFunc(p.all, func(at place) bool { return same(at.schema, schema) && same(at.table, table) }); i >= 0 {
			return p.all[i].Place, true, nil
		}
	}
	if s.Table == "" {
		names := make([]string, len(p.all))
		for i, at := range p.all {
			if at.schema == schema {
				names[i] = at.table
			}
		}
		if i := engine.PlainTable(table, names); i >= 0 {
			return p.all[i].Place, true, nil
		}
	}
	return engine.Place{}, false, nil
}

// All implements engine.Finder. It returns the tables of the schema, or of all schemas if none is given.
func (p *places) All(context.Context) ([]engine.Place, error) {
	var list []engine.Place
	for _, at := range p.all {
		if p.config.Schema == "" || at.schema == p.config.Schema {
			list = append(list, at.Place)
		}
	}
	slices.SortFunc(list, func(a, b engine.Place) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Reader implements engine.Finder.
func (p *places) Reader() string { return " that the role may read" }

// selected describes a SELECT of the custodian.
func (d *driver) selected(ctx context.Context, table, text string) (engine.Place, error) {
	at := engine.Place{Name: "the select of table " + table, SQL: "(" + text + "\n) AS source"}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return at, fault(ctx, err)
	}
	defer conn.Release()
	prepared, err := conn.Conn().Prepare(ctx, "", "SELECT * FROM "+at.SQL)
	if err != nil {
		return at, fmt.Errorf("%w: the select of table %s cannot be run: %w", engine.ErrConfig, table, err)
	}
	for _, f := range prepared.Fields {
		var kind string
		if err := conn.QueryRow(ctx, "SELECT format_type($1, $2)", f.DataTypeOID, f.TypeModifier).Scan(&kind); err != nil {
			return at, fault(ctx, err)
		}
		at.Columns = append(at.Columns, engine.Local{Name: f.Name, Kind: kind, Type: suits(kind)})
	}
	return at, nil
}

var numeric = regexp.MustCompile(`^numeric(?:\((\d+),(-?\d+)\))?$`)

// suits returns the catalog's type for a local type.
func suits(kind string) value.Type {
	switch base(kind) {
	case "boolean":
		return value.TypeBool
	case "smallint", "integer", "bigint", "oid":
		return value.TypeInt
	case "real", "double precision", "money":
		return value.TypeFloat
	case "date":
		return value.TypeDate
	case "timestamp without time zone", "timestamp with time zone":
		return value.TypeTimestamp
	}
	if m := numeric.FindStringSubmatch(kind); m != nil {
		if m[2] == "0" {
			return value.TypeInt
		}
		return value.TypeFloat
	}
	return value.TypeText
}

var modifier = regexp.MustCompile(`\(\d+\)`)

// base removes the length of a type, such as that of character varying(20), or the precision of a timestamp.
func base(kind string) string { return modifier.ReplaceAllString(kind, "") }

// Convert implements engine.Driver.
func (d *driver) Convert(l engine.Local, t value.Type) (sql string, fits bool) {
	q, err := compile.Name(l.Name)
	if err != nil {
		return "CAST(NULL AS " + compile.PostgreSQL.Type(t) + ")", false
	}
	kind := base(l.Kind)
	if kind == "money" && (t == value.TypeInt || t == value.TypeFloat) { // its text is that of a country
		q, kind, l.Kind = "CAST("+q+" AS NUMERIC)", "numeric", "numeric"
	}
	whole := kind == "smallint" || kind == "integer"
	number := numeric.FindStringSubmatch(l.Kind)
	switch t {
	case value.TypeBool:
		switch {
		case kind == "boolean":
			return q, true
		case whole || kind == "bigint":
			return "(" + q + " <> 0)", true
		}
	case value.TypeInt:
		switch {
		case kind == "bigint":
			return q, true
		case whole || kind == "oid":
			return "CAST(" + q + " AS BIGINT)", true
		case kind == "boolean":
			return "CAST(CAST(" + q + " AS INTEGER) AS BIGINT)", true
		case number != nil: // NaN and infinities are beyond
			return "CASE WHEN " + q + " BETWEEN -9223372036854775808 AND 9223372036854775807 THEN CAST(" + q + " AS BIGINT) END", len(number) == 3 && number[2] == "0" && len(number[1]) <= 2 && number[1] <= "18" && (len(number[1]) == 2 || number[1] > "0")
		case kind == "real" || kind == "double precision":
			return "CASE WHEN " + q + " BETWEEN float8 '-9223372036854775808' AND float8 '9223372036854774784' THEN CAST(" + q + " AS BIGINT) END", false
		}
	case value.TypeFloat:
		switch {
		case kind == "double precision":
			return q, true
		case whole || kind == "bigint" || kind == "real":
			return "CAST(" + q + " AS DOUBLE PRECISION)", true
		case len(number) == 3 && number[1] != "" && len(number[1]) < 3 && len(number[2]) < 3:
			return "CAST(" + q + " AS DOUBLE PRECISION)", true
		case number != nil:
			return compile.PostgreSQL.Narrow(q), true
		}
	case value.TypeText:
		switch {
		case strings.HasSuffix(l.Kind, "(not deterministic)"):
			return "(CAST(" + q + ` AS TEXT) COLLATE "C")`, true
		case kind == "text":
			return q, true
		case kind == "character varying":
			return "CAST(" + q + " AS TEXT)", true
		}
		return "CAST(" + q + " AS TEXT)", kind == "character" || kind == "uuid"
	case value.TypeDate:
		switch kind {
		case "date":
			return q, true
		case "timestamp without time zone":
			return "CAST(" + q + " AS DATE)", false
		case "timestamp with time zone":
			return "CAST(" + q + " AT TIME ZONE '" + d.zone + "' AS DATE)", false
		}
	case value.TypeTimestamp:
		switch kind {
		case "timestamp without time zone":
			return q, true
		case "timestamp with time zone":
			return "(" + q + " AT TIME ZONE '" + d.zone + "')", true
		case "date":
			return "CASE WHEN " + q + " = DATE 'infinity' THEN TIMESTAMP 'infinity' WHEN " + q + " <= DATE '294276-12-31' THEN CAST(" + q + " AS TIMESTAMP) END", true
		}
	}
	return d.read("(NULLIF(btrim(CAST("+q+` AS TEXT)), '') COLLATE "C")`, t), false
}
