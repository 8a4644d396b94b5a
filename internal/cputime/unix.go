//go:build unix

package cputime

import (
	"syscall"
	"testing"
	"time"
)

// Used is the processor time of this process since it began, in user and system mode, over all processors. The test
// fails if the system does not report it.
func Used(t testing.TB) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
