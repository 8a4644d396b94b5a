package integration

import "syscall"

// ownGroup keeps signals apart, and lets a daemon die with the tests, even where
// these are killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
