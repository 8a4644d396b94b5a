package bias

import "testing"

// TestUpTo checks that a warning never says "0 to 0 %". A share that is certainly below a thousandth gets no warning.
func TestUpTo(t *testing.T) {
	for high, want := range map[float64]string{-0.2: "0 to 0.1 %", 0: "0 to 0.1 %", 0.0011: "0 to 0.2 %", 0.2: "0 to 20 %"} {
		if got := upTo(high); got != want {
			t.Errorf("%v is %q, not %q", high, got, want)
		}
	}
}
