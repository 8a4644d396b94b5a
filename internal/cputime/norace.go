//go:build !race

package cputime

// Slowness is how many times as long as usual a program computes.
const Slowness = 1
