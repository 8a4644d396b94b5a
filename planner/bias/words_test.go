package bias

import "testing"

// TestUpTo: a warning never says "0 to 0 %": of what is certainly below a thousandth there is none.
func TestUpTo(t *testing.T) {
	for high, want := range map[float64]string{-0.2: "0 to 0.1 %", 0: "0 to 0.1 %", 0.0011: "0 to 0.2 %", 0.2: "0 to 20 %"} {
		if got := upTo(high); got != want {
			t.Errorf("%v is %q, not %q", high, got, want)
		}
	}
}
