package main

import "syscall"

// ownGroup protects the daemons from the terminal's Ctrl-C, since demo ends them in order. If demo itself is killed,
// the kernel kills them.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
