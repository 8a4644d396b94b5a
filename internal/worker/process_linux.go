package worker

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// program is this one, even if its file has been replaced since.
func program() (string, error) { return "/proc/self/exe", nil }

// tied has the kernel kill the child with this process.
func tied() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// restrict makes a worker the first to go where memory runs out, and leaves no image of it on the disk. Where a system
// forbids either, the worker works all the same.
func restrict() {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0o600)
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}

// usage reads the memory of a process.
type usage struct{ statm *os.File }

func openUsage(pid int) *usage {
	f, err := os.Open(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return &usage{} // it is gone
	}
	return &usage{f}
}

// bytes is what the process holds in memory for itself alone: without files, and so without the program; 0 once it is
// gone.
func (u *usage) bytes() int64 {
	var b [256]byte
	n, _ := u.statm.ReadAt(b[:], 0) // at the file's end there is io.EOF
	fields := strings.Fields(string(b[:n]))
	if len(fields) < 3 {
		return 0
	}
	resident, _ := strconv.ParseInt(fields[1], 10, 64)
	shared, _ := strconv.ParseInt(fields[2], 10, 64)
	return (resident - shared) * int64(os.Getpagesize())
}

func (u *usage) close() {
	if u.statm != nil {
		u.statm.Close()
	}
}
