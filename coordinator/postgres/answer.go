package postgres

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/session"
	"github.com/intramuros/intramuros/coordinator/tabular"
	"github.com/intramuros/intramuros/internal/value"
)

// portal is a statement with its parameters, and with its answer once it has run.
type portal struct {
	statement *statement
	arguments []any                  // of a question about the catalog
	values    map[string]value.Value // of a question about patients
	formats   []int16
	ran       bool
	rows      [][]any
	sent      int
	moved     int  // rows that FETCH or MOVE went over
	cursor    bool // made by DECLARE
	withHold  bool
	size      int  // approximate bytes, without the statement
	kept      bool // it stays until it is dropped
}

// run executes the statement once, and keeps its rows in the portal.
func (c *conn) run(p *portal) error {
	p.ran = true
	if err := c.answer(p); err != nil {
		return err
	}
	if p.kept && p.statement.kind != fetch { // a FETCH has the cursor's rows
		size := weighRows(p.rows)
		p.size += size
		c.server.holdings.hold(c, size)
	}
	return nil
}

// weighRows estimates the bytes of rows.
func weighRows(rows [][]any) int {
	const cell = 32
	size := 0
	for _, row := range rows {
		size += cell * (len(row) + 1)
		for _, v := range row {
			if text, ok := v.(string); ok {
				size += len(text)
			}
		}
	}
	return size
}

// answer executes the statement.
func (c *conn) answer(p *portal) error {
	s := p.statement
	switch s.kind {
	case begin:
		c.inBlock = true
	case commit:
		c.inBlock = false
		c.closeCursors(false)
	case declare:
		return c.runDeclare(p)
	case fetch:
		return c.runFetch(p)
	case closeCursor:
		return c.runClose(s.name)
	case deallocate:
		c.forgetStatements(s.name)
	case discard:
		c.discard(s.name)
	case cancelQuery:
		p.rows = [][]any{{c.server.stop(c.who.Name, s.Tokens)}}
	case schemaOnly:
		c.notice("cost: nothing, the columns were asked for and no row", "")
	case set:
		return c.set(s.name, s.text)
	case show:
		c.showRows(p)
	case catalogQuery, patientQuery:
		// The limit is checked before anything is paid: an answer is kept however large it is.
		if err := c.server.holdings.room(c, 0); err != nil {
			return err
		}
		if s.kind == patientQuery {
			return c.ask(p)
		}
		ctx, done := c.work()
		defer done()
		rows, err := s.lookup.Run(ctx, p.arguments)
		p.rows = rows
		return err
	}
	return nil
}

func (c *conn) showRows(p *portal) {
	if p.statement.name != "all" {
		p.rows = [][]any{{c.show(p.statement.name)}}
		return
	}
	for _, name := range session.Names {
		p.rows = append(p.rows, []any{name, c.show(name), "of Intramuros"})
	}
	var names []string
	for name := range defaults {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p.rows = append(p.rows, []any{name, c.show(name), ""})
	}
}

// ask runs a question about patients.
func (c *conn) ask(p *portal) error {
	ctx, done := c.work()
	defer done()
	a, err := c.server.asker.Forewarned(ctx, c.who, c.settings.Request(p.statement.Text, p.values), c.forewarn)
	if err != nil {
		return err
	}
	if p.statement.columns == nil {
		p.statement.tell(a.Columns, c.settings.Intervals)
	}
	columns := tabular.Columns(a.Columns, p.statement.intervals)
	for _, row := range a.Rows {
		line := make([]any, len(columns))
		for i, column := range columns {
			line[i] = plain(column.Of(row))
		}
		p.rows = append(p.rows, line)
	}
	if a.Informs {
		return nil
	}
	if a.Public {
		c.notice("cost: nothing, public tables only", "")
		for _, w := range a.Warnings {
			c.warn(w)
		}
		return nil
	}
	c.notice(fmt.Sprintf("cost: %s; the study %s has epsilon %s left", costOf(a), c.settings.Study, short(a.Remaining.Epsilon)), hospitals(a))
	if text := intervals(a); text != "" {
		c.notice(text, "")
	}
	for _, w := range a.Warnings {
		c.warn(w)
	}
	return nil
}

