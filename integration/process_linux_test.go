package integration

import "syscall"

// ownGroup puts a daemon in its own process group, so that it does not receive the tests' signals. The daemon dies with
// the tests, even if they are killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
