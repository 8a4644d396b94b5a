//go:build !race

package adversary

// slowness is how many times as long as usual a program computes.
const slowness = 1
