//go:build unix

package cputime

import (
	"syscall"
	"testing"
	"time"
)

// Used is for how long this process has computed since it began, in user and in system mode, over all processors. The
// test fails where the system does not tell.
func Used(t testing.TB) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
