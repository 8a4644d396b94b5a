package flightsql

import (
	"context"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v15/arrow/flight/flightsql/schema_ref"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

const (
	schemaName = "public"
	tableType  = "TABLE"
	noAction   = 3 // for update and delete of a foreign key; JDBC's importedKeyNoAction
)

// info answers GetFlightInfo for catalog commands: the command itself is the ticket.
func (d *door) info(desc *flight.FlightDescriptor, schema *arrow.Schema) (*flight.FlightInfo, error) {
	return &flight.FlightInfo{
		Schema: flight.SerializeSchema(schema, memory.NewGoAllocator()), FlightDescriptor: desc, TotalRecords: -1, TotalBytes: -1,
		Endpoint: []*flight.FlightEndpoint{{Ticket: &flight.Ticket{Ticket: desc.GetCmd()}}},
	}, nil
}

// rows makes a record from rows of nil, string, int32, uint8, bool, []string and []byte.
func rows(schema *arrow.Schema, all [][]any) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	b := array.NewRecordBuilder(memory.NewGoAllocator(), schema)
	defer b.Release()
	for _, row := range all {
		for i, v := range row {
			appendAny(b.Field(i), v)
		}
	}
	record := b.NewRecord()
	defer record.Release()
	return schema, chunks(record), nil
}

func appendAny(b array.Builder, v any) {
	switch v := v.(type) {
	case string:
		b.(*array.StringBuilder).Append(v)
	case int32:
		b.(*array.Int32Builder).Append(v)
	case uint8:
		b.(*array.Uint8Builder).Append(v)
	case bool:
		b.(*array.BooleanBuilder).Append(v)
	case []byte:
		b.(*array.BinaryBuilder).Append(v)
	case []string:
		l := b.(*array.ListBuilder)
		l.Append(true)
		l.ValueBuilder().(*array.StringBuilder).AppendValues(v, nil)
	default:
		b.AppendNull()
	}
}

func (d *door) catalogName() string { return d.informer.Federation().Name }

// asked reports whether a filter accepts a name. No filter, or an empty one, accepts all.
func asked(filter *string, name string) bool {
	return filter == nil || *filter == "" || *filter == name
}

// matches is SQL's LIKE with \ as its escape, in any letter case. No pattern matches all.
func matches(pattern *string, name string) bool {
	return pattern == nil || like([]rune(strings.ToLower(*pattern)), []rune(strings.ToLower(name)))
}

// like takes time proportional to the product of the lengths: after a mismatch, only the last % takes one more
// character.
func like(pattern, s []rune) bool {
	p, i := 0, 0
	afterPercent, from := -1, 0
	for i < len(s) {
		escaped := p+1 < len(pattern) && pattern[p] == '\\'
		switch {
		case p < len(pattern) && pattern[p] == '%':
			p++
			afterPercent, from = p, i
		case escaped && pattern[p+1] == s[i]:
			p, i = p+2, i+1
		case !escaped && p < len(pattern) && (pattern[p] == '_' || pattern[p] == s[i]):
			p, i = p+1, i+1
		case afterPercent >= 0:
			from++
			p, i = afterPercent, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '%' {
		p++
	}
	return p == len(pattern)
}

// GetFlightInfoCatalogs returns how to list the only catalog.
func (d *door) GetFlightInfoCatalogs(_ context.Context, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return d.info(desc, schema_ref.Catalogs)
}

// DoGetCatalogs lists the only catalog, the federation.
func (d *door) DoGetCatalogs(context.Context) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return rows(schema_ref.Catalogs, [][]any{{d.catalogName()}})
}

// GetFlightInfoSchemas returns how to list the only schema.
func (d *door) GetFlightInfoSchemas(_ context.Context, _ flightsql.GetDBSchemas, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return d.info(desc, schema_ref.DBSchemas)
}

// DoGetDBSchemas lists the only schema.
func (d *door) DoGetDBSchemas(_ context.Context, q flightsql.GetDBSchemas) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	var all [][]any
	if asked(q.GetCatalog(), d.catalogName()) && matches(q.GetDBSchemaFilterPattern(), schemaName) {
		all = append(all, []any{d.catalogName(), schemaName})
	}
	return rows(schema_ref.DBSchemas, all)
}

// GetFlightInfoTables returns how to list tables.
func (d *door) GetFlightInfoTables(_ context.Context, q flightsql.GetTables, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return d.info(desc, tablesSchema(q))
}

func tablesSchema(q flightsql.GetTables) *arrow.Schema {
	if q.GetIncludeSchema() {
		return schema_ref.TablesWithIncludedSchema
	}
	return schema_ref.Tables
}

// DoGetTables lists the catalog's tables.
func (d *door) DoGetTables(_ context.Context, q flightsql.GetTables) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	var all [][]any
	here := asked(q.GetCatalog(), d.catalogName()) && matches(q.GetDBSchemaFilterPattern(), schemaName) &&
		(len(q.GetTableTypes()) == 0 || slices.Contains(q.GetTableTypes(), tableType))
	for _, t := range d.informer.Catalog().Tables {
		if !here || !matches(q.GetTableNameFilterPattern(), t.Name) {
			continue
		}
		row := []any{d.catalogName(), schemaName, t.Name, tableType}
		if q.GetIncludeSchema() {
			row = append(row, flight.SerializeSchema(d.tableSchema(d.informer.Catalog().Shown(t)), memory.NewGoAllocator()))
		}
		all = append(all, row)
	}
	return rows(tablesSchema(q), all)
}

