package dp

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mathext"
)

// Audits draw what is really released over neighbouring data, and bound epsilon from below by what
// they see: (P(S) - delta) / Q(S) <= exp(epsilon) for every event S, so for one S that was fixed on
// half of the draws, Clopper-Pearson bounds on P(S) and Q(S) from the other half bound epsilon (Jagielski et al. 2020,
// Nasr et al. 2021). Noise that is a fifth too narrow must be found out: a test that cannot fail shows nothing.

// auditAlarm is the probability with which one audit finds a loss that is not there. This
// package and the coordinator's have fewer than 20 audits, so a run alarms falsely with probability below 1e-7.
const auditAlarm = 4e-9

// auditDraws is how often each of two neighbours is drawn.
func auditDraws(quick int) int {
	if os.Getenv("INTRAMUROS_FULL") != "" {
		return 1_000_000
	}
	return quick
}

// lossAtLeast gives an epsilon that a mechanism loses at least, beside delta, unless the draws mislead,
// which they do with probability at most auditAlarm. score draws one release, with the patient or
// without, and gives a number that tends to be larger with.
func lossAtLeast(draws int, delta float64, score func(with bool) float64) float64 {
	sample := func() (with, without []float64) {
		for range draws / 2 {
			with, without = append(with, score(true)), append(without, score(false))
		}
		slices.Sort(with)
		slices.Sort(without)
		return with, without
	}
	loss := func(with, without []float64, threshold float64, above bool) float64 {
		n := len(with)
		p, _ := slices.BinarySearch(with, threshold)
		q, _ := slices.BinarySearch(without, threshold)
		if above {
			p, q = n-p, n-q
		} else {
			p, q = q, p
		}
		return math.Log(math.Max(0, atLeastProbability(p, n)-delta) / atMostProbability(q, n))
	}
	with, without := sample()
	best, threshold, above := math.Inf(-1), 0.0, true
	const candidates = 200
	for i := range candidates {
		for _, t := range []float64{with[i*len(with)/candidates], without[i*len(without)/candidates]} {
			for _, side := range []bool{true, false} {
				if l := loss(with, without, t, side); l > best {
					best, threshold, above = l, t, side
				}
			}
		}
	}
	with, without = sample()
	return loss(with, without, threshold, above)
}

// atLeastProbability is Clopper and Pearson's lower bound (1934) on the probability of what happened k times in n.
func atLeastProbability(k, n int) float64 {
	if k == 0 {
		return 0
	}
	low, high := 0.0, float64(k)/float64(n)
	for range 60 { // P(Binomial(n, p) >= k) is the incomplete beta function of p
		if p := (low + high) / 2; mathext.RegIncBeta(float64(k), float64(n-k+1), p) <= auditAlarm/2 {
			low = p
		} else {
			high = p
		}
	}
	return low
}

func atMostProbability(k, n int) float64 { return 1 - atLeastProbability(n-k, n) }

// narrowed is noise of four fifths the scale, under the same claim.
func narrowed(t *testing.T, n Noise, lInf int64) Noise {
	t.Helper()
	want := 0.8 * n.Distribution(lInf).Scale
	low, high := n.Epsilon, 4*n.Epsilon
	for range 60 {
		if n.Epsilon = (low + high) / 2; n.Distribution(lInf).Scale > want {
			low = n.Epsilon
		} else {
			high = n.Epsilon
		}
	}
	if got := n.Distribution(lInf).Scale; math.Abs(got/want-1) > 2e-3 {
		t.Fatalf("no noise has scale %v; %+v has %v", want, n, got)
	}
	return n
}

// expectAudit audits a claim, and that the audit finds narrowed noise.
func expectAudit(t *testing.T, draws int, epsilon, delta float64, honest, narrow func(with bool) float64) {
	t.Helper()
	if got := lossAtLeast(draws, delta, honest); got > epsilon {
		t.Errorf("it loses at least epsilon %.4f, and claims %v (delta %v)", got, epsilon, delta)
	} else {
		t.Logf("it loses at least epsilon %.4f, and claims %v (delta %v)", got, epsilon, delta)
	}
	if got := lossAtLeast(draws, delta, narrow); got <= epsilon {
		t.Errorf("noise that is a fifth too narrow goes unseen: at least %.4f of a claimed %v (delta %v)", got, epsilon, delta)
	} else {
		t.Logf("a fifth too narrow: at least epsilon %.4f", got)
	}
}

