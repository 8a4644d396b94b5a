//go:build !linux

package integration

import "syscall"

// ownGroup keeps signals apart.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
