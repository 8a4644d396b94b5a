package httpapi

import (
	"encoding/csv"
	"io"
	"mime"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/tabular"
)

// The formats of an answer.
const (
	formJSON    = "application/json"
	formNDJSON  = "application/x-ndjson"
	formArrow   = "application/vnd.apache.arrow.stream"
	formCSV     = "text/csv"
	formParquet = "application/vnd.apache.parquet"
)

var forms = []string{formJSON, formNDJSON, formArrow, formCSV, formParquet}

// accepted returns the first format that the client accepts, in the client's order.
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

// writeCSV writes columns x, and x_low and x_high if x has an interval. NULL is an empty field.
func writeCSV(w io.Writer, a *coordinator.Answer) error {
	out := csv.NewWriter(w)
	columns := tabular.Columns(a.Columns, true)
	line := make([]string, len(columns))
	for i, c := range columns {
		line[i] = c.Name
	}
	if err := out.Write(line); err != nil {
		return err
	}
	for _, row := range a.Rows {
		for i, c := range columns {
			line[i] = tabular.Text(c.Of(row))
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// writeArrow writes an Arrow IPC stream with columns x, and x_low and x_high if x has an interval. Package tabular
// describes the schema's metadata.
func writeArrow(w io.Writer, a *coordinator.Answer, facts []byte) error {
	columns := tabular.Columns(a.Columns, true)
	schema := tabular.Schema(columns, a.Confidence, nil, nil, tabular.Note{Key: tabular.KeyAnswer, Text: string(facts)})
	record := tabular.Record(schema, columns, a.Rows)
	defer record.Release()
	out := ipc.NewWriter(w, ipc.WithSchema(schema))
	if err := out.Write(record); err != nil {
		return err
	}
	return out.Close()
}

// writeParquet writes the columns of writeArrow as a Parquet file. The file keeps the schema's metadata, and so the
// answer's facts.
func writeParquet(w io.Writer, a *coordinator.Answer, facts []byte) error {
	columns := tabular.Columns(a.Columns, true)
	schema := tabular.Schema(columns, a.Confidence, nil, nil, tabular.Note{Key: tabular.KeyAnswer, Text: string(facts)})
	record := tabular.Record(schema, columns, a.Rows)
	defer record.Release()
	out, err := pqarrow.NewFileWriter(schema, w, parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd)),
		pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		return err
	}
	if err := out.Write(record); err != nil {
		return err
	}
	return out.Close()
}
