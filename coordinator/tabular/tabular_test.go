package tabular

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/array"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

var columns = []planner.Column{{Name: "city", Type: value.TypeText}, {Name: "n", Type: value.TypeInt, Noisy: true}, {Name: "label", Type: value.TypeText, Noisy: true}}

func rows(n int) [][]planner.Estimate {
	var all [][]planner.Estimate
	for i := range n {
		all = append(all, []planner.Estimate{
			{Value: value.Text("é")}, {Value: value.Int(int64(i)), Low: value.Int(int64(i) - 1), High: value.Null(value.TypeInt)}, {Value: value.Text("many")},
		})
	}
	return all
}

func TestColumns(t *testing.T) {
	for intervals, want := range map[bool]string{false: "city n label", true: "city n n_low n_high label"} {
		var names []string
		for _, c := range Columns(columns, intervals) {
			names = append(names, c.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("the columns are %s, not %s", got, want)
		}
	}
}

func TestSchemaAndRecord(t *testing.T) {
	expected := []planner.Expected{{Column: "n", HalfWidth: math.NaN(), Note: "depends on the answer"}}
	all := Columns(columns, true)
	schema := Schema(all, 0.95, expected, rows(2), Note{KeyAnswer, "{}"})
	record := Record(schema, all, rows(2))
	defer record.Release()
	if low, high := record.Column(2).(*array.Int64), record.Column(3).(*array.Int64); low.Value(1) != 0 || !high.IsNull(0) || record.NumRows() != 2 {
		t.Errorf("the record is %v", record)
	}
	get := func(i int, key string) string {
		v, _ := schema.Field(i).Metadata.GetValue(key)
		return v
	}
	if get(1, KeyNote) != "depends on the answer" || get(1, KeyHalfWidth) != "" || get(1, KeyLow) != "" || get(2, KeyOf) != "n" || get(3, KeyBound) != "high" || get(4, KeyConfidence) != "" {
		t.Errorf("the schema is %v", schema)
	}
	// the intervals of a long answer are not listed
	for n, want := range map[int]string{2: "[-1,0]", maxListed + 1: ""} {
		plain := Columns(columns, false)
		if low, _ := Schema(plain, 0.95, nil, rows(n)).Field(1).Metadata.GetValue(KeyLow); low != want {
			t.Errorf("the low ends of %d rows are %s", n, low)
		}
	}
}

func TestFactsHaveNoNull(t *testing.T) {
	b, err := json.Marshal(NewFacts("s", &coordinator.Answer{}))
	if err != nil || strings.Contains(string(b), "null") {
		t.Errorf("%s, %v", b, err)
	}
}

// The quickstart names every key of the metadata.
func TestQuickstartNamesTheKeys(t *testing.T) {
	b, err := os.ReadFile("../../docs/quickstart-python.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{KeyAnswer, KeyPlan, KeyNoisy, KeyConfidence, KeyHalfWidth, KeyNote, KeyLow, KeyHigh, KeyBound, KeyOf} {
		if !strings.Contains(string(b), "`"+key+"`") {
			t.Errorf("quickstart-python.md does not name %s", key)
		}
	}
}
