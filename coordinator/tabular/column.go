package tabular

import (
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// Part says which part of an estimate a column shows.
type Part int

// The parts of an estimate.
const (
	Value Part = iota
	Low
	High
)

// Column is one column of the table.
type Column struct {
	Name  string
	Type  value.Type
	Noisy bool // depends on released aggregates, not only on group keys
	Index int  // of the answer's column
	Part  Part
}

// Ranged reports whether the column's values have an interval.
func Ranged(c planner.Column) bool { return c.Ranged() }

// Columns returns the table's columns. With intervals, x_low and x_high follow each x that has an interval.
func Columns(all []planner.Column, intervals bool) []Column {
	var columns []Column
	for i, c := range all {
		columns = append(columns, Column{c.Name, c.Type, c.Noisy, i, Value})
		if intervals && Ranged(c) {
			columns = append(columns, Column{c.Name + "_low", c.Type, true, i, Low}, Column{c.Name + "_high", c.Type, true, i, High})
		}
	}
	return columns
}

// Of returns the column's value in a row of the answer. A Low or High of a value without an interval is invalid, and is
// shown as NULL.
func (c Column) Of(row []planner.Estimate) value.Value {
	switch e := row[c.Index]; c.Part {
	case Low:
		return e.Low
	case High:
		return e.High
	default:
		return e.Value
	}
}
