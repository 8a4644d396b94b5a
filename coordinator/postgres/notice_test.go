package postgres

import (
	"testing"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// An interval that is cut at 0 is told as far as it reaches from its number, and not as half its length.
func TestNoticeOfIntervals(t *testing.T) {
	whole := value.Int
	a := &coordinator.Answer{Confidence: 0.95, Answer: planner.Answer{
		Columns: []planner.Column{{Name: "n", Type: value.TypeInt, Noisy: true}},
		Rows:    [][]planner.Estimate{{{Value: whole(0), Low: whole(0), High: whole(13)}}, {{Value: whole(40), Low: whole(27), High: whole(53)}}},
	}}
	if got, want := intervals(a), "95 % intervals: n ± 13; SET intervals = columns shows each"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
