package flightsql

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/flight/flightsql"
	"google.golang.org/grpc/status"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/syntax"
)

// statement is a prepared statement and its last bound parameters.
type statement struct {
	sql   string
	names []string // of its parameters

	mu    sync.Mutex
	bound map[string]value.Value
	size  int64 // the size of the bound values, in bytes
}

// CreatePreparedStatement plans the query, so that errors are reported now and the client knows columns and parameters.
func (d *door) CreatePreparedStatement(ctx context.Context, r flightsql.ActionCreatePreparedStatementRequest) (flightsql.ActionCreatePreparedStatementResult, error) {
	var result flightsql.ActionCreatePreparedStatementResult
	request, settings, o, err := d.outline(ctx, r.GetQuery(), nil)
	if err != nil {
		return result, d.fail(err)
	}
	s := &statement{sql: r.GetQuery()}
	var fields []arrow.Field
	for _, p := range o.Parameters {
		s.names = append(s.names, p.Name)
		of := fragment.ArrowType(p.Type)
		if p.Array {
			of = arrow.ListOf(of)
		}
		fields = append(fields, arrow.Field{Name: p.Name, Type: of, Nullable: true})
	}
	result.ParameterSchema = arrow.NewSchema(fields, nil)
	if o.Columns != nil {
		if result.DatasetSchema, err = planned(request.Study, settings.Intervals, o); err != nil {
			return result, d.fail(err)
		}
	}
	result.Handle = []byte(d.prepared.put(who(ctx).Name, s, int64(len(r.GetQuery()))))
	return result, nil
}

// ClosePreparedStatement forgets the statement. A missing one counts as closed.
func (d *door) ClosePreparedStatement(ctx context.Context, r flightsql.ActionClosePreparedStatementRequest) error {
	d.prepared.drop(who(ctx).Name, string(r.GetPreparedStatementHandle()))
	return nil
}

