//go:build !linux

package integration

import "syscall"

// ownGroup protects the daemons from the terminal's signals.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
