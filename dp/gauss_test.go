package dp

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"os"
	"testing"

	"github.com/google/differential-privacy/go/v3/noise"
)

// massOf gives P(low <= z <= high) of the discrete Gaussian as a sum of its probabilities.
func massOf(sigma float64, low, high int) float64 {
	weight := func(z int) float64 { return math.Exp(-float64(z) * float64(z) / (2 * sigma * sigma)) }
	sum, total := 0.0, 0.0
	for z := -int(40*sigma) - 10; z <= int(40*sigma)+10; z++ {
		total += weight(z)
		if low <= z && z <= high {
			sum += weight(z)
		}
	}
	return sum / total
}

// Each probability of the sampler is that of its formula, compared cell by cell.
func TestGaussIsExact(t *testing.T) {
	draws := 200_000
	if os.Getenv("INTRAMUROS_FULL") != "" {
		draws = 10_000_000
	}
	for _, sigma := range []uint64{1, 2, 3, 7} {
		counts := map[int64]int{}
		for range draws {
			counts[gauss(sigma)]++
		}
		edge := int64(4 * sigma)
		below, above := 0, 0
		for z, n := range counts {
			if z < -edge {
				below += n
			} else if z > edge {
				above += n
			}
		}
		check := func(name string, got int, p float64) {
			if low, high := seldom(draws, p); float64(got) < low || float64(got) > high {
				t.Errorf("sigma %d, %s: %d of %d, expected %g", sigma, name, got, draws, p*float64(draws))
			}
		}
		for z := -edge; z <= edge; z++ {
			check(fmt.Sprint(z), counts[z], massOf(float64(sigma), int(z), int(z)))
		}
		beyond := massOf(float64(sigma), int(edge)+1, math.MaxInt32)
		check("below", below, beyond)
		check("above", above, beyond)
	}
}

// Large sigmas use other branches of the arithmetic; their distribution is close to the continuous one.
func TestGaussOfLargeSigma(t *testing.T) {
	const draws = 50_000
	for _, sigma := range []uint64{1 << 20, 1<<31 + 12345, 1 << 40, maxSigma} {
		var inside [8]int
		limits := []float64{-2, -1, -0.5, 0, 0.5, 1, 2, 3}
		for range draws {
			x := float64(gauss(sigma)) / float64(sigma)
			for i, l := range limits {
				if x <= l {
					inside[i]++
				}
			}
		}
		for i, l := range limits {
			if low, high := seldom(draws, upperNormal(-l)); float64(inside[i]) < low || float64(inside[i]) > high {
				t.Errorf("sigma %d: %d of %d at most %g sigma", sigma, inside[i], draws, l)
			}
		}
	}
}

// The test above catches a sampler whose noise is 20 % too small.
func TestTooLittleNoiseIsCaught(t *testing.T) {
	const draws = 50_000
	n := 0
	for range draws {
		if x := float64(gauss(1<<20)) * 0.8; x <= 1<<20 {
			n++
		}
	}
	if low, high := seldom(draws, upperNormal(-1)); float64(n) >= low && float64(n) <= high {
		t.Error("noise of 0.8 sigma passes for noise of 1 sigma")
	}
}

func TestDivide(t *testing.T) {
	s := &source{}
	s.next = len(s.buffer)
	toBig := func(w wide) *big.Int {
		b := new(big.Int).SetUint64(w.high)
		return b.Or(b.Lsh(b, 64), new(big.Int).SetUint64(w.low))
	}
	for i := range 10_000 {
		whole := wide{s.word() >> (1 + s.word()%63), s.word()}
		if i%3 == 0 {
			whole.high = 0
		}
		part := wide{s.word(), s.word()}
		if whole.high > 0 {
			part.high %= whole.high
		} else {
			part = wide{0, part.low % max(whole.low, 1)}
		}
		if !part.less(whole) {
			continue
		}
		quotient, rest := divide(part, whole)
		want, left := new(big.Int).QuoRem(new(big.Int).Lsh(toBig(part), 64), toBig(whole), new(big.Int))
		if want.Cmp(new(big.Int).SetUint64(quotient)) != 0 || left.Cmp(toBig(rest)) != 0 {
			t.Fatalf("%v * 2^64 / %v is %d, %v; not %v, %v", part, whole, quotient, rest, want, left)
		}
	}
}

// BenchmarkGauss measures draws of this package and of Google's library in one run.
func BenchmarkGauss(b *testing.B) {
	for _, sigma := range []uint64{1 << 20, 1 << 40} {
		b.Run(fmt.Sprintf("own, sigma 2^%d", bits.Len64(sigma)-1), func(b *testing.B) {
			for range b.N {
				gauss(sigma)
			}
		})
	}
	library := noise.Gaussian()
	b.Run("library", func(b *testing.B) {
		for range b.N {
			if _, err := library.AddNoiseFloat64(0, 1, 1, 1, 1e-6); err != nil {
				b.Fatal(err)
			}
		}
	})
}
