package planner

import (
	"errors"
	"math"
	"testing"

	"github.com/intramuros/intramuros/dp"
)

// A query is refused if its noise is so wide that the sampler would round the numbers, since a patient may affect any
// of them. The refusal begins just above that scale.
func TestCoarseNoise(t *testing.T) {
	const most = 1 << 40
	for _, sql := range []string{"SELECT MEDIAN(admissionweight) FROM patient", "SELECT COUNT(*) FROM patient"} {
		build := func(epsilon float64) (*Plan, error) {
			f := federation(t, "eicu")
			f.Accounting = dp.Pure
			return Build(Query{SQL: sql, Ask: Ask{Epsilon: epsilon}}, f)
		}
		p, err := build(1)
		if err != nil {
			t.Fatal(err)
		}
		widest := func(p *Plan) (scale float64) {
			for _, n := range p.noise {
				scale = math.Max(scale, n.Scale)
			}
			return scale
		}
		at := widest(p) / most // the epsilon at which the scale is reached, except for a granule
		if p, err := build(at * 1.01); err != nil || widest(p) > most {
			t.Errorf("noise that is not too coarse is refused: %v", err)
		}
		var refused *Error
		if p, err := build(at * 0.99); !errors.As(err, &refused) || refused.Code != CodeParameter {
			t.Errorf("noise with which the sampler rounds is planned: %v, %v", p, err)
		}
	}
}
