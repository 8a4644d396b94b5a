package flightsql

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/flight/flightsql"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/planner"
)

// statement is a prepared statement and what was bound to it last.
type statement struct {
	sql string

	mu    sync.Mutex
	bound int // parameters
}

// CreatePreparedStatement plans the query, so that what is wrong with it is told now,
// and the client knows the columns.
func (d *door) CreatePreparedStatement(ctx context.Context, r flightsql.ActionCreatePreparedStatementRequest) (flightsql.ActionCreatePreparedStatementResult, error) {
	var result flightsql.ActionCreatePreparedStatementResult
	schema, err := d.schema(ctx, r.GetQuery())
	if err != nil {
		return result, d.fail(err)
	}
	result.Handle = []byte(d.prepared.put(who(ctx).Name, &statement{sql: r.GetQuery()}, int64(len(r.GetQuery()))))
	result.DatasetSchema, result.ParameterSchema = schema, arrow.NewSchema(nil, nil)
	return result, nil
}

// ClosePreparedStatement forgets it; one that is not there is closed already.
func (d *door) ClosePreparedStatement(ctx context.Context, r flightsql.ActionClosePreparedStatementRequest) error {
	d.prepared.drop(who(ctx).Name, string(r.GetPreparedStatementHandle()))
	return nil
}

func (d *door) statement(ctx context.Context, q flightsql.PreparedStatementQuery) (*statement, error) {
	s, ok := d.prepared.get(who(ctx).Name, string(q.GetPreparedStatementHandle()))
	if !ok {
		return nil, invalid("this prepared statement is unknown, closed, or too old", "prepare it again")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound > 0 {
		return nil, statusOf(&coordinator.Error{
			Code: coordinator.Code(planner.CodeNotSupported), Message: "parameters are not supported yet", Hint: "write the values into the SQL",
		})
	}
	return s, nil
}

// GetFlightInfoPreparedStatement gives a ticket for the statement as it is bound now.
func (d *door) GetFlightInfoPreparedStatement(ctx context.Context, q flightsql.PreparedStatementQuery, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	s, err := d.statement(ctx, q)
	if err != nil {
		return nil, err
	}
	return d.book(ctx, s.sql, desc)
}

// GetSchemaPreparedStatement plans the statement.
func (d *door) GetSchemaPreparedStatement(ctx context.Context, q flightsql.PreparedStatementQuery, _ *flight.FlightDescriptor) (*flight.SchemaResult, error) {
	s, err := d.statement(ctx, q)
	if err != nil {
		return nil, err
	}
	return d.schemaResult(ctx, s.sql)
}

// DoGetPreparedStatement runs the statement for clients that make a ticket of it
// themselves. Each such call is a query of its own.
func (d *door) DoGetPreparedStatement(ctx context.Context, q flightsql.PreparedStatementQuery) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	s, err := d.statement(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	request, settings, o, err := d.outline(ctx, s.sql)
	if err != nil {
		return nil, nil, d.fail(err)
	}
	schema, record, _, err := newVoyage(request, settings, o).run(ctx, d.asker, who(ctx))
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
	rows, columns := int64(0), 0
	for in.Next() {
		rows, columns = rows+in.Record().NumRows(), int(in.Record().NumCols())
	}
	if err := in.Err(); err != nil {
		return invalid("the parameters are not understood", "")
	}
	if rows > 1 && columns > 0 {
		return invalid("more than one row of parameters is bound", "ask each query by itself")
	}
	if rows == 0 {
		columns = 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bound = columns
	return nil
}

// readOnly refuses what would write.
func readOnly() error {
	return statusOf(&coordinator.Error{
		Code: coordinator.Code(planner.CodeNotSupported), Message: "a federation is only read: there is nothing to update", Hint: "send a SELECT as a query",
	})
}

// DoPutCommandStatementUpdate refuses.
func (d *door) DoPutCommandStatementUpdate(context.Context, flightsql.StatementUpdate) (int64, error) {
	return 0, readOnly()
}

// DoPutPreparedStatementUpdate refuses.
func (d *door) DoPutPreparedStatementUpdate(context.Context, flightsql.PreparedStatementUpdate, flight.MessageReader) (int64, error) {
	return 0, readOnly()
}

// BeginTransaction gives an id that means nothing.
func (d *door) BeginTransaction(context.Context, flightsql.ActionBeginTransactionRequest) ([]byte, error) {
	return []byte(rand.Text()), nil
}

// EndTransaction has nothing to do.
func (d *door) EndTransaction(context.Context, flightsql.ActionEndTransactionRequest) error {
	return nil
}

// spellings are how a setting's name may stand in a header.
func spellings(name string) []string {
	if dashed := strings.ReplaceAll(name, "_", "-"); dashed != name {
		return []string{name, dashed}
	}
	return []string{name}
}
