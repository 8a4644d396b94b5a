package dp

import (
	"math"
	"testing"

	"github.com/intramuros/intramuros/internal/audit"
)

// Audits draw real releases over neighbouring data, and compute a lower bound on epsilon from what they see.

// narrowed is noise of four fifths of the scale, with the same claim.
func narrowed(t *testing.T, n Noise, c Coordinate) Noise {
	t.Helper()
	n.Epsilon = audit.Narrow(t, n.Epsilon, func(epsilon float64) float64 {
		n.Epsilon = epsilon
		return n.Distribution(c).Scale
	})
	return n
}

// The numbers of draws are large enough that narrowed noise exceeds the claim by more than 6 standard deviations of the
// audit's result (mean and deviation from 8 to 12 repetitions). So it passes with probability below 1e-8.
//
// The patient changes the coordinate as much as allowed: lInf is the number of sites times the bound at one. (The
// coordinator's audits have vectors of several coordinates.) The full tests draw each neighbour ten million times at
// the smallest scales of our own sampler.
func TestAuditNoise(t *testing.T) {
	for _, c := range []struct {
		name        string
		n           Noise
		lInf        int64
		draws, full int
	}{
		{"Laplace of scale 1", Noise{Mechanism: Laplace, Epsilon: 2, Limit: 1}, 2, 70_000, 0},
		{"Laplace at three sites", Noise{Mechanism: Laplace, Epsilon: 2, Limit: 1}, 3 * 7, 40_000, 0},
		{"Laplace of the largest scale", Noise{Mechanism: Laplace, Epsilon: 2, Limit: 1}, 1 << 40, 40_000, 0},
		// At sigma 1 the Gaussian mechanism is (1, 0.1269)-private (Balle & Wang 2018, Theorem 8). The audit can
		// measure an event of that size.
		{"Gaussian of scale 1", Noise{Mechanism: Gaussian, Epsilon: 1, Limit: 1}, 1, 60_000, 10_000_000},
		{"Gaussian of scale 2^40", Noise{Mechanism: Gaussian, Epsilon: 1, Limit: 1}, 1 << 40, 60_000, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			drawn := func(n Noise) func(bool) float64 {
				return func(with bool) float64 {
					x := int64(12345)
					if with {
						x += c.lInf
					}
					y, err := n.Add(x, one(c.lInf))
					if err != nil {
						t.Error(err)
					}
					return float64(y)
				}
			}
			draws := audit.Draws(c.draws)
			if draws > c.draws {
				draws = max(draws, c.full)
			}
			audit.Expect(t, draws, c.n.Epsilon, deltaOf(c.n), drawn(c.n), drawn(narrowed(t, c.n, one(c.lInf))))
		})
	}
}

// deltaOf is the delta at which noise of epsilon 1 is (1, delta)-private.
func deltaOf(n Noise) float64 {
	if n.Mechanism == Gaussian {
		return 0.1269
	}
	return 0
}

// Coordinates of several weights that one patient changes together are one release of one epsilon. The audit detects
// noise that ignores the weights: its l0 counts coordinates and does not add up weights.
func TestAuditWeights(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n     Noise
		draws int
	}{
		{Noise{Mechanism: Laplace, Epsilon: 2, Limit: 4}, 60_000},
		{Noise{Mechanism: Gaussian, Epsilon: 1, Limit: 4}, 60_000},
	} {
		drawn := func(n Noise) audit.Score {
			return func(with bool) (score float64) {
				for _, c := range []Coordinate{{Size: 6, Weight: 1}, {Size: 60, Weight: 3}} {
					x := int64(0)
					if with {
						x = c.Size
					}
					y, err := n.Add(x, c)
					if err != nil {
						t.Error(err)
					}
					v := float64(y) / float64(c.Size) // 1 with the patient, 0 without
					if n.Mechanism == Laplace {
						score += float64(c.Weight) * (math.Abs(v) - math.Abs(v-1))
					} else {
						score += float64(c.Weight) * (2*v - 1)
					}
				}
				return score
			}
		}
		audit.Expect(t, audit.Draws(c.draws), c.n.Epsilon, deltaOf(c.n), drawn(c.n), drawn(narrowed(t, c.n, Coordinate{Size: 60, Weight: 3})))
	}
}

// Where other patients have the group too, showing it tells no more than its noisy count.
func TestAuditThresholdOfSharedGroup(t *testing.T) {
	t.Parallel()
	const sites, deltaT = 2, 1e-3
	n := Noise{Mechanism: Laplace, Epsilon: 2, Limit: 1}
	threshold, err := n.Threshold(in(1, sites), one(sites), deltaT)
	if err != nil {
		t.Fatal(err)
	}
	shown := func(n Noise) func(bool) float64 {
		return func(with bool) float64 {
			x := threshold - 1 - sites
			if with {
				x += sites
			}
			if y, err := n.Add(x, one(sites)); err != nil || y < threshold {
				return 0
			}
			return 1
		}
	}
	// The mechanism chooses which counts are shown. The audit only sees whether one is shown.
	audit.Expect(t, audit.Draws(80_000), n.Epsilon, deltaT, shown(n), shown(narrowed(t, n, one(sites))))
}

// Groups that only the patient has are shown with probability at most delta. The audit detects a threshold computed for
// noise a fifth narrower than the drawn noise.
func TestAuditThresholdOfOwnGroup(t *testing.T) {
	t.Parallel()
	for _, n := range []Noise{
		{Mechanism: Laplace, Epsilon: 0.25, Limit: 1},
		{Mechanism: Gaussian, Epsilon: 0.25, Limit: 1},
	} {
		const deltaT = 0.05
		threshold := func(n Noise) int64 {
			limit, err := n.Threshold(in(1, 1), one(1), deltaT)
			if err != nil {
				t.Fatal(err)
			}
			return limit
		}
		shown := func(limit int64) func(bool) float64 {
			return func(with bool) float64 {
				if !with {
					return 0 // there is no such group
				}
				if y, err := n.Add(1, one(1)); err != nil || y < limit {
					return 0
				}
				return 1
			}
		}
		audit.Expect(t, audit.Draws(40_000), n.Epsilon, deltaT, shown(threshold(n)), shown(threshold(narrowed(t, n, one(1)))))
	}
}
