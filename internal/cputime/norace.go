//go:build !race

package cputime

// Slowness is the factor by which a program is slower than usual.
const Slowness = 1
