package worker

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// program is the running program, even if its file has been replaced since.
func program() (string, error) { return "/proc/self/exe", nil }

// dieWithParent makes the kernel kill the child when this process ends.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// restrict makes the kernel kill a worker first if memory runs out, and prevents a core dump. The worker also works if
// a system forbids these settings.
func restrict() {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0o600)
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}

// usage reads the memory of a process.
type usage struct{ statm *os.File }

func openUsage(pid int) *usage {
	f, err := os.Open(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return &usage{} // the process is gone
	}
	return &usage{f}
}

// bytes is the private memory of the process: without files, and so without the program. It is 0 after the process has
// ended.
func (u *usage) bytes() int64 {
	var b [256]byte
	n, _ := u.statm.ReadAt(b[:], 0) // the end of the file gives io.EOF
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
