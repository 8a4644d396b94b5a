package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/arrow/util"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
)

// countingWriter is the only way for data to leave. It counts rows and bytes.
type countingWriter struct {
	writer      *flight.Writer
	rows, bytes int64
	covered     bool          // rows are numbers with this hospital's noise
	named       int           // groups that this hospital named
	members     int           // the number of hospitals that masked together; 0 if numbers are not masked
	exposure    float64       // see fragment.Cover.Exposure
	took        time.Duration // the time to compute it
	then        func()        // what to do about the data afterwards; nil if nothing
}

func newCountingWriter(stream line, r reservation, alloc memory.Allocator) *countingWriter {
	schema := r.request.Fragment.Schema()
	if r.request.Cover != nil {
		schema = fragment.CoveredSchema()
	}
	return &countingWriter{writer: flight.NewRecordWriter(stream, ipc.WithSchema(schema), ipc.WithAllocator(alloc)), covered: r.request.Cover != nil}
}

// close writes the schema if nothing else was.
func (o *countingWriter) close() error {
	if err := o.writer.Close(); err != nil {
		return refuse(CodeCanceled, errors.New("the stream broke"))
	}
	return nil
}

// what describes what has left, for the ledger.
func (o *countingWriter) what() string {
	if o.named > 0 {
		named := *o
		named.named = 0
		return fmt.Sprintf("the names of %d groups that this hospital's own noise let it name, and %s", o.named, named.what())
	}
	if o.members > 0 {
		return fmt.Sprintf("a vector of %d numbers, covered by this hospital's own noise and masked with those of %d others (exposure %.3g),", o.rows, o.members-1, o.exposure)
	}
	if o.covered {
		return fmt.Sprintf("a vector of %d numbers, each covered by this hospital's own noise,", o.rows)
	}
	return fmt.Sprintf("%d groups of partial aggregates", o.rows)
}

func (o *countingWriter) send(r arrow.Record) error {
	if err := o.writer.Write(r); err != nil {
		return err
	}
	o.rows += r.NumRows()
	o.bytes += util.TotalRecordSize(r)
	return nil
}

// answer is the ledger's entry about what left.
func answer(id pki.Identity, r *fragment.Request, out *countingWriter, whole bool) ledger.Entry {
	text := fmt.Sprintf("%s left for %s.", out.what(), id)
	text = strings.ToUpper(text[:1]) + text[1:]
	if !whole {
		text = fmt.Sprintf("Broke off; %s had left for %s.", out.what(), id)
	}
	// Encoding numbers and a bool cannot fail.
	detail, _ := json.Marshal(struct {
		Rows    int64   `json:"rows"`
		Bytes   int64   `json:"bytes"`
		Seconds float64 `json:"seconds"`
		Whole   bool    `json:"whole"`
		Covered bool    `json:"covered,omitempty"`
		Named   int     `json:"named,omitempty"`
		// Members is the number of hospitals in a masked answer.
		Members  int     `json:"members,omitempty"`
		Exposure float64 `json:"exposure,omitempty"`
	}{out.rows, out.bytes, out.took.Seconds(), whole, out.covered, out.named, out.members, out.exposure})
	return ledger.Entry{Kind: ledger.KindAnswer, Study: r.Study, Researcher: r.Researcher, Query: r.Query, Text: text, Detail: detail}
}
