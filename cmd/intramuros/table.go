package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/intramuros/intramuros/coordinator/httpapi"
	"github.com/intramuros/intramuros/dp"
)

// writeTable writes an answer for a person: aligned columns, noisy numbers as value ± half-width, or with [low, high]
// if the interval is not symmetric. The cost and the remaining budget stand below.
func writeTable(out io.Writer, a *httpapi.Answer) error {
	if a.Informs {
		a = withoutBlanks(a)
	}
	grid := make([][]string, 1, len(a.Rows)+1)
	for _, c := range a.Columns {
		grid[0] = append(grid[0], c.Name)
	}
	for _, row := range a.Rows {
		line := make([]string, len(row))
		for i, c := range row {
			line[i] = cellText(c, string(a.Columns[i].Type))
		}
		grid = append(grid, line)
	}
	widths := make([]int, len(a.Columns))
	for _, line := range grid {
		for i, s := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(s))
		}
	}
	var b strings.Builder
	for n, line := range grid {
		var row strings.Builder
		for i, s := range line {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(s))
			numeric := a.Columns[i].Type.Numeric()
			if i > 0 {
				row.WriteString("  ")
			}
			if numeric {
				row.WriteString(gap + s)
			} else {
				row.WriteString(s + gap)
			}
		}
		b.WriteString(strings.TrimRight(row.String(), " ") + "\n")
		if n == 0 {
			for i, w := range widths {
				if i > 0 {
					b.WriteString("  ")
				}
				b.WriteString(strings.Repeat("─", w))
			}
			b.WriteByte('\n')
		}
	}
	if !a.Informs {
		b.WriteByte('\n')
		writeFacts(&b, a)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// withoutBlanks leaves out columns without a value in any row, so that the table fits a terminal.
func withoutBlanks(a *httpapi.Answer) *httpapi.Answer {
	out := *a
	out.Columns, out.Rows = nil, make([][]httpapi.Cell, len(a.Rows))
	for i, c := range a.Columns {
		blank := len(a.Rows) > 0
		for _, row := range a.Rows {
			blank = blank && (row[i].Value == nil || row[i].Value == "")
		}
		if blank {
			continue
		}
		out.Columns = append(out.Columns, c)
		for r, row := range a.Rows {
			out.Rows[r] = append(out.Rows[r], row[i])
		}
	}
	return &out
}

func writeFacts(b *strings.Builder, a *httpapi.Answer) {
	rows := "rows"
	if len(a.Rows) == 1 {
		rows = "row"
	}
	if a.Public {
		fmt.Fprintf(b, "%d %s of public tables, as they are%s\n", len(a.Rows), rows, heldBy(a.Hospitals.Answered))
		for _, w := range a.Warnings {
			fmt.Fprintf(b, "warning: %s\n", w)
		}
		fmt.Fprintln(b, costText(a.Stored, a.Public, httpapi.Cost(a.Cost)))
		return
	}
	fmt.Fprintf(b, "%d %s from %d hospitals; ± holds the value within limits and bounds, with %s %% confidence\n", len(a.Rows), rows, len(a.Hospitals.Answered), short(100*a.Confidence))
	for _, m := range a.Hospitals.Missing {
		fmt.Fprintf(b, "missing: %s %s (%s)\n", m.Name, m.Why, m.Code)
	}
	for _, w := range a.Warnings {
		fmt.Fprintf(b, "warning: %s\n", w)
	}
	fmt.Fprintln(b, costText(a.Stored, a.Public, httpapi.Cost(a.Cost)))
	if a.Sealed {
		b.WriteString("sealed: each hospital added its own noise before its numbers left it\n")
	}
	fmt.Fprintf(b, "%s\n", remainingText(a.Study, a.Remaining))
}

// heldBy says whose copies of public tables agree. Without hospitals it is the coordinator's own copy.
func heldBy(hospitals []string) string {
	if len(hospitals) == 0 {
		return ""
	}
	return ", alike at " + strings.Join(hospitals, ", ")
}

// costText says what an answer cost.
func costText(stored, public bool, c httpapi.Cost) string {
	if public {
		return "cost: nothing, public tables only"
	}
	if stored {
		return "cost: nothing, the answer was there already"
	}
	return fmt.Sprintf("cost: %s (%s noise)", lossText(c), c.Mechanism)
}

func lossText(c httpapi.Cost) string {
	s := "epsilon " + short(c.Epsilon)
	if c.Delta > 0 {
		s += ", delta " + short(c.Delta)
	}
	return s
}

func remainingText(study string, r dp.Remaining) string {
	return leftText("study "+study, r)
}

// leftText says what is left of whose budget.
func leftText(whose string, r dp.Remaining) string {
	// Fraction, since earlier coordinators do not tell Spent.
	s := fmt.Sprintf("left of %s: %s %%, the price of one query of epsilon %s", whose, short(math.Floor(1000*(1-r.Fraction))/10), short(r.Epsilon))
	if r.Delta > 0 {
		s += ", delta " + short(r.Delta)
	}
	return s
}

// short writes a number with at most four significant digits.
func short(x float64) string {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	if err != nil {
		return "?" // what FormatFloat writes can be read
	}
	return strconv.FormatFloat(rounded, 'g', -1, 64)
}

// cellText writes a value and its interval.
func cellText(c httpapi.Cell, kind string) string {
	if !c.Noisy {
		return plainText(c.Value)
	}
	v, isNumber := number(c.Value)
	low, hasLow := number(c.Low)
	high, hasHigh := number(c.High)
	from, isDay := c.Low.(string)
	to, isAlso := c.High.(string)
	switch {
	case isDay || isAlso: // a date, or an instant
		open := func(end string, is bool) string {
			if !is {
				return "…"
			}
			return printable(end)
		}
		return plainText(c.Value) + " [" + open(from, isDay) + ", " + open(to, isAlso) + "]"
	case !isNumber && !hasLow && !hasHigh:
		return plainText(c.Value)
	case !hasLow && !hasHigh: // computed from released numbers in a way that gives no interval
		return roundedValue(c.Value, v, true, kind, 0) + " ± ?"
	case !isNumber || !hasLow || !hasHigh:
		span := math.Max(math.Abs(low), math.Abs(high)) // no more is known of the width
		return fmt.Sprintf("%s [%s, %s]", roundedValue(c.Value, v, isNumber, kind, 0), end(low, hasLow, kind, span), end(high, hasHigh, kind, span))
	}
	below, above := v-low, high-v
	if math.Abs(above-below) <= 0.02*math.Max(above, below) || kind == "int" && math.Abs(above-below) <= 1 {
		half := math.Max(above, below)
		return fmt.Sprintf("%s ± %s", roundedValue(c.Value, v, true, kind, half), width(half, kind))
	}
	return fmt.Sprintf("%s [%s, %s]", roundedValue(c.Value, v, true, kind, high-low), end(low, true, kind, high-low), end(high, true, kind, high-low))
}

func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	x, err := n.Float64()
	return x, err == nil
}