// statement returns a prepared statement's SQL and the values bound now.
func (d *door) statement(ctx context.Context, q flightsql.PreparedStatementQuery) (string, map[string]value.Value, error) {
	s, ok := d.prepared.get(who(ctx).Name, string(q.GetPreparedStatementHandle()))
	if !ok {
		return "", nil, invalid("this prepared statement is unknown, closed, or too old", "prepare it again")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sql, s.bound, nil
}

// GetFlightInfoPreparedStatement returns a ticket for the statement with the values bound now.
func (d *door) GetFlightInfoPreparedStatement(ctx context.Context, q flightsql.PreparedStatementQuery, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	sql, bound, err := d.statement(ctx, q)
	if err != nil {
		return nil, err
	}
	return d.book(ctx, sql, bound, desc)
}

// GetSchemaPreparedStatement plans the statement.
func (d *door) GetSchemaPreparedStatement(ctx context.Context, q flightsql.PreparedStatementQuery, _ *flight.FlightDescriptor) (*flight.SchemaResult, error) {
	sql, bound, err := d.statement(ctx, q)
	if err != nil {
		return nil, err
	}
	return d.schemaResult(ctx, sql, bound)
}

// DoGetPreparedStatement runs the statement for clients that make the ticket themselves. Each such call is a query of
// its own.
func (d *door) DoGetPreparedStatement(ctx context.Context, q flightsql.PreparedStatementQuery) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	sql, bound, err := d.statement(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	request, settings, o, err := d.outline(ctx, sql, bound)
	if err != nil {
		return nil, nil, d.fail(err)
	}
	schema, record, _, err := newExecution(request, settings, o).run(ctx, d.asker, who(ctx))
	if err != nil {
		return nil, nil, d.fail(err)
	}
	return schema, chunks(record), nil
}

// DoPutPreparedStatementQuery binds parameters: at most one row of them.
func (d *door) DoPutPreparedStatementQuery(ctx context.Context, q flightsql.PreparedStatementQuery, in flight.MessageReader, _ flight.MetadataWriter) error {
	s, ok := d.prepared.get(who(ctx).Name, string(q.GetPreparedStatementHandle()))
	if !ok {
		return invalid("this prepared statement is unknown, closed, or too old", "prepare it again")
	}
	bound := map[string]value.Value{}
	rows, size := int64(0), int64(0)
	for in.Next() {
		r := in.Record()
		if rows += r.NumRows(); r.NumCols() == 0 || r.NumRows() == 0 {
			continue
		}
		if rows > 1 {
			return invalid("more than one row of parameters is bound", "ask each query by itself")
		}
		if int(r.NumCols()) != len(s.names) {
			return invalid(fmt.Sprintf("%d parameters are bound, and the query has %d", r.NumCols(), len(s.names)), "")
		}
		for i, column := range r.Columns() {
			v, err := valueOf(column, 0)
			if errors.Is(err, errNoNumber) {
				return invalid("the parameter "+s.names[i]+" is no finite number", "bind a number; what is missing is IS NULL")
			}
			if err != nil {
				return invalid(fmt.Sprintf("the parameter %s is of the type %s, which is not understood", s.names[i], column.DataType()), "bind a bool, a number, a text, a date, a timestamp or a list of at most 20,000 of them")
			}
			bound[s.name(r.ColumnName(i), i)] = v
			if v.Type() == value.TypeText && !v.IsNull() { // a list is a text
				size += int64(len(v.Str()))
			}
		}
	}
	if err := in.Err(); err != nil {
		var own interface{ GRPCStatus() *status.Status }
		if errors.As(err, &own) { // an error of checkBody
			return own.GRPCStatus().Err()
		}
		return invalid("the parameters are not understood", "")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d.prepared.add(string(q.GetPreparedStatementHandle()), size-s.size)
	s.bound, s.size = bound, size
	return nil
}

// name is the parameter that a bound column is for, by its name or else by its position.
func (s *statement) name(column string, i int) string {
	if _, err := strconv.Atoi(column); err != nil && slices.Contains(s.names, strings.TrimPrefix(column, ":")) {
		return strings.TrimPrefix(column, ":")
	}
	if n := strconv.Itoa(i + 1); slices.Contains(s.names, n) {
		return n
	}
	return s.names[i]
}

var (
	errType     = errors.New("a type that is no parameter's")
	errNoNumber = errors.New("no finite number") // it must not become a NULL
)

// valueOf reads the first value of an Arrow array.
func valueOf(a arrow.Array, i int) (value.Value, error) {
	null := a.IsNull(i)
	switch a := a.(type) {
	case *array.Null:
		return value.Null(value.TypeText), nil
	case *array.Boolean:
		return orNull(null, value.TypeBool, func() value.Value { return value.Bool(a.Value(i)) }), nil
	case *array.Int8:
		return orNull(null, value.TypeInt, func() value.Value { return value.Int(int64(a.Value(i))) }), nil
	case *array.Int16:
		return orNull(null, value.TypeInt, func() value.Value { return value.Int(int64(a.Value(i))) }), nil
	case *array.Int32:
		return orNull(null, value.TypeInt, func() value.Value { return value.Int(int64(a.Value(i))) }), nil
	case *array.Int64:
		return orNull(null, value.TypeInt, func() value.Value { return value.Int(a.Value(i)) }), nil
	case *array.Uint8:
		return orNull(null, value.TypeInt, func() value.Value { return value.Int(int64(a.Value(i))) }), nil
	case *array.Uint16:
		return orNull(null, value.TypeInt, func() value.Value { return value.Int(int64(a.Value(i))) }), nil
	case *array.Uint32:
		return orNull(null, value.TypeInt, func() value.Value { return value.Int(int64(a.Value(i))) }), nil
	case *array.Uint64:
		return orNull(null, value.TypeFloat, func() value.Value { return value.Float(float64(a.Value(i))) }), nil
	case *array.Decimal128:
		of := a.DataType().(*arrow.Decimal128Type)
		return decimalOf(null, of.Scale, func() string { return a.Value(i).ToString(of.Scale) })
	case *array.Decimal256:
		of := a.DataType().(*arrow.Decimal256Type)
		return decimalOf(null, of.Scale, func() string { return a.Value(i).ToString(of.Scale) })
	case array.ListLike:
		return listOf(null, a, i)
	case *array.Float32:
		return floatOf(null, float64(a.Value(i)))
	case *array.Float64:
		return floatOf(null, a.Value(i))
	case *array.String:
		return orNull(null, value.TypeText, func() value.Value { return value.Text(strings.Clone(a.Value(i))) }), nil
	case *array.LargeString:
		return orNull(null, value.TypeText, func() value.Value { return value.Text(strings.Clone(a.Value(i))) }), nil
	case *array.Date32:
		return orNull(null, value.TypeDate, func() value.Value { return value.Date(int64(a.Value(i))) }), nil
	case *array.Date64:
		return orNull(null, value.TypeDate, func() value.Value { return value.Date(int64(a.Value(i)) / 86400_000) }), nil
	case *array.Timestamp:
		unit := a.DataType().(*arrow.TimestampType).Unit
		return orNull(null, value.TypeTimestamp, func() value.Value { return value.Timestamp(a.Value(i).ToTime(unit).UnixMicro()) }), nil
	}
	return value.Value{}, errType
}

func floatOf(null bool, x float64) (value.Value, error) {
	if v := value.Float(x); null || !v.IsNull() {
		return orNull(null, value.TypeFloat, func() value.Value { return v }), nil
	}
	return value.Value{}, errNoNumber
}

// decimalOf reads a decimal: whole numbers of 64 bits exactly, others as float64.
func decimalOf(null bool, scale int32, text func() string) (value.Value, error) {
	if null {
		return value.Null(value.TypeFloat), nil
	}
	if v, err := value.Parse(value.TypeInt, text()); err == nil && scale == 0 {
		return v, nil
	}
	return value.Parse(value.TypeFloat, text())
}

// maxList is the largest number of values in a list parameter.
const maxList = 20_000

// listOf reads a list, which the query uses in = ANY (…).
func listOf(null bool, a array.ListLike, i int) (value.Value, error) {
	if null {
		return value.Null(value.TypeText), nil
	}
	var list []value.Value
	from, to := a.ValueOffsets(i)
	elements := a.ListValues()
	// a list of NULLs takes no room in a message
	if _, nested := elements.(array.ListLike); nested || to-from > maxList {
		return value.Value{}, errType
	}
	for k := from; k < to; k++ {
		v, err := valueOf(elements, int(k))
		if err != nil {
			return v, err
		}
		list = append(list, v)
	}
	return syntax.Array(list), nil
}

func orNull(null bool, t value.Type, v func() value.Value) value.Value {
	if null {
		return value.Null(t)
	}
	return v()
}

// readOnly refuses a call that would write.
func readOnly() error {
	return statusOf(&coordinator.Error{
		Code: coordinator.Code(planner.CodeNotSupported), Message: "a federation is only read: there is nothing to update", Hint: "send a SELECT as a query",
	})
}

// DoPutCommandStatementUpdate refuses the update.
func (d *door) DoPutCommandStatementUpdate(context.Context, flightsql.StatementUpdate) (int64, error) {
	return 0, readOnly()
}

// DoPutPreparedStatementUpdate refuses the update.
func (d *door) DoPutPreparedStatementUpdate(context.Context, flightsql.PreparedStatementUpdate, flight.MessageReader) (int64, error) {
	return 0, readOnly()
}

// BeginTransaction returns an id without meaning.
func (d *door) BeginTransaction(context.Context, flightsql.ActionBeginTransactionRequest) ([]byte, error) {
	return []byte(rand.Text()), nil
}

// EndTransaction has nothing to do.
func (d *door) EndTransaction(context.Context, flightsql.ActionEndTransactionRequest) error {
	return nil
}

// spellings are the forms of a setting's name in a header.
func spellings(name string) []string {
	if dashed := strings.ReplaceAll(name, "_", "-"); dashed != name {
		return []string{name, dashed}
	}
	return []string{name}
}
