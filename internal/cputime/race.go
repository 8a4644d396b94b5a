//go:build race

package cputime

// Slowness is how many times as long as usual a program computes under the race detector.
const Slowness = 10
