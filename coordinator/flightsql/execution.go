package flightsql

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/util"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/session"
	"github.com/intramuros/intramuros/coordinator/tabular"
	"github.com/intramuros/intramuros/planner"
)

// execution is the query of a ticket. It runs once.
type execution struct {
	request   coordinator.Request
	intervals bool
	expected  []planner.Expected

	mu     sync.Mutex
	stage  stage
	cancel context.CancelFunc // set while it runs
	schema *arrow.Schema      // set when it is done, with record or err
	record arrow.Record       // never released: another reader may come
	err    error
}

type stage int

const (
	waiting stage = iota
	running
	done
)

func newExecution(request coordinator.Request, settings session.Settings, outline *coordinator.Outline) *execution {
	return &execution{request: request, intervals: settings.Intervals, expected: outline.Expected}
}

// run asks the query, or returns the result of the first time. first reports whether this was the first time.
func (v *execution) run(ctx context.Context, asker Asker, who coordinator.Researcher) (schema *arrow.Schema, record arrow.Record, first bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	v.mu.Lock()
	switch v.stage {
	case done:
		defer v.mu.Unlock()
		return v.schema, v.record, false, v.err
	case running:
		v.mu.Unlock()
		return nil, nil, false, &coordinator.Error{
			Code: coordinator.CodeInvalidRequest, Message: "this ticket's query is running, for another reader of it", Hint: "wait for it, or ask the query again",
		}
	}
	v.stage, v.cancel = running, cancel
	v.mu.Unlock()

	answer, err := asker.Query(ctx, who, v.request, nil)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stage, v.cancel = done, nil
	if v.err = err; err == nil {
		v.schema, v.record, v.err = v.encode(answer)
	}
	return v.schema, v.record, true, v.err
}

func (v *execution) encode(a *coordinator.Answer) (*arrow.Schema, arrow.Record, error) {
	facts, err := json.Marshal(tabular.NewFacts(v.request.Study, a))
	if err != nil {
		return nil, nil, err
	}
	columns := tabular.Columns(a.Columns, v.intervals)
	schema := tabular.Schema(columns, a.Confidence, v.expected, a.Rows, tabular.Note{Key: tabular.KeyAnswer, Text: string(facts)})
	return schema, tabular.Record(schema, columns, a.Rows), nil
}

// stop cancels the query. If it has not begun, it never will.
func (v *execution) stop() flight.CancelStatus {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch v.stage {
	case waiting:
		v.stage, v.err = done, &coordinator.Error{Code: coordinator.CodeCanceled, Message: "the query was canceled"}
		return flight.CancelStatusCancelled
	case running:
		v.cancel()
		return flight.CancelStatusCancelling
	}
	return flight.CancelStatusNotCancellable
}

// maxChunk is roughly the largest size of one message of an answer, in bytes: clients refuse large ones.
const maxChunk = 1 << 20

// chunks returns the record in parts, in a channel that needs no writer.
func chunks(r arrow.Record) <-chan flight.StreamChunk {
	parts := max(1, min(r.NumRows(), util.TotalRecordSize(r)/maxChunk+1))
	out := make(chan flight.StreamChunk, parts)
	for i := range parts {
		out <- flight.StreamChunk{Data: r.NewSlice(i*r.NumRows()/parts, (i+1)*r.NumRows()/parts)}
	}
	close(out)
	return out
}
