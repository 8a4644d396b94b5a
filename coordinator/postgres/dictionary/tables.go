package dictionary

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
)

// numbers are the OIDs of a catalog's objects.
type numbers struct {
	tables  map[string]uint32
	indexes map[string]uint32 // those of their keys' indexes, by table
	next    uint32
}

func number(c *catalog.Catalog) numbers {
	n := numbers{map[string]uint32{}, map[string]uint32{}, firstOID}
	for _, t := range c.Tables {
		n.tables[t.Name] = n.oid()
		if len(t.Key) > 0 {
			n.indexes[t.Name] = n.oid()
		}
	}
	return n
}

func (n *numbers) oid() uint32 {
	n.next++
	return n.next
}

// firstOID is the OID of the first table. PostgreSQL's own objects have smaller ones.
const firstOID = 16384

// wellKnown are the OIDs of system catalogs that clients ask for by name.
var wellKnown = map[string]uint32{
	"pg_type": 1247, "pg_attribute": 1249, "pg_proc": 1255, "pg_class": 1259, "pg_database": 1262, "pg_namespace": 2615, "pg_constraint": 2606, "pg_trigger": 2620,
	"pg_rewrite": 2618, "pg_extension": 3079, "pg_authid": 1260, "pg_tablespace": 1213, "pg_attrdef": 2604, "pg_am": 2601, "pg_event_trigger": 3466,
	"pg_index": 2610, "pg_description": 2609, "pg_language": 2612, "pg_collation": 3456, "pg_operator": 2617, "pg_cast": 2605, "pg_opclass": 2616, "pg_opfamily": 2753,
	"pg_aggregate": 2600, "pg_enum": 3501, "pg_foreign_server": 1417, "pg_foreign_table": 3118, "pg_foreign_data_wrapper": 2328, "pg_policy": 3256, "pg_inherits": 2611,
	"pg_depend": 2608, "pg_ts_config": 3602, "pg_ts_dict": 3600, "pg_ts_parser": 3601, "pg_ts_template": 3764, "pg_sequence": 2224, "pg_conversion": 2607,
}