// forewarn sends warnings at once, before anything is spent, so that the client can still cancel: expected bias,
// thresholds, who is away, and the error to expect of the first few numbers. A stored answer costs nothing, so it has
// no warnings.
func (c *conn) forewarn(o *coordinator.Outline) {
	if o.Stored || len(o.Warnings)+len(o.Away)+len(o.Expected) == 0 {
		return
	}
	const most = 6
	var told []string
	for i, x := range o.Expected {
		if i == most {
			told = append(told, fmt.Sprintf("the errors of %d more numbers are told by EXPLAIN", len(o.Expected)-most))
			break
		}
		told = append(told, fmt.Sprintf("%s is expected %s", x.Column, x))
	}
	told = append(told, o.Warnings...)
	for _, a := range o.Away {
		told = append(told, a.Name+" "+a.Why)
	}
	c.notice(fmt.Sprintf("before epsilon %s is spent: %s", short(o.Cost.Epsilon), strings.Join(told, "; ")), "")
	if c.flush() != nil { // the client is gone, so nothing is spent
		c.stop()
	}
}

func costOf(a *coordinator.Answer) string {
	if a.Stored {
		return "nothing, the same question was answered before"
	}
	s := "epsilon " + short(a.Cost.Epsilon)
	if a.Cost.Delta > 0 {
		s += ", delta " + short(a.Cost.Delta)
	}
	return s
}

func hospitals(a *coordinator.Answer) string {
	s := "answered by " + strings.Join(a.Answered, ", ")
	for _, m := range a.Missing {
		s += "; " + m.Name + " " + m.Why
	}
	return s
}

// intervals says how wide the intervals of each noisy column are.
func intervals(a *coordinator.Answer) string {
	var parts []string
	for i, column := range a.Columns {
		if !tabular.Ranged(column) {
			continue
		}
		least, most := math.Inf(1), math.Inf(-1)
		for _, row := range a.Rows {
			e := row[i]
			half := math.Inf(1)
			if e.Low.Valid() && e.High.Valid() && !e.Low.IsNull() && !e.High.IsNull() {
				half = (e.High.Float64() - e.Low.Float64()) / 2
				if x := e.Value; x.Valid() && !x.IsNull() { // as far as the interval reaches to either side: "0 [0, 13]" is ± 13
					half = math.Max(e.High.Float64()-x.Float64(), x.Float64()-e.Low.Float64())
				}
				if column.Type == value.TypeTimestamp {
					half /= 1e6 // seconds
				}
			}
			least, most = math.Min(least, half), math.Max(most, half)
		}
		unit := map[value.Type]string{value.TypeDate: " days", value.TypeTimestamp: " seconds"}[column.Type]
		switch {
		case math.IsInf(most, -1):
		case short(least) == short(most):
			parts = append(parts, column.Name+" ± "+short(most)+unit)
		default:
			parts = append(parts, column.Name+" ± "+short(least)+" to "+short(most)+unit)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("%s %% intervals: %s; SET intervals = columns shows each", short(100*a.Confidence), strings.Join(parts, ", "))
}

func short(x float64) string {
	if math.IsInf(x, 0) {
		return "without end"
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}

// plain converts a value for pgtype.
func plain(v value.Value) any {
	if !v.Valid() || v.IsNull() {
		return nil
	}
	switch v.Type() {
	case value.TypeBool:
		return v.True()
	case value.TypeInt:
		return v.Int64()
	case value.TypeFloat:
		return v.Float64()
	case value.TypeDate:
		return time.Unix(v.Int64()*86400, 0).UTC()
	case value.TypeTimestamp:
		return time.UnixMicro(v.Int64()).UTC()
	}
	return v.Str()
}
