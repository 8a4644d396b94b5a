// Package cputime tells tests for how long their own process has computed.
//
// A test that bounds the work of a function by the clock fails on a machine that does other things at the same time.
// One that bounds the processor's time does not. That time is the whole process's: all goroutines, the garbage
// collector, and engines that are linked in. So a test that measures runs nothing beside.
package cputime
