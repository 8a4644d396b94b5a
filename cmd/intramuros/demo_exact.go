package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/coordinator/httpapi"
	"github.com/intramuros/intramuros/internal/synth"
)

// withExact adds the exact numbers to an answer. The patients are synthetic, so anybody may see the exact numbers.
func (d *demo) withExact(ctx context.Context, a *httpapi.Answer, query string) (*httpapi.Answer, error) {
	rows, err := synth.Exact(ctx, filepath.Join(d.folder, "data"), d.hospitals, query)
	if err != nil {
		return nil, fmt.Errorf("the exact answer: %w", err)
	}
	return beside(a, rows)
}

// beside adds a column of exact numbers to each noisy column. The exact rows have the same columns, in any order. Rows
// are matched by their keys.
func beside(a *httpapi.Answer, exact [][]any) (*httpapi.Answer, error) {
	byKeys := map[string][]any{}
	for _, row := range exact {
		if len(row) != len(a.Columns) {
			return nil, fmt.Errorf("the exact answer has %d columns, the noisy one %d", len(row), len(a.Columns))
		}
		byKeys[keysOf(a, func(i int) any { return row[i] })] = row
	}
	out := *a
	out.Columns, out.Rows = nil, make([][]httpapi.Cell, len(a.Rows))
	for i, c := range a.Columns {
		out.Columns = append(out.Columns, c)
		if c.Noisy {
			out.Columns = append(out.Columns, httpapi.Column{Name: "exact", Type: c.Type})
		}
		for r, row := range a.Rows {
			out.Rows[r] = append(out.Rows[r], row[i])
			if !c.Noisy {
				continue
			}
			var value any
			if whole, ok := byKeys[keysOf(a, func(i int) any { return row[i].Value })]; ok {
				value = exactNumber(whole[i])
			} else if c.Type == "int" {
				value = json.Number("0") // nobody is in the group
			}
			out.Rows[r] = append(out.Rows[r], httpapi.Cell{Value: value})
		}
	}
	return &out, nil
}

// keysOf writes a row's keys in one form for an API's answer and for a database.
func keysOf(a *httpapi.Answer, value func(column int) any) string {
	var keys []string
	for i, c := range a.Columns {
		if c.Noisy {
			continue
		}
		text := fmt.Sprint(value(i))
		if x, err := strconv.ParseFloat(text, 64); err == nil {
			text = strconv.FormatFloat(x, 'g', -1, 64)
		}
		keys = append(keys, text)
	}
	return strings.Join(keys, "\n")
}

// exactNumber is a number from a database with at most six digits after the point.
func exactNumber(v any) any {
	x, err := strconv.ParseFloat(fmt.Sprint(v), 64)
	if err != nil {
		return nil
	}
	text := strconv.FormatFloat(x, 'f', 6, 64)
	return json.Number(strings.TrimSuffix(strings.TrimRight(text, "0"), "."))
}
