package tabular

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// Keys of the metadata of a schema and its fields.
const (
	KeyAnswer     = "intramuros.answer"     // of the schema: Facts, as JSON
	KeyPlan       = "intramuros.plan"       // of the schema, before there is an answer: Price, as JSON
	KeyNoisy      = "intramuros.noisy"      // true or false
	KeyConfidence = "intramuros.confidence" // of a noisy number's interval, such as 0.95
	KeyHalfWidth  = "intramuros.half_width" // of the interval, if it does not depend on the answer
	KeyNote       = "intramuros.note"       // on the half-width, if it does
	KeyLow        = "intramuros.low"        // lower ends of all rows, a JSON array; of a column without x_low and x_high
	KeyHigh       = "intramuros.high"       // the same for the upper ends
	KeyBound      = "intramuros.bound"      // of x_low and x_high: low or high
	KeyOf         = "intramuros.of"         // of x_low and x_high: x
)

// maxListed is the largest number of rows whose intervals a schema's metadata lists.
const maxListed = 1000

// Price is what is known about an answer before it is paid for, as JSON.
type Price struct {
	Study      string  `json:"study"`
	Confidence float64 `json:"confidence"`
	Cost       Cost    `json:"cost"`
	// Stored: the answer is stored and costs nothing.
	Stored bool `json:"stored"`
	// Public: only public tables are read, which costs nothing.
	Public   bool     `json:"public"`
	Warnings []string `json:"warnings,omitempty"`
}

// Note is the JSON of facts or price, with its key.
type Note struct{ Key, Text string }

// Schema is the Arrow schema of the columns. expected has the expected error of each noisy number and may be empty.
// rows is the answer and may be nil.
func Schema(columns []Column, confidence float64, expected []planner.Expected, rows [][]planner.Estimate, notes ...Note) *arrow.Schema {
	paired := map[int]bool{}
	for _, c := range columns {
		paired[c.Index] = paired[c.Index] || c.Part != Value
	}
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		meta := map[string]string{KeyNoisy: strconv.FormatBool(c.Noisy)}
		if Ranged(planner.Column{Type: c.Type, Noisy: c.Noisy}) {
			meta[KeyConfidence] = strconv.FormatFloat(confidence, 'g', -1, 64)
			switch {
			case c.Part == Low:
				meta[KeyBound], meta[KeyOf] = "low", columns[i-1].Name
			case c.Part == High:
				meta[KeyBound], meta[KeyOf] = "high", columns[i-2].Name
			case !paired[c.Index] && rows != nil && len(rows) <= maxListed:
				meta[KeyLow], meta[KeyHigh] = list(Column{Index: c.Index, Part: Low}, rows), list(Column{Index: c.Index, Part: High}, rows)
			}
			for _, x := range expected {
				if x.Column != c.Name || c.Part != Value {
					continue
				}
				if !math.IsNaN(x.HalfWidth) && !math.IsInf(x.HalfWidth, 0) {
					meta[KeyHalfWidth] = strconv.FormatFloat(x.HalfWidth, 'g', -1, 64)
				}
				if x.Note != "" {
					meta[KeyNote] = x.Note
				}
			}
		}
		fields[i] = arrow.Field{Name: c.Name, Type: fragment.ArrowType(c.Type), Nullable: true, Metadata: arrow.MetadataFrom(meta)}
	}
	meta := map[string]string{}
	for _, n := range notes {
		meta[n.Key] = n.Text
	}
	all := arrow.MetadataFrom(meta)
	return arrow.NewSchema(fields, &all)
}

// list writes one column as a JSON array.
func list(c Column, rows [][]planner.Estimate) string {
	all := make([]any, len(rows))
	for i, row := range rows {
		if v := c.Of(row); v.Valid() && !v.IsNull() {
			if all[i] = v.String(); v.Type().Numeric() {
				all[i] = json.Number(v.String())
			}
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err) // encoding numbers cannot fail
	}
	return string(b)
}

// Record returns the rows as one record batch of the schema. The caller releases it.
func Record(schema *arrow.Schema, columns []Column, rows [][]planner.Estimate) arrow.Record {
	b := array.NewRecordBuilder(memory.NewGoAllocator(), schema)
	defer b.Release()
	for _, row := range rows {
		for i, c := range columns {
			fragment.AppendValue(b.Field(i), c.Of(row))
		}
	}
	return b.NewRecord()
}

// Text writes a value for CSV: NULL is empty.
func Text(v value.Value) string {
	if !v.Valid() || v.IsNull() {
		return ""
	}
	return v.String()
}
