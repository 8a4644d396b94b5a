package config

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

var size = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([KMGT]i?B|B|bytes)$`)

// ParseSize reads a number of bytes as people and DuckDB write it: 2GB, 244.1 MiB. The number is 0 or more. ok is false
// if the text is not a size.
func ParseSize(text string) (bytes int64, ok bool) {
	m := size.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	x, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, false
	}
	base := 1000.0
	if strings.Contains(m[2], "i") {
		base = 1024
	}
	x *= math.Pow(base, float64(strings.IndexByte("BKMGT", strings.ToUpper(m[2])[0])))
	if x >= 1<<60 {
		return 0, false
	}
	return int64(x), true
}
