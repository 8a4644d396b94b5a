//go:build unix

package duckdb

import (
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// onDisk gives a file's place on the disk, and when anything about it changed last.
func onDisk(path string, info fs.FileInfo) (inode string, changed time.Time) {
	var at unix.Stat_t
	if unix.Stat(path, &at) != nil {
		return "", info.ModTime()
	}
	return fmt.Sprintf("%d:%d", at.Dev, at.Ino), time.Unix(at.Ctim.Unix())
}
