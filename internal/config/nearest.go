package config

import "strings"

// Nearest returns the member of known that word most likely means, for a "did you mean" hint. It ignores case. An
// insertion, a deletion, a substitution and a swap of neighbours count as one edit each (the optimal string alignment
// distance). It accepts at most one edit per three letters of the longer word, and never more than three. At least one
// letter must agree. Otherwise ok is false. Among equally near words the first in known wins.
func Nearest(word string, known []string) (nearest string, ok bool) {
	w := []rune(strings.ToLower(word))
	best := -1
	for _, candidate := range known {
		k := []rune(strings.ToLower(candidate))
		longer := max(len(w), len(k))
		limit := min(max(longer/3, 1), 3, longer-1)
		if abs(len(w)-len(k)) > limit {
			continue
		}
		if d := edits(w, k); d <= limit && (best < 0 || d < best) {
			best, nearest = d, candidate
		}
	}
	return nearest, best >= 0
}

// edits is the optimal string alignment distance (Damerau 1964, restricted).
func edits(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range a {
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
