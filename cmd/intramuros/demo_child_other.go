//go:build unix && !linux

package main

import "syscall"

// ownGroup keeps the terminal's Ctrl-C from the daemons, which demo ends in order.
// A demo that is killed outright leaves them running here.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
