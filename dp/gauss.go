package dp

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"sync"
)

// The discrete Gaussian on the integers, P(z) ~ exp(-z²/(2 sigma²)) for a whole sigma from 1 to 2^54, drawn exactly by
// Algorithms 1 to 3 of Canonne, Kamath & Steinke 2020. Only integers are compared, so no rounding changes a
// probability. All randomness is crypto/rand's.

const maxSigma = 1 << 54

// gauss draws one number. A draw beyond 256 sigma, of probability below 2^-40000, is drawn again.
func gauss(sigma uint64) int64 {
	s := sources.Get().(*source)
	defer sources.Put(s)
	return s.gauss(sigma)
}

var sources = sync.Pool{New: func() any { s := &source{}; s.next = len(s.buffer); return s }}

// source hands out random words. It clears each word that it has handed out.
type source struct {
	buffer [4096]byte
	next   int
}

func (s *source) word() uint64 {
	if s.next == len(s.buffer) {
		rand.Read(s.buffer[:]) // never fails
		s.next = 0
	}
	b := s.buffer[s.next : s.next+8]
	w := binary.LittleEndian.Uint64(b)
	clear(b)
	s.next += 8
	return w
}

// below is uniform on 0 to n-1 (Lemire 2019, without bias).
func (s *source) below(n uint64) uint64 {
	for {
		high, low := bits.Mul64(s.word(), n)
		if low >= n || low >= -n%n {
			return high
		}
	}
}

// wide is a number below 2^128.
type wide struct{ high, low uint64 }

func square(a uint64) (w wide) {
	w.high, w.low = bits.Mul64(a, a)
	return w
}

func (w wide) less(o wide) bool { return w.high < o.high || w.high == o.high && w.low < o.low }

func (w wide) minus(o wide) wide {
	low, borrow := bits.Sub64(w.low, o.low, 0)
	high, _ := bits.Sub64(w.high, o.high, borrow)
	return wide{high, low}
}

// chance is true with probability part/whole, part <= whole < 2^127. It compares random bits with the binary digits of
// the quotient, 64 at a time, until they differ.
func (s *source) chance(part, whole wide) bool {
	for part != (wide{}) {
		if part == whole {
			return true
		}
		digits, rest := divide(part, whole)
		if u := s.word(); u != digits {
			return u < digits
		}
		part = rest
	}
	return false
}

// divide gives floor(part * 2^64 / whole) and the remainder, for part < whole < 2^127.
func divide(part, whole wide) (uint64, wide) {
	if whole.high == 0 {
		quotient, rest := bits.Div64(part.low, 0, whole.low)
		return quotient, wide{0, rest}
	}
	var quotient uint64
	for range 64 {
		part = wide{part.high<<1 | part.low>>63, part.low << 1}
		quotient <<= 1
		if !part.less(whole) {
			part = part.minus(whole)
			quotient |= 1
		}
	}
	return quotient, part
}

// exponential is true with probability exp(-part/whole), part <= whole (Algorithm 1).
func (s *source) exponential(part, whole wide) bool {
	for k := uint64(1); ; k++ {
		if !s.chance(part, whole) || k > 1 && s.below(k) != 0 {
			return k%2 == 1
		}
	}
}

var unit = wide{0, 1}

// geometric draws |x| and the sign of x, P(x) ~ exp(-|x|/scale) (Algorithm 2).
func (s *source) geometric(scale uint64) (magnitude uint64, negative bool) {
	for {
		rest := s.below(scale)
		if !s.exponential(wide{0, rest}, wide{0, scale}) {
			continue
		}
		whole := uint64(0)
		for whole < 256 && s.exponential(unit, unit) {
			whole++
		}
		magnitude = rest + whole*scale
		if negative = s.word()&1 == 1; whole < 256 && !(negative && magnitude == 0) {
			return magnitude, negative
		}
	}
}

// gauss draws from the discrete Gaussian (Algorithm 3 with sigma as the scale of the geometric draw).
func (s *source) gauss(sigma uint64) int64 {
	variance := square(sigma)
	double := wide{variance.high<<1 | variance.low>>63, variance.low << 1}
	for {
		magnitude, negative := s.geometric(sigma)
		away := max(magnitude, sigma) - min(magnitude, sigma)
		exponent := square(away)
		accept := true
		for accept && double.less(exponent) { // exp(-1) for each whole
			accept = s.exponential(unit, unit)
			exponent = exponent.minus(double)
		}
		if !accept || !s.exponential(exponent, double) {
			continue
		}
		if negative {
			return -int64(magnitude) //nolint:gosec // below 2^8 sigma, so below 2^63 for the sigmas that are drawn
		}
		return int64(magnitude) //nolint:gosec // likewise
	}
}
