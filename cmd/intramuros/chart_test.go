package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"

	"github.com/intramuros/intramuros/coordinator/httpapi"
)

// TestChart draws the answers of testdata/chart:
//
//	draw [kind=bar|line] [column=NAME] [width=N]
//	columns, such as sex:text n:int*; * means noisy
//	rows of JSON, a noisy value as [value, low, high]
func TestChart(t *testing.T) {
	datadriven.RunTest(t, "testdata/chart", func(t *testing.T, d *datadriven.TestData) string {
		c := chart{width: 80}
		for _, a := range d.CmdArgs {
			switch a.Key {
			case "kind":
				c.kind = a.Vals[0]
			case "column":
				c.column = a.Vals[0]
			case "width":
				fmt.Sscan(a.Vals[0], &c.width)
			}
		}
		got, err := c.draw(parseAnswer(t, d.Input))
		if err != nil {
			return err.Error() + "\n"
		}
		for _, line := range strings.Split(got, "\n") {
			if n := utf8.RuneCountInString(line); n > c.width {
				t.Errorf("%s: a line of %d columns is wider than the terminal", d.Pos, n)
			}
		}
		return got
	})
}

func parseAnswer(t *testing.T, text string) *httpapi.Answer {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n")
	a := &httpapi.Answer{}
	for _, f := range strings.Fields(head) {
		name, kind, _ := strings.Cut(f, ":")
		kind, noisy := strings.CutSuffix(kind, "*")
		c := httpapi.Column{Name: name, Noisy: noisy}
		mustDo(t, json.Unmarshal([]byte(`"`+kind+`"`), &c.Type))
		a.Columns = append(a.Columns, c)
	}
	for _, line := range strings.Split(strings.TrimSpace(body), "\n") {
		if line == "" {
			continue
		}
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		var row []any
		mustDo(t, d.Decode(&row))
		var cells []httpapi.Cell
		for _, v := range row {
			if l, ok := v.([]any); ok {
				cells = append(cells, httpapi.Cell{Noisy: true, Value: l[0], Low: l[1], High: l[2]})
				continue
			}
			cells = append(cells, httpapi.Cell{Value: v})
		}
		a.Rows = append(a.Rows, cells)
	}
	return a
}

// No answer breaks a chart or makes it wider than the terminal.
func FuzzChart(f *testing.F) {
	f.Add(3.0, 1.0, 5.0, -7.0, 60, "line")
	f.Add(0.0, 0.0, 0.0, 1e300, 1, "bar")
	f.Fuzz(func(t *testing.T, v, low, high, x float64, width int, kind string) {
		if width < 0 || width > 500 {
			t.Skip()
		}
		a := &httpapi.Answer{Columns: []httpapi.Column{{Name: "x", Type: "float"}, {Name: "n", Type: "float", Noisy: true}}}
		n := func(x float64) any {
			b, err := json.Marshal(x)
			if err != nil {
				return nil // not a number
			}
			return json.Number(b)
		}
		for i := range 8 {
			cell := httpapi.Cell{Noisy: true, Value: n(v * float64(i)), Low: n(low), High: n(high)}
			a.Rows = append(a.Rows, []httpapi.Cell{{Value: n(x + float64(i))}, cell})
		}
		got, err := chart{kind: kind, width: width}.draw(a)
		if err == nil && !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
	})
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
