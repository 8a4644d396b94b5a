package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/intramuros/intramuros/coordinator/httpapi"
	"github.com/intramuros/intramuros/internal/value"
)

// chart draws one column of an answer with its intervals.
type chart struct {
	kind   string // bar, line, or empty to choose one
	column string // empty: the first noisy column
	width  int    // columns of the terminal
	palette
}

const (
	leastChart  = 40 // the least width, in columns: labels and numbers need all of it
	lineHeight  = 12 // rows
	lineFrom    = 6  // from this number of rows on, a line is drawn by default
	maxSeries   = 5
	seriesMarks = "●○▲△■"
)

// mark is one value on its scale. low and high are infinite if the interval is open, and equal the value if there is
// none.
type mark struct {
	label          string
	v, low, high   float64
	known, bounded bool    // known: it is a number; bounded: it has an interval
	x              float64 // the position on a line
	series         int
	text           string
}

// cells measures texts like terminals that show East Asian ambiguous characters narrow.
var cells = runewidth.Condition{StrictEmojiNeutral: true}

// draw returns the chart as lines of text.
func (c chart) draw(a *httpapi.Answer) (string, error) {
	c.width = max(c.width, leastChart)
	at, err := c.pick(a)
	if err != nil {
		return "", err
	}
	var keys []int
	for i, col := range a.Columns {
		if i != at && !col.Noisy {
			keys = append(keys, i)
		}
	}
	var marks []mark
	for _, row := range a.Rows {
		marks = append(marks, c.mark(a, row, at, keys))
	}
	if len(marks) == 0 {
		return "", errors.New("the answer has no rows")
	}
	if !slices.ContainsFunc(marks, func(m mark) bool { return m.known }) {
		return "", errors.New("the column holds no number")
	}
	x, series, ordered := c.axes(a, keys)
	if c.kind == "line" && !ordered {
		return "", errors.New("a line needs one column of numbers or dates to run along, and at most one other with few values")
	}
	title := c.strong(printable(a.Columns[at].Name))
	if c.kind == "line" || c.kind == "" && ordered && len(a.Rows) >= lineFrom && even(a, x) {
		return title + "\n" + c.line(marks, a, x, series), nil
	}
	return title + "\n" + c.bars(marks), nil
}

// pick chooses the column to draw.
func (c chart) pick(a *httpapi.Answer) (int, error) {
	best := -1
	for i, col := range a.Columns {
		switch {
		case c.column != "":
			if strings.EqualFold(col.Name, c.column) {
				if !col.Type.Numeric() {
					return 0, fmt.Errorf("column %s holds no numbers", col.Name)
				}
				return i, nil
			}
		case col.Type.Numeric() && col.Noisy:
			return i, nil
		case col.Type.Numeric() && best < 0:
			best = i
		}
	}
	if c.column != "" {
		return 0, fmt.Errorf("the answer has no column %s", c.column)
	}
	if best < 0 {
		return 0, errors.New("the answer has no column of numbers")
	}
	return best, nil
}

func (c chart) mark(a *httpapi.Answer, row []httpapi.Cell, at int, keys []int) mark {
	var labels []string
	for _, k := range keys {
		labels = append(labels, plainText(row[k].Value))
	}
	cell := row[at]
	m := mark{label: strings.Join(labels, ", "), text: cellText(cell, string(a.Columns[at].Type))}
	m.v, m.known = number(cell.Value)
	m.low, m.high = m.v, m.v
	low, hasLow := number(cell.Low)
	high, hasHigh := number(cell.High)
	if cell.Noisy && (hasLow || hasHigh) {
		m.bounded = true
		if m.low = low; !hasLow {
			m.low = math.Inf(-1)
		}
		if m.high = high; !hasHigh {
			m.high = math.Inf(1)
		}
	}
	return m
}

