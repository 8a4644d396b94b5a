//go:build unix

package adversary

import (
	"syscall"
	"testing"
	"time"
)

// computed is for how long this process has computed, whatever the machine does beside.
func computed(t testing.TB) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
