// Package cputime tells tests how much processor time their own process has used.
//
// A test that limits the work of a function by the clock fails on a machine that is busy with other things. A test that
// limits processor time does not. That time is for the whole process: all goroutines, the garbage collector, and linked
// engines. So a test that measures must run nothing else at the same time.
package cputime