// axes returns the column along which a line runs, the column that separates series (-1: none), and whether a line can
// be drawn.
func (c chart) axes(a *httpapi.Answer, keys []int) (x, series int, ok bool) {
	x, series = -1, -1
	for _, k := range keys {
		t := a.Columns[k].Type
		if x < 0 && (t.Numeric() || t == value.TypeDate || t == value.TypeTimestamp) {
			x = k
		} else {
			series = k
		}
	}
	if x < 0 || len(keys) > 2 {
		return x, series, false
	}
	if series >= 0 {
		different := map[string]bool{}
		for _, row := range a.Rows {
			different[plainText(row[series].Value)] = true
		}
		ok = len(different) <= maxSeries
		return x, series, ok
	}
	return x, series, true
}

// even reports whether values are evenly spread, like years, and not far apart, like codes of concepts.
func even(a *httpapi.Answer, x int) bool {
	const wide = 5 // a gap that is too wide, in multiples of the usual gap
	var places, gaps []float64
	for _, row := range a.Rows {
		if at, ok := coordinate(row[x].Value, a.Columns[x].Type); ok {
			places = append(places, at)
		}
	}
	slices.Sort(places)
	places = slices.Compact(places)
	for i := 1; i < len(places); i++ {
		gaps = append(gaps, places[i]-places[i-1])
	}
	slices.Sort(gaps)
	return len(gaps) > 0 && gaps[len(gaps)-1] <= wide*gaps[len(gaps)/2]
}

// span is the range of the marks.
func span(marks []mark) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, m := range marks {
		if !m.known {
			continue
		}
		for _, y := range []float64{m.v, m.low, m.high} {
			if !math.IsInf(y, 0) {
				low, high = min(low, y), max(high, y)
			}
		}
	}
	return low, high
}

// bars draws one bar for each row: █ up to the value ●, with its interval ├─┤.
func (c chart) bars(marks []mark) string {
	low, high := span(marks)
	low, high = min(low, 0), max(high, 0)
	labels, texts := 0, 0
	for _, m := range marks {
		labels, texts = max(labels, cells.StringWidth(m.label)), max(texts, cells.StringWidth(m.text))
	}
	const leastRoom, leastLabel = 10, 6
	labels = min(labels, c.width/3, max(c.width-texts-3-leastRoom, leastLabel))
	texts = min(texts, c.width-labels-3-leastRoom)
	room := c.width - labels - texts - 3
	place := func(x float64) int {
		if high == low {
			return 0
		}
		return int(math.Round(math.Max(0, math.Min(1, (x-low)/(high-low))) * float64(room-1)))
	}
	var b strings.Builder
	for _, m := range marks {
		line := []rune(strings.Repeat(" ", room))
		zero := place(0)
		if low < 0 {
			line[zero] = '│'
		}
		if m.known {
			for i := min(zero, place(m.v)); i <= max(zero, place(m.v)); i++ {
				line[i] = '█'
			}
			if m.v == 0 && low == 0 {
				line[zero] = '▏'
			}
		}
		if m.known && m.bounded {
			from, to := place(m.low), place(m.high)
			for i := from; i <= to; i++ {
				line[i] = '─'
			}
			line[from], line[to] = '├', '┤'
			if math.IsInf(m.low, 0) {
				line[from] = '◄'
			}
			if math.IsInf(m.high, 0) {
				line[to] = '►'
			}
			line[place(m.v)] = '●'
		}
		label := cells.Truncate(m.label, labels, "…")
		fmt.Fprintf(&b, "%s %s  %s\n", cells.FillRight(label, labels), c.bar(string(line)), cells.FillLeft(cells.Truncate(m.text, texts, "…"), texts))
	}
	scale := []rune(strings.Repeat(" ", room))
	put := func(at int, text string) {
		at = max(0, min(at, room-len([]rune(text))))
		copy(scale[at:], []rune(text))
	}
	if low < 0 && place(0) > len(short(low)) {
		put(0, short(low))
	}
	put(room, short(high))
	put(place(0), "0")
	fmt.Fprintf(&b, "%s %s\n", strings.Repeat(" ", labels), strings.TrimRight(string(scale), " "))
	return b.String()
}

