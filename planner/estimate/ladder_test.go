package estimate

import (
	"math"
	"testing"
)

// TestLost checks what a limit leaves out of a step.
func TestLost(t *testing.T) {
	l := Ladder{{8, 40}} // ten patients each have 5, 6, 7 and 8 rows
	for limit, want := range map[int]float64{8: 0, 7: 10, 6: 30, 4: 100, 3: 140} {
		if lost, all := l.Lost(limit); lost != want || all != 260 {
			t.Errorf("beyond %d are %v of %v rows, want %v of 260", limit, lost, all, want)
		}
	}
}

// TestBestOfMean checks that much noise gives the smallest limit, and many patients a limit beyond which there are few
// rows.
func TestBestOfMean(t *testing.T) {
	l := Ladder{{1, 1000}, {2, 500}, {4, 200}, {16, 100}}
	if got := l.BestOfMean(1e6); got != 1 {
		t.Errorf("where noise is all, the limit is %d", got)
	}
	if got := l.BestOfMean(1e-6); got < 14 {
		t.Errorf("where noise is nothing, the limit is %d, of patients of up to 16 rows", got)
	}
	if got := (Ladder)(nil).BestOfMean(1); got != 0 {
		t.Errorf("without a ladder the limit is %d", got)
	}
}

// TestUnseenSteps checks the patients assumed beyond the last step: fewer from step to step, and no more than noise may
// hide.
func TestUnseenSteps(t *testing.T) {
	for name, c := range map[string]struct {
		seen   Ladder
		hidden float64
		want   []float64 // patients of the further steps
	}{
		"a tail that halves":       {Ladder{{1, 400}, {2, 200}, {4, 100}}, 1000, []float64{50, 25}},
		"a tail that falls faster": {Ladder{{1, 400}, {2, 200}, {4, 20}}, 1000, nil},
		"of which much is hidden":  {Ladder{{1, 1461}, {2, 246}, {4, 165}}, 20, []float64{20, 10}},
		"one step":                 {Ladder{{8, 100}}, 30, []float64{30, 15}},
		"nothing is hidden":        {Ladder{{1, 4}, {2, 2}}, 0, nil},
		"nothing is seen":          {nil, 10, nil},
	} {
		got := c.seen.With(c.hidden)[len(c.seen):]
		if len(got) != len(c.want) {
			t.Errorf("%s: %v", name, got)
			continue
		}
		rows := 0
		if len(c.seen) > 0 {
			rows = c.seen[len(c.seen)-1].Rows
		}
		for i, s := range got {
			if rows *= 2; s.Rows != rows || math.Abs(s.Patients-c.want[i]) > 1e-9 {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
	}
}

// TestGroups checks that a larger limit is chosen if patients are in many groups, and not if all are in one.
func TestGroups(t *testing.T) {
	for name, c := range map[string]struct {
		ladder   Ladder
		possible int
		l2       bool
		want     int
	}{
		"one row each":           {Ladder{{1, 1000}}, 100, true, 1},
		"many rows, many groups": {Ladder{{1, 1000}, {32, 10_000}}, 100, true, 24},
		"of which there are two": {Ladder{{1, 1000}, {32, 10_000}}, 2, true, 2},
		"by the sum":             {Ladder{{1, 1000}, {32, 10_000}}, 100, false, 24},
		"few who have many":      {Ladder{{1, 1000}, {4, 3}}, 100, true, 1},
		"no profile":             {nil, 100, true, 0},
	} {
		got := c.ladder.Groups(4, 10, c.possible, c.l2)
		if got < c.want || got > c.want+c.want/4 {
			t.Errorf("%s: %d groups, want %d or a little more", name, got, c.want)
		}
	}
}