// Numbers of draws are such that narrowed noise exceeds the claim by more than 6 standard deviations of what the audit
// finds (mean and deviation from 8 to 12 repetitions), so that it goes unseen with probability below 1e-8.
//
// The patient changes the coordinate as much as one may: lInf is sites times the bound at one. (The coordinator's
// audits have vectors of several.)
func TestAuditNoise(t *testing.T) {
	for _, c := range []struct {
		name  string
		n     Noise
		lInf  int64
		draws int
	}{
		{"Laplace of scale 1", Noise{Mechanism: Laplace, Epsilon: 2, L0: 1}, 2, 70_000},
		{"Laplace at three sites", Noise{Mechanism: Laplace, Epsilon: 2, L0: 1}, 3 * 7, 40_000},
		{"Laplace where the library rounds", Noise{Mechanism: Laplace, Epsilon: 2, L0: 1}, 1 << 42, 40_000},
		// delta is such that the event that is tight has a probability that can be measured.
		{"Gaussian of scale 1", Noise{Mechanism: Gaussian, Epsilon: 1, Delta: 0.1269, L0: 1}, 1, 60_000},
		{"Gaussian of scale 2^40", Noise{Mechanism: Gaussian, Epsilon: 1, Delta: 0.1, L0: 1}, 1 << 40, 60_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			drawn := func(n Noise) func(bool) float64 {
				return func(with bool) float64 {
					x := int64(12345)
					if with {
						x += c.lInf
					}
					y, err := n.Add(x, c.lInf)
					if err != nil {
						t.Error(err)
					}
					return float64(y)
				}
			}
			expectAudit(t, auditDraws(c.draws), c.n.Epsilon, c.n.Delta, drawn(c.n), drawn(narrowed(t, c.n, c.lInf)))
		})
	}
}

// A group's being shown tells no more than its noisy count, where others have it too.
func TestAuditThresholdOfSharedGroup(t *testing.T) {
	t.Parallel()
	const sites, deltaT = 2, 1e-3
	n := Noise{Mechanism: Laplace, Epsilon: 2, L0: 1}
	threshold, err := n.Threshold(1, sites, deltaT)
	if err != nil {
		t.Fatal(err)
	}
	shown := func(n Noise) func(bool) float64 {
		return func(with bool) float64 {
			x := threshold - 1 - sites
			if with {
				x += sites
			}
			if y, err := n.Add(x, sites); err != nil || y < threshold {
				return 0
			}
			return 1
		}
	}
	// Which counts are left is the mechanism's; whether one is shown is all that is audited.
	expectAudit(t, auditDraws(80_000), n.Epsilon, deltaT, shown(n), shown(narrowed(t, n, sites)))
}

// Groups that only the patient has are shown with probability at most delta, and a threshold for noise
// that is a fifth narrower than what is drawn is found out.
func TestAuditThresholdOfOwnGroup(t *testing.T) {
	t.Parallel()
	for _, n := range []Noise{
		{Mechanism: Laplace, Epsilon: 0.25, L0: 1},
		{Mechanism: Gaussian, Epsilon: 0.25, Delta: 1e-6, L0: 1},
	} {
		const deltaT = 0.05
		threshold := func(n Noise) int64 {
			limit, err := n.Threshold(1, 1, deltaT)
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
				if y, err := n.Add(1, 1); err != nil || y < limit {
					return 0
				}
				return 1
			}
		}
		expectAudit(t, auditDraws(40_000), n.Epsilon, deltaT, shown(threshold(n)), shown(threshold(narrowed(t, n, 1))))
	}
}

// The bounds cover: of binomial counts as many leave them as may.
func TestClopperPearson(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64 // of 1 - 4e-9, from P(X >= k) = P(X <= k) = 2e-9
	}{
		{0, 100, 0, 1 - math.Pow(auditAlarm/2, 1.0/100)},
		{100, 100, math.Pow(auditAlarm/2, 1.0/100), 1},
		{1, 1, auditAlarm / 2, 1},
	} {
		if low, high := atLeastProbability(c.k, c.n), atMostProbability(c.k, c.n); math.Abs(low-c.low) > 1e-12 || math.Abs(high-c.high) > 1e-12 {
			t.Errorf("%d of %d: [%v, %v], want [%v, %v]", c.k, c.n, low, high, c.low, c.high)
		}
	}
	for range 100 { // Chernoff's bound is never the better one, nor far off
		n := 1 + rand.IntN(1_000_000)
		k := rand.IntN(n + 1)
		low, high := atLeastProbability(k, n), atMostProbability(k, n)
		p := float64(k) / float64(n)
		if kl := entropy(p, low) * float64(n); k > 0 && (kl > math.Log(2/auditAlarm)+1e-6 || kl < math.Log(2/auditAlarm)-10) {
			t.Errorf("%d of %d: the lower bound %v is %v nats away", k, n, low, kl)
		}
		if kl := entropy(p, high) * float64(n); k < n && (kl > math.Log(2/auditAlarm)+1e-6 || kl < math.Log(2/auditAlarm)-10) {
			t.Errorf("%d of %d: the upper bound %v is %v nats away", k, n, high, kl)
		}
	}
}

// entropy is that of Bernoulli(q) relative to Bernoulli(p).
func entropy(q, p float64) (sum float64) {
	if q > 0 {
		sum += q * math.Log(q/p)
	}
	if q < 1 {
		sum += (1 - q) * math.Log((1-q)/(1-p))
	}
	return sum
}
