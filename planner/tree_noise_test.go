package planner

import (
	"errors"
	"testing"
)

// Where the sampler rounds each count of a tree, a patient touches more of them than the weight of a tree allows for: such
// noise is refused, just above that scale, and not below.
func TestTreesWithCoarseNoise(t *testing.T) {
	const sql, most = "SELECT MEDIAN(admissionweight) FROM patient", 1 << 39
	build := func(epsilon float64) (*Plan, error) {
		return Build(Query{SQL: sql, Epsilon: epsilon}, federation(t, "eicu"))
	}
	p, err := build(1)
	if err != nil {
		t.Fatal(err)
	}
	at := p.noise[0].Scale / most // the epsilon at which the scale is that, but for a granule
	if p, err := build(at * 1.01); err != nil || p.noise[0].Scale > most {
		t.Errorf("noise that is not too coarse is refused: %v", err)
	}
	var refused *Error
	if p, err := build(at * 0.99); !errors.As(err, &refused) || refused.Code != CodeParameter {
		t.Errorf("a tree with noise that the sampler rounds is planned: %v, %v", p, err)
	}
	// A count by itself may have such noise: its bound pays for the rounding.
	if _, err := Build(Query{SQL: "SELECT COUNT(*) FROM patient", Epsilon: at * 1e-4}, federation(t, "eicu")); err != nil {
		t.Errorf("a count with coarse noise is refused: %v", err)
	}
}