func (h inProcess) fill(ctx context.Context, c *catalog.Catalog) error {
	if _, err := h.db.ExecContext(ctx, schema); err != nil {
		return err
	}
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	f := filler{ctx: ctx, tx: tx, numbers: number(c)}
	for _, t := range c.Tables {
		f.table(c, c.Shown(t))
	}
	if f.err != nil {
		return f.err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	_, err = h.db.ExecContext(ctx, "SET enable_external_access = false; SET lock_configuration = true")
	return err
}

// filler writes tables. After its first error it does nothing.
type filler struct {
	numbers
	ctx context.Context //nolint:containedctx // of the one transaction
	tx  *sql.Tx
	err error
}

func (f *filler) do(statement string, args ...any) {
	if f.err == nil {
		_, f.err = f.tx.ExecContext(f.ctx, statement, args...)
	}
}

func (f *filler) table(c *catalog.Catalog, t *catalog.Table) {
	oid := f.tables[t.Name]
	f.class(oid, t.Name, "r", 2, len(t.Columns), len(t.Key) > 0)
	f.describe(oid, 0, t.Description)
	f.emptyTable(t)
	place := map[string]int{}
	for i, column := range t.Columns {
		place[column.Name] = i + 1
		f.attribute(oid, column, i+1)
		f.describe(oid, i+1, column.Description)
	}
	if len(t.Key) > 0 {
		var places []string
		for _, k := range t.Key {
			places = append(places, fmt.Sprint(place[k]))
		}
		keys, index := "["+strings.Join(places, ", ")+"]", f.indexes[t.Name]
		for i, k := range t.Key { // an index has attributes of its own
			f.attribute(index, t.Columns[place[k]-1], i+1)
		}
		f.class(index, t.Name+"_pkey", "i", 403, len(t.Key), false)
		f.do(`INSERT INTO pgc.pg_index(indexrelid, indrelid, indnatts, indnkeyatts, indisunique, indnullsnotdistinct, indisprimary, indisexclusion, indimmediate, indisclustered, indisvalid,
			indcheckxmin, indisready, indislive, indisreplident, indkey, indcollation, indclass, indoption, definition)
			VALUES (?, ?, ?, ?, true, false, true, false, true, false, true, false, true, true, false, `+keys+`, [], [], list_transform(`+keys+`, lambda x: 0), ?)`,
			index, oid, len(t.Key), len(t.Key), "CREATE UNIQUE INDEX "+t.Name+"_pkey ON public."+t.Name+" USING btree ("+strings.Join(t.Key, ", ")+")")
		f.constraint(t.Name+"_pkey", "p", oid, index, 0, keys, "NULL", "PRIMARY KEY ("+strings.Join(t.Key, ", ")+")")
	}
	for _, column := range t.Columns {
		to, key, ok := strings.Cut(column.References, ".")
		other, known := c.Table(to)
		if !ok || !known {
			continue
		}
		for i, candidate := range other.Columns {
			if candidate.Name == key {
				f.constraint(t.Name+"_"+column.Name+"_fkey", "f", oid, f.indexes[to], f.tables[to], fmt.Sprintf("[%d]", place[column.Name]), fmt.Sprintf("[%d]", i+1),
					"FOREIGN KEY ("+column.Name+") REFERENCES "+to+"("+key+")")
			}
		}
	}
}

// attribute writes a row of pg_attribute: a column of a table or index, at a place from 1 up.
func (f *filler) attribute(of uint32, column *catalog.Column, place int) {
	f.do(`INSERT INTO pgc.pg_attribute(attrelid, attname, atttypid, attstattarget, attlen, attnum, attndims, attcacheoff, atttypmod, attbyval, attalign, attstorage, attcompression,
		attnotnull, atthasdef, atthasmissing, attidentity, attgenerated, attisdropped, attislocal, attinhcount, attcollation)
		SELECT ?, ?, oid, -1, typlen, ?, 0, -1, -1, typbyval, typalign, typstorage, '', ?, false, false, '', '', false, true, 0, typcollation FROM pgc.pg_type WHERE oid = ?`,
		of, column.Name, place, !column.Nullable, OIDOf(column.Type))
}

// emptyTable creates the table without rows.
func (f *filler) emptyTable(t *catalog.Table) {
	var columns []string
	for _, c := range t.Columns {
		kind := map[value.Type]string{value.TypeBool: "BOOLEAN", value.TypeInt: "BIGINT", value.TypeFloat: "DOUBLE", value.TypeDate: "DATE", value.TypeTimestamp: "TIMESTAMP"}[c.Type]
		if kind == "" {
			kind = "VARCHAR"
		}
		columns = append(columns, quoteName(c.Name)+" "+kind)
	}
	f.do("CREATE TABLE columns_only." + quoteName(t.Name) + "(" + strings.Join(columns, ", ") + ")")
}

// class writes a row of pg_class. psql asks for foreign keys only if there may be triggers.
func (f *filler) class(oid uint32, name, kind string, method, columns int, indexed bool) {
	f.do(`INSERT INTO pgc.pg_class(oid, relname, relnamespace, reltype, reloftype, relowner, relam, relfilenode, reltablespace, relpages, reltuples, relallvisible, reltoastrelid, relhasindex,
		relisshared, relpersistence, relkind, relnatts, relchecks, relhasrules, relhastriggers, relhassubclass, relrowsecurity, relforcerowsecurity, relispopulated, relreplident,
		relispartition, relrewrite, relfrozenxid, relminmxid, relhasoids)
		VALUES (?, ?, 2200, 0, 0, 10, ?, 0, 0, 0, -1, 0, 0, ?, false, 'p', ?, ?, 0, false, true, false, false, false, true, 'd', false, 0, 0, 0, false)`, oid, name, method, indexed, kind, columns)
}

func (f *filler) describe(oid uint32, column int, text string) {
	if text != "" {
		f.do("INSERT INTO pgc.pg_description VALUES (?, 1259, ?, ?)", oid, column, text)
	}
}

func (f *filler) constraint(name, kind string, table, index, other uint32, keys, otherKeys, definition string) {
	f.do(`INSERT INTO pgc.pg_constraint(oid, conname, connamespace, contype, condeferrable, condeferred, convalidated, conrelid, contypid, conindid, conparentid, confrelid, confupdtype,
		confdeltype, confmatchtype, conislocal, coninhcount, connoinherit, conkey, confkey, definition)
		VALUES (?, ?, 2200, ?, false, false, true, ?, 0, ?, 0, ?, 'a', 'a', 's', true, 0, true, `+keys+`, `+otherKeys+`, ?)`, f.oid(), name, kind, table, index, other, definition)
}
