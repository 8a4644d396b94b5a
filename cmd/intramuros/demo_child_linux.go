package main

import "syscall"

// ownGroup keeps the terminal's Ctrl-C from the daemons, which demo ends in order,
// and has the kernel kill them if demo itself is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
