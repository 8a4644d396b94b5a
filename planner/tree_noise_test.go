package planner

import (
	"errors"
	"math"
	"testing"

	"github.com/intramuros/intramuros/dp"
)

// Where the sampler would round each number, of which a patient may touch any number, a query is refused, just above
// that scale, and not below.
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
		at := widest(p) / most // the epsilon at which the scale is that, but for a granule
		if p, err := build(at * 1.01); err != nil || widest(p) > most {
			t.Errorf("noise that is not too coarse is refused: %v", err)
		}
		var refused *Error
		if p, err := build(at * 0.99); !errors.As(err, &refused) || refused.Code != CodeParameter {
			t.Errorf("noise with which the sampler rounds is planned: %v, %v", p, err)
		}
	}
}
