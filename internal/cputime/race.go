//go:build race

package cputime

// Slowness is the factor by which a program is slower than usual under the race detector.
const Slowness = 10
