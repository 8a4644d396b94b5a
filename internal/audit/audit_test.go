package audit

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The bounds are correct: binomial counts leave them with the allowed probability.
func TestClopperPearson(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64 // of 1 - 4e-9, from P(X >= k) = P(X <= k) = 2e-9
	}{
		{0, 100, 0, 1 - math.Pow(Alarm/2, 1.0/100)},
		{100, 100, math.Pow(Alarm/2, 1.0/100), 1},
		{1, 1, Alarm / 2, 1},
	} {
		if low, high := atLeastProbability(c.k, c.n), atMostProbability(c.k, c.n); math.Abs(low-c.low) > 1e-12 || math.Abs(high-c.high) > 1e-12 {
			t.Errorf("%d of %d: [%v, %v], want [%v, %v]", c.k, c.n, low, high, c.low, c.high)
		}
	}
	for range 100 { // Chernoff's bound is never the better one, and never far away
		n := 1 + rand.IntN(1_000_000)
		k := rand.IntN(n + 1)
		low, high := atLeastProbability(k, n), atMostProbability(k, n)
		p := float64(k) / float64(n)
		if kl := entropy(p, low) * float64(n); k > 0 && (kl > math.Log(2/Alarm)+1e-6 || kl < math.Log(2/Alarm)-10) {
			t.Errorf("%d of %d: the lower bound %v is %v nats away", k, n, low, kl)
		}
		if kl := entropy(p, high) * float64(n); k < n && (kl > math.Log(2/Alarm)+1e-6 || kl < math.Log(2/Alarm)-10) {
			t.Errorf("%d of %d: the upper bound %v is %v nats away", k, n, high, kl)
		}
	}
}

// entropy is the relative entropy of Bernoulli(q) to Bernoulli(p).
func entropy(q, p float64) (sum float64) {
	if q > 0 {
		sum += q * math.Log(q/p)
	}
	if q < 1 {
		sum += (1 - q) * math.Log((1-q)/(1-p))
	}
	return sum
}
