package httpapi

import (
	"encoding/csv"
	"io"
	"mime"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// The forms of an answer.
const (
	formJSON   = "application/json"
	formNDJSON = "application/x-ndjson"
	formArrow  = "application/vnd.apache.arrow.stream"
	formCSV    = "text/csv"
)

var forms = []string{formJSON, formNDJSON, formArrow, formCSV}

// accepted picks the first form that the client accepts, in the client's order.
func accepted(accept string) (string, bool) {
	if accept == "" {
		return formJSON, true
	}
	for part := range strings.SplitSeq(accept, ",") {
		kind, parameters, err := mime.ParseMediaType(part)
		switch {
		case err != nil || parameters["q"] == "0":
		case kind == "*/*" || kind == "application/*":
			return formJSON, true
		case slices.Contains(forms, kind):
			return kind, true
		}
	}
	return "", false
}

// ranged: the column's values have an interval.
func ranged(c planner.Column) bool { return c.Noisy && c.Type.Numeric() }

// writeCSV writes columns x, and x_low and x_high where x has an interval. NULL is
// empty.
func writeCSV(w io.Writer, a *coordinator.Answer) error {
	out := csv.NewWriter(w)
	var head []string
	for _, c := range a.Columns {
		head = append(head, c.Name)
		if ranged(c) {
			head = append(head, c.Name+"_low", c.Name+"_high")
		}
	}
	if err := out.Write(head); err != nil {
		return err
	}
	text := func(v value.Value) string {
		if !v.Valid() || v.IsNull() {
			return ""
		}
		return v.String()
	}
	for _, row := range a.Rows {
		var line []string
		for i, e := range row {
			line = append(line, text(e.Value))
			if ranged(a.Columns[i]) {
				line = append(line, text(e.Low), text(e.High))
			}
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// writeArrow writes an Arrow IPC stream with columns x, and x_low and x_high where
// x has an interval. The schema's metadata holds the answer's facts as JSON, and a
// column's whether it is noisy.
func writeArrow(w io.Writer, a *coordinator.Answer, facts []byte) error {
	var fields []arrow.Field
	for _, c := range a.Columns {
		noisy := "false"
		if c.Noisy {
			noisy = "true"
		}
		fields = append(fields, arrow.Field{Name: c.Name, Type: fragment.ArrowType(c.Type), Nullable: true, Metadata: arrow.NewMetadata([]string{"intramuros.noisy"}, []string{noisy})})
		if ranged(c) {
			fields = append(fields, arrow.Field{Name: c.Name + "_low", Type: fragment.ArrowType(c.Type), Nullable: true}, arrow.Field{Name: c.Name + "_high", Type: fragment.ArrowType(c.Type), Nullable: true})
		}
	}
	meta := arrow.NewMetadata([]string{"intramuros.answer"}, []string{string(facts)})
	schema := arrow.NewSchema(fields, &meta)
	b := array.NewRecordBuilder(memory.NewGoAllocator(), schema)
	defer b.Release()
	for _, row := range a.Rows {
		at := 0
		for i, e := range row {
			fragment.AppendValue(b.Field(at), e.Value)
			at++
			if ranged(a.Columns[i]) {
				fragment.AppendValue(b.Field(at), e.Low)
				fragment.AppendValue(b.Field(at+1), e.High)
				at += 2
			}
		}
	}
	record := b.NewRecord()
	defer record.Release()
	out := ipc.NewWriter(w, ipc.WithSchema(schema))
	if err := out.Write(record); err != nil {
		return err
	}
	return out.Close()
}
