package estimate

import "testing"

func TestRoundUp(t *testing.T) {
	for x, want := range map[float64]float64{
		1: 1, 0.5: 0.5, 1.2345: 1.24, 0.0123401: 0.0124, 999.5: 1000, 12345: 12400, 9.991: 10, 0.1000001: 0.101,
	} {
		if got := RoundUp(x); got != want {
			t.Errorf("RoundUp(%v) = %v, not %v", x, got, want)
		}
	}
}