func plainText(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case string:
		return printable(v)
	}
	return fmt.Sprint(v)
}

// printable stops texts of the data from moving the cursor or colouring the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '�'
		}
		return r
	}, s)
}

// roundedValue rounds a value to the digits that its half-width supports.
func roundedValue(v any, x float64, isNumber bool, kind string, half float64) string {
	if !isNumber || kind == "int" {
		return plainText(v)
	}
	return strconv.FormatFloat(x, 'f', decimals(half, x), 64)
}

func width(half float64, kind string) string {
	if kind == "int" {
		return strconv.FormatFloat(math.Ceil(half), 'f', 0, 64)
	}
	return strconv.FormatFloat(half, 'f', decimals(half, half), 64)
}

func end(x float64, has bool, kind string, span float64) string {
	switch {
	case !has:
		return "…"
	case kind == "int":
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'f', decimals(span, x), 64)
}

// decimals returns the decimals for two significant digits of a width, or four of a value without one.
func decimals(width, x float64) int {
	digits := 2
	if width == 0 {
		width, digits = math.Abs(x), 4
	}
	if width == 0 || math.IsInf(width, 0) || math.IsNaN(width) {
		return 0
	}
	return min(max(digits-1-int(math.Floor(math.Log10(math.Abs(width)))), 0), 12)
}
