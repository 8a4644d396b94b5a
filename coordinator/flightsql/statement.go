package flightsql

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/arrow/util"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/session"
	"github.com/intramuros/intramuros/coordinator/tabular"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

const (
	ticketLife    = 10 * time.Minute // since it was last read
	ticketBytes   = 64 << 20         // of one researcher's waiting queries and answers
	preparedLife  = 24 * time.Hour
	preparedBytes = 16 << 20
)

// door translates Flight SQL.
type door struct {
	flightsql.BaseServer
	asker      Asker
	informer   Informer
	log        *slog.Logger
	executions *ttlCache[*execution]
	prepared   *ttlCache[*statement]
	infos      map[uint32]bool // the registered SqlInfo
}

func newDoor(asker Asker, informer Informer, log *slog.Logger) (*door, error) {
	d := &door{
		asker: asker, informer: informer, log: log, infos: map[uint32]bool{},
		executions: newTTLCache[*execution](ticketLife, ticketBytes), prepared: newTTLCache[*statement](preparedLife, preparedBytes),
	}
	return d, d.registerInfo()
}

// settings reads the settings from the call's headers. - may replace _ there.
func settings(ctx context.Context) (session.Settings, error) {
	var s session.Settings
	header, _ := metadata.FromIncomingContext(ctx)
	for _, name := range session.Names {
		for _, spelling := range spellings(name) {
			for _, text := range header.Get(spelling) {
				if err := s.Set(name, text); err != nil {
					return s, err
				}
			}
		}
	}
	return s, nil
}

// outline plans the query with the call's settings.
func (d *door) outline(ctx context.Context, sql string, parameters map[string]value.Value) (coordinator.Request, session.Settings, *coordinator.Outline, error) {
	s, err := settings(ctx)
	if err != nil {
		return coordinator.Request{}, s, nil, err
	}
	request := s.Request(sql, parameters)
	o, err := d.asker.Outline(ctx, who(ctx), request)
	return request, s, o, err
}

// planned is the schema of an answer that does not exist yet.
func planned(study string, intervals bool, o *coordinator.Outline) (*arrow.Schema, error) {
	price, err := json.Marshal(newPrice(study, o))
	if err != nil {
		return nil, err
	}
	return tabular.Schema(tabular.Columns(o.Columns, intervals), o.Confidence, o.Expected, nil, tabular.Note{Key: tabular.KeyPlan, Text: string(price)}), nil
}

func newPrice(study string, o *coordinator.Outline) tabular.Price {
	return tabular.Price{Study: study, Confidence: o.Confidence, Cost: tabular.Cost(o.Cost), Stored: o.Stored, Public: o.Public, Warnings: o.Warnings}
}

// GetFlightInfoStatement plans the query and returns a ticket for it.
func (d *door) GetFlightInfoStatement(ctx context.Context, q flightsql.StatementQuery, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return d.book(ctx, q.GetQuery(), nil, desc)
}

// GetSchemaStatement plans the query.
func (d *door) GetSchemaStatement(ctx context.Context, q flightsql.StatementQuery, _ *flight.FlightDescriptor) (*flight.SchemaResult, error) {
	return d.schemaResult(ctx, q.GetQuery(), nil)
}

func (d *door) schemaResult(ctx context.Context, sql string, parameters map[string]value.Value) (*flight.SchemaResult, error) {
	request, s, o, err := d.outline(ctx, sql, parameters)
	if err != nil {
		return nil, d.fail(err)
	}
	schema, err := planned(request.Study, s.Intervals, o)
	if err != nil {
		return nil, d.fail(err)
	}
	return &flight.SchemaResult{Schema: flight.SerializeSchema(schema, memory.NewGoAllocator())}, nil
}

// book plans the query and keeps it for DoGet. The info has the price in its metadata but no schema: a client that gets
// a schema here never reads the metadata of DoGet's schema, which has the answer's facts.
func (d *door) book(ctx context.Context, sql string, parameters map[string]value.Value, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	request, s, o, err := d.outline(ctx, sql, parameters)
	if err != nil {
		return nil, d.fail(err)
	}
	if len(o.Parameters) > 0 {
		return nil, statusOf(&coordinator.Error{
			Code: coordinator.Code(planner.CodeParameter), Message: fmt.Sprintf("the query has parameters, and none has a value: %d", len(o.Parameters)), Hint: "bind them to a prepared statement",
		})
	}
	price, err := json.Marshal(newPrice(request.Study, o))
	if err != nil {
		return nil, d.fail(err)
	}
	id := d.executions.put(who(ctx).Name, newExecution(request, s, o), bytesOf(sql, parameters))
	ticket, err := flightsql.CreateStatementQueryTicket([]byte(id))
	if err != nil {
		return nil, d.fail(err)
	}
	return &flight.FlightInfo{
		FlightDescriptor: desc, TotalRecords: -1, TotalBytes: -1, AppMetadata: price,
		Endpoint: []*flight.FlightEndpoint{{Ticket: &flight.Ticket{Ticket: ticket}, ExpirationTime: timestamppb.New(time.Now().Add(ticketLife))}},
	}, nil
}

// bytesOf estimates the bytes that a query takes while it waits.
func bytesOf(sql string, parameters map[string]value.Value) int64 {
	n := len(sql)
	for name, v := range parameters {
		n += len(name) + len(v.Str()) + overhead/8
	}
	return int64(n)
}

// DoGetStatement runs the ticket's query, or returns its answer again.
func (d *door) DoGetStatement(ctx context.Context, t flightsql.StatementQueryTicket) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	id := string(t.GetStatementHandle())
	v, ok := d.executions.get(who(ctx).Name, id)
	if !ok {
		return nil, nil, invalid("this ticket is unknown, or too old", "ask the query again; over the same data it costs nothing")
	}
	schema, record, first, err := v.run(ctx, d.asker, who(ctx))
	if err != nil {
		return nil, nil, d.fail(err)
	}
	if first {
		d.executions.add(id, util.TotalRecordSize(record))
	}
	return schema, chunks(record), nil
}

// CancelFlightInfo cancels the queries of the tickets, also at the hospitals.
func (d *door) CancelFlightInfo(ctx context.Context, r *flight.CancelFlightInfoRequest) (flight.CancelFlightInfoResult, error) {
	status := flight.CancelStatusUnspecified
	for _, endpoint := range r.GetInfo().GetEndpoint() {
		ticket, err := flightsql.GetStatementQueryTicket(endpoint.GetTicket())
		if err != nil {
			continue
		}
		if v, ok := d.executions.get(who(ctx).Name, string(ticket.GetStatementHandle())); ok {
			status = v.stop()
		}
	}
	if status == flight.CancelStatusUnspecified {
		return flight.CancelFlightInfoResult{}, invalid("there is no such query to cancel", "")
	}
	return flight.CancelFlightInfoResult{Status: status}, nil
}
