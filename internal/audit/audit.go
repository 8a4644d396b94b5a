// Package audit computes by experiment a lower bound on the privacy that a mechanism loses. It is for tests only: no
// program imports it. It sees draws, and not the mechanism's claim, so that a claim and its audit are independent.
//
// # What an audit shows
//
// A mechanism M is (epsilon, delta)-private only if (P(S) - delta) / Q(S) <= exp(epsilon) for every event S, where P
// and Q are its distributions over two neighbours. AtLeast looks for an S in half of the draws. For that S it bounds
// P(S) from below and Q(S) from above with the other half (Clopper & Pearson 1934), as Jagielski, Ullman & Oprea 2020
// and Nasr et al. 2021 do. So the result is a true lower bound on epsilon, except with the probability Alarm.
//
// # What it does not show
//
// An audit does not show that the loss is no larger. It knows one pair of neighbours, events of one score, and a
// limited number of draws: a leak of probability 1e-9 is not seen in 1e6 draws. It finds mistakes by a constant factor,
// and it must find one that was made on purpose: see Expect.
//
// # References
//
//   - Clopper, Pearson: The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial. Biometrika
//     1934
//   - Jagielski, Ullman, Oprea: Auditing Differentially Private Machine Learning. NeurIPS 2020
//   - Nasr, Song, Thakurta, Papernot, Carlini: Adversary Instantiation. IEEE S&P 2021
package audit

import (
	"math"
	"os"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mathext"
)

// Alarm is the probability that one audit reports a loss that does not exist. There are fewer than 40 audits in all
// packages, so a run of all tests reports falsely with probability below 2e-7.
const Alarm = 4e-9

// Draws is the number of draws for each of two neighbours: quick, or a million in the full tests.
func Draws(quick int) int {
	if os.Getenv("INTRAMUROS_FULL") != "" {
		return 1_000_000
	}
	return quick
}

// Score draws one release, with the patient or without, and returns a number that tends to be larger with the patient.
type Score func(with bool) float64

// AtLeast returns a lower bound on the epsilon that a mechanism loses, besides delta. The bound is wrong with
// probability at most Alarm.
func AtLeast(draws int, delta float64, score Score) float64 {
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

// atLeastProbability is Clopper and Pearson's lower bound (1934) on the probability of an event that happened k times
// in n.
func atLeastProbability(k, n int) float64 {
	if k == 0 {
		return 0
	}
	low, high := 0.0, float64(k)/float64(n)
	for range 60 { // P(Binomial(n, p) >= k) is the incomplete beta function of p
		if p := (low + high) / 2; mathext.RegIncBeta(float64(k), float64(n-k+1), p) <= Alarm/2 {
			low = p
		} else {
			high = p
		}
	}
	return low
}

func atMostProbability(k, n int) float64 { return 1 - atLeastProbability(n-k, n) }

// Narrow returns the epsilon at which a mechanism's scale is four fifths of the scale for the claimed epsilon: its
// noise is a fifth too narrow. scale must fall with epsilon.
func Narrow(t testing.TB, epsilon float64, scale func(epsilon float64) float64) float64 {
	t.Helper()
	want, low, high := 0.8*scale(epsilon), epsilon, 4*epsilon
	for range 60 {
		if epsilon = (low + high) / 2; scale(epsilon) > want {
			low = epsilon
		} else {
			high = epsilon
		}
	}
	if got := scale(epsilon); math.Abs(got/want-1) > 2e-3 {
		t.Fatalf("no noise has scale %v; the nearest is %v", want, got)
	}
	return epsilon
}

// Expect audits the claim (epsilon, delta) of the honest mechanism. It also checks that the audit detects the narrow
// one, whose noise is a fifth too narrow: a test that cannot fail shows nothing. draws must be large enough to detect
// it almost surely.
func Expect(t testing.TB, draws int, epsilon, delta float64, honest, narrow Score) {
	t.Helper()
	if got := AtLeast(draws, delta, honest); got > epsilon {
		t.Errorf("it loses at least epsilon %.4f, and claims %v (delta %v)", got, epsilon, delta)
	} else {
		t.Logf("it loses at least epsilon %.4f, and claims %v (delta %v)", got, epsilon, delta)
	}
	if got := AtLeast(draws, delta, narrow); got <= epsilon {
		t.Errorf("noise that is a fifth too narrow goes unseen: at least %.4f of a claimed %v (delta %v)", got, epsilon, delta)
	} else {
		t.Logf("a fifth too narrow: at least epsilon %.4f", got)
	}
}