// remarksKey is the key from which newer drivers read a column's description.
const remarksKey = "ARROW:FLIGHT:SQL:REMARKS"

func (d *door) tableSchema(t *catalog.Table) *arrow.Schema {
	fields := make([]arrow.Field, len(t.Columns))
	for i, c := range t.Columns {
		meta := map[string]string{
			flightsql.CatalogNameKey: d.catalogName(), flightsql.SchemaNameKey: schemaName, flightsql.TableNameKey: t.Name,
			flightsql.TypeNameKey: typeNames[c.Type], flightsql.IsAutoIncrementKey: "0", flightsql.IsReadOnlyKey: "1",
			flightsql.IsCaseSensitiveKey: "0", flightsql.IsSearchableKey: "1",
		}
		if c.Type == value.TypeText {
			meta[flightsql.IsCaseSensitiveKey] = "1"
		}
		if c.Description != "" {
			meta[remarksKey] = c.Description
		}
		if c.Lower.Valid() {
			meta["intramuros.lower"], meta["intramuros.upper"] = c.Lower.String(), c.Upper.String()
		}
		fields[i] = arrow.Field{Name: c.Name, Type: fragment.ArrowType(c.Type), Nullable: c.Nullable, Metadata: arrow.MetadataFrom(meta)}
	}
	return arrow.NewSchema(fields, nil)
}

// GetFlightInfoTableTypes returns how to list the only type of tables.
func (d *door) GetFlightInfoTableTypes(_ context.Context, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return d.info(desc, schema_ref.TableTypes)
}

// DoGetTableTypes lists the only type of tables.
func (d *door) DoGetTableTypes(context.Context) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return rows(schema_ref.TableTypes, [][]any{{tableType}})
}

// GetFlightInfoPrimaryKeys returns how to list a table's key.
func (d *door) GetFlightInfoPrimaryKeys(_ context.Context, _ flightsql.TableRef, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return d.info(desc, schema_ref.PrimaryKeys)
}

// DoGetPrimaryKeys lists the columns that identify a row, if the catalog says.
func (d *door) DoGetPrimaryKeys(_ context.Context, ref flightsql.TableRef) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	var all [][]any
	if t, ok := d.informer.Catalog().Table(ref.Table); ok && d.names(ref) {
		for i, column := range t.Key {
			all = append(all, []any{d.catalogName(), schemaName, t.Name, column, int32(i + 1), t.Name + "_pkey"}) //nolint:gosec // a handful
		}
	}
	return rows(schema_ref.PrimaryKeys, all)
}

// names reports whether the reference means this catalog and schema.
func (d *door) names(ref flightsql.TableRef) bool {
	return asked(ref.Catalog, d.catalogName()) && asked(ref.DBSchema, schemaName)
}

// foreignKeys lists the references between tables for which keep holds.
func (d *door) foreignKeys(keep func(from, to string) bool) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	var all [][]any
	name := d.catalogName()
	for _, t := range d.informer.Catalog().Tables {
		for _, c := range t.Columns {
			to, column, ok := strings.Cut(c.References, ".")
			if !ok || !keep(t.Name, to) {
				continue
			}
			all = append(all, []any{
				name, schemaName, to, column, name, schemaName, t.Name, c.Name, int32(1),
				t.Name + "_" + c.Name + "_fkey", to + "_pkey", uint8(noAction), uint8(noAction),
			})
		}
	}
	return rows(schema_ref.ImportedKeys, all)
}

// GetFlightInfoImportedKeys returns how to list what a table refers to.
func (d *door) GetFlightInfoImportedKeys(_ context.Context, _ flightsql.TableRef, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return d.info(desc, schema_ref.ImportedKeys)
}

// DoGetImportedKeys lists what a table refers to.
func (d *door) DoGetImportedKeys(_ context.Context, ref flightsql.TableRef) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return d.foreignKeys(func(from, _ string) bool { return d.names(ref) && strings.EqualFold(from, ref.Table) })
}

// GetFlightInfoExportedKeys returns how to list what refers to a table.
func (d *door) GetFlightInfoExportedKeys(_ context.Context, _ flightsql.TableRef, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return d.info(desc, schema_ref.ExportedKeys)
}

// DoGetExportedKeys lists what refers to a table.
func (d *door) DoGetExportedKeys(_ context.Context, ref flightsql.TableRef) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return d.foreignKeys(func(_, to string) bool { return d.names(ref) && strings.EqualFold(to, ref.Table) })
}

// GetFlightInfoCrossReference returns how to list what one table refers to in another.
func (d *door) GetFlightInfoCrossReference(_ context.Context, _ flightsql.CrossTableRef, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return d.info(desc, schema_ref.CrossReference)
}

// DoGetCrossReference lists what one table refers to in another.
func (d *door) DoGetCrossReference(_ context.Context, ref flightsql.CrossTableRef) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return d.foreignKeys(func(from, to string) bool {
		return d.names(ref.PKRef) && d.names(ref.FKRef) && strings.EqualFold(from, ref.FKRef.Table) && strings.EqualFold(to, ref.PKRef.Table)
	})
}