// line draws points along a scale, with their intervals as vertical strokes.
func (c chart) line(marks []mark, a *httpapi.Answer, x, series int) string {
	var names []string
	kind := a.Columns[x].Type
	for i, row := range a.Rows {
		var ok bool
		if marks[i].x, ok = coordinate(row[x].Value, kind); !ok {
			marks[i].known = false // NULL has no position on the line
		}
		if series >= 0 {
			name := plainText(row[series].Value)
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			marks[i].series = slices.Index(names, name)
		}
	}
	left := len(marks)
	marks = slices.DeleteFunc(marks, func(m mark) bool { return !m.known })
	left -= len(marks)
	if len(marks) == 0 {
		return "nothing has a place along the line\n"
	}
	sort.SliceStable(marks, func(i, j int) bool { return marks[i].x < marks[j].x })
	low, high := span(marks)
	if high == low {
		low, high = low-1, high+1
	}
	first, last := marks[0].x, marks[len(marks)-1].x
	scale := map[int]string{}
	axis := 0
	for _, i := range []int{0, lineHeight / 2, lineHeight - 1} {
		scale[i] = short(high - (high-low)*float64(i)/(lineHeight-1))
		axis = max(axis, len(scale[i]))
	}
	room := max(c.width-axis-2, 10)
	grid := make([][]rune, lineHeight)
	for i := range grid {
		grid[i] = []rune(strings.Repeat(" ", room))
	}
	column := func(x float64) int {
		if last == first {
			return room / 2
		}
		return int(math.Round((x - first) / (last - first) * float64(room-1)))
	}
	row := func(y float64) int {
		return int(math.Round(math.Max(0, math.Min(1, (high-y)/(high-low))) * (lineHeight - 1)))
	}
	previous := map[int]mark{}
	for _, m := range marks { // lines between points first, then intervals, then points: the last are visible
		if p, ok := previous[m.series]; ok {
			for at := column(p.x) + 1; at < column(m.x); at++ {
				share := float64(at-column(p.x)) / float64(column(m.x)-column(p.x))
				grid[row(p.v+share*(m.v-p.v))][at] = '·'
			}
		}
		previous[m.series] = m
	}
	for _, m := range marks {
		for y := row(m.high); m.bounded && y <= row(m.low); y++ {
			grid[y][column(m.x)] = '│'
		}
	}
	for _, m := range marks {
		grid[row(m.v)][column(m.x)] = []rune(seriesMarks)[m.series]
	}
	var b strings.Builder
	for i, line := range grid {
		fmt.Fprintf(&b, "%*s ┤%s\n", axis, scale[i], c.bar(strings.TrimRight(string(line), " ")))
	}
	fmt.Fprintf(&b, "%s └%s\n", strings.Repeat(" ", axis), strings.Repeat("─", room))
	from, to := along(first, kind), along(last, kind)
	gap := room - len(from) - len(to)
	if first == last || gap < 1 {
		to, gap = "", 0
	}
	fmt.Fprintf(&b, "%s  %s\n", strings.Repeat(" ", axis), strings.TrimRight(from+strings.Repeat(" ", gap)+to, " "))
	for i, name := range names {
		fmt.Fprintf(&b, "%s  %c %s\n", strings.Repeat(" ", axis), []rune(seriesMarks)[i], name)
	}
	if left > 0 {
		fmt.Fprintf(&b, "not shown, for a NULL: %d of %d rows\n", left, left+len(marks))
	}
	return b.String()
}

// The forms of dates in JSON, as package value writes them.
const (
	dateForm      = "2006-01-02"
	timestampForm = "2006-01-02T15:04:05"
)

// coordinate is a key's position along a line: a number, or seconds.
func coordinate(v any, kind value.Type) (float64, bool) {
	if kind.Numeric() {
		return number(v)
	}
	text, ok := v.(string)
	if !ok {
		return 0, false
	}
	for _, form := range []string{dateForm, timestampForm} {
		if t, err := time.Parse(form, text); err == nil { // this also reads fractions of seconds
			return float64(t.UnixMicro()) / 1e6, true
		}
	}
	return 0, false
}

// along writes a position on the line.
func along(x float64, kind value.Type) string {
	switch kind {
	case value.TypeDate:
		return time.Unix(int64(x), 0).UTC().Format(dateForm)
	case value.TypeTimestamp:
		return time.Unix(int64(x), 0).UTC().Format(timestampForm)
	case value.TypeInt:
		return fmt.Sprintf("%.0f", x)
	}
	return short(x)
}
