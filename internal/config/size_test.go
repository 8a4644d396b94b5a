package config

import "testing"

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"2GB": 2e9, "244.1 MiB": 255957401, "18.6 GiB": 19971597926, "0 bytes": 0, "512KB": 512000, "1TiB": 1 << 40,
		"much": -1, "-1GB": -1, "9999999999TB": -1, "": -1, "5": -1, "1e3MB": -1, "2GB\n": -1,
	} {
		n, ok := ParseSize(text)
		if ok != (want >= 0) || ok && n != want {
			t.Errorf("%q is %d, %v", text, n, ok)
		}
	}
}
